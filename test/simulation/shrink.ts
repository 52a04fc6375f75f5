/**
 * Makes a failing life small: fewer faults, acts, records, policies, workers and days, and even latencies, as long as the
 * same property breaks. Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input").
 */
import type { PlannedFault } from './engine/calls.ts';
import type { Violation } from './judge/observations.ts';
import { type LifeReport, live } from './simulate.ts';
import { isCommand } from './world/commands.ts';
import { DAY_MS, type Scenario, type ScriptedAct } from './world/scenario.ts';

/** Says whether what is left still fails. */
export type Breaks<T> = (candidate: T) => Promise<boolean>;

/**
 * The fewest items that still break, such that none of them can be left out alone. `breaks` is never asked about the
 * whole list.
 */
export async function fewest<T>(items: readonly T[], breaks: Breaks<readonly T[]>): Promise<readonly T[]> {
  if (items.length === 0 || (await breaks([]))) return [];
  let left = items;
  for (let chunks = 2; left.length > 1; ) {
    const size = Math.ceil(left.length / chunks);
    let smaller: readonly T[] | null = null;
    for (let from = 0; from < left.length && smaller === null; from += size) {
      const without = [...left.slice(0, from), ...left.slice(from + size)];
      if (await breaks(without)) smaller = without;
    }
    if (smaller !== null) {
      left = smaller;
      chunks = Math.max(2, chunks - 1);
    } else if (size === 1) break;
    else chunks = Math.min(left.length, 2 * chunks);
  }
  return left;
}

/** Even latencies: the least that a reader has to think about. */
const FLAT: Scenario['latencyMs'] = [5, 5];

/** The smallest scenario that it finds that still breaks. `breaks` is never asked about the scenario itself. */
export async function smallest(scenario: Scenario, breaks: Breaks<Scenario>): Promise<Scenario> {
  let left = scenario;
  const attempt = async (change: Partial<Scenario>): Promise<boolean> => {
    const candidate = { ...left, ...change };
    const isBroken = await breaks(candidate);
    if (isBroken) left = candidate;
    return isBroken;
  };
  const shrinkList = async <T>(items: readonly T[], changeTo: (items: readonly T[]) => Partial<Scenario>) =>
    await fewest(items, (some) => attempt(changeTo(some)));
  for (let size = Number.POSITIVE_INFINITY; sizeOf(left) < size; ) {
    size = sizeOf(left);
    if (left.latencyMs !== FLAT) await attempt({ latencyMs: FLAT });
    for (let days = 1; days < left.days; days++) {
      if (await attempt({ days, script: left.script.filter(({ at }) => at < days * DAY_MS) })) break;
    }
    while (left.workers > 0 && (await attempt({ workers: left.workers - 1 }))) {}
    if (left.faults.by === 'list') {
      await shrinkList(left.faults.list, (list) => ({ faults: { by: 'list', list } }));
    }
    await shrinkList(left.script, (script) => ({ script }));
    await shrinkList(left.records, (records) => ({ records }));
    await shrinkList(left.children ?? [], (children) => ({ children }));
    await shrinkList(left.files ?? [], (files) => ({ files }));
    if (left.policies.length > 1) await shrinkList(left.policies, (policies) => withPolicies(left, policies));
  }
  return left;
}

function withPolicies(scenario: Scenario, policies: Scenario['policies']): Partial<Scenario> {
  const names = new Set(policies.map(({ facts }) => facts.name));
  const namespaces = new Set(policies.map(({ facts }) => facts.namespace));
  return {
    policies,
    records: scenario.records.filter(({ namespace }) => namespaces.has(namespace)),
    script: scenario.script.filter(
      ({ act }) => !('policy' in act && typeof act.policy === 'string') || names.has(act.policy),
    ),
  };
}

function sizeOf(scenario: Scenario): number {
  const { faults, script, records, children = [], files = [], policies, workers, days, latencyMs } = scenario;
  const faultCount = faults.by === 'list' ? faults.list.length : Number.MAX_SAFE_INTEGER / 2;
  return (
    faultCount +
    script.length +
    records.length +
    children.length +
    files.length +
    policies.length +
    workers +
    days +
    (latencyMs[0] === latencyMs[1] ? 0 : 1)
  );
}

export interface ShrinkBudget {
  readonly lives: number;
  readonly ms: number;
}

export interface Shrunk {
  readonly scenario: Scenario;
  readonly violation: Violation;
  readonly trace: readonly string[];
  /** How many lives it took. */
  readonly lives: number;
  /** The faults that came to pass, asked for one by one, broke the property too. */
  readonly isReplayed: boolean;
}

/** Makes a life that breaks `property` as small as the budget allows. Null when the scenario does not break it. */
export async function shrinkLife(scenario: Scenario, property: string, budget: ShrinkBudget): Promise<Shrunk | null> {
  const endsAt = performance.now() + budget.ms;
  let lives = 0;
  const violationIn = ({ violations }: LifeReport) => violations.find((violation) => violation.property === property);
  const run = async (candidate: Scenario, trace = false) => {
    lives += 1;
    return await live(candidate, { trace });
  };
  const breaks = async (candidate: Scenario) =>
    lives < budget.lives && performance.now() < endsAt && violationIn(await run(candidate)) !== undefined;
  const first = await run(scenario);
  if (violationIn(first) === undefined) return null;
  const listed = asListed(scenario, first.faults);
  const isReplayed = violationIn(await run(listed)) !== undefined;
  const least = await smallest(isReplayed ? listed : scenario, breaks);
  const last = await run(least, true);
  const violation = violationIn(last);
  if (violation === undefined)
    throw new Error('The same scenario gave another life: something in it is left to chance.');
  return { scenario: least, violation, trace: last.trace, lives, isReplayed };
}

/** The same life with its faults named one by one, and each person by a name that stays when others are left out. */
export function asListed(scenario: Scenario, list: readonly PlannedFault[]): Scenario {
  return { ...scenario, script: named(scenario.script), faults: { by: 'list', list } };
}

function named(script: readonly ScriptedAct[]): ScriptedAct[] {
  let commands = 0;
  return script
    .toSorted((a, b) => a.at - b.at)
    .map((entry) => {
      if (!isCommand(entry.act)) return entry;
      commands += 1;
      return { ...entry, by: entry.by ?? `operator-${commands}` };
    });
}

const LAST_LINES = 60;

/** Property and text, the scenario as JSON for a regression test, and what of the trace a reader needs. */
export function shrunkText({ scenario, violation, trace, lives, isReplayed }: Shrunk): string {
  const isOfNote = (line: string) => / (act: |.* <- |.* is gone$|.* starts$)/.test(line);
  const from = Math.max(0, trace.length - LAST_LINES);
  const shown = trace.filter((line, at) => at >= from || isOfNote(line));
  return [
    `${violation.property} (promise ${violation.promise}): ${violation.text}`,
    `after ${lives} lives${isReplayed ? '' : '; its faults, named one by one, did not break it, so they are left to chance'}`,
    `scenario: ${JSON.stringify(scenario)}`,
    `trace (${shown.length} of ${trace.length} lines: acts, faults and the last ${LAST_LINES}):`,
    ...shown.map((line) => `  ${line}`),
  ].join('\n');
}
