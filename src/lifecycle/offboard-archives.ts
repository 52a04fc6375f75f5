/**
 * The archives of a customer who leaves: those that the export holds, or that the person said may go without, are taken as
 * far as they go and then purged before their date, by the purge of every other archive with its claim, its look at holds
 * and its vault. Others stay and are told.
 */
import { MoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { findArchives, getArchive } from '../ledger/archives.ts';
import { scopeOf } from '../ledger/clearing.ts';
import { holdsCovering } from '../ledger/holds-covering.ts';
import type { OffboardingDocument } from '../ledger/offboardings.ts';
import { type ArchiveState, UNCLEARED_STATES } from '../ledger/states.ts';
import { carryOn } from './carry-on.ts';
import { assertNotStopped, type Context } from './context.ts';
import { purgeOffboarded } from './offboard-purge.ts';
import { pinnedPolicy } from './published.ts';

export interface OffboardedArchive {
  readonly archive: ArchiveId;
  readonly state: ArchiveState;
  /** Its file and its key are gone, or it never came to have any. */
  readonly destroyed: boolean;
  /** Why it is still there; null where it is not. */
  readonly reason: string | null;
  readonly holds: readonly string[];
}

const DESTROYED: readonly ArchiveState[] = ['purged', 'confirmed', 'abandoned'];

/** Destroys what may go, one archive after the other; one that cannot go now stops no other. */
export async function offboardArchives(
  context: Context,
  offboarding: OffboardingDocument,
): Promise<readonly OffboardedArchive[]> {
  const { owner, customer, exportedArchives, withoutArchives } = offboarding;
  const mayGo = new Set([...exportedArchives, ...withoutArchives]);
  const all: ArchiveId[] = [];
  for await (const { _id } of findArchives(context.store, { owner, customer, state: { $ne: 'abandoned' } }))
    all.push(_id);
  const told: OffboardedArchive[] = [];
  for (const archive of all) {
    assertNotStopped(context);
    const reason = mayGo.has(archive)
      ? await destroy(context, offboarding, archive)
      : 'the export does not hold it: it came after';
    told.push(await outcomeOf(context, archive, reason));
  }
  return told;
}

/** Why it could not be destroyed now, or null. */
async function destroy(context: Context, offboarding: OffboardingDocument, archive: ArchiveId): Promise<string | null> {
  try {
    let document = await getArchive(context.store, archive);
    if (DESTROYED.includes(document.state)) return null;
    if (UNCLEARED_STATES.some((state) => state === document.state)) {
      // Its records are gone from the source by now: it comes to `cleared`, or is given up where nothing was sealed.
      document = await carryOn(context, archive, await pinnedPolicy(context.store, document.policyVersion));
    }
    if (document.state === 'abandoned') return null;
    if (document.state === 'quarantined') return 'it is in quarantine: see `moraine quarantine list`';
    if (document.state === 'stored') return 'it waits for an inventory of its vault: `moraine reconcile`';
    return await purgeOffboarded(context, offboarding, document._id);
  } catch (error) {
    if (!(error instanceof MoraineError) || error.code === 'WORK_STOPPED' || error.class === 'bug') throw error;
    return `${error.message} (${error.code})`;
  }
}

async function outcomeOf(context: Context, archive: ArchiveId, reason: string | null): Promise<OffboardedArchive> {
  const document = await getArchive(context.store, archive);
  const destroyed = DESTROYED.includes(document.state);
  return {
    archive,
    state: document.state,
    destroyed,
    reason: destroyed ? null : (reason ?? `it is ${document.state}`),
    holds: destroyed ? [] : await holdsOf(context, document),
  };
}

async function holdsOf(context: Context, archive: ArchiveDocument): Promise<readonly string[]> {
  return (await holdsCovering(context.store, scopeOf(archive))).map(({ _id }) => _id);
}
