/** `moraine migrate`: archives from one vault to another. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { MoraineError } from '../errors.ts';
import { id } from '../ids.ts';
import { countMigrations, findMigrations, MIGRATION_STATES, type MigrationDocument } from '../ledger/migrations.ts';
import type { Filter } from '../ledger/store.ts';
import type { Context } from '../lifecycle/context.ts';
import {
  carryOnMigrations,
  type MigrationPlan,
  type MigrationProgress,
  type MigrationSelection,
  planMigration,
  wantMigrations,
} from '../lifecycle/migrate.ts';
import { carryOnOldCopies, oldCopiesRequest, orderOldCopiesGone } from '../lifecycle/migrate-delete.ts';
import type { Tier } from '../vault/port.ts';
import { countBar } from './bar.ts';
import { acting, EXIT, type ExitCode, newCommand, type Session } from './command.ts';
import { confirm } from './confirm.ts';
import { waitForNextLook } from './follow.ts';
import { table } from './output.ts';
import { parseDollars } from './selection-options.ts';
import { count, counted, instant, size } from './words.ts';

const TIERS = ['expedited', 'standard', 'bulk'] as const satisfies readonly Tier[];
/** Gentle on the old vault's retrieval limits; a thousand archives still go in a few days of bulk retrievals. */
const DEFAULT_THROTTLE = 25;
const SHOWN = 50;

interface PartyOptions {
  readonly owner?: string;
  readonly customer?: string;
}

interface PlaceOptions extends PartyOptions {
  readonly from?: string;
  readonly to?: string;
}

interface MigrateOptions extends PlaceOptions {
  readonly limit?: number;
  readonly throttle: number;
  readonly tier: Tier;
  readonly maxCost?: number;
  readonly wait?: true;
}

export function migrateCommand(): Command {
  return withPlaces(
    newCommand('migrate', {
      description: [
        'Move archives from one vault to another, byte for byte and under the keys that they have; no identity is needed.',
        'Says first what the retrievals cost by the list prices. The daemon goes on with it, or this command does, with',
        '--wait to the end; run again, it goes on where it was. Old copies stay until `migrate delete-old`, which takes the',
        'approval of another person, or until their archive is purged. What is due for purge within 30 days stays.',
      ].join('\n'),
      examples: [
        ['moraine migrate --from cold --to deep', 'all that lies in vault cold'],
        ['moraine migrate --from cold --to deep --owner acme --limit 100 --max-cost 20', 'some of it'],
        ['moraine migrate status', 'how far it is'],
        ['moraine migrate delete-old --from cold --to deep', 'ask for the approval, then delete'],
      ],
    }),
  )
    .option('--limit <archives>', 'at most so many', parseCount)
    .option('--throttle <archives>', 'on their way at once', parseCount, DEFAULT_THROTTLE)
    .addOption(new Option('--tier <tier>', 'how the old vault retrieves them').choices(TIERS).default('bulk'))
    .option('--max-cost <dollars>', 'refuse what would cost more by the list prices', parseDollars)
    .option('--wait', 'until all of it is moved, without a daemon')
    .addCommand(statusCommand())
    .addCommand(deleteOldCommand())
    .action(
      acting<MigrateOptions>(async (session, _args, options) => {
        const selection = selectionOf(options);
        const app = await session.openApp();
        const context = session.contextOf(app);
        const plan = await planMigration(context, selection);
        if (plan.archives > 0) {
          session.output.say(planText(plan, selection));
          assertAffordable(plan, options.maxCost);
          await confirm(session, `Move ${counted(plan.archives, 'archive')}?`);
        }
        const { throttle } = options;
        const written = await wantMigrations(context, selection, { by: session.actor, throttle });
        const subject = { from: selection.from, to: selection.to };
        const details = { archives: written, throttle, tier: selection.tier, dollars: plan.dollars };
        await context.audit.append([{ act: 'migrate', phase: 'outcome', subject, details }]);
        const filter = filterOf(options);
        const progress = await follow(session, context, filter, options.wait === true);
        const states = await countStates(context, filter);
        session.output.result(
          { plan, started: written, moved: progress.moved, states, problems: progress.problems },
          () => [...(plan.archives === 0 ? [nothingText(plan)] : []), ...statesText(states), ...problemLines(progress)],
        );
        return exitOf(progress);
      }),
    );
}

