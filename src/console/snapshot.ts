/**
 * The figures of the ledger, read in one pass over its archives. Dashboard, API and metrics all show this one reading,
 * so that two figures on a page never come from two moments, and a scrape costs nothing while a page is fresh.
 */

import { MoraineError } from '../errors.ts';
import { type ArchiveDocument, addOutcomes, NO_OUTCOMES, type Outcomes } from '../ledger/archive-document.ts';
import { findArchives } from '../ledger/archives.ts';
import { type DisposalDocument, disposals, isOfExpired, kindOf } from '../ledger/disposals.ts';
import { type DrillDocument, type DrillState, findDrills } from '../ledger/drills.ts';
import { ARCHIVE_STATES, type ArchiveState } from '../ledger/states.ts';
import type { Context } from '../lifecycle/context.ts';
import { pinnedPolicy } from '../lifecycle/published.ts';
import type { Policy } from '../policy/policy.ts';
import { overdueAfter } from '../policy/window.ts';
import type { VaultLocation } from '../vault/port.ts';

export interface StateFigures {
  readonly archives: number;
  readonly records: number;
  /** Of the archive files; 0 before they are stored. */
  readonly bytes: number;
}

export interface PurgeDate {
  readonly archive: string;
  readonly policy: string;
  readonly owner: string;
  readonly customer: string;
  readonly dueAt: Date;
}

export interface PolicyFigures {
  readonly policy: string;
  readonly states: Readonly<Record<ArchiveState, number>>;
  readonly outcomes: Outcomes;
  /** Deleted without an archive, because they were past their archive period too. */
  readonly expired: Outcomes;
  /** Records that the policy deletes, or treats in place, without an archive. */
  readonly disposed: Outcomes;
  /** BSON bytes of the records that were sealed into archives. */
  readonly recordBytes: number;
  /** Bytes of its archives that are in vaults, by the vault's name in moraine.yaml. */
  readonly vaultBytes: Readonly<Record<string, number>>;
  /** Bytes of archives that vaults deleted. */
  readonly purgedBytes: number;
  readonly overduePurges: number;
  readonly oldestOverduePurge: Date | null;
  readonly nextPurge: Date | null;
  readonly customers: readonly { readonly owner: string; readonly customer: string; readonly archives: number }[];
}

export interface VaultFigures {
  readonly owner: string;
  readonly customer: string;
  /** The vault's name in moraine.yaml, and where it is. */
  readonly key: string;
  readonly backend: string;
  readonly region: string;
  readonly name: string;
  readonly prefix: string;
  /** Archives that are in it now. */
  readonly archives: number;
  readonly records: number;
  readonly bytes: number;
  readonly nextPurge: Date | null;
  /** Archives that were in it and are destroyed. */
  readonly purged: number;
  /** The newest drill of it; null: none yet. */
  readonly lastDrill: { readonly drill: string; readonly state: DrillState; readonly at: Date } | null;
}

export interface LedgerSnapshot {
  readonly at: Date;
  readonly tookMs: number;
  readonly states: Readonly<Record<ArchiveState, StateFigures>>;
  readonly outcomes: Outcomes;
  readonly policies: ReadonlyMap<string, PolicyFigures>;
  readonly vaults: readonly VaultFigures[];
  /** Due for purge and past the grace of their policy, the longest overdue first. */
  readonly overduePurges: readonly PurgeDate[];
  /** Due within {@link SOON_MS} or due already, the soonest first, at most {@link SOON_SHOWN}. */
  readonly duePurges: readonly PurgeDate[];
  readonly duePurgeCount: number;
}

export const SOON_MS = 30 * 86_400_000;
const SOON_SHOWN = 8;
/** Where more are overdue the number says so; a longer list helps nobody. */
const OVERDUE_SHOWN = 100;

/** In these the vault holds the file. */
const IN_VAULT: readonly ArchiveState[] = ['stored', 'verified', 'cleared', 'purging'];
const DESTROYED: readonly ArchiveState[] = ['purged', 'confirmed'];

export async function readSnapshot(context: Context): Promise<LedgerSnapshot> {
  const at = context.clock.now();
  const startedMs = context.clock.monotonicMs();
  const tally = new Tally(at);
  const policies = new PinnedPolicies(context);
  for await (const archive of findArchives(context.store, {})) {
    const isToPurge = archive.state === 'cleared' || archive.state === 'purging';
    tally.add(archive, isToPurge && archive.dueAt !== null ? await policies.overdueFrom(archive, archive.dueAt) : null);
  }
  for await (const disposal of disposals(context.store).find({})) tally.addDisposal(disposal);
  // The newest first: each vault keeps the first that it is told of.
  for await (const drill of findDrills(context.store)) tally.addDrill(drill);
  return { ...tally.figures(), at, tookMs: context.clock.monotonicMs() - startedMs };
}

