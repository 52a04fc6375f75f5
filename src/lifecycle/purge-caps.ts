/**
 * What a purge would take, and what its blast caps let through. Reads only. `purge` on the command line and the daemon
 * take the same plan: a policy over its caps starts nothing, the others go on. What is paused is not counted.
 */
import { errorClass, MoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import { findArchives } from '../ledger/archives.ts';
import { pauseName, pausesInForce, stops } from '../ledger/pauses.ts';
import { checkCaps } from '../policy/caps.ts';
import { type Context, dueNow } from './context.ts';
import { policiesToRun } from './published.ts';
import { purgeable } from './purge.ts';

export interface PurgePlan {
  readonly asOf: Date;
  /** What `purgeArchives` may take: purges that were begun, then what is due and within its policy's caps, oldest first. */
  readonly due: readonly ArchiveId[];
  /** Due, or begun, and stopped by these pauses. */
  readonly paused: readonly { readonly id: ArchiveId; readonly pauses: readonly string[] }[];
  /** Policies over their caps. Nothing of them is started; what was begun is in `due` all the same. */
  readonly capped: readonly { readonly policy: string; readonly archives: number; readonly text: string }[];
}

/** Archived copies in these states still exist: a purge's share is of the records in them (design 4, Blast caps). */
const UNPURGED_STATES = ['stored', 'verified', 'cleared', 'purging'] as const;

/** `policies`: names, or null for all. Caps are those of the policy in force. Throws POLICY_NOT_PUBLISHED. */
export async function planPurge(context: Context, policies: readonly string[] | null): Promise<PurgePlan> {
  const asOf = dueNow(context);
  const pauses = await pausesInForce(context.store);
  const paused: PurgePlan['paused'][number][] = [];
  const begun: ArchiveId[] = [];
  const fresh: { readonly id: ArchiveId; readonly policy: string }[] = [];
  const takenBy = new Map<string, number>();
  for await (const archive of purgeable(context, asOf, policies)) {
    const stopping = pauses.filter((pause) => stops(pause, archive));
    // What the vault has deleted already is taken to its end: a pause came too late for it.
    if (stopping.length > 0 && archive.purge?.acceptedAt == null) {
      paused.push({ id: archive._id, pauses: stopping.map(pauseName) });
      continue;
    }
    if (archive.state === 'purging') {
      begun.push(archive._id);
      continue;
    }
    fresh.push({ id: archive._id, policy: archive.policy });
    takenBy.set(archive.policy, (takenBy.get(archive.policy) ?? 0) + archive.outcomes.archived);
  }
  const capped: PurgePlan['capped'][number][] = [];
  for (const [policy, taken] of takenBy) {
    const limits = await limitsOf(context, policy);
    const caps = checkCaps({ taken, documents: await unpurgedRecords(context, policy), limits });
    if (caps.ok) continue;
    capped.push({ policy, archives: fresh.filter((archive) => archive.policy === policy).length, text: caps.text });
  }
  const isCapped = new Set(capped.map(({ policy }) => policy));
  return { asOf, due: [...begun, ...fresh.filter((a) => !isCapped.has(a.policy)).map((a) => a.id)], paused, capped };
}

/** No caps that could be read let nothing of this policy through, and stop no other: `checkCaps` fails closed. */
async function limitsOf(context: Context, policy: string): Promise<Limits> {
  try {
    const [inForce] = await policiesToRun(context.store, [policy]);
    return inForce?.limits ?? NO_LIMITS;
  } catch (error) {
    if (errorClass(error) === 'retry') throw error;
    context.log.error(
      { policy, code: error instanceof MoraineError ? error.code : 'INTERNAL' },
      'Its caps cannot be read.',
    );
    return NO_LIMITS;
  }
}

type Limits = Parameters<typeof checkCaps>[0]['limits'];
const NO_LIMITS: Limits = { records: null, share: null };

async function unpurgedRecords(context: Context, policy: string): Promise<number> {
  let records = 0;
  for await (const archive of findArchives(context.store, { policy, state: { $in: UNPURGED_STATES } }))
    records += archive.outcomes.archived;
  return records;
}
