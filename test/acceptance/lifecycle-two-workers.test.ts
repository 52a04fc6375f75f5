/** Two workers with connections of their own on one policy, on real servers: each record goes once, into one archive. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openApp } from '../../src/app.ts';
import { findArchives } from '../../src/ledger/archives.ts';
import { verifyAudit } from '../../src/ledger/audit.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { silentLog } from '../../src/log.ts';
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

const NOW = '2024-06-01T00:00:00Z';
const RECORDS = 600;

test('two workers run one policy at once: every record is deleted once and in one archive, the chain holds', async () => {
  const calls = world.collection('calls');
  await calls.createIndex({ owner: 1, tenant: 1, at: 1, _id: 1 });
  const records = Array.from({ length: RECORDS }, (_, at) => ({
    owner: 'acme',
    tenant: `t${at % 6}`,
    // Half a year: the due window of 30 days makes several archives of each partition.
    at: new Date(Date.parse('2020-01-01T00:00:00Z') + at * 7 * 3_600_000),
  }));
  await calls.insertMany(records);
  const policy = await world.publish(`
policy: calls
zone: UTC
dataset: { collection: ${names.database}_data.calls, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: checksum, dueWindow: 30 days }
limits: { records: 1000, share: 1.0 }
`);
  const other = await openApp(world.config, { log: silentLog, actor: 'worker:other' });
  try {
    const run = { flush: true, expired: null };
    const both = await Promise.all([
      runPolicy(world.at(NOW), policy, run),
      runPolicy(other.context({ asOf: new Date(NOW) }), policy, run),
    ]);
    for (const { problems } of both) expect(problems).toEqual([]);
    // A worker that found a partition taken left it to the other, and with it what the other had not planned.
    await runPolicy(world.at(NOW), policy, run);
  } finally {
    await other.close();
  }
  expect(await calls.countDocuments()).toBe(0);
  const sum = { archived: 0, deleted: 0 };
  for await (const { outcomes, state, lease } of findArchives(world.app.store, {})) {
    expect(['cleared', 'abandoned']).toContain(state);
    expect(lease).toBeNull();
    sum.archived += outcomes.archived;
    sum.deleted += outcomes.deleted;
  }
  expect(sum).toEqual({ archived: RECORDS, deleted: RECORDS });
  expect(await verifyAudit(world.app.store)).toMatchObject({ ok: true });
}, 90_000);
