import { EJSON, ObjectId, UUID } from 'bson';

/** What an `_id` on the command line may mean, likeliest first: an ObjectId, a UUID, JSON (EJSON), the text itself. */
export function idCandidates(text: string): unknown[] {
  const candidates: unknown[] = [];
  if (/^[0-9a-f]{24}$/i.test(text)) candidates.push(new ObjectId(text));
  if (UUID.isValid(text)) candidates.push(new UUID(text));
  try {
    candidates.push(EJSON.parse(text, { relaxed: false }));
  } catch {
    // Not JSON: then it is the text itself, below.
  }
  candidates.push(text);
  return candidates;
}
