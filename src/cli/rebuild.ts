/** `moraine rebuild`: a lost ledger made anew from the vaults, the key store and the policy files. */
import type { Command } from 'commander';
import { getRebuild } from '../ledger/rebuilds.ts';
import {
  accept,
  findInstallation,
  openRebuild,
  type RebuildReport,
  rebuild,
  weighAcceptance,
} from '../lifecycle/rebuild.ts';
import type { Tier } from '../vault/port.ts';
import { acting, EXIT, newCommand, type Session } from './command.ts';
import { confirm } from './confirm.ts';
import { waitForNextLook } from './follow.ts';
import { type IdentityOptions, PASSPHRASE_OPTION } from './identity.ts';
import { table } from './output.ts';
import { policiesOfFiles } from './policy-files.ts';
import { proveOptions, TIER_OPTION } from './prove-options.ts';
import { count, counted, instant } from './words.ts';

interface RebuildCommandOptions extends Partial<IdentityOptions> {
  readonly installation?: string;
  readonly tier: Tier;
  readonly wait?: true;
  readonly accept?: true;
}

export function rebuildCommand(): Command {
  return newCommand('rebuild', {
    description: [
      'Make a lost ledger anew, in an empty database, with the key store that was kept: archives from the inventories of',
      "the vaults, policies from the files that they name, and with an administrator's identity what each archive holds,",
      'read from the end of its file and compared with the source. It takes as long as inventories and retrievals do: run',
      'it again, or pass --wait. Nothing is cleared or purged until `rebuild --accept`: holds are not in the vaults, place',
      'them again before.',
    ].join('\n'),
    examples: [
      ['moraine rebuild', 'find the archives; what they hold is not shown yet'],
      ['moraine rebuild --identity alice.key --wait', 'and show what each holds'],
      ['moraine rebuild --accept', 'end the stop, when all is read and the holds are placed'],
    ],
  })
    .option('--identity <file>', "an administrator's identity")
    .option(...PASSPHRASE_OPTION)
    .addOption(TIER_OPTION())
    .option('--installation <id>', 'where the vaults belong to several')
    .option('--wait', 'wait for inventories and retrievals')
    .option('--accept', 'what was rebuilt is in order, and the holds that were in force are placed')
    .action(
      acting<RebuildCommandOptions>(async (session, _args, options) => {
        if (options.accept) return await acceptIt(session);
        const { environment } = session.config;
        const app = await session.openApp(async ({ store, clock, vaults }) => {
          const installation = await findInstallation(vaults.values(), options.installation ?? null, environment);
          await openRebuild({ store, clock }, { installation, environment, begunBy: session.actor });
        });
        const context = session.contextOf(app);
        const { identity, tier } = options;
        const prove = identity === undefined ? null : await proveOptions(session, app, { ...options, identity, tier });
        const policies = policiesOfFiles(session.config, []);
        const what = { policies, prove, by: session.actor };
        let report = await rebuild(context, what);
        for (let look = 0; options.wait && isWaiting(report); look++) {
          session.output.say('Waiting for inventories and retrievals.');
          await waitForNextLook(context, look);
          report = await rebuild(context, what);
        }
        const last = report;
        session.output.result({ installation: app.installation.id, ...last }, () => reportText(last));
        const hasFailed = last.failed.length > 0 || last.vaults.some(({ state }) => state === 'failed');
        if (hasFailed) return EXIT.failed;
        const needsPerson = last.unknownVersions.length > 0 || last.vaults.some(({ state }) => state === 'unreadable');
        return needsPerson ? EXIT.person : EXIT.done;
      }),
    );
}

async function acceptIt(session: Session): Promise<typeof EXIT.done> {
  const app = await session.openApp();
  const context = session.contextOf(app);
  const { state } = await getRebuild(app.store);
  const { due, unproven } = await weighAcceptance(context);
  if (state === 'running') {
    session.output.say(
      `${counted(due, 'archive')} are due for their purge now; ${count(unproven)} were not shown and stay in quarantine. Holds that are not placed again are in force no more.`,
    );
    await confirm(session, 'Accept the rebuilt ledger?');
  }
  await accept(context, session.actor);
  session.output.result({ accepted: true, due, unproven }, () => ['✓ The rebuilt ledger is in use.']);
  return EXIT.done;
}

function isWaiting({ vaults, retrieving }: RebuildReport): boolean {
  return retrieving > 0 || vaults.some(({ state }) => state === 'waiting');
}

function reportText(report: RebuildReport): readonly string[] {
  const { vaults, entries, published, unknownVersions, proven, retrieving, failed, unproven, isRead } = report;
  const strays = entries['without-key'] + entries['other-file'];
  const line = (isThere: boolean, text: string) => (isThere ? [text] : []);
  return [
    vaults.length === 0
      ? 'No vault of this installation was found.'
      : table(
          ['vault', 'inventory', ''],
          vaults.map(({ vault, state, until, text }) => [
            vault,
            state,
            text ?? (until === null ? '' : `expected by ${instant(until)}`),
          ]),
        ),
    ...line(entries.placed > 0, `✓ ${counted(entries.placed, 'archive')} found, and in the ledger.`),
    ...line(
      entries.unreadable > 0,
      `  ${count(entries.unreadable)} files whose keys are destroyed: reconcile removes them.`,
    ),
    ...line(strays > 0, `! ${count(strays)} files without a key, or beside their archive: \`moraine stray list\`.`),
    ...published.map(({ policy, version }) => `✓ Policy ${policy} is in force again (${version.slice(0, 12)}).`),
    ...unknownVersions.map(
      ({ version, archives }) =>
        `! ${counted(archives, 'archive')} name policy version ${version}, and no file is that: put it under \`policies\` and run it again.`,
    ),
    ...line(proven > 0, `✓ ${counted(proven, 'archive')} shown: manifest, index and source.`),
    ...line(retrieving > 0, `  ${count(retrieving)} retrievals are on their way; run it again then.`),
    ...failed.map(({ archive, text }) => `✗ ${archive}: ${text}`),
    ...line(
      unproven > retrieving + failed.length,
      `! ${count(unproven)} archives were not shown and stay in quarantine: \`moraine rebuild --identity FILE\`.`,
    ),
    isRead
      ? '  Everything was read. Place the holds that were in force, look at `moraine archives`, then `moraine rebuild --accept`.'
      : '  Not everything was read yet. Run it again.',
  ];
}
