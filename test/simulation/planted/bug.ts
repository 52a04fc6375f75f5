/** What a planted bug is: a mistake that somebody could make, the promise that it breaks, and lives in which it shows. */
import type { Fault } from '../engine/calls.ts';
import type { PropertyName } from '../judge/properties.ts';
import type { Act, Scenario } from '../world/scenario.ts';

/** A small change of one file's text, made while the module is loaded. */
export interface Patch {
  /** From the root of the project. */
  readonly file: string;
  /** Occurs exactly once in the file, else nothing is loaded: a bug that is not planted must not count as survived. */
  readonly find: string;
  readonly replace: string;
}

export interface PlantedBug {
  readonly name: string;
  /** Number of the promise in the design, or `end` for work that does not finish. */
  readonly promise: number | 'end';
  /** What the product does wrong, in one sentence. */
  readonly what: string;
  readonly patches: readonly Patch[];
  /** Properties of which one must be what catches it. Any of `caughtBy` will do; another one will not. */
  readonly caughtBy: readonly (PropertyName | 'goes-round-in-circles')[];
  /** The life made for it, another one for each seed from 1. */
  readonly life: (seed: number) => DesignedLife;
}

/** A scenario, and what is to happen at calls whose time and number are found out by living it before. */
export interface DesignedLife {
  readonly scenario: Scenario;
  readonly aims: readonly Aim[];
}

/** At a call of the life as the aims before it have made it. One that does not come to pass is left out. */
export interface Aim {
  /** `source deleteGuarded`, `ledger archives.replace`, ... */
  readonly call: string;
  /** The how-manieth, from 1; the first where it is left out. */
  readonly nth?: number;
  /** Of this process: `worker-1.1` where it is left out. */
  readonly process?: string;
  readonly fault?: Fault;
  /** Milliseconds after the call was made (before, where negative), and what happens then. */
  readonly acts?: readonly (readonly [afterMs: number, act: Act])[];
}
