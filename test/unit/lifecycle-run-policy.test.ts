/** A run, step by step: whose archives it carries on, what it takes of each partition, what it tells of what failed, and what ends it. */
import type { BSON } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import { MoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { archives, claimArchive } from '../../src/ledger/archives.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { PARTITIONS_AT_ONCE } from '../../src/lifecycle/each-of.ts';
import { pause } from '../../src/lifecycle/pause.ts';
import { type PolicyRun, runPolicy } from '../../src/lifecycle/run-policy.ts';
import { type Policy, policyVersion } from '../../src/policy/policy.ts';
import type { VaultPort } from '../../src/vault/port.ts';
import { anArchive } from '../harness/an-archive.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const RUN_AT = '2024-06-01T00:00:00Z';
const NOTHING = { archived: 0, deleted: 0, changed: 0, held: 0, gone: 0, quarantined: 0, pending: 0 };
const YAML = (limits: string) => `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 30 days }
limits: ${limits}
`;

let world: MemoryWorld;
let policy: Policy;
beforeEach(async () => {
  world = await MemoryWorld.open();
  policy = await world.publish(YAML('{ records: 1000, share: 1.0 }'));
});

function put(_id: string, fields: BSON.Document = {}): void {
  world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date('2020-01-01'), ...fields });
}

function contextOf(more: Partial<VaultPort> = {}, fields: Partial<Context> = {}): Context {
  const base = world.context(undefined, { asOf: RUN_AT });
  const vaults = [...base.vaults].map(([key, vault]) => [key, overlay<VaultPort>(vault, more)] as const);
  return { ...base, vaults: new Map(vaults), ...fields };
}

async function run(context: Context = contextOf(), saidBy: string | null = null): Promise<PolicyRun> {
  return await runPolicy(context, policy, { flush: true, expired: saidBy === null ? null : { saidBy } });
}

const leases = async () => (await world.archives()).map(({ lease }) => lease);

describe('paused', () => {
  test('the policy: nothing is planned or carried on, and it says by what', async () => {
    put('a');
    await archives(world.store).insert(anArchive({ state: 'planned', stored: null }));
    const { _id } = await pause(world.context(), { what: 'policy', name: 'chats' }, { by: 'ann', reason: 'look' });
    const done = await run();
    expect(done).toMatchObject({ policy: 'chats', version: policyVersion(policy), plan: null, archives: [] });
    expect(done).toMatchObject({ problems: [], paused: [`${_id} (policy chats)`], newlyQuarantined: 0 });
    expect([done.expired, done.disposed]).toEqual([[], []]);
    expect(done.totals).toMatchObject({ selected: 0, unfit: 0, ...NOTHING });
    expect(await world.archives()).toMatchObject([{ state: 'planned' }]);
  });

  test('an owner, while its archive waits to be carried on: told once, and no problem', async () => {
    put('a');
    await run(contextOf({ storeWhole: () => Promise.reject(new Error('cut')) }));
    const { _id } = await pause(world.context(), { what: 'owner', name: 'acme' }, { by: 'ann', reason: 'look' });
    expect(await run()).toMatchObject({ problems: [], paused: [`${_id} (owner acme)`] });
    expect(await world.archives()).toMatchObject([{ state: 'planned', lease: null }]);
  });
});

