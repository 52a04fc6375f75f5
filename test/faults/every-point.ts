/**
 * A process is killed at every named point, one after the other, each with work of its own to be cut. What they leave is
 * carried on by whoever comes later. Throws when a point was not met: then the list, or the way to it, is wrong.
 */
import { LETTERS, SCANS } from './datasets.ts';
import type { Deeds } from './figures.ts';
import { NAMED_POINTS, type NamedPoint } from './points.ts';
import type { FaultyWorld } from './world.ts';

const OWNER = 'acme';
const RECORDS = 3;
/** Enough for three parts of 1 MiB. */
const SCANNED = 16;
/** Archives that are due for purge when their turn comes: one is cut at each purge point, and some are to spare. */
const DUE_SOON = 8;
/** Triggers so old that the archive period ends this long after they were written. */
const PURGE_DUE_IN_MS = 20_000;
const MOST_TRIES = 8;
const PAUSE_MS = 1_000;

export async function everyPoint(world: FaultyWorld, deeds: Deeds): Promise<void> {
  const age = LETTERS.activeMs + LETTERS.archiveMs;
  const dueSoon = { ...LETTERS, triggerAgeMs: [age - PURGE_DUE_IN_MS, age - PURGE_DUE_IN_MS] as const };
  for (let n = 0; n < DUE_SOON; n++) await world.application.insertFor(dueSoon, OWNER, `soon-${n}`, RECORDS);
  await world.moraine('run', LETTERS.policy, '--flush');
  for (const [n, point] of NAMED_POINTS.entries()) {
    await prepare(world, point, `point-${n}`);
    await meet(world, point);
    deeds.add('SIGKILL at a point');
    deeds.add(`point: ${point.name}`);
  }
}

async function prepare({ application }: FaultyWorld, point: NamedPoint, customer: string): Promise<void> {
  const expiredAge = LETTERS.activeMs + LETTERS.archiveMs + PURGE_DUE_IN_MS;
  if (point.command === 'expire') {
    const expired = { ...LETTERS, triggerAgeMs: [expiredAge, 2 * expiredAge] as const };
    await application.insertFor(expired, OWNER, customer, RECORDS);
  } else if (point.command === 'run' && isMultipart(point)) {
    await application.insertFor(SCANS, OWNER, customer, SCANNED);
  } else if (point.command === 'run') {
    await application.insertFor(LETTERS, OWNER, customer, RECORDS);
  }
}

/** Runs the command until one of its processes dies at the point: others may have finished what it needs. */
async function meet(world: FaultyWorld, point: NamedPoint): Promise<void> {
  for (let attempt = 0; attempt < MOST_TRIES; attempt++) {
    const before = world.processes.met().length;
    if (point.command === 'reconcile') await world.emulator('clock', { advance: 'P1D' });
    const { signal } = await world.processes.run(argumentsOf(point, world), {
      at: point.at,
      nth: 1,
      signal: 'SIGKILL',
    });
    const met = world.processes.met().slice(before);
    if (signal === 'SIGKILL' && met.some(({ at }) => at === point.at)) return;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  throw new Error(`no process came past "${point.name}" (${point.at}) in ${MOST_TRIES} tries; log in ${world.folder}`);
}

function argumentsOf(point: NamedPoint, { database }: FaultyWorld): readonly string[] {
  const policy = isMultipart(point) ? SCANS.policy : LETTERS.policy;
  const commands: Readonly<Record<NamedPoint['command'], readonly string[]>> = {
    run: ['run', policy, '--flush'],
    purge: ['purge', '--yes'],
    reconcile: ['reconcile'],
    hold: [
      ...['hold', 'place', '--case', 'cut', '--reason', 'the placing is cut', '--owner', OWNER],
      ...['--dataset', `${database}.${SCANS.collection}`, '--customer', 'nobody', '--yes'],
    ],
    expire: ['run', policy, '--expired', '--yes'],
  };
  return commands[point.command];
}

function isMultipart({ at }: NamedPoint): boolean {
  return at.endsWith('sendPart') || at.endsWith('completeUpload');
}
