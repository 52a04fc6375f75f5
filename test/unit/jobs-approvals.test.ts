/** The daemon where purges are reviewed: it asks once, purges what was granted, says what waits, and waits for nothing. */
import { expect, test } from 'vitest';
import type { ActTools } from '../../jobs/act.ts';
import { MARGINS } from '../../jobs/margins.ts';
import { purge } from '../../jobs/purge.ts';
import { sweep } from '../../jobs/sweep.ts';
import { grantApproval, refuseApproval } from '../../src/ledger/approval-decisions.ts';
import { type ApprovalRules, DEFAULT_APPROVAL_RULES } from '../../src/ledger/approval-document.ts';
import { waitingApprovals } from '../../src/ledger/approvals.ts';
import { latestRuns, type RunDocument } from '../../src/ledger/runs.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const RUN_AT = '2024-06-01T00:00:00Z';
const PURGE_AT = '2032-06-01T00:00:00Z';
const BY = { by: 'schedule' };

async function newWorld(limits = '{ records: 1000, share: 1.0 }') {
  const world = await MemoryWorld.open();
  for (const name of ['calls', 'chats']) {
    const policy = await world.publish(`
policy: ${name}
zone: UTC
dataset: { collection: data.${name}, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: ${limits}
`);
    for (const _id of ['jo', 'kim'])
      world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date('2020-01-01') });
    if (limits.includes('1000'))
      await runPolicy(world.context(undefined, { asOf: RUN_AT }), policy, { flush: true, expired: null });
  }
  const said: [Readonly<Record<string, unknown>>, string][] = [];
  const toolsAt = (asOf: string, rules: Partial<ApprovalRules>): ActTools => ({
    context: {
      ...world.context(undefined, { asOf }),
      approvals: { ...DEFAULT_APPROVAL_RULES, ...rules },
      log: {
        info: () => undefined,
        warn: (ids, text) => said.push([ids, text]),
        error: (ids, text) => said.push([ids, text]),
      },
    },
    margins: MARGINS,
    isOpen: async () => false,
    put: async () => true,
  });
  const states = async () =>
    Object.fromEntries((await world.archives()).map(({ policy, state }) => [policy, state] as const));
  return { world, said, toolsAt, states };
}

async function purgeRuns(world: MemoryWorld): Promise<RunDocument[]> {
  const found: RunDocument[] = [];
  for await (const run of latestRuns(world.store, { limit: 9 })) if (run.command === 'purge') found.push(run);
  return found;
}

test('one policy is granted, one waits, and is refused at last: each goes its own way', async () => {
  const { world, said, toolsAt, states } = await newWorld();
  const tools = toolsAt(PURGE_AT, { purgeStages: [['bob']] });
  for (let hour = 0; hour < 3; hour++) expect(await purge(tools, BY)).toEqual({ purged: 0 });
  const waiting = await waitingApprovals(world.store);
  expect(waiting.map(({ subject, requestedBy }) => [subject['policy'], requestedBy])).toEqual([
    ['calls', 'schedule'],
    ['chats', 'schedule'],
  ]);
  expect(said).toHaveLength(6);
  expect(said[0]).toEqual([
    { approval: waiting[0]?._id, archives: 1, code: 'APPROVAL_NEEDED' },
    'Archives are due and wait for their review.',
  ]);
  expect(await states()).toEqual({ calls: 'cleared', chats: 'cleared' });
  expect(await purgeRuns(world)).toEqual([]);

  await grantApproval(tools.context, waiting[0]?._id ?? '', { by: 'person:bob', asOf: null });
  expect(await purge(tools, BY)).toMatchObject({ purged: 1, waiting: 0, failed: 0 });
  expect(await states()).toEqual({ calls: 'purged', chats: 'cleared' });
  expect(await purgeRuns(world)).toMatchObject([{ state: 'done', error: null }]);

  await refuseApproval(tools.context, waiting[1]?._id ?? '', { by: 'person:bob', reason: 'still needed' });
  said.length = 0;
  expect(await purge(tools, BY)).toEqual({ purged: 0 });
  expect(said).toEqual([]);
  expect(await waitingApprovals(world.store)).toEqual([]);
  expect(await states()).toEqual({ calls: 'purged', chats: 'cleared' });
});

test('over a cap the daemon says so and asks nobody: its counts change with every sweep', async () => {
  const { world, said, toolsAt } = await newWorld('{ records: 1, share: 1.0 }');
  const tools = toolsAt(RUN_AT, { required: ['cap'] });
  await sweep(tools, { policy: 'chats', flush: true, by: 'schedule' });
  expect(said).toMatchObject([[{ policy: 'chats', code: 'BLAST_CAP' }, expect.stringContaining('starts nothing')]]);
  expect(await waitingApprovals(world.store)).toEqual([]);
});
