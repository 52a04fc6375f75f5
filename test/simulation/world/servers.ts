/**
 * The servers of a simulated world: ledger, key store, source, vault and queues, all in memory on true time, and the
 * judge who is told of each change when it happens. They outlive every process.
 */
import { createHash } from 'node:crypto';
import { BSON } from 'bson';
import type { Clock } from '../../../src/clock.ts';
import { id, type Namespace } from '../../../src/ids.ts';
import { KEY_INDEXES } from '../../../src/keys/documents.ts';
import { LEDGER_INDEXES } from '../../../src/ledger/ledger-indexes.ts';
import { MemoryStore } from '../../../src/ledger/memory-store.ts';
import { MemorySource } from '../../../src/source/memory-source.ts';
import { MemoryVault } from '../../../src/vault/memory-vault.ts';
import { MemoryQueues } from '../../harness/memory-queues.ts';
import type { Random } from '../engine/random.ts';
import type { Timeline } from '../engine/timeline.ts';
import type { JudgePort, Observation, Physical, RawDocument, SourceRecord, VaultFile } from '../judge/observations.ts';
import { FileServer } from './file-server.ts';

export const VAULT_KEY = id.vaultKey('cold');

/** Documents of one collection by the text of their `_id`. */
type Documents = Map<string, Uint8Array>;

interface Snapshot {
  readonly at: number;
  readonly documents: ReadonlyMap<Namespace, Documents>;
}

/** How many of its own pasts the source remembers, for stale reads. */
const SNAPSHOTS = 40;

export class Servers {
  readonly timeline: Timeline;
  readonly ledger: MemoryStore;
  readonly keyStore: MemoryStore;
  readonly source: MemorySource;
  readonly files: FileServer;
  readonly vault: MemoryVault;
  readonly queues: MemoryQueues;
  readonly #judge: JudgePort;
  /** The true content of the source: what the judge is shown, and what stale reads are made from. */
  readonly #documents = new Map<Namespace, Documents>();
  readonly #snapshots: Snapshot[] = [];
  readonly physical: Physical;

  constructor(timeline: Timeline, judge: JudgePort, random: Random) {
    this.timeline = timeline;
    this.#judge = judge;
    // Each server has a clock of its own, a little wrong; the witnesses allow a minute.
    const clockOf = (name: string) => serverClock(timeline, random.branch(name).int(-12_000, 12_000));
    this.ledger = new MemoryStore(clockOf('ledger'));
    this.keyStore = new MemoryStore(clockOf('ledger'));
    this.source = new MemorySource({ clock: clockOf('source') });
    // GridFS is of the source's database.
    this.files = new FileServer(clockOf('source'));
    this.vault = new MemoryVault({ key: VAULT_KEY, clock: clockOf('vault') });
    const jitter = random.branch('queues');
    this.queues = new MemoryQueues({ clock: serverClock(timeline, 0), random: () => jitter.int(0, 999) / 1_000 });
    this.physical = {
      now: () => timeline.now,
      source: () => this.records(),
      vault: () => this.vaultFiles(),
      files: () => this.files.kept(),
      ledger: (collection) => [...this.ledger.peek(collection).values()].map(raw),
      ledgerCollections: () => this.ledger.names(),
      keyStore: (collection) => [...this.keyStore.peek(collection).values()].map(raw),
    };
  }

  async prepare(): Promise<void> {
    await this.ledger.ensureIndexes(LEDGER_INDEXES);
    await this.keyStore.ensureIndexes(KEY_INDEXES);
  }

  readonly tell = async (observation: Observation): Promise<void> => {
    await this.#judge.see(observation, this.physical);
  };

  records(): SourceRecord[] {
    return [...this.#documents].flatMap(([namespace, documents]) =>
      [...documents].map(([_id, bytes]) => ({ namespace, id: _id, bytes })),
    );
  }

  vaultFiles(): VaultFile[] {
    return [...this.vault.files()].map(({ vault, archive }) => fileOf(vault, archive));
  }

  recordBytes(namespace: Namespace, _id: string): Uint8Array | null {
    return this.#documents.get(namespace)?.get(_id) ?? null;
  }

