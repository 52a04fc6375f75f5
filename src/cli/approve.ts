/** `moraine approve list|show|grant|refuse`: what waits for a second person. */
import type { Command } from 'commander';
import { MoraineError } from '../errors.ts';
import { grantApproval, refuseApproval } from '../ledger/approval-decisions.ts';
import { type ApprovalDocument, isLive, stateText } from '../ledger/approval-document.ts';
import { approvals, getApproval } from '../ledger/approvals.ts';
import { getException } from '../ledger/exceptions.ts';
import { shownOf } from '../lifecycle/approval.ts';
import type { Context } from '../lifecycle/context.ts';
import { settleException } from '../lifecycle/exception.ts';
import { assertValuesKnown } from '../lifecycle/exception-values.ts';
import { acting, EXIT, newCommand, type Session } from './command.ts';
import { confirm } from './confirm.ts';
import { table } from './output.ts';
import { collectValues, namedValues } from './value-options.ts';
import { instant } from './words.ts';

export function approveCommand(): Command {
  return newCommand('approve', {
    description: [
      'What takes a second person waits here. A command that needs an approval asks for it, names its id and changes',
      'nothing else; after the grant the same command goes on. Who asked cannot grant. An approval is bound to the',
      'SHA-256 of exactly what `show` prints, and expires; a refusal is final for it.',
    ].join('\n'),
    examples: [
      ['moraine approve list', 'what waits'],
      ['moraine approve show ap-5f0c8a9b1d2e3f40-1', 'all of it'],
      ['moraine approve grant ap-5f0c8a9b1d2e3f40-1', 'shows it, asks'],
      ['moraine approve refuse ap-5f0c8a9b1d2e3f40-1 --reason "wrong customer"', ''],
    ],
  })
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(grantCommand())
    .addCommand(refuseCommand());
}

function listCommand(): Command {
  return newCommand('list', {
    description: 'List what waits for a decision, or was granted and not used yet; oldest first.',
    examples: [
      ['moraine approve list', ''],
      ['moraine approve list --all --json', 'decided, used and expired ones too'],
    ],
  })
    .summary('list what waits')
    .option('--all', 'decided, used and expired ones too')
    .action(
      acting<{ readonly all?: true }>(async (session, _args, { all }) => {
        const app = await session.openApp();
        const now = await app.store.serverTime();
        const found: ApprovalDocument[] = [];
        for await (const one of approvals(app.store).find({}, { sort: { requestedAt: 1 } }))
          if (all || (one.state !== 'refused' && isLive(one, now))) found.push(one);
        session.output.result(
          found.map((one) => approvalDocument(one, now)),
          () =>
            found.length === 0
              ? ['No approval waits.']
              : [
                  table(
                    ['approval', 'for', 'about', 'asked by', 'when', 'state', 'until'],
                    found.map((one) => [
                      one._id,
                      one.kind,
                      aboutText(one),
                      one.requestedBy,
                      instant(one.requestedAt),
                      stateText(one, now),
                      instant(one.expiresAt),
                    ]),
                  ),
                ],
        );
        return EXIT.done;
      }),
    );
}

function showCommand(): Command {
  return newCommand('show', {
    description: 'Print an approval in full: what is to be done, who asked, who may decide, what was said.',
    examples: [['moraine approve show ap-5f0c8a9b1d2e3f40-1', '']],
  })
    .summary('print one in full')
    .argument('<approval>', 'id of the approval')
    .action(
      acting(async (session, [approval = '']) => {
        const app = await session.openApp();
        const found = await getApproval(app.store, approval);
        const now = await app.store.serverTime();
        session.output.result(approvalDocument(found, now), () => approvalText(found, now));
        return EXIT.done;
      }),
    );
}

