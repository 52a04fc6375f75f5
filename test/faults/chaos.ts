/**
 * Everything at once, for a while: two daemons and foreground commands that are killed and stopped at random times and
 * at named points, servers that go away and lose things, an emulator that refuses, cuts and loses replies, an
 * application that writes, a person who places holds. Choices come from the seed, one stream for each actor.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DATASETS, LETTERS } from './datasets.ts';
import type { Deeds } from './figures.ts';
import { placeAndRelease } from './operator.ts';
import { type ArmedPoint, NAMED_POINTS, type PointCommand } from './points.ts';
import { type Process, untilStopped } from './processes.ts';
import { type Random, randomOf } from './random.ts';
import type { FaultyServer } from './servers.ts';
import { CUSTOMERS, type FaultyWorld } from './world.ts';

const DAEMONS = 2;
/** How long a daemon lives before something is done to it, if it does not do it to itself. */
const LIFE_MS = [5_000, 25_000] as const;
/** How long a process sleeps: mostly within its lease, sometimes long past it (12 s, see short-margins.ts). */
const SHORT_SLEEP_MS = [200, 3_000] as const;
const LONG_SLEEP_MS = [13_000, 17_000] as const;
const LONG_SLEEP_SHARE = 0.2;
const ARMED_SHARE = 0.85;
const STOP_SHARE = 0.4;
const FIRST_MEETING_SHARE = 0.8;
const MOST_MEETINGS = 4;
const FOREGROUND_PAUSE_MS = [200, 1_000] as const;
const FAULT_PAUSE_MS = [500, 4_000] as const;
const AWAY_MS = [100, 2_000] as const;
const HOLD_PAUSE_MS = [200, 4_000] as const;
const WRITE_PAUSE_MS = [5, 60] as const;
/** A lot for one customer at once, sometimes large ones that go out in parts. */
const LOAD_EVERY_MS = 6_000;
const LOAD_RECORDS = [3, 20] as const;

export async function chaos(world: FaultyWorld, deeds: Deeds, forMs: number): Promise<void> {
  const endsAt = performance.now() + forMs;
  const goesOn = () => performance.now() < endsAt;
  const actor = (name: string) => randomOf(world.seed, name);
  const metBefore = world.processes.met().length;
  const daemons = Array.from({ length: DAEMONS }, (_, n) => daemonLives(world, actor(`daemon ${n}`), deeds, goesOn));
  await Promise.all([
    ...daemons,
    foreground(world, actor('foreground'), deeds, goesOn),
    writing(world, actor('writing'), goesOn),
    holding(world, actor('operator'), deeds, goesOn),
    breaking(world, actor('faults'), deeds, goesOn),
  ]);
  const names = new Map(NAMED_POINTS.map(({ at, name }) => [at, name]));
  for (const { signal, at } of world.processes.met().slice(metBefore)) {
    deeds.add(`${signal} at a point`);
    deeds.add(`point: ${names.get(at) ?? at}`);
  }
}

type GoesOn = () => boolean;

async function daemonLives(world: FaultyWorld, random: Random, deeds: Deeds, goesOn: GoesOn): Promise<void> {
  while (goesOn()) {
    deeds.add('command: worker');
    const args = ['worker', '--no-console', '--log-level', 'warn'];
    const daemon = world.processes.start(args, armedPoint(random, ['run', 'purge', 'reconcile']));
    await live(daemon, random, deeds, random.int(...LIFE_MS), goesOn);
    if (daemon.isRunning()) {
      deeds.add('random kill');
      daemon.signal('SIGKILL');
    }
    await daemon.ended;
    await sleep(random.int(...AWAY_MS));
  }
}

/** Until its time is over or it has ended; wakes it when it froze itself at its point, and sometimes freezes it. */
async function live(process: Process, random: Random, deeds: Deeds, lifeMs: number, goesOn: GoesOn): Promise<void> {
  const freezeAtMs = random.chance(STOP_SHARE) ? random.int(0, lifeMs) : null;
  const sleepMs = () =>
    random.chance(LONG_SLEEP_SHARE) ? random.int(...LONG_SLEEP_MS) : random.int(...SHORT_SLEEP_MS);
  const bornAt = performance.now();
  const age = () => performance.now() - bornAt;
  let hasSlept = false;
  while (process.isRunning() && age() < lifeMs && goesOn()) {
    if (await untilStopped(process.pid, POLL_MS)) {
      await sleep(sleepMs());
      process.signal('SIGCONT');
      await sleep(POLL_MS);
    } else if (freezeAtMs !== null && !hasSlept && age() >= freezeAtMs) {
      hasSlept = true;
      deeds.add('random stop');
      process.signal('SIGSTOP');
    }
  }
}

const POLL_MS = 100;

