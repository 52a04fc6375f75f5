/** What moves the date of a record (events, look-ups, exceptions), and what takes a second person. */
import { NO_ARCHIVE } from '../../judge/policy-versions.ts';
import { type Act, DAY_MS, HOUR_MS, type ScriptedAct } from '../../world/scenario.ts';
import type { PlantedBug } from '../bug.ts';
import { FIRST_SWEEP_MS, grantAll, hold, life, MINUTE_MS, record } from '../designed.ts';

type Exception = Extract<Act, { what: 'ask for an exception' }>;

const exception = (change: Partial<Exception> = {}): Act => ({
  what: 'ask for an exception',
  name: 'exception-1',
  policy: 'chats',
  effect: 'longer',
  activeDays: 6,
  owner: null,
  customer: null,
  labels: null,
  untilDays: null,
  ...change,
});
const grantedBy = (as: string): Act => ({ what: 'decide', pick: 'all', how: 'grant', as });

/** Asked for before the first sweep, granted by another person, and done where it was waited for. */
function approved(act: Act, at = 10 * MINUTE_MS): ScriptedAct[] {
  return [
    { at, act },
    { at: at + MINUTE_MS, act: grantAll },
    { at: at + 2 * MINUTE_MS, act },
  ];
}

const YOUNG = [record('r0', -1.2), record('r1', -1.1)];
const EXPIRED_RUN: Act = { what: 'run', policy: 'chats', flush: true, expired: true };

