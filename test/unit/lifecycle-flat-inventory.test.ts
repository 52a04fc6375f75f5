/** A vault with more archives than fit in hand: compared exactly, with a bounded number in hand, whatever the order. */
import { beforeEach, describe, expect, test } from 'vitest';
import { type ArchiveId, id } from '../../src/ids.ts';
import { archives, archivesById } from '../../src/ledger/archives.ts';
import { findFindings } from '../../src/ledger/findings.ts';
import { needInventory } from '../../src/ledger/inventories.ts';
import { InventorySpool, removeLeftSpools } from '../../src/ledger/inventory-spool.ts';
import type { FindOptions, LedgerDocument, Store, StoreCollection } from '../../src/ledger/store.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { MOST_IN_HAND } from '../../src/lifecycle/join-inventory.ts';
import { settleVault } from '../../src/lifecycle/settle-vault.ts';
import { MOST_NAMED } from '../../src/lifecycle/vault-findings.ts';
import type { InventoryEntry } from '../../src/vault/port.ts';
import { anArchive, LOCATION } from '../harness/an-archive.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const { stored: FACTS } = anArchive();
const STORED = FACTS ?? fail();
const LATER = new Date(STORED.at.getTime() + 48 * 3_600_000);
const PAGE = 1_000;

let world: MemoryWorld;
beforeEach(async () => {
  world = await MemoryWorld.open();
  await needInventory(world.store, LOCATION, STORED.at);
});

function fail(): never {
  throw new Error('It was not stored.');
}

const vaultIdOf = (at: number) => `va-${(at * 7919) % 1_000_003}`;

function entry(vaultArchiveId: string, fields: Partial<InventoryEntry> = {}): InventoryEntry {
  const { bytes, treeHash, at } = STORED;
  return { vaultArchiveId, intent: null, description: '', bytes, treeHash, createdAt: at, ...fields };
}

function strayIntent(archive: string) {
  const { owner, customer, namespace: dataset, policyVersion } = anArchive();
  const { id: installation } = world.context().installation;
  const ids = { archive: id.archive(archive), attempt: id.attempt(`t-${archive}`) };
  return { installation, ...ids, owner, customer, dataset, dueAt: '2029-01-02T00:00:00Z', policyVersion };
}

async function putCleared(count: number): Promise<void> {
  const documents = Array.from({ length: count }, (_, at) =>
    anArchive({ _id: id.archive(`a${at}`), sequence: at, stored: { ...STORED, vaultArchiveId: vaultIdOf(at) } }),
  );
  await archives(world.store).insertMany(documents);
}

/** Counts what is given out and not yet taken away again. */
class Counted {
  most = 0;
  #spooled = 0;
  #given = 0;
  /** By how many the archives that were read were ahead of the entries that were read, and the other way round. */
  readonly ahead = { archives: 0, entries: 0 };
  readonly #read = { archives: 0, entries: 0 };

