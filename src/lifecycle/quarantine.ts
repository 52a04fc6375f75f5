/**
 * The ways out of quarantine, each by a person with a reason: take up again, or dispose of.
 *
 * The rules, and why:
 * - Neither deletes anything in the source. A disposed record stays there, passed over, until it is taken up again.
 * - An archive whose copy was in doubt is verified anew before anything more of it is deleted: from `verified` it goes
 *   back to `stored`, for an inventory.
 * - While it was in quarantine its records were planned anew. So one that may still clear goes back only when no other
 *   archive that is not cleared may hold them: looked at under the partition's lease, so that no plan comes in between.
 * - An archive that was never verified is given up whole: its attempt is abandoned and its key destroyed; its records are
 *   in the source. This asks holds and pauses first: an application may have deleted the original meanwhile.
 * - Of any other archive nothing is destroyed. Where records were deleted whose only copy it was, the person says that
 *   the loss is accepted, and the entry keeps who said so; key and index stay, for a copy that reappears.
 * The entry changes last: a crash before leaves it open, and the same command again comes to the same end.
 */
import { MoraineError } from '../errors.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { type ArchiveLease, claimArchive, findArchives, getArchive, moveArchive } from '../ledger/archives.ts';
import { clearingPages, countOutcomes, scopeOf } from '../ledger/clearing.ts';
import { announceAndLook, withdraw } from '../ledger/in-flight.ts';
import { needInventory } from '../ledger/inventories.ts';
import { claimPartition } from '../ledger/partitions.ts';
import { closeQuarantine, disposeQuarantine, type QuarantineDocument } from '../ledger/quarantine.ts';
import { releaseMark } from '../ledger/record-marks.ts';
import { removeRecordTraces } from '../ledger/record-traces.ts';
import { type ArchiveState, UNCLEARED_STATES } from '../ledger/states.ts';
import type { Context } from './context.ts';
import { markScope } from './read-marks.ts';
import { abandonAttempts } from './store-archive.ts';

export interface Decision {
  readonly who: string;
  readonly reason: string;
}

/** What came of it. `archive` is null for a record. */
export interface Decided {
  readonly entry: QuarantineDocument;
  readonly archive: ArchiveDocument | null;
}

/** Takes up again what an open or disposed entry names; does nothing to one that is closed. Throws RETRY_UNSAFE, LEASE_HELD. */
export async function retryQuarantined(context: Context, entry: QuarantineDocument, by: Decision): Promise<Decided> {
  const { store, clock } = context;
  if (entry.state === 'closed') return await unchanged(context, entry);
  const audit = await auditOf(context, entry, 'quarantine retry', by);
  await audit('intent');
  let archive: ArchiveDocument | null = null;
  if (entry.archive !== null) archive = await takeUpArchive(context, entry.archive);
  else await takeUpRecord(context, entry);
  await audit('outcome', archive);
  return { entry: await closeQuarantine(store, clock, entry._id, { ...by, reason: `retry: ${by.reason}` }), archive };
}

/** What disposing of an entry means, told before it is done. */
export interface Disposal {
  readonly kind: 'record stays' | 'archive given up' | 'archive stays';
  /** Records that were deleted from the source, or lost fields there, and of which this archive is the only whole copy. */
  readonly lost: number;
  /** Records that may have been deleted too: their page was cut. */
  readonly perhapsLost: number;
  readonly archive: ArchiveDocument | null;
}

/** Reads only. */
export async function planDisposal(context: Context, entry: QuarantineDocument): Promise<Disposal> {
  if (entry.archive === null) return { kind: 'record stays', lost: 0, perhapsLost: 0, archive: null };
  const archive = await getArchive(context.store, entry.archive);
  if (isGivenUpWhole(archive)) return { kind: 'archive given up', lost: 0, perhapsLost: 0, archive };
  const nothing = { kind: 'archive stays', lost: 0, perhapsLost: 0, archive } as const;
  if (archive.state !== 'quarantined' || archive.quarantinedFrom === 'purged') return nothing;
  // Counted from its pages while it is being cleared, and kept with it afterwards.
  if (archive.outcomes.pending === 0)
    return { ...nothing, lost: archive.outcomes.deleted + (archive.outcomes.treated ?? 0) };
  const { deleted, treated } = await countOutcomes(context.store, archive._id, archive.outcomes.archived);
  let perhapsLost = 0;
  for await (const { outcomes, intended } of clearingPages(context.store).find({ archive: archive._id }))
    if (outcomes === null) perhapsLost += intended.length;
  return { ...nothing, lost: deleted + treated, perhapsLost };
}

