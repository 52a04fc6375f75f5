/** `moraine retrieve list`, `show` and `cancel`: what was asked for, how it stands, and giving it up. */
import type { Command } from 'commander';
import { isMoraineError } from '../errors.ts';
import { findOrders, getOrder, orderCounts } from '../ledger/retrieval-orders.ts';
import { findRetrievals, getRetrieval, isLiveRetrieval, type RetrievalDocument } from '../ledger/retrievals.ts';
import type { Context } from '../lifecycle/context.ts';
import { cancelOrder, closeOrder } from '../lifecycle/follow-order.ts';
import { cancelRetrieval, refreshRetrievals } from '../lifecycle/retrieve.ts';
import { acting, EXIT, newCommand, type Session } from './command.ts';
import { table } from './output.ts';
import {
  followHere,
  type OrderOutcome,
  orderDocument,
  orderExit,
  orderText,
  retrievalDocument,
} from './retrieve-follow.ts';
import { count, counted, instant } from './words.ts';

export function listCommand(): Command {
  return newCommand('list', {
    description: 'List orders and their retrievals, oldest first, after asking the vaults how the open ones stand.',
    examples: [
      ['moraine retrieve list', 'open ones'],
      ['moraine retrieve list --all', 'ended ones too'],
    ],
  })
    .summary('what was asked for, and when it is there')
    .option('--all', 'ended ones too')
    .action(
      acting<{ readonly all?: true }>(async (session, _args, { all }) => {
        const app = await session.openApp();
        const context = session.contextOf(app);
        const live = await refreshRetrievals(context);
        const retrievals = all ? await allRetrievals(context) : live.filter(isLiveRetrieval);
        const orders = await listedOrders(context, all === true);
        const listed = { orders: orders.map(orderDocument), retrievals: retrievals.map(retrievalDocument) };
        session.output.result(listed, () => [
          ...(orders.length === 0 ? [] : [ordersTable(orders)]),
          retrievals.length === 0 ? 'No retrieval is open.' : retrievalsTable(retrievals),
        ]);
        return EXIT.done;
      }),
    );
}

export function showCommand(): Command {
  return newCommand('show', {
    description: 'Show one order: who asked, why and for how much, and how each of its retrievals stands.',
    examples: [['moraine retrieve show 20261122-5f6a7b8c9d', '']],
  })
    .summary('one order')
    .argument('<order>', 'its id, as `retrieve list` shows it')
    .action(
      acting(async (session, [order = '']) => {
        const app = await session.openApp();
        const context = session.contextOf(app);
        await showOrder(session, context, await outcomeOf(context, order));
        return EXIT.done;
      }),
    );
}

export function followCommand(): Command {
  return newCommand('follow', {
    description: [
      'Go on with an order here, without a daemon, until all of it is there: also after a command that was cut. Only one',
      'process follows an order at a time; another one looks on and takes over.',
    ].join('\n'),
    examples: [['moraine retrieve follow 20261122-5f6a7b8c9d', 'until all of it can be restored']],
  })
    .summary('go on with an order until it is there')
    .argument('<order>', 'its id, as `retrieve list` shows it')
    .action(
      acting(async (session, [order = '']) => {
        const app = await session.openApp();
        const context = session.contextOf(app);
        const outcome = await followHere(session, context, order, true);
        await showOrder(session, context, outcome);
        return orderExit(outcome);
      }),
    );
}

async function showOrder(session: Session, context: Context, outcome: OrderOutcome): Promise<void> {
  const retrievals = await retrievalsOf(context, outcome.order._id);
  const { by, reason, approval, owners, placedAt } = outcome.order;
  const asked = owners.map(({ owner, administrator }) => `${administrator} of ${owner}`).join(', ');
  const why = `${reason === null ? '' : `: ${reason}`}${approval === null ? '' : `; approved (${approval})`}`;
  session.output.result({ ...orderDocument(outcome), retrievals: retrievals.map(retrievalDocument) }, () => [
    ...orderText(outcome),
    `  Asked ${instant(placedAt)} by ${by} as ${asked}${why}.`,
    ...(retrievals.length === 0 ? [] : [retrievalsTable(retrievals)]),
  ]);
}

