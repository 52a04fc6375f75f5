/** A deletion of expired records, cut at each of its calls: whoever carries it on ends it, and no page that names a record stays. */
import { expect, test } from 'vitest';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { Process } from './faults.ts';
import { MemoryWorld } from './memory-world.ts';
import { yearPolicy } from './year-policy.ts';

async function run(world: MemoryWorld, policy: Policy, process: Process, saidBy: string | null) {
  const context = world.context(process, { asOf: '2024-06-01T00:00:00Z' });
  return await runPolicy(context, policy, { flush: true, expired: saidBy === null ? null : { saidBy } });
}

test.each(['dies before', 'dies after'] as const)('%s at any one call', async (fault) => {
  for (let atCall = 1; ; atCall++) {
    const world = await MemoryWorld.open();
    const policy = await world.publish(yearPolicy());
    for (const _id of ['a', 'b'])
      world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date('2020-01-01') });
    const cut = new Process(fault, atCall);
    await run(world, policy, cut, 'ann').catch(() => undefined);
    world.letLeasesEnd();
    // What was ordered is carried on without asking; where it was cut before the order was written, it is ordered again.
    await run(world, policy, new Process(), null);
    await run(world, policy, new Process(), 'ann');
    const at = `${fault}, call ${atCall} (${cut.met})`;
    expect(world.idsIn(policy), at).toEqual([]);
    expect(await world.all('rosterPages'), at).toEqual([]);
    expect(await world.all('clearingPages'), at).toEqual([]);
    const ended = await world.all('expirations');
    expect(ended, at).toMatchObject([{ state: 'done', outcomes: { archived: 2, deleted: 2 } }]);
    expect(
      (await world.all('certificates')).map(({ _id }) => _id),
      at,
    ).toEqual([ended[0]?._id]);
    if (cut.met === null) return;
  }
});
