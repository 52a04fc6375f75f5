/** `moraine retrieve`: ask the vaults to make archives, or parts of them, readable. */
import { type Command, Option } from 'commander';
import { MoraineError } from '../errors.ts';
import { findRetrievals } from '../ledger/retrievals.ts';
import { Asker } from '../lifecycle/asker.ts';
import { chooseTier, dollarsText, offerText, type TierOffer, type TierWish } from '../lifecycle/choose-tier.ts';
import type { Context } from '../lifecycle/context.ts';
import { placeOrder } from '../lifecycle/place-order.ts';
import { assertFound, type OrderPlan, planOrder } from '../lifecycle/plan-order.ts';
import { refreshRetrieval } from '../lifecycle/retrieve.ts';
import type { Tier } from '../vault/port.ts';
import { acting, EXIT, newCommand, type Session } from './command.ts';
import { confirm } from './confirm.ts';
import { designatedAdministrators } from './designated.ts';
import { type IdentityOptions, PASSPHRASE_OPTION, readIdentity } from './identity.ts';
import { followHere, orderDocument, orderExit, orderText, retrievalDocument } from './retrieve-follow.ts';
import { cancelCommand, followCommand, listCommand, showCommand } from './retrieve-orders.ts';
import {
  isNarrowed,
  parseDollars,
  parseHours,
  type SelectionOptions,
  selectionOf,
  withSelection,
} from './selection-options.ts';
import { count, counted, size, wait } from './words.ts';

const TIERS = ['expedited', 'standard', 'bulk'] as const satisfies readonly Tier[];
const HOUR_MS = 3_600_000;

interface RetrieveOptions extends SelectionOptions, Partial<IdentityOptions> {
  readonly tier?: Tier;
  readonly deadline?: number;
  readonly maxCost?: number;
  readonly reason?: string;
  readonly wait?: true;
}

export function retrieveCommand(): Command {
  const command = newCommand('retrieve', {
    description: [
      'Ask the vaults to make archives readable, after saying what it costs and how long it takes. Only a designated',
      'administrator of their owner may: by an identity, or under the account that moraine.yaml names. Archives are named',
      'by id, in a file, or selected as `moraine find` does; of a single record only the part of its archive that holds it',
      'is asked for, where that is enough. What is asked for at once is an order: the daemon follows it, or --wait does.',
      'While a retrieval is open its archive is not purged. When it is ready, `moraine restore` reads it.',
    ].join('\n'),
    examples: [
      ['moraine retrieve 20261122-0a1b2c3d4e --identity alice.key', 'cost and time first; asks'],
      [
        'moraine retrieve --owner acme --customer globex --deadline 12h --max-cost 5.00',
        'the cheapest tier that will do',
      ],
      ['moraine retrieve support.chats 65f0c1d2e3f405162738495a --identity alice.key', 'one record'],
      ['moraine retrieve --file ids.txt --tier bulk --yes --wait', 'until all of it can be restored'],
      ['moraine retrieve list', 'what was asked for, and when it is there'],
    ],
  }).argument('[archive...]', 'ids of archives, or database.collection and _id of one record');
  return (
    withSelection(command)
      .option('--file <list>', 'a file with ids of archives, one a line')
      .addOption(
        new Option('--tier <tier>', 'how fast (default: standard, or what --deadline and --max-cost choose)').choices(
          TIERS,
        ),
      )
      .option(
        '--deadline <time>',
        'the cheapest tier that has it there within this time, such as 90m, 6h or 2d',
        parseHours,
      )
      .option('--max-cost <dollars>', 'refuse what would cost more by the list prices', parseDollars)
      .option('--identity <file>', "an administrator's identity: shows that you may ask")
      .option(...PASSPHRASE_OPTION)
      .option('--reason <text>', 'why, for the audit chain and for who approves')
      .option('--wait', 'wait until it is ready, without a daemon')
      // `show` has a --wait of its own: what stands behind the name of a subcommand is that one's.
      .enablePositionalOptions()
      .addCommand(listCommand())
      .addCommand(showCommand())
      .addCommand(followCommand())
      .addCommand(cancelCommand())
      .action(
        acting<RetrieveOptions>(async (session, args, options) => {
          const asker = await askerOf(session, options);
          const app = await session.openApp();
          const context = session.contextOf(app);
          const selection = await selectionOf(context, args, options);
          if (!isNarrowed(selection)) throw new MoraineError('USAGE', 'Name archives, a record, or what selects them.');
          const plan = await planOrder(context, selection, asker);
          assertFound(plan);
          if (plan.archives === 0) return await allOpen(session, context, plan);
          const offer = chooseTier(plan.offers, wishOf(options));
          sayPlan(session, plan, offer);
          await confirm(session, `Retrieve ${counted(plan.archives, 'archive')}?`);
          const terms = { offer, reason: options.reason ?? null, maxDollars: options.maxCost ?? null };
          const order = await placeOrder(context, selection, plan, terms, asker);
          const outcome = await followHere(session, context, order._id, options.wait === true);
          const only = plan.archives === 1 ? await theOnly(context, order._id) : null;
          const { open, unavailable, priceSource } = plan;
          const estimate = { tier: offer.tier, dollars: offer.dollars, hours: offer.hours, priceSource };
          session.output.result(
            { ...(only ?? {}), order: orderDocument(outcome), asked: true, alreadyOpen: open, unavailable, estimate },
            () => orderText(outcome),
          );
          return orderExit(outcome);
        }),
      )
  );
}

