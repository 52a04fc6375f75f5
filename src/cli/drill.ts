/** `moraine drill`: archives chosen at random, restored into a scratch database and compared. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { openSource } from '../app.ts';
import { MoraineError } from '../errors.ts';
import type { OwnerId } from '../ids.ts';
import { unwrapArchiveKey } from '../keys/administrator.ts';
import { cancelDrill, type DrillDocument, findDrills, getDrill, isUnfinished } from '../ledger/drills.ts';
import { isApprovalRequired, requireApproval } from '../lifecycle/approval.ts';
import { Asker } from '../lifecycle/asker.ts';
import type { Context } from '../lifecycle/context.ts';
import { askForDrill, continueDrill, drillCost, releaseDrill } from '../lifecycle/drill.ts';
import { lookAtDrills } from '../lifecycle/drill-due.ts';
import { chooseDrills } from '../lifecycle/drill-sample.ts';
import type { OpenKey } from '../lifecycle/export-customer.ts';
import { scratchName } from '../source/scratch.ts';
import type { Tier } from '../vault/port.ts';
import { acting, EXIT, newCommand, type Session } from './command.ts';
import { confirm } from './confirm.ts';
import { designatedAdministrators } from './designated.ts';
import { drillLines, drillTable, drillView } from './drill-text.ts';
import { waitForNextLook } from './follow.ts';
import { IDENTITY_OPTION, PASSPHRASE_OPTION, readIdentity } from './identity.ts';
import { KMS_OPTION, type OpenerOptions, readOpener } from './opener.ts';
import { assertNoProductionLedger, assertPlaceAllowed } from './restore-environment.ts';
import { parseDollars } from './selection-options.ts';
import { counted, size, wait } from './words.ts';

const TIERS = ['expedited', 'standard', 'bulk'] as const satisfies readonly Tier[];
const HOUR_MS = 3_600_000;

interface DrillOptions extends OpenerOptions {
  readonly owner?: string;
  readonly archives: number;
  readonly share: number;
  readonly tier: Tier;
  readonly maxCost?: number;
  readonly overdue?: true;
  readonly into?: string;
  readonly wait?: true;
}

export function drillCommand(): Command {
  return newCommand('drill', {
    description: [
      'Try that archives come back: of each vault some are chosen at random and written down, asked for, opened with your',
      'identity, restored into a scratch database, compared hash by hash with what the ledger says, and the database is',
      'dropped. Vaults take hours: run it again and it goes on with the same sample.',
    ].join('\n'),
    examples: [
      [
        'moraine drill --identity alice.key',
        'one archive of each vault; asks what it may cost, then waits for no vault',
      ],
      ['moraine drill --identity alice.key --overdue --yes', 'only vaults without a recent one'],
      [
        'moraine drill --identity alice.key --owner acme --share 0.01 --max-cost 5 --wait',
        'one in a hundred, until all is compared',
      ],
      ['moraine drill list', 'what was found'],
    ],
  })
    .option(...IDENTITY_OPTION)
    .option(...PASSPHRASE_OPTION)
    .option(...KMS_OPTION)
    .option('--owner <owner>', 'only vaults of this owner')
    .option('--archives <count>', 'archives of each vault', parseCount, 1)
    .option('--share <share>', 'of the archives of each vault, where that is more, from 0 to 1', parseShare, 0)
    .addOption(new Option('--tier <tier>', 'how fast').choices(TIERS).default('bulk'))
    .option('--max-cost <dollars>', 'refuse what would cost more by the list prices', parseDollars)
    .option('--overdue', 'only vaults without a recent successful drill')
    .option('--into <url>', 'the MongoDB server of the scratch database (default: mongodb.url)')
    .option('--wait', 'wait until all is compared')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(cancelCommand())
    .action(
      acting<DrillOptions>(async (session, _args, options) => {
        const { openerOf, asker } = await readParts(session, options);
        const app = await session.openApp();
        const context = session.contextOf(app);
        const by = session.actor;
        const owners = ownersOf(session, options.owner, asker);
        const wish = { ...options, overdueOnly: options.overdue === true, by };
        const chosen = await chooseDrills(context, owners, wish);
        await askAboutCost(session, context, chosen, options.maxCost);
        for (const { _id } of chosen) await askForDrill(context, _id);
        const scratch = await openScratch(session, options.into ?? session.config.mongodb.url);
        const goOn = async ({ _id, owner }: DrillDocument) => {
          const open: OpenKey = openerOf(owner);
          return await continueDrill(context, _id, open, scratch(_id));
        };
        let done: Awaited<ReturnType<typeof goOn>>[] = [];
        for (let look = 0; ; look++) {
          done = [];
          for (const drill of chosen) done.push(await goOn(drill));
          if (!options.wait || done.every(({ waiting }) => waiting.length === 0)) break;
          await waitForNextLook(context, look);
        }
        await lookAtDrills(context, true);
        const drills = done.map(({ drill }) => drill);
        session.output.result({ drills: done.map(({ drill, waiting }) => ({ ...drillView(drill), waiting })) }, () => [
          ...(done.length === 0 ? ['No vault needs a drill.'] : []),
          ...done.flatMap(({ drill, waiting }) => [...drillLines(drill), ...waiting.map((text) => `  ${text}`)]),
        ]);
        return drills.some(({ state }) => state === 'failed') ? EXIT.person : EXIT.done;
      }),
    );
}

/** What opens archives, and who asks for them. */
async function readParts(session: Session, options: DrillOptions) {
  const { config, actor } = session;
  const administratorsOf = (owner: OwnerId) => config.owners.get(owner) ?? [];
  if (options.kms === true || options.identity === undefined) {
    return {
      openerOf: await readOpener(session, options),
      asker: Asker.of(actor, null, designatedAdministrators(config)),
    };
  }
  const identity = await readIdentity(session, { ...options, identity: options.identity });
  const openerOf = (owner: OwnerId): OpenKey => {
    return (wrapped) => unwrapArchiveKey(wrapped, identity, administratorsOf(owner));
  };
  return { openerOf, asker: Asker.of(actor, identity, designatedAdministrators(config)) };
}

