/**
 * The first of two passes over an archive file. The manifest stands at the end of the file, so nothing can be trusted
 * before all of it was seen: `inspectArchive` reads it once, keeps only hashes, and makes the `VerifiedManifest` that
 * reading records asks for (promises 8, 9, 11; "never half restored").
 *
 * What is established, and which attack it stops:
 * - container: headers, padding and end are exactly what the writer writes (truncated, flipped, bytes added);
 * - the size and tree hash of the whole file, where the ledger knows them (another file with the same content);
 * - signature over manifest.json (forged, or made by another installation's key);
 * - the ids that the ledger expects (a whole other archive in its place);
 * - every member, in order, with name, offset, length and SHA-256 (flipped, swapped, missing, added, from elsewhere);
 * - with a key: every member opens as what it stands for, counts, index and Merkle root fit the records.
 */
import { hash } from 'node:crypto';
import type { MoraineError } from '../errors.ts';
import type { Signature } from '../keys/port.ts';
import type { AttachmentEntry } from './attachment-index.ts';
import type { StoredMember } from './container.ts';
import { readMembers } from './container-reader.ts';
import { ContentCheck } from './content-check.ts';
import { corrupt } from './corrupt.ts';
import { type ArchiveDescription, decodeManifest, decodeSignature, type Manifest, type Member } from './manifest.ts';
import {
  attachmentIndexName,
  attachmentName,
  indexName,
  MANIFEST_NAME,
  README_NAME,
  SIGNATURE_NAME,
  segmentName,
} from './member-names.ts';
import type { SealKey } from './seal.ts';
import { TreeHasher } from './tree-hash.ts';

/** A manifest that was signed, and whose file held exactly the members that it lists. */
export class VerifiedManifest {
  readonly #proof = true;
  readonly manifest: Manifest;
  /** Of the bytes of manifest.json. */
  readonly sha256: string;
  /** Of the key that signed it. */
  readonly keyId: string;
  private constructor(manifest: Manifest, sha256: string, keyId: string) {
    this.manifest = manifest;
    this.sha256 = sha256;
    this.keyId = keyId;
  }
  /** @internal for inspectArchive only. */
  static issue(manifest: Manifest, sha256: string, keyId: string): VerifiedManifest {
    return new VerifiedManifest(manifest, sha256, keyId);
  }
  get isProof(): boolean {
    return this.#proof;
  }
}

export interface InspectOptions {
  readonly verify: (bytes: Uint8Array, signature: Signature) => Promise<boolean>;
  /** What the ledger says it is; what is left out is taken from the manifest. */
  readonly expected: Partial<ArchiveDescription & StoredFile>;
  /** With it, every member is opened too. */
  readonly key?: SealKey;
  /** With the key: told of every attachment, in the order of their numbers. Not to be used before all was inspected. */
  readonly onAttachment?: (entry: AttachmentEntry) => void;
}

/** What the vault acknowledged of the whole tar file. */
export interface StoredFile {
  readonly bytes: number;
  /** Lower-case hex. */
  readonly treeHash: string;
}

/** Reads the whole tar file once, flat in memory. Throws ARCHIVE_CORRUPT, naming the member and what is wrong. */
export async function inspectArchive(
  stream: AsyncIterable<Uint8Array>,
  options: InspectOptions,
): Promise<VerifiedManifest> {
  const content = options.key === undefined ? null : new ContentCheck(options.key, options.onAttachment);
  const { bytes: storedBytes, treeHash: storedTreeHash, ...description } = options.expected;
  const file = new TreeHasher();
  const found: FoundMember[] = [];
  const closing = new Map<string, Uint8Array>();
  for await (const member of readMembers(seenBy(file, stream))) {
    if (isClosing(member.name)) closing.set(member.name, member.data);
    found.push(measure(member));
    await content?.see(member);
  }
  const bytes = present(closing, MANIFEST_NAME);
  const signature = decodeSignature(present(closing, SIGNATURE_NAME));
  if (!(await options.verify(bytes, signature))) {
    throw corrupt(MANIFEST_NAME, `it is not what the key ${signature.keyId} signed in ${SIGNATURE_NAME}`);
  }
  const manifest = decodeManifest(bytes);
  assertExpected(manifest, description);
  assertConsistent(manifest);
  assertMembers(manifest, found);
  content?.assertFits(manifest);
  // Last: whatever can name the member that is wrong goes first.
  assertStored(file, storedBytes, storedTreeHash);
  return VerifiedManifest.issue(manifest, hash('sha256', bytes, 'hex'), signature.keyId);
}

export type FoundMember = Pick<Member, 'name' | 'offset' | 'length' | 'sha256'>;

/** What can be said of a member without a key. */
export function measure(member: StoredMember): FoundMember {
  const { name, offset, data } = member;
  return { name, offset, length: data.byteLength, sha256: hash('sha256', data, 'hex') };
}