/** One of the points that the command comes past, mostly at its first meeting. */
function armedPoint(random: Random, commands: readonly PointCommand[]): ArmedPoint | null {
  const { at } = random.pick(NAMED_POINTS.filter(({ command }) => commands.includes(command)));
  const nth = random.chance(FIRST_MEETING_SHARE) ? 1 : random.int(2, MOST_MEETINGS);
  const signal = random.chance(STOP_SHARE) ? 'SIGSTOP' : 'SIGKILL';
  return random.chance(ARMED_SHARE) ? { at, nth, signal } : null;
}

/** The first ones are picked more often: they come past most points. */
const COMMANDS: readonly { readonly args: readonly string[]; readonly past: PointCommand }[] = [
  { args: ['run', '--flush'], past: 'run' },
  { args: ['run', LETTERS.policy, '--flush'], past: 'run' },
  { args: ['purge', '--yes'], past: 'purge' },
  { args: ['run', '--flush'], past: 'run' },
  { args: ['run', '--queue', '--flush'], past: 'run' },
  { args: ['run', LETTERS.policy, '--flush'], past: 'run' },
  { args: ['run', LETTERS.policy, '--expired', '--flush', '--yes'], past: 'expire' },
  { args: ['purge', '--yes'], past: 'purge' },
  { args: ['reconcile', '--source'], past: 'reconcile' },
  { args: ['hold', 'list'], past: 'hold' },
];

async function foreground(world: FaultyWorld, random: Random, deeds: Deeds, goesOn: GoesOn): Promise<void> {
  while (goesOn()) {
    const { args, past } = random.pick(COMMANDS);
    deeds.add(`command: ${args.filter((word) => !word.startsWith('--') || word === '--queue').join(' ')}`);
    const running = world.processes.start(args, armedPoint(random, [past]));
    await live(running, random, deeds, FOREGROUND_LIFE_MS, goesOn);
    if (running.isRunning()) {
      deeds.add('random kill');
      running.signal('SIGKILL');
    }
    await running.ended;
    await sleep(random.int(...FOREGROUND_PAUSE_MS));
  }
}

const FOREGROUND_LIFE_MS = 25_000;

async function writing(world: FaultyWorld, random: Random, goesOn: GoesOn): Promise<void> {
  let loadAt = performance.now();
  // The small ones are written about one by one; the large ones come in loads.
  const small = DATASETS.filter(({ policy }) => policy !== 'scans');
  while (goesOn()) {
    if (performance.now() >= loadAt) {
      loadAt += LOAD_EVERY_MS;
      const owner = random.pick(['acme', 'birch']);
      const customer = random.pick(CUSTOMERS);
      await world.application.insertFor(random.pick(DATASETS), owner, customer, random.int(...LOAD_RECORDS));
    }
    await world.application.writeSomething(small);
    await sleep(random.int(...WRITE_PAUSE_MS));
  }
}

async function holding(world: FaultyWorld, random: Random, deeds: Deeds, goesOn: GoesOn): Promise<void> {
  while (goesOn()) {
    const armed: ArmedPoint = { at: 'after ledger.holds.insert', nth: 1, signal: 'SIGKILL' };
    await placeAndRelease(world, random, deeds, random.chance(CUT_PLACING_SHARE) ? armed : null);
    await sleep(random.int(...HOLD_PAUSE_MS));
  }
}

const CUT_PLACING_SHARE = 0.15;

const FAULTS = ['throttle', 'error500', 'cut', 'lost-reply'] as const;
const OPERATIONS = [
  'UploadArchive',
  'UploadMultipartPart',
  'InitiateMultipartUpload',
  'CompleteMultipartUpload',
  'DeleteArchive',
  'InitiateJob',
  'DescribeJob',
  'GetJobOutput',
  'CreateVault',
  'ListVaults',
] as const;

async function breaking(world: FaultyWorld, random: Random, deeds: Deeds, goesOn: GoesOn): Promise<void> {
  const { mongodb, redis, glacier } = world.servers;
  const away = async (name: string, server: FaultyServer) => {
    const awayMs = random.int(...AWAY_MS);
    deeds.add(`restart: ${name}`);
    await server.kill();
    await sleep(awayMs);
    await server.restart();
  };
  while (goesOn()) {
    await sleep(random.int(...FAULT_PAUSE_MS));
    const what = random.next();
    const fault = random.pick(FAULTS);
    const operation = random.pick(OPERATIONS);
    const times = random.int(1, MOST_MEETINGS);
    if (what < 0.35) {
      deeds.add(`fault: ${fault}`, times);
      await world.emulator('faults', { match: { operation }, times, fault });
    } else if (what < 0.55) {
      await world.emulator('clock', { advance: random.pick(['PT4H', 'P1D', 'P3D']) });
    } else if (what < 0.65) {
      await away('glacier', glacier);
    } else if (what < 0.75) {
      await away('redis', redis);
    } else if (what < 0.85) {
      deeds.add('redis flush');
      await redis.flush();
    } else {
      await away('mongodb', mongodb);
    }
  }
}
