/** Exceptions in the ledger: nothing without a grant, exactly what was granted with it, and what cannot be read stops the decision. */
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { grantApproval, refuseApproval } from '../../src/ledger/approval-decisions.ts';
import { askApproval } from '../../src/ledger/approvals.ts';
import {
  type ExceptionDocument,
  exceptionAsked,
  exceptions,
  exceptionsByIds,
  exceptionsInForce,
  getException,
} from '../../src/ledger/exceptions.ts';
import { LedgerWorld } from '../harness/ledger-world.ts';

const DAY_MS = 86_400_000;
const TRIAL = { field: 'topic', codes: ['c0de'], witness: 'w1tness' };
let world: LedgerWorld;
beforeEach(async () => {
  world = await LedgerWorld.open();
});

const exception = (changes: Partial<ExceptionDocument> = {}): ExceptionDocument => ({
  _id: 'exception-1',
  v: 1,
  rev: 0,
  policy: 'chats',
  effect: 'shorter',
  active: 'P90D',
  owner: id.owner('acme'),
  customer: null,
  value: TRIAL,
  reason: 'privacy',
  requestedBy: 'person:alice',
  from: null,
  until: new Date('2030-01-01'),
  state: 'requested',
  requestedAt: new Date('2026-05-01'),
  graceMs: 7 * DAY_MS,
  approval: null,
  grantedBy: [],
  grantedAt: null,
  endedAt: null,
  endedBy: null,
  endReason: null,
  ...changes,
});

async function put(changes: Partial<ExceptionDocument> = {}): Promise<ExceptionDocument> {
  const document = exception(changes);
  await exceptions(world.store).insert(document);
  return document;
}

async function ask(document: ExceptionDocument) {
  const { kind, subject, shown } = exceptionAsked(document);
  return await askApproval(world, { kind, subject, shown, by: 'person:alice', validMs: DAY_MS, stages: [[]] });
}
const grant = async (document: ExceptionDocument, asOf: Date | null = null) =>
  await grantApproval(world, (await ask(document))._id, { by: 'person:bob', asOf });
const inForce = () => exceptionsInForce(world.store, 'chats');

test('asked for, refused, or expired unanswered: it does nothing', async () => {
  const one = await put();
  expect(await inForce()).toEqual([]);
  const { _id } = await ask(one);
  expect(await inForce()).toEqual([]);
  world.advance(2 * DAY_MS);
  expect(await inForce()).toEqual([]);
  const second = await ask(one);
  expect(second._id).not.toBe(_id);
  await refuseApproval(world, second._id, { by: 'person:bob', reason: 'no' });
  expect(await inForce()).toEqual([]);
  expect(await exceptionsByIds(world.store, ['exception-1'])).toEqual([]);
});

test('granted, and cut before its document says so: it counts, by the times of its approval, for good', async () => {
  await grant(await put());
  const granted = world.serverTime().getTime();
  const rule = {
    id: 'exception-1',
    effect: 'shorter',
    active: 'P90D',
    scope: { owner: 'acme', customer: null, value: TRIAL },
    from: granted,
    until: Date.parse('2030-01-01'),
    bitesAt: granted + 7 * DAY_MS,
  };
  expect(await inForce()).toEqual([rule]);
  expect(await exceptionsByIds(world.store, ['exception-1', 'exception-1'])).toEqual([rule]);
  // Its approval may no longer be used by then; what it put in force stays.
  world.advance(400 * DAY_MS);
  expect(await inForce()).toEqual([rule]);
});

test('with time moved, the moved time of the grant counts for what is due', async () => {
  await grant(await put(), new Date('2029-01-01'));
  expect(await inForce()).toMatchObject([{ from: Date.parse('2029-01-01'), bitesAt: Date.parse('2029-01-08') }]);
});

test('a document that was changed after it was shown has no approval', async () => {
  const one = await put();
  await grant(one);
  await exceptions(world.store).replace({ ...(await getException(world.store, one._id)), active: 'P1D' });
  expect(await inForce()).toEqual([]);
});

test.each([
  [null, null, null],
  ['2030-01-01', null, '2030-01-01'],
  [null, '2028-01-01', '2028-01-01'],
  ['2030-01-01', '2028-01-01', '2028-01-01'],
  ['2027-01-01', '2028-01-01', '2027-01-01'],
])('until %s and ended %s: its end is %s', async (until, endedAt, end) => {
  const date = (text: string | null) => (text === null ? null : new Date(text));
  await put({
    state: endedAt === null ? 'granted' : 'ended',
    grantedAt: new Date('2026-06-01'),
    until: date(until),
    endedAt: date(endedAt),
  });
  expect((await inForce())[0]?.until).toBe(end === null ? null : Date.parse(end));
});

test('what ended before the given instant is left out; what never ends is not', async () => {
  const granted = { state: 'granted' as const, grantedAt: new Date('2026-06-01') };
  await put({ ...granted, until: new Date('2027-01-01') });
  await put({ ...granted, _id: 'exception-2', until: null });
  await put({ ...granted, _id: 'exception-3', policy: 'calls' });
  await put({ _id: 'exception-4', state: 'withdrawn' });
  const ids = async (endedBefore?: number) =>
    (await exceptionsInForce(world.store, 'chats', endedBefore)).map((rule) => rule.id);
  expect(await ids()).toEqual(['exception-1', 'exception-2']);
  expect(await ids(Date.parse('2027-01-01'))).toEqual(['exception-1', 'exception-2']);
  expect(await ids(Date.parse('2027-01-02'))).toEqual(['exception-2']);
});

test("a newer Moraine's exception, or one that the ledger lost, stops the decision; of the version before it is read", async () => {
  const granted = { state: 'granted' as const, grantedAt: new Date('2026-06-01') };
  await put({ ...granted, v: 0 });
  expect(await inForce()).toHaveLength(1);
  await put({ ...granted, _id: 'exception-2', v: 2 });
  await expect(inForce()).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
  await expect(exceptionsByIds(world.store, ['exception-2'])).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
  await expect(exceptionsByIds(world.store, ['exception-9'])).rejects.toMatchObject({ code: 'EXCEPTION_UNKNOWN' });
});