describe('carried on', () => {
  /** The archives whose pinned policy version the ledger does not have: each that is carried on is a problem. */
  const unknown = id.policyVersion('e'.repeat(64));
  type Row = [string, Partial<ArchiveDocument>, boolean];
  test.each<Row>([
    ['planned', { state: 'planned', rosterShrunk: false }, true],
    ['storing', { state: 'storing', rosterShrunk: false }, true],
    ['stored', { state: 'stored', rosterShrunk: false }, true],
    ['verified', { state: 'verified', rosterShrunk: false }, true],
    ['cleared, its roster is there', { rosterShrunk: false }, true],
    ['cleared', { rosterShrunk: true }, false],
    ['purging', { state: 'purging' }, false],
    ['abandoned', { state: 'abandoned', rosterShrunk: false }, false],
    ['of another policy, planned', { state: 'planned', policy: 'calls' }, false],
    ['of another policy, cleared', { policy: 'calls', rosterShrunk: false }, false],
  ])('%s', async (_, fields, isCarriedOn) => {
    await archives(world.store).insert(anArchive({ policyVersion: unknown, ...fields }));
    const { problems } = await run();
    const told = { owner: 'acme', customer: 'north', archive: 'a1', code: 'POLICY_UNKNOWN' };
    expect(problems).toMatchObject(isCarriedOn ? [told] : []);
    expect(problems).toHaveLength(isCarriedOn ? 1 : 0);
  });

  test('one that another worker has: left to it, and no problem', async () => {
    put('a');
    await run(contextOf({ storeWhole: () => Promise.reject(new Error('cut')) }));
    const [archive] = await world.archives();
    const other = { worker: id.worker('other'), clock: world.clock };
    await claimArchive(world.store, contextOf().audit, archive?._id ?? id.archive(''), other);
    expect(await run()).toMatchObject({ problems: [], totals: { archived: 0 } });
  });

  test('its outcomes are part of the totals, and so is what is planned beside it', async () => {
    put('a');
    await run(contextOf({ storeWhole: () => Promise.reject(new Error('cut')) }));
    put('b', { tenant: 'south' });
    const done = await run();
    expect(done.archives.map(({ customer, state }) => [customer, state]).sort()).toEqual([
      ['north', 'cleared'],
      ['south', 'cleared'],
    ]);
    expect(done.totals).toMatchObject({ selected: 1, archived: 2, deleted: 2, pending: 0 });
  });
});

