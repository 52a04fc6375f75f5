/** Cases of judge.test.ts: reviews in stages, purge dates that are moved, and versions that let records go sooner. */
import { describe, expect, test } from 'vitest';
import { approve, expectBroken } from './broken.ts';
import { DUE, HandMade, NAMESPACE, POLICY, PURGE } from './hand-made.ts';
import type { PolicyFacts, RawDocument } from './observations.ts';
import { asFields } from './values.ts';

const DAY = 24 * 3_600_000;
const TWO_STAGES = { people: [], purgeStages: [['bob'], ['cleo']] };

function archiveOf(world: HandMade, id: string): RawDocument {
  return world.ledger('archives').find(({ _id }) => _id === id) ?? { _id: id };
}

/** Ann asks, Bob and Cleo look at the file with the date that it has, one after the other. */
async function review(world: HandMade, archive: string, people: readonly string[]): Promise<void> {
  const document = archiveOf(world, archive);
  const { treeHash } = asFields(document['stored']);
  const dueAt = document['dueAt'] instanceof Date ? document['dueAt'].toISOString() : null;
  const approval = {
    _id: `ap-review-${archive}-${dueAt}`,
    kind: 'purge',
    subject: { policy: 'chats', owner: 'acme' },
    shown: JSON.stringify({ shown: { purge: [{ archive, treeHash, dueAt }] } }),
    items: [archive],
    requestedBy: 'person:ann',
  };
  await world.write('approvals', { ...approval, state: 'requested', grants: [] });
  for (const person of people)
    await world.see({ what: 'approval said', by: 'operator-9', person, approval: approval._id, how: 'grant' });
  await world.write('approvals', { ...approval, state: 'granted', grants: people.map((by) => ({ by })) });
}

describe('purges that people look at before', () => {
  test('every stage lets it go: clean', async () => {
    const world = new HandMade(POLICY, TWO_STAGES);
    await world.cleared('a1');
    await review(world, 'a1', ['person:bob', 'person:cleo']);
    world.time = PURGE + DAY;
    await world.purged('a1');
    expect(world.broken).toEqual([]);
  });

  test('one of two stages is passed, or by somebody of another stage', async () => {
    for (const people of [['person:bob'], ['person:cleo', 'person:bob']]) {
      const world = new HandMade(POLICY, TWO_STAGES);
      await world.cleared('a1');
      await review(world, 'a1', people);
      expectBroken(world, 'stage-not-passed');
    }
  });

  test('nobody looked at it, looked at another date, or somebody refused', async () => {
    const [unseen, moved, refused] = [0, 1, 2].map(() => new HandMade(POLICY, TWO_STAGES));
    if (unseen === undefined || moved === undefined || refused === undefined) throw new Error('there is no world');
    for (const world of [unseen, moved, refused]) await world.cleared('a1');
    await review(moved, 'a1', ['person:bob', 'person:cleo']);
    await moved.amend('a1', { dueAt: new Date(PURGE + DAY) });
    await review(refused, 'a1', ['person:bob', 'person:cleo']);
    const [said] = refused.ledger('approvals');
    await refused.write('approvals', { ...said, _id: 'ap-second-round', state: 'refused', grants: [] });
    for (const world of [unseen, moved, refused]) {
      world.time = PURGE + 2 * DAY;
      await world.amend('a1', { state: 'purging' });
      expectBroken(world, 'purged-without-review');
    }
  });
});