/** Disposes of an entry. Throws CONFIRMATION_NEEDED where records are lost and that was not accepted; HELD, PAUSED, LEASE_HELD. */
export async function disposeQuarantined(
  context: Context,
  entry: QuarantineDocument,
  by: Decision,
  { acceptLoss }: { readonly acceptLoss: boolean },
): Promise<Decided> {
  const { store, clock } = context;
  if (entry.state !== 'open') return await unchanged(context, entry);
  const { kind, lost, perhapsLost, archive } = await planDisposal(context, entry);
  if (lost + perhapsLost > 0 && !acceptLoss) throw lossNotAccepted(archive, lost, perhapsLost);
  const audit = await auditOf(context, entry, 'quarantine dispose', by, { lost, perhapsLost });
  await audit('intent');
  if (kind !== 'archive given up' || archive === null) {
    await audit('outcome', archive);
    return { entry: await disposeQuarantine(store, clock, entry._id, by), archive };
  }
  const abandoned = await giveUp(context, archive);
  await audit('outcome', abandoned);
  return {
    entry: await closeQuarantine(store, clock, entry._id, { ...by, reason: `dispose: ${by.reason}` }),
    archive: abandoned,
  };
}

async function unchanged(context: Context, entry: QuarantineDocument): Promise<Decided> {
  return { entry, archive: entry.archive === null ? null : await getArchive(context.store, entry.archive) };
}

/** Puts the intent and the outcome into the chain. No record's id, in no form that outlives its owner's key. */
async function auditOf(
  context: Context,
  entry: QuarantineDocument,
  act: string,
  { who, reason }: Decision,
  figures: Readonly<Record<string, number>> = {},
): Promise<(phase: 'intent' | 'outcome', archive?: ArchiveDocument | null) => Promise<void>> {
  const { owner, customer, policy, namespace, archive } = entry;
  const subject = {
    ...(archive === null ? { record: await recordCode(context, entry) } : { archive }),
    ...(owner === null ? {} : { owner }),
    ...(customer === null ? {} : { customer }),
    policy,
    dataset: namespace,
  };
  return async (phase, after) => {
    const state = after == null ? {} : { state: after.state };
    await context.audit.append([
      { act, phase, subject, details: { by: who, reason, code: entry.reason, ...figures, ...state } },
    ]);
  };
}

async function recordCode(context: Context, { owner, idBytes }: QuarantineDocument): Promise<string> {
  if (owner === null || idBytes === null) return 'of no known owner';
  const hmac = await context.keys.hmacFor(owner);
  return Buffer.from(hmac(context.source.keyOf(idBytes))).toString('base64url');
}

async function takeUpRecord(context: Context, entry: QuarantineDocument): Promise<void> {
  const { namespace, owner, customer, idBytes } = entry;
  // Without an owner or customer it has no marks: the next run looks at every such record anew.
  if (owner === null || customer === null || idBytes === null) return;
  const scope = await markScope(context, namespace, owner, customer);
  await releaseMark(context.store, scope, context.source.keyOf(idBytes));
}

async function takeUpArchive(context: Context, archiveId: ArchiveDocument['_id']): Promise<ArchiveDocument> {
  const { store, clock, audit } = context;
  const found = await getArchive(store, archiveId);
  if (found.state !== 'quarantined') return found;
  const { namespace, owner, customer } = found;
  const plans = await claimPartition(store, { namespace, owner, customer }, context);
  try {
    const lease = await claimArchive(store, audit, archiveId, context);
    try {
      const to = wayBack(lease.document);
      if (to === null) return lease.document;
      if (UNCLEARED_STATES.some((state) => state === to)) await assertAlone(context, lease.document);
      plans.assertHeld();
      const verifyLevel = lease.document.quarantinedFrom === 'verified' ? 'inventory' : lease.document.verifyLevel;
      const from = lease.document.quarantineReason ?? 'unknown';
      await moveArchive(audit, clock, lease, {
        to,
        set: { quarantinedFrom: null, quarantineReason: null, verifyLevel },
        details: { reason: `taken up again after ${from}` },
      });
      await askInventory(context, lease.document);
      return lease.document;
    } finally {
      await lease.giveUp();
    }
  } finally {
    await plans.giveUp();
  }
}

