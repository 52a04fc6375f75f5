/** `moraine exception request|list|show|end`: longer or shorter for some, by another person's approval. */
import type { Command } from 'commander';
import { MoraineError } from '../errors.ts';
import { id } from '../ids.ts';
import { approvalHash, newestRound } from '../ledger/approvals.ts';
import { type ExceptionDocument, exceptionAsked, exceptions, getException, ruleOf } from '../ledger/exceptions.ts';
import { type Context, dueNow } from '../lifecycle/context.ts';
import { endException, requestException, settleException } from '../lifecycle/exception.ts';
import { areNamed } from '../lifecycle/exception-values.ts';
import { valuesText } from '../policy/exception.ts';
import { isoPeriod, parsePeriod } from '../policy/period.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { confirm } from './confirm.ts';
import { table } from './output.ts';
import { parseInstant } from './parse-instant.ts';
import { collectValues, namedValues } from './value-options.ts';
import { instant } from './words.ts';

interface RequestOptions {
  readonly longer?: string;
  readonly shorter?: string;
  readonly all?: true;
  readonly owner?: string;
  readonly customer?: string;
  readonly value: readonly string[];
  readonly from?: Date;
  readonly until?: Date;
  readonly openEnded?: true;
  readonly reason: string;
}

export function exceptionCommand(): Command {
  return newCommand('exception', {
    description: [
      'Exceptions from a policy: a longer or a shorter active period for an owner, a customer, or records with a value.',
      'They do nothing until another person approves them. A shorter one bites only after the grace of the policy; when a',
      'longer one ends, nothing goes before that grace is over. What retains a record beats what deletes it.',
    ].join('\n'),
    examples: [
      ['moraine exception list', 'what is asked for, in force or over'],
      [
        'moraine exception request chats --longer "5 years" --customer north --until 2031-01-01 --reason "contract"',
        'asks for it',
      ],
      ['moraine exception end exception-20261122-0a1b2c3d4e --reason "contract over"', ''],
    ],
  })
    .addCommand(requestCommand())
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(endCommand());
}

function requestCommand(): Command {
  return newCommand('request', {
    description: [
      'Ask for an exception. All that is named must fit a record; several values of the field are alternatives. The command',
      'names the approval that it waits for (exit code 3); `moraine approve grant` by another person puts it into force. The',
      'same again finds what was asked.',
      'Values are kept as keyed codes of their owner: no command shows them again, and who approves has to give them. The',
      'reason is kept as it is.',
    ].join('\n'),
    examples: [
      [
        'moraine exception request chats --longer "5 years" --customer north --until 2031-01-01 --reason "contract"',
        '',
      ],
      [
        'moraine exception request chats --shorter "90 days" --owner acme --value topic=trial --open-ended --reason "privacy"',
        'records whose field topic is trial',
      ],
    ],
  })
    .summary('ask for an exception')
    .argument('<policy>', 'name of the policy')
    .option('--longer <period>', 'active for this long at least, from the trigger on')
    .option('--shorter <period>', 'due after this time already, where nothing else retains')
    .option('--all', 'all records of the policy')
    .option('--owner <owner>', 'records of one owner')
    .option('--customer <customer>', 'records of one customer')
    .option('--value <field=value>', 'records with this value of a field; may be repeated', collectValues, [])
    .option('--from <instant>', 'from then on; default: from its approval on', parseInstant)
    .option('--until <instant>', 'its end', parseInstant)
    .option('--open-ended', 'no end, until somebody ends it')
    .requiredOption('--reason <text>', 'why')
    .action(
      acting<RequestOptions>(async (session, [policy = ''], options) => {
        const text = exceptionText(policy, options, session.actor);
        const app = await session.openApp();
        const context = session.contextOf(app);
        const { exception, approval, doubts } = await requestException(context, text);
        const isInForce = exception.state === 'granted';
        session.output.result({ ...exceptionDocument(exception), approval: approval._id, doubts }, () => [
          ...doubts.map((doubt) => `! ${doubt}`),
          ...(isInForce
            ? [`✓ Exception ${exception._id} is in force already.`]
            : [
                `✓ Exception ${exception._id} is asked for. It does nothing until another person approves it:`,
                `  moraine approve show ${approval._id}`,
                `  moraine approve grant ${approval._id}`,
              ]),
        ]);
        return isInForce ? EXIT.done : EXIT.person;
      }),
    );
}

