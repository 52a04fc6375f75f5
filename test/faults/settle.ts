/**
 * The faults are over: servers are up, two daemons run undisturbed, days pass for the vault, and a person releases the
 * holds and lets expired records go. All work must end by itself within the deadline.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { unfinished } from './checker/check.ts';
import { readSource } from './checker/end-state.ts';
import { readLedger } from './checker/ledger.ts';
import { DATASETS, LETTERS } from './datasets.ts';
import type { FaultyWorld } from './world.ts';

const LOOK_EVERY_MS = 1_000;
/** A person comes round this often, in looks. */
const PERSON_EVERY = 5;
/** Purges go on while this lasts: each is confirmed when days have passed for the vault and a reconciliation came round. */
const CONFIRMED_WITHIN_MS = 15_000;

export interface Settled {
  readonly seconds: number | null;
  /** What had not ended at the deadline. */
  readonly left: readonly string[];
}

export async function settle(world: FaultyWorld, withinMs: number): Promise<Settled> {
  const startedAt = performance.now();
  await world.emulator('faults', null);
  const daemons = [0, 1].map(() => world.processes.start(['worker', '--no-console', '--log-level', 'warn']));
  let left: readonly string[] = [];
  try {
    for (let look = 0; performance.now() - startedAt < withinMs; look++) {
      if (look % PERSON_EVERY === 0) await comeRound(world);
      await world.emulator('clock', { advance: 'P1D' });
      left = await stillToDo(world);
      if (left.length === 0) return { seconds: (performance.now() - startedAt) / 1_000, left };
      await sleep(LOOK_EVERY_MS);
    }
    return { seconds: null, left };
  } finally {
    for (const daemon of daemons) daemon.signal('SIGTERM');
    await Promise.all(daemons.map(({ ended }) => ended));
  }
}

async function comeRound(world: FaultyWorld): Promise<void> {
  const { holds } = await readLedger(world.client, world.ledgerDatabase);
  for (const hold of holds.filter(({ state }) => state !== 'released')) {
    await world.moraine('hold', 'release', hold._id, '--reason', 'it is over', '--yes');
  }
  await world.moraine('run', '--queue', '--flush');
  await world.moraine('run', LETTERS.policy, '--expired', '--yes');
}

async function stillToDo(world: FaultyWorld): Promise<readonly string[]> {
  const ledger = await readLedger(world.client, world.ledgerDatabase);
  const source = [];
  for (const { collection } of DATASETS) source.push(...(await readSource(world.client, world.database, collection)));
  const destroyedBefore = Date.now() - CONFIRMED_WITHIN_MS;
  const unconfirmed = ledger.archives.filter(
    ({ state, purge }) => state === 'purged' && (purge?.keyDestroyedAt?.getTime() ?? 0) < destroyedBefore,
  );
  const open = [
    ...unfinished({ at: Date.now(), datasets: DATASETS, source, ledger }),
    ...unconfirmed.map(({ _id }) => `${_id} is purged and not confirmed`),
  ];
  const waiting = await jobsWaiting(world.servers.redis.url);
  return waiting === 0 ? open : [...open, `${waiting} jobs wait or run in Redis`];
}

/** Jobs that wait for a worker or are with one. Those of the calendar wait for their time and do not count. */
async function jobsWaiting(url: string): Promise<number> {
  const client = new Redis(url, { maxRetriesPerRequest: 1 });
  client.on('error', () => undefined);
  try {
    let jobs = 0;
    for (const key of await client.keys('moraine-*')) {
      if (/:(wait|active|paused)$/.test(key)) jobs += await client.llen(key);
    }
    return jobs;
  } finally {
    client.disconnect();
  }
}