  give(): void {
    this.#given += 1;
    this.most = Math.max(this.most, this.#given - this.#spooled);
  }

  async *#reading<T>(what: 'archives' | 'entries', documents: AsyncIterable<T>): AsyncGenerator<T> {
    const other = what === 'archives' ? 'entries' : 'archives';
    for await (const document of documents) {
      this.#read[what] += 1;
      this.ahead[what] = Math.max(this.ahead[what], this.#read[what] - this.#read[other]);
      yield document;
    }
  }

  storeOf(store: Store): Store {
    return {
      serverTime: () => store.serverTime(),
      collection: <T extends LedgerDocument>(name: string): StoreCollection<T> => {
        const collection = store.collection<T>(name);
        return {
          ...bound(collection),
          insertMany: async (documents) => {
            if (name === 'inventorySpool') this.#spooled += documents.length;
            return await collection.insertMany(documents);
          },
          find: (filter, options?: FindOptions) => {
            const found = collection.find(filter, options);
            if (name === 'inventorySpool') return this.#reading('entries', found);
            return name === 'archives' && 'stored.vaultArchiveId' in filter ? this.#reading('archives', found) : found;
          },
        };
      },
    };
  }
}

function bound<T extends LedgerDocument>(collection: StoreCollection<T>): StoreCollection<T> {
  return {
    insert: (document) => collection.insert(document),
    insertMany: (documents) => collection.insertMany(documents),
    get: (name) => collection.get(name),
    find: (filter, options) => collection.find(filter, options),
    count: (filter) => collection.count(filter),
    replace: (document) => collection.replace(document),
    remove: (name, rev) => collection.remove(name, rev),
    removeMany: (filter) => collection.removeMany(filter),
  };
}

async function settle(context: Context, entries: () => Iterable<InventoryEntry>, counted?: Counted) {
  return await settleVault(context, LOCATION, 'job', {
    inventoryDate: LATER,
    entries: async function* () {
      for (const one of entries()) {
        counted?.give();
        yield one;
      }
    },
  });
}

describe('a vault with more archives than fit in hand', () => {
  const COUNT = 2 * MOST_IN_HAND + 500;

  test('never more than a hand of entries and one archive; missing, other bytes and strays are found exactly', async () => {
    await putCleared(COUNT);
    const missing = new Set([3, 9_999, COUNT - 1]);
    const other = 77;
    const counted = new Counted();
    const context = { ...world.context(), store: counted.storeOf(world.store) };
    const findings = await settle(
      context,
      function* () {
        yield entry('va-stray', { intent: strayIntent('lost') });
        yield entry('zz-theirs');
        for (let at = COUNT - 1; at >= 0; at -= 1)
          if (!missing.has(at)) yield entry(vaultIdOf(at), at === other ? { bytes: 1 } : {});
      },
      counted,
    );
    expect([...findings.missing].sort()).toEqual([...missing, other].map((at) => `a${at}`).sort());
    expect(findings).toMatchObject({ foreign: 1, removed: 0, compared: COUNT + 2, verified: [], confirmed: [] });
    expect(findings.strays).toMatchObject([{ vaultArchiveId: 'va-stray', archive: 'lost' }]);
    expect(findings.findings.map(({ kind }) => kind).sort()).toEqual([
      ...['differs', 'missing', 'missing', 'missing', 'stray'],
    ]);
    expect(counted.most).toBeLessThanOrEqual(MOST_IN_HAND + 1);
    // Both lists are read side by side: neither is held.
    expect(counted.ahead.archives).toBeLessThanOrEqual(missing.size + 1);
    expect(counted.ahead.entries).toBeLessThanOrEqual(PAGE + 2);
    expect(await world.all('inventorySpool')).toEqual([]);
    expect(await world.all('inventorySpools')).toEqual([]);
  });

  test('an inventory that breaks off settles nothing, and leaves nothing behind', async () => {
    await putCleared(3);
    const broken = settle(world.context(), function* () {
      for (let at = 0; at < COUNT; at += 1) yield entry(`other-${at}`);
      throw new Error('the line was cut');
    });
    await expect(broken).rejects.toThrow('the line was cut');
    expect(await world.all('inventorySpool')).toEqual([]);
    expect(await archives(world.store).count({ state: 'cleared' })).toBe(3);
  });

  test('a spool that somebody takes away while it is read throws, and no archive looks missing', async () => {
    const spool = await InventorySpool.begin(world.store, world.clock, 's1');
    await spool.add(Array.from({ length: 1_500 }, (_, at) => entry(vaultIdOf(at))));
    world.clock.advance(8 * 24 * 3_600_000);
    const reading = spool.entries();
    for (let at = 0; at < PAGE; at += 1) await reading.next();
    await removeLeftSpools(world.store, world.clock);
    await expect(reading.next()).rejects.toMatchObject({ code: 'VAULT_UNAVAILABLE' });
  });

  test('of two readers of one inventory each has what it read; a double id counts once', async () => {
    const one = await InventorySpool.begin(world.store, world.clock, 's1');
    const other = await InventorySpool.begin(world.store, world.clock, 's10');
    await one.add([entry('b'), entry('a'), entry('b')]);
    await other.add([entry('c')]);
    await other.remove();
    const read: string[] = [];
    for await (const { vaultArchiveId } of one.entries()) read.push(vaultArchiveId);
    expect(read).toEqual(['a', 'b']);
    await removeLeftSpools(world.store, world.clock);
    expect(await world.all('inventorySpools')).toHaveLength(1);
  });

  test('what is named in a report ends at its limit, and the counts do not', async () => {
    const strays = MOST_NAMED + 5;
    const findings = await settle(world.context(), function* () {
      for (let at = 0; at < strays; at += 1) yield entry(`s-${at}`, { intent: strayIntent(`l${at}`) });
    });
    expect(findings.strays).toHaveLength(MOST_NAMED);
    expect(findings.counts).toMatchObject({ strays, findings: strays });
  });
});

test('a read that takes an hour is opened again, after what it gave, and leaves nothing out', async () => {
  await putCleared(20);
  const read: string[] = [];
  for await (const { _id } of archivesById(world.store, world.clock, { state: 'cleared' })) {
    read.push(_id);
    world.clock.advance(3 * 60_000);
  }
  expect(read).toEqual(Array.from({ length: 20 }, (_, at) => `a${at}`).sort());
});

describe('findings', () => {
  const stray = () => entry('va-stray', { intent: strayIntent('lost') });
  const kept = async () => {
    const found: string[] = [];
    for await (const { kind, state, timesSeen } of findFindings(world.store, {}))
      found.push(`${kind} ${state} ${timesSeen}`);
    return found;
  };

  test('a stray is new once; the second look tells it as told; one that is gone is closed, and new when it is back', async () => {
    const look = async (entries: readonly InventoryEntry[]) => {
      world.clock.advance(60_000);
      return (await settle(world.context(), () => entries)).findings;
    };
    const [first] = await look([stray()]);
    expect(first).toMatchObject({ kind: 'stray', isNew: true, archive: 'lost', vault: LOCATION.name });
    expect(first?.next).toBe(`moraine stray adopt ${first?.id} --identity FILE`);
    expect(await look([stray()])).toMatchObject([{ id: first?.id, isNew: false }]);
    expect(await kept()).toEqual(['stray open 2']);
    expect(await look([])).toEqual([]);
    expect(await kept()).toEqual(['stray closed 2']);
    expect(await look([stray()])).toMatchObject([{ id: first?.id, isNew: true }]);
  });

  test('an archive that is missing is put aside; its finding stays open while it is, and is told once', async () => {
    await putCleared(1);
    const [first] = (await settle(world.context(), () => [])).findings;
    expect(first).toMatchObject({ kind: 'missing', isNew: true, next: 'moraine quarantine show a0' });
    world.clock.advance(60_000);
    expect((await settle(world.context(), () => [])).findings).toEqual([]);
    expect(await kept()).toEqual(['missing open 1']);
  });

  test('an archive whose certificate says that it is gone, and that is listed again: told, and changed by nobody', async () => {
    const purge = {
      ...{ claimedDueAt: STORED.at, asOf: STORED.at, askedAt: STORED.at, acceptedAt: STORED.at },
      ...{ keyDestroyedAt: STORED.at, confirmedByInventoryAt: STORED.at, certificate: 'a1' },
    };
    const archive: ArchiveId = id.archive('a1');
    await archives(world.store).insert(anArchive({ state: 'confirmed', purge }));
    const [finding] = (await settle(world.context(), () => [entry(STORED.vaultArchiveId)])).findings;
    expect(finding).toMatchObject({ kind: 'still-there', archive, isNew: true });
    expect(finding?.next).toBe(`moraine stray dispose ${finding?.id} --reason TEXT`);
    expect(await archives(world.store).get(archive)).toMatchObject({ state: 'confirmed' });
  });
});
