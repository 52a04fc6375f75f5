/** Bugs that the soak found, each as one small life on real servers. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MoraineError } from '../../src/errors.ts';
import { attempts } from '../../src/ledger/attempts.ts';
import { getInventory } from '../../src/ledger/inventories.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { archivesOf } from '../harness/daemons.ts';
import { testNames } from '../harness/stack.ts';
import { openWorld, type World } from '../harness/world.ts';

const names = testNames(import.meta.filename);
const RUN_AT = '2023-01-01';
const PURGE_AT = '2030-01-01';
let world: World;
beforeAll(async () => {
  world = await openWorld(names);
});
afterAll(() => world.close());

async function scene(name: string) {
  const collection = world.collection(name);
  await collection.createIndex({ tenant: 1, at: 1, _id: 1 });
  await collection.insertMany([1, 2, 3].map((n) => ({ n, tenant: name, at: new Date('2020-01-01') })));
  return await world.publish(
    [
      `policy: ${name}`,
      'zone: UTC',
      `dataset: { collection: ${names.database}_data.${name}, owner: { value: acme }, customer: { field: tenant } }`,
      'trigger: { field: at }',
      'active: 1 year',
      'then: archive',
      'archive: { for: 3 years, vault: cold, verify: checksum }',
      'limits: { records: 1000, share: 1.0 }',
    ].join('\n'),
  );
}

test('an attempt whose worker was cut between abandoning it and destroying its key: the key goes with the next attempt', async () => {
  const policy = await scene('half-abandoned');
  const context = world.at(RUN_AT);
  const cut = () => Promise.reject(new MoraineError('MONGODB_UNAVAILABLE', 'It was cut here.'));
  const vaults = new Map(
    [...context.vaults].map(([key, vault]) => {
      const refusing = Object.create(vault, { storeWhole: { value: cut } });
      for (const method of ['ensure', 'locate'] as const) {
        Object.defineProperty(refusing, method, { value: vault[method].bind(vault) });
      }
      return [key, refusing];
    }),
  );
  const broken: Context = { ...context, vaults, keys: { ...context.keys, destroy: cut } };
  const first = await runPolicy(broken, policy, { flush: true, expired: null });
  expect(first.problems).toHaveLength(1);
  expect((await runPolicy(context, policy, { flush: true, expired: null })).totals).toMatchObject({ deleted: 3 });
  const [archive] = await archivesOf(world, policy.name);
  const states = [];
  for await (const each of attempts(context.store).find({ archive: archive?._id ?? '' })) {
    states.push([each.state, each.keyDestroyedAt !== null]);
  }
  expect(states.sort()).toEqual([
    ['abandoned', true],
    ['acknowledged', false],
  ]);
});

test('the reply to the delete of a purge is lost, and the vault is asked again days after its last inventory: it is confirmed, and no inventory is asked for any more', async () => {
  const policy = await scene('asked-again');
  await world.run(RUN_AT, policy);
  const at = world.at(PURGE_AT);
  const due = (await archivesOf(world, policy.name)).map(({ _id }) => _id);
  // The inventory before the purge lists it.
  await world.emulator.advance('P2D');
  await world.emulator.fault('lost-reply', 'DeleteArchive');
  expect((await purgeArchives(at, due)).failed).toHaveLength(1);
  // The last inventory that this vault will ever have is made now.
  await world.emulator.advance('P3D');
  expect((await purgeArchives(at, due)).purged).toHaveLength(1);
  const { confirmed } = await world.untilInventoriesAreTaken(at);
  const [archive] = await archivesOf(world, policy.name);
  expect(confirmed).toEqual([archive?._id]);
  expect(archive?.state).toBe('confirmed');
  if (archive === undefined) throw new Error('there is one');
  expect(await getInventory(at.store, archive.vault)).toMatchObject({ state: 'none', neededSince: null });
  expect((await reconcile(at, { all: false, source: false })).vaults).toEqual([]);
});