/** Those whose designated administrator asks. Throws RETRIEVAL_NOT_ALLOWED where that is none, or not of the one that was named. */
function ownersOf(session: Session, owner: string | undefined, asker: Asker): readonly OwnerId[] {
  const known = [...session.config.owners.keys()];
  const named = owner === undefined ? known : known.filter((each) => each === owner);
  if (named.length === 0) throw new MoraineError('USAGE', `moraine.yaml has no owner ${owner ?? ''}.`);
  const refusals: unknown[] = [];
  const allowed = named.filter((each) => {
    try {
      asker.administratorOf(each);
      return true;
    } catch (error) {
      refusals.push(error);
      return false;
    }
  });
  if (allowed.length === 0) throw refusals[0];
  return allowed;
}

/** Throws RETRIEVAL_OVER_LIMIT and CONFIRMATION_NEEDED; what was chosen stays chosen. */
async function askAboutCost(
  session: Session,
  context: Context,
  chosen: readonly DrillDocument[],
  maxCost: number | undefined,
): Promise<void> {
  const { archives, bytes, dollars, hours } = await drillCost(context, chosen);
  if (archives === 0) return;
  const cost = `about $${dollars.toFixed(4)}`;
  if (maxCost !== undefined && dollars > maxCost) {
    throw new MoraineError(
      'RETRIEVAL_OVER_LIMIT',
      `The drill would cost ${cost} by the list prices, more than $${maxCost}.`,
      {
        changed: 'Nothing was asked of a vault; what was chosen stays chosen.',
        hint: 'Allow more with --max-cost, or name one owner with --owner.',
      },
    );
  }
  session.output.say(
    `${counted(archives, 'archive')} of ${counted(chosen.length, 'vault')}, ${size(bytes)}: ${cost}, within ${wait(hours * HOUR_MS)}.`,
  );
  await confirm(session, `Retrieve ${counted(archives, 'archive')} for a drill?`);
  if (!isApprovalRequired(context, 'retrieve')) return;
  const open = chosen.filter(({ state }) => state === 'chosen');
  const drills = open.map(({ _id }) => _id).join(', ');
  const shown = open.map(({ _id, tier, sample }) => ({
    drill: _id,
    tier,
    archives: sample.map(({ archive }) => archive),
  }));
  // The sample is in the ledger: when it is granted, the same command goes on with it.
  if (open.length > 0) {
    const request = { kind: 'retrieve', subject: { drill: drills }, shown, spendFor: `drill ${drills}` } as const;
    await requireApproval(context, request, session.actor);
  }
}