  /** Writes a document past all ports: what an application or a set-up does. */
  async put(by: string, namespace: Namespace, bytes: Uint8Array): Promise<void> {
    const documents = this.#documentsOf(namespace);
    const _id = idText(bytes);
    const before = documents.get(_id) ?? null;
    this.#remember();
    this.source.put(namespace, bytes);
    documents.set(_id, bytes);
    await this.tell({ what: 'source put', by, record: { namespace, id: _id, bytes }, before });
  }

  async remove(by: string, namespace: Namespace, _id: string): Promise<void> {
    const bytes = this.recordBytes(namespace, _id);
    if (bytes === null) return;
    this.#remember();
    this.source.remove(namespace, idBytes(_id));
    await this.gone(by, namespace, _id);
  }

  /** The source no longer has the document: the judge is told. */
  async gone(by: string, namespace: Namespace, _id: string): Promise<void> {
    const documents = this.#documentsOf(namespace);
    const bytes = documents.get(_id);
    if (bytes === undefined) return;
    documents.delete(_id);
    await this.tell({ what: 'source removed', by, record: { namespace, id: _id, bytes } });
  }

  /** After a change through the port: what is there now and was not, and the other way round. */
  async compareSource(by: string, namespace: Namespace): Promise<void> {
    const documents = this.#documentsOf(namespace);
    const now = new Map(this.source.all(namespace).map((bytes) => [idText(bytes), bytes] as const));
    const isSame = now.size === documents.size && [...now.keys()].every((_id) => documents.has(_id));
    if (!isSame) this.#remember();
    for (const _id of [...documents.keys()]) if (!now.has(_id)) await this.gone(by, namespace, _id);
    for (const [_id, bytes] of now) {
      const before = documents.get(_id) ?? null;
      if (before !== null && Buffer.compare(before, bytes) === 0) continue;
      documents.set(_id, bytes);
      await this.tell({ what: 'source put', by, record: { namespace, id: _id, bytes }, before });
    }
  }

  /** The source as it was so long ago. */
  pastSource(ms: number): MemorySource {
    const wanted = this.timeline.now - ms;
    const past = this.#snapshots.find(({ at }) => at > wanted)?.documents ?? this.#documents;
    const source = new MemorySource({ clock: serverClock(this.timeline, 0) });
    for (const namespace of this.#documents.keys()) source.settings(namespace, {});
    for (const [namespace, documents] of past) for (const bytes of documents.values()) source.put(namespace, bytes);
    return source;
  }

  /** Before a change: what was true until now. */
  #remember(): void {
    const documents = new Map([...this.#documents].map(([namespace, each]) => [namespace, new Map(each)] as const));
    this.#snapshots.push({ at: this.timeline.now, documents });
    if (this.#snapshots.length > SNAPSHOTS) this.#snapshots.shift();
  }

  #documentsOf(namespace: Namespace): Documents {
    const known = this.#documents.get(namespace);
    if (known !== undefined) return known;
    const fresh: Documents = new Map();
    this.#documents.set(namespace, fresh);
    return fresh;
  }
}

export function serverClock(timeline: Timeline, skewMs: number): Clock {
  return {
    now: () => new Date(timeline.now + skewMs),
    monotonicMs: () => timeline.now,
    sleep: () => Promise.reject(new Error('A server does not sleep.')),
  };
}

export function raw(document: object): RawDocument {
  return document as RawDocument;
}

export function fileOf(
  vault: string,
  archive: { vaultArchiveId: string; description: string; bytes: Uint8Array; storedAt: Date },
): VaultFile {
  const { vaultArchiveId, description, bytes, storedAt } = archive;
  return { vault, vaultArchiveId, description, bytes, storedAt: storedAt.getTime() };
}

/** All `_id`s of a simulated life are texts. */
export function idText(bytes: Uint8Array): string {
  return String(BSON.deserialize(bytes, { promoteBuffers: true })['_id']);
}

/** BSON type byte and value bytes of a text `_id`. */
export function idBytes(_id: string): Uint8Array {
  const document = BSON.serialize({ _id });
  // Length (4), type (1), name `_id` and its end (4), the value, the end of the document (1).
  return Buffer.concat([document.subarray(4, 5), document.subarray(9, -1)]);
}

export function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
