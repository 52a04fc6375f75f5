/** When each repeated act last ran: what is remembered, and what no clock that is ahead may say. */
import { beforeEach, expect, test } from 'vitest';
import { knowSchedule, lastScheduledRun, rememberScheduledRun } from '../../src/ledger/schedules.ts';
import { LedgerWorld } from '../harness/ledger-world.ts';

const DAILY = { pattern: '0 2 * * *', zone: 'Europe/Amsterdam' };

let world: LedgerWorld;
beforeEach(async () => {
  world = await LedgerWorld.open(0);
});

const know = (schedule = DAILY) => knowSchedule(world.store, 'purge', schedule, world.clock.now());
const ago = (ms: number) => new Date(world.clock.now().getTime() - ms);

test('a new one is known since now, and owes nothing for the time before', async () => {
  const since = world.clock.now();
  expect(await know()).toMatchObject({ _id: 'purge', v: 1, ...DAILY, since, lastRunAt: null });
  expect(await lastScheduledRun(world.store, 'purge')).toBeNull();
  world.advance(1_000);
  expect(await know()).toMatchObject({ since });
});

test.each([
  { ...DAILY, pattern: '0 3 * * *' },
  { ...DAILY, zone: 'UTC' },
])('changed to %o: known since then, and what it ran before is kept', async (changed) => {
  await know();
  const ranAt = ago(1_000);
  await rememberScheduledRun(world.store, 'purge', ranAt);
  world.advance(60_000);
  expect(await know(changed)).toMatchObject({ ...changed, since: world.clock.now(), lastRunAt: ranAt });
});

test('the newest run that ended counts, in whatever order they end', async () => {
  await know();
  await rememberScheduledRun(world.store, 'purge', ago(2_000));
  await rememberScheduledRun(world.store, 'purge', ago(3_000));
  expect(await lastScheduledRun(world.store, 'purge')).toEqual(ago(2_000));
  await rememberScheduledRun(world.store, 'purge', ago(1_000));
  expect(await lastScheduledRun(world.store, 'purge')).toEqual(ago(1_000));
  const [before] = await world.all('schedules');
  await rememberScheduledRun(world.store, 'purge', ago(1_000));
  expect(await world.all('schedules')).toEqual([before]);
});

test('a run in the future, by a clock that is ahead, ended when the server says it is now', async () => {
  await know();
  await rememberScheduledRun(world.store, 'purge', ago(-3_600_000));
  expect(await lastScheduledRun(world.store, 'purge')).toEqual(world.serverTime());
});

test('an act without a schedule is not remembered; one act says nothing of another', async () => {
  await rememberScheduledRun(world.store, 'purge', ago(1_000));
  expect(await world.all('schedules')).toEqual([]);
  expect(await lastScheduledRun(world.store, 'purge')).toBeNull();
  await know();
  await rememberScheduledRun(world.store, 'reconcile', ago(1_000));
  expect(await lastScheduledRun(world.store, 'purge')).toBeNull();
});
