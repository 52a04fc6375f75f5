/** What the daemon's acts do under a pause: no run, no new jobs, and the jobs that wait wait on. */
import { expect, test } from 'vitest';
import type { ActTools } from '../../jobs/act.ts';
import { archive } from '../../jobs/archive.ts';
import { MARGINS } from '../../jobs/margins.ts';
import { purge } from '../../jobs/purge.ts';
import { settle } from '../../jobs/settle-job.ts';
import { sweep } from '../../jobs/sweep.ts';
import { putUnfinished } from '../../jobs/unfinished.ts';
import type { PauseTarget } from '../../src/ledger/pauses.ts';
import { pause, resume } from '../../src/lifecycle/pause.ts';
import { planPolicy } from '../../src/lifecycle/plan.ts';
import { planNextArchives } from '../../src/lifecycle/plan-archive.ts';
import { policyVersion } from '../../src/policy/policy.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const BECAUSE = { by: 'person:test', reason: 'look first' };
const SWEEP = { policy: 'chats', flush: true, by: 'watchdog' };

async function newWorld() {
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
  world.put(policy, { _id: 'jo', owner: 'acme', tenant: 'north', at: new Date('2020-01-01') });
  const put: [string, unknown][] = [];
  const context = world.context();
  const tools: ActTools = {
    context,
    margins: MARGINS,
    isOpen: async () => false,
    put: async (queue, data) => put.push([queue, data]) > 0,
  };
  return { world, policy, context, tools, put };
}

test.each<PauseTarget>([
  { what: 'policy', name: 'chats' },
  { what: 'owner', name: 'acme' },
  { what: 'all', name: null },
])('$what $name: a sweep and the watchdog put nothing, a partition waits, and after it they go on', async (target) => {
  const { world, policy, context, tools, put } = await newWorld();
  const [plan] = (await planPolicy(context, policy, { flush: true })).partitions;
  if (plan === undefined) throw new Error('Nothing is due.');
  const [unfinished] = await planNextArchives(context, policy, plan);
  if (unfinished === undefined) throw new Error('Nothing was planned.');
  await pause(context, target, BECAUSE);
  const result = await sweep(tools, SWEEP);
  if (target.what !== 'owner') expect(result).toEqual({ paused: [expect.stringContaining('pause-')] });
  expect(await putUnfinished(tools, {})).toBe(0);
  expect(put).toEqual([]);
  const { owner, customer, dataset } = plan;
  const plannedAt = context.clock.now().toISOString();
  const job = { policy: 'chats', version: policyVersion(policy), dataset, owner, customer, plannedAt };
  for (const data of [job, { archive: unfinished }]) {
    const error = await archive(tools, data).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: 'PAUSED' });
    const now = context.clock.now();
    expect(settle(error, { now, isStopping: false, margins: MARGINS })).toMatchObject({
      kind: 'delay',
      ms: MARGINS.pausedRetryMs,
      waited: null,
      pause: expect.stringMatching(/^pause-/),
    });
  }
  expect(world.idsIn(policy)).toEqual(['jo']);
  await resume(context, target, BECAUSE);
  expect(await putUnfinished(tools, {})).toBe(1);
  expect(put).toEqual([['archive', { archive: unfinished }]]);
  await archive(tools, job);
  expect(world.idsIn(policy)).toEqual([]);
});

test('the repeated purge: leaves what is paused, and no trace among the runs', async () => {
  const { world, context, tools } = await newWorld();
  await sweep(tools, SWEEP);
  await pause(context, { what: 'all', name: null }, BECAUSE);
  expect(await purge(tools, { by: 'schedule' })).toEqual({ purged: 0 });
  expect((await world.all('runs')).map((run) => 'command' in run && run['command'])).toEqual(['run']);
});
