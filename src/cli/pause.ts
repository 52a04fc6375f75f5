/** `moraine pause` and `moraine resume`: a person's brake on a policy, an owner or everything. */
import { type Command, Option } from 'commander';
import { MoraineError } from '../errors.ts';
import { findArchives } from '../ledger/archives.ts';
import {
  type PauseDocument,
  type PauseTarget,
  pauseName,
  pauses,
  pausesInForce,
  targetText,
} from '../ledger/pauses.ts';
import { assertReadable } from '../ledger/versions.ts';
import type { Context } from '../lifecycle/context.ts';
import { pause, resume, settlePausingIfFree } from '../lifecycle/pause.ts';
import { acting, EXIT, newCommand, type Session } from './command.ts';
import { confirm } from './confirm.ts';
import { table } from './output.ts';
import { readPolicyFiles, versionsInForce } from './policy-files.ts';
import { counted, instant } from './words.ts';

export function pauseCommand(): Command {
  const command = newCommand('pause', {
    description: [
      'Stop what Moraine does for a policy, an owner, or everything, until a person resumes it: nothing is planned, stored,',
      'cleared, expired or purged; what is under way stops where it next looks, and goes on from there afterwards. Looking,',
      'inventories, retrievals, restores, holds and certificates go on. Periods run on: what becomes overdue is reported.',
    ].join('\n'),
    examples: [
      ['moraine pause policy chats --reason "wrong period?"', 'one policy'],
      ['moraine pause owner acme --reason "contract dispute"', 'all records and archives of one owner'],
      ['moraine pause all --reason "storage incident"', 'everything, at once'],
      ['moraine pause list', 'what is paused, since when, by whom'],
    ],
  });
  for (const target of TARGETS) command.addCommand(pauseTarget(target));
  return command.addCommand(listCommand());
}

export function resumeCommand(): Command {
  const command = newCommand('resume', {
    description: [
      'Lift the pause of exactly this policy or owner, or the one of everything; other pauses stay. What waited goes on at',
      'the next run, or when the daemon next looks (within minutes).',
    ].join('\n'),
    examples: [
      ['moraine resume policy chats', ''],
      ['moraine resume all --reason "incident over"', ''],
    ],
  });
  for (const target of TARGETS) command.addCommand(resumeTarget(target));
  return command;
}

type What = PauseTarget['what'];
const TARGETS: readonly What[] = ['policy', 'owner', 'all'];

const WORDS: Readonly<Record<What, string>> = { policy: 'one policy', owner: 'one owner', all: 'everything' };
const EXAMPLES: Readonly<Record<What, string>> = { policy: 'policy chats', owner: 'owner acme', all: 'all' };

function targetCommand(what: What, verb: 'pause' | 'resume', words: readonly string[], example: string): Command {
  const command = newCommand(what, { description: words.join('\n'), examples: [[example, '']] });
  command.summary(`${verb} ${WORDS[what]}`);
  return what === 'all' ? command : command.argument('<name>', `name of the ${what}`);
}

function pauseTarget(what: What): Command {
  const words = [
    `Pause ${WORDS[what]}. The command ends when the pause is in force: it waits, seconds as a rule, for deletions that`,
    'began before. Purges for which the vault had been asked are listed as too late (exit code 3). One that is there',
    'already is found, and keeps its reason.',
  ];
  return targetCommand(what, 'pause', words, `moraine pause ${EXAMPLES[what]} --reason "look first"`)
    .requiredOption('--reason <text>', 'why')
    .action(
      acting<{ readonly reason: string }>(async (session, [name], { reason }) => {
        const target = targetOf(what, name);
        const because = { by: session.actor, reason: reason.trim() };
        if (because.reason === '') throw new MoraineError('USAGE', 'A pause has a reason.');
        const app = await session.openApp();
        const context = session.contextOf(app);
        await assertKnown(session, context, target);
        session.output.say('Pausing: acts that begin now are stopped; waiting for those that began before ...');
        const paused = await pause(context, target, because);
        session.output.result(pauseDocument(paused), () => [
          `✓ ${subjectText(target)} is paused: ${paused._id}, since ${instant(paused.pausedAt)}, because: ${paused.reason}`,
          ...paused.tooLate.map((archive) => `! Too late for archive ${archive}: its destruction had been asked for.`),
          `  \`moraine resume ${targetText(target)}\` ends it.`,
        ]);
        return paused.tooLate.length > 0 ? EXIT.person : EXIT.done;
      }),
    );
}