/** Throws USAGE for what cannot be an exception: before anything is written. */
function exceptionText(policy: string, options: RequestOptions, requestedBy: string) {
  const { longer, shorter, owner, customer, from, until } = options;
  const length = longer ?? shorter;
  if (length === undefined || (longer !== undefined && shorter !== undefined))
    throw usage('An exception is either longer or shorter.', 'Pass --longer PERIOD or --shorter PERIOD.');
  const period = parsePeriod(length);
  if (period === null) throw usage(`${JSON.stringify(length)} is no period.`, 'Write "3 years", "90 days" or P90D.');
  const value = namedValues(options.value);
  const names = [owner, customer, value].filter((one) => one !== undefined && one !== null).length;
  if (names === 0 && options.all === undefined)
    throw usage('An exception for nothing in particular is for all records.', 'Name whom it is for, or pass --all.');
  if (names > 0 && options.all !== undefined) throw usage('--all leaves nothing to name beside it.');
  if ((until === undefined) === (options.openEnded === undefined))
    throw usage('An exception has an end, or says that it has none.', 'Pass --until INSTANT or --open-ended.');
  if (from !== undefined && until !== undefined && from >= until) throw usage('It would end before it begins.');
  if (options.reason.trim() === '') throw usage('An exception has a reason.');
  return {
    policy,
    effect: longer === undefined ? ('shorter' as const) : ('longer' as const),
    active: isoPeriod(period),
    owner: owner === undefined ? null : id.owner(owner),
    customer: customer === undefined ? null : id.customer(customer),
    value,
    reason: options.reason.trim(),
    requestedBy,
    from: from ?? null,
    until: until ?? null,
  };
}

function usage(text: string, hint?: string): MoraineError {
  return new MoraineError('USAGE', text, hint === undefined ? {} : { hint });
}

