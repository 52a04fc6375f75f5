/**
 * Placing and releasing legal holds.
 *
 * The order of placing, and why:
 *  1. The intent goes into the audit chain.
 *  2. The hold is written, `placing`: whoever looks from here on sees it and withdraws.
 *  3. The announcements that are there now are waited for, each until it is withdrawn or past its end by every clock
 *     that counts. Later ones need no waiting: whoever made them looks at the holds after the hold was written.
 *  4. What it came too late for is named: archives whose destruction was asked for. Whoever asks after this reading has
 *     seen the hold and steps back (src/ledger/purging.ts).
 *  5. The outcome goes into the audit chain, then `active`.
 *  6. Vaults that know legal holds are told of it (guard-archives.ts); it is in force without them.
 * A crash in between leaves a hold that stops acts and that nobody called active; placing the same again, or listing,
 * takes it on.
 */
import { facetCode } from '../archive/facets.ts';
import { canonicalJson } from '../canonical-json.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, Namespace } from '../ids.ts';
import { findArchives } from '../ledger/archives.ts';
import { recordName } from '../ledger/child-index.ts';
import { type HoldDocument, type HoldExtent, holds, namesParty, RELEASE_GRACE_MS } from '../ledger/holds.ts';
import { coversArchive } from '../ledger/holds-covering.ts';
import { update } from '../ledger/update.ts';
import { assertReadable, LEDGER_VERSION } from '../ledger/versions.ts';
import { isNothingAnnounced, waitForAnnounced } from './announced.ts';
import { type ApprovalRequest, isApprovalRequired, requireApproval } from './approval.ts';
import type { Context } from './context.ts';
import { mirrorPlacedHold } from './guard-archives.ts';
import { policiesToRun } from './published.ts';
import { keyCode } from './record-holds.ts';

/** What a person names. Values of keys and facets do not leave this file but as codes under the owner's key. */
export interface HoldRequest
  extends Pick<HoldExtent, 'owner' | 'customer' | 'namespace' | 'triggerFrom' | 'triggerBefore'> {
  readonly caseNumber: string;
  readonly reason: string;
  /** Bytes of the `_id`s that are meant. */
  readonly recordIds: readonly Uint8Array[];
  /** Values as the source normalises them. */
  readonly facet: { readonly name: string; readonly values: readonly string[] } | null;
}

/** Returns the hold when it is in force. The same case and extent again finds the hold that is there, and takes it on. */
export async function placeHold(context: Context, request: HoldRequest, by: string): Promise<HoldDocument> {
  const extent = await extentOf(context, request);
  const known = await findSame(context, request.caseNumber, extent);
  return await settlePlacing(context, known ?? (await writeHold(context, request, extent, by)));
}

async function extentOf(context: Context, request: HoldRequest): Promise<HoldExtent> {
  const { owner, customer, namespace, triggerFrom, triggerBefore, recordIds, facet } = request;
  const named = await datasetOf(context, namespace);
  const extent = { owner, customer, ...named, triggerFrom, triggerBefore };
  if (recordIds.length === 0 && facet === null) return { ...extent, recordKeys: null, facet: null };
  if (owner === null || (recordIds.length > 0 && namespace === null)) {
    throw new MoraineError('USAGE', 'A hold on record keys names owner and dataset, one on a facet its owner.');
  }
  const hmac = await context.keys.hmacFor(owner);
  const keys = recordIds.map((idBytes) => keyCode(hmac, recordName(named, context.source.keyOf(idBytes))));
  return {
    ...extent,
    recordKeys: keys.length === 0 ? null : sorted(keys),
    facet:
      facet === null
        ? null
        : { name: facet.name, codes: sorted(facet.values.map((value) => facetCode(hmac, facet.name, value))) },
  };
}