describe('a partition', () => {
  const SPLIT = ['2020-01-01', '2020-01-20', '2020-03-01', '2020-07-01'];
  const putSplit = () => SPLIT.map((day) => put(day, { at: new Date(day) }));

  test('is taken archive after archive, each planned for what the ones before left', async () => {
    putSplit();
    const planned: number[] = [];
    const done = await run(contextOf({}, { progress: { planned: (records) => planned.push(records) } }));
    expect(planned).toEqual([4]);
    const inOrder = [...done.archives].sort((a, b) => a.sequence - b.sequence);
    const bytes = done.plan?.totals.bytes ?? 0;
    expect(inOrder.map(({ plan }) => [plan.records, plan.bytes])).toEqual([
      [4, bytes],
      [2, bytes / 2],
      [1, bytes / 4],
    ]);
    expect(done).toMatchObject({ problems: [], totals: { selected: 4, archived: 4, deleted: 4 } });
  });

  test('ends with an archive that goes to quarantine: the records behind it wait', async () => {
    putSplit();
    const base = contextOf();
    const keys = overlay(base.keys, {
      readBack: () => Promise.reject(new MoraineError('KEY_MISSING', 'It is not there.')),
    });
    const done = await run({ ...base, keys });
    expect(done.archives).toMatchObject([{ state: 'quarantined', quarantinedFrom: 'stored' }]);
    expect(done.newlyQuarantined).toBe(1);
    expect(world.idsIn(policy)).toHaveLength(4);
    expect(await world.archives()).toHaveLength(1);
  });

  test('whose records went since they were counted: its archive is abandoned, and not listed', async () => {
    put('a');
    const done = await run(
      contextOf({
        ensure: async (location) => {
          for (const raw of [...world.idsIn(policy)]) put(raw, { tenant: 'south' });
          await world.vault.ensure(location);
        },
      }),
    );
    expect(await world.archives()).toMatchObject([{ state: 'abandoned' }]);
    expect(done).toMatchObject({ archives: [], problems: [], totals: { selected: 1, archived: 0 } });
  });

  test('that waits for more records: nothing of it is taken, until it is said to seal what waits', async () => {
    put('young', { at: new Date('2022-05-31') });
    const waiting = await runPolicy(contextOf(), policy, { flush: false, expired: null });
    expect(waiting.plan?.partitions).toMatchObject([{ due: 1, seal: { seal: false } }]);
    expect(waiting).toMatchObject({ archives: [], problems: [], totals: { selected: 0, archived: 0 } });
    expect(await world.archives()).toEqual([]);
    expect(await run()).toMatchObject({ totals: { selected: 1, deleted: 1 } });
  });

  /** The vault, and what happens when the first archive is about to be stored. */
  const whenFirst = (happens: () => void): Partial<VaultPort> => {
    let hasHappened = false;
    return {
      ensure: async (location) => {
        if (!hasHappened) happens();
        hasHappened = true;
        await world.vault.ensure(location);
      },
    };
  };

  test('of which some went since they were counted: no archive is planned for those', async () => {
    put('a');
    put('b');
    const done = await run(contextOf(whenFirst(() => put('b', { tenant: 'south' }))));
    expect(done.totals).toMatchObject({ selected: 2, archived: 1, deleted: 1 });
    expect(await world.archives()).toHaveLength(1);
  });

  test('to which more came: no more than was counted is taken, unfit ones included, and no archive is planned for the rest', async () => {
    put('a');
    put('large');
    const late = ['2020-03-01', '2020-03-02', '2020-07-01'];
    const base = contextOf(whenFirst(() => late.map((day) => put(day, { at: new Date(day) }))));
    const source = overlay(base.source, {
      fitness: (_shape, raw) => (Buffer.from(raw).includes('large') ? 'too-large' : null),
    });
    const done = await run({ ...base, source });
    expect(done.totals).toMatchObject({ selected: 2, unfit: 1, archived: 1, deleted: 1 });
    expect(await world.archives()).toHaveLength(1);
    expect(world.idsIn(policy)).toEqual([...late, 'large']);
  });

  test('of an owner that the configuration does not have: told, and nothing of it is begun', async () => {
    put('a');
    put('old', { at: new Date('2010-01-01') });
    const done = await run(contextOf({}, { owners: new Set([id.owner('other')]) }), 'ann');
    const told = { owner: 'acme', customer: 'north', code: 'OWNER_UNKNOWN' };
    expect(done.problems).toMatchObject([told, told]);
    expect(done.problems[0]).not.toHaveProperty('archive');
    expect(await world.archives()).toEqual([]);
    expect(world.idsIn(policy)).toEqual(['a', 'old']);
  });

  test('of which nothing is due: its owner is not asked about, until somebody says that what is expired may go', async () => {
    put('old', { at: new Date('2010-01-01') });
    const strangers = () => contextOf({}, { owners: new Set([id.owner('other')]) });
    expect(await run(strangers())).toMatchObject({ problems: [], plan: { totals: { expired: 1 } } });
    expect((await run(strangers(), 'ann')).problems).toMatchObject([{ code: 'OWNER_UNKNOWN' }]);
  });

  test('of an owner whose administrators do not suffice: told, and no archive is begun', async () => {
    put('a');
    const base = contextOf();
    const none = new MoraineError('OWNER_WITHOUT_ADMINISTRATOR', 'Nobody could open it.');
    const keys = overlay(base.keys, { assertRecipients: () => Promise.reject(none) });
    expect(await run({ ...base, keys })).toMatchObject({ problems: [{ code: 'OWNER_WITHOUT_ADMINISTRATOR' }] });
    expect(await world.archives()).toEqual([]);
  });
});