function listCommand(): Command {
  return newCommand('list', {
    description: 'List exceptions that are asked for or in force. Takes on one whose approval was cut.',
    examples: [
      ['moraine exception list', ''],
      ['moraine exception list chats --all --json', 'of one policy, those that are over too'],
    ],
  })
    .summary('list exceptions')
    .argument('[policy]', 'name of a policy; default: all')
    .option('--all', 'those that are over, too')
    .action(
      acting<{ readonly all?: true }>(async (session, [policy], { all }) => {
        const app = await session.openApp();
        const context = session.contextOf(app);
        const found: { readonly exception: ExceptionDocument; readonly text: string }[] = [];
        const filter = policy === undefined ? {} : { policy };
        for await (const one of exceptions(app.store).find(filter, { sort: { requestedAt: 1 } })) {
          const exception = await settleException(context, one);
          const { text, isOver } = await standing(context, exception);
          if (all || !isOver) found.push({ exception, text });
        }
        session.output.result(
          found.map(({ exception, text }) => ({ ...exceptionDocument(exception), text })),
          () =>
            found.length === 0
              ? ['There is no exception.']
              : [
                  table(
                    ['exception', 'policy', 'what', 'for', 'asked by', 'state', 'until'],
                    found.map(({ exception, text }) => [
                      exception._id,
                      exception.policy,
                      `${exception.effect}: ${exception.active}`,
                      scopeText(exception),
                      exception.requestedBy,
                      text,
                      instant(exception.until),
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
    description: [
      'Print everything about one exception: what it says, why, who asked, who granted, since when. Which values it names is',
      'not kept; --value says whether one is among them.',
    ].join('\n'),
    examples: [
      ['moraine exception show exception-20261122-0a1b2c3d4e', ''],
      [
        'moraine exception show exception-20261122-0a1b2c3d4e --value contact.email=jo@example.org',
        'is it for this one?',
      ],
    ],
  })
    .summary('everything about one')
    .argument('<exception>', 'id of the exception')
    .option('--value <field=value>', 'whether it names this value; may be repeated', collectValues, [])
    .action(
      acting<{ readonly value: readonly string[] }>(async (session, [name = ''], options) => {
        const given = namedValues(options.value);
        const app = await session.openApp();
        const context = session.contextOf(app);
        const exception = await settleException(context, await getException(app.store, name));
        const { text } = await standing(context, exception);
        const named = given === null ? [] : await areNamed(context, exception, given);
        const asked = given === null ? {} : { named };
        session.output.result({ ...exceptionDocument(exception), text, ...asked }, () => [
          `Exception ${exception._id} from policy ${exception.policy}: ${text}`,
          `  ${exception.effect}: ${exception.active} for ${scopeText(exception)}`,
          `  from ${exception.from === null ? 'its approval on' : instant(exception.from)}, until ${exception.until === null ? 'somebody ends it' : instant(exception.until)}`,
          `  asked for by ${exception.requestedBy} on ${instant(exception.requestedAt)}, because: ${exception.reason}`,
          ...(exception.grantedAt === null
            ? []
            : [
                `  granted by ${exception.grantedBy.join(', ')} on ${instant(exception.grantedAt)} (${exception.approval})`,
              ]),
          ...named.map((is, at) => `  value ${at + 1} of ${named.length} given is ${is ? 'named' : 'not named'}`),
          ...(exception.endedBy === null ? [] : [`  ended by ${exception.endedBy}: ${exception.endReason}`]),
        ]);
        return EXIT.done;
      }),
    );
}

function endCommand(): Command {
  return newCommand('end', {
    description: [
      'End an exception, or withdraw one that nobody has granted. A shorter one ends at once. The end of a longer one makes',
      'data deletable: it takes an approval (exit code 3), and then nothing goes before the grace of the policy is over.',
    ].join('\n'),
    examples: [['moraine exception end exception-20261122-0a1b2c3d4e --reason "contract over"', '']],
  })
    .summary('end or withdraw one')
    .argument('<exception>', 'id of the exception')
    .requiredOption('--reason <text>', 'why')
    .action(
      acting<{ readonly reason: string }>(async (session, [name = ''], { reason }) => {
        if (reason.trim() === '') throw usage('The end of an exception has a reason.');
        const app = await session.openApp();
        const context = session.contextOf(app);
        await confirm(session, `End exception ${name}?`);
        const ended = await endException(context, name, { by: session.actor, reason: reason.trim() });
        session.output.result(exceptionDocument(ended), () => [
          ended.state === 'ended'
            ? `✓ Exception ${ended._id} ended on ${instant(ended.endedAt)}.`
            : `✓ Exception ${ended._id} is withdrawn; it never was in force.`,
        ]);
        return EXIT.done;
      }),
    );
}

async function standing(
  context: Context,
  exception: ExceptionDocument,
): Promise<{ readonly text: string; readonly isOver: boolean }> {
  const now = dueNow(context).getTime();
  const rule = ruleOf(exception);
  if (rule === null) {
    if (exception.state !== 'requested') return { text: `withdrawn: ${exception.endReason}`, isOver: true };
    const approval = await newestRound(context.store, approvalHash(exceptionAsked(exception)));
    if (approval === null) return { text: 'asked for, and nobody was told: ask again', isOver: false };
    const isExpired = approval.expiresAt <= (await context.store.serverTime());
    return { text: isExpired ? `${approval._id} expired: ask again` : `waits for ${approval._id}`, isOver: false };
  }
  if (rule.until !== null && rule.until <= now)
    return { text: exception.state === 'ended' ? `ended by ${exception.endedBy}` : 'over', isOver: true };
  if (rule.from > now) return { text: `in force from ${instant(new Date(rule.from))} on`, isOver: false };
  const isWaiting = rule.effect === 'shorter' && rule.bitesAt > now;
  return { text: isWaiting ? `in force; bites from ${instant(new Date(rule.bitesAt))} on` : 'in force', isOver: false };
}

function scopeText({ owner, customer, value }: ExceptionDocument): string {
  const parts = [
    owner === null ? '' : `owner ${owner}`,
    customer === null ? '' : `customer ${customer}`,
    value === null ? '' : valuesText(value),
  ].filter((part) => part !== '');
  return parts.length === 0 ? 'all records' : parts.join(', ');
}

function exceptionDocument(exception: ExceptionDocument) {
  const { _id, v: _v, rev: _rev, graceMs: _grace, ...facts } = exception;
  const rule = ruleOf(exception);
  const value = facts.value === null ? null : { field: facts.value.field, values: facts.value.codes.length };
  return { id: _id, ...facts, value, bitesAt: rule?.effect === 'shorter' ? new Date(rule.bitesAt) : null };
}
