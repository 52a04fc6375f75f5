/**
 * What comparing vault, ledger and source found and cannot mend by itself: one document for each, so that a second look
 * does not tell the same as new, and a person can name it. Open until what it says is not so any more, or until a person
 * has dealt with it.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import type { UploadIntent, VaultLocation } from '../vault/port.ts';
import type { LedgerIndex } from './indexes.ts';
import type { Filter, LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

/**
 * - `missing`: should be in the vault and is not listed. `differs`: is listed with another size or hash.
 * - `still-there`: the vault accepted its delete, and still lists it.
 * - `stray`: a complete archive of this installation that the ledger does not know.
 * - `reappeared`: records that it holds as deleted are in the source.
 */
export const FINDING_KINDS = ['missing', 'differs', 'still-there', 'stray', 'reappeared'] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

export interface FindingFacts {
  readonly kind: FindingKind;
  /** What the ledger, or the description in the vault, calls it. */
  readonly archive: ArchiveId;
  readonly location: VaultLocation;
  readonly vaultArchiveId: string;
  readonly text: string;
  /** Of what the vault lists; null where it lists nothing. */
  readonly listed: {
    readonly bytes: number;
    readonly treeHash: string | null;
    readonly createdAt: Date;
    readonly intent: UploadIntent | null;
  } | null;
  /** Only of `reappeared`: how many. */
  readonly records: number | null;
}

export interface FindingDocument extends LedgerDocument, FindingFacts {
  readonly state: 'open' | 'closed';
  readonly firstSeenAt: Date;
  readonly lastSeenAt: Date;
  readonly timesSeen: number;
  readonly closedAt: Date | null;
  readonly closedBy: string | null;
  readonly closedReason: string | null;
}

const FINDINGS = 'findings';
const ID_DIGITS = 12;

export const FINDINGS_INDEXES: readonly LedgerIndex[] = [
  { collection: FINDINGS, keys: { state: 1, kind: 1, _id: 1 } },
  { collection: FINDINGS, keys: { 'location.name': 1, 'location.prefix': 1, state: 1 } },
  { collection: FINDINGS, keys: { archive: 1 } },
];

/** The same for the same file of the same vault: short enough to type. */
export function findingId({ kind, archive, location, vaultArchiveId }: FindingFacts): string {
  const { account, region, name, prefix } = location;
  const subject = JSON.stringify([kind, archive, account, region, name, prefix, vaultArchiveId]);
  return `${kind}-${createHash('sha256').update(subject).digest('hex').slice(0, ID_DIGITS)}`;
}

/** New: nobody saw it before, or it was dealt with and is back, or there is more of it. */
export async function noteFinding(
  store: Store,
  clock: Clock,
  facts: FindingFacts,
): Promise<{ readonly id: string; readonly isNew: boolean }> {
  const _id = findingId(facts);
  const now = clock.now();
  const seen = { firstSeenAt: now, lastSeenAt: now, timesSeen: 1 };
  const open = { state: 'open', closedAt: null, closedBy: null, closedReason: null } as const;
  if ((await findings(store).insert({ _id, v: LEDGER_VERSION, ...facts, ...open, ...seen })) === 'inserted')
    return { id: _id, isNew: true };
  let isNew = false;
  await update(findings(store), _id, (known) => {
    isNew = known.state === 'closed' || (facts.records ?? 0) > (known.records ?? 0);
    return { ...known, ...facts, ...open, lastSeenAt: now, timesSeen: known.timesSeen + 1 };
  });
  return { id: _id, isNew };
}

/** Idempotent: one that is closed stays as it was closed. */
export async function closeFinding(
  store: Store,
  clock: Clock,
  id: string,
  { by, reason }: { readonly by: string; readonly reason: string },
): Promise<FindingDocument> {
  return await update(findings(store), id, (finding) =>
    finding.state === 'closed'
      ? null
      : { ...finding, state: 'closed' as const, closedAt: clock.now(), closedBy: by, closedReason: reason },
  );
}

/** Throws USAGE for one that is not there, or of another kind. */
export async function getFinding(store: Store, id: string, kinds: readonly FindingKind[]): Promise<FindingDocument> {
  const finding = await findings(store).get(id);
  if (finding !== null && kinds.includes(finding.kind)) return finding;
  throw new MoraineError('USAGE', `There is no stray ${JSON.stringify(id)}.`, {
    hint: 'Run `moraine stray list`, and name what it prints.',
  });
}

export function findFindings(store: Store, filter: Filter): AsyncIterable<FindingDocument> {
  return findings(store).find(filter, { sort: { _id: 1 } });
}

function findings(store: Store): StoreCollection<FindingDocument> {
  return readableCollection<FindingDocument>(store, FINDINGS);
}
