/** Which records go into one archive, call by call: what is passed over, where the archive ends, and what its bounds say. */
import { BSON } from 'bson';
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import type { ArchivePlan } from '../../src/ledger/archive-document.ts';
import { type ArchiveLease, archives, claimArchive } from '../../src/ledger/archives.ts';
import { holds } from '../../src/ledger/holds.ts';
import { pauses } from '../../src/ledger/pauses.ts';
import { findQuarantine } from '../../src/ledger/quarantine.ts';
import { exemptRecords, markQuarantined } from '../../src/ledger/record-marks.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { markScope } from '../../src/lifecycle/read-marks.ts';
import { type Selection, selectRecords } from '../../src/lifecycle/select-records.ts';
import { type Policy, policyVersion, toShape } from '../../src/policy/policy.ts';
import type { SourcePort } from '../../src/source/port.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import { ACME, aHold } from '../harness/a-hold.ts';
import { anArchive } from '../harness/an-archive.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const AS_OF = new Date('2024-06-01T00:00:00Z');
const MIB = 1024 * 1024;

let world: MemoryWorld;
let policy: Policy;
beforeEach(async () => {
  world = await MemoryWorld.open();
  policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 30 days }
limits: { records: 1000, share: 1.0 }
`);
});

const at = (day: string, time = 'T00:00:00.000Z') => new Date(day + time);
const record = (_id: string, day = '2020-01-01', more: BSON.Document = {}) => ({
  _id,
  owner: 'acme',
  tenant: 'north',
  at: at(day),
  ...more,
});
const put = (...records: readonly BSON.Document[]) => {
  for (const one of records) world.put(policy, one);
};
const rawOf = (document: BSON.Document) => BSON.serialize(document);
const positionOf = (document: BSON.Document) => world.source.position(toShape(policy), rawOf(document));
const keyOf = (_id: string) => world.source.keyOf(idBytesOf(rawOf({ _id })));

async function leaseOf(context: Context, plan: Partial<ArchivePlan> = {}): Promise<ArchiveLease> {
  const archive = anArchive({
    state: 'storing',
    policyVersion: policyVersion(policy),
    plan: {
      after: null,
      bound: null,
      before: AS_OF.getTime(),
      asOf: AS_OF,
      records: 1_000,
      bytes: 1,
      reachedEnd: false,
      latestPurgeAt: AS_OF,
      ...plan,
    },
  });
  await archives(world.store).insert(archive);
  return await claimArchive(context.store, context.audit, archive._id, context);
}

/** Selects, and tells what was taken. */
async function select(
  plan: Partial<ArchivePlan> = {},
  context: Context = world.context(),
): Promise<{ taken: string[]; selection: Selection }> {
  const taken: string[] = [];
  const selection = await selectRecords(context, await leaseOf(context, plan), policy, async ({ raw }) => {
    taken.push(String(BSON.deserialize(raw)['_id']));
  });
  return { taken, selection };
}

function withSource(context: Context, over: Partial<SourcePort>): Context {
  const source = new Proxy(context.source, {
    get: (target, name) => Reflect.get(Reflect.has(over, name) ? over : target, name),
  });
  return { ...context, source };
}

test('nothing is there: no records, no bound, the end was reached', async () => {
  put(record('of-another', '2020-01-01', { tenant: 'south' }));
  const { taken, selection } = await select();
  expect(taken).toEqual([]);
  expect(selection).toMatchObject({ records: 0, unfit: 0, bound: null, reachedEnd: true, leftOut: [] });
});

test('all that is due is taken, in order, and the dates of first and last are told', async () => {
  put(record('b', '2020-01-10'), record('a', '2020-01-01'), record('young', '2023-01-01'));
  const taken: [number, number][] = [];
  const context = { ...world.context(), progress: { archived: (...of: [number, number]) => taken.push(of) } };
  const { selection, ...found } = await select({}, context);
  expect(found.taken).toEqual(['a', 'b']);
  expect(selection).toEqual({
    records: 2,
    unfit: 0,
    firstDueAt: at('2022-01-01'),
    firstPurgeAt: at('2029-01-01'),
    lastPurgeAt: at('2029-01-10'),
    triggerFrom: at('2020-01-01'),
    triggerTo: at('2020-01-10'),
    rules: [{ rule: 'the active period', records: 2 }],
    bound: positionOf(record('young', '2023-01-01')),
    reachedEnd: true,
    leftOut: [],
  });
  expect(taken).toEqual([
    [1, rawOf(record('a')).length],
    [1, rawOf(record('b', '2020-01-10')).length],
  ]);
});

test('due at the instant of the plan is taken, a millisecond later is not', async () => {
  put(
    record('now', '2022-06-01'),
    { ...record('later'), at: new Date(at('2022-06-01').getTime() + 1) },
    record('old', '2022-05-20'),
  );
  expect((await select()).taken).toEqual(['old', 'now']);
});

test('past its archive period too: not taken, and passed by', async () => {
  put(record('expired', '2010-01-01'), record('due'));
  const { taken, selection } = await select();
  expect(taken).toEqual(['due']);
  expect(selection).toMatchObject({ records: 1, bound: positionOf(record('due')), reachedEnd: true });
});

test('only what lies above the bound of the archive below, up to its own bound, and before the end of the plan', async () => {
  put(record('1', '2020-01-01'), record('2', '2020-01-02'), record('3', '2020-01-03'), record('4', '2020-01-04'));
  const within = { after: positionOf(record('1', '2020-01-01')), bound: positionOf(record('3', '2020-01-03')) };
  expect((await select(within)).taken).toEqual(['2', '3']);
  await archives(world.store).removeMany({});
  expect((await select({ before: at('2020-01-03').getTime() })).taken).toEqual(['1', '2']);
});

test('no more than was planned: what came since waits, and the bound is the last record that was taken', async () => {
  put(record('a', '2020-01-01'), record('b', '2020-01-02'), record('c', '2020-01-03'));
  const { taken, selection } = await select({ records: 2 });
  expect(taken).toEqual(['a', 'b']);
  expect(selection).toMatchObject({ records: 2, bound: positionOf(record('b', '2020-01-02')), reachedEnd: false });
});

test('nothing was planned: nothing is taken, and there is no bound', async () => {
  put(record('a'));
  const { taken, selection } = await select({ records: 0 });
  expect(taken).toEqual([]);
  expect(selection).toMatchObject({ records: 0, bound: null, reachedEnd: false });
});

test('the due window: the last purge date that lies in it is taken, one millisecond later ends the archive', async () => {
  const beyond = { ...record('beyond'), at: new Date(at('2020-01-31').getTime() + 1) };
  put(record('first', '2020-01-01'), record('last', '2020-01-31'), beyond);
  const { taken, selection } = await select();
  expect(taken).toEqual(['first', 'last']);
  expect(selection).toMatchObject({ lastPurgeAt: at('2029-01-31'), triggerTo: at('2020-01-31'), reachedEnd: false });
});

test('two triggers of one purge date: the dates are those of both', async () => {
  // 29 February and 28 February are two years later the same day.
  put(record('a', '2020-02-28'), record('b', '2020-02-29'));
  const { selection } = await select();
  expect(selection).toMatchObject({
    firstPurgeAt: at('2029-02-28'),
    lastPurgeAt: at('2029-02-28'),
    firstDueAt: at('2022-02-28'),
    triggerTo: at('2020-02-29'),
  });
});

test('224 MiB fill an archive, to the byte', async () => {
  const large = (_id: string, day: string, bytes: number) => {
    const empty = rawOf(record(_id, day, { noise: new BSON.Binary(new Uint8Array(0)) })).length;
    return record(_id, day, { noise: new BSON.Binary(new Uint8Array(bytes - empty)) });
  };
  const records = Array.from({ length: 15 }, (_, n) =>
    large(`r${String(n).padStart(2, '0')}`, '2020-01-01', n === 14 ? 7 * MIB : 15.5 * MIB),
  );
  // 14 of 15.5 MiB are 217; one of 7 fills it to the last byte.
  put(...records, record('z', '2020-01-02'));
  const { taken, selection } = await select();
  expect(taken).toHaveLength(15);
  expect(taken).not.toContain('z');
  expect(selection).toMatchObject({ records: 15, reachedEnd: false });
});

test('exempt, in quarantine, held, of no use to the guard: passed over one by one, and the rest goes', async () => {
  put(record('exempt'), record('quarantined'), record('held', '2020-01-02'), record('due', '2020-01-03'));
  const context = world.context();
  const scope = await markScope(context, ACME.namespace, ACME.owner, ACME.customer);
  await exemptRecords(world.store, scope, [keyOf('exempt')], new Date(AS_OF.getTime() + 1));
  await markQuarantined(world.store, scope, [keyOf('quarantined')]);
  const hold = aHold({ _id: 'narrow', ...ACME, triggerFrom: at('2020-01-02'), triggerBefore: at('2020-01-03') });
  await holds(world.store).insert(hold);
  const shape = withSource(context, {
    fitness: (dataset, raw) =>
      BSON.deserialize(raw)['_id'] === 'unfit' ? 'too-large' : context.source.fitness(dataset, raw),
  });
  put(record('unfit', '2020-01-04'));
  const { taken, selection } = await select({}, shape);
  expect(taken).toEqual(['due']);
  expect(selection).toMatchObject({ records: 1, unfit: 1, leftOut: ['narrow'], reachedEnd: true });
  // The unfit one was the last that was looked at: no later plan meets it again below its bound.
  expect(selection.bound).toEqual(positionOf(record('unfit', '2020-01-04')));
  const entries: unknown[] = [];
  for await (const { reason, owner, customer, policy: name, namespace } of findQuarantine(world.store, {}))
    entries.push({ reason, owner, customer, name, namespace });
  expect(entries).toEqual([{ reason: 'too-large', ...ACME, name: 'chats' }]);
});

test('a record that is not due is not looked at for its fitness: it is left alone', async () => {
  put(record('young', '2022-06-02'), record('due'));
  const context = withSource(world.context(), {
    fitness: (_, raw) => (BSON.deserialize(raw)['_id'] === 'young' ? 'too-large' : null),
  });
  const { taken, selection } = await select({}, context);
  expect(taken).toEqual(['due']);
  expect(selection.unfit).toBe(0);
});

test.each([{ owner: id.owner('other') }, { customer: id.customer('south') }])(
  'a record of %o in the scan: a bug, nothing is taken',
  async (wrong) => {
    put(record('a'));
    const context = world.context();
    const mixed = withSource(context, {
      facts: (dataset, raw) => ({ ...context.source.facts(dataset, raw), ...wrong }),
    });
    await expect(select({}, mixed)).rejects.toMatchObject({ code: 'INTERNAL' });
  },
);

test('a pause, and the word to stop: looked at with the first batch, and a pause again every five seconds', async () => {
  put(...Array.from({ length: 4 }, (_, n) => record(`r${n}`)));
  const context = world.context();
  const looks: string[] = [];
  const store: Context['store'] = {
    serverTime: () => context.store.serverTime(),
    collection: (name) => {
      if (name === 'pauses') looks.push(`look at ${world.clock.monotonicMs()}`);
      return context.store.collection(name);
    },
  };
  const waits = [4_999, 1, 4_999, 1];
  const stretched = withSource(context, {
    scan: async function* (...args) {
      for await (const batch of context.source.scan(...args)) {
        for (const one of batch) {
          yield [one];
          world.clock.advance(waits.shift() ?? 0);
        }
      }
    },
  });
  await select({}, { ...stretched, store });
  expect(looks).toEqual(['look at 0', 'look at 5000']);
});

test('paused: nothing more is taken; told to stop: the same', async () => {
  put(record('a'));
  await pauses(world.store).insert({
    _id: 'p1',
    v: 1,
    what: 'policy',
    name: 'chats',
    state: 'paused',
    reason: 'a look',
    pausedBy: 'ann',
    askedAt: AS_OF,
    pausedAt: AS_OF,
    tooLate: [],
    resumedBy: null,
    resumedAt: null,
    resumeReason: null,
  });
  await expect(select()).rejects.toMatchObject({ code: 'PAUSED' });
  await pauses(world.store).removeMany({});
  await archives(world.store).removeMany({});
  const stop = new AbortController();
  const context = world.context(undefined, { signal: stop.signal });
  const stopping = withSource(context, {
    scan: async function* (...args) {
      for await (const batch of context.source.scan(...args)) {
        stop.abort();
        yield batch;
      }
    },
  });
  const taken: unknown[] = [];
  const lease = await leaseOf(stopping);
  const selecting = selectRecords(stopping, lease, policy, async (one) => void taken.push(one));
  await expect(selecting).rejects.toMatchObject({ code: 'WORK_STOPPED' });
  expect(taken).toEqual([]);
});

test('a lease that ended while the source was slow: nothing is taken by whoever lost it', async () => {
  put(record('a'));
  const context = world.context();
  const slow = withSource(context, {
    scan: async function* (...args) {
      for await (const batch of context.source.scan(...args)) {
        world.letLeasesEnd();
        await leaseAgain();
        yield batch;
      }
    },
  });
  const leaseAgain = async () => {
    const other = world.context();
    await claimArchive(other.store, other.audit, id.archive('a1'), other);
  };
  await expect(select({}, slow)).rejects.toMatchObject({ code: 'LEASE_LOST' });
});