/** Whether the vault holds the archive's file as far as the ledger knows. */
export function isInVault(archive: ArchiveDocument): boolean {
  if (archive.stored === null) return false;
  const state = archive.state === 'quarantined' ? archive.quarantinedFrom : archive.state;
  return state !== null && IN_VAULT.includes(state) && (archive.purge?.acceptedAt ?? null) === null;
}

/** Records that the archive holds; before it is sealed, how many the planner counted. */
export function recordsOf(archive: ArchiveDocument): number {
  return archive.stored?.records ?? archive.plan.records;
}

class PinnedPolicies {
  readonly #context: Context;
  readonly #known = new Map<string, Policy | null>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** When the archive's purge is overdue (ms). Without its policy there is no grace that anybody could grant. */
  async overdueFrom(archive: ArchiveDocument, dueAt: Date): Promise<number> {
    const policy = await this.#policyOf(archive);
    return policy === null ? dueAt.getTime() : overdueAfter(dueAt.getTime(), policy);
  }

  async #policyOf({ policyVersion, policy: name }: ArchiveDocument): Promise<Policy | null> {
    const known = this.#known.get(policyVersion);
    if (known !== undefined) return known;
    const policy = await this.#read(policyVersion, name);
    this.#known.set(policyVersion, policy);
    return policy;
  }

  /** Null for a version that the ledger has lost, or that was changed in it: one policy must not hide the figures of all. */
  async #read(version: ArchiveDocument['policyVersion'], policy: string): Promise<Policy | null> {
    try {
      return await pinnedPolicy(this.#context.store, version);
    } catch (error) {
      if (!(error instanceof MoraineError) || error.class === 'retry') throw error;
      this.#context.log.error({ policy, version, code: error.code }, error.message);
      return null;
    }
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type PolicyTally = Mutable<Omit<PolicyFigures, 'states' | 'vaultBytes' | 'customers'>> & {
  states: Record<ArchiveState, number>;
  vaultBytes: Record<string, number>;
  customers: Map<string, { owner: string; customer: string; archives: number }>;
};

class Tally {
  readonly #now: number;
  readonly #states = eachState((): Mutable<StateFigures> => ({ archives: 0, records: 0, bytes: 0 }));
  readonly #policies = new Map<string, PolicyTally>();
  readonly #vaults = new Map<string, Mutable<VaultFigures>>();
  readonly #overdue: PurgeDate[] = [];
  readonly #due: PurgeDate[] = [];
  #outcomes: Outcomes = NO_OUTCOMES;

  constructor(now: Date) {
    this.#now = now.getTime();
  }

  /** `overdueFrom` (ms): for an archive that waits for its purge, else null. */
  add(archive: ArchiveDocument, overdueFrom: number | null): void {
    const state = this.#states[archive.state];
    state.archives += 1;
    state.records += recordsOf(archive);
    state.bytes += archive.stored?.bytes ?? 0;
    this.#outcomes = addOutcomes(this.#outcomes, archive.outcomes);
    const ofPolicy = this.#policy(archive.policy);
    ofPolicy.states[archive.state] += 1;
    ofPolicy.outcomes = addOutcomes(ofPolicy.outcomes, archive.outcomes);
    ofPolicy.recordBytes += archive.state === 'abandoned' ? 0 : (archive.stored?.recordBytes ?? 0);
    this.#addVault(archive, ofPolicy);
    if (overdueFrom !== null && archive.dueAt !== null) this.#addPurge(archive, archive.dueAt, overdueFrom, ofPolicy);
  }

  addDrill({ _id, owner, customer, location, state, startedAt, endedAt }: DrillDocument): void {
    const vault = this.#vaults.get(vaultKey(owner, customer, location));
    if (vault === undefined || vault.lastDrill !== null) return;
    vault.lastDrill = { drill: _id, state, at: endedAt ?? startedAt };
  }

  addDisposal(disposal: DisposalDocument): void {
    if (disposal.outcomes === null) return;
    const ofPolicy = this.#policy(disposal.policy);
    const field = isOfExpired(kindOf(disposal)) ? 'expired' : 'disposed';
    ofPolicy[field] = addOutcomes(ofPolicy[field], disposal.outcomes);
  }

  #addVault(archive: ArchiveDocument, ofPolicy: PolicyTally): void {
    const { owner, customer, vault, stored, dueAt } = archive;
    if (stored === null || archive.state === 'abandoned') return;
    const key = vaultKey(owner, customer, vault);
    const known = this.#vaults.get(key) ?? {
      ...{ owner, customer, key: vault.key, backend: vault.backend, region: vault.region, name: vault.name },
      ...{ prefix: vault.prefix, archives: 0, records: 0, bytes: 0, nextPurge: null, purged: 0, lastDrill: null },
    };
    this.#vaults.set(key, known);
    if (isInVault(archive)) {
      known.archives += 1;
      known.records += stored.records;
      known.bytes += stored.bytes;
      known.nextPurge = earlier(known.nextPurge, dueAt);
      ofPolicy.nextPurge = earlier(ofPolicy.nextPurge, dueAt);
      ofPolicy.vaultBytes[vault.key] = (ofPolicy.vaultBytes[vault.key] ?? 0) + stored.bytes;
      const party = JSON.stringify([owner, customer]);
      const ofCustomer = ofPolicy.customers.get(party) ?? { owner, customer, archives: 0 };
      ofCustomer.archives += 1;
      ofPolicy.customers.set(party, ofCustomer);
    } else if (DESTROYED.includes(archive.state)) {
      known.purged += 1;
      ofPolicy.purgedBytes += stored.bytes;
    }
  }

  #addPurge(archive: ArchiveDocument, dueAt: Date, overdueFrom: number, ofPolicy: PolicyTally): void {
    const { _id, owner, customer } = archive;
    if (dueAt.getTime() > this.#now + SOON_MS) return;
    const date = { archive: _id, policy: archive.policy, owner, customer, dueAt };
    this.#due.push(date);
    if (overdueFrom >= this.#now) return;
    this.#overdue.push(date);
    ofPolicy.overduePurges += 1;
    ofPolicy.oldestOverduePurge = earlier(ofPolicy.oldestOverduePurge, dueAt);
  }

  #policy(policy: string): PolicyTally {
    const known = this.#policies.get(policy);
    if (known !== undefined) return known;
    const fresh: PolicyTally = {
      policy,
      states: eachState(() => 0),
      outcomes: NO_OUTCOMES,
      expired: NO_OUTCOMES,
      disposed: NO_OUTCOMES,
      recordBytes: 0,
      vaultBytes: {},
      purgedBytes: 0,
      overduePurges: 0,
      oldestOverduePurge: null,
      nextPurge: null,
      customers: new Map(),
    };
    this.#policies.set(policy, fresh);
    return fresh;
  }

  figures(): Omit<LedgerSnapshot, 'at' | 'tookMs'> {
    const bySoonest = (a: PurgeDate, b: PurgeDate) => a.dueAt.getTime() - b.dueAt.getTime();
    const policies = [...this.#policies.values()].sort((a, b) => compareText(a.policy, b.policy));
    return {
      states: this.#states,
      outcomes: this.#outcomes,
      policies: new Map(
        policies.map((policy) => [policy.policy, { ...policy, customers: [...policy.customers.values()] }]),
      ),
      vaults: [...this.#vaults.values()].sort(
        (a, b) => compareText(a.owner, b.owner) || compareText(a.customer, b.customer) || compareText(a.name, b.name),
      ),
      overduePurges: this.#overdue.sort(bySoonest).slice(0, OVERDUE_SHOWN),
      duePurges: this.#due.sort(bySoonest).slice(0, SOON_SHOWN),
      duePurgeCount: this.#due.length,
    };
  }
}

function vaultKey(owner: string, customer: string, { key, region, name, prefix }: VaultLocation): string {
  return JSON.stringify([owner, customer, key, region, name, prefix]);
}

function eachState<T>(make: () => T): Record<ArchiveState, T> {
  const [planned, storing, stored, verified, cleared] = [make(), make(), make(), make(), make()];
  const [purging, purged, confirmed, abandoned, quarantined] = [make(), make(), make(), make(), make()];
  return { planned, storing, stored, verified, cleared, purging, purged, confirmed, abandoned, quarantined };
}

function earlier(a: Date | null, b: Date | null): Date | null {
  if (a === null || b === null) return a ?? b;
  return a <= b ? a : b;
}

export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Every state with what it holds, in the order of the life. */
export function statesInOrder(snapshot: LedgerSnapshot): readonly (StateFigures & { readonly state: ArchiveState })[] {
  return ARCHIVE_STATES.map((state) => ({ state, ...snapshot.states[state] }));
}
