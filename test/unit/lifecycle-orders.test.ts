/** Retrieval orders on fakes: who may ask, what it may cost, what a throttled or cut pass leaves, and what is fetched. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BSON } from 'bson';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { getOrder, orderCounts } from '../../src/ledger/retrieval-orders.ts';
import { findRetrievals, type RetrievalState } from '../../src/ledger/retrievals.ts';
import { Asker } from '../../src/lifecycle/asker.ts';
import { chooseTier, type TierOffer } from '../../src/lifecycle/choose-tier.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { EVERYTHING, findHolding, type Selection } from '../../src/lifecycle/find.ts';
import { cancelOrder, followOrder, followOrders } from '../../src/lifecycle/follow-order.ts';
import { placeOrder } from '../../src/lifecycle/place-order.ts';
import { planOrder } from '../../src/lifecycle/plan-order.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import { RetrievalFolder } from '../../src/vault/retrieval-folder.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const ACME: Selection = { ...EVERYTHING, owner: id.owner('acme') };
const CUSTOMERS = ['east', 'north', 'south', 'west'];
const administrators = [{ name: 'alice', recipient: 'age1alice', account: 'alice' }];
const alice = Asker.of('person:alice', null, () => administrators);

let world: MemoryWorld;
let context: Context;
let folder: string;
beforeEach(async () => {
  world = await MemoryWorld.open();
  folder = await mkdtemp(join(tmpdir(), 'moraine-orders-'));
  const policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant }, facets: { subject: { field: mail } } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1000, share: 1.0 }
`);
  for (const tenant of CUSTOMERS)
    world.put(policy, {
      _id: `of ${tenant}`,
      owner: 'acme',
      tenant,
      at: new Date('2020-01-01'),
      mail: `${tenant}@example.org`,
    });
  const files = new RetrievalFolder({ folder, keepMs: 7 * 86_400_000 });
  context = { ...world.context(), retrievals: { files, inFlight: 3 } };
  await runPolicy(context, policy, { flush: true, expired: null });
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

async function order(asker = alice, selection = ACME) {
  const plan = await planOrder(context, selection, asker);
  const offer = chooseTier(plan.offers, { tier: 'bulk', deadlineHours: null, maxDollars: null });
  return await placeOrder(context, selection, plan, { offer, reason: 'a test', maxDollars: null }, asker);
}

async function states(): Promise<readonly RetrievalState[]> {
  const found: RetrievalState[] = [];
  for await (const { state } of findRetrievals(world.store)) found.push(state);
  return found.toSorted();
}

describe('who may ask', () => {
  test('an administrator of the owner, by account or identity; nobody else, and then nothing is wanted', async () => {
    const open = async () => null;
    const shown = Asker.of('person:eve', { recipient: 'age1alice', open }, () => administrators);
    expect(shown.administratorOf(id.owner('acme'))).toBe('alice');
    const eve = Asker.of('person:eve', { recipient: 'age1eve', open }, () => administrators);
    await expect(order(eve)).rejects.toMatchObject({ code: 'RETRIEVAL_NOT_ALLOWED', ids: { owner: 'acme' } });
    const daemon = Asker.of('worker:alice', null, () => administrators);
    await expect(order(daemon)).rejects.toMatchObject({ code: 'RETRIEVAL_NOT_ALLOWED' });
    expect(await states()).toEqual([]);
  });

  test('a second person where it is listed: nothing is wanted before exactly this was granted', async () => {
    context = { ...context, approvals: { required: ['retrieve'], validMs: 86_400_000, people: [], purgeStages: null } };
    await expect(order()).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
    expect(await states()).toEqual([]);
  });
});

test('asked for a few at a time, throttled in between, fetched when ready, kept, and removed when given up', async () => {
  const { _id } = await order();
  expect(await states()).toEqual(['wanted', 'wanted', 'wanted', 'wanted']);
  world.vault.failNext('requestRetrieval', 'throttle');
  expect((await followOrder(context, _id)).obstacle).toMatchObject({ code: 'VAULT_THROTTLED' });
  expect(await orderCounts(world.store, _id)).toMatchObject({ wanted: 2, requested: 2, asking: 0 });
  expect((await followOrder(context, _id)).obstacle).toBe(null);
  expect(await orderCounts(world.store, _id)).toMatchObject({ wanted: 1, requested: 3 });
  world.vault.advance(13);
  await followOrders(context);
  // What was ready made room for the last one, and lies in the folder.
  expect(await orderCounts(world.store, _id)).toMatchObject({ wanted: 0, requested: 1, fetched: 3 });
  expect(await readdir(folder)).toHaveLength(3);
  // The vault has dropped its output by now; the file is kept.
  world.vault.advance(48);
  await followOrders(context);
  expect(await orderCounts(world.store, _id)).toMatchObject({ fetched: 3, expired: 1 });
  expect(await cancelOrder(context, _id, 'enough')).toBe(3);
  expect(await readdir(folder)).toEqual([]);
  expect(await getOrder(world.store, _id)).toMatchObject({ state: 'cancelled' });
  const told = [];
  for await (const { act } of auditEntries(world.store, {})) if (act.startsWith('retriev')) told.push(act);
  expect(told.filter((act) => act === 'retrieval fetched')).toHaveLength(3);
  expect(told.filter((act) => act === 'retrieval cancelled')).toHaveLength(3);
  expect(told.filter((act) => act === 'retrieval expired')).toHaveLength(1);
});

test('a fetched file that nobody reads goes after its time, and the order is done', async () => {
  const { _id } = await order(alice, { ...ACME, customer: id.customer('north') });
  await followOrder(context, _id);
  world.vault.advance(13);
  await followOrder(context, _id);
  expect(await states()).toEqual(['fetched']);
  world.clock.advance(8 * 86_400_000);
  await followOrders(context);
  await followOrders(context);
  expect(await states()).toEqual(['expired']);
  expect(await readdir(folder)).toEqual([]);
  expect(await getOrder(world.store, _id)).toMatchObject({ state: 'done' });
});

test('other bytes than were stored are never taken for a fetched file', async () => {
  const { _id } = await order(alice, { ...ACME, customer: id.customer('north') });
  await followOrder(context, _id);
  world.vault.advance(13);
  const [key] = [...context.vaults.keys()];
  const vault = context.vaults.get(key ?? id.vaultKey('cold'));
  if (vault === undefined || key === undefined) throw new Error('There is no vault.');
  const broken = Object.create(vault, {
    readRetrieval: {
      value: async (...asked: Parameters<typeof vault.readRetrieval>) => {
        const bytes = await vault.readRetrieval(...asked);
        bytes[7] = (bytes[7] ?? 0) ^ 1;
        return bytes;
      },
    },
    retrievalState: { value: vault.retrievalState.bind(vault) },
  });
  await followOrder({ ...context, vaults: new Map([[key, broken]]) }, _id);
  expect(await states()).toEqual(['ready']);
  expect(await readdir(folder)).toEqual([]);
});

test('asked for again while it is open: nothing new is wanted; another set is another order', async () => {
  await order();
  expect(await planOrder(context, ACME, alice)).toMatchObject({ archives: 0, open: CUSTOMERS.length });
});

describe('find', () => {
  const found = async (selection: Selection) => {
    const all = [];
    for await (const { archive, isCertain, segments } of findHolding(context, selection))
      all.push({ customer: archive.customer, isCertain, segments });
    return all;
  };

  test('by customer, date, facet and record: holds what the ledger knows, may hold what it cannot rule out', async () => {
    const north = { customer: 'north', segments: [] };
    expect(await found({ ...ACME, customer: id.customer('north') })).toEqual([{ ...north, isCertain: true }]);
    expect(await found({ ...ACME, from: new Date('2020-01-02') })).toEqual([]);
    expect(await found({ ...ACME, to: new Date('2020-01-02') })).toHaveLength(CUSTOMERS.length);
    const facet = { name: 'subject', values: ['north@example.org'] };
    expect(await found({ ...ACME, facet })).toEqual([{ ...north, isCertain: true }]);
    const undeclared = await found({ ...ACME, facet: { ...facet, name: 'ticket' } });
    expect(undeclared.map(({ isCertain }) => isCertain)).toEqual(CUSTOMERS.map(() => false));
    const candidates = [idBytesOf(BSON.serialize({ _id: 'of north' }))];
    expect(await found({ ...ACME, record: { candidates, rule: null } })).toEqual([
      { customer: 'north', isCertain: false, segments: [0] },
    ]);
    const other = [idBytesOf(BSON.serialize({ _id: 'of nobody' }))];
    expect(await found({ ...ACME, record: { candidates: other, rule: null } })).toEqual([]);
  });
});

describe('the tier', () => {
  const offers: readonly TierOffer[] = [
    { tier: 'bulk', dollars: 1, hours: 12, refusal: null },
    { tier: 'standard', dollars: 4, hours: 5, refusal: null },
    { tier: 'expedited', dollars: 12, hours: 5 / 60, refusal: null },
  ];
  const none = { tier: null, deadlineHours: null, maxDollars: null };

  test.each([
    [{ deadlineHours: 24 }, 'bulk'],
    [{ deadlineHours: 6 }, 'standard'],
    [{ deadlineHours: 1 }, 'expedited'],
    [{ deadlineHours: 6, maxDollars: 4 }, 'standard'],
    [{ maxDollars: 1 }, 'bulk'],
  ])('%j: %s, the cheapest that will do', (wish, tier) => {
    expect(chooseTier(offers, { ...none, ...wish }).tier).toBe(tier);
  });

  test('none will do: refused, and what is possible is said with what it costs', () => {
    expect(() => chooseTier(offers, { ...none, deadlineHours: 1, maxDollars: 5 })).toThrow(
      expect.objectContaining({
        code: 'RETRIEVAL_OVER_LIMIT',
        message: expect.stringMatching(/within 1 hour and for at most \$5.*bulk: about \$1.*standard.*expedited/),
      }),
    );
    expect(() => chooseTier(offers, { ...none, maxDollars: Number.NaN })).toThrow();
  });
});
