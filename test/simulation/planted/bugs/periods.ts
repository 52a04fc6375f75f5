/** Promise 4: nothing is deleted or purged early, nor kept past its due date plus the stated grace. */
import { DAY_MS, HOUR_MS, type ScriptedAct } from '../../world/scenario.ts';
import type { PlantedBug } from '../bug.ts';
import {
  draw,
  FIRST_SWEEP_MS,
  life,
  MINUTE_MS,
  PURGE_CLAIMED,
  ROUND_MS,
  record,
  SECOND_MS,
  sweepNow,
} from '../designed.ts';

const TEN_YEARS_MS = 3_652 * DAY_MS;

export const PERIOD_BUGS: readonly PlantedBug[] = [
  {
    name: 'purge by the first record',
    promise: 4,
    what: 'An archive is due for its purge when the first of its records is, and not the last.',
    patches: [
      {
        file: 'src/lifecycle/store-archive.ts',
        find: 'dueAt: selection.lastPurgeAt,',
        replace: 'dueAt: selection.firstPurgeAt,',
      },
    ],
    caughtBy: ['purged-early'],
    life: (seed) => life(seed, { records: [record('r0', -2.95), record('r1', -2.05)] }),
  },
  {
    name: 'due window ignored',
    promise: 4,
    what: 'An archive takes records whatever their purge dates, so the first copies are kept far too long.',
    patches: [
      {
        file: 'src/lifecycle/select-records.ts',
        find: ' || purgeAt > this.#windowEnd) return false;',
        replace: ') return false;',
      },
    ],
    caughtBy: ['kept-too-long'],
    life: (seed) =>
      life(seed, {
        days: 1,
        policy: { archiveDays: 12, graceDays: 1 },
        records: [record('first', -13.5), record('last', -2.1)],
      }),
  },
  {
    name: 'due a day early',
    promise: 4,
    what: 'A record counts as due a day before its active period is over.',
    patches: [
      { file: 'src/policy/compile.ts', find: 'if (!(due <= now))', replace: 'if (!(due <= now + 86_400_000))' },
    ],
    caughtBy: ['deleted-not-due'],
    life: (seed) => life(seed, { records: [record('r0', -3), record('r1', -1.5), record('r2', -1.4)] }),
  },
  {
    name: 'purge of what is not due',
    promise: 4,
    what: 'A purge takes every cleared archive, due or not.',
    patches: [
      {
        file: 'src/lifecycle/purge.ts',
        find: `state: 'cleared', dueAt: { $lte: asOf } }`,
        replace: `state: 'cleared' }`,
      },
      {
        file: 'src/ledger/purging.ts',
        find: 'if (archive.dueAt === null || archive.dueAt.getTime() > asOf.getTime()) {',
        replace: 'if (archive.dueAt === null) {',
      },
    ],
    caughtBy: ['purged-early'],
    life: (seed) => life(seed),
  },
  {
    name: 'witnesses of time ignored',
    promise: 4,
    what: 'A worker whose clock somebody set ten years ahead purges what is due by it.',
    patches: [
      {
        file: 'src/ledger/installation.ts',
        find: 'if (!(Math.abs(skewMs) <= CLOCK_TOLERANCE_MS + halfCallMs)) {',
        replace: 'if (Math.abs(skewMs) < 0) {',
      },
      {
        file: 'src/ledger/installation.ts',
        find: 'if (aheadMs > maxJumpMs) {',
        replace: 'if (aheadMs > Number.MAX_VALUE) {',
      },
    ],
    caughtBy: ['purged-early', 'deleted-not-due'],
    life: (seed) => life(seed, { script: wrongClock(FIRST_SWEEP_MS + 30 * MINUTE_MS) }),
  },
  {
    name: 'one look at the clocks for ever',
    promise: 4,
    what: 'Who has asked the witnesses of time once does not ask them again, although its clock has moved by years since.',
    patches: [
      {
        file: 'src/lifecycle/preflight.ts',
        find: 'if (elapsedMs < PREFLIGHT_LASTS_MS && elapsedByClockMs >= 0 && elapsedByClockMs < PREFLIGHT_LASTS_MS) return;',
        replace: 'if (elapsedMs + elapsedByClockMs >= 0) return;',
      },
    ],
    caughtBy: ['purged-early', 'deleted-not-due'],
    // Somebody sets the clock just when the purge has looked at it.
    life: (seed) => life(seed, { script: wrongClock(FIRST_SWEEP_MS + HOUR_MS + draw(seed, 150, 300)) }),
  },
  {
    name: 'purge under an open retrieval',
    promise: 4,
    what: 'An archive is purged although somebody has asked the vault for it and was told to wait.',
    patches: [
      {
        file: 'src/ledger/purging.ts',
        find: 'if ((open === undefined && !isRead) || hasBegun(lease.document)) return null;',
        replace: 'if ((open === undefined && !isRead) || lease.epoch >= 0) return null;',
      },
    ],
    caughtBy: ['purged-under-retrieval'],
    life: (seed) =>
      life(seed, {
        // Asked for while the purge before it has nothing to do yet, and open when the next one comes.
        script: [
          {
            at: FIRST_SWEEP_MS + 4 * ROUND_MS + HOUR_MS + 10 * MINUTE_MS,
            act: { what: 'retrieve and restore', pick: 1, intoSource: false, exemptDays: 0 },
          },
          { at: FIRST_SWEEP_MS + 4 * ROUND_MS + 5 * HOUR_MS, act: { what: 'purge' } },
        ],
        records: [record('r0', -2.9), record('r1', -2.8)],
      }),
  },
  {
    name: 'retrievals not looked at after the claim',
    promise: 4,
    what: 'A purge looks for open retrievals before it claims the archive and not after it: one that is asked for in between is told that it is open.',
    patches: [
      { file: 'src/ledger/purging.ts', find: 'if (late !== null) return late;', replace: 'void late;' },
      {
        file: 'src/ledger/purging.ts',
        find: 'const late = await stepBackFromRetrieval(context, lease, look.announcement);',
        replace: 'const late = null;',
      },
    ],
    caughtBy: ['purged-under-retrieval'],
    life: (seed) =>
      life(seed, {
        aims: [
          {
            call: 'ledger archives.replace',
            nth: PURGE_CLAIMED,
            fault: { kind: 'delay', ms: 20 * SECOND_MS },
            acts: [[10, { what: 'retrieve and restore', pick: 1, intoSource: false, exemptDays: 0 }]],
          },
        ],
      }),
  },
  {
    name: 'exemption ignored',
    promise: 4,
    what: 'A restored record is archived and deleted at the next run, although it was promised some time.',
    patches: [
      {
        file: 'src/lifecycle/read-marks.ts',
        find: 'exemptUntil: mark.exemptUntil?.getTime() ?? null',
        replace: 'exemptUntil: null',
      },
    ],
    caughtBy: ['deleted-not-due'],
    life: (seed) =>
      life(seed, {
        policy: { archiveDays: 10 },
        script: [{ at: 3 * HOUR_MS, act: { what: 'retrieve and restore', pick: 0, intoSource: true, exemptDays: 3 } }],
      }),
  },
  {
    name: 'restored before it is exempt',
    promise: 4,
    what: 'A restore writes the records first and their exemption afterwards: a run in between takes them.',
    patches: [
      {
        file: 'src/lifecycle/restore-conflicts.ts',
        find: 'if (keys.length > 0) await exemptRecords(context.store, scope, keys, place.exemptUntil);',
        replace: '',
      },
      {
        file: 'src/lifecycle/restore-conflicts.ts',
        find: 'const { inserted, existing } = await place.into.insertMissing(place.namespace, absent);',
        replace:
          'const { inserted, existing } = await place.into.insertMissing(place.namespace, absent);\n    await exemptRecords(context.store, scope, keys, place.exemptUntil);',
      },
    ],
    caughtBy: ['deleted-not-due'],
    life: (seed) =>
      life(seed, {
        policy: { archiveDays: 10 },
        script: [{ at: 3 * HOUR_MS, act: { what: 'retrieve and restore', pick: 0, intoSource: true, exemptDays: 3 } }],
        aims: [
          {
            process: 'operator-1',
            call: 'ledger recordMarks.insertMany',
            fault: { kind: 'delay', ms: 6 * SECOND_MS },
            acts: [[1, { what: 'run', policy: 'chats', flush: true, expired: false }]],
          },
        ],
      }),
  },
  {
    name: 'destroyed key removed without a trace',
    promise: 4,
    what: 'Storing a key takes the place of a tombstone.',
    patches: [
      {
        file: 'src/keys/key-store.ts',
        find: `if (there?.state === 'destroyed') throw destroyedError(key.attempt, there.destroyedAt);`,
        replace: `if (there?.state === 'destroyed') {\n        await archiveKeys(store).replace({ ...document, rev: there.rev });\n        continue;\n      }`,
      },
    ],
    caughtBy: ['destroyed-key-came-back'],
    life: (seed) =>
      life(seed, {
        workers: 2,
        // The worker sleeps before it stores the key; another one abandons its attempt meanwhile.
        aims: [
          { call: 'key store archiveKeys.insert', fault: { kind: 'freeze before', ms: 18 * MINUTE_MS } },
          {
            call: 'key store archiveKeys.insert',
            acts: [
              [9 * MINUTE_MS, sweepNow],
              [12 * MINUTE_MS, { what: 'watchdog' }],
              [15 * SECOND_MS, { what: 'deliver twice' }],
            ],
          },
        ],
      }),
  },
  {
    name: 'blast cap ignored',
    promise: 4,
    what: 'A sweep starts although more records are due than the policy lets one run take.',
    patches: [{ file: 'jobs/sweep.ts', find: 'const due = isCapped(plan) ? [] : ', replace: 'const due = ' }],
    caughtBy: ['over-the-cap'],
    life: (seed) => life(seed, { policy: { limits: { records: 2, share: 1 } } }),
  },
  {
    name: 'one bad owner stops the others',
    promise: 12,
    what: 'A sweep ends at the first partition whose owner is not known.',
    patches: [
      {
        file: 'jobs/sweep.ts',
        find: 'if (!isOwnerKnown(context, policy, owner)) continue;',
        replace: 'if (!isOwnerKnown(context, policy, owner)) break;',
      },
    ],
    caughtBy: ['kept-too-long'],
    life: (seed) =>
      life(seed, {
        days: 1,
        policy: { archiveDays: 20 },
        records: [record('g', -3, { owner: 'ghost' }), record('z', -3, { owner: 'zenith' })],
      }),
  },
];

/** A worker's clock is ten years ahead for a while; what was put off until then by it is thrown away. */
function wrongClock(at: number): readonly ScriptedAct[] {
  return [
    { at, act: { what: 'set clock', worker: 0, skewMs: TEN_YEARS_MS, forMs: HOUR_MS } },
    { at: at + 2 * HOUR_MS, act: { what: 'flush queue' } },
  ];
}