/** A child is held with its root: what covers one covers the dataset of both. */
async function datasetOf(
  context: Context,
  namespace: Namespace | null,
): Promise<{ readonly namespace: Namespace | null; readonly collection?: Namespace }> {
  if (namespace === null) return { namespace };
  const policies = await policiesToRun(context.store, null);
  const ofChildren = policies.find(({ dataset }) =>
    dataset.children?.some(({ collection }) => collection === namespace),
  );
  return ofChildren === undefined ? { namespace } : { namespace: ofChildren.dataset.collection, collection: namespace };
}

function sorted(codes: readonly string[]): readonly string[] {
  return [...new Set(codes)].sort();
}

async function findSame(context: Context, caseNumber: string, extent: HoldExtent): Promise<HoldDocument | null> {
  const wanted = fingerprint(extent);
  for await (const hold of holds(context.store).find({ caseNumber, state: { $ne: 'released' } })) {
    assertReadable(hold);
    if (fingerprint(hold) === wanted) return hold;
  }
  return null;
}

function fingerprint({
  owner,
  customer,
  namespace,
  triggerFrom,
  triggerBefore,
  recordKeys,
  facet,
  collection,
}: HoldExtent): string {
  const triggers = [triggerFrom, triggerBefore].map((date) => date?.toISOString() ?? null);
  return canonicalJson([
    owner,
    customer,
    namespace,
    triggers,
    recordKeys,
    facet,
    ...(collection == null ? [] : [collection]),
  ]);
}

async function writeHold(
  context: Context,
  { caseNumber, reason }: HoldRequest,
  extent: HoldExtent,
  by: string,
): Promise<HoldDocument> {
  const _id = `hold-${context.newId()}`;
  const hold: HoldDocument = {
    _id,
    v: LEDGER_VERSION,
    rev: 0,
    state: 'placing',
    caseNumber,
    reason,
    placedBy: by,
    placedAt: context.clock.now(),
    activeAt: null,
    tooLate: [],
    releasedBy: null,
    releasedAt: null,
    releaseReason: null,
    heldUntil: null,
    ...extent,
  };
  const { rev: _, ...document } = hold;
  await context.audit.appendOnce([
    {
      key: `${_id}:place`,
      act: 'hold place',
      phase: 'intent',
      subject: subjectOf(hold),
      details: {
        case: caseNumber,
        reason,
        by,
        triggerFrom: hold.triggerFrom?.toISOString() ?? null,
        triggerBefore: hold.triggerBefore?.toISOString() ?? null,
        recordKeys: hold.recordKeys?.length ?? 0,
        facet: hold.facet?.name ?? null,
      },
    },
  ]);
  await holds(context.store).insert(document);
  return hold;
}

function subjectOf({ _id, owner, customer, namespace, collection }: HoldDocument): Record<string, string> {
  return {
    hold: _id,
    ...(owner === null ? {} : { owner }),
    ...(customer === null ? {} : { customer }),
    ...(namespace === null ? {} : { dataset: namespace }),
    ...(collection == null ? {} : { collection }),
  };
}

/** Takes a hold that is being placed to `active`; another is returned as it is. Throws LEDGER_CONTENTION when acts do not end. */
export async function settlePlacing(context: Context, hold: HoldDocument): Promise<HoldDocument> {
  if (hold.state !== 'placing') return hold;
  if (!(await waitForAnnounced(context, (entry) => namesParty(hold, entry)))) throw notInForce(hold);
  return await activateAndMirror(context, hold);
}

/** As {@link settlePlacing}, and leaves it as it is where that takes waiting. */
export async function settleIfFree(context: Context, hold: HoldDocument): Promise<HoldDocument> {
  if (hold.state !== 'placing') return hold;
  return (await isNothingAnnounced(context, (entry) => namesParty(hold, entry)))
    ? await activateAndMirror(context, hold)
    : hold;
}

/** It is in force whatever the vaults say: one that could not be told is an alarm, and told again by `reconcile`. */
async function activateAndMirror(context: Context, hold: HoldDocument): Promise<HoldDocument> {
  const active = await activate(context, hold);
  const left = await mirrorPlacedHold(context, active);
  if (left > 0) context.log.warn({ hold: hold._id, left }, 'Some archives do not have it in their vault yet.');
  return active;
}

