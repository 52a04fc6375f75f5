/**
 * A world of a few plain maps, moved by hand, for the judge's own tests: no product code. Every change goes to the judge
 * as the simulator would tell it.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node';
import { Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { BSON } from 'bson';
import { pack } from 'tar-stream';
import { hashOf } from './audit-chain.ts';
import { Judge } from './judge.ts';
import type {
  ApprovalFacts,
  Instant,
  KeptFile,
  Observation,
  Physical,
  PolicyFacts,
  RawDocument,
  Scope,
  SourceRecord,
  VaultFile,
  WorldFacts,
} from './observations.ts';
import { rootOf, treeHash } from './open-archive.ts';
import { asFields, asNumber, asText, type Fields } from './values.ts';

export const NAMESPACE = 'crm.chats';
export const CANARY = 'CANARY-7f3a';
const DAY = 24 * 3_600_000;
/** Records made by {@link HandMade.record} are due for their archive on this day, and for their purge 20 days later. */
export const DUE = Date.parse('2024-01-11T00:00:00Z');
export const PURGE = DUE + 20 * DAY;
/** Long after everything is due, and after every grace. */
export const LONG_AFTER = PURGE + 30 * DAY;

export const POLICY: PolicyFacts = {
  name: 'chats',
  namespace: NAMESPACE,
  activeDays: 10,
  archiveDays: 20,
  dueWindowDays: 5,
  maxWaitDays: 2,
  graceDays: 3,
  verify: 'checksum',
  limits: { records: 1_000, share: 1 },
};

export const ANY: Scope = {
  owner: null,
  customer: null,
  namespace: null,
  policy: null,
  recordIds: null,
  mails: null,
  triggerFrom: null,
  triggerBefore: null,
};

export const IDENTITIES: Readonly<Record<string, readonly string[]>> = {
  acme: [await generateX25519Identity()],
  zeta: [await generateX25519Identity()],
};
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const { encrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);

export interface ArchiveOptions {
  readonly owner?: string;
  readonly customer?: string;
  readonly attempt?: string;
  readonly key?: Uint8Array;
  readonly vault?: string;
  /** Whose administrators the key is wrapped for. */
  readonly wrapFor?: readonly string[];
  readonly records?: readonly SourceRecord[];
  readonly verify?: 'checksum' | 'inventory';
  readonly units?: HandMadeUnits;
  /** What the ledger is told of them; left out: the truth. */
  readonly toldUnits?: HandMadeUnits;
  /** The records are children that came too late for the archive with their roots. */
  readonly addendumTo?: string;
}

/** What hangs on records, each by the place of its root. */
export interface HandMadeUnits {
  readonly children?: readonly { readonly record: SourceRecord; readonly root: number }[];
  readonly attachments?: readonly { readonly file: KeptFile; readonly root: number }[];
}

export class HandMade implements Physical {
  readonly judge: Judge;
  time: Instant = DUE + DAY;
  /** Files that records name, by bucket, key and version. */
  readonly kept = new Map<string, KeptFile>();
  readonly #source = new Map<string, SourceRecord>();
  readonly #files = new Map<string, VaultFile>();
  readonly #ledger = new Map<string, Map<string, RawDocument>>();
  readonly #keys = new Map<string, Map<string, RawDocument>>();
  #entries: Fields[] = [];

  constructor(policy: PolicyFacts = POLICY, approvals?: ApprovalFacts) {
    const facts: WorldFacts = {
      seed: 1,
      policies: [policy],
      owners: ['acme', 'zeta'],
      identities: IDENTITIES,
      canary: CANARY,
      releaseGraceMs: DAY,
      ...(approvals === undefined ? {} : { approvals }),
    };
    this.judge = new Judge(facts);
  }

  /** Names of the properties that were broken so far, each once. */
  get broken(): readonly string[] {
    return [...new Set(this.judge.violations.map(({ property }) => property))];
  }