async function openScratch(session: Session, url: string) {
  assertPlaceAllowed(session.config, url);
  const { source, productionLedgers, dropScratch, close } = await openSource(url, session.config);
  session.atEnd(close);
  if (session.config.environment === 'non-production') assertNoProductionLedger(await productionLedgers());
  return (drill: string) => {
    const database = scratchName(drill);
    return { into: source, database, drop: () => dropScratch(database) };
  };
}

function listCommand(): Command {
  return newCommand('list', {
    description: 'List drills, newest first, and say which vaults had none in time.',
    examples: [['moraine drill list', '']],
  })
    .summary('what was tried, and what was found')
    .action(
      acting(async (session) => {
        const app = await session.openApp();
        await lookAtDrills(session.contextOf(app), true);
        const drills: DrillDocument[] = [];
        for await (const drill of findDrills(app.store)) drills.push(drill);
        session.output.result(drills.map(drillView), () => [drillTable(drills)]);
        return EXIT.done;
      }),
    );
}

function showCommand(): Command {
  return newCommand('show', {
    description: 'Show a drill: what was chosen, from how many, and what came of each archive.',
    examples: [['moraine drill show d0a1b2c3d4e5fn1', '']],
  })
    .summary('one of them')
    .argument('<drill>', 'its id')
    .action(
      acting(async (session, [id = '']) => {
        const app = await session.openApp();
        const drill = await getDrill(app.store, id);
        session.output.result(drillView(drill), () => drillLines(drill));
        return EXIT.done;
      }),
    );
}

function cancelCommand(): Command {
  return newCommand('cancel', {
    description: 'Give a drill up: it counts for nothing, and what it asked for keeps no archive from its purge.',
    examples: [['moraine drill cancel d0a1b2c3d4e5fn1 --reason "the vault is being emptied"', '']],
  })
    .summary('give one up')
    .argument('<drill>', 'its id')
    .requiredOption('--reason <text>', 'why, for the audit chain')
    .action(
      acting<{ readonly reason: string }>(async (session, [id = ''], { reason }) => {
        const app = await session.openApp();
        const context = session.contextOf(app);
        const before = await getDrill(app.store, id);
        if (!isUnfinished(before)) throw new MoraineError('USAGE', `Drill ${id} is ${before.state}.`);
        const { owner, customer, location } = before;
        const subject = { drill: id, owner, customer, vault: location.name };
        await context.audit.append([{ act: 'drill cancelled', phase: 'intent', subject, details: { reason } }]);
        const drill = await cancelDrill(app.store, context.clock, id, reason);
        await releaseDrill(context, drill);
        await context.audit.append([{ act: 'drill cancelled', phase: 'outcome', subject, details: {} }]);
        session.output.result(drillView(drill), () => [`✓ Drill ${id} is cancelled.`]);
        return EXIT.done;
      }),
    );
}

function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count >= 1 && count <= 1_000) return count;
  throw new InvalidArgumentError('A whole number from 1 to 1000 is expected.');
}

function parseShare(text: string): number {
  const share = Number(text);
  if (text.trim() !== '' && share >= 0 && share <= 1) return share;
  throw new InvalidArgumentError('A share from 0 to 1 is expected.');
}
