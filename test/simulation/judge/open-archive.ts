/**
 * Opens an archive file with stock libraries only, as docs/archive-format.md says, and checks all that the page says can
 * be checked. Whatever does not hold throws an Error that says what.
 */
import { createHash, createPublicKey, verify } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import {
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node';
import { Decrypter } from 'age-encryption';
import { BSON } from 'bson';
import { extract } from 'tar-stream';
import { asBytes, asFields, asList, asNumber, asText, type Fields, sameBytes } from './values.ts';

export interface OpenedRecord {
  readonly id: string;
  readonly bytes: Uint8Array;
}

export interface OpenedChild extends OpenedRecord {
  readonly collection: string;
  /** The ordinal of its root. */
  readonly root: number;
}

export interface OpenedAttachment {
  readonly root: number;
  readonly kind: 's3' | 'gridfs';
  readonly bucket: string;
  /** GridFS: the text of the file's `_id`. */
  readonly key: string;
  readonly version: string | null;
  readonly bytes: Uint8Array;
}

export interface OpenedArchive {
  readonly installation: string;
  readonly archive: string;
  readonly attempt: string;
  readonly owner: string;
  readonly customer: string;
  readonly namespace: string;
  readonly policyVersion: string;
  /** In the order of their ordinals. */
  readonly records: readonly OpenedRecord[];
  /** What hangs on the records, in the order of their numbers. */
  readonly children: readonly OpenedChild[];
  readonly attachments: readonly OpenedAttachment[];
  /** The archive with the roots, where the records are children that came too late for it. */
  readonly addendumTo: string | null;
  readonly merkleRoot: string;
  readonly manifestSha256: string;
}

const { decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const KEY_BYTES = 32;
const TAR_BLOCK = 512;
const MIB = 1024 * 1024;

/** The archive key, or null where none of the identities opens it. */
export async function unwrapKey(wrapped: Uint8Array, identities: readonly string[]): Promise<Uint8Array | null> {
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  try {
    const key = await decrypter.decrypt(wrapped);
    return key.length === KEY_BYTES ? Uint8Array.from(key) : null;
  } catch {
    // That nobody of these can open it is an answer, not an error.
    return null;
  }
}

/** For how many recipients a key is wrapped: each has a line of its own in the header of the age file. */
export function recipientCount(wrapped: Uint8Array): number {
  return Buffer.from(wrapped).toString('latin1').split('\n---')[0]?.split('\n-> ').length ?? 0;
}

export async function openArchive(file: Uint8Array, key: Uint8Array): Promise<OpenedArchive> {
  const members = await tarMembers(file);
  const manifestMember = members.at(-2);
  const signatureMember = members.at(-1);
  if (manifestMember?.name !== 'manifest.json' || signatureMember?.name !== 'manifest.sig')
    throw new Error('manifest.json and manifest.sig are not its last members');
  const manifest = jsonOf(manifestMember.bytes);
  checkSignature(manifestMember.bytes, jsonOf(signatureMember.bytes), members[0]?.bytes ?? new Uint8Array());
  if (asText(manifest['format']) !== 'moraine-archive' || asNumber(manifest['version']) !== 1)
    throw new Error('it is not of format version 1');
  const listed = Array.isArray(manifest['members']) ? manifest['members'].map(asFields) : [];
  const content = members.slice(0, -2);
  if (listed.length !== content.length) throw new Error('the manifest lists other members than the file has');
  const scope = {
    installation: needText(manifest, 'installation'),
    owner: needText(manifest, 'owner'),
    customer: needText(manifest, 'customer'),
    archive: needText(manifest, 'archive'),
  };
  const keyring = keyringOf(needText(manifest, 'keyName'), key);
  const runs = new Map<string | null, Run>();
  const runOf = (collection: string | null): Run => {
    const known = runs.get(collection) ?? { segments: [], index: [] };
    runs.set(collection, known);
    return known;
  };
  const parts = new Map<number, Uint8Array[]>();
  const files: Uint8Array[] = [];
  for (const [at, member] of content.entries()) {
    const facts = listed[at] ?? {};
    if (facts['name'] !== member.name || facts['offset'] !== member.offset || facts['length'] !== member.bytes.length)
      throw new Error(`the manifest says something else of member ${member.name}`);
    if (facts['sha256'] !== sha256(member.bytes)) throw new Error(`the SHA-256 of member ${member.name} differs`);
    if (facts['kind'] === 'readme') continue;
    const plain = await openMember(keyring, member, scope);
    if (facts['plainBytes'] !== plain.length) throw new Error(`member ${member.name} has other plain bytes`);
    if (facts['kind'] === 'attachment') {
      const number = asNumber(facts['attachment']) ?? Number.NaN;
      parts.set(number, [...(parts.get(number) ?? []), plain]);
      continue;
    }
    const documents = split(plain);
    if (facts['records'] !== documents.length) throw new Error(`member ${member.name} holds another count`);
    const run = runOf(asText(facts['collection']));
    if (facts['kind'] === 'segment') run.segments.push(plain);
    else if (facts['kind'] === 'attachmentIndex') files.push(...documents);
    else run.index.push(...documents);
  }
  const { segments, index } = runOf(null);
  const raw = segments.flatMap(split);
  checkIndex(index, raw, segments);
  const merkleRoot = rootOf(raw.map(sha256Of));
  if (merkleRoot !== manifest['merkleRoot']) throw new Error('the Merkle root does not fit the records');
  if (manifest['records'] !== raw.length || manifest['segments'] !== segments.length)
    throw new Error('the counts of the manifest do not fit');
  runs.delete(null);
  const children = childrenOf(runs, asList(manifest['children']).map(asFields), raw.length);
  return {
    ...scope,
    attempt: needText(manifest, 'attempt'),
    namespace: needText(manifest, 'dataset'),
    policyVersion: needText(manifest, 'policyVersion'),
    records: raw.map((bytes) => ({ id: idOf(bytes), bytes })),
    children,
    attachments: attachmentsOf(files, parts, asFields(manifest['attachments']), raw.length),
    addendumTo: asText(manifest['addendumTo']),
    merkleRoot,
    manifestSha256: sha256(manifestMember.bytes),
  };
}

interface Run {
  readonly segments: Uint8Array[];
  readonly index: Uint8Array[];
}

/** The children of each collection, as the manifest counts them, and each under a root that is there. */
function childrenOf(runs: ReadonlyMap<string | null, Run>, told: readonly Fields[], roots: number): OpenedChild[] {
  if (told.length !== runs.size)
    throw new Error('the manifest tells of children of other collections than the file has');
  return told.flatMap((facts) => {
    const collection = needText(facts, 'collection');
    const { segments = [], index = [] } = runs.get(collection) ?? {};
    const raw = segments.flatMap(split);
    checkIndex(index, raw, segments);
    if (facts['records'] !== raw.length || facts['segments'] !== segments.length)
      throw new Error(`the counts of the manifest do not fit the children in ${collection}`);
    if (facts['merkleRoot'] !== rootOf(raw.map(sha256Of)))
      throw new Error(`the Merkle root does not fit the children in ${collection}`);
    return raw.map((bytes, at) => ({ collection, id: idOf(bytes), bytes, root: rootIn(index[at], roots) }));
  });
}

function attachmentsOf(
  index: readonly Uint8Array[],
  parts: ReadonlyMap<number, readonly Uint8Array[]>,
  told: Fields,
  roots: number,
): OpenedAttachment[] {
  const opened = index.map((entry, at): OpenedAttachment => {
    const fields = asFields(BSON.deserialize(entry, { promoteBuffers: true }));
    const bytes = Buffer.concat(parts.get(at) ?? []);
    if (fields['_id'] !== at || fields['parts'] !== (parts.get(at) ?? []).length || fields['bytes'] !== bytes.length)
      throw new Error(`attachment ${at} is not what its index says`);
    if (!sameBytes(asBytes(fields['sha256']) ?? new Uint8Array(), sha256Of(bytes)))
      throw new Error(`the SHA-256 of attachment ${at} differs from its index`);
    const kind = fields['kind'] === 's3' ? 's3' : 'gridfs';
    const idBytes = asBytes(fields['key']);
    const key = idBytes === null ? needText(fields, 'key') : textOf(idBytes);
    const version = asText(fields['version']);
    return { root: rootIn(entry, roots), kind, bucket: needText(fields, 'bucket'), key, version, bytes };
  });
  const bytes = opened.reduce((sum, each) => sum + each.bytes.length, 0);
  if (opened.length !== parts.size) throw new Error('parts of attachments are there that no index names');
  if (opened.length === 0) return opened;
  if (told['files'] !== opened.length || told['bytes'] !== bytes)
    throw new Error('the counts of the manifest do not fit the attachments');
  if (told['merkleRoot'] !== rootOf(opened.map((each) => sha256Of(each.bytes))))
    throw new Error('the Merkle root does not fit the attachments');
  return opened;
}

function rootIn(entry: Uint8Array | undefined, roots: number): number {
  const root = entry === undefined ? null : asNumber(asFields(BSON.deserialize(entry))['root']);
  if (root === null || root < 0 || root >= roots) throw new Error('something hangs on a record that is not there');
  return root;
}

/** A text as BSON type byte and value: its length, the text, its end. */
function textOf(idBytes: Uint8Array): string {
  return Buffer.from(idBytes.subarray(5, -1)).toString('utf8');
}

/** The hash by which Glacier names the bytes of a file: SHA-256 of each MiB, joined pairwise. */
export function treeHash(file: Uint8Array): string {
  let level: Uint8Array[] = [];
  for (let at = 0; at < file.length || at === 0; at += MIB) level.push(sha256Of(file.subarray(at, at + MIB)));
  while (level.length > 1) level = joined(level, (left, right) => sha256Of(Buffer.concat([left, right])));
  return Buffer.from(level[0] ?? []).toString('hex');
}

/** RFC 9162, section 2.1.1, but a leaf is the SHA-256 of the record itself. */
export function rootOf(leaves: readonly Uint8Array[]): string {
  let level = [...leaves];
  if (level.length === 0) return sha256(new Uint8Array());
  while (level.length > 1) level = joined(level, (left, right) => sha256Of(Buffer.concat([NODE, left, right])));
  return Buffer.from(level[0] ?? []).toString('hex');
}

const NODE = Uint8Array.of(1);

function joined(level: readonly Uint8Array[], join: (left: Uint8Array, right: Uint8Array) => Uint8Array): Uint8Array[] {
  const next: Uint8Array[] = [];
  for (let at = 0; at < level.length; at += 2) {
    const [left, right] = [level[at], level[at + 1]];
    if (left !== undefined) next.push(right === undefined ? left : join(left, right));
  }
  return next;
}

interface Member {
  readonly name: string;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

async function tarMembers(file: Uint8Array): Promise<readonly Member[]> {
  const members: Member[] = [];
  let at = 0;
  const tar = extract();
  tar.on('entry', ({ name, type }, stream, next) => {
    const chunks: Uint8Array[] = [];
    stream.on('data', (chunk) => {
      if (chunk instanceof Uint8Array) chunks.push(chunk);
    });
    stream.on('end', () => {
      const bytes = Buffer.concat(chunks);
      members.push({ name: type === 'file' ? name : `${type} ${name}`, offset: at + TAR_BLOCK, bytes });
      at += TAR_BLOCK + Math.ceil(bytes.length / TAR_BLOCK) * TAR_BLOCK;
      next();
    });
  });
  await new Promise<void>((done, failed) => {
    tar.on('finish', done);
    tar.on('error', failed);
    tar.end(Buffer.from(file.buffer, file.byteOffset, file.byteLength));
  });
  if (at + 2 * TAR_BLOCK !== file.length) throw new Error('the tar file is cut, or something follows its end');
  return members;
}

function keyringOf(keyName: string, key: Uint8Array): RawAesKeyringNode {
  return new RawAesKeyringNode({
    keyName,
    keyNamespace: 'moraine',
    unencryptedMasterKey: Uint8Array.from(key),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
}

async function openMember(keyring: RawAesKeyringNode, member: Member, scope: Fields): Promise<Uint8Array> {
  const { plaintext, messageHeader } = await decrypt(keyring, member.bytes);
  const expected: Fields = { ...scope, member: member.name };
  const context: Fields = { ...messageHeader.encryptionContext };
  for (const name of Object.keys(expected)) {
    if (context[name] !== expected[name]) throw new Error(`member ${member.name} was sealed for another ${name}`);
  }
  if (Object.keys(context).length !== Object.keys(expected).length)
    throw new Error(`the encryption context of member ${member.name} holds more than its five values`);
  // The parts of attachments are sealed as they are.
  return member.name.startsWith('attachments/') ? plaintext : zstdDecompressSync(plaintext);
}

function checkIndex(index: readonly Uint8Array[], raw: readonly Uint8Array[], segments: readonly Uint8Array[]): void {
  if (index.length !== raw.length) throw new Error('the index has not one entry a record');
  for (const [ordinal, bytes] of index.entries()) {
    const entry = asFields(BSON.deserialize(bytes, { promoteBuffers: true }));
    const [segment, offset, length] = [
      asNumber(entry['segment']),
      asNumber(entry['offset']),
      asNumber(entry['length']),
    ];
    if (entry['ordinal'] !== ordinal || segment === null || offset === null || length === null)
      throw new Error(`entry ${ordinal} of the index is not whole`);
    const found = segments[segment]?.subarray(offset, offset + length) ?? new Uint8Array();
    const record = raw[ordinal] ?? new Uint8Array();
    if (!sameBytes(found, record)) throw new Error(`entry ${ordinal} of the index points elsewhere`);
    if (!sameBytes(asBytes(entry['sha256']) ?? new Uint8Array(), sha256Of(record)))
      throw new Error(`the SHA-256 of record ${ordinal} differs from its index`);
  }
}

/** The public key that made the signature stands in README.txt, found by its id. */
function checkSignature(manifest: Uint8Array, signature: Fields, readme: Uint8Array): void {
  const text = Buffer.from(readme).toString('utf8');
  for (const [, body = ''] of text.matchAll(/-----BEGIN PUBLIC KEY-----([\s\S]*?)-----END PUBLIC KEY-----/g)) {
    const der = Buffer.from(body.replaceAll(/\s/g, ''), 'base64');
    if (sha256(der).slice(0, 16) !== signature['keyId']) continue;
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    if (verify(null, manifest, key, Buffer.from(asText(signature['signature']) ?? '', 'base64'))) return;
    throw new Error('the signature of manifest.json does not hold');
  }
  throw new Error('README.txt does not name the key that signed manifest.json');
}

function split(plain: Uint8Array): Uint8Array[] {
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  const documents: Uint8Array[] = [];
  for (let at = 0; at < plain.length; ) {
    const length = at + 5 <= plain.length ? view.getInt32(at, true) : 0;
    if (length < 5 || at + length > plain.length) throw new Error('a member does not hold whole BSON documents');
    documents.push(plain.subarray(at, at + length));
    at += length;
  }
  return documents;
}

function idOf(bytes: Uint8Array): string {
  return String(asFields(BSON.deserialize(bytes))['_id']);
}

function jsonOf(bytes: Uint8Array): Fields {
  const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  return asFields(value);
}

function needText(fields: Fields, name: string): string {
  const value = asText(fields[name]);
  if (value === null) throw new Error(`manifest.json has no ${name}`);
  return value;
}

function sha256Of(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
