/**
 * Placing a retrieval order: the set that was shown, with its tier and its cost, and nothing else, becomes wanted. Nothing
 * is asked of a vault before all of it is written; a command that is cut before is run again and goes on.
 */
import { createHash } from 'node:crypto';
import { MoraineError } from '../errors.ts';
import { beginOrder, openOrder, type RetrievalOrderDocument } from '../ledger/retrieval-orders.ts';
import { type WantedRetrieval, wantRetrievals } from '../ledger/retrievals.ts';
import { type ApprovalRequest, isApprovalRequired, requireApproval } from './approval.ts';
import type { Asker } from './asker.ts';
import { dollarsText, type TierOffer } from './choose-tier.ts';
import type { Context } from './context.ts';
import type { Selection } from './find.ts';
import { cancelOrder } from './follow-order.ts';
import { itemKey, type OrderItem, type OrderPlan, orderItems } from './plan-order.ts';
import { retrievableFacts } from './retrieve.ts';

/** Retrievals written at once. */
const BATCH = 500;

export interface OrderTerms {
  readonly offer: TierOffer;
  readonly reason: string | null;
  readonly maxDollars: number | null;
}

/**
 * Places it. Throws APPROVAL_NEEDED where a second person is required and has not granted exactly this, and
 * RETRIEVAL_SET_CHANGED where the archives are others than were planned: then nothing is wanted.
 */
export async function placeOrder(
  context: Context,
  selection: Selection,
  plan: OrderPlan,
  terms: OrderTerms,
  asker: Asker,
): Promise<RetrievalOrderDocument> {
  for (const { owner } of plan.owners) asker.administratorOf(owner);
  const { store, clock } = context;
  const { tier, dollars, hours } = terms.offer;
  const request = approvalRequest(plan, terms);
  // Asked for before anything is written: what waits for a person must not keep archives from their purge.
  if (isApprovalRequired(context, 'retrieve')) await requireApproval(context, request, asker.actor);
  const order = await beginOrder(store, context.newId, {
    by: asker.actor,
    owners: plan.owners,
    reason: terms.reason,
    tier,
    archives: plan.archives,
    bytes: plan.bytes,
    dollars,
    hours,
    maxDollars: terms.maxDollars,
    setHash: plan.setHash,
  });
  const subject = { order: order._id };
  const owners = plan.owners.map(({ owner, administrator }) => `${owner}: ${administrator}`).join(', ');
  const details = { archives: plan.archives, tier, dollars: dollarsText(dollars), owners, reason: terms.reason };
  await context.audit.appendOnce([
    { key: `${order._id} placing`, act: 'retrieval ordered', phase: 'intent', subject, details },
  ]);
  const hash = createHash('sha256');
  let batch: WantedRetrieval[] = [];
  for await (const found of orderItems(context, selection)) {
    if (found.kind !== 'item') continue;
    hash.update(`${itemKey(found.item)}\n`);
    batch.push(wantedOf(order, found.item));
    if (batch.length < BATCH) continue;
    await wantRetrievals(store, clock, batch);
    batch = [];
  }
  await wantRetrievals(store, clock, batch);
  if (hash.digest('hex') !== plan.setHash) {
    await cancelOrder(context, order._id, 'the archives are not those that were shown');
    throw new MoraineError('RETRIEVAL_SET_CHANGED', 'The archives are not the same any more as when they were shown.', {
      changed: 'Nothing was asked of a vault.',
      ids: { order: order._id },
    });
  }
  const approval = isApprovalRequired(context, 'retrieve')
    ? await requireApproval(context, { ...request, spendFor: `retrieval order ${order._id}` }, asker.actor)
    : null;
  const opened = await openOrder(store, order._id, approval?.approval ?? null);
  await context.audit.appendOnce([
    { key: `${order._id} placed`, act: 'retrieval ordered', phase: 'outcome', subject, details },
  ]);
  return opened;
}

function approvalRequest(plan: OrderPlan, { offer, reason }: OrderTerms): ApprovalRequest {
  const owners = plan.owners.map(({ owner }) => owner);
  return {
    kind: 'retrieve',
    subject: { set: plan.setHash.slice(0, 16), owner: owners.join(', ') },
    shown: {
      archives: plan.archives,
      parts: plan.parts,
      bytes: plan.bytes,
      owners,
      tier: offer.tier,
      dollars: dollarsText(offer.dollars),
      reason,
      set: plan.setHash,
    },
  };
}

/** The id follows from order and archive, so that placing that was cut writes none twice. Letters, digits and hyphens. */
function wantedOf({ _id: order, tier }: RetrievalOrderDocument, item: OrderItem): WantedRetrieval {
  const { archive, range, segments } = item;
  return {
    id: `${order}-${createHash('sha256').update(itemKey(item)).digest('hex').slice(0, 16)}`,
    archive: archive._id,
    location: archive.vault,
    vaultArchiveId: retrievableFacts(archive).vaultArchiveId,
    tier,
    range,
    order,
    ...(range === null ? {} : { segments }),
  };
}