function grantCommand(): Command {
  return newCommand('grant', {
    description: [
      'Show an approval in full, ask, and grant it as the account that runs the command. With several stages it is',
      'granted when each has its person; nobody grants twice, and never what they asked for. An exception is in force',
      'from then on; every other act goes on when its command is run again. An exception for values is granted by who can',
      'name them: get them from the person who asked, and pass all of them.',
    ].join('\n'),
    examples: [
      ['moraine approve grant ap-5f0c8a9b1d2e3f40-1', ''],
      ['moraine approve grant ap-5f0c8a9b1d2e3f40-1 --value contact.email=jo@example.org', 'an exception for a value'],
    ],
  })
    .summary('grant it, as another person than who asked')
    .argument('<approval>', 'id of the approval')
    .option('--value <field=value>', 'a value that the exception is for; may be repeated', collectValues, [])
    .action(
      acting<{ readonly value: readonly string[] }>(async (session, [approval = ''], { value }) => {
        const given = namedValues(value);
        const app = await session.openApp();
        const context = session.contextOf(app);
        await assertValuesKnown(context, await getApproval(app.store, approval), given);
        await showAndAsk(session, context, approval, 'Grant exactly this?');
        const decided = await grantApproval(context, approval, { by: session.actor, asOf: context.asOf });
        const isOpen = decided.state === 'requested';
        const exception = isOpen ? null : await takeOver(context, decided);
        const now = await app.store.serverTime();
        session.output.result({ ...approvalDocument(decided, now), exceptionInForce: exception }, () => [
          isOpen
            ? `✓ Granted by ${session.actor}: ${stateText(decided, now)}. Next: ${decided.stages[decided.grants.length]?.join(' or ')}.`
            : `✓ ${decided._id} is granted. ${
                exception === null
                  ? `It may be used until ${instant(decided.expiresAt)}: the command that asked goes on when it is run again.`
                  : `Exception ${exception} is in force.`
              }`,
        ]);
        return EXIT.done;
      }),
    );
}

function refuseCommand(): Command {
  return newCommand('refuse', {
    description: 'Show an approval in full, ask, and refuse it: final for exactly this. Who asked may refuse it, too.',
    examples: [['moraine approve refuse ap-5f0c8a9b1d2e3f40-1 --reason "wrong customer"', '']],
  })
    .summary('refuse it, for good')
    .argument('<approval>', 'id of the approval')
    .requiredOption('--reason <text>', 'why')
    .action(
      acting<{ readonly reason: string }>(async (session, [approval = ''], { reason }) => {
        if (reason.trim() === '') throw new MoraineError('USAGE', 'A refusal has a reason.');
        const app = await session.openApp();
        const context = session.contextOf(app);
        await showAndAsk(session, context, approval, 'Refuse exactly this, for good?');
        const decided = await refuseApproval(context, approval, { by: session.actor, reason: reason.trim() });
        await takeOver(context, decided);
        const now = await app.store.serverTime();
        session.output.result(approvalDocument(decided, now), () => [`✓ ${decided._id} is refused.`]);
        return EXIT.done;
      }),
    );
}

async function showAndAsk(session: Session, context: Context, approval: string, question: string): Promise<void> {
  const found = await getApproval(context.store, approval);
  for (const line of approvalText(found, await context.store.serverTime())) session.output.say(line);
  await confirm(session, question);
}

/** An exception takes its approval over at once. Returns its id when it is in force. */
async function takeOver(context: Context, { kind, subject }: ApprovalDocument): Promise<string | null> {
  const { exception, act } = subject;
  if (kind !== 'exception' || exception === undefined || act !== undefined) return null;
  const { _id, state } = await settleException(context, await getException(context.store, exception));
  return state === 'granted' ? _id : null;
}

function aboutText({ subject }: ApprovalDocument): string {
  return Object.entries(subject)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

function approvalText(approval: ApprovalDocument, now: Date): readonly string[] {
  const { _id, kind, hash, shown, stages, grants, requestedBy, requestedAt, expiresAt } = approval;
  return [
    `Approval ${_id}: ${kind}, ${aboutText(approval)}`,
    `  asked for by ${requestedBy} on ${instant(requestedAt)}; ${stateText(approval, now)}; until ${instant(expiresAt)}`,
    ...stages.map((stage, at) => {
      const who = stage.length === 0 ? 'any person who did not ask for it' : stage.join(' or ');
      const grant = grants[at];
      return `  stage ${at + 1}: ${who}${grant === undefined ? '' : `, granted by ${grant.by} on ${instant(grant.at)}`}`;
    }),
    `  SHA-256 ${hash} of:`,
    JSON.stringify(JSON.parse(shown), null, 2),
  ];
}

function approvalDocument(approval: ApprovalDocument, now: Date) {
  const { _id, kind, subject, hash, shown, state, round, stages, grants } = approval;
  const { requestedBy, requestedAt, expiresAt, refusedBy, refusedAt, refusalReason, spentAt, spentFor } = approval;
  return {
    id: _id,
    kind,
    subject,
    state,
    isExpired: !isLive(approval, now) && state !== 'spent',
    text: stateText(approval, now),
    hash,
    /** The whole text that was hashed is `{ kind, subject, shown }` in canonical JSON. */
    shown: shownOf(shown),
    round,
    requestedBy,
    requestedAt,
    expiresAt,
    stages,
    grants,
    refusedBy,
    refusedAt,
    refusalReason,
    spentAt,
    spentFor,
  };
}
