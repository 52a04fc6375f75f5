import type { Clock } from '../../src/clock.ts';
import { type ArchiveId, id } from '../../src/ids.ts';
import { type ArchiveLease, claimArchive } from '../../src/ledger/archives.ts';
import { AuditLog, auditEntries } from '../../src/ledger/audit.ts';
import { LEDGER_INDEXES } from '../../src/ledger/ledger-indexes.ts';
import { MemoryStore } from '../../src/ledger/memory-store.ts';
import type { LedgerDocument, Store, StoreCollection } from '../../src/ledger/store.ts';

const START_MS = Date.UTC(2026, 4, 1);

/** A ledger in memory whose server's clock is ahead of the worker's, so that neither is taken for the other unseen. */
export class LedgerWorld {
  #nowMs = START_MS;
  readonly aheadMs: number;
  readonly clock: Clock;
  readonly store: MemoryStore;
  readonly audit: AuditLog;
  readonly worker = id.worker('worker-1');

  private constructor(aheadMs: number) {
    this.aheadMs = aheadMs;
    this.clock = {
      now: () => new Date(this.#nowMs),
      monotonicMs: () => this.#nowMs - START_MS,
      sleep: async (ms) => this.advance(ms),
    };
    this.store = new MemoryStore({ ...this.clock, now: () => this.serverTime() });
    this.audit = new AuditLog(this.store, this.clock, { actor: 'person:test' });
  }

  static async open(aheadMs = 30_000): Promise<LedgerWorld> {
    const world = new LedgerWorld(aheadMs);
    await world.store.ensureIndexes(LEDGER_INDEXES);
    return world;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }

  serverTime(): Date {
    return new Date(this.#nowMs + this.aheadMs);
  }

  async claim(archive: ArchiveId = id.archive('a1')): Promise<ArchiveLease> {
    return await claimArchive(this.store, this.audit, archive, this);
  }

  /** What the audit chain says, in its order. */
  async told(): Promise<string[]> {
    const told: string[] = [];
    for await (const { act, phase } of auditEntries(this.store)) told.push(`${act} ${phase}`);
    return told;
  }

  async all(collection: string): Promise<LedgerDocument[]> {
    const found: LedgerDocument[] = [];
    for await (const document of this.store.collection(collection).find({}, { sort: { _id: 1 } })) found.push(document);
    return found;
  }
}

/** The store with a look at, or a fault in, the calls of its collections: `meet` may act or throw before each. */
export function watched(store: Store, meet: (collection: string, call: string) => void | Promise<void>): Store {
  return {
    serverTime: async () => {
      await meet('', 'serverTime');
      return await store.serverTime();
    },
    collection<T extends LedgerDocument>(name: string): StoreCollection<T> {
      const inner = store.collection<T>(name);
      return {
        insert: async (document) => {
          await meet(name, 'insert');
          return await inner.insert(document);
        },
        insertMany: async (documents) => {
          await meet(name, 'insertMany');
          return await inner.insertMany(documents);
        },
        get: async (key) => {
          await meet(name, 'get');
          return await inner.get(key);
        },
        find: async function* (filter, options) {
          await meet(name, 'find');
          yield* inner.find(filter, options);
        },
        count: async (filter) => {
          await meet(name, 'count');
          return await inner.count(filter);
        },
        replace: async (document) => {
          await meet(name, 'replace');
          return await inner.replace(document);
        },
        remove: async (key, rev) => {
          await meet(name, 'remove');
          return await inner.remove(key, rev);
        },
        removeMany: async (filter) => {
          await meet(name, 'removeMany');
          return await inner.removeMany(filter);
        },
      };
    },
  };
}
