import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

/** A process that cannot be mistaken for a later one with the same pid: the kernel's start time goes with it. */
export const processRef = z.object({ pid: z.number().int().positive(), startTicks: z.string().nullable() });
export type ProcessRef = z.infer<typeof processRef>;

const POLL_MS = 50;
const STAT_PARENT = 1;
const STAT_START = 19;

export function refOf(pid: number): ProcessRef {
  return { pid, startTicks: statFields(pid)?.[STAT_START] ?? null };
}

export function isAlive(ref: ProcessRef): boolean {
  if (ref.startTicks !== null) {
    const fields = statFields(ref.pid);
    return fields !== null && fields[STAT_START] === ref.startTicks && fields[0] !== 'Z';
  }
  try {
    process.kill(ref.pid, 0);
    return true;
  } catch {
    // ESRCH: no such process. (EPERM cannot be: it was started by us.)
    return false;
  }
}

/**
 * Ends a process: `signal`, then SIGKILL when it is still there after `graceMs`. With `group`, the whole process group
 * that it leads. Resolves when it is gone; a process that is not there any more is fine.
 */
export async function end(
  ref: ProcessRef,
  options: { signal: NodeJS.Signals; graceMs: number; group: boolean },
): Promise<void> {
  const target = options.group ? -ref.pid : ref.pid;
  if (isAlive(ref)) send(target, options.signal);
  const deadline = performance.now() + options.graceMs;
  while (isAlive(ref) && performance.now() < deadline) await sleep(POLL_MS);
  if (isAlive(ref)) {
    send(target, 'SIGKILL');
    while (isAlive(ref)) await sleep(POLL_MS);
  }
}

function send(target: number, signal: NodeJS.Signals): void {
  try {
    process.kill(target, signal);
  } catch {
    // It ended between the look and the signal: that is what we wanted.
  }
}

/** These processes and all that they started. Empty where there is no /proc. */
export function withDescendants(pids: readonly number[]): Set<number> {
  const parents = new Map<number, number>();
  for (const pid of numericEntries('/proc')) {
    const parent = statFields(pid)?.[STAT_PARENT];
    if (parent !== undefined) parents.set(pid, Number(parent));
  }
  const family = new Set(pids);
  for (let grown = true; grown; ) {
    grown = false;
    for (const [pid, parent] of parents) {
      if (!family.has(parent) || family.has(pid)) continue;
      family.add(pid);
      grown = true;
    }
  }
  return family;
}

export function numericEntries(directory: string): number[] {
  try {
    return readdirSync(directory).map(Number).filter(Number.isInteger);
  } catch {
    // No /proc on this system, or the process ended meanwhile.
    return [];
  }
}

/** The fields of /proc/<pid>/stat after the command's name, which may itself hold spaces and brackets. */
function statFields(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    // No such process, or no /proc.
    return null;
  }
}
