/** `moraine retrieve`: ask the vault to make an archive readable. */
import { type Command, Option } from 'commander';
import { id } from '../ids.ts';
import { getArchive } from '../ledger/archives.ts';
import { findRetrievals, getRetrieval, liveRetrievals, type RetrievalDocument } from '../ledger/retrievals.ts';
import type { Context } from '../lifecycle/context.ts';
import {
  cancelRetrieval,
  estimateRetrieval,
  refreshRetrieval,
  refreshRetrievals,
  requestRetrieval,
} from '../lifecycle/retrieve.ts';
import type { Tier } from '../vault/port.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { confirm } from './confirm.ts';
import { waitForNextLook } from './follow.ts';
import { table } from './output.ts';
import { instant, size, wait } from './words.ts';

const TIERS = ['expedited', 'standard', 'bulk'] as const satisfies readonly Tier[];
const HOUR_MS = 3_600_000;

interface RetrieveOptions {
  readonly tier: Tier;
  readonly wait?: true;
}

export function retrieveCommand(): Command {
  return newCommand('retrieve', {
    description: [
      'Ask the vault to make an archive readable, after saying what it costs and how long it takes. While a retrieval is',
      'open its archive is not purged. When it is ready, `moraine restore` reads it.',
    ].join('\n'),
    examples: [
      ['moraine retrieve 20261122-0a1b2c3d4e', 'cost and time first; asks'],
      ['moraine retrieve 20261122-0a1b2c3d4e --tier bulk --yes', 'the cheapest, without a question'],
      ['moraine retrieve 20261122-0a1b2c3d4e --wait', 'until it can be restored'],
      ['moraine retrieve list', 'what was asked for, and when it is there'],
    ],
  })
    .argument('<archive>', 'id of the archive')
    .addOption(new Option('--tier <tier>', 'how fast').choices(TIERS).default('standard'))
    .option('--wait', 'wait until it is ready')
    .addCommand(listCommand())
    .addCommand(cancelCommand())
    .action(
      acting<RetrieveOptions>(async (session, [archiveId = ''], options) => {
        const app = await session.openApp();
        const context = session.contextOf(app);
        const archive = await getArchive(app.store, id.archive(archiveId));
        const estimate = estimateRetrieval(context, archive, options.tier);
        const isOpen = (await liveRetrievals(app.store, archive._id)).length > 0;
        if (!isOpen) {
          session.output.say(
            `${size(archive.stored?.bytes ?? 0)} by ${estimate.tier} retrieval: about $${estimate.dollars.toFixed(4)} (${estimate.priceSource}), within ${wait(estimate.hours * HOUR_MS)}.`,
          );
          await confirm(session, `Retrieve archive ${archive._id}?`);
        }
        let retrieval = await requestRetrieval(context, archive._id, options.tier);
        for (let look = 0; options.wait && retrieval.state === 'requested'; look++) {
          await waitForNextLook(context, look);
          retrieval = await refreshRetrieval(context, retrieval);
        }
        session.output.result({ ...retrievalDocument(retrieval), estimate, asked: !isOpen }, () => [
          ...(isOpen ? ['A retrieval of this archive was open already; nothing new was asked for.'] : []),
          retrieval.state === 'ready'
            ? `✓ Retrieval ${retrieval._id} is ready${retrieval.expiresAt === null ? '' : ` until ${instant(retrieval.expiresAt)} by the vault's time`}: \`moraine restore ${archive._id} --identity FILE --out DIR\`.`
            : `✓ Retrieval ${retrieval._id} is ${retrieval.state}, expected ${retrieval.expectedAt === null ? `within ${wait(estimate.hours * HOUR_MS)}` : `by ${instant(retrieval.expectedAt)}`}.`,
        ]);
        return retrieval.state === 'expired' ? EXIT.failed : EXIT.done;
      }),
    );
}

function listCommand(): Command {
  return newCommand('list', {
    description: 'List retrievals, oldest first, after asking the vaults how the open ones stand.',
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
        const found = all ? await allRetrievals(context) : (await refreshRetrievals(context)).filter(isLive);
        session.output.result(found.map(retrievalDocument), () => [
          found.length === 0
            ? 'No retrieval is open.'
            : table(
                ['retrieval', 'archive', 'state', 'tier', 'asked', 'expected', 'readable until'],
                found.map((each) => [
                  each._id,
                  each.archive,
                  each.state,
                  each.tier,
                  instant(each.requestedAt),
                  instant(each.expectedAt),
                  instant(each.expiresAt),
                ]),
              ),
        ]);
        return EXIT.done;
      }),
    );
}

function cancelCommand(): Command {
  return newCommand('cancel', {
    description: [
      'Give a retrieval up: it no longer keeps its archive from being purged, and the archive can be retrieved anew. What',
      'the vault was asked for is paid for all the same.',
    ].join('\n'),
    examples: [['moraine retrieve cancel 20261122-5f6a7b8c9d', '']],
  })
    .summary('give one up')
    .argument('<retrieval>', 'its id, as `retrieve list` shows it')
    .action(
      acting(async (session, [retrievalId = '']) => {
        const app = await session.openApp();
        const context = session.contextOf(app);
        const { archive } = await getRetrieval(app.store, retrievalId);
        const subject = { archive, retrieval: retrievalId };
        await context.audit.append([{ act: 'archive retrieve', phase: 'intent', subject, details: { cancel: true } }]);
        const retrieval = await cancelRetrieval(context, retrievalId);
        await context.audit.append([
          { act: 'archive retrieve', phase: 'outcome', subject, details: { cancelled: true } },
        ]);
        session.output.result(retrievalDocument(retrieval), () => [
          `✓ Retrieval ${retrieval._id} of archive ${archive} is cancelled.`,
        ]);
        return EXIT.done;
      }),
    );
}

async function allRetrievals(context: Context): Promise<readonly RetrievalDocument[]> {
  await refreshRetrievals(context);
  const found: RetrievalDocument[] = [];
  for await (const retrieval of findRetrievals(context.store)) found.push(retrieval);
  return found;
}

function isLive({ state }: RetrievalDocument): boolean {
  return state === 'requested' || state === 'ready';
}

function retrievalDocument(retrieval: RetrievalDocument) {
  const { _id, archive, state, tier, requestedAt, expectedAt, readyAt, expiresAt } = retrieval;
  return { id: _id, archive, state, tier, requestedAt, expectedAt, readyAt, expiresAt };
}
