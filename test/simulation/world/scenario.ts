/** A life to simulate, as data: what there is, who does what when, and the weather. It can be printed, replayed and cut down. */
import type { PlannedFault } from '../engine/calls.ts';
import type { Weather } from '../engine/fault-plans.ts';
import type { ApprovalFacts, PolicyFacts, Scope } from '../judge/observations.ts';
import type { ChildPlan, FamilyAct, FilePlan, RecordFamily } from './families.ts';

/** A record as the scenario names it. `at`: days before (negative) or after the life's first instant. */
export interface RecordPlan {
  readonly namespace: string;
  readonly id: string;
  readonly owner: string | null;
  readonly tenant: string | null;
  readonly at: number | null;
  readonly mail: string | null;
  readonly label?: string;
  readonly topic?: string;
  /** Days before or after the first instant, as `at`, of the event that some policies wait for; left out: it has not happened. */
  readonly closed?: number;
  /** As `closed`, of another event: some policies wait for both. */
  readonly solved?: number;
  /** How many characters its text has. */
  readonly size: number;
  /** What hangs on it, where something does. */
  readonly family?: RecordFamily;
}

/** What somebody, or the world, does at an instant. */
export type Act =
  // The application
  | FamilyAct
  | { readonly what: 'insert'; readonly record: RecordPlan }
  | { readonly what: 'update' | 'delete' | 'reinsert'; readonly namespace: string; readonly id: string }
  /** The event that some policies wait for happens. */
  | { readonly what: 'close' | 'solve'; readonly namespace: string; readonly id: string }
  | { readonly what: 'change account'; readonly customer: string; readonly plan: string; readonly until?: number }
  // People, each with a command of their own. `as`: who asks for, or decides about, what takes a second person
  | { readonly what: 'place hold'; readonly name: string; readonly scope: Scope }
  | { readonly what: 'release hold'; readonly name: string; readonly as?: string }
  | {
      readonly what: 'ask for an exception';
      readonly name: string;
      readonly as?: string;
      readonly policy: string;
      readonly effect: 'longer' | 'shorter';
      readonly activeDays: number;
      readonly owner: string | null;
      readonly customer: string | null;
      readonly labels: readonly string[] | null;
      /** Days after the first instant; null: until somebody ends it. */
      readonly untilDays: number | null;
    }
  | { readonly what: 'end an exception'; readonly name: string; readonly as?: string }
  /** The waiting approval of this number, or all of them. */
  | {
      readonly what: 'decide';
      readonly pick: number | 'all';
      readonly how: 'grant' | 'refuse';
      readonly as: string;
      /** Only of this kind. */
      readonly kind?: string;
    }
  | { readonly what: 'purge early'; readonly pick: number; readonly as?: string }
  | {
      readonly what: 'pause' | 'resume';
      readonly name: string;
      readonly target: 'policy' | 'owner' | 'all';
      readonly of: string | null;
    }
  | { readonly what: 'publish'; readonly policy: PolicyFacts; readonly version: boolean; readonly as?: string }
  /** All archives of a policy, or of an owner's customer, to a date: days after the first instant. */
  | {
      readonly what: 'reschedule';
      readonly policy: string;
      readonly owner: string | null;
      readonly customer: string | null;
      readonly toDays: number;
      readonly as?: string;
    }
  /** `wait`: archives too, for which the vault has to be asked; else the source alone. */
  | {
      readonly what: 'export';
      readonly name: string;
      readonly owner: string;
      readonly customer: string;
      readonly wait: boolean;
    }
  /** Of the customer whose export has this name. */
  | { readonly what: 'offboard'; readonly name: string; readonly withoutArchives: boolean; readonly as?: string }
  | {
      readonly what: 'run';
      readonly policy: string;
      readonly flush: boolean;
      readonly expired: boolean;
      readonly as?: string;
    }
  | { readonly what: 'purge' | 'reconcile' | 'check' }
  | {
      readonly what: 'retrieve and restore';
      readonly pick: number;
      readonly intoSource: boolean;
      readonly exemptDays: number;
    }
  | { readonly what: 'settle quarantine'; readonly pick: number; readonly how: 'retry' | 'dispose' }
  // The daemons
  | { readonly what: 'sweep'; readonly policy: string; readonly flush: boolean }
  | { readonly what: 'queue'; readonly queue: 'purge' | 'reconcile' | 'retrieve' }
  | { readonly what: 'watchdog' }
  // The world
  | { readonly what: 'kill' | 'stop'; readonly worker: number; readonly downMs: number }
  | { readonly what: 'freeze'; readonly worker: number; readonly ms: number }
  | { readonly what: 'set clock'; readonly worker: number; readonly skewMs: number; readonly forMs: number }
  | { readonly what: 'flush queue' | 'set queue back' | 'deliver twice' }
  | { readonly what: 'damage file' | 'lose file'; readonly pick: number }
  | { readonly what: 'set ledger back'; readonly hours: number };

export interface ScriptedAct {
  /** Milliseconds after the life's first instant. */
  readonly at: number;
  readonly act: Act;
  /** The name of its process, for a command; else commands are numbered as they come. */
  readonly by?: string;
}

export interface Scenario {
  readonly seed: number;
  readonly days: number;
  readonly policies: readonly { readonly facts: PolicyFacts; readonly version: boolean }[];
  /** The plan of each customer's account, for policies that look it up; a customer without one has no account. */
  readonly accounts?: Readonly<Record<string, string>>;
  /** The date in the accounts, in days as `at`, for policies that look it up; a customer without one has no date. */
  readonly until?: Readonly<Record<string, number>>;
  /** Who decides; left out: anybody but who asked, and purges are not reviewed. */
  readonly approvals?: ApprovalFacts;
  /** Owners of moraine.yaml. */
  readonly owners: readonly string[];
  readonly workers: number;
  readonly records: readonly RecordPlan[];
  /** What hangs on them, put before they are. */
  readonly children?: readonly ChildPlan[];
  readonly files?: readonly FilePlan[];
  readonly script: readonly ScriptedAct[];
  readonly latencyMs: readonly [number, number];
  readonly faults:
    | { readonly by: 'chance'; readonly weather: Weather }
    | { readonly by: 'list'; readonly list: readonly PlannedFault[] }
    | { readonly by: 'crashes'; readonly at: readonly number[]; readonly kind: 'crash before' | 'crash after' };
  /** The time after the script, without faults, in which all work has to end; left out: long enough for any life. */
  readonly quiet?: { readonly days: number; readonly roundMs: number };
}

/** After the script: no fault any more, and somebody looks after everything again and again. */
export const QUIET_DAYS = 8;

/** The first instant of every life. */
export const START_MS = Date.parse('2030-03-01T00:00:00Z');
export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;
