/** What a reconcile says: counted whatever there is, named as far as a report can be read. The ledger has all of it. */
import type { ArchiveId, Namespace } from '../ids.ts';
import type { ReportedFinding } from './note-finding.ts';
import { MOST_NAMED, type VaultFindings } from './vault-findings.ts';

export interface ReconcileReport {
  readonly vaults: readonly {
    readonly vault: string;
    /** `waiting`: an inventory was asked for, also where an earlier one was compared just now and was not late enough. */
    readonly state: 'compared' | 'waiting' | 'not-needed' | 'failed';
    readonly until: Date | null;
    readonly text: string | null;
  }[];
  readonly verified: readonly ArchiveId[];
  /** Verified by an inventory, by this or an earlier look, and cleared now. */
  readonly cleared: readonly ArchiveId[];
  readonly confirmed: readonly ArchiveId[];
  readonly missing: readonly ArchiveId[];
  readonly quarantined: readonly ArchiveId[];
  readonly strays: VaultFindings['strays'];
  /** What a person has to look at, each with the command to type next; also what an earlier look has told. */
  readonly findings: readonly ReportedFinding[];
  /** Of everything that is named here there may be more: at most 10,000 are. */
  readonly counts: VaultFindings['counts'] & { readonly cleared: number; readonly reappeared: number };
  /** Entries and archives that were compared. */
  readonly compared: number;
  readonly foreign: number;
  readonly removedUploads: number;
  /** Records that a cleared archive holds as deleted and that are in the source again. */
  readonly reappeared: readonly {
    readonly archive: ArchiveId;
    readonly namespace: Namespace;
    readonly records: number;
  }[];
}

/** While it is gathered. */
export interface Report {
  readonly vaults: {
    vault: string;
    state: ReconcileReport['vaults'][number]['state'];
    until: Date | null;
    text: string | null;
  }[];
  readonly verified: ArchiveId[];
  readonly cleared: ArchiveId[];
  readonly confirmed: ArchiveId[];
  readonly missing: ArchiveId[];
  readonly quarantined: ArchiveId[];
  readonly strays: VaultFindings['strays'];
  readonly findings: ReportedFinding[];
  readonly counts: { -readonly [Of in keyof ReconcileReport['counts']]: number };
  compared: number;
  foreign: number;
  removedUploads: number;
  readonly reappeared: { archive: ArchiveId; namespace: Namespace; records: number }[];
}

export function newReport(): Report {
  const none = {
    verified: 0,
    cleared: 0,
    confirmed: 0,
    missing: 0,
    quarantined: 0,
    strays: 0,
    findings: 0,
    reappeared: 0,
  };
  return {
    ...{ vaults: [], verified: [], cleared: [], confirmed: [], missing: [], quarantined: [], strays: [] },
    ...{ findings: [], counts: none, compared: 0, foreign: 0, removedUploads: 0, reappeared: [] },
  };
}

export function addFindings(report: Report, found: VaultFindings): void {
  for (const kind of ['verified', 'confirmed', 'missing', 'quarantined'] as const)
    addNamed(report, kind, found[kind], found.counts[kind]);
  pushSome(report.strays, found.strays);
  pushSome(report.findings, found.findings);
  report.counts.strays += found.counts.strays;
  report.counts.findings += found.counts.findings;
  report.compared += found.compared;
  report.foreign += found.foreign;
  report.removedUploads += found.removed;
}

export function addNamed(
  report: Report,
  of: 'verified' | 'cleared' | 'confirmed' | 'missing' | 'quarantined',
  named: readonly ArchiveId[],
  count: number,
): void {
  pushSome(report[of], named);
  report.counts[of] += count;
}

export function addReappeared(report: Report, one: Report['reappeared'][number], finding: ReportedFinding): void {
  pushSome(report.reappeared, [one]);
  pushSome(report.findings, [finding]);
  report.counts.reappeared += 1;
  report.counts.findings += 1;
}

/** What several looks found together; how the vaults stand is what the last one said of each. */
export function joinReports(before: ReconcileReport, after: ReconcileReport): ReconcileReport {
  const joined = newReport();
  const looked = new Set(after.vaults.map(({ vault }) => vault));
  joined.vaults.push(...before.vaults.filter(({ vault }) => !looked.has(vault)), ...after.vaults);
  for (const one of [before, after]) {
    for (const kind of ['verified', 'cleared', 'confirmed', 'missing', 'quarantined'] as const)
      addNamed(joined, kind, one[kind], one.counts[kind]);
    pushSome(joined.strays, one.strays);
    pushSome(joined.findings, one.findings);
    pushSome(joined.reappeared, one.reappeared);
    for (const kind of ['strays', 'findings', 'reappeared'] as const) joined.counts[kind] += one.counts[kind];
    joined.compared += one.compared;
    joined.foreign += one.foreign;
    joined.removedUploads += one.removedUploads;
  }
  return joined;
}

function pushSome<T>(list: T[], more: readonly T[]): void {
  for (const one of more.slice(0, Math.max(0, MOST_NAMED - list.length))) list.push(one);
}