async function askerOf(session: Session, { identity, ...options }: Partial<IdentityOptions>): Promise<Asker> {
  const shown = identity === undefined ? null : await readIdentity(session, { identity, ...options });
  return Asker.of(session.actor, shown, designatedAdministrators(session.config));
}

/** A deadline or a cap chooses; without either it is the tier that was named, or standard. */
function wishOf({ tier, deadline, maxCost }: RetrieveOptions): TierWish {
  const chooses = deadline !== undefined || maxCost !== undefined;
  return { tier: tier ?? (chooses ? null : 'standard'), deadlineHours: deadline ?? null, maxDollars: maxCost ?? null };
}

function sayPlan(session: Session, plan: OrderPlan, offer: TierOffer): void {
  const { archives, parts, bytes, open, unavailable, priceSource, offers } = plan;
  const what = `${counted(archives, 'archive')}${parts === 0 ? '' : `, ${count(parts)} in part`}, ${size(bytes)}`;
  const others = offers.filter(({ tier }) => tier !== offer.tier).map(offerText);
  session.output.say(
    `${what} by ${offer.tier} retrieval: about ${dollarsText(offer.dollars)} (${priceSource}), within ${wait(offer.hours * HOUR_MS)}.`,
  );
  session.output.say(`  Otherwise: ${others.join('; ')}.`);
  if (open > 0) session.output.say(`  ${counted(open, 'archive')} left out: a retrieval is open already.`);
  if (unavailable > 0) session.output.say(`  ${counted(unavailable, 'archive')} left out: cannot be retrieved now.`);
}

async function allOpen(session: Session, context: Context, { openRetrievals, open }: OrderPlan) {
  const refreshed = [];
  for (const retrieval of openRetrievals) refreshed.push(await refreshRetrieval(context, retrieval));
  const documents = refreshed.map(retrievalDocument);
  const [only] = documents.length === 1 ? documents : [];
  session.output.result(
    { ...(only ?? {}), order: null, asked: false, alreadyOpen: open, retrievals: documents },
    () => [
      open === 1
        ? 'A retrieval of this archive was open already; nothing new was asked for.'
        : `Retrievals of all ${count(open)} archives were open already; nothing new was asked for.`,
      ...documents.map(({ id, archive, state }) => `  Retrieval ${id} of archive ${archive} is ${state}.`),
    ],
  );
  return EXIT.done;
}

async function theOnly(context: Context, order: string) {
  for await (const retrieval of findRetrievals(context.store, { order })) return retrievalDocument(retrieval);
  return null;
}
