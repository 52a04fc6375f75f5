/** What comparing a vault with the ledger came to: counted whatever there is, named as far as a report can be read. */
import type { ArchiveId } from '../ids.ts';
import type { InventoryEntry } from '../vault/port.ts';
import type { ReportedFinding } from './note-finding.ts';

/** What of one thing is named in a report; the rest is counted. The ledger has all of it. */
export const MOST_NAMED = 10_000;

export interface VaultFindings {
  readonly verified: ArchiveId[];
  readonly confirmed: ArchiveId[];
  /** Should be listed by now and are not, or with other bytes. */
  readonly missing: ArchiveId[];
  readonly quarantined: ArchiveId[];
  /** Complete archives of this installation that the ledger does not know: kept. */
  readonly strays: { readonly vault: string; readonly vaultArchiveId: string; readonly archive: string }[];
  /** What of this a person has to look at, in the ledger too; all that was seen, also before. */
  readonly findings: ReportedFinding[];
  /** How many there are of each, where {@link MOST_NAMED} are named. */
  readonly counts: Readonly<
    Record<'verified' | 'confirmed' | 'missing' | 'quarantined' | 'strays' | 'findings', number>
  >;
  /** Entries and archives that were compared. */
  readonly compared: number;
  /** What others left in the vault: never touched. */
  readonly foreign: number;
  /** Uploads of abandoned attempts that were removed. */
  readonly removed: number;
  /** The newest archive of this installation, by the vault's time. */
  readonly newestAt: Date | null;
}

/** While they are gathered. */
export type Findings = { -readonly [Field in keyof VaultFindings]: VaultFindings[Field] } & {
  readonly counts: Record<keyof VaultFindings['counts'], number>;
};

export function newFindings(): Findings {
  return {
    ...{ verified: [], confirmed: [], missing: [], quarantined: [], strays: [], findings: [] },
    counts: { verified: 0, confirmed: 0, missing: 0, quarantined: 0, strays: 0, findings: 0 },
    ...{ compared: 0, foreign: 0, removed: 0, newestAt: null },
  };
}

type Named = 'verified' | 'confirmed' | 'missing' | 'quarantined';

export function name(findings: Findings, of: Named, archive: ArchiveId): void {
  findings.counts[of] += 1;
  if (findings[of].length < MOST_NAMED) findings[of].push(archive);
}

export function tell(findings: Findings, finding: ReportedFinding): void {
  findings.counts.findings += 1;
  if (findings.findings.length < MOST_NAMED) findings.findings.push(finding);
}

/** Of ours, by the vault's time. */
export function seen(findings: Findings, { createdAt }: InventoryEntry): void {
  if (findings.newestAt === null || createdAt > findings.newestAt) findings.newestAt = createdAt;
}

export function tellStray(findings: Findings, stray: VaultFindings['strays'][number]): void {
  findings.counts.strays += 1;
  if (findings.strays.length < MOST_NAMED) findings.strays.push(stray);
}
