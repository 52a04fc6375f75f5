/** Which of several approvals counts for an act: a refusal of the very same, a grant that covers it, the use of it by the act itself. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Json } from '../../src/canonical-json.ts';
import { grantApproval, refuseApproval } from '../../src/ledger/approval-decisions.ts';
import { type ApprovalRules, DEFAULT_APPROVAL_RULES } from '../../src/ledger/approval-document.ts';
import { waitingApprovals } from '../../src/ledger/approvals.ts';
import { type ApprovalRequest, ask, isUsedHere, requireApproval, shownOf } from '../../src/lifecycle/approval.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const ALICE = 'person:alice';
const BOB = 'person:bob';

let world: MemoryWorld;
let context: Context;
beforeEach(async () => {
  world = await MemoryWorld.open();
  context = world.context();
});

const recordsIn = (shown: Json) =>
  typeof shown === 'object' && shown !== null && 'records' in shown ? Number(shown['records']) : 0;

/** As many records, or fewer than were granted. */
const amount = (records: number, more: Partial<ApprovalRequest> = {}): ApprovalRequest => ({
  kind: 'cap',
  subject: { policy: 'chats' },
  shown: { records },
  covers: (granted) => records <= recordsIn(granted),
  ...more,
});
function exact(records: number, more: Partial<ApprovalRequest> = {}): ApprovalRequest {
  const { covers: _, ...request } = amount(records, more);
  return request;
}

async function asked(records: number): Promise<string> {
  world.clock.advance(1_000);
  return (await ask(context, amount(records), ALICE))._id;
}
async function granted(records: number): Promise<string> {
  const approval = await asked(records);
  await grantApproval(context, approval, { by: BOB, asOf: null });
  return approval;
}
async function refused(records: number): Promise<string> {
  const approval = await asked(records);
  await refuseApproval(context, approval, { by: BOB, reason: 'no' });
  return approval;
}
const need = (request: ApprovalRequest) => requireApproval(context, request, ALICE);

describe('an act that a grant of more covers', () => {
  test('goes under it; one more than was granted does not, and neither does one that takes exactly what was granted', async () => {
    const approval = await granted(5);
    expect(await need(amount(3))).toMatchObject({ approval });
    expect(await need(exact(5))).toMatchObject({ approval });
    await expect(need(amount(6))).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
    await expect(need(exact(3))).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
    expect((await waitingApprovals(world.store)).map(({ shown }) => recordsIn(shownOf(shown)))).toEqual([6, 3]);
  });

  test('and a refusal of the very same: it is refused', async () => {
    const no = await refused(3);
    const yes = await granted(5);
    await expect(need(amount(3))).rejects.toMatchObject({ code: 'APPROVAL_REFUSED', ids: { approval: no } });
    expect(await need(amount(4))).toMatchObject({ approval: yes });
    expect(await need(amount(2))).toMatchObject({ approval: yes });
  });

  test('and a request that covers it too, whichever was first: the grant counts', async () => {
    await asked(7);
    const yes = await granted(5);
    await asked(6);
    expect(await need(amount(3))).toMatchObject({ approval: yes });
  });

  test('and a request for the very same that still waits: the grant counts', async () => {
    await asked(3);
    const yes = await granted(5);
    expect(await need(amount(3))).toMatchObject({ approval: yes });
  });

  test('only a request covers it: that one waits, and no other is written', async () => {
    const waiting = await asked(5);
    await expect(need(amount(3))).rejects.toMatchObject({ code: 'APPROVAL_NEEDED', ids: { approval: waiting } });
    expect(await waitingApprovals(world.store)).toHaveLength(1);
  });

  test('a refusal of more is none of less: it is asked for', async () => {
    await refused(5);
    await expect(need(amount(3))).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  });
});

test('used by this act, and by no other', async () => {
  await granted(5);
  const once = exact(5, { spendFor: 'run-1' });
  expect(await isUsedHere(context, once)).toBe(false);
  await need(once);
  expect(await isUsedHere(context, once)).toBe(true);
  expect(await isUsedHere(context, exact(5, { spendFor: 'run-2' }))).toBe(false);
  expect(await isUsedHere(context, exact(4, { spendFor: 'run-1' }))).toBe(false);
  expect(await isUsedHere(context, exact(5))).toBe(false);
});

test('what was shown, out of the text that was hashed; nothing where it shows nothing', () => {
  const shown = { a: 'text', n: 1.5, no: null, yes: true, list: [1, { b: [] }] };
  expect(shownOf(JSON.stringify({ kind: 'cap', shown }))).toEqual(shown);
  for (const text of ['{"shown":"text"}', '{"shown":3}', '{"shown":false}', '{"shown":null}'])
    expect(shownOf(text), text).toBe(JSON.parse(text).shown);
  for (const text of ['{}', 'null', '"shown"', '5', '[]']) expect(shownOf(text), text).toBeNull();
});

test('the stages of a review are those of purges; everything else takes one of the people who are named', async () => {
  const people = ['bob', 'carol'];
  const purgeStages = [['bob'], ['dora']];
  const stages = async (kind: ApprovalRequest['kind'], rules: Partial<ApprovalRules>) => {
    const on = { ...context, approvals: { ...DEFAULT_APPROVAL_RULES, ...rules } };
    const { stages: asked, items } = await ask(on, { kind, subject: {}, shown: { kind, ...rules } }, ALICE);
    expect(items).toEqual([]);
    return asked;
  };
  for (const kind of ['purge', 'early-purge'] as const) {
    expect(await stages(kind, { people, purgeStages }), kind).toEqual(purgeStages);
    expect(await stages(kind, { people }), kind).toEqual([people]);
  }
  for (const kind of ['cap', 'exception', 'offboard'] as const)
    expect(await stages(kind, { people, purgeStages }), kind).toEqual([people]);
});
