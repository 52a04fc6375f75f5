/** What a publication waits for: whom, and how long. */
import { beforeEach, expect, test } from 'vitest';
import { grantApproval } from '../../src/ledger/approval-decisions.ts';
import { waitingApprovals } from '../../src/ledger/approvals.ts';
import { policyInForce } from '../../src/ledger/policies.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { publishWeighed, weighPublication } from '../../src/lifecycle/publish-policy.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { type Policy, policyVersion } from '../../src/policy/policy.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

/** The world's clock stands at 1 June 2024. */
const at = (day: string) => new Date(`${day}T00:00:00.000Z`);
const ALICE = 'person:alice';
let world: MemoryWorld;
beforeEach(async () => {
  world = await MemoryWorld.open();
});

function policy(active: string, more = ''): Policy {
  const { loaded, problems } = loadPolicy(
    'p.yaml',
    `policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: ${active}
then: delete
grace: 10 days
limits: { records: 1000, share: 1.0 }
${more}`,
  );
  if (loaded === null) throw new Error(JSON.stringify(problems));
  return loaded.policy;
}
const put = (_id: string, day: string) =>
  world.put(policy('1 year'), { _id, owner: 'acme', tenant: 'north', at: at(day) });
const publish = async (context: Context, next: Policy) => {
  const old = await policyInForce(world.store, 'chats').then(
    ({ version }) =>
      [policy('1 year'), policy('2 years'), policy('1 month')].find((one) => policyVersion(one) === version) ?? null,
    () => null,
  );
  return await publishWeighed(context, await weighPublication(context, old, next), ALICE);
};
const grantAll = async (context: Context) => {
  for (const { _id } of await waitingApprovals(world.store))
    await grantApproval(context, _id, { by: 'person:bob', asOf: null });
};

test('in a sandbox everything at once; in non-production what deletes more waits for the grace, and for nobody', async () => {
  put('a', '2024-04-01');
  const sandbox = world.context();
  expect(await publish(sandbox, policy('2 years'))).toMatchObject({ outcome: 'published', effectiveAt: null });
  const staging = world.context(undefined, { environment: 'non-production' });
  expect(await publish(staging, policy('1 month'))).toMatchObject({ approval: null, effectiveAt: at('2024-06-11') });
  expect((await policyInForce(world.store, 'chats')).version).toBe(policyVersion(policy('2 years')));
  expect((await policyInForce(world.store, 'chats', at('2024-06-11'))).version).toBe(policyVersion(policy('1 month')));
  expect(await publish(sandbox, policy('1 month'))).toMatchObject({ outcome: 'unchanged' });
});

test('in production the texts alone are reason enough, and the grace counts from the publication, of which people are told', async () => {
  const context = world.context(undefined, { environment: 'production' });
  // Due under each of them: the data says nothing against any.
  put('old', '2010-01-01');
  await expect(publish(context, policy('1 year'))).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  await grantAll(context);
  expect(await publish(context, policy('1 year'))).toMatchObject({ effectiveAt: null, approval: expect.any(String) });
  expect(await publish(context, policy('2 years'))).toMatchObject({ effectiveAt: null, approval: null });
  await expect(publish(context, policy('1 month'))).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  world.clock.advance(2 * 86_400_000);
  await grantAll(context);
  world.clock.advance(86_400_000);
  // What came since the request is no part of it.
  put('new', '2024-06-02');
  expect(await publish(context, policy('1 month'))).toMatchObject({ effectiveAt: at('2024-06-14') });
});

test('more than was granted is another request; raised limits wait for a person and for no grace', async () => {
  const context = world.context(undefined, { environment: 'production' });
  await world.publish(`policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 1 year
then: delete
grace: 10 days
limits: { records: 1000, share: 1.0 }
`);
  put('a', '2024-01-01');
  await expect(publish(context, policy('1 month'))).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  await grantAll(context);
  put('b', '2024-01-02');
  await expect(publish(context, policy('1 month'))).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  const raised = { ...policy('1 year'), limits: { records: 2000, share: 1 } };
  await expect(publish(context, raised)).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  await grantAll(context);
  expect(await publish(context, raised)).toMatchObject({ effectiveAt: null, approval: expect.any(String) });
});
