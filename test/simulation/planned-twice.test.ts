/** A worker that sleeps at any call of its planning, past its lease, while another plans and clears the same records: no record is planned twice. */
import { expect, test } from 'vitest';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { Process } from './faults.ts';
import { MemoryWorld } from './memory-world.ts';
import { yearPolicy } from './year-policy.ts';

test('two plans never hold one record', async () => {
  for (let atCall = 1; ; atCall++) {
    const world = await MemoryWorld.open();
    const policy = await world.publish(yearPolicy({ verify: 'inventory' }));
    for (const _id of ['a', 'b'])
      world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date('2020-01-01') });
    const sleeper = new Process('sleeps', atCall);
    const run = (process: Process) =>
      runPolicy(world.context(process, { asOf: '2021-06-01T00:00:00Z' }), policy, { flush: true, expired: null });
    const sleeping = run(sleeper).catch(() => undefined);
    await Promise.race([sleeping, sleeper.asleep]);
    world.letLeasesEnd();
    await run(new Process());
    sleeper.wake();
    await sleeping;
    await run(new Process());
    const holding = (await world.archives()).filter(({ state }) => state !== 'abandoned');
    expect(holding, `call ${atCall}, ${sleeper.met}`).toHaveLength(1);
    expect(holding[0]?.outcomes.archived).toBe(2);
    if (sleeper.met === null) return;
  }
});