function statusCommand(): Command {
  return withPlaces(
    newCommand('status', {
      description: 'How far the moves are: by state, what is on its way and until when, and what does not go on.',
      examples: [['moraine migrate status', '']],
    }),
  ).action(
    acting<PlaceOptions>(async (session, _args, options) => {
      const { store } = session.contextOf(await session.openApp());
      const filter = filterOf(options);
      const shown: MigrationDocument[] = [];
      const open = { ...filter, state: { $in: ['retrieving', 'copying', 'copied', 'deleting'] } };
      for await (const one of findMigrations(store, open, { sort: { _id: 1 }, limit: SHOWN })) shown.push(one);
      const states = await countStates({ store }, filter);
      const documents = shown.map(({ archive, owner, customer, state, from, to, bytes, expectedAt, problem }) => {
        return { archive, owner, customer, state, from: from.name, to: to.name, bytes, expectedAt, problem };
      });
      session.output.result({ states, open: documents }, () => [
        ...statesText(states),
        ...(shown.length === 0
          ? []
          : table(
              ['archive', 'state', 'from', 'to', 'size', 'expected', ''],
              shown.map(({ archive, state, from, to, bytes, expectedAt, problem }) => [
                ...[archive, state, from.key, to.key, size(bytes), instant(expectedAt), problem?.text ?? ''],
              ]),
            ).split('\n')),
      ]);
      return EXIT.done;
    }),
  );
}

function deleteOldCommand(): Command {
  return withPlaces(
    newCommand('delete-old', {
      description: [
        'Delete the old copies of archives that were moved, at most 1,000 at a time. Always takes the approval of another',
        'person, for exactly these copies (exit code 3: it waits). Holds, pauses and open retrievals stop it. An inventory of',
        'the old vault proves that they are gone (`reconcile`).',
      ].join('\n'),
      examples: [
        ['moraine migrate delete-old --from cold --to deep', 'asks for the approval; run it again when granted'],
      ],
    }),
  )
    .summary('delete the copies that the old vault still has, by approval')
    .action(
      acting<PlaceOptions>(async (session, _args, options) => {
        const context = session.contextOf(await session.openApp());
        const filter = filterOf(options);
        const request = await oldCopiesRequest(context, filter);
        if (request !== null)
          await confirm(session, `Delete ${counted(request.items?.length ?? 0, 'old copy', 'old copies')}?`);
        const ordered = await orderOldCopiesGone(context, filter, session.actor);
        const { deleted, waiting, problems } = await carryOnOldCopies(context, filter);
        session.output.result({ ordered, deleted, waiting, problems }, () => [
          `✓ The old vault accepted the delete of ${counted(deleted, 'old copy', 'old copies')}; its next inventory proves it.`,
          ...(waiting > 0 ? [`! ${count(waiting)} wait: held, paused, being read, or their vault is away.`] : []),
          ...problems.map(({ archive, code, text }) => `✗ ${archive}: ${code}: ${text}`),
        ]);
        return problems.length > 0 ? EXIT.person : EXIT.done;
      }),
    );
}

function withPlaces(command: Command): Command {
  return command
    .option('--from <vault>', 'the vault of moraine.yaml that they are in')
    .option('--to <vault>', 'the one that they go to, of backend s3')
    .option('--owner <owner>', 'archives of one owner')
    .option('--customer <customer>', 'archives of one customer');
}

function selectionOf({ from, to, owner, customer, limit, tier }: MigrateOptions): MigrationSelection {
  if (from === undefined || to === undefined) throw new MoraineError('USAGE', 'Pass --from VAULT and --to VAULT.');
  return {
    from: id.vaultKey(from),
    to: id.vaultKey(to),
    ...(owner === undefined ? {} : { owner: id.owner(owner) }),
    ...(customer === undefined ? {} : { customer: id.customer(customer) }),
    limit: limit ?? null,
    tier,
  };
}

