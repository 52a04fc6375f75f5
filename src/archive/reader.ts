/**
 * Reads records out of an archive: all of them in the second pass over the file, or one member out of a ranged
 * retrieval. A member's bytes are compared with a SHA-256 that was verified before, and its encryption context with
 * what it stands for, before anything of it is passed on.
 */
import { hash } from 'node:crypto';
import { MoraineError } from '../errors.ts';
import { readMembers } from './container-reader.ts';
import { corrupt } from './corrupt.ts';
import { splitDocuments } from './documents.ts';
import { assertMember, measure, type VerifiedManifest } from './inspect.ts';
import type { Member } from './manifest.ts';
import { MANIFEST_NAME } from './member-names.ts';
import { type ArchiveScope, openMember, type SealKey } from './seal.ts';
import { MIB } from './tree-hash.ts';

export interface ArchivedRecord {
  readonly ordinal: number;
  /** A view on the segment's bytes: copy what is kept longer than the next record. */
  readonly raw: Uint8Array;
  readonly segment: number;
}

/** One thing out of an archive, in file order. */
export type ArchivedItem =
  | (ArchivedRecord & { readonly kind: 'record' })
  /** A child, with its number among those of its collection. */
  | (ArchivedRecord & { readonly kind: 'child'; readonly collection: string })
  /** The next bytes of an attachment; its parts come one after the other. */
  | { readonly kind: 'part'; readonly attachment: number; readonly bytes: Uint8Array };

/** The records in the order they were archived, one segment in memory at a time; what hangs on them is left out. Throws ARCHIVE_CORRUPT. */
export async function* readRecords(
  stream: AsyncIterable<Uint8Array>,
  verified: VerifiedManifest,
  key: SealKey,
): AsyncGenerator<ArchivedRecord> {
  for await (const item of readItems(stream, verified, key)) if (item.kind === 'record') yield item;
}

/** Records, children and attachments, one member in memory at a time. Throws ARCHIVE_CORRUPT. */
export async function* readItems(
  stream: AsyncIterable<Uint8Array>,
  verified: VerifiedManifest,
  key: SealKey,
): AsyncGenerator<ArchivedItem> {
  const { manifest } = verified;
  let place = 0;
  for await (const stored of readMembers(stream)) {
    const listed = manifest.members[place];
    place += 1;
    if (listed === undefined) {
      assertClosing(stored.name, stored.data, verified);
      continue;
    }
    assertMember(listed, measure(stored), manifest.members);
    if (listed.kind !== 'segment' && listed.kind !== 'attachment') continue;
    const plain = await openMember(stored.data, { ...scopeOf(verified), member: listed.name }, key);
    yield* itemsOf(plain, listed);
  }
  if (place < manifest.members.length) assertMember(manifest.members[place], undefined, manifest.members);
}

function* itemsOf(plain: Uint8Array, listed: Member): Generator<ArchivedItem> {
  const { collection, attachment, segment, firstOrdinal } = listed;
  if (attachment !== undefined) yield { kind: 'part', attachment, bytes: plain };
  if (segment === null) return;
  for (const [i, raw] of documentsOf(plain, listed).entries()) {
    const record = { ordinal: firstOrdinal + i, raw, segment };
    yield collection === undefined ? { kind: 'record', ...record } : { kind: 'child', collection, ...record };
  }
}

/** What {@link readMember} needs to know of a member; the ledger keeps it. */
export type MemberPlace = Pick<Member, 'name' | 'offset' | 'length' | 'sha256'>;

/**
 * The plain bytes of one member out of a part of the tar file that begins at byte `range.start`. Throws
 * ARCHIVE_CORRUPT, and INTERNAL where the part does not hold the member.
 */
export async function readMember(
  range: { readonly start: number; readonly bytes: Uint8Array },
  member: MemberPlace,
  scope: ArchiveScope,
  key: SealKey,
): Promise<Uint8Array> {
  const from = member.offset - range.start;
  if (from < 0 || from + member.length > range.bytes.byteLength) {
    throw new MoraineError('INTERNAL', `The part of archive ${scope.archive} does not hold ${member.name}.`);
  }
  const sealed = range.bytes.subarray(from, from + member.length);
  if (hash('sha256', sealed, 'hex') !== member.sha256) {
    throw corrupt(member.name, 'its SHA-256 is not the one that was noted when it was sealed', {
      ids: { archive: scope.archive },
    });
  }
  const { installation, owner, customer, archive } = scope;
  return await openMember(sealed, { installation, owner, customer, archive, member: member.name }, key);
}

/** The part of the file to retrieve for a member, in bytes, widened to whole MiB as ranged retrieval asks; `end` is exclusive. */
export function memberRange(
  member: Pick<Member, 'offset' | 'length'>,
  fileBytes: number,
): { start: number; end: number } {
  const start = Math.floor(member.offset / MIB) * MIB;
  const end = Math.min(fileBytes, Math.ceil((member.offset + member.length) / MIB) * MIB);
  return { start, end };
}

function scopeOf(verified: VerifiedManifest): ArchiveScope {
  const { installation, owner, customer, archive } = verified.manifest;
  return { installation, owner, customer, archive };
}

function documentsOf(plain: Uint8Array, listed: Member): readonly Uint8Array[] {
  let records: readonly Uint8Array[];
  try {
    records = [...splitDocuments(plain)];
  } catch (cause) {
    throw corrupt(listed.name, 'what was sealed is not BSON documents', { cause });
  }
  if (records.length !== listed.records) {
    throw corrupt(listed.name, `it holds ${records.length} documents, where the manifest says ${listed.records}`);
  }
  return records;
}

function assertClosing(name: string, data: Uint8Array, verified: VerifiedManifest): void {
  if (name === MANIFEST_NAME && hash('sha256', data, 'hex') !== verified.sha256) {
    throw corrupt(MANIFEST_NAME, 'it is not the manifest that was verified');
  }
}
