/** Following a retrieval order from the command line: one pass, or until nothing is left to wait for; and how orders are shown. */
import type { MoraineError } from '../errors.ts';
import { getOrder, orderCounts, type RetrievalOrderDocument } from '../ledger/retrieval-orders.ts';
import type { RetrievalDocument, RetrievalState } from '../ledger/retrievals.ts';
import { dollarsText } from '../lifecycle/choose-tier.ts';
import type { Context } from '../lifecycle/context.ts';
import { followOrder } from '../lifecycle/follow-order.ts';
import { EXIT, type ExitCode, type Session } from './command.ts';
import { waitForNextLook } from './follow.ts';
import { count, counted, size } from './words.ts';

export interface OrderOutcome {
  readonly order: RetrievalOrderDocument;
  readonly counts: Readonly<Record<RetrievalState, number>>;
  /** What stood in the way of the last pass. */
  readonly obstacle: MoraineError | null;
}

/** Goes on with an order here; with `isWaiting` until nothing of it is asked for or waited for any more. */
export async function followHere(
  session: Session,
  context: Context,
  id: string,
  isWaiting: boolean,
): Promise<OrderOutcome> {
  let said = '';
  for (let look = 0; ; look++) {
    const { obstacle } = await followOrder(context, id);
    const outcome = {
      order: await getOrder(context.store, id),
      counts: await orderCounts(context.store, id),
      obstacle,
    };
    if (!isWaiting || waitedFor(outcome.counts) === 0) return outcome;
    const text = progressText(outcome);
    if (text !== said) session.output.say(text);
    // What moves on is looked at soon again.
    if (text !== said) look = 0;
    said = text;
    await waitForNextLook(context, look);
  }
}

function waitedFor({ wanted, asking, requested }: OrderOutcome['counts']): number {
  return wanted + asking + requested;
}

function progressText({ order, counts, obstacle }: OrderOutcome): string {
  const { wanted, asking, requested } = counts;
  const there = order.archives - waitedFor(counts);
  const why = obstacle === null ? '' : ` (${obstacle.code})`;
  return `  ${count(there)} of ${count(order.archives)} there; ${count(requested)} on their way, ${count(wanted + asking)} to be asked for${why}.`;
}

/** What is there, on its way, or lost. */
export function orderText({ order, counts, obstacle }: OrderOutcome): readonly string[] {
  const { wanted, asking, requested, ready, fetched, read, cancelled, expired, failed } = counts;
  const unasked = wanted + asking;
  const lost = expired + failed;
  const there = [
    ...(ready > 0 ? [`${count(ready)} ready`] : []),
    ...(fetched > 0 ? [`${count(fetched)} fetched`] : []),
    ...(read > 0 ? [`${count(read)} read`] : []),
    ...(requested > 0 ? [`${count(requested)} requested`] : []),
    ...(unasked > 0 ? [`${count(unasked)} to be asked for`] : []),
    ...(cancelled > 0 ? [`${count(cancelled)} cancelled`] : []),
    ...(expired > 0 ? [`${count(expired)} expired`] : []),
    ...(failed > 0 ? [`${count(failed)} failed`] : []),
  ].join(', ');
  const isReady = ready + fetched > 0 && requested + unasked === 0;
  return [
    `${lost > 0 ? '✗' : '✓'} Order ${order._id} is ${order.state}: ${counted(order.archives, 'archive')}, ${size(order.bytes)}, ${order.tier}, about ${dollarsText(order.dollars)}: ${there}.`,
    ...(obstacle === null ? [] : [`  The vaults held it up: ${obstacle.message}`]),
    ...(requested + unasked > 0
      ? [`  The daemon goes on with it; without one: \`moraine retrieve follow ${order._id}\`.`]
      : []),
    ...(isReady ? ['  `moraine restore <archive> --identity FILE --out DIR` reads what is there.'] : []),
  ];
}

export function orderDocument({ order, counts, obstacle }: OrderOutcome) {
  const { _id, state, by, owners, reason, tier, archives, bytes, dollars, hours, maxDollars, approval } = order;
  const { placedAt, endedAt } = order;
  const facts = { id: _id, state, by, owners, reason, tier, archives, bytes, dollars, hours, maxDollars, approval };
  return { ...facts, placedAt, endedAt, counts, obstacle: obstacle?.code ?? null };
}

/** Something that was asked for will not come. */
export function orderExit({ counts }: OrderOutcome): ExitCode {
  return counts.failed + counts.expired > 0 ? EXIT.failed : EXIT.done;
}

export function retrievalDocument(retrieval: RetrievalDocument) {
  const { _id, archive, state, tier, range, requestedAt, expectedAt, readyAt, expiresAt } = retrieval;
  const { order = null, keepUntil = null, failure = null } = retrieval;
  return {
    id: _id,
    archive,
    state,
    tier,
    range,
    requestedAt,
    expectedAt,
    readyAt,
    expiresAt,
    order,
    keepUntil,
    failure,
  };
}