describe('what fails', () => {
  type Row = [string, unknown, object];
  test.each<Row>([
    [
      'that a person has to look at',
      new MoraineError('VAULT_LIMIT', 'One vault too many.', { hint: 'Ask for more.' }),
      { code: 'VAULT_LIMIT', text: 'One vault too many.', hint: 'Ask for more.', needsPerson: true },
    ],
    [
      'that is tried again',
      new MoraineError('VAULT_UNAVAILABLE', 'Away.', { hint: 'Wait.' }),
      { code: 'VAULT_UNAVAILABLE', text: 'Away.', hint: 'Wait.', needsPerson: false },
    ],
    ['in one archive only', new MoraineError('ARCHIVE_CORRUPT', 'Bad bytes.'), { needsPerson: true }],
    [
      'by a mistake of ours',
      new Error('no such thing'),
      { code: 'INTERNAL', text: 'no such thing', hint: expect.stringContaining('Report'), needsPerson: false },
    ],
    ['with something that is no error', 'just words', { code: 'INTERNAL', text: 'just words', needsPerson: false }],
  ])('%s: told with whose it is, and stops no other', async (_, error, expected) => {
    put('a');
    put('b', { tenant: 'south' });
    const ensure: VaultPort['ensure'] = async (location) => {
      if (location.customer === 'north') throw error;
      await world.vault.ensure(location);
    };
    const logged: unknown[] = [];
    const log = { ...contextOf().log, error: (ids: object, text: string) => logged.push({ ...ids, text }) };
    const { problems, totals } = await run(contextOf({ ensure }, { log }));
    expect(problems).toEqual([expect.objectContaining({ owner: 'acme', customer: 'north', ...expected })]);
    const [{ code, text } = { code: '', text: '' }] = problems;
    expect(logged).toEqual([{ owner: 'acme', customer: 'north', archive: undefined, code, text }]);
    expect(totals).toMatchObject({ archived: 1, deleted: 1 });
    expect(world.idsIn(policy)).toEqual(['a']);
  });
});

describe('told to stop', () => {
  const customers = Array.from({ length: PARTITIONS_AT_ONCE + 3 }, (_, at) => `c${at}`);

  test('before: nothing is planned in the ledger', async () => {
    put('a');
    await expect(run(contextOf({}, { signal: AbortSignal.abort('enough') }))).rejects.toMatchObject({
      code: 'WORK_STOPPED',
    });
    expect(await world.archives()).toEqual([]);
  });

  test('while partitions are worked on: none is begun after it, and it ends when all have given up their leases', async () => {
    for (const tenant of customers) put(tenant, { tenant });
    const stop = new AbortController();
    const asked = new Set<string>();
    let atOnce = 0;
    let most = 0;
    const storeWhole: VaultPort['storeWhole'] = async (location, ...rest) => {
      asked.add(location.customer);
      most = Math.max(most, ++atOnce);
      while (asked.size < PARTITIONS_AT_ONCE) await new Promise((resolve) => setImmediate(resolve));
      const turns = location.customer === [...asked][0] ? 1 : 50;
      stop.abort('enough');
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      atOnce -= 1;
      return await world.vault.storeWhole(location, ...rest);
    };
    await expect(run(contextOf({ storeWhole }, { signal: stop.signal }))).rejects.toMatchObject({
      code: 'WORK_STOPPED',
    });
    expect(atOnce).toBe(0);
    expect(most).toBe(PARTITIONS_AT_ONCE);
    expect(asked.size).toBe(PARTITIONS_AT_ONCE);
    expect(await leases()).toEqual(Array.from({ length: PARTITIONS_AT_ONCE }, () => null));
    const done = await run();
    expect(done.problems).toEqual([]);
    expect(world.idsIn(policy)).toEqual([]);
  });

  test('between two archives of a partition: the second is not begun', async () => {
    put('a');
    put('b', { at: new Date('2020-06-01') });
    const stop = new AbortController();
    const moved: string[] = [];
    const progress = {
      moved: (_: string, to: string) => {
        moved.push(to);
        if (to === 'cleared') stop.abort('enough');
      },
    };
    const stopped = run(contextOf({}, { progress, signal: stop.signal }));
    await expect(stopped).rejects.toMatchObject({ code: 'WORK_STOPPED' });
    expect(moved).toContain('cleared');
    expect(await world.archives()).toHaveLength(1);
    expect(world.idsIn(policy)).toEqual(['b']);
  });
});

