/**
 * Opens an archive file from docs/archive-format.md alone: tar, age, the AWS Encryption SDK, zstd, BSON. Everything that
 * the page says can be checked is checked.
 */
import { createHash, createPublicKey, verify } from 'node:crypto';
import { Readable } from 'node:stream';
import { zstdDecompressSync } from 'node:zlib';
import {
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node';
import { Decrypter } from 'age-encryption';
import { deserialize } from 'bson';
import { extract } from 'tar-stream';
import { z } from 'zod';

const { decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const MIB = 1024 * 1024;

const manifestSchema = z.object({
  installation: z.string(),
  archive: z.string(),
  attempt: z.string(),
  owner: z.string(),
  customer: z.string(),
  dataset: z.string(),
  keyName: z.string(),
  sealedAt: z.iso.datetime(),
  records: z.number(),
  merkleRoot: z.string(),
  members: z.array(z.looseObject({ name: z.string(), sha256: z.string() })),
});
const signatureSchema = z.object({ algorithm: z.literal('Ed25519'), signature: z.string() });
export type Manifest = z.output<typeof manifestSchema>;

export interface ArchivedRecord {
  readonly id: number;
  readonly sha256: string;
  readonly owner: string;
  readonly customer: string;
  readonly person: string;
  readonly trigger: number;
}

export interface OpenedArchive {
  readonly manifest: Manifest;
  readonly manifestSha256: string;
  readonly treeHash: string;
  readonly merkleRoot: string;
  readonly records: readonly ArchivedRecord[];
}

const recordSchema = z.object({
  _id: z.number(),
  owner: z.string(),
  tenant: z.string(),
  person: z.string(),
  at: z.date(),
});

/** Throws an Error that says what does not hold. */
export async function openArchive(
  file: Uint8Array,
  wrapped: Uint8Array,
  identity: string,
  publicPems: readonly string[],
): Promise<OpenedArchive> {
  const members = await untar(file);
  const text = required(members, 'manifest.json');
  const { signature } = signatureSchema.parse(JSON.parse(required(members, 'manifest.sig').toString('utf8')));
  const isBy = (pem: string) => verify(null, text, createPublicKey(pem), Buffer.from(signature, 'base64'));
  if (!publicPems.some(isBy)) {
    throw new Error('the signature of its manifest does not hold');
  }
  const manifest = manifestSchema.parse(JSON.parse(text.toString('utf8')));
  const key = await unwrap(wrapped, identity);
  const records: ArchivedRecord[] = [];
  const leaves: Buffer[] = [];
  for (const { name, sha256 } of manifest.members) {
    const bytes = required(members, name);
    if (sha256Of(bytes).toString('hex') !== sha256) throw new Error(`member ${name} has another SHA-256`);
    if (!name.startsWith('segments/')) continue;
    for (const raw of documentsOf(await unseal(bytes, name, manifest, key))) {
      const leaf = sha256Of(raw);
      leaves.push(leaf);
      const { _id, owner, tenant, person, at } = recordSchema.parse(deserialize(raw));
      records.push({ id: _id, sha256: leaf.toString('hex'), owner, customer: tenant, person, trigger: at.getTime() });
    }
  }
  if (records.length !== manifest.records) throw new Error(`it holds ${records.length} of ${manifest.records} records`);
  const merkleRoot = pairwise(leaves, (left, right) => sha256Of(Buffer.concat([Buffer.of(1), left, right])));
  if (merkleRoot !== manifest.merkleRoot) throw new Error('its records have another Merkle root');
  return {
    manifest,
    manifestSha256: sha256Of(text).toString('hex'),
    treeHash: treeHashOf(file),
    merkleRoot,
    records,
  };
}

export function treeHashOf(file: Uint8Array): string {
  const leaves: Buffer[] = [];
  for (let at = 0; at < file.length; at += MIB) leaves.push(sha256Of(file.subarray(at, at + MIB)));
  return pairwise(leaves, (left, right) => sha256Of(Buffer.concat([left, right])));
}

async function unwrap(wrapped: Uint8Array, identity: string): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  return await decrypter.decrypt(wrapped, 'uint8array');
}

async function unseal(sealed: Uint8Array, member: string, manifest: Manifest, key: Uint8Array): Promise<Buffer> {
  const keyring = new RawAesKeyringNode({
    keyName: manifest.keyName,
    keyNamespace: 'moraine',
    unencryptedMasterKey: Uint8Array.from(key),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  const { plaintext, messageHeader } = await decrypt(keyring, Buffer.from(sealed));
  const { installation, owner, customer, archive } = manifest;
  const expected = { installation, owner, customer, archive, member };
  for (const [name, value] of Object.entries(expected)) {
    if (messageHeader.encryptionContext[name] !== value) throw new Error(`${member} was sealed for another ${name}`);
  }
  return zstdDecompressSync(plaintext);
}

function* documentsOf(plain: Buffer): Generator<Buffer> {
  for (let at = 0; at < plain.length; ) {
    const length = plain.readInt32LE(at);
    yield plain.subarray(at, at + length);
    at += length;
  }
}

async function untar(file: Uint8Array): Promise<ReadonlyMap<string, Buffer>> {
  const members = new Map<string, Buffer>();
  const entries = extract();
  Readable.from([Buffer.from(file)]).pipe(entries);
  for await (const entry of entries) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) if (chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk));
    members.set(entry.header.name, Buffer.concat(chunks));
  }
  return members;
}

function required(members: ReadonlyMap<string, Buffer>, name: string): Buffer {
  const bytes = members.get(name);
  if (bytes === undefined) throw new Error(`it has no ${name}`);
  return bytes;
}

/** Neighbours are joined pairwise, level by level; an odd one at the end moves up unchanged. */
function pairwise(leaves: readonly Buffer[], join: (left: Buffer, right: Buffer) => Buffer): string {
  let level = [...leaves];
  while (level.length > 1) {
    const above: Buffer[] = [];
    for (let at = 0; at < level.length; at += 2) {
      const [left, right] = [level[at], level[at + 1]];
      if (left !== undefined) above.push(right === undefined ? left : join(left, right));
    }
    level = above;
  }
  return (level[0] ?? sha256Of(Buffer.alloc(0))).toString('hex');
}

function sha256Of(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