function resumeTarget(what: What): Command {
  const words = [`Lift the pause of ${what === 'all' ? 'everything' : `this ${what}`}.`];
  return targetCommand(what, 'resume', words, `moraine resume ${EXAMPLES[what]}`)
    .addOption(new Option('--reason <text>', 'why'))
    .action(
      acting<{ readonly reason?: string }>(async (session, [name], { reason }) => {
        const target = targetOf(what, name);
        const app = await session.openApp();
        const context = session.contextOf(app);
        if (!(await isPaused(context, target))) await assertKnown(session, context, target);
        else
          await confirm(
            session,
            `Resume ${target.name === null ? 'everything' : targetText(target)}? What is due is deleted and purged again.`,
          );
        const resumed = await resume(context, target, { by: session.actor, reason: reason?.trim() ?? null });
        const others = (await pausesInForce(context.store)).filter((other) => overlaps(other, target));
        session.output.result({ resumed: resumed.map(pauseDocument), stillPausedBy: others.map(pauseDocument) }, () => [
          resumed.length === 0
            ? `${subjectText(target)} was not paused.`
            : `✓ ${subjectText(target)} is resumed: ${resumed.map(({ _id }) => _id).join(', ')}.`,
          ...others.map((other) => `! ${pauseName(other)} is still in force: ${other.reason}`),
        ]);
        return EXIT.done;
      }),
    );
}

function targetOf(what: What, name: string | undefined): PauseTarget {
  return { what, name: what === 'all' ? null : (name ?? '') };
}

async function isPaused({ store }: Context, { what, name }: PauseTarget): Promise<boolean> {
  for await (const _ of pauses(store).find({ what, name, state: { $ne: 'resumed' } })) return true;
  return false;
}

/** May both stop the same work? */
function overlaps(one: PauseTarget, other: PauseTarget): boolean {
  return one.what !== other.what || one.name === other.name;
}

/** A brake on a slip of the pen would stop nothing, and nobody would notice. */
async function assertKnown(session: Session, context: Context, { what, name }: PauseTarget): Promise<void> {
  if (name === null) return;
  const isConfigured =
    what === 'policy'
      ? (await versionsInForce(context.store, context.asOf)).has(name) ||
        readPolicyFiles(session.config).loaded.some(({ policy }) => policy.name === name)
      : [...context.owners].some((owner) => owner === name);
  if (isConfigured) return;
  for await (const _ of findArchives(context.store, { [what]: name }, { limit: 1 })) return;
  if (what === 'policy') throw new MoraineError('POLICY_UNKNOWN', `There is no policy named ${name}.`);
  throw new MoraineError('USAGE', `There is no owner named ${name}, neither in moraine.yaml nor among the archives.`, {
    hint: 'Look at `owners` in moraine.yaml; to pause a policy, write `moraine pause policy <name>`.',
  });
}

function subjectText({ what, name }: PauseTarget): string {
  return what === 'all' ? 'Everything' : `${what === 'policy' ? 'Policy' : 'Owner'} ${name}`;
}

function listCommand(): Command {
  return newCommand('list', {
    description: 'List what is paused, oldest first. Takes on a pause whose placing was cut.',
    examples: [
      ['moraine pause list', ''],
      ['moraine pause list --all --json', 'resumed ones too'],
    ],
  })
    .summary('list pauses')
    .option('--all', 'resumed ones too')
    .action(
      acting<{ readonly all?: true }>(async (session, _args, { all }) => {
        const app = await session.openApp();
        const context = session.contextOf(app);
        const found: PauseDocument[] = [];
        const filter = all ? {} : { state: { $ne: 'resumed' } };
        for await (const each of pauses(app.store).find(filter, { sort: { askedAt: 1 } })) {
          assertReadable(each);
          found.push(await settlePausingIfFree(context, each));
        }
        session.output.result(found.map(pauseDocument), () =>
          found.length === 0
            ? ['Nothing is paused.']
            : [
                table(
                  ['paused', 'state', 'since', 'by', 'why', 'pause'],
                  found.map((each) => [
                    targetText(each),
                    each.tooLate.length === 0
                      ? each.state
                      : `${each.state}; too late for ${counted(each.tooLate.length, 'archive')}`,
                    instant(each.pausedAt ?? each.askedAt),
                    each.pausedBy,
                    each.reason,
                    each._id,
                  ]),
                ),
              ],
        );
        return EXIT.done;
      }),
    );
}

function pauseDocument(found: PauseDocument) {
  const { _id, what, name, state, reason, pausedBy, askedAt, pausedAt, tooLate } = found;
  const { resumedBy, resumedAt, resumeReason } = found;
  const end = { resumedBy, resumedAt, resumeReason };
  return { id: _id, what, name, state, reason, pausedBy, askedAt, pausedAt, tooLate, ...end };
}
