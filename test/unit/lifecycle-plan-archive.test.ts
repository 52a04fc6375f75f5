/** The plan of one archive, write by write: what it pins, what it stands on, and who may write it. */
import { BSON } from 'bson';
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { NO_OUTCOMES } from '../../src/ledger/archive-document.ts';
import { archives, claimArchive, moveArchive } from '../../src/ledger/archives.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { claimPartition, partitionId, partitions } from '../../src/ledger/partitions.ts';
import type { ArchiveState } from '../../src/ledger/states.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { pause } from '../../src/lifecycle/pause.ts';
import type { PartitionPlan } from '../../src/lifecycle/plan.ts';
import { planNextArchives } from '../../src/lifecycle/plan-archive.ts';
import { compile } from '../../src/policy/compile.ts';
import { type Policy, policyVersion } from '../../src/policy/policy.ts';
import { ACME } from '../harness/a-hold.ts';
import { anArchive } from '../harness/an-archive.ts';
import { watched } from '../harness/ledger-world.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const AS_OF = new Date('2023-01-01T00:00:00Z');
const OLDEST = new Date('2022-01-01T00:00:00Z');

let world: MemoryWorld;
let policy: Policy;
let context: Context;
beforeEach(async () => {
  world = await MemoryWorld.open();
  policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: inventory, dueWindow: 30 days }
limits: { records: 1000, share: 1.0 }
`);
  context = world.context(undefined, { asOf: AS_OF.toISOString() });
});

function planned(fields: Partial<PartitionPlan> = {}): PartitionPlan {
  return {
    owner: ACME.owner,
    customer: ACME.customer,
    dataset: ACME.namespace,
    due: 3,
    bytes: 300,
    oldest: OLDEST,
    expired: 0,
    held: 0,
    paused: [],
    seal: { seal: true, reason: 'flush', text: '' },
    reasons: [],
    ...fields,
  };
}

async function plan(fields: Partial<PartitionPlan> = {}, by = context) {
  const [archive] = await planNextArchives(by, policy, planned(fields));
  if (archive === undefined) throw new Error('Nothing was planned.');
  const document = await archives(world.store).get(archive);
  if (document === null) throw new Error('It was not written.');
  return document;
}

/** An archive of the partition that was there before. */
async function before(state: ArchiveState, sequence: number, bound: Uint8Array | null, _id = `old${sequence}`) {
  const made = anArchive({ _id: id.archive(_id), state, sequence });
  await archives(world.store).insert({ ...made, plan: { ...made.plan, bound } });
}

const boundAt = (day: string) => BSON.serialize({ t: new Date(day), i: 'x' });

/** The context, with something done once, right before the first or the named call of this kind. */
function meeting(collection: string, call: string, meet: () => unknown, nth = 1): Context {
  let seen = 0;
  const store = watched(context.store, async (at, made) => {
    if (at !== collection || made !== call) return;
    seen += 1;
    if (seen === nth) await meet();
  });
  return { ...context, store };
}

const leaseOf = async () => await partitions(world.store).get(partitionId(ACME.namespace, ACME.owner, ACME.customer));

test('the first of a partition: all that it will hold is written, and nothing of it exists', async () => {
  const now = world.clock.now();
  const archive = await plan();
  const compiled = compile(policy);
  expect(archive).toEqual({
    _id: archive._id,
    v: archive.v,
    rev: 0,
    state: 'planned',
    quarantinedFrom: null,
    quarantineReason: null,
    policy: 'chats',
    policyVersion: policyVersion(policy),
    ...ACME,
    partition: partitionId(ACME.namespace, ACME.owner, ACME.customer),
    sequence: 1,
    verifyLevel: 'inventory',
    vault: world.vault.locate(context.installation.id, ACME.owner, ACME.customer),
    plan: {
      after: null,
      bound: null,
      before: compiled.superset(AS_OF.getTime()).dueBefore,
      asOf: AS_OF,
      records: 3,
      bytes: 300,
      reachedEnd: false,
      latestPurgeAt: new Date('2029-01-31T00:00:00Z'),
    },
    epoch: 0,
    lease: null,
    attempt: null,
    attemptCount: 0,
    stored: null,
    verifiedAt: null,
    dueAt: null,
    outcomes: NO_OUTCOMES,
    unfit: 0,
    rosterShrunk: false,
    purge: null,
    createdAt: now,
    changedAt: now,
    unaudited: [
      {
        key: `${archive._id}:plan`,
        act: 'archive planned',
        phase: 'outcome',
        subject: { archive: archive._id, owner: ACME.owner, customer: ACME.customer, policy: 'chats' },
        details: { policyVersion: policyVersion(policy), records: 3, bytes: 300, vault: archive.vault.name },
      },
    ],
  });
  expect(await world.all('attempts')).toEqual([]);
  expect((await leaseOf())?.lease).toBeNull();
});

test('its entry is in the chain with its first move', async () => {
  const { _id } = await plan();
  const lease = await claimArchive(context.store, context.audit, _id, context);
  await moveArchive(context.audit, context.clock, lease, { to: 'abandoned' });
  const told: string[] = [];
  for await (const { act } of auditEntries(world.store, { subject: { archive: _id } })) told.push(act);
  expect(told).toEqual(['archive planned', 'archive abandoned']);
});

test('without an oldest record the window counts from now', async () => {
  const { plan: made } = await plan({ oldest: null });
  expect(made.latestPurgeAt).toEqual(new Date('2030-01-31T00:00:00Z'));
});

test('it stands on the highest archive that is not cleared, and takes the number after the newest of all', async () => {
  const low = boundAt('2020-01-01');
  const high = boundAt('2020-02-01');
  await before('verified', 1, low);
  await before('stored', 2, high);
  await before('cleared', 3, boundAt('2020-03-01'));
  await before('abandoned', 4, null);
  const { sequence, plan: made } = await plan();
  expect(sequence).toBe(5);
  expect(Buffer.from(made.after ?? []).equals(high)).toBe(true);
});

test('all are cleared: it begins at the bottom, with the next number', async () => {
  await before('cleared', 1, boundAt('2020-01-01'));
  expect(await plan()).toMatchObject({ sequence: 2, plan: { after: null } });
});

test.each(['planned', 'storing'] as const)(
  'one that is %s and has no bound yet: carried on, none beside it',
  async (state) => {
    await before(state, 1, null);
    expect((await plan())._id).toBe('old1');
    expect(await world.archives()).toHaveLength(1);
    expect((await leaseOf())?.lease).toBeNull();
  },
);

test('another number or another partition is no matter', async () => {
  await plan();
  const other = await plan({ customer: id.customer('south') });
  expect(other).toMatchObject({ sequence: 1, customer: 'south', vault: { customer: 'south' } });
});

test.each([
  { what: 'policy', name: 'chats' },
  { what: 'owner', name: 'acme' },
  { what: 'all', name: null },
] as const)('paused %o: nothing is planned', async (target) => {
  await pause(world.context(), target, { by: 'ann', reason: 'a look' });
  await expect(plan()).rejects.toMatchObject({ code: 'PAUSED' });
  expect(await world.archives()).toEqual([]);
});

test('a pause of others stops nothing', async () => {
  await pause(world.context(), { what: 'policy', name: 'mails' }, { by: 'ann', reason: 'a look' });
  await pause(world.context(), { what: 'owner', name: 'other' }, { by: 'ann', reason: 'a look' });
  expect(await plan()).toMatchObject({ state: 'planned' });
});

test('the clocks do not agree: nothing is planned, nobody is kept waiting', async () => {
  const source = new Proxy(context.source, {
    get: (target, name) =>
      name === 'serverTime' ? async () => new Date(world.clock.now().getTime() + 3_600_000) : Reflect.get(target, name),
  });
  await expect(plan({}, { ...context, source })).rejects.toMatchObject({ code: 'CLOCK_DISAGREES' });
  expect(await world.archives()).toEqual([]);
});

test('what is due is read before the clocks are compared: one that is set ahead in between decides nothing', async () => {
  const real = world.context();
  const was = world.clock.now();
  const source = new Proxy(real.source, {
    get: (target, name) =>
      name === 'serverTime'
        ? async () => {
            world.clock.advance(1_000);
            return world.clock.now();
          }
        : Reflect.get(target, name),
  });
  expect((await plan({}, { ...real, source })).plan.asOf).toEqual(was);
});

test('another worker plans in the partition: LEASE_HELD, nothing is written', async () => {
  const of = { namespace: ACME.namespace, owner: ACME.owner, customer: ACME.customer };
  const lease = await claimPartition(world.store, of, world.context());
  await expect(plan()).rejects.toMatchObject({ code: 'LEASE_HELD' });
  expect(await world.archives()).toEqual([]);
  await lease.giveUp();
  expect(await plan()).toMatchObject({ sequence: 1 });
});

test('another worker claimed the partition while this one read, and its own clock does not say so: nothing is written', async () => {
  const claimed = async () => {
    const document = await leaseOf();
    if (document === null) throw new Error('It was not claimed.');
    await partitions(world.store).replace({ ...document, epoch: document.epoch + 1 });
  };
  // The first write is the claim itself, the second one the look at whether it is still ours.
  await expect(plan({}, meeting('partitions', 'replace', claimed, 2))).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect(await world.archives()).toEqual([]);
});

test('it slept with its insert on the way: the number is taken, and one plan stands', async () => {
  let other: string | null = null;
  const late = meeting('archives', 'insert', async () => {
    world.letLeasesEnd();
    other = (await plan({}, world.context(undefined, { asOf: AS_OF.toISOString() })))._id;
  });
  await expect(plan({}, late)).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect((await world.archives()).map(({ _id }) => _id)).toEqual([other]);
});

test('it slept right before its insert: the lease is looked at, and nothing is written', async () => {
  let isSlow = false;
  const slow: Context = {
    ...context,
    newId: () => {
      if (!isSlow) world.letLeasesEnd();
      isSlow = true;
      return context.newId();
    },
  };
  await expect(plan({}, slow)).rejects.toMatchObject({ code: 'LEASE_LOST' });
  expect(await world.archives()).toEqual([]);
});

test('its own insert, made again by the driver after a lost reply: it is ours', async () => {
  const twice: Context = {
    ...context,
    store: {
      serverTime: () => context.store.serverTime(),
      collection: (name) => {
        const inner = context.store.collection(name);
        if (name !== 'archives') return inner as never;
        return new Proxy(inner, {
          get: (target, call) =>
            call === 'insert'
              ? async (document: never) => {
                  await target.insert(document);
                  return await target.insert(document);
                }
              : Reflect.get(target, call),
        }) as never;
      },
    },
  };
  expect(await plan({}, twice)).toMatchObject({ state: 'planned', sequence: 1 });
});

test('a vault that moraine.yaml does not name: nothing is written, and the lease is free', async () => {
  await expect(plan({}, { ...context, vaults: new Map() })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  expect(await world.archives()).toEqual([]);
  expect((await leaseOf())?.lease).toBeNull();
});
