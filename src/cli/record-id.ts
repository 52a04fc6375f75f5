/** A record's `_id` as a person types and reads it. */
import { EJSON, ObjectId, serialize } from 'bson';
import { idCandidates } from '../source/id-candidates.ts';
import { idBytesOf, idValue } from '../source/raw-document.ts';

/** Text for an `_id`: a string as it is, an ObjectId in hex, anything else as extended JSON. */
export function idText(idBytes: Uint8Array): string {
  const value = idValue(idBytes);
  if (typeof value === 'string') return value;
  if (value instanceof ObjectId) return value.toHexString();
  return EJSON.stringify(value, { relaxed: false });
}

/** The bytes of every `_id` that a text may mean, likeliest first. */
export function idBytesOfText(text: string): readonly Uint8Array[] {
  return idCandidates(text).map((candidate) => idBytesOf(serialize({ _id: candidate })));
}