/** Null when another person was quicker. */
function wayBack({ state, quarantinedFrom }: ArchiveDocument): ArchiveState | null {
  if (state !== 'quarantined') return null;
  return quarantinedFrom === 'verified' ? 'stored' : quarantinedFrom;
}

/** Throws RETRY_UNSAFE when an archive that is not cleared may hold the same records. Those above its bound do not. */
async function assertAlone(context: Context, archive: ArchiveDocument): Promise<void> {
  const { partition, sequence, plan } = archive;
  // A plan begins at the bound of the archive below it: so those are recognised that stand on this one, or on those.
  const bounds = plan.bound === null ? [] : [plan.bound];
  const later = { partition, sequence: { $gt: sequence }, state: { $ne: 'abandoned' } };
  for await (const other of findArchives(context.store, later, { sort: { sequence: 1 } })) {
    const { after, bound, pass } = other.plan;
    // One pass put each record down for one archive.
    if (pass !== undefined && pass.id === plan.pass?.id) continue;
    if (after !== null && bounds.some((one) => Buffer.from(one).equals(after))) {
      if (bound !== null) bounds.push(bound);
    } else if (UNCLEARED_STATES.some((state) => state === other.state)) {
      throw new MoraineError(
        'RETRY_UNSAFE',
        `The records of archive ${archive._id} may be in archive ${other._id} too, which is ${other.state}.`,
        { ids: { archive: archive._id, other: other._id } },
      );
    }
  }
}

/** What waits for an inventory gets one: the next `reconcile` asks the vault. */
async function askInventory({ store }: Context, archive: ArchiveDocument): Promise<void> {
  const since = archive.state === 'purged' ? archive.purge?.acceptedAt : archive.stored?.at;
  const waits = archive.state === 'purged' || archive.state === 'cleared' || archive.verifyLevel === 'inventory';
  if (waits && since != null) await needInventory(store, archive.vault, since);
}

/** Nothing of it was ever deleted from the source: clearing begins at `verified`. */
function isGivenUpWhole({ state, verifiedAt, purge }: ArchiveDocument): boolean {
  return (state === 'quarantined' || state === 'abandoned') && verifiedAt === null && purge === null;
}

async function giveUp(context: Context, found: ArchiveDocument): Promise<ArchiveDocument> {
  const { store, clock, audit, worker } = context;
  const lease: ArchiveLease = await claimArchive(store, audit, found._id, context);
  try {
    if (lease.document.state === 'abandoned') return lease.document;
    const look = await announceAndLook(store, clock, worker, 'purge', scopeOf(lease.document));
    if (look.held) {
      throw new MoraineError('HELD', `Archive ${found._id} is covered by ${look.holds.join(', ')}.`, {
        ids: { archive: found._id },
      });
    }
    try {
      await abandonAttempts(context, lease, 'a person gave the archive up');
      await removeRecordTraces(store, found._id);
      await moveArchive(audit, clock, lease, {
        to: 'abandoned',
        set: { quarantinedFrom: null, quarantineReason: null },
        details: { reason: `given up after ${lease.document.quarantineReason ?? 'unknown'}` },
      });
    } finally {
      await withdraw(store, look.announcement);
    }
    return lease.document;
  } finally {
    await lease.giveUp();
  }
}

function lossNotAccepted(archive: ArchiveDocument | null, lost: number, perhaps: number): MoraineError {
  const more = perhaps === 0 ? '' : `, and perhaps of some of ${perhaps} more`;
  return new MoraineError(
    'CONFIRMATION_NEEDED',
    `Archive ${archive?._id} is the only copy of ${lost} records that were deleted from the source${more}.`,
    {
      hint: 'Look for the copy first: who can delete in that vault? To dispose of the entry all the same, pass --accept-loss.',
    },
  );
}