describe('purge dates that people move', () => {
  test('later without a word, earlier with one, and then not before that date', async () => {
    const world = new HandMade();
    await world.cleared('a1');
    const later = { to: new Date(PURGE + 9 * DAY), from: new Date(PURGE), approval: null };
    await world.amend('a1', { dueAt: later.to, rescheduled: [later] });
    const dates = { archive: 'a1', from: later.to.toISOString(), to: new Date(PURGE + 3 * DAY).toISOString() };
    const shown = JSON.stringify({ shown: { purgeEarlier: [dates] } });
    await approve(world, { kind: 'reschedule', subject: { policy: 'chats' }, shown, items: ['a1'] });
    const earlier = { to: new Date(dates.to), from: later.to, approval: 'ap-reschedule' };
    await world.amend('a1', { dueAt: earlier.to, rescheduled: [later, earlier] });
    expect(world.broken).toEqual([]);
    world.time = PURGE + 2 * DAY;
    await world.purged('a1');
    expectBroken(world, 'purged-early');
  });

  test('earlier without a word, or with one for another archive or another date', async () => {
    const to = new Date(PURGE - DAY);
    const right = { archive: 'a1', from: new Date(PURGE).toISOString(), to: to.toISOString() };
    for (const dates of [null, { ...right, archive: 'a2' }, { ...right, to: new Date(DUE).toISOString() }]) {
      const world = new HandMade();
      await world.cleared('a1');
      const shown = JSON.stringify({ shown: { purgeEarlier: dates === null ? [] : [dates] } });
      const of = { kind: 'reschedule', subject: { policy: 'chats' }, shown, items: ['a1'] };
      if (dates !== null) await approve(world, of);
      await world.amend('a1', { dueAt: to, rescheduled: [{ to, from: new Date(PURGE), approval: 'ap-reschedule' }] });
      expectBroken(world, 'rescheduled-without-approval');
    }
  });
});

/** The text of a version, as the ledger has it. */
function versionOf(id: string, { activeDays, archiveDays, graceDays }: PolicyFacts): RawDocument {
  const json = JSON.stringify({
    active: `P${activeDays}D`,
    trigger: { kind: 'date', field: 'at' },
    archive: { for: `P${archiveDays}D`, dueWindow: 'P5D', maxWait: 'P2D', verify: 'checksum' },
    grace: `P${graceDays}D`,
    limits: { records: 1_000, share: 1 },
    treat: null,
  });
  return { _id: id, name: 'chats', namespace: NAMESPACE, json };
}

/** `p1` is in force; `p2` lets records go a day sooner, and is to come so many days later. */
async function publishing(days: number, isGranted: boolean): Promise<HandMade> {
  const world = new HandMade();
  const first = { version: 'p1', at: new Date(DUE - 30 * DAY) };
  await world.write('policyVersions', versionOf('p1', POLICY));
  await world.write('policyVersions', versionOf('p2', { ...POLICY, activeDays: POLICY.activeDays - 1 }));
  await world.write('policiesInForce', { _id: 'chats', namespace: NAMESPACE, version: 'p1', changes: [first] });
  const shown = JSON.stringify({ shown: { from: 'p1', to: 'p2' } });
  if (isGranted) await approve(world, { kind: 'policy', subject: { policy: 'chats' }, shown });
  const second = { version: 'p2', at: new Date(world.time), effectiveAt: new Date(world.time + days * DAY) };
  const changes = [first, second];
  await world.write('policiesInForce', { _id: 'chats', namespace: NAMESPACE, version: 'p1', changes });
  return world;
}

describe('versions that let records go sooner', () => {
  test('granted, and in force after the grace: clean', async () => {
    const world = await publishing(POLICY.graceDays, true);
    await world.stored('a1');
    expect(world.broken).toEqual([]);
  });

  test('nobody granted it, or it does not wait for the grace', async () => {
    expectBroken(await publishing(POLICY.graceDays, false), 'act-without-approval');
    expectBroken(await publishing(POLICY.graceDays - 1, true), 'policy-bites-early');
  });

  test('something is begun under it before its day, or goes on under it', async () => {
    const [before, after] = [await publishing(POLICY.graceDays, true), await publishing(POLICY.graceDays, true)];
    await before.amend('a1', { state: 'planned', epoch: 1, policyVersion: 'p2', outcomes: NO_OUTCOMES });
    expectBroken(before, 'policy-bites-early');
    await after.amend('a1', { state: 'planned', epoch: 1, policyVersion: 'p1', outcomes: NO_OUTCOMES });
    await after.amend('a1', { policyVersion: 'p2' });
    expectBroken(after, 'run-changed-policy');
  });
});

const NO_OUTCOMES = {
  archived: 0,
  deleted: 0,
  treated: 0,
  changed: 0,
  held: 0,
  gone: 0,
  quarantined: 0,
  pending: 0,
};
