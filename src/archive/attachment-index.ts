/**
 * The index of attachments: one BSON document per file that hangs on a record, in the order of their numbers. It says what
 * the file was, where it lay, and what it opens to; its bytes are the members `attachments/<number>/…` in order.
 *
 *     { _id: int32, root: int32, kind, bucket, key, version, store, about, bytes: int64, parts: int32, sha256: Binary(32) }
 */
import { Binary, deserialize, Long, serialize } from 'bson';
import type { AttachmentFacts } from '../attachment-facts.ts';

export interface AttachmentEntry {
  /** The attachment's number in the archive, from 0. */
  readonly ordinal: number;
  /** The ordinal of the record that it hangs on. */
  readonly root: number;
  readonly facts: AttachmentFacts;
  readonly bytes: number;
  readonly parts: number;
  /** Of the file's bytes. */
  readonly sha256: Uint8Array;
}

export function encodeAttachmentEntry({ ordinal, root, facts, bytes, parts, sha256 }: AttachmentEntry): Uint8Array {
  const isS3 = facts.kind === 's3';
  return serialize({
    _id: ordinal,
    root,
    kind: facts.kind,
    store: isS3 ? facts.store : null,
    bucket: facts.bucket,
    key: isS3 ? facts.key : new Binary(facts.key),
    version: isS3 ? facts.version : null,
    about: new Binary(facts.about),
    bytes: Long.fromNumber(bytes),
    parts,
    sha256: new Binary(sha256),
  });
}

/** Throws where it is not an entry. */
export function decodeAttachmentEntry(document: Uint8Array): AttachmentEntry {
  const found = deserialize(document, { promoteBuffers: true, promoteLongs: true });
  const text = (name: string) => asText(found[name]);
  const about = asBytes(found['about']);
  const facts: AttachmentFacts =
    found['kind'] === 's3'
      ? {
          kind: 's3',
          store: text('store'),
          bucket: text('bucket'),
          key: text('key'),
          version: found['version'] === null ? null : text('version'),
          about,
        }
      : { kind: 'gridfs', bucket: text('bucket'), key: asBytes(found['key']), about };
  if (found['kind'] !== facts.kind) throw new RangeError('an attachment of another kind');
  return {
    ordinal: asCount(found['_id']),
    root: asCount(found['root']),
    facts,
    bytes: asCount(found['bytes']),
    parts: asCount(found['parts']),
    sha256: asBytes(found['sha256']),
  };
}

function asText(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new RangeError('not an attachment entry');
}

function asBytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  throw new RangeError('not an attachment entry');
}

function asCount(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new RangeError('not an attachment entry');
}
