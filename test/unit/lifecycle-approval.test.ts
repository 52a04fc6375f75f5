/** What takes a second person: asked for, nothing changed meanwhile, goes on after the grant, and never for more than was granted. */
import { beforeEach, describe, expect, test } from 'vitest';
import { grantApproval, refuseApproval } from '../../src/ledger/approval-decisions.ts';
import {
  APPROVAL_KINDS,
  type ApprovalDocument,
  type ApprovalRules,
  DEFAULT_APPROVAL_RULES,
} from '../../src/ledger/approval-document.ts';
import { approvals, getApproval, waitingApprovals } from '../../src/ledger/approvals.ts';
import { auditEntries, verifyAudit } from '../../src/ledger/audit.ts';
import { exceptionsInForce, getException } from '../../src/ledger/exceptions.ts';
import { holdsInForce } from '../../src/ledger/holds.ts';
import type { LedgerDocument } from '../../src/ledger/store.ts';
import { isApprovalRequired, requireApproval } from '../../src/lifecycle/approval.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { purgeEarly } from '../../src/lifecycle/early-purge.ts';
import { endException, requestException, settleException } from '../../src/lifecycle/exception.ts';
import { placeHold, releaseHold } from '../../src/lifecycle/hold.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { planPurge } from '../../src/lifecycle/purge-caps.ts';
import { type RunOptions, runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const DAY_MS = 86_400_000;
const RUN_AT = '2024-06-01T00:00:00Z';
const PURGE_AT = '2032-06-01T00:00:00Z';
const ALICE = 'person:alice';
const BOB = 'person:bob';

let world: MemoryWorld;
beforeEach(async () => {
  world = await MemoryWorld.open();
});

const policyText = (limits: string) => `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 90 days }
grace: 7 days
limits: ${limits}
`;
const publish = (limits = '{ records: 1000, share: 1.0 }') => world.publish(policyText(limits));
const put = (policy: Policy, _id: string, tenant = 'north', at = '2020-01-01') =>
  world.put(policy, { _id, owner: 'acme', tenant, at: new Date(at) });

function context(rules: Partial<ApprovalRules> = {}, asOf: string = RUN_AT): Context {
  return { ...world.context(undefined, { asOf }), approvals: { ...DEFAULT_APPROVAL_RULES, ...rules } };
}
const run = (ctx: Context, policy: Policy, options: Partial<RunOptions> = {}) =>
  runPolicy(ctx, policy, { flush: true, expired: null, requestedBy: ALICE, ...options });
const grant = (approval: string, by = BOB) => grantApproval(world.context(), approval, { by, asOf: null });
const codes = (problems: readonly { readonly code: string }[]) => problems.map(({ code }) => code);

async function waiting(): Promise<ApprovalDocument> {
  const [one, ...others] = await waitingApprovals(world.store);
  if (one === undefined || others.length > 0) throw new Error(`${others.length + 1} approvals wait.`);
  return one;
}
async function told(): Promise<string[]> {
  const lines: string[] = [];
  for await (const { act, phase } of auditEntries(world.store)) lines.push(`${act} ${phase}`);
  return lines;
}

describe('what is required', () => {
  const environment = (
    name: 'production' | 'non-production' | 'sandbox',
    rules: Partial<ApprovalRules> = {},
  ): Context => ({
    ...context(rules),
    installation: { id: 'i', environment: name },
  });
  const required = (ctx: Context) => APPROVAL_KINDS.filter((kind) => isApprovalRequired(ctx, kind));
  const always = ['exception', 'early-purge', 'reschedule', 'offboard', 'migrate'];

  test('in production everything but the review of each purge and retrievals; elsewhere only what always is', () => {
    expect(required(environment('production'))).toEqual(
      APPROVAL_KINDS.filter((kind) => kind !== 'purge' && kind !== 'retrieve'),
    );
    expect(required(environment('non-production'))).toEqual(always);
    expect(required(environment('sandbox'))).toEqual(always);
    const { approvals: _, ...bare } = environment('production');
    expect(required(bare)).toContain('policy');
  });

  test('moraine.yaml names others, and never less than what always is; stages ask for the review', () => {
    expect(required(environment('production', { required: [] }))).toEqual(always);
    expect(required(environment('sandbox', { required: ['cap'] }))).toEqual(['cap', ...always]);
    expect(required(environment('sandbox', { purgeStages: [['bob']] }))).toEqual([
      'exception',
      'early-purge',
      'purge',
      'reschedule',
      'offboard',
      'migrate',
    ]);
  });
});

describe('requireApproval', () => {
  const asked = { kind: 'policy' as const, subject: { policy: 'chats' }, shown: { active: 'P1Y' } };

  test('throws with the id until another person granted it; then gives the proof, as often as it is asked', async () => {
    const ctx = context();
    const error: unknown = await requireApproval(ctx, asked, ALICE).catch((thrown: unknown) => thrown);
    const { _id } = await waiting();
    expect(error).toMatchObject({ code: 'APPROVAL_NEEDED', class: 'person', ids: { approval: _id } });
    expect(error).toMatchObject({ hint: expect.stringContaining(`moraine approve show ${_id}`) });
    await expect(requireApproval(ctx, asked, BOB)).rejects.toMatchObject({ ids: { approval: _id } });
    await expect(grant(_id, ALICE)).rejects.toMatchObject({ code: 'APPROVAL_NOT_ALLOWED' });
    await grant(_id);
    for (const by of [ALICE, BOB]) expect(await requireApproval(ctx, asked, by)).toMatchObject({ approval: _id });
    await expect(requireApproval(ctx, { ...asked, shown: { active: 'P1M' } }, ALICE)).rejects.toMatchObject({
      code: 'APPROVAL_NEEDED',
    });
  });

  test('refused: final, with the reason, and another thing may be asked', async () => {
    const ctx = context();
    await requireApproval(ctx, asked, ALICE).catch(() => undefined);
    await refuseApproval(ctx, (await waiting())._id, { by: BOB, reason: 'too short' });
    await expect(requireApproval(ctx, asked, ALICE)).rejects.toMatchObject({
      code: 'APPROVAL_REFUSED',
      message: expect.stringContaining('too short'),
    });
  });

  test('used up: by this act, which may come again after a cut; for any other it is asked anew', async () => {
    const ctx = context();
    const once = { ...asked, spendFor: 'act-1' };
    await requireApproval(ctx, once, ALICE).catch(() => undefined);
    await grant((await waiting())._id);
    const first = await requireApproval(ctx, once, ALICE);
    expect(await requireApproval(ctx, once, ALICE)).toMatchObject({ approval: first.approval });
    await expect(requireApproval(ctx, { ...asked, spendFor: 'act-2' }, ALICE)).rejects.toMatchObject({
      code: 'APPROVAL_NEEDED',
    });
    expect((await waiting()).round).toBe(2);
  });

  test('approvals that cannot be read: not approved', async () => {
    const ctx = context();
    await requireApproval(ctx, asked, ALICE).catch(() => undefined);
    const { _id } = await grant((await waiting())._id);
    await approvals(world.store).replace({ ...(await getApproval(world.store, _id)), v: 9 });
    await expect(requireApproval(ctx, asked, ALICE)).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
    await expect(requireApproval(ctx, { ...asked, covers: () => true }, ALICE)).rejects.toMatchObject({
      code: 'LEDGER_NEWER',
    });
  });

  test('people of moraine.yaml only', async () => {
    const ctx = context({ people: ['carol'] });
    await requireApproval(ctx, asked, ALICE).catch(() => undefined);
    const { _id } = await waiting();
    await expect(grant(_id)).rejects.toMatchObject({ code: 'APPROVAL_NOT_ALLOWED' });
    await grant(_id, 'person:Carol');
    expect(await requireApproval(ctx, asked, ALICE)).toMatchObject({ grantedBy: ['person:Carol'] });
  });
});

describe('over a blast cap', () => {
  const CAPS = { required: ['cap'] as const };

  test('asked for, nothing taken; granted, exactly those or fewer of each customer go, once', async () => {
    const policy = await publish('{ records: 2, share: 1.0 }');
    for (const id of ['a', 'b', 'c']) put(policy, id);
    put(policy, 's', 'south');
    const first = await run(context(CAPS), policy);
    expect(codes(first.problems)).toEqual(['APPROVAL_NEEDED']);
    expect(first).toMatchObject({ archives: [], totals: { selected: 0, deleted: 0 } });
    const { _id, shown } = await waiting();
    expect(JSON.parse(shown)).toMatchObject({
      kind: 'cap',
      shown: {
        records: 4,
        partitions: [
          { owner: 'acme', customer: 'north', records: 3 },
          { owner: 'acme', customer: 'south', records: 1 },
        ],
      },
    });
    await grant(_id);
    // One more of one customer is another amount.
    put(policy, 't', 'south');
    const grown = await run(context(CAPS), policy);
    expect(codes(grown.problems)).toEqual(['APPROVAL_NEEDED']);
    expect(await getApproval(world.store, _id)).toMatchObject({ state: 'granted' });
    expect(world.idsIn(policy)).toContain('t');
  });

  test('granted: it goes, and the same amount again takes another approval', async () => {
    const policy = await publish('{ records: 1, share: 1.0 }');
    for (const id of ['a', 'b', 'c']) put(policy, id);
    await run(context(CAPS), policy);
    const { _id } = await waiting();
    await grant(_id);
    const done = await run(context(CAPS), policy, { requestedBy: BOB });
    expect(done).toMatchObject({ problems: [], totals: { selected: 3, deleted: 3 } });
    expect(await getApproval(world.store, _id)).toMatchObject({ state: 'spent' });
    for (const id of ['d', 'e', 'f']) put(policy, id);
    const again = await run(context(CAPS), policy);
    expect(codes(again.problems)).toEqual(['APPROVAL_NEEDED']);
    expect(world.idsIn(policy)).toEqual(['d', 'e', 'f']);
    expect((await waiting())._id).not.toBe(_id);
  });

  test('fewer than granted goes; under another version of the policy nothing does', async () => {
    const policy = await publish('{ records: 1, share: 1.0 }');
    for (const id of ['a', 'b']) put(policy, id);
    const later = '2020-02-01';
    put(policy, 'c', 'north', later);
    await run(context(CAPS), policy);
    await grant((await waiting())._id);
    const other = await publish('{ records: 1, share: 0.9 }');
    expect(codes((await run(context(CAPS), other)).problems)).toEqual(['APPROVAL_NEEDED']);
    expect(world.idsIn(policy)).toEqual(['a', 'b', 'c']);
    const same = await publish('{ records: 1, share: 1.0 }');
    const fewer = await run(context(CAPS, '2022-01-15T00:00:00Z'), same);
    expect(fewer).toMatchObject({ problems: [], totals: { deleted: 2 } });
    expect(world.idsIn(policy)).toEqual(['c']);
  });

  test.each([
    ['not required', {}, '{ records: 1, share: 1.0 }', ALICE],
    ['a cap that is missing', CAPS, '{ share: 1.0 }', ALICE],
    ['nobody there to ask', CAPS, '{ records: 1, share: 1.0 }', undefined],
  ])('%s: nothing lifts it, and nobody is asked', async (_, rules, limits, requestedBy) => {
    const policy = await publish(limits);
    for (const id of ['a', 'b']) put(policy, id);
    const done = await runPolicy(context(rules), policy, {
      flush: true,
      expired: null,
      ...(requestedBy === undefined ? {} : { requestedBy }),
    });
    expect(codes(done.problems)).toEqual(['BLAST_CAP']);
    expect(await waitingApprovals(world.store)).toEqual([]);
    expect(world.idsIn(policy)).toEqual(['a', 'b']);
  });
});

describe('the expired backlog', () => {
  const options = { expired: { saidBy: ALICE } };
  const AT = '2032-06-01T00:00:00Z';

  test('goes with an approval only, while what is due by the way goes without', async () => {
    const policy = await publish();
    for (const id of ['a', 'b']) put(policy, id);
    put(policy, 'young', 'north', '2030-01-01');
    const ctx = () => context({ required: ['expired-backlog'] }, AT);
    const first = await run(ctx(), policy, options);
    expect(codes(first.problems)).toEqual(['APPROVAL_NEEDED']);
    expect(world.idsIn(policy)).toEqual(['a', 'b']);
    const { _id, kind } = await waiting();
    expect(kind).toBe('expired-backlog');
    await grant(_id);
    const second = await run(ctx(), policy, options);
    expect(second).toMatchObject({ problems: [], totals: { deleted: 2 } });
    expect(second.expired).toHaveLength(1);
    expect(world.idsIn(policy)).toEqual([]);
  });

  test('a grant of it that says nothing of a cap does not lift one', async () => {
    const policy = await publish('{ records: 2, share: 1.0 }');
    for (const id of ['a', 'b']) put(policy, id);
    const ctx = (required: ApprovalRules['required']) => context({ required }, AT);
    await run(ctx(['expired-backlog']), policy, options);
    await grant((await waiting())._id);
    const tighter = await publish('{ records: 1, share: 1.0 }');
    expect(codes((await run(ctx(['expired-backlog']), tighter, options)).problems)).toEqual(['BLAST_CAP']);
    expect(codes((await run(ctx(['expired-backlog', 'cap']), tighter, options)).problems)).toEqual(['APPROVAL_NEEDED']);
    await grant((await waiting())._id);
    expect(await run(ctx(['expired-backlog', 'cap']), tighter, options)).toMatchObject({
      problems: [],
      totals: { deleted: 2 },
    });
  });
});

test('the release of a hold: in force until another person granted exactly this release', async () => {
  const ctx = context({ required: ['hold-release'] });
  const nothing = { owner: null, customer: null, namespace: null, triggerFrom: null, triggerBefore: null };
  const hold = await placeHold(
    ctx,
    { ...nothing, caseNumber: 'C-1', reason: 'claim', recordIds: [], facet: null },
    ALICE,
  );
  const release = (reason: string, by = ALICE) => releaseHold(ctx, hold._id, { by, reason });
  await expect(release('settled')).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  expect(await holdsInForce(world.store)).toMatchObject([{ _id: hold._id, state: 'active' }]);
  const { _id } = await waiting();
  await grant(_id);
  await expect(release('another reason')).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  expect(await release('settled', BOB)).toMatchObject({ state: 'released', releasedBy: BOB });
  expect(await release('settled', BOB)).toMatchObject({ state: 'released' });
  expect(await getApproval(world.store, _id)).toMatchObject({ state: 'spent', spentFor: hold._id });
  const lines = await told();
  expect(lines.indexOf('approval use outcome')).toBeLessThan(lines.indexOf('hold release intent'));
});

describe('purge', () => {
  const STAGES = { purgeStages: [['bob', 'carol'], ['dora']] };
  let policy: Policy;
  beforeEach(async () => {
    policy = await publish();
    put(policy, 'a');
    put(policy, 's', 'south');
    await run(context(), policy);
    expect(await states()).toEqual(['cleared', 'cleared']);
  });
  const states = async () => (await world.archives()).map(({ state }) => state);
  const purge = async (rules: Partial<ApprovalRules>, by: string | null = ALICE) => {
    const ctx = context(rules, PURGE_AT);
    const plan = await planPurge(ctx, null, by);
    return { plan, report: await purgeArchives(ctx, plan.due) };
  };

  test('review in stages: asked once for all, nothing goes before the last stage, then everything does', async () => {
    const first = await purge(STAGES, 'schedule');
    expect(first.plan).toMatchObject({ due: [], review: [{ state: 'requested' }, { state: 'requested' }] });
    const { _id, items, requestedBy } = await waiting();
    expect(items).toHaveLength(2);
    expect(requestedBy).toBe('schedule');
    await purge(STAGES);
    await grant(_id, 'person:carol');
    expect((await purge(STAGES)).plan.due).toEqual([]);
    await grant(_id, 'person:dora');
    const { report } = await purge(STAGES);
    expect(report.purged).toHaveLength(2);
    expect(await states()).toEqual(['purged', 'purged']);
    expect(await waitingApprovals(world.store)).toEqual([]);
  });

  test('the leaf looks, too: whoever walks round the plan purges nothing', async () => {
    const archives = (await world.archives()).map(({ _id }) => _id);
    const report = await purgeArchives(context(STAGES, PURGE_AT), archives);
    expect(report).toMatchObject({ purged: [], waiting: [{}, {}] });
    expect(await states()).toEqual(['cleared', 'cleared']);
  });

  test('an archive that changed since it was shown is asked about anew; the other one goes', async () => {
    await purge(STAGES);
    const { _id } = await waiting();
    for (const by of ['person:bob', 'person:dora']) await grant(_id, by);
    const [changed] = await world.archives();
    if (changed === undefined) throw new Error('There is no archive.');
    await world.store.collection<typeof changed>('archives').replace({ ...changed, dueAt: new Date('2031-01-01') });
    const { report, plan } = await purge(STAGES);
    expect(report.purged).toHaveLength(1);
    expect(plan.review).toMatchObject([{ id: changed._id, state: 'requested' }]);
  });

  test('refused: it stays; asked about by name and granted, it goes; a hold in between stops it', async () => {
    await purge(STAGES);
    await refuseApproval(world.context(), (await waiting())._id, { by: 'person:dora', reason: 'still needed' });
    expect((await purge(STAGES)).plan).toMatchObject({ due: [], review: [{ state: 'refused' }, { state: 'refused' }] });
    const [archive] = await world.archives();
    if (archive === undefined) throw new Error('There is no archive.');
    const early = () => purgeEarly(context(STAGES, PURGE_AT), [archive._id], { by: ALICE, reason: 'asked again' });
    await expect(early()).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
    const { _id } = await waiting();
    for (const by of ['person:bob', 'person:dora']) await grant(_id, by);
    const hold = await placeHold(
      context(),
      {
        owner: null,
        customer: null,
        namespace: null,
        triggerFrom: null,
        triggerBefore: null,
        caseNumber: 'C',
        reason: 'r',
        recordIds: [],
        facet: null,
      },
      ALICE,
    );
    expect(await early()).toMatchObject({ purged: [], held: [archive._id] });
    await releaseHold(context(), hold._id, { by: ALICE, reason: 'over' });
    world.clock.advance(DAY_MS + 3_600_000);
    // Its own approval was its review: the daemon takes it from here.
    expect((await purge(STAGES)).report.purged).toEqual([archive._id]);
  });

  test('before its date: never without an approval, not even in a sandbox; then exactly that archive, and the chain says why', async () => {
    const [archive, other] = await world.archives();
    if (archive === undefined || other === undefined) throw new Error('There is no archive.');
    const ctx = () => context({ required: [] });
    const early = (reason = 'contract ended') => purgeEarly(ctx(), [archive._id], { by: ALICE, reason });
    await expect(early()).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
    expect(await world.archives()).toEqual([archive, other]);
    await grant((await waiting())._id);
    await expect(early('another reason')).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
    expect(await early()).toMatchObject({ purged: [archive._id] });
    const [gone, stays] = await world.archives();
    expect(gone).toMatchObject({ state: 'purged', dueAt: new Date(RUN_AT), early: { from: archive.dueAt, by: ALICE } });
    expect(stays).toEqual(other);
    const lines = await told();
    expect(lines).toContain('archive reschedule outcome');
    expect(await early()).toMatchObject({ purged: [archive._id] });
    expect(await verifyAudit(world.store)).toMatchObject({ ok: true });
  });

  test('over the cap of a purge: the amounts are told by customer, and the review comes first', async () => {
    policy = await publish('{ records: 1, share: 1.0 }');
    const plan = await planPurge(context({ required: ['cap'] }, PURGE_AT), null, ALICE);
    expect(plan).toMatchObject({
      due: [],
      capped: [
        {
          archives: 2,
          amounts: {
            amounts: expect.arrayContaining([
              expect.objectContaining({ customer: 'north', records: 1 }),
              expect.objectContaining({ customer: 'south', records: 1 }),
            ]),
          },
        },
      ],
    });
    expect(await planPurge(context({ required: ['cap', 'purge'] }, PURGE_AT), null, ALICE)).toMatchObject({
      capped: [],
      review: [{}, {}],
    });
  });
});

describe('exceptions', () => {
  const text = {
    policy: 'chats',
    effect: 'longer' as const,
    active: 'P5Y',
    owner: null,
    customer: null,
    value: null,
    reason: 'contract',
    requestedBy: ALICE,
    from: null,
    until: null,
  };
  beforeEach(async () => {
    await publish();
  });
  const inForce = () => exceptionsInForce(world.store, 'chats');

  test('fifty times the same at once does nothing more than once asked for; granted by another it is in force', async () => {
    const { exception, approval } = await requestException(context(), text);
    const again = await Promise.all(Array.from({ length: 50 }, () => requestException(context(), text)));
    expect(new Set(again.map((one) => one.exception._id))).toEqual(new Set([exception._id]));
    expect(await inForce()).toEqual([]);
    await expect(grant(approval._id, ALICE)).rejects.toMatchObject({ code: 'APPROVAL_NOT_ALLOWED' });
    await grant(approval._id);
    expect(await inForce()).toMatchObject([{ id: exception._id, effect: 'longer' }]);
    const settled = await settleException(context(), exception);
    expect(settled).toMatchObject({ state: 'granted', grantedBy: [BOB], approval: approval._id });
    expect(await inForce()).toHaveLength(1);
    expect(await told()).toContain('exception grant outcome');
  });

  test('a longer one ends by an approval only, on the day it is ended; a shorter one at once', async () => {
    const longer = await requestException(context(), text);
    const shorter = await requestException(context(), { ...text, effect: 'shorter', active: 'P30D' });
    for (const { approval } of [longer, shorter]) await grant(approval._id);
    const end = (id: string) => endException(context(), id, { by: ALICE, reason: 'over' });
    expect(await end(shorter.exception._id)).toMatchObject({ state: 'ended', endedAt: new Date(RUN_AT) });
    await expect(end(longer.exception._id)).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
    expect(await getException(world.store, longer.exception._id)).toMatchObject({ state: 'granted', endedAt: null });
    await grant((await waiting())._id);
    expect(await end(longer.exception._id)).toMatchObject({ state: 'ended', endedBy: ALICE });
    expect(await end(longer.exception._id)).toMatchObject({ state: 'ended' });
    expect((await inForce()).map(({ until }) => until)).toEqual([Date.parse(RUN_AT), Date.parse(RUN_AT)]);
  });

  test('refused or never granted, it is withdrawn, and its approval puts nothing in force any more', async () => {
    const refused = await requestException(context(), text);
    await refuseApproval(context(), refused.approval._id, { by: BOB, reason: 'no' });
    expect(await settleException(context(), refused.exception)).toMatchObject({
      state: 'withdrawn',
      endReason: 'refused: no',
    });
    const taken = await requestException(context(), { ...text, reason: 'again' });
    expect(await endException(context(), taken.exception._id, { by: ALICE, reason: 'a slip' })).toMatchObject({
      state: 'withdrawn',
    });
    await expect(grant(taken.approval._id)).rejects.toMatchObject({ code: 'APPROVAL_CLOSED' });
    expect(await inForce()).toEqual([]);
  });

  test('granted right before its withdrawal is written: no grant is taken back without another person', async () => {
    const { exception, approval } = await requestException(context(), text);
    const base = context();
    let granted = 'not tried';
    const store = overlay(base.store, {
      collection: ((name: string) => {
        const collection = base.store.collection<LedgerDocument>(name);
        if (name !== 'exceptions') return collection;
        const replace: typeof collection.replace = async (document) => {
          granted = await grant(approval._id).then(
            () => 'granted',
            ({ code }: { code: string }) => code,
          );
          return await collection.replace(document);
        };
        return overlay(collection, { replace });
      }) as typeof base.store.collection,
    });
    const ended = await endException({ ...base, store }, exception._id, { by: ALICE, reason: 'a slip' });
    expect([ended.state, granted]).toEqual(['withdrawn', 'APPROVAL_CLOSED']);
    expect(await inForce()).toEqual([]);
  });

  test('its approval expired: the same asked again is another round for the same exception', async () => {
    const first = await requestException(context(), text);
    world.clock.advance(8 * DAY_MS);
    const second = await requestException(context(), text);
    expect(second.exception._id).toBe(first.exception._id);
    expect(second.approval.round).toBe(2);
    await grant(second.approval._id);
    expect(await inForce()).toHaveLength(1);
  });

  test('withdrawn and granted in the same moment, fifty times: in force or not, and the document says the same', async () => {
    for (let at = 0; at < 50; at++) {
      const { exception, approval } = await requestException(context(), { ...text, reason: `${at}` });
      const [, ended] = await Promise.allSettled([
        grant(approval._id).then(() => settleException(context(), exception)),
        endException(context(), exception._id, { by: ALICE, reason: 'a slip' }),
      ]);
      const { state } = await getException(world.store, exception._id);
      const isInForce = (await inForce()).some(({ id }) => id === exception._id);
      expect(isInForce, state).toBe(state === 'granted' || state === 'ended');
      if (ended?.status === 'fulfilled') expect(ended.value.state).toBe(state);
    }
  });
});
