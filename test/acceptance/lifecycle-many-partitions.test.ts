/** Many small customers: each gets an archive of its own, at a pace that a person can wait for. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testNames } from '../harness/stack.ts';
import { openWorld, type World } from '../harness/world.ts';

const names = testNames(import.meta.filename);
let world: World;
beforeAll(async () => {
  world = await openWorld(names);
});
afterAll(async () => {
  await world.close();
});

const CUSTOMERS = 150;
const RECORDS_EACH = 5;
/** Far above what it takes (about 40 ms an archive on two cores): fails only when something became an order slower. */
const MOST_SECONDS = 60;

test('150 customers with five records each: an archive each, all cleared, within a minute on a busy machine', async () => {
  const flights = world.collection('flights');
  await flights.createIndex({ owner: 1, airport: 1, at: 1, _id: 1 });
  const records = Array.from({ length: CUSTOMERS * RECORDS_EACH }, (_, at) => ({
    owner: 'acme',
    airport: `A${String(at % CUSTOMERS).padStart(3, '0')}`,
    at: new Date(Date.parse('2020-01-01T00:00:00Z') + at * 60_000),
    delay: at,
  }));
  await flights.insertMany(records);
  const policy = await world.publish(`
policy: flights
zone: UTC
dataset: { collection: ${names.database}_data.flights, owner: { field: owner }, customer: { field: airport } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: checksum, dueWindow: 1 year }
limits: { records: 100000, share: 1.0 }
`);
  const started = performance.now();
  const run = await world.run('2024-06-01T00:00:00Z', policy);
  const seconds = (performance.now() - started) / 1000;
  console.log(`${CUSTOMERS} archives in ${seconds.toFixed(1)} s`);
  expect(run.problems).toEqual([]);
  expect(run.archives).toHaveLength(CUSTOMERS);
  expect(run.totals).toMatchObject({
    selected: records.length,
    archived: records.length,
    deleted: records.length,
    pending: 0,
  });
  expect(await flights.countDocuments()).toBe(0);
  expect(seconds).toBeLessThan(MOST_SECONDS);
}, 120_000);