function filterOf({ from, to, owner, customer }: PlaceOptions): Filter {
  return {
    ...(from === undefined ? {} : { 'from.key': from }),
    ...(to === undefined ? {} : { 'to.key': to }),
    ...(owner === undefined ? {} : { owner }),
    ...(customer === undefined ? {} : { customer }),
  };
}

function assertAffordable({ dollars }: MigrationPlan, maxCost: number | undefined): void {
  if (maxCost === undefined || dollars <= maxCost) return;
  throw new MoraineError('USAGE', `It would cost about ${dollarsOf(dollars)}; --max-cost is ${dollarsOf(maxCost)}.`, {
    changed: 'Nothing was changed.',
    hint: 'Pass --limit for a part of it, --tier bulk, or a higher --max-cost.',
  });
}

/** Once, or until nothing is on its way any more. */
async function follow(
  session: Session,
  context: Context,
  filter: Filter,
  isToEnd: boolean,
): Promise<MigrationProgress> {
  const all = await countMigrations(context.store, {
    ...filter,
    state: { $in: ['wanted', 'retrieving', 'copying', 'copied'] },
  });
  const bar = countBar(session, 'migrate', 'archives', isToEnd ? all : 0);
  let moved = 0;
  try {
    for (let look = 0; ; look++) {
      const progress = await carryOnMigrations(context, filter);
      moved += progress.moved;
      bar.at(moved);
      if (!isToEnd || progress.waiting === 0 || progress.problems.length > 0) return { ...progress, moved };
      await waitForNextLook(context, look);
    }
  } finally {
    bar.end();
  }
}

async function countStates(
  { store }: Pick<Context, 'store'>,
  filter: Filter,
): Promise<Readonly<Record<string, number>>> {
  const states: Record<string, number> = {};
  for (const state of MIGRATION_STATES) {
    const number = await countMigrations(store, { ...filter, state });
    if (number > 0) states[state] = number;
  }
  return states;
}

function planText(
  { archives, bytes, dollars, hours, priceSource, ...left }: MigrationPlan,
  { from, to, tier }: MigrationSelection,
) {
  const rest = [
    left.dueSoon > 0 ? `${count(left.dueSoon)} are due for purge soon and stay` : '',
    left.notReady > 0 ? `${count(left.notReady)} are not cleared yet` : '',
    left.underWay > 0 ? `${count(left.underWay)} are under way` : '',
  ].filter((text) => text !== '');
  return [
    `${counted(archives, 'archive')}, ${size(bytes)}, from ${from} to ${to}: about ${dollarsOf(dollars)} for ${tier} retrievals (${priceSource}), each within ${count(hours)} hours. Storing them in ${to} is billed by its own prices.`,
    ...(rest.length === 0 ? [] : [`${rest.join('; ')}.`]),
  ].join('\n');
}

function nothingText({ dueSoon, notReady, underWay }: MigrationPlan): string {
  return `Nothing more to move: ${count(dueSoon)} due for purge soon, ${count(notReady)} not cleared, ${count(underWay)} under way or moved.`;
}

const STATE_WORDS: Readonly<Record<MigrationDocument['state'], string>> = {
  wanted: 'wait for their turn',
  retrieving: 'are being retrieved from the old vault',
  copying: 'are being copied',
  copied: 'are copied and wait to be verified or read to their end',
  moved: 'are moved; their old copies are still there',
  deleting: 'have an old copy that is being deleted',
  gone: 'are moved, and their old copies are proven gone',
  ended: 'were given up',
};

function statesText(states: Readonly<Record<string, number>>): readonly string[] {
  const known = MIGRATION_STATES.filter((state) => states[state] !== undefined);
  if (known.length === 0) return ['Nothing is being moved.'];
  return known.map((state) => `${count(states[state] ?? 0).padStart(9)} ${STATE_WORDS[state]}`);
}

function problemLines({ problems }: MigrationProgress): readonly string[] {
  return problems.map(({ archive, code, text }) => `✗ ${archive}: ${code}: ${text}`);
}

function exitOf({ problems }: MigrationProgress): ExitCode {
  return problems.length > 0 ? EXIT.failed : EXIT.done;
}

function dollarsOf(dollars: number): string {
  return `$${dollars.toFixed(2)}`;
}

function parseCount(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('a whole number from 1 up');
  return value;
}