/** Throws ARCHIVE_CORRUPT unless what was found is the member that the manifest lists in its place. `others` helps to say what it is instead. */
export function assertMember(
  listed: Member | undefined,
  found: FoundMember | undefined,
  others: readonly Member[],
): void {
  if (found === undefined) throw corrupt(listed?.name ?? MANIFEST_NAME, 'the file ends without it');
  if (listed === undefined) throw corrupt(found.name, 'the manifest does not list it');
  if (found.name !== listed.name) throw corrupt(listed.name, `${found.name} stands in its place`);
  if (found.sha256 !== listed.sha256) {
    const other = others.find((member) => member.sha256 === found.sha256);
    const what =
      other === undefined
        ? 'its SHA-256 is not the one that the manifest lists'
        : `it holds the bytes of ${other.name}`;
    throw corrupt(listed.name, what);
  }
  if (found.offset !== listed.offset || found.length !== listed.length) {
    throw corrupt(listed.name, `it stands at byte ${found.offset}, where the manifest says ${listed.offset}`);
  }
}

async function* seenBy(file: TreeHasher, stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    file.update(chunk);
    yield chunk;
  }
}

function assertStored(file: TreeHasher, bytes: number | undefined, treeHash: string | undefined): void {
  if (bytes !== undefined && file.bytes !== bytes) {
    throw corrupt('the file', `it has ${file.bytes} bytes, where ${bytes} were stored`);
  }
  if (treeHash === undefined) return;
  const actual = file.digest();
  if (actual === treeHash) return;
  throw corrupt('the file', `its tree hash is ${actual}, where the vault acknowledged ${treeHash}`);
}

function isClosing(name: string): boolean {
  return name === MANIFEST_NAME || name === SIGNATURE_NAME;
}

function present(closing: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const bytes = closing.get(name);
  if (bytes === undefined) throw corrupt(name, 'the file ends without it');
  return bytes;
}

function assertExpected(manifest: Manifest, expected: Partial<ArchiveDescription>): void {
  for (const [field, value] of Object.entries(expected)) {
    const actual = Object.entries(manifest).find(([name]) => name === field)?.[1];
    if (actual === value) continue;
    throw corrupt(MANIFEST_NAME, `this is the archive of ${field} ${String(actual)}, not ${value}`, {
      ids: { archive: manifest.archive },
    });
  }
}

/** A manifest that we signed could still be wrong by our own mistake. */
function assertConsistent(manifest: Manifest): void {
  const { members, children = [], attachments } = manifest;
  const readmes = members.filter((member) => member.kind === 'readme');
  const ofKind = (kind: Member['kind'], collection?: string) =>
    members.filter((member) => member.kind === kind && member.collection === collection);
  let listed = 1;
  for (const run of [{ ...manifest, collection: undefined }, ...children]) {
    const segments = ofKind('segment', run.collection);
    const pages = ofKind('index', run.collection);
    assertRun(segments, run.records, (n) => segmentName(run.collection ?? manifest.dataset, n));
    assertRun(pages, run.records, (n) => indexName(n, run.collection));
    const plainBytes = segments.reduce((total, segment) => total + segment.plainBytes, 0);
    const isMisnumbered = segments.some((segment, n) => segment.segment !== n);
    if (run.segments !== segments.length || run.plainBytes !== plainBytes || isMisnumbered) throw contradiction();
    listed += segments.length + pages.length;
  }
  const attachmentPages = ofKind('attachmentIndex');
  const parts = ofKind('attachment');
  assertRun(attachmentPages, attachments?.files ?? 0, attachmentIndexName);
  assertParts(parts, attachments?.files ?? 0);
  const attachmentBytes = parts.reduce((total, part) => total + part.plainBytes, 0);
  if (
    attachmentBytes !== (attachments?.bytes ?? 0) ||
    new Set(children.map(({ collection }) => collection)).size !== children.length ||
    readmes.length !== 1 ||
    members[0]?.name !== README_NAME ||
    listed + attachmentPages.length + parts.length !== members.length
  ) {
    throw contradiction();
  }
}

/** Numbered names from 0, and records that follow on each other up to their count. */
function assertRun(members: readonly Member[], records: number, nameOf: (n: number) => string): void {
  let ordinal = 0;
  for (const [n, member] of members.entries()) {
    if (member.name !== nameOf(n) || member.firstOrdinal !== ordinal) throw outOfOrder(member);
    ordinal += member.records;
  }
  if (ordinal !== records) throw contradiction();
}

/** Attachments numbered from 0, each with parts numbered from 0. */
function assertParts(members: readonly Member[], files: number): void {
  let attachment = -1;
  let part = 0;
  for (const member of members) {
    if (member.attachment === attachment) part += 1;
    else {
      attachment += 1;
      part = 0;
    }
    if (member.attachment !== attachment || member.name !== attachmentName(attachment, part)) throw outOfOrder(member);
  }
  if (attachment + 1 !== files) throw contradiction();
}

function outOfOrder(member: Member): MoraineError {
  return corrupt(MANIFEST_NAME, `its entry for ${member.name} does not follow on the one before`);
}

function contradiction(): MoraineError {
  return corrupt(MANIFEST_NAME, 'its figures contradict its list of members');
}

function assertMembers(manifest: Manifest, found: readonly FoundMember[]): void {
  for (const [i, listed] of manifest.members.entries()) assertMember(listed, found[i], manifest.members);
  const rest = found.slice(manifest.members.length).map((member) => member.name);
  const extra = rest.find((name, i) => name !== [MANIFEST_NAME, SIGNATURE_NAME][i]);
  if (extra !== undefined) throw corrupt(extra, 'the manifest does not list it');
}
