/** Approvals at the edges: the instant that one ends, who may say what to which, and each thing without which a grant counts for nothing. */
import { beforeEach, describe, expect, test } from 'vitest';
import { grantApproval, isRightlyGranted, refuseApproval, useApproval } from '../../src/ledger/approval-decisions.ts';
import type { ApprovalDocument, Grant } from '../../src/ledger/approval-document.ts';
import { type Asking, approvals, askApproval, getApproval } from '../../src/ledger/approvals.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { LedgerWorld } from '../harness/ledger-world.ts';

const DAY_MS = 86_400_000;
const AS_OF = new Date('2026-06-01T00:00:00Z');
let world: LedgerWorld;
beforeEach(async () => {
  world = await LedgerWorld.open();
});

async function ask(changes: Partial<Asking> = {}): Promise<string> {
  const text = { kind: 'cap' as const, subject: { policy: 'chats' }, shown: { records: 5 } };
  const { _id } = await askApproval(world, { ...text, by: 'person:alice', validMs: DAY_MS, stages: [[]], ...changes });
  return _id;
}
const get = (_id: string) => getApproval(world.store, _id);
const grant = (_id: string, by = 'person:bob') => grantApproval(world, _id, { by, asOf: AS_OF });
const refuse = (_id: string, by = 'person:bob', reason = 'no') => refuseApproval(world, _id, { by, reason });
const use = (_id: string, spendFor: string | null = null) => useApproval(world, _id, { hash: null, spendFor });
const closed = { code: 'APPROVAL_CLOSED' };
const notAllowed = { code: 'APPROVAL_NOT_ALLOWED' };

async function put(_id: string, changes: Partial<ApprovalDocument>): Promise<void> {
  await approvals(world.store).replace({ ...(await get(_id)), ...changes });
}

async function entries(act: string) {
  const found = [];
  for await (const entry of auditEntries(world.store)) if (entry.act === act) found.push(entry);
  return found;
}

describe('the instant at which it ends', () => {
  const acts = [
    ['granted', grant],
    ['refused', refuse],
  ] as const;
  for (const [what, act] of acts) {
    test(`asked for: ${what} until a millisecond before, and not at it`, async () => {
      const late = await ask();
      const early = await ask({ shown: { records: 6 } });
      world.advance(DAY_MS - 1);
      await act(early);
      world.advance(1);
      await expect(act(late)).rejects.toMatchObject(closed);
      expect(await get(late)).toMatchObject({ state: 'requested', grants: [], refusedBy: null });
    });
  }

  test('granted: used until a millisecond before, and not at it; what was used up stays so for its act', async () => {
    const _id = await ask();
    await grant(_id);
    world.advance(DAY_MS - 1);
    await use(_id);
    await use(_id, 'run-1');
    world.advance(1);
    await expect(use(_id)).rejects.toMatchObject(closed);
    expect(await use(_id, 'run-1')).toMatchObject({ approval: _id });
    await expect(use(_id, 'run-2')).rejects.toMatchObject(closed);
    const other = await ask({ shown: { records: 6 } });
    await grant(other);
    world.advance(DAY_MS);
    await expect(use(other)).rejects.toMatchObject(closed);
    await expect(use(other, 'run-1')).rejects.toMatchObject(closed);
    expect(await get(other)).toMatchObject({ state: 'granted', spentFor: null });
  });
});

test('what a grant, a refusal and a use write: who, when, and under which instant', async () => {
  const granted = await ask();
  world.advance(1_000);
  const at = world.serverTime();
  const [yes] = [{ by: 'person:bob', at, asOf: AS_OF }];
  const expiresAt = new Date(at.getTime() + DAY_MS);
  expect(await grant(granted)).toMatchObject({ state: 'granted', grants: [yes], expiresAt });
  expect((await entries('approval grant'))[0]).toMatchObject({
    phase: 'intent',
    subject: { policy: 'chats', approval: granted },
    details: { kind: 'cap', by: 'person:bob' },
  });
  const { hash } = await get(granted);
  expect(await use(granted, 'run-1')).toMatchObject({
    approval: granted,
    kind: 'cap',
    hash,
    grantedBy: ['person:bob'],
    isProof: true,
  });
  expect(await get(granted)).toMatchObject({ state: 'spent', spentAt: at, spentFor: 'run-1' });
  world.advance(1_000);
  await use(granted, 'run-1');
  expect(await get(granted)).toMatchObject({ spentAt: at });
  const refused = await ask({ shown: { records: 6 } });
  const refusedAt = world.serverTime();
  const said = { state: 'refused', refusedBy: 'person:bob', refusedAt, refusalReason: 'no' };
  expect(await refuse(refused)).toMatchObject(said);
  expect((await entries('approval refuse')).map(({ phase, details }) => [phase, details])).toEqual([
    ['intent', expect.objectContaining({ by: 'person:bob', reason: 'no' })],
    ['outcome', expect.objectContaining({ by: 'person:bob', reason: 'no' })],
  ]);
  world.advance(1_000);
  expect(await refuse(refused, 'person:BOB', 'again')).toMatchObject(said);
  await expect(refuse(refused, 'person:carol')).rejects.toMatchObject(closed);
});