async function activate(context: Context, hold: HoldDocument): Promise<HoldDocument> {
  const tooLate: ArchiveId[] = [];
  for await (const archive of findArchives(context.store, { state: { $in: ['purging', 'purged', 'quarantined'] } })) {
    if (archive.purge?.askedAt == null) continue;
    if (await coversArchive(context.store, hold, archive)) tooLate.push(archive._id);
  }
  // Before the hold says so: nothing that it has to wait for is left, and a crash in between is settled under the same key.
  await context.audit.appendOnce([
    {
      key: `${hold._id}:active`,
      act: 'hold place',
      phase: 'outcome',
      subject: subjectOf(hold),
      details: { case: hold.caseNumber, tooLate },
    },
  ]);
  return await update(
    holds(context.store),
    hold._id,
    (now): HoldDocument =>
      now.state === 'placing' ? { ...now, state: 'active', activeAt: context.clock.now(), tooLate } : now,
  );
}

function notInForce(hold: HoldDocument): MoraineError {
  return new MoraineError('LEDGER_CONTENTION', `Acts that began before hold ${hold._id} do not end.`, {
    changed: 'The hold is written and stops every act that looks from now on; it is not reported as in force yet.',
    hint: 'Run `moraine hold list`; it takes the hold on.',
    ids: { hold: hold._id },
  });
}

/**
 * Ends a hold. It still holds for {@link RELEASE_GRACE_MS}; what is overdue then goes at the next run. Where a release takes
 * a second person it throws APPROVAL_NEEDED first, and the hold stays as it is.
 */
export async function releaseHold(
  context: Context,
  holdId: string,
  { by, reason }: { readonly by: string; readonly reason: string },
): Promise<HoldDocument> {
  const found = await holds(context.store).get(holdId);
  if (found === null) {
    throw new MoraineError('USAGE', `There is no hold ${JSON.stringify(holdId)}.`, {
      hint: 'Run `moraine hold list` for the ids.',
    });
  }
  assertReadable(found);
  if (found.state !== 'released' && isApprovalRequired(context, 'hold-release')) {
    await requireApproval(context, releaseAsked(found, reason), by);
  }
  const hold = await settlePlacing(context, found);
  const entry = { act: 'hold release', subject: subjectOf(hold), details: { case: hold.caseNumber, reason, by } };
  await context.audit.appendOnce([{ ...entry, key: `${holdId}:release`, phase: 'intent' }]);
  const heldUntil = new Date((await context.store.serverTime()).getTime() + RELEASE_GRACE_MS);
  const released = await update(
    holds(context.store),
    holdId,
    (now): HoldDocument =>
      now.state === 'released'
        ? now
        : {
            ...now,
            state: 'released',
            releasedBy: by,
            releasedAt: context.clock.now(),
            releaseReason: reason,
            heldUntil,
          },
  );
  await context.audit.appendOnce([
    {
      ...entry,
      key: `${holdId}:released`,
      phase: 'outcome',
      details: { case: hold.caseNumber, heldUntil: released.heldUntil?.toISOString() ?? null },
    },
  ]);
  return released;
}

/** What is shown of a hold is what never changes of it; `placing` or `active` makes no other release. */
function releaseAsked(hold: HoldDocument, reason: string): ApprovalRequest {
  const { _id, caseNumber, placedBy, placedAt, triggerFrom, triggerBefore, recordKeys, facet } = hold;
  const subject = subjectOf(hold);
  return {
    kind: 'hold-release',
    subject,
    shown: {
      release: { ...subject, case: caseNumber, reason: hold.reason, placedBy, placedAt: placedAt.toISOString() },
      covers: {
        triggerFrom: triggerFrom?.toISOString() ?? null,
        triggerBefore: triggerBefore?.toISOString() ?? null,
        recordKeys: recordKeys?.length ?? 0,
        facet: facet?.name ?? null,
      },
      reason,
    },
    spendFor: _id,
  };
}
