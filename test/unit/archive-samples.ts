/** Archives for tests: records of every kind, written into memory by the real writer. */
import { generateKeyPairSync, hash, randomBytes, sign, verify } from 'node:crypto';
import {
  Binary,
  BSONRegExp,
  Code,
  DBRef,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  serialize,
  Timestamp,
  UUID,
} from 'bson';
import { containerEnd, packMember } from '../../src/archive/container.ts';
import { idBytesOf } from '../../src/archive/index-pages.ts';
import type { ArchiveDescription } from '../../src/archive/manifest.ts';
import { type ArchiveRecord, ArchiveWriter, type WrittenArchive } from '../../src/archive/writer.ts';
import { id } from '../../src/ids.ts';
import type { Signature, SigningPublicKey } from '../../src/keys/port.ts';

export const DESCRIPTION: ArchiveDescription = {
  installation: '0f8fad5bd9cb469fa165708673cf2ed1',
  archive: id.archive('archive-1'),
  attempt: id.attempt('attempt-1'),
  owner: id.owner('acme'),
  customer: id.customer('Åsa & søn 😀'),
  dataset: id.namespace('support.chats'),
  policy: 'chats',
  policyVersion: id.policyVersion('4c1f'),
};

export const TOTALS = {
  sealedAt: new Date('2026-03-01T10:00:00Z'),
  dueFirst: new Date('2033-01-01T00:00:00Z'),
  dueLast: new Date('2033-01-30T00:00:00Z'),
  auditHead: { seq: 41, hash: 'ab'.repeat(32) },
};

/** A key like the one that the daemon holds for an attempt. */
export function newKey(keyName = 'attempt-1') {
  const bytes = randomBytes(32);
  return { keyName, bytes: () => bytes };
}

export interface TestSigner {
  readonly publicKeys: readonly SigningPublicKey[];
  readonly sign: (bytes: Uint8Array) => Promise<Signature>;
  readonly verify: (bytes: Uint8Array, signature: Signature) => Promise<boolean>;
}

export function newSigner(keyId = 'signing-1'): TestSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  return {
    publicKeys: [{ keyId, pem, validFrom: new Date('2026-01-01T00:00:00Z'), validTo: null }],
    sign: async (bytes) => ({ keyId, bytes: sign(null, bytes, privateKey) }),
    verify: async (bytes, signature) => signature.keyId === keyId && verify(null, bytes, publicKey, signature.bytes),
  };
}

export interface TestArchive {
  readonly file: Buffer;
  readonly written: WrittenArchive;
  readonly key: ReturnType<typeof newKey>;
  readonly signer: TestSigner;
  readonly description: ArchiveDescription;
}

/** What a test may choose; the rest is as above. */
export interface SampleOptions {
  readonly key?: ReturnType<typeof newKey>;
  readonly signer?: TestSigner;
  readonly description?: Partial<ArchiveDescription>;
}

export async function writeSample(raws: Iterable<Uint8Array>, options: SampleOptions = {}): Promise<TestArchive> {
  const key = options.key ?? newKey();
  const signer = options.signer ?? newSigner();
  const description = { ...DESCRIPTION, ...options.description };
  const chunks: Uint8Array[] = [];
  const writer = new ArchiveWriter({
    ...{ description, key, publicKeys: signer.publicKeys, sign: signer.sign },
    onBytes: async (chunk) => void chunks.push(chunk),
  });
  for (const raw of raws) await writer.add(recordOf(raw));
  const written = await writer.finish(TOTALS);
  return { file: Buffer.concat(chunks), written, key, signer, description };
}

export function recordOf(raw: Uint8Array): ArchiveRecord {
  return { raw, idBytes: idBytesOf(raw), sha256: hash('sha256', raw, 'buffer') };
}

/** A tar file of these members, right or wrong, as our writer would frame it. */
export async function packFile(members: Iterable<readonly [string, Uint8Array]>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for (const [name, data] of members) pieces.push(...(await packMember(name, data)));
  return Buffer.concat([...pieces, await containerEnd()]);
}