test('what is about to be said is in the chain before: for each approval, each stage and each person', async () => {
  const stages = await ask({ stages: [[], []] });
  await grant(stages, 'person:bob');
  await grant(stages, 'person:carol');
  await grant(await ask({ shown: { records: 6 } }), 'person:bob');
  await refuse(await ask({ shown: { records: 7 } }));
  await refuse(await ask({ shown: { records: 8 } }));
  const intents = async (act: string) => (await entries(act)).filter(({ phase }) => phase === 'intent').length;
  expect([await intents('approval grant'), await intents('approval refuse')]).toEqual([3, 2]);
});

test('used without being used up: it stays granted, and is used again', async () => {
  const _id = await ask();
  await grant(_id);
  await use(_id);
  await use(_id);
  expect(await get(_id)).toMatchObject({ state: 'granted', spentAt: null, spentFor: null });
  expect(await entries('approval use')).toEqual([]);
});

test('whoever granted a stage of one that was refused then finds it closed', async () => {
  const _id = await ask({ stages: [[], []] });
  await grant(_id);
  await refuse(_id, 'person:carol');
  await expect(grant(_id)).rejects.toMatchObject(closed);
});

describe('who may refuse', () => {
  const stages = [['bob'], ['carol', 'dora']];
  test.each(['person:alice', 'person:bob', 'person:Dora'])('%s may', async (by) => {
    expect(await refuse(await ask({ stages }), by)).toMatchObject({ state: 'refused', refusedBy: by });
  });

  test.each(['person:eve', 'worker:host-1', 'carol', 'person:'])('%s may not', async (by) => {
    const _id = await ask({ stages });
    await expect(refuse(_id, by)).rejects.toMatchObject(notAllowed);
    expect(await get(_id)).toMatchObject({ state: 'requested', refusedBy: null });
  });

  test('anybody where anybody may grant, but never a daemon', async () => {
    await refuse(await ask({ stages: [['bob'], []] }), 'person:eve');
    const daemons = await ask({ by: 'worker:host-1', shown: { records: 6 } });
    await expect(refuse(daemons, 'worker:host-1')).rejects.toMatchObject(notAllowed);
  });
});

test('a grant of one who is listed for a later stage, or for none, is none', async () => {
  const _id = await ask({ stages: [['bob'], ['carol']] });
  for (const by of ['person:carol', 'person:eve']) await expect(grant(_id, by)).rejects.toMatchObject(notAllowed);
  expect(await get(_id)).toMatchObject({ grants: [] });
});

test('who asked through a daemon’s name is no person, and a daemon grants nothing', async () => {
  const _id = await ask();
  await expect(grant(_id, 'worker:host-1')).rejects.toMatchObject(notAllowed);
});

describe('counts for nothing', () => {
  const yes = (...people: string[]): Grant[] => people.map((by) => ({ by, at: AS_OF, asOf: null }));
  const later = new Date('2100-01-01');
  const good = { state: 'granted', grants: yes('person:bob', 'person:carol'), expiresAt: later } as const;

  test('and what is in order counts, used or not', async () => {
    const _id = await ask({ stages: [['bob'], []] });
    await put(_id, good);
    expect(isRightlyGranted(await get(_id))).toBe(true);
    await put(_id, { state: 'spent', spentFor: 'run-1' });
    expect(isRightlyGranted(await get(_id))).toBe(true);
    expect(await use(_id, 'run-1')).toMatchObject({ approval: _id });
  });

  test.each<[string, Partial<ApprovalDocument>]>([
    ['a stage too few', { grants: yes('person:bob') }],
    ['a grant too many', { grants: yes('person:bob', 'person:carol', 'person:dora') }],
    ['no stage and no grant', { stages: [], grants: [] }],
    ['one person twice', { stages: [['bob'], ['bob']], grants: yes('person:bob', 'person:BOB') }],
    ['who asked', { grants: yes('person:bob', 'person:Alice') }],
    ['a daemon', { grants: yes('person:bob', 'worker:host-1') }],
    ['one who is not listed', { grants: yes('person:dora', 'person:carol') }],
    ['the stages the other way round', { grants: yes('person:carol', 'person:bob') }],
    ['another text', { shown: '{}' }],
    ['another hash', { hash: '0'.repeat(64) }],
  ])('%s', async (_, changes) => {
    const _id = await ask({ stages: [['bob'], []] });
    await put(_id, { ...good, ...changes });
    expect(isRightlyGranted(await get(_id))).toBe(false);
    await expect(use(_id)).rejects.toMatchObject({ code: 'INTERNAL' });
    await put(_id, { state: 'spent', spentFor: 'run-1' });
    expect(isRightlyGranted(await get(_id))).toBe(false);
    await expect(use(_id, 'run-1')).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  test.each(['requested', 'refused'] as const)('%s, with all its grants', async (state) => {
    const _id = await ask({ stages: [['bob'], []] });
    await put(_id, { ...good, state });
    expect(isRightlyGranted(await get(_id))).toBe(false);
    await expect(use(_id)).rejects.toMatchObject(closed);
  });

  test('a text that was changed is not granted, and nothing is said of it in the chain', async () => {
    const _id = await ask();
    await put(_id, { shown: '{}' });
    await expect(grant(_id)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await entries('approval grant')).toEqual([]);
  });
});
