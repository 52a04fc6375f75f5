/**
 * What a purge would take, and what its blast caps and the review let through. Changes nothing; in the name of somebody it asks
 * for reviews. `purge` on the command line and the daemon
 * take the same plan: a policy over its caps starts nothing, the others go on. What is paused is not counted.
 */
import { errorClass, MoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { findArchives } from '../ledger/archives.ts';
import { pauseName, pausesInForce, stops } from '../ledger/pauses.ts';
import { checkCaps } from '../policy/caps.ts';
import { policyVersion } from '../policy/policy.ts';
import type { Amount, Amounts } from './approve-amounts.ts';
import { type Context, dueNow } from './context.ts';
import { policiesToRun } from './published.ts';
import { purgeable } from './purge.ts';
import { askReview, type Reviewed, reviewOf, reviewText } from './purge-review.ts';

export interface PurgePlan {
  readonly asOf: Date;
  /** What `purgeArchives` may take: purges that were begun, then what is due and within its policy's caps, oldest first. */
  readonly due: readonly ArchiveId[];
  /** Due, or begun, and stopped by these pauses. */
  readonly paused: readonly { readonly id: ArchiveId; readonly pauses: readonly string[] }[];
  /** Due, and not to be destroyed before people have looked at it; or they refused. */
  readonly review: readonly (Reviewed & { readonly id: ArchiveId; readonly text: string })[];
  /** Policies over their caps. Nothing of them is started; what was begun is in `due` all the same. */
  readonly capped: readonly CappedPurge[];
}

export interface CappedPurge {
  readonly policy: string;
  readonly archives: number;
  readonly ids: readonly ArchiveId[];
  readonly text: string;
  readonly amounts: Amounts;
}

/** Archived copies in these states still exist: a purge's share is of the records in them (design 4, Blast caps). */
const UNPURGED_STATES = ['stored', 'verified', 'cleared', 'purging'] as const;

/**
 * `policies`: names, or null for all. Caps are those of the policy in force. With `by` it asks, in that name, for the reviews
 * that nobody was asked for yet. Throws POLICY_NOT_PUBLISHED.
 */
export async function planPurge(
  context: Context,
  policies: readonly string[] | null,
  by: string | null = null,
): Promise<PurgePlan> {
  const asOf = dueNow(context);
  const pauses = await pausesInForce(context.store);
  const paused: PurgePlan['paused'][number][] = [];
  const begun: ArchiveId[] = [];
  const due: ArchiveDocument[] = [];
  for await (const archive of purgeable(context, asOf, policies)) {
    const stopping = pauses.filter((pause) => stops(pause, archive));
    // What the vault has deleted already is taken to its end: a pause came too late for it.
    if (stopping.length > 0 && archive.purge?.acceptedAt == null) {
      paused.push({ id: archive._id, pauses: stopping.map(pauseName) });
    } else if (archive.state === 'purging') begun.push(archive._id);
    else due.push(archive);
  }
  const { granted, review } = await underReview(context, due, by);
  const capped: CappedPurge[] = [];
  for (const [policy, archives] of byPolicy(granted)) {
    const { limits, version } = await inForce(context, policy);
    const taken = archives.reduce((sum, { outcomes }) => sum + outcomes.archived, 0);
    const caps = checkCaps({ taken, documents: await unpurgedRecords(context, policy), limits });
    if (caps.ok) continue;
    const amounts: Amounts = { act: 'purge', policy, version, limits, caps, amounts: amountsOf(archives) };
    const ids = archives.map(({ _id }) => _id);
    capped.push({ policy, archives: ids.length, ids, text: caps.text, amounts });
  }
  const isCapped = new Set(capped.map(({ policy }) => policy));
  const fresh = granted.filter(({ policy }) => !isCapped.has(policy)).map(({ _id }) => _id);
  return { asOf, due: [...begun, ...fresh], paused, review, capped };
}

/** What may go, and what waits for people to look at it, or was refused by them. */
async function underReview(
  context: Context,
  due: readonly ArchiveDocument[],
  by: string | null,
): Promise<{ readonly granted: readonly ArchiveDocument[]; readonly review: PurgePlan['review'] }> {
  const reviewed = new Map(await reviewOf(context, due));
  const unasked = due.filter(({ _id }) => reviewed.get(_id)?.state === 'unasked');
  if (by !== null) for (const [id, said] of await askReview(context, unasked, by)) reviewed.set(id, said);
  const stateOf = ({ _id }: ArchiveDocument) => reviewed.get(_id) ?? { state: 'unasked' as const, approval: null };
  return {
    granted: due.filter((archive) => stateOf(archive).state === 'granted'),
    review: due.flatMap((archive) => {
      const said = stateOf(archive);
      const text = reviewText(said);
      return text === null ? [] : [{ id: archive._id, ...said, text }];
    }),
  };
}

function byPolicy(archives: readonly ArchiveDocument[]): ReadonlyMap<string, readonly ArchiveDocument[]> {
  const grouped = new Map<string, ArchiveDocument[]>();
  for (const archive of archives) grouped.set(archive.policy, [...(grouped.get(archive.policy) ?? []), archive]);
  return grouped;
}

function amountsOf(archives: readonly ArchiveDocument[]): readonly Amount[] {
  const counts = new Map<string, Amount>();
  for (const { partition, owner, customer, outcomes } of archives) {
    const records = (counts.get(partition)?.records ?? 0) + outcomes.archived;
    counts.set(partition, { owner, customer, records });
  }
  return [...counts.values()];
}

/** No caps that could be read let nothing of this policy through, and stop no other: `checkCaps` fails closed. */
async function inForce(context: Context, policy: string): Promise<Pick<Amounts, 'limits' | 'version'>> {
  try {
    const [found] = await policiesToRun(context.store, [policy], context.asOf);
    return found === undefined ? NO_LIMITS : { limits: found.limits, version: policyVersion(found) };
  } catch (error) {
    if (errorClass(error) === 'retry') throw error;
    context.log.error(
      { policy, code: error instanceof MoraineError ? error.code : 'INTERNAL' },
      'Its caps cannot be read.',
    );
    return NO_LIMITS;
  }
}

const NO_LIMITS: Pick<Amounts, 'limits' | 'version'> = { limits: { records: null, share: null }, version: '' };

async function unpurgedRecords(context: Context, policy: string): Promise<number> {
  let records = 0;
  for await (const archive of findArchives(context.store, { policy, state: { $in: UNPURGED_STATES } }))
    records += archive.outcomes.archived;
  return records;
}