describe('caps', () => {
  const capped = (done: PolicyRun) => done.problems.filter(({ code }) => code === 'BLAST_CAP');

  test('over them: told once, with a way to look, and nothing is selected', async () => {
    policy = await world.publish(YAML('{ records: 1, share: 1.0 }'));
    put('a');
    put('b');
    const planned: number[] = [];
    const done = await run(contextOf({}, { progress: { planned: (records) => planned.push(records) } }));
    expect(done.problems).toMatchObject([
      {
        code: 'BLAST_CAP',
        text: expect.stringMatching(/^Policy chats starts nothing: .*limits\.records allows 1/),
        hint: expect.stringContaining('moraine plan chats'),
        needsPerson: true,
      },
    ]);
    expect(done.totals).toMatchObject({ selected: 0, ...NOTHING });
    expect(planned).toEqual([]);
    expect(world.idsIn(policy)).toEqual(['a', 'b']);
  });

  test('that are missing, with nothing due and nothing expired: no problem', async () => {
    policy = await world.publish(YAML('{ records: 1 }'));
    expect(capped(await run(undefined, 'ann'))).toEqual([]);
  });

  test('over them with what is expired: nothing of it is deleted, and what is due goes', async () => {
    policy = await world.publish(YAML('{ records: 1, share: 1.0 }'));
    put('due');
    for (const _id of ['old', 'older']) put(_id, { at: new Date('2010-01-01') });
    expect(capped(await run(undefined, 'ann'))).toHaveLength(1);
    expect(world.idsIn(policy)).toEqual(['old', 'older']);
    policy = await world.publish(YAML('{ records: 2, share: 1.0 }'));
    expect(capped(await run())).toEqual([]);
    expect(world.idsIn(policy)).toEqual(['old', 'older']);
    const done = await run(undefined, 'ann');
    expect(capped(done)).toEqual([]);
    expect(done.expired).toMatchObject([{ outcomes: { archived: 2, deleted: 2 } }]);
    expect(done.totals).toMatchObject({ selected: 0, archived: 0, deleted: 2 });
    expect(world.idsIn(policy)).toEqual([]);
  });
});

test('expired: only the partitions that have such are worked on', async () => {
  put('due', { tenant: 'south' });
  put('old', { at: new Date('2010-01-01') });
  const { expired, disposed } = await run(undefined, 'ann');
  expect(disposed).toEqual([]);
  expect(expired).toMatchObject([{ customer: 'north', outcomes: { deleted: 1 } }]);
});

