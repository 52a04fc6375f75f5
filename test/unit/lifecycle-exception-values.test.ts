/** Values of exceptions: codes in the ledger, of one owner's key, known to who approves; without that key nothing is decided. */
import { beforeEach, expect, test } from 'vitest';
import { id, type OwnerId } from '../../src/ids.ts';
import { grantApproval } from '../../src/ledger/approval-decisions.ts';
import { getApproval } from '../../src/ledger/approvals.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { exceptions, exceptionsInForce } from '../../src/ledger/exceptions.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { type ExceptionRequest, endException, requestException } from '../../src/lifecycle/exception.ts';
import { areNamed, assertValuesKnown } from '../../src/lifecycle/exception-values.ts';
import { planPolicy } from '../../src/lifecycle/plan.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const JO = 'jo@example.org';
const ACME = id.owner('acme');
let world: MemoryWorld;
let context: Context;
beforeEach(async () => {
  world = await MemoryWorld.open();
  context = world.context();
});

const publish = (owner: string) =>
  world.publish(`
policy: contacts
zone: UTC
dataset: { collection: data.contacts, owner: ${owner}, customer: { field: tenant } }
trigger: { field: at }
active: 1 month
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 30 days }
limits: { records: 1000, share: 1.0 }
`);
const put = (policy: Policy, _id: string, mail: string, owner = 'acme') =>
  world.put(policy, { _id, owner, tenant: 'north', at: new Date('2024-01-01'), mail });

const request = (changes: Partial<ExceptionRequest> = {}): ExceptionRequest => ({
  policy: 'contacts',
  effect: 'longer',
  active: 'P9Y',
  owner: ACME,
  customer: null,
  value: { field: 'mail', is: [JO] },
  reason: 'a dispute',
  requestedBy: 'person:ann',
  from: null,
  until: null,
  ...changes,
});
const granted = async (changes: Partial<ExceptionRequest> = {}) => {
  const { exception, approval } = await requestException(context, request(changes));
  await grantApproval(context, approval._id, { by: 'person:bob', asOf: null });
  return { exception, approval };
};
const due = async (policy: Policy) => (await planPolicy(context, policy, { flush: true })).totals.due;

test('what it names is kept, and nothing else; no document of it has the value', async () => {
  const policy = await publish('{ field: owner }');
  put(policy, 'kept', JO);
  put(policy, 'goes', 'ann@example.org');
  put(policy, 'of-another', JO, 'zeta');
  expect(await due(policy)).toBe(3);
  const { exception, approval } = await granted();
  expect(await due(policy)).toBe(2);
  const entries = [];
  for await (const entry of auditEntries(world.store)) entries.push(entry);
  const written = JSON.stringify([
    await exceptions(world.store).get(exception._id),
    await getApproval(world.store, approval._id),
    entries,
  ]);
  expect(written).toContain('a dispute');
  expect(written).not.toContain('example.org');
  // In the same words it is the same; for another value it is another, with an approval of its own.
  expect((await requestException(context, request())).exception._id).toBe(exception._id);
  const other = await requestException(context, request({ value: { field: 'mail', is: ['ann@example.org'] } }));
  expect([other.exception._id, other.approval._id]).not.toEqual([exception._id, approval._id]);
});

test('values take an owner: the only one of the policy, or the one that is named', async () => {
  await publish('{ field: owner }');
  await expect(requestException(context, request({ owner: null }))).rejects.toMatchObject({ code: 'USAGE' });
  expect(await exceptionsInForce(world.store, 'contacts')).toEqual([]);
  const policy = await publish('{ value: acme }');
  put(policy, 'kept', JO);
  const { exception } = await granted({ owner: null });
  expect(exception.owner).toBe('acme');
  expect(await due(policy)).toBe(0);
});

test('who grants it gives all of its values and no other; an approval of its end, and of anything else, takes none', async () => {
  await publish('{ field: owner }');
  const is = [JO, 'jo@example.net'];
  const { exception, approval } = await requestException(context, request({ value: { field: 'mail', is } }));
  const given = (...values: readonly string[]) => assertValuesKnown(context, approval, { field: 'mail', is: values });
  for (const wrong of [[JO], [JO, JO], [...is, 'x'], [JO, 'x'], []])
    await expect(given(...wrong), wrong.join()).rejects.toMatchObject({ code: 'USAGE' });
  await expect(assertValuesKnown(context, approval, null)).rejects.toMatchObject({ code: 'USAGE' });
  await given(...is.toReversed());
  expect(await areNamed(context, exception, { field: 'mail', is: ['x', JO] })).toEqual([false, true]);
  await expect(areNamed(context, exception, { field: 'phone', is: [JO] })).rejects.toMatchObject({ code: 'USAGE' });

  await grantApproval(context, approval._id, { by: 'person:bob', asOf: null });
  const end = await endException(context, exception._id, { by: 'person:ann', reason: 'over' }).catch((error) => error);
  expect(end).toMatchObject({ code: 'APPROVAL_NEEDED' });
  await assertValuesKnown(context, await getApproval(world.store, end.ids.approval), null);
  const plain = await requestException(context, request({ value: null, customer: id.customer('north') }));
  await assertValuesKnown(context, plain.approval, null);
  await expect(assertValuesKnown(context, plain.approval, { field: 'mail', is })).rejects.toMatchObject({
    code: 'USAGE',
  });
});

test('a key store that made a new key: nothing is decided, for the codes would let go of what they retain', async () => {
  const policy = await publish('{ field: owner }');
  put(policy, 'kept', JO);
  const { exception } = await granted();
  const hmacFor = async (owner: OwnerId) => {
    const hmac = await world.context().keys.hmacFor(owner);
    return (data: string | Uint8Array) => hmac(`anew ${String(data)}`);
  };
  context = { ...context, keys: { ...context.keys, hmacFor } };
  await expect(due(policy)).rejects.toMatchObject({ code: 'KEY_MISSING', ids: { exception: exception._id } });
  await expect(areNamed(context, exception, { field: 'mail', is: [JO] })).rejects.toMatchObject({
    code: 'KEY_MISSING',
  });
});
