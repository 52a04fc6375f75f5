/** Placement: what an owner requires is kept, or nothing of it is archived; others go on. */
import { expect, test } from 'vitest';
import { isMoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import { assertPlaced, type Placement, placementFaults, placesOf } from '../../src/lifecycle/placement.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const ACME = id.owner('acme');
const ZETA = id.owner('zeta');
const COLD = id.vaultKey('cold');
const USED = { vaults: [COLD], attachments: ['videos'] };

const INSIDE: Placement = {
  source: 'eu-west-1',
  keyStores: [{ name: 'keys', region: 'eu-west-1' }],
  vaults: new Map([[COLD, 'eu-west-1']]),
  attachments: new Map([['videos', 'eu-central-1']]),
  required: new Map([[ACME, ['eu-west-1', 'eu-central-1']]]),
};

test('inside of one of its regions nothing is wrong; whoever requires nothing may be anywhere', () => {
  expect(placementFaults(INSIDE, ACME, USED)).toEqual([]);
  expect(placementFaults({ ...INSIDE, source: null }, ZETA, USED)).toEqual([]);
  assertPlaced(undefined, ACME, USED);
  // What no policy names may be anywhere.
  const other = new Map([...INSIDE.attachments, ['other', 'us-east-1']]);
  expect(placementFaults({ ...INSIDE, attachments: other }, ACME, USED)).toEqual([]);
});

test.each<[string, Partial<Placement>, string]>([
  ['source elsewhere', { source: 'us-east-1' }, 'the source is in us-east-1'],
  ['source not declared', { source: null }, 'mongodb.region'],
  ['vault elsewhere', { vaults: new Map([[COLD, 'us-east-1']]) }, 'vault cold is in us-east-1'],
  ['vault unknown', { vaults: new Map() }, 'vaults.cold.region'],
  ['attachments elsewhere', { attachments: new Map([['videos', 'us-east-1']]) }, 'attachments.videos.region'],
  ['store of attachments unknown', { attachments: new Map() }, 'attachments.videos.region'],
  [
    'second key store elsewhere',
    { keyStores: [...INSIDE.keyStores, { name: 'keys.second', region: 'us-east-1' }] },
    'keys.second.region',
  ],
])('%s: refused, and said', (_name, change, words) => {
  const placement = { ...INSIDE, ...change };
  expect(placementFaults(placement, ACME, USED).join(' ')).toContain(words);
  let thrown: unknown;
  try {
    assertPlaced(placement, ACME, USED);
  } catch (error) {
    thrown = error;
  }
  expect(isMoraineError(thrown, 'PLACEMENT_REFUSED')).toBe(true);
});

test('of policies: their vaults, and the stores of what hangs on records; files in GridFS lie with the source', async () => {
  const world = await MemoryWorld.open();
  const policy = await world.publish(`
policy: videos
zone: UTC
dataset:
  collection: data.videos
  owner: { field: owner }
  customer: { field: tenant }
  attachments:
    - { s3: videos, bucket: { field: bucket }, key: file, exclusive: true }
    - { gridfs: subtitles, file: subtitles, exclusive: true }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1000, share: 1.0 }
`);
  const { vaults, attachments } = placesOf([policy, policy]);
  expect([[...vaults], [...attachments]]).toEqual([['cold'], ['videos']]);
  expect([...placesOf([{ ...policy, archive: null }]).vaults]).toEqual([]);

  world.put(policy, { _id: 'a', owner: 'acme', tenant: 'north', at: new Date('2020-01-01') });
  const placement = { ...INSIDE, attachments: new Map([['videos', 'us-east-1']]) };
  const context = { ...world.context(), owners: new Set([ACME]), placement };
  const run = await runPolicy(context, policy, { flush: true, expired: null });
  expect(run.problems).toMatchObject([{ owner: 'acme', code: 'PLACEMENT_REFUSED', needsPerson: true }]);
  expect(run.problems[0]?.text).toContain('attachments.videos.region');
  expect([world.idsIn(policy), await world.archives()]).toEqual([['a'], []]);
});

test('a run archives nothing of the owner, deletes nothing of it, and goes on with the others', async () => {
  const world = await MemoryWorld.open();
  const policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1000, share: 1.0 }
`);
  for (const owner of ['acme', 'zeta'])
    world.put(policy, { _id: owner, owner, tenant: 'north', at: new Date('2020-01-01') });
  const context = {
    ...world.context(),
    owners: new Set([ACME, ZETA]),
    placement: { ...INSIDE, source: 'us-east-1' },
  };
  const run = await runPolicy(context, policy, { flush: true, expired: null });
  expect(run.problems).toMatchObject([{ owner: 'acme', code: 'PLACEMENT_REFUSED', needsPerson: true }]);
  expect(world.idsIn(policy)).toEqual(['acme']);
  expect(run.archives.map(({ owner }) => owner)).toEqual(['zeta']);
  expect((await world.archives()).map(({ owner }) => owner)).toEqual(['zeta']);
});