describe('what cannot be handled', () => {
  test('again after it was mended: counted as new again', async () => {
    put('without', { owner: null });
    expect((await run()).newlyQuarantined).toBe(1);
    world.clock.advance(1_000);
    put('without', { at: new Date('2024-01-01') });
    expect((await run()).totals).toMatchObject({ unfit: 0, quarantined: 0 });
    world.clock.advance(1_000);
    put('without', { owner: null });
    const again = await run();
    expect(again.totals).toMatchObject({ unfit: 1, quarantined: 1 });
    expect(again.newlyQuarantined).toBe(1);
  });

  test('counts as unfit and quarantined at each run, and as new at the first', async () => {
    put('a');
    put('without', { owner: null });
    put('dateless', { at: 'yesterday' });
    const first = await run();
    expect(first.totals).toMatchObject({ selected: 1, unfit: 2, archived: 1, deleted: 1, quarantined: 2 });
    expect(first.newlyQuarantined).toBe(2);
    const second = await run();
    expect(second.totals).toMatchObject({ selected: 0, unfit: 2, quarantined: 2 });
    expect(second.newlyQuarantined).toBe(0);
  });

  test('found while its archive is cleared: counted as quarantined, and as new', async () => {
    put('stubborn');
    const base = contextOf();
    const source = overlay(base.source, { deleteGuarded: async () => ({ deletedCount: 1 }) });
    const done = await run({ ...base, source });
    expect(done.totals).toMatchObject({ archived: 1, deleted: 0, unfit: 0, quarantined: 1, pending: 0 });
    expect(done.newlyQuarantined).toBe(1);
    expect(world.idsIn(policy)).toEqual(['stubborn']);
  });

  test('told once, although the archive is carried on because its roster was not shrunk', async () => {
    put('stubborn');
    const base = contextOf();
    const source = overlay(base.source, { deleteGuarded: async () => ({ deletedCount: 1 }) });
    expect((await run({ ...base, source })).newlyQuarantined).toBe(1);
    const [archive] = await world.archives();
    await archives(world.store).replace({ ...archive!, rosterShrunk: false });
    const again = await run();
    expect(again.archives).toMatchObject([{ _id: archive!._id, rosterShrunk: true, outcomes: { quarantined: 1 } }]);
    expect(again.newlyQuarantined).toBe(0);
  });

  test('told once, although the archive is carried on when its inventory is there; what is found then is new', async () => {
    policy = await world.publish(
      YAML('{ records: 1000, share: 1.0 }').replace('vault: cold,', 'vault: cold, verify: inventory,'),
    );
    for (const name of ['a', 'large', 'stubborn']) put(name);
    const base = contextOf();
    const fitness: Context['source']['fitness'] = (_shape, raw) =>
      Buffer.from(raw).includes('large') ? 'too-large' : null;
    const first = await run({ ...base, source: overlay(base.source, { fitness }) });
    expect(first.archives).toMatchObject([{ state: 'stored', unfit: 1 }]);
    expect(first.newlyQuarantined).toBe(1);
    expect((await run()).newlyQuarantined).toBe(0);
    const [archive] = await world.archives();
    await archives(world.store).replace({ ...archive!, state: 'verified', verifiedAt: world.clock.now() });
    const refusing = overlay(base.source, {
      deleteGuarded: async (shape, records, warrant) => {
        const others = records.filter(({ key }) => key !== 's:stubborn');
        return await base.source.deleteGuarded(shape, others, warrant);
      },
    });
    const last = await run({ ...contextOf(), source: refusing });
    expect(last.archives).toMatchObject([{ state: 'cleared', unfit: 1, outcomes: { deleted: 1, quarantined: 1 } }]);
    expect(last.newlyQuarantined).toBe(1);
  });

  test('found while its archive is sealed: counted once as unfit and once as quarantined', async () => {
    put('a');
    put('large');
    const base = contextOf();
    const source = overlay(base.source, {
      fitness: (_shape, raw) => (Buffer.from(raw).includes('large') ? 'too-large' : null),
    });
    const done = await run({ ...base, source });
    expect(done.totals).toMatchObject({ selected: 2, unfit: 1, archived: 1, deleted: 1, quarantined: 1 });
    expect(done.newlyQuarantined).toBe(1);
    expect(world.idsIn(policy)).toEqual(['large']);
  });
});

test('a vault of another environment: nothing of it is archived or quarantined, the rest goes on, and a person is told', async () => {
  put('north');
  put('south', { tenant: 'south' });
  const place = world.vault.locate(world.context().installation.id, id.owner('acme'), id.customer('north'));
  await world.vault.as('production').ensure(place);
  const done = await run();
  expect(done.problems).toMatchObject([{ code: 'VAULT_OF_ANOTHER_ENVIRONMENT', customer: 'north', needsPerson: true }]);
  expect(done).toMatchObject({ newlyQuarantined: 0, totals: { deleted: 1, quarantined: 0 } });
  expect(world.idsIn(policy)).toEqual(['north']);
  expect(world.vault.archivesIn(place)).toEqual([]);
  expect((await run()).problems).toMatchObject([{ code: 'VAULT_OF_ANOTHER_ENVIRONMENT' }]);
  expect(world.idsIn(policy)).toEqual(['north']);
});