export function cancelCommand(): Command {
  return newCommand('cancel', {
    description: [
      'Give an order, or one retrieval, up: nothing more is asked for, what was fetched is removed, and its archives are',
      'purged when they are due. What the vault was asked for is paid for all the same.',
    ].join('\n'),
    examples: [
      ['moraine retrieve cancel 20261122-5f6a7b8c9d', 'an order'],
      ['moraine retrieve cancel 20261122-5f6a7b8c9d-0011223344556677', 'one retrieval'],
    ],
  })
    .summary('give one up')
    .argument('<id>', 'of an order or a retrieval, as `retrieve list` shows it')
    .action(
      acting(async (session, [named = '']) => {
        const app = await session.openApp();
        const context = session.contextOf(app);
        if (await isOrder(context, named)) {
          const cancelled = await cancelOrder(context, named, `given up by ${session.actor}`);
          const outcome = await outcomeOf(context, named);
          session.output.result(orderDocument(outcome), () => [
            `✓ Order ${named} is ${outcome.order.state}; ${counted(cancelled, 'retrieval')} of it given up.`,
          ]);
          return EXIT.done;
        }
        const { archive } = await getRetrieval(app.store, named);
        const subject = { archive, retrieval: named };
        await context.audit.append([{ act: 'archive retrieve', phase: 'intent', subject, details: { cancel: true } }]);
        const retrieval = await cancelRetrieval(context, named);
        session.output.result(retrievalDocument(retrieval), () => [
          `✓ Retrieval ${retrieval._id} of archive ${archive} is cancelled.`,
        ]);
        return EXIT.done;
      }),
    );
}

async function isOrder(context: Context, id: string): Promise<boolean> {
  try {
    await getOrder(context.store, id);
    return true;
  } catch (error) {
    if (isMoraineError(error, 'RETRIEVAL_ORDER_UNKNOWN')) return false;
    throw error;
  }
}

async function outcomeOf(context: Context, order: string): Promise<OrderOutcome> {
  return {
    order: await getOrder(context.store, order),
    counts: await orderCounts(context.store, order),
    obstacle: null,
  };
}

async function listedOrders(context: Context, isAll: boolean): Promise<readonly OrderOutcome[]> {
  const listed: OrderOutcome[] = [];
  const filter = isAll ? {} : { state: { $in: ['placing', 'open'] } };
  for await (const { _id } of findOrders(context.store, filter)) {
    // One whose last archive was read since the daemon looked.
    const { state } = await closeOrder(context, _id);
    if (isAll || state !== 'done') listed.push(await outcomeOf(context, _id));
  }
  return listed;
}

async function allRetrievals(context: Context): Promise<readonly RetrievalDocument[]> {
  const found: RetrievalDocument[] = [];
  for await (const retrieval of findRetrievals(context.store)) found.push(retrieval);
  return found;
}

async function retrievalsOf(context: Context, order: string): Promise<readonly RetrievalDocument[]> {
  const found: RetrievalDocument[] = [];
  for await (const retrieval of findRetrievals(context.store, { order })) found.push(retrieval);
  return found;
}

function ordersTable(orders: readonly OrderOutcome[]): string {
  return table(
    ['order', 'state', 'tier', 'archives', 'to ask', 'requested', 'ready', 'fetched', 'read', 'lost', 'asked by'],
    orders.map(({ order, counts }) => [
      order._id,
      order.state,
      order.tier,
      count(order.archives),
      count(counts.wanted + counts.asking),
      count(counts.requested),
      count(counts.ready),
      count(counts.fetched),
      count(counts.read),
      count(counts.expired + counts.failed),
      order.by,
    ]),
  );
}

function retrievalsTable(retrievals: readonly RetrievalDocument[]): string {
  return table(
    ['retrieval', 'archive', 'state', 'tier', 'asked', 'expected', 'readable until'],
    retrievals.map((each) => [
      each._id,
      each.archive,
      each.failure === undefined ? each.state : `${each.state}: ${each.failure}`,
      each.tier,
      instant(each.requestedAt),
      instant(each.expectedAt),
      instant(each.keepUntil ?? each.expiresAt),
    ]),
  );
}
