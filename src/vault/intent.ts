/**
 * An upload's intent as it is written beside the bytes, and read back from there.
 *
 * Glacier: the archive's description, at most 1,024 characters 0x20-0x7E that never change again. S3: the key and the
 * object's metadata. After a crash this is how an upload is found; in an inventory it tells ours from foreign archives.
 * Ids of installation, archive and attempt are always whole. Long names of owner, customer and dataset are cut to a hash
 * (marked by `sha256:`), for the ledger knows them.
 */
import { createHash } from 'node:crypto';
import { MoraineError } from '../errors.ts';
import { type ArchiveId, type AttemptId, id } from '../ids.ts';
import type { UploadIntent } from './port.ts';

/** Amazon Glacier, "Upload Archive": the description's limit. */
export const DESCRIPTION_MAX = 1024;

/** Version of the description, so that a later form can be told apart. */
const FORM = 1;
/** A name whose JSON is longer than this is replaced by its hash: three of them and the fixed fields fit into a description. */
const NAME_MAX = 180;

/** The intent as compact JSON in printable ASCII, never longer than {@link DESCRIPTION_MAX}. */
export function describeIntent(intent: UploadIntent): string {
  const text = ascii(
    JSON.stringify({
      moraine: FORM,
      i: intent.installation,
      a: intent.archive,
      t: intent.attempt,
      o: shortName(intent.owner),
      c: shortName(intent.customer),
      d: shortName(intent.dataset),
      u: intent.dueAt,
      p: intent.policyVersion,
    }),
  );
  if (text.length > DESCRIPTION_MAX) {
    throw new MoraineError('INTERNAL', `The ids of archive ${intent.archive} do not fit into a vault's description.`);
  }
  return text;
}

/** The intent that a description holds; null for a description that is not ours. */
export function readIntent(description: string): UploadIntent | null {
  const fields = jsonObject(description);
  if (fields === null || fields.get('moraine') !== FORM) return null;
  const text = (name: string) => {
    const value = fields.get(name);
    return typeof value === 'string' ? value : null;
  };
  const [installation, archive, attempt, dueAt] = [text('i'), text('a'), text('t'), text('u')];
  const [owner, customer, dataset, policyVersion] = [text('o'), text('c'), text('d'), text('p')];
  if (installation === null || archive === null || attempt === null || dueAt === null) return null;
  if (owner === null || customer === null || dataset === null || policyVersion === null) return null;
  return {
    installation,
    archive: id.archive(archive),
    attempt: id.attempt(attempt),
    owner: id.owner(owner),
    customer: id.customer(customer),
    dataset,
    dueAt,
    policyVersion: id.policyVersion(policyVersion),
  };
}

/** S3: the object's key. Archive and attempt are ids of our own making without `.` or `/`. */
export function objectKey(prefix: string, intent: Pick<UploadIntent, 'archive' | 'attempt'>): string {
  return `${prefix}${intent.archive}.${intent.attempt}.tar`;
}

/** S3: archive and attempt of a key under a customer's prefix; null when it is not one of ours. */
export function readObjectKey(
  prefix: string,
  key: string,
): { readonly archive: ArchiveId; readonly attempt: AttemptId } | null {
  if (!key.startsWith(prefix)) return null;
  const match = /^([^./]+)\.([^./]+)\.tar$/.exec(key.slice(prefix.length));
  if (match === null) return null;
  return { archive: id.archive(match[1] ?? ''), attempt: id.attempt(match[2] ?? '') };
}

/** S3: the metadata that goes with the object (as `x-amz-meta-…`; 2 KB in all, which a description never reaches). */
export function intentMetadata(intent: UploadIntent): Record<string, string> {
  return { 'moraine-intent': describeIntent(intent), 'moraine-attempt': intent.attempt };
}

/** S3: the intent in an object's metadata; null when there is none of ours. */
export function readMetadata(metadata: Readonly<Record<string, string>> | undefined): UploadIntent | null {
  return readIntent(metadata?.['moraine-intent'] ?? '');
}

function shortName<Name extends string>(name: Name): string {
  if (ascii(JSON.stringify(name)).length <= NAME_MAX) return name;
  return `sha256:${createHash('sha256').update(name).digest('hex')}`;
}

/** JSON with every character outside 0x20-0x7E escaped; JSON.stringify has escaped the control characters below 0x20. */
function ascii(json: string): string {
  return json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function jsonObject(text: string): Map<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : null;
  } catch {
    // A description that is no JSON is somebody else's: foreign, not an error.
    return null;
  }
}