  now(): Instant {
    return this.time;
  }
  source(): readonly SourceRecord[] {
    return [...this.#source.values()];
  }
  vault(): readonly VaultFile[] {
    return [...this.#files.values()];
  }
  files(): readonly KeptFile[] {
    return [...this.kept.values()];
  }
  ledger(collection: string): readonly RawDocument[] {
    return [...(this.#ledger.get(collection)?.values() ?? [])];
  }
  ledgerCollections(): readonly string[] {
    return [...this.#ledger.keys()];
  }
  keyStore(collection: string): readonly RawDocument[] {
    return [...(this.#keys.get(collection)?.values() ?? [])];
  }

  async see(seen: Observation): Promise<void> {
    await this.judge.see(seen, this);
  }

  async end(): Promise<void> {
    await this.judge.end(this);
  }

  record(id: string, fields: Fields = {}): SourceRecord {
    const mail = `${id}@people.example`;
    const document = { _id: id, owner: 'acme', tenant: 'north', at: new Date(DUE - 10 * DAY), mail, n: 0 };
    const bytes = BSON.serialize({ ...document, text: `${CANARY} ${id}`, ...fields });
    return { namespace: NAMESPACE, id, bytes };
  }

  async put(record: SourceRecord, by = 'application'): Promise<SourceRecord> {
    const before = this.#source.get(record.id)?.bytes ?? null;
    this.#source.set(record.id, record);
    await this.see({ what: 'source put', by, record, before });
    return record;
  }

  async remove(record: SourceRecord, by = 'worker-1'): Promise<void> {
    this.#source.delete(record.id);
    await this.see({ what: 'source removed', by, record });
  }

  async write(collection: string, after: RawDocument, by = 'worker-1'): Promise<void> {
    const documents = this.#ledger.get(collection) ?? new Map<string, RawDocument>();
    this.#ledger.set(collection, documents);
    const before = documents.get(after._id) ?? null;
    documents.set(after._id, after);
    await this.see({ what: 'ledger written', by, collection, id: after._id, before, after });
  }

  async unwrite(collection: string, id: string): Promise<void> {
    const before = this.#ledger.get(collection)?.get(id) ?? null;
    this.#ledger.get(collection)?.delete(id);
    await this.see({ what: 'ledger written', by: 'worker-1', collection, id, before, after: null });
  }

  async writeKey(collection: string, after: RawDocument): Promise<void> {
    const documents = this.#keys.get(collection) ?? new Map<string, RawDocument>();
    this.#keys.set(collection, documents);
    const before = documents.get(after._id) ?? null;
    documents.set(after._id, after);
    await this.see({ what: 'key written', by: 'worker-1', collection, id: after._id, before, after });
  }

  async tell(act: string, phase: string, subject: Fields, details: Fields = {}): Promise<void> {
    const last = this.#entries.at(-1);
    const seq = (asNumber(last?.['seq']) ?? 0) + 1;
    const unhashed = {
      seq,
      at: new Date(this.time),
      asOf: null,
      actor: 'worker:1',
      previous: asText(last?.['hash']) ?? '0'.repeat(64),
      key: `entry-${seq}`,
      act,
      phase,
      subject,
      details,
    };
    const entry = { ...unhashed, hash: hashOf(unhashed) };
    this.#entries.push(entry);
    await this.write('audit', { _id: String(seq).padStart(15, '0'), entries: [entry] });
  }

  /** Changes an archive's document and tells the audit chain of a new state. */
  async amend(archive: string, change: Fields, by = 'worker-1'): Promise<void> {
    const before = this.ledger('archives').find(({ _id }) => _id === archive) ?? { _id: archive };
    await this.write('archives', { ...before, ...change }, by);
    const state = asText(change['state']);
    if (state !== null && state !== before['state']) {
      await this.tell(`archive ${state}`, 'outcome', { archive }, { attempt: asText(change['attempt']) });
    }
  }

  /** Records in the source, an archive of them stored, its key kept; the ledger says `verified`. */
  async archived(archive: string, options: ArchiveOptions = {}): Promise<readonly SourceRecord[]> {
    const stored = await this.stored(archive, options);
    await this.amend(archive, { state: 'verified', verifiedAt: new Date(this.time) });
    await this.tell('archive clear', 'intent', { archive });
    return stored;
  }

  async stored(archive: string, options: ArchiveOptions = {}): Promise<readonly SourceRecord[]> {
    const { owner = 'acme', customer = 'north', attempt = `${archive}-t1`, vault = `v.${owner}.${customer}` } = options;
    const records = options.records ?? [this.record(`${archive}-a`), this.record(`${archive}-b`)];
    for (const record of records) if (!this.#source.has(record.id)) await this.put(record);
    const [dataset = NAMESPACE] = records.map(({ namespace }) => namespace);
    const addendum = options.addendumTo === undefined ? {} : { addendumTo: options.addendumTo };
    const party = { namespace: NAMESPACE, owner, customer, policy: 'chats', policyVersion: 'p1' };
    const nothing = { archived: 0, deleted: 0, treated: 0, changed: 0, held: 0, gone: 0, quarantined: 0, pending: 0 };
    const verifyLevel = options.verify ?? 'checksum';
    await this.amend(archive, {
      ...party,
      ...(options.addendumTo === undefined ? {} : { ...addendum, collection: dataset }),
      state: 'planned',
      epoch: 1,
      vault: { name: vault },
      verifyLevel,
      outcomes: nothing,
    });
    await this.write('attempts', { _id: attempt, archive, state: 'open', cleanedUp: false });
    await this.amend(archive, { state: 'storing', attempt });
    const key = options.key ?? Uint8Array.from(randomBytes(32));
    const wrapped = await wrap(key, options.wrapFor ?? IDENTITIES[owner] ?? []);
    await this.writeKey('archiveKeys', { _id: attempt, state: 'kept', archive, owner, wrapped });
    const of = { archive, attempt, owner, customer, dataset, ...addendum };
    const bytes = await archiveFile(of, key, records, options.units);
    const file = await this.store(vault, `${attempt}-file`, { archive, attempt, owner, customer }, bytes);
    await this.write('attempts', { _id: attempt, archive, state: 'acknowledged', cleanedUp: false });
    const triggerTo = new Date(DUE - 10 * DAY);
    const count = records.length;
    await this.amend(archive, {
      state: 'stored',
      stored: { ...factsOf(file, records), ...countsOf(options.toldUnits ?? options.units), triggerTo },
      dueAt: new Date(PURGE),
      outcomes: { ...nothing, archived: count, pending: count },
    });
    return records;
  }

  async store(
    vault: string,
    vaultArchiveId: string,
    of: { readonly archive: string; readonly attempt: string; readonly owner: string; readonly customer: string },
    bytes: Uint8Array,
  ): Promise<VaultFile> {
    const { archive, attempt, owner, customer } = of;
    const intent = {
      moraine: 1,
      i: 'inst',
      a: archive,
      t: attempt,
      o: owner,
      c: customer,
      d: NAMESPACE,
      u: '',
      p: 'p1',
    };
    const file = { vault, vaultArchiveId, description: JSON.stringify(intent), bytes, storedAt: this.time };
    this.#files.set(vaultArchiveId, file);
    await this.see({ what: 'vault stored', by: 'worker-1', file });
    return file;
  }

  async unstore(vaultArchiveId: string, method: 'deleteArchive' | 'deleteAbandoned' = 'deleteArchive'): Promise<void> {
    const file = this.#files.get(vaultArchiveId);
    if (file === undefined) throw new Error(`no file ${vaultArchiveId}`);
    this.#files.delete(vaultArchiveId);
    await this.see({ what: 'vault removed', by: 'worker-1', file, method });
  }

  /** Writes the outcomes of an archive, one letter a record, and calls it cleared. */
  async settle(archive: string, letters: string, children?: Fields): Promise<void> {
    const names = { deleted: 'd', treated: 't', changed: 'c', held: 'h', gone: 'g', quarantined: 'q' };
    const counts = Object.entries(names).map(([name, letter]) => [name, letters.split(letter).length - 1]);
    const outcomes = { archived: letters.length, pending: 0, ...asFields(Object.fromEntries(counts)) };
    await this.write('clearingPages', { _id: `${archive}:0`, archive, page: 0, intended: [], outcomes: letters });
    const ofChildren = children === undefined ? {} : { childOutcomes: children };
    await this.amend(archive, { state: 'cleared', outcomes, ...ofChildren });
    await this.unwrite('clearingPages', `${archive}:0`);
  }

  /** Archived, deleted from the source, and cleared. */
  async cleared(archive: string, options: ArchiveOptions = {}): Promise<readonly SourceRecord[]> {
    const records = await this.archived(archive, options);
    for (const record of records) await this.remove(record);
    await this.settle(archive, 'd'.repeat(records.length));
    return records;
  }

  /** From `cleared` to `confirmed`, in the right order. */
  async purged(archive: string): Promise<void> {
    await this.amend(archive, { state: 'purging' });
    await this.unstore(`${archive}-t1-file`);
    await this.writeKey('archiveKeys', { _id: `${archive}-t1`, state: 'destroyed' });
    await this.amend(archive, { state: 'purged' });
    await this.certified(archive);
    await this.amend(archive, { state: 'confirmed' });
  }

  /** `said`: what its text says instead. */
  async certified(archive: string, { number = 1, said = {} }: { number?: number; said?: object } = {}): Promise<void> {
    const stored = asFields(this.ledger('archives').find(({ _id }) => _id === archive)?.['stored']);
    const copies = [{ vaultArchiveId: stored['vaultArchiveId'] ?? null, treeHash: stored['treeHash'] ?? null }];
    const body = JSON.stringify({ id: archive, number, copies, ...said });
    await this.write('certificates', { _id: archive, archive, number, body });
  }

  async hold(name: string, scope: Scope, tooLate: readonly string[] = []): Promise<void> {
    await this.see({ what: 'hold asked', by: 'operator-1', name, scope });
    await this.see({ what: 'hold active', by: 'operator-1', name, tooLate });
  }
}

function countsOf({ children = [], attachments = [] }: HandMadeUnits = {}): Fields {
  return { children: children.length, attachments: attachments.length };
}

function factsOf(file: VaultFile, records: readonly SourceRecord[]): Fields {
  const manifest = manifestIn(file.bytes);
  return {
    vaultArchiveId: file.vaultArchiveId,
    bytes: file.bytes.length,
    treeHash: treeHash(file.bytes),
    at: new Date(file.storedAt),
    records: records.length,
    merkleRoot: rootOf(records.map(({ bytes }) => sha256(bytes))),
    manifestSha256: manifest === null ? '' : sha256(manifest).toString('hex'),
  };
}

/** The manifest is the last member but one: its text is cut out by its first and last characters. */
function manifestIn(file: Uint8Array): Uint8Array | null {
  const buffer = Buffer.from(file);
  const from = buffer.indexOf('{"format":"moraine-archive"');
  return from < 0 ? null : buffer.subarray(from, buffer.indexOf('\0', from));
}

async function wrap(key: Uint8Array, to: readonly string[]): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  for (const identity of to) encrypter.addRecipient(await identityToRecipient(identity));
  return await encrypter.encrypt(key);
}

/** An archive file by docs/archive-format.md, with stock libraries. */
export async function archiveFile(
  of: {
    readonly archive: string;
    readonly attempt: string;
    readonly owner: string;
    readonly customer: string;
    readonly dataset: string;
    readonly addendumTo?: string;
  },
  key: Uint8Array,
  records: readonly SourceRecord[],
  { children = [], attachments = [] }: HandMadeUnits = {},
): Promise<Uint8Array> {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const readme = Buffer.from(String(publicKey.export({ type: 'spki', format: 'pem' })));
  const context = { installation: 'inst', owner: of.owner, customer: of.customer, archive: of.archive };
  const members: HandMadeMember[] = [];
  const add = async (name: string, facts: Omit<HandMadeMember, 'name' | 'plainBytes' | 'bytes'>, plain: Uint8Array) => {
    const bytes = await seal(plain, { ...context, member: name }, of.attempt, key);
    members.push({ name, ...facts, plainBytes: plain.length, bytes });
  };
  members.push({ name: 'README.txt', kind: 'readme', plainBytes: readme.length, records: 0, bytes: readme });
  const runs = [{ collection: undefined, of: records.map((record) => ({ record, root: undefined })) }];
  const collection = children[0]?.record.namespace;
  for (const run of [...runs, ...(collection === undefined ? [] : [{ collection, of: children }])]) {
    const facts = { records: run.of.length, ...(run.collection === undefined ? {} : { collection: run.collection }) };
    const folder = run.collection === undefined ? '' : `${run.collection}/`;
    const segment = Buffer.concat(run.of.map(({ record }) => record.bytes));
    await add(
      `segments/${run.collection ?? of.dataset}/00000000.bson.zst.esdk`,
      { kind: 'segment', ...facts },
      segment,
    );
    await add(`index/${folder}00000000.bson.zst.esdk`, { kind: 'index', ...facts }, indexOf(run.of));
  }
  for (const [number, { file }] of attachments.entries()) {
    const name = `attachments/${String(number).padStart(8, '0')}/0000.esdk`;
    await add(name, { kind: 'attachment', records: 0, attachment: number }, file.bytes);
  }
  if (attachments.length > 0) {
    const entries = Buffer.concat(
      attachments.map(({ file, root }, number) =>
        BSON.serialize({
          ...{ _id: number, root, kind: file.kind, bucket: file.bucket, key: file.key, version: file.version },
          ...{ bytes: file.bytes.length, parts: 1, sha256: sha256(file.bytes) },
        }),
      ),
    );
    const facts = { kind: 'attachmentIndex', records: attachments.length };
    await add('index/attachments/00000000.bson.zst.esdk', facts, entries);
  }
  let offset = 0;
  const listed = members.map(({ bytes, ...facts }) => {
    const place = offset + 512;
    offset = place + Math.ceil(bytes.length / 512) * 512;
    return { ...facts, offset: place, length: bytes.length, sha256: sha256(bytes).toString('hex') };
  });
  const manifest = Buffer.from(
    JSON.stringify({
      format: 'moraine-archive',
      version: 1,
      installation: 'inst',
      ...of,
      policyVersion: 'p1',
      keyName: of.attempt,
      records: records.length,
      segments: 1,
      merkleRoot: rootOf(records.map(({ bytes }) => sha256(bytes))),
      ...(collection === undefined ? {} : { children: [childrenFacts(collection, children)] }),
      ...(attachments.length === 0 ? {} : { attachments: filesFacts(attachments) }),
      members: listed,
    }),
  );
  const keyId = sha256(der).toString('hex').slice(0, 16);
  const signature = { keyId, algorithm: 'Ed25519', signature: sign(null, manifest, privateKey).toString('base64') };
  const tar = pack();
  const chunks: Uint8Array[] = [];
  for (const { name, bytes } of members) tar.entry({ name }, Buffer.from(bytes));
  tar.entry({ name: 'manifest.json' }, manifest);
  tar.entry({ name: 'manifest.sig' }, JSON.stringify(signature));
  tar.finalize();
  for await (const chunk of tar) if (chunk instanceof Uint8Array) chunks.push(chunk);
  return Buffer.concat(chunks);
}

interface HandMadeMember {
  readonly name: string;
  readonly kind: string;
  readonly plainBytes: number;
  readonly records: number;
  readonly bytes: Uint8Array;
  readonly collection?: string;
  readonly attachment?: number;
}

function indexOf(of: readonly { readonly record: SourceRecord; readonly root?: number | undefined }[]): Uint8Array {
  let at = 0;
  const entries = of.map(({ record: { id, bytes }, root }, ordinal) => {
    const entry = { _id: id, ordinal, segment: 0, offset: at, length: bytes.length, sha256: sha256(bytes) };
    at += bytes.length;
    return BSON.serialize(root === undefined ? entry : { ...entry, root });
  });
  return Buffer.concat(entries);
}

function childrenFacts(collection: string, children: NonNullable<HandMadeUnits['children']>): Fields {
  const merkleRoot = rootOf(children.map(({ record }) => sha256(record.bytes)));
  return { collection, records: children.length, segments: 1, merkleRoot };
}

function filesFacts(attachments: NonNullable<HandMadeUnits['attachments']>): Fields {
  const bytes = attachments.reduce((sum, { file }) => sum + file.bytes.length, 0);
  return { files: attachments.length, bytes, merkleRoot: rootOf(attachments.map(({ file }) => sha256(file.bytes))) };
}

async function seal(
  plain: Uint8Array,
  context: Record<string, string>,
  keyName: string,
  key: Uint8Array,
): Promise<Uint8Array> {
  const keyring = new RawAesKeyringNode({
    keyName,
    keyNamespace: 'moraine',
    unencryptedMasterKey: Uint8Array.from(key),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;
  const packed = context['member']?.startsWith('attachments/') === true ? plain : zstdCompressSync(plain);
  const { result } = await encrypt(keyring, packed, { suiteId, encryptionContext: { ...context } });
  return result;
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