export const SCHEDULE_BUGS: readonly PlantedBug[] = [
  {
    name: 'approval by the requester accepted',
    promise: 3,
    what: 'Who asked for an approval may grant it, when it is granted and when it is used.',
    patches: [
      {
        file: 'src/ledger/approval-decisions.ts',
        find: 'if (isSamePerson(document.requestedBy, by)) throw notAllowed',
        replace: 'if (!isPerson(by)) throw notAllowed',
      },
      {
        file: 'src/ledger/approval-decisions.ts',
        find: '!people.has(personKey(requestedBy)) &&',
        replace: 'requestedBy.length > 0 &&',
      },
    ],
    caughtBy: ['approved-without-another'],
    life: (seed) =>
      life(seed, {
        days: 1,
        script: [
          { at: MINUTE_MS, act: exception() },
          { at: 2 * MINUTE_MS, act: grantedBy('ann') },
        ],
      }),
  },
  {
    name: 'grant used twice',
    promise: 3,
    what: 'A grant for a backlog is not used up: what has come since goes under it, too.',
    patches: [
      {
        file: 'src/ledger/approval-decisions.ts',
        find: 'if (spendFor === null) return ApprovalProof.issue(found);',
        replace: 'return ApprovalProof.issue(found);',
      },
    ],
    caughtBy: ['grant-used-twice'],
    life: (seed) =>
      life(seed, {
        days: 1,
        records: [record('old', -9)],
        script: [
          ...approved(EXPIRED_RUN),
          { at: 6 * HOUR_MS, act: { what: 'insert', record: record('older', -9.5) } },
          { at: 7 * HOUR_MS, act: EXPIRED_RUN },
        ],
      }),
  },
  {
    name: 'exception applied before the grant',
    promise: 4,
    what: 'A shorter exception counts from the moment it was asked for, granted or not.',
    patches: [
      {
        file: 'src/ledger/exceptions.ts',
        find: "if ((state !== 'granted' && state !== 'ended') || grantedAt === null) return null;",
        replace: "if (state === 'withdrawn') return null;",
      },
      {
        file: 'src/ledger/exceptions.ts',
        find: '(from ?? grantedAt).getTime()',
        replace: 'document.requestedAt.getTime()',
      },
      {
        file: 'src/ledger/exceptions.ts',
        find: 'bitesAt: grantedAt.getTime() + graceMs',
        replace: 'bitesAt: document.requestedAt.getTime() + graceMs',
      },
    ],
    caughtBy: ['deleted-not-due'],
    life: (seed) =>
      life(seed, {
        policy: { activeDays: 5 },
        records: YOUNG,
        script: [{ at: 10 * MINUTE_MS, act: exception({ effect: 'shorter', activeDays: 1 }) }],
      }),
  },
  {
    name: 'grace of a shorter exception skipped',
    promise: 4,
    what: 'A shorter exception bites as soon as it is granted, and nobody has the grace to look at it.',
    patches: [
      {
        file: 'src/policy/evaluate.ts',
        find: 'Math.max(exception.end(from), exception.bitesAt, exception.from)',
        replace: 'Math.max(exception.end(from), exception.from)',
      },
      { file: 'src/policy/shortest.ts', find: 'bitesAt <= now && ', replace: 'bitesAt !== now && ' },
    ],
    caughtBy: ['deleted-not-due'],
    life: (seed) =>
      life(seed, {
        policy: { activeDays: 5 },
        records: YOUNG,
        script: approved(exception({ effect: 'shorter', activeDays: 1 })),
      }),
  },
  {
    name: 'ended exception lets go at once',
    promise: 4,
    what: 'What a longer exception kept goes on the day on which it ends.',
    patches: [
      {
        file: 'src/policy/evaluate.ts',
        find: 'until === null ? Number.POSITIVE_INFINITY : addPeriod(until, grace, policy.zone),',
        replace: 'until === null || grace.days < 0 ? Number.POSITIVE_INFINITY : until,',
      },
    ],
    caughtBy: ['taken-under-exception'],
    life: (seed) =>
      life(seed, {
        records: YOUNG,
        days: 4,
        script: [
          ...approved(exception({ activeDays: 9 })),
          ...approved({ what: 'end an exception', name: 'exception-1' }, 2 * DAY_MS - 2 * HOUR_MS),
        ],
      }),
  },
  {
    name: 'longest retention does not win',
    promise: 4,
    what: 'Of two longer exceptions the one that began last decides, and not the one that keeps longest.',
    patches: [{ file: 'src/policy/evaluate.ts', find: 'due = Math.max(due, until);', replace: 'due = until;' }],
    caughtBy: ['taken-under-exception'],
    life: (seed) =>
      life(seed, {
        records: YOUNG,
        days: 4,
        script: [
          ...approved(exception({ activeDays: 9 })),
          ...approved(exception({ name: 'exception-2', activeDays: 3 }), 20 * MINUTE_MS),
        ],
      }),
  },
  {
    name: 'longer exception not looked at by what deletes',
    promise: 4,
    what: 'A disposal is decided without the exceptions that are in force.',
    patches: [
      {
        file: 'src/lifecycle/ordered-pages.ts',
        find: 'compilePinned(context, policy, exceptions)',
        replace: 'compilePinned(context, policy, exceptions?.slice(9))',
      },
    ],
    caughtBy: ['taken-under-exception'],
    life: (seed) =>
      life(seed, {
        policy: { ...NO_ARCHIVE, does: 'delete' },
        records: [record('r0', -1.2, { label: 'dispute' }), record('r1', -1.1)],
        days: 4,
        script: approved(exception({ activeDays: 9, owner: 'acme', labels: ['dispute'] })),
      }),
  },
  {
    name: 'value of an exception in plain text',
    promise: 8,
    what: 'The values that an exception names are kept as they were written, and compared as text.',
    patches: [
      {
        file: 'src/policy/exception.ts',
        find: "return coded(hmac, ['exception', field, text]);",
        replace: 'return text;',
      },
    ],
    caughtBy: ['content-in-the-open'],
    life: (seed) =>
      life(seed, { records: YOUNG, days: 1, script: approved(exception({ owner: 'acme', labels: ['dispute'] })) }),
  },
  {
    name: 'event not waited for',
    promise: 4,
    what: 'A record whose event has not happened counts from its creation.',
    patches: [
      { file: 'src/policy/evaluate.ts', find: 'return Math.max(start, latest);', replace: 'return start;' },
      { file: 'src/policy/compile.ts', find: "if (scratch.pendingUntil > now) return 'pending';", replace: '' },
    ],
    caughtBy: ['deleted-not-due'],
    life: (seed) => life(seed, { policy: { latestDays: 4 }, records: [record('r0', -2.5), record('r1', -2.4)] }),
  },
  {
    name: 'look-ups find nothing',
    promise: 4,
    what: 'What a look-up read is not found again, so that every record has the period of those without one.',
    patches: [
      {
        file: 'src/lifecycle/look-ups.ts',
        find: 'lookUp.known.set(name, found.get(name) ?? null)',
        replace: 'lookUp.known.set(name, found.get("") ?? null)',
      },
    ],
    caughtBy: ['deleted-not-due'],
    life: (seed) => {
      const designed = life(seed, { policy: { longDays: 5 } });
      return { ...designed, scenario: { ...designed.scenario, accounts: { north: 'long' } } };
    },
  },
  {
    name: 'early purge without a second person',
    promise: 3,
    what: 'An archive is purged before its date because one person said so.',
    patches: [
      {
        file: 'src/lifecycle/early-purge.ts',
        find: 'const proof = await requireApproval(context, request, by);',
        replace: 'const proof = { approval: request.kind };',
      },
    ],
    caughtBy: ['act-without-approval'],
    life: (seed) => life(seed, { script: [{ at: FIRST_SWEEP_MS + HOUR_MS, act: { what: 'purge early', pick: 0 } }] }),
  },
  {
    name: 'hold released by one person',
    promise: 3,
    what: 'A hold is released without another person, where that takes one.',
    patches: [
      {
        file: 'src/lifecycle/hold.ts',
        find: "if (found.state !== 'released' && isApprovalRequired(context, 'hold-release')) {",
        replace: "if (found.state === 'placing' && isApprovalRequired(context, 'hold-release')) {",
      },
    ],
    caughtBy: ['act-without-approval'],
    life: (seed) =>
      life(seed, {
        days: 1,
        script: [
          { at: MINUTE_MS, act: hold() },
          { at: 10 * MINUTE_MS, act: { what: 'release hold', name: 'case-1' } },
        ],
      }),
  },
];