/** `file` as a stream of chunks that end anywhere but on a block. */
export async function* chunksOf(file: Uint8Array, chunkBytes = 100_003): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.byteLength; at += chunkBytes) yield file.subarray(at, at + chunkBytes);
}

/** Records of a support desk, each about `bytes` large. */
export function* chats(count: number, bytes = 700): Generator<Uint8Array> {
  for (let i = 0; i < count; i++) {
    yield serialize({ _id: new ObjectId(), n: i, email: `person-${i}@example.org`, text: text(i, bytes) });
  }
}

const WORDS = Array.from({ length: 1_000 }, (_, i) => hash('sha256', String(i), 'base64').slice(0, 3 + (i % 9)));

/** Words in an order of its own for each seed, so that it compresses about as text does. */
function text(seed: number, bytes: number): string {
  let made = '';
  for (let state = seed + 1; made.length < bytes; ) {
    state = (state * 48_271) % 2_147_483_647;
    made += `${WORDS[state % WORDS.length]} `;
  }
  return made;
}

/** One value of every BSON type, with what does not survive a round trip through JavaScript values. */
const VALUES: readonly unknown[] = [
  new Double(1),
  new Double(-0),
  new Double(Number.NaN),
  new Double(Number.POSITIVE_INFINITY),
  'text with \0 and 😀',
  { nested: { 2: 'b', 1: 'a' } },
  new Binary(Buffer.from([0, 1, 2]), 0x80),
  new UUID('b2d2a7c4-5f9f-4d0c-9f33-6f3f1c8f6d1e'),
  new ObjectId('65f0a1b2c3d4e5f601020304'),
  true,
  new Date(-62_135_596_800_000),
  null,
  new Code('return x', { x: 1 }),
  new Code('return 1'),
  new DBRef('other', new ObjectId('65f0a1b2c3d4e5f601020305')),
  new Int32(-2_147_483_648),
  new Timestamp({ t: 1, i: 2 }),
  Long.fromString('9223372036854775807'),
  Decimal128.fromString('-1.000E+3'),
  new MinKey(),
  new MaxKey(),
];

/** The extremes that the project names, as raw bytes. */
export function extremes(): Uint8Array[] {
  const keys = ['$set', 'a.b', '__proto__', '', '2', '1', 'constructor'];
  const deep = Array.from({ length: 90 }).reduce<unknown>((inner) => ({ d: inner }), 1);
  return [
    ...VALUES.map((value) => serialize({ _id: value, value })),
    serialize({ _id: new BSONRegExp('^a', 'i').toString(), pattern: new BSONRegExp('^a.*b$', 'imx') }),
    serialize({ _id: 'array', list: VALUES }),
    serialize(new Map<string, unknown>([['_id', 'keys'], ...keys.map((key): [string, unknown] => [key, key])])),
    serialize({ before: 1, _id: 'second field' }),
    serialize({ _id: 'deep', deep }),
    duplicateKeys(),
    invalidUtf8(),
    serialize({ _id: {} }),
  ];
}

/** `{ _id: 7, a: 1, a: 2 }`, which no JavaScript object can hold. */
function duplicateKeys(): Uint8Array {
  const element = (name: string, value: number) => Buffer.from([0x10, ...Buffer.from(name), 0, value, 0, 0, 0]);
  const body = Buffer.concat([element('_id', 7), element('a', 1), element('a', 2), Buffer.alloc(1)]);
  const length = Buffer.alloc(4);
  length.writeInt32LE(4 + body.byteLength);
  return Buffer.concat([length, body]);
}

function invalidUtf8(): Uint8Array {
  const raw = serialize({ _id: 'bad', text: 'XX' });
  Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).write('\xff\xfe', Buffer.from(raw).indexOf('XX'), 'latin1');
  return raw;
}
