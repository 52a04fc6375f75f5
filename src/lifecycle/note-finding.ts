/** Findings of a comparison, as they are kept and told: what was found, whether it is new, and the command to type next. */
import type { ArchiveId } from '../ids.ts';
import { archives } from '../ledger/archives.ts';
import { closeFinding, type FindingFacts, type FindingKind, findFindings, noteFinding } from '../ledger/findings.ts';
import type { InventoryEntry, VaultLocation } from '../vault/port.ts';
import { type Context, locationKey } from './context.ts';

export interface ReportedFinding {
  readonly id: string;
  readonly kind: FindingKind;
  readonly archive: ArchiveId;
  readonly vault: string;
  readonly vaultArchiveId: string;
  readonly text: string;
  /** A command line. */
  readonly next: string;
  /** False: an earlier look has told it. */
  readonly isNew: boolean;
}

interface Subject {
  readonly location: VaultLocation;
  readonly archive: ArchiveId;
  readonly vaultArchiveId: string;
}

/** Keeps what an inventory showed. `entry`: what it lists, null where it lists nothing. */
export async function noteVaultFinding(
  context: Context,
  kind: FindingKind,
  subject: Subject,
  entry: InventoryEntry | null,
  isFinal = false,
): Promise<ReportedFinding> {
  const listed =
    entry === null
      ? null
      : { bytes: entry.bytes, treeHash: entry.treeHash, createdAt: entry.createdAt, intent: entry.intent };
  const facts = { kind, ...subject, text: TEXTS[kind](subject.archive), listed, records: null };
  return await note(context, facts, (id) => nextOf(kind, id, subject.archive, isFinal));
}

/** Keeps that records which an archive holds as deleted are in the source. */
export async function noteReappeared(
  context: Context,
  subject: Subject & { readonly policy: string; readonly records: number },
): Promise<ReportedFinding> {
  const { location, archive, vaultArchiveId, policy, records } = subject;
  const text = `${records} records that archive ${archive} holds as deleted are in the source again.`;
  const facts = { kind: 'reappeared' as const, location, archive, vaultArchiveId, text, listed: null, records };
  return await note(context, facts, () => `moraine plan ${policy}`);
}

async function note(context: Context, facts: FindingFacts, nextFor: (id: string) => string): Promise<ReportedFinding> {
  const { id, isNew } = await noteFinding(context.store, context.clock, facts);
  const { kind, archive, location, vaultArchiveId, text } = facts;
  return { id, kind, archive, vault: location.name, vaultArchiveId, text, next: nextFor(id), isNew };
}

/** What to type next about a finding. `isFinal`: the archive is certified as gone, and nothing takes it up again. */
export function nextOf(kind: FindingKind, id: string, archive: ArchiveId, isFinal = false): string {
  if (kind === 'stray') return `moraine stray adopt ${id} --identity FILE`;
  if (kind === 'reappeared') return `moraine archive ${archive}`;
  return isFinal ? `moraine stray dispose ${id} --reason TEXT` : `moraine quarantine show ${archive}`;
}

const TEXTS: Readonly<Record<FindingKind, (archive: ArchiveId) => string>> = {
  missing: (archive) => `Archive ${archive} should be in its vault and is not listed.`,
  differs: (archive) => `Archive ${archive} is listed with another size or tree hash than was stored.`,
  'still-there': (archive) => `Archive ${archive} is still listed after the vault accepted its delete.`,
  stray: (archive) => `A file that calls itself archive ${archive} is unknown to the ledger; it is kept.`,
  reappeared: (archive) => `Records of archive ${archive} are in the source again.`,
};

/** After a whole comparison of the vault: closes what it did not see any more. */
export async function closeSpentFindings(context: Context, location: VaultLocation, begunAt: Date): Promise<void> {
  const open = { 'location.name': location.name, 'location.prefix': location.prefix, state: 'open' };
  for await (const finding of findFindings(context.store, open)) {
    if (locationKey(finding.location) !== locationKey(location) || finding.kind === 'reappeared') continue;
    if (finding.lastSeenAt >= begunAt) continue;
    // What is in quarantine is not compared; that it is there still says what was found.
    if (finding.kind !== 'stray') {
      const archive = await archives(context.store).get(finding.archive);
      if (archive?.state === 'quarantined') continue;
    }
    await closeFinding(context.store, context.clock, finding._id, { by: 'reconcile', reason: 'It is so no more.' });
  }
}

/** Looked for again in the source and not found. */
export async function closeReappeared(context: Context, archive: ArchiveId): Promise<void> {
  for await (const finding of findFindings(context.store, { archive, kind: 'reappeared', state: 'open' }))
    await closeFinding(context.store, context.clock, finding._id, { by: 'reconcile', reason: 'It is so no more.' });
}
