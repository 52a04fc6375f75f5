/** Turns aims into faults and acts: lives the scenario as it is so far, with the same mistake in the product, looks when the call is made, and goes on with the next aim. */
import type { Call, PlannedFault } from '../engine/calls.ts';
import type { LifeReport } from '../simulate.ts';
import { live } from '../simulate.ts';
import { type Scenario, type ScriptedAct, START_MS } from '../world/scenario.ts';
import type { Aim, DesignedLife } from './bug.ts';

/** The first daemon of a life, in its first start. */
const FIRST_WORKER = 'worker-1.1';

/** Lives it with what is aimed at, after a rehearsal for each aim; ends at the first in which something is found. */
export async function liveAimed({ scenario, aims }: DesignedLife): Promise<readonly LifeReport[]> {
  const reports: LifeReport[] = [];
  let aimed = scenario;
  for (const aim of aims) {
    const rehearsal = await live(aimed, { trace: true });
    reports.push(rehearsal);
    if (rehearsal.violations.length > 0) return reports;
    aimed = takeAim(aimed, aim, rehearsal.trace);
  }
  return [...reports, await live(aimed)];
}

interface SeenCall extends Pick<Call, 'process' | 'number'> {
  readonly what: string;
  readonly at: number;
}

export function takeAim(scenario: Scenario, aim: Aim, trace: readonly string[]): Scenario {
  const { call, nth = 1, process = FIRST_WORKER, fault, acts = [] } = aim;
  const calls = trace.flatMap((line) => callOf(line) ?? []);
  const found = calls.filter((each) => each.what === call && each.process === process)[nth - 1];
  if (found === undefined) return scenario;
  const list: PlannedFault[] = scenario.faults.by === 'list' ? [...scenario.faults.list] : [];
  const script: ScriptedAct[] = [...scenario.script];
  if (fault !== undefined) list.push({ ...fault, process, call: found.number });
  for (const [afterMs, act] of acts) script.push({ at: found.at - START_MS + afterMs, act });
  return { ...scenario, script: script.sort((a, b) => a.at - b.at), faults: { by: 'list', list } };
}

/** A line of a trace that tells of a call: its instant, the process with the call's number, server and method. */
function callOf(line: string): SeenCall | null {
  const [, at, process, number, what] = /^(\S+) (\S+) #(\d+) (.+?)(?: {2}<- .*)?$/.exec(line) ?? [];
  if (at === undefined || process === undefined || what === undefined) return null;
  return { at: Date.parse(at), process, number: Number(number), what };
}
