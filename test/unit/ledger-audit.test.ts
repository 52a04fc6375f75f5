import { beforeEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/clock.ts';
import { MoraineError } from '../../src/errors.ts';
import { AUDIT_INDEXES, AuditLog, auditEntries, auditHead, verifyAudit } from '../../src/ledger/audit.ts';
import { MemoryStore } from '../../src/ledger/memory-store.ts';
import { type LedgerDocument, MAX_CLASHES, type Store, type StoreCollection } from '../../src/ledger/store.ts';
import { watched } from '../harness/ledger-world.ts';

interface Entry {
  seq: number;
  key: string;
  at: Date;
  asOf: Date | null;
  actor: string;
  hash: string;
  previous: string;
  details: Record<string, unknown>;
}
interface Block extends LedgerDocument {
  readonly entries: Entry[];
}

const clock: Clock = { ...systemClock, now: () => new Date('2026-05-01T00:00:00.123Z') };
const entry = (n: number, key = `k${n}`) => ({
  key,
  act: 'archive stored',
  phase: 'outcome' as const,
  subject: { archive: `a${n}` },
  details: { n },
});

let store: MemoryStore;
let log: AuditLog;

beforeEach(async () => {
  store = new MemoryStore(clock);
  await store.ensureIndexes(AUDIT_INDEXES);
  log = new AuditLog(store, clock, { actor: 'alice', asOf: new Date('2030-01-01T00:00:00Z') });
});

/** Five entries in blocks 1, 2-3 and 4-5. */
async function fiveEntries() {
  await log.appendOnce([entry(1)]);
  await log.appendOnce([entry(2), entry(3)]);
  await log.appendOnce([entry(4), entry(5)]);
}

async function tamper(id: number, change: (block: Block) => Block | null) {
  const blocks = store.collection<Block>('audit');
  const block = await blocks.get(String(id).padStart(15, '0'));
  if (block === null) throw new Error('not there');
  const changed = change(block);
  if (changed === null) await blocks.remove(block._id, block.rev);
  else await blocks.replace(changed);
}

const first = (block: Block, change: Partial<Entry>): Block => {
  const [head, ...rest] = block.entries;
  if (head === undefined) throw new Error('empty');
  return { ...block, entries: [{ ...head, ...change }, ...rest] };
};

describe('audit chain', () => {
  it('an entry says who, what, when by the real clock, and as of when', async () => {
    await log.append([{ act: 'policy published', phase: 'intent', subject: { policy: 'chats' }, details: {} }]);
    for await (const written of auditEntries(store)) {
      expect(written).toMatchObject({ seq: 1, actor: 'alice', previous: '0'.repeat(64), phase: 'intent' });
      expect(written.at).toEqual(clock.now());
      expect(written.asOf).toEqual(new Date('2030-01-01T00:00:00Z'));
      expect(written.hash).toMatch(/^[0-9a-f]{64}$/);
    }
    expect((await auditHead(store))?.seq).toBe(1);
  });

  it('what an entry is hashed over never changes: chains that were written years ago still hold', async () => {
    await log.appendOnce([entry(1)]);
    const without = new AuditLog(store, clock, { actor: 'bob' });
    await without.appendOnce([entry(2)]);
    const hashes: string[] = [];
    for await (const { hash } of auditEntries(store)) hashes.push(hash);
    expect(hashes).toEqual([
      '3815050e065237b7e7adb9752150504dd929e51af55586e7cacbf0e09a6e9a06',
      '9b68e9c85d418070b28d03872a586e5ec17c57e1d995e77cb09cf957699cc4ca',
    ]);
  });

  it('an empty chain holds and has no head', async () => {
    expect(await auditHead(store)).toBeNull();
    expect(await verifyAudit(store)).toEqual({ entries: 0, ok: true, firstBad: null, reason: null });
  });

  it.each<[string, number, (block: Block) => Block | null, number, string]>([
    ['a detail changed', 2, (b) => first(b, { details: { n: 9 } }), 2, 'changed'],
    ['a time changed', 2, (b) => first(b, { at: new Date(0) }), 2, 'changed'],
    ['the instant of --as-of changed', 2, (b) => first(b, { asOf: new Date(0) }), 2, 'changed'],
    ['the instant of --as-of removed', 2, (b) => first(b, { asOf: null }), 2, 'changed'],
    ['who did it changed', 2, (b) => first(b, { actor: 'bob' }), 2, 'changed'],
    ['a field put in', 4, (b) => first(b, { details: { n: 4, more: true } }), 4, 'changed'],
    ['a value that JSON cannot hold', 4, (b) => first(b, { details: { n: new Date(0) } }), 4, 'changed'],
    ['an entry removed from a block', 2, (b) => ({ ...b, entries: b.entries.slice(1) }), 2, 'missing'],
    ['the last entry of a block removed', 2, (b) => ({ ...b, entries: b.entries.slice(0, 1) }), 3, 'missing'],
    ['two entries swapped', 2, (b) => ({ ...b, entries: b.entries.toReversed() }), 2, 'missing'],
    ['a block removed', 2, () => null, 2, 'missing'],
    ['a block emptied', 4, (b) => ({ ...b, entries: [] }), 4, 'missing'],
    ['the link changed', 4, (b) => first(b, { previous: 'f'.repeat(64) }), 4, 'chain broken'],
    ['a hash changed', 4, (b) => first(b, { hash: 'f'.repeat(64) }), 4, 'changed'],
  ])('%s: found at the entry', async (_, block, change, firstBad, reason) => {
    await fiveEntries();
    const head = await auditHead(store);
    await tamper(block, change);
    expect(await verifyAudit(store, head === null ? [] : [head])).toMatchObject({ ok: false, firstBad, reason });
  });

  it('a block put in at the end without a link: found', async () => {
    await fiveEntries();
    const blocks = store.collection<Block>('audit');
    await blocks.insert({ _id: '0000000000000zz', v: 1, entries: [] });
    expect(await verifyAudit(store)).toMatchObject({ ok: false, firstBad: 6 });
  });

  it('the end cut off: the chain alone cannot tell, a remembered head does', async () => {
    await fiveEntries();
    const head = await auditHead(store);
    await tamper(4, () => null);
    expect(await verifyAudit(store)).toMatchObject({ ok: true, entries: 3 });
    expect(await verifyAudit(store, head ? [head] : [])).toEqual({
      entries: 3,
      ok: false,
      firstBad: 4,
      reason: 'missing',
    });
  });

  it('the whole chain computed anew: a remembered head tells', async () => {
    await fiveEntries();
    const head = await auditHead(store);
    if (head === null) throw new Error('no head');
    const forged = new MemoryStore(clock);
    const forger = new AuditLog(forged, clock, { actor: 'mallory' });
    await forger.appendOnce([1, 2, 3, 4, 5, 6].map((n) => entry(n)));
    expect(await verifyAudit(forged)).toMatchObject({ ok: true });
    expect(await verifyAudit(forged, [head])).toMatchObject({
      ok: false,
      firstBad: 5,
      reason: 'not the remembered entry',
    });
    expect(await verifyAudit(store, [head])).toMatchObject({ ok: true, entries: 5 });
  });

  it('appendOnce: a key that is in the chain, in the same call or told by another log is one entry', async () => {
    const other = new AuditLog(store, clock, { actor: 'bob' });
    await log.appendOnce([entry(1), entry(1), entry(2)]);
    await Promise.all([log.appendOnce([entry(1), entry(3)]), other.appendOnce([entry(3), entry(2)])]);
    expect(await verifyAudit(store)).toMatchObject({ ok: true, entries: 3 });
  });

  it('more entries at once than a block holds: several blocks, one chain', async () => {
    await log.appendOnce(Array.from({ length: 1_234 }, (_, n) => entry(n)));
    expect(await verifyAudit(store)).toMatchObject({ ok: true, entries: 1_234 });
    expect(await store.collection('audit').count({})).toBe(3);
  });

  it.each([
    ['all that waits goes into one block', [1, 10, 10, 10], [1, 30]],
    ['what fits into a block goes into one', [1, 300, 200, 1], [1, 500, 1]],
    ['what does not fit waits for the next', [1, 300, 300], [1, 300, 300]],
    ['more than a block holds is cut, alone', [1, 100, 600, 100], [1, 100, 500, 100, 100]],
  ])('told at the same time: %s', async (_, calls, expected) => {
    let n = 0;
    const bodies = calls.map((count) => Array.from({ length: count }, () => entry(n++)));
    await Promise.all(bodies.map((entries) => log.appendOnce(entries)));
    const sizes: number[] = [];
    for await (const { entries } of store.collection<Block>('audit').find({}, { sort: { _id: 1 } }))
      sizes.push(entries.length);
    expect(sizes).toEqual(expected);
    expect(await verifyAudit(store)).toMatchObject({ ok: true, entries: n });
  });

  it('entries are read by what they are about, in either order, up to a limit', async () => {
    await log.appendOnce([entry(1), { ...entry(2), subject: { archive: 'a1', policy: 'chats' } }]);
    await log.appendOnce([entry(3), entry(4, 'k4b')]);
    await log.appendOnce([{ ...entry(5), subject: { archive: 'a1' } }]);
    const read = async (query: Parameters<typeof auditEntries>[1]) => {
      const found = [];
      for await (const { seq } of auditEntries(store, query)) found.push(seq);
      return found;
    };
    expect(await read({})).toEqual([1, 2, 3, 4, 5]);
    expect(await read({ newestFirst: true })).toEqual([5, 4, 3, 2, 1]);
    expect(await read({ subject: { archive: 'a1' } })).toEqual([1, 2, 5]);
    expect(await read({ subject: { archive: 'a1' }, newestFirst: true })).toEqual([5, 2, 1]);
    expect(await read({ subject: { archive: 'a1', policy: 'chats' } })).toEqual([2]);
    expect(await read({ subject: { archive: 'nobody' } })).toEqual([]);
    expect(await read({ limit: 2 })).toEqual([1, 2]);
    expect(await read({ limit: 0 })).toEqual([]);
    expect(await read({ subject: { archive: 'a1' }, newestFirst: true, limit: 2 })).toEqual([5, 2]);
  });

  it('a chain that grows under every try is given up, and the next call succeeds', async () => {
    let isGrowing = true;
    const inserts = { count: 0 };
    // Whoever would try for ever is let through in the end, and fails here instead of never ending.
    const enough = 2 * MAX_CLASHES;
    const other = new AuditLog(store, clock, { actor: 'bob' });
    const growing = watched(store, async (collection, call) => {
      if (!isGrowing || inserts.count > enough || collection !== 'audit' || call !== 'insert') return;
      inserts.count += 1;
      await other.appendOnce([entry(100 + inserts.count)]);
    });
    const slow = new AuditLog(growing, clock, { actor: 'alice' });
    await expect(slow.appendOnce([entry(1)])).rejects.toMatchObject({ code: 'LEDGER_CONTENTION' });
    expect(inserts.count).toBe(MAX_CLASHES + 1);
    isGrowing = false;
    await slow.appendOnce([entry(1)]);
    expect(await verifyAudit(store)).toMatchObject({ ok: true, entries: MAX_CLASHES + 2 });
  });

  it('a block that is no list, and two heads that are missing: the first place is told', async () => {
    await fiveEntries();
    const head = await auditHead(store);
    if (head === null) throw new Error('no head');
    const missing = [
      { seq: 12, hash: 'a' },
      { seq: 9, hash: 'b' },
    ];
    expect(await verifyAudit(store, missing)).toMatchObject({ ok: false, firstBad: 6, reason: 'missing', entries: 5 });
    expect(await verifyAudit(store, [head, { ...head, hash: 'f'.repeat(64) }])).toMatchObject({
      ok: false,
      firstBad: 5,
      reason: 'not the remembered entry',
    });
    const never = { seq: -1, hash: 'x' };
    expect(await verifyAudit(store, [never, ...missing])).toMatchObject({ ok: false, firstBad: 1, entries: 5 });
    expect(await verifyAudit(store, [...missing, never])).toMatchObject({ ok: false, firstBad: 1, entries: 5 });
    expect(await verifyAudit(store, [{ seq: -1, hash: 'x' }])).toMatchObject({ ok: false, firstBad: 1 });
    await tamper(4, (block) => ({ ...block, entries: JSON.parse('7') }));
    expect(await verifyAudit(store)).toMatchObject({ ok: false, firstBad: 4, reason: 'changed', entries: 3 });
  });

  it('an entry that cannot be hashed fails alone; those that wait beside it are written', async () => {
    const results = await Promise.allSettled([
      log.appendOnce([entry(1)]),
      log.appendOnce([{ ...entry(2), details: { n: Number.NaN } }]),
      log.appendOnce([entry(3)]),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await verifyAudit(store)).toMatchObject({ ok: true, entries: 2 });
  });

  it('a reply that is lost after the write arrived: the same entry told again is there once', async () => {
    const flaky = new AuditLog(losingReplies(store, 1), clock, { actor: 'alice' });
    await expect(flaky.appendOnce([entry(1)])).rejects.toMatchObject({ code: 'MONGODB_UNAVAILABLE' });
    await flaky.appendOnce([entry(1)]);
    await flaky.appendOnce([entry(2)]);
    expect(await verifyAudit(store)).toMatchObject({ ok: true, entries: 2 });
  });
});

/** A store whose first `count` inserts arrive and then seem to fail. */
function losingReplies(inner: Store, count: number): Store {
  let left = count;
  return {
    serverTime: () => inner.serverTime(),
    collection<T extends LedgerDocument>(name: string): StoreCollection<T> {
      const collection = inner.collection<T>(name);
      return {
        insertMany: (documents) => collection.insertMany(documents),
        get: (id) => collection.get(id),
        find: (filter, options) => collection.find(filter, options),
        count: (filter) => collection.count(filter),
        replace: (document) => collection.replace(document),
        remove: (id, rev) => collection.remove(id, rev),
        removeMany: (filter) => collection.removeMany(filter),
        async insert(document) {
          const outcome = await collection.insert(document);
          if (left-- > 0) throw new MoraineError('MONGODB_UNAVAILABLE', 'The reply was lost.');
          return outcome;
        },
      };
    },
  };
}
