/** Promise 3: nothing held or paused is cleared or purged, and what came too late is named. */
import { DAY_MS, HOUR_MS, START_MS } from '../../world/scenario.ts';
import type { PlantedBug } from '../bug.ts';
import {
  FIRST_SWEEP_MS,
  grantAll,
  hold,
  life,
  MINUTE_MS,
  PURGE_CLAIMED,
  pauseAll,
  purgeNow,
  ROUND_MS,
  record,
  SECOND_MS,
} from '../designed.ts';

/** On its way for seconds, within its deadline; or for so long that only the deadline stops it. */
const slow = (ms: number) => ({ kind: 'delay', ms }) as const;
const late = (ms: number) => ({ kind: 'late', ms }) as const;
/** After the first sweep, before anything is due for purge. */
const BETWEEN_MS = FIRST_SWEEP_MS + 5 * HOUR_MS;

export const BRAKE_BUGS: readonly PlantedBug[] = [
  {
    name: 'until left out',
    promise: 3,
    what: 'The source carries out a delete whenever it arrives, also past the end of its announcement (a bug of the adapter).',
    patches: [
      { file: 'src/source/memory-source.ts', find: 'if (this.#clock.now() >= warrant.until) continue;', replace: '' },
    ],
    caughtBy: ['held-record-deleted'],
    life: (seed) =>
      life(seed, {
        aims: [{ call: 'source deleteGuarded', fault: late(30 * MINUTE_MS), acts: [[30 * SECOND_MS, hold()]] }],
      }),
  },
  {
    name: 'until by the clock of the worker',
    promise: 3,
    what: 'The end of a delete is counted by the clock of the worker, which somebody has just set wrong, and not by the source.',
    patches: [
      {
        file: 'src/ledger/clearing.ts',
        find: '(await this.#sourceTime()).getTime()',
        replace: '(await this.#sourceTime(), this.#clock.now()).getTime()',
      },
    ],
    caughtBy: ['held-record-deleted'],
    life: (seed) =>
      life(seed, {
        aims: [
          {
            call: 'ledger clearingPages.get',
            acts: [[1, { what: 'set clock', worker: 0, skewMs: 30 * MINUTE_MS, forMs: HOUR_MS }]],
          },
          { call: 'source deleteGuarded', fault: late(10 * MINUTE_MS), acts: [[SECOND_MS, hold()]] },
        ],
      }),
  },
  {
    name: 'look before announce',
    promise: 3,
    what: 'The holds are read first and the announcement is written afterwards: neither side sees the other.',
    patches: [
      {
        file: 'src/ledger/in-flight.ts',
        find: 'await inFlight(store).insert({',
        replace: 'const announce = () => inFlight(store).insert({',
      },
      {
        file: 'src/ledger/in-flight.ts',
        find: 'if (covering.length === 0) return { held: false, announcement, looked };',
        replace:
          'if (covering.length === 0) {\n      await announce();\n      return { held: false, announcement, looked };\n    }',
      },
    ],
    caughtBy: ['held-record-deleted'],
    life: (seed) =>
      life(seed, { aims: [{ call: 'ledger inFlight.insert', fault: slow(5 * SECOND_MS), acts: [[10, hold()]] }] }),
  },
  {
    name: 'no announcement',
    promise: 3,
    what: 'Acts look at the holds and do not announce themselves.',
    patches: [
      {
        file: 'src/ledger/in-flight.ts',
        find: 'await inFlight(store).insert({',
        replace: 'void ({',
      },
    ],
    caughtBy: ['held-record-deleted'],
    life: (seed) =>
      life(seed, { aims: [{ call: 'source deleteGuarded', fault: slow(6 * SECOND_MS), acts: [[10, hold()]] }] }),
  },
  {
    name: 'active without waiting',
    promise: 3,
    what: 'A hold is called active as soon as it is written, whatever was announced before.',
    patches: [
      {
        file: 'src/lifecycle/hold.ts',
        find: 'if (!(await waitForAnnounced(context, (entry) => namesParty(hold, entry)))) throw notInForce(hold);',
        replace: '',
      },
    ],
    caughtBy: ['held-record-deleted'],
    life: (seed) =>
      life(seed, { aims: [{ call: 'source deleteGuarded', fault: slow(6 * SECOND_MS), acts: [[10, hold()]] }] }),
  },
  {
    name: 'announcement withdrawn before the delete',
    promise: 3,
    what: 'Whoever clears takes its announcement back when it has looked, and deletes afterwards.',
    patches: [
      {
        file: 'src/ledger/clearing.ts',
        find: 'const permitted = { announcement: look.announcement, until };',
        replace:
          'const permitted = { announcement: look.announcement, until };\n      await withdraw(this.#store, look.announcement);',
      },
    ],
    caughtBy: ['held-record-deleted'],
    life: (seed) =>
      life(seed, { aims: [{ call: 'source deleteGuarded', fault: slow(6 * SECOND_MS), acts: [[10, hold()]] }] }),
  },
  {
    name: 'warrant used past its announcement',
    promise: 3,
    what: 'An announcement that was made once is good for all that follows, however long that takes.',
    patches: [
      {
        file: 'src/ledger/in-flight.ts',
        find: 'return clock.monotonicMs() < announcement.endsAtMs - ANNOUNCEMENT_RESERVE_MS;',
        replace: 'return announcement.endsAtMs > 0;',
      },
      {
        file: 'src/ledger/clearing.ts',
        find: 'ClearingWarrant.issue(basis, this.#lease, newest.until)',
        replace: 'ClearingWarrant.issue(basis, this.#lease, new Date(newest.until.getTime() + 3_600_000))',
      },
    ],
    caughtBy: ['held-record-deleted'],
    life: (seed) =>
      life(seed, {
        // The first delete never arrives; the one after it comes minutes later under the same announcement.
        aims: [{ call: 'source deleteGuarded', fault: slow(100 * SECOND_MS), acts: [[SECOND_MS, hold()]] }],
      }),
  },
  {
    name: 'holds not read again on resume',
    promise: 3,
    what: 'A purge that was begun goes on after a crash without another look at the holds.',
    patches: [
      {
        file: 'src/ledger/purging.ts',
        find: `() => announceAndLook(store, clock, worker, 'purge', scopeOf(archive))`,
        replace: `async () =>
    archive.state === 'purging'
      ? { held: false, announcement: { entry: 'none', until: clock.now(), endsAtMs: Number.POSITIVE_INFINITY }, looked: { at: clock.now(), count: 0, holds: [] } }
      : await announceAndLook(store, clock, worker, 'purge', scopeOf(archive))`,
      },
      {
        file: 'src/ledger/purging.ts',
        find: '(await holdsCovering(context.store, scope)).map(({ _id }) => _id)',
        replace: '[] as string[]; void holdsCovering',
      },
    ],
    caughtBy: ['held-archive-purged'],
    // The worker dies with the claim in the ledger, and the hold comes while nobody works.
    life: (seed) =>
      life(seed, {
        aims: [
          {
            call: 'ledger archives.replace',
            nth: PURGE_CLAIMED,
            fault: { kind: 'crash after', ms: 0 },
            acts: [
              [MINUTE_MS, hold()],
              [40 * MINUTE_MS, purgeNow],
            ],
          },
        ],
      }),
  },
  {
    name: 'holds not read again before the vault is asked',
    promise: 3,
    what: 'A purge that stood still between its look and the call asks the vault all the same.',
    patches: [
      {
        file: 'src/ledger/purging.ts',
        find: '(await holdsCovering(context.store, scope)).map(({ _id }) => _id)',
        replace: '[] as string[]; void holdsCovering',
      },
      {
        file: 'src/ledger/warrants.ts',
        find: 'if (this.#clock.monotonicMs() >= this.#endsAtMs) {',
        replace: 'if (this.#clock.monotonicMs() >= this.#endsAtMs && this.archive.length === 0) {',
      },
    ],
    caughtBy: ['held-archive-purged'],
    life: (seed) =>
      life(seed, {
        aims: [
          {
            call: 'ledger archives.replace',
            nth: PURGE_CLAIMED + 1,
            fault: slow(110 * SECOND_MS),
            acts: [[10, hold()]],
          },
        ],
      }),
  },
  {
    name: 'purge does not look at holds',
    promise: 3,
    what: 'What a purge finds when it looks at the holds is not acted upon.',
    patches: [
      {
        file: 'src/ledger/in-flight.ts',
        find: 'if (covering.length === 0)',
        replace: `if (covering.length === 0 || act === 'purge')`,
      },
      {
        file: 'src/ledger/purging.ts',
        find: '(await holdsCovering(context.store, scope)).map(({ _id }) => _id)',
        replace: '[] as string[]; void holdsCovering',
      },
    ],
    caughtBy: ['held-archive-purged'],
    life: (seed) => life(seed, { script: [{ at: BETWEEN_MS, act: hold() }] }),
  },
  {
    name: 'hold looks at one customer only',
    promise: 3,
    what: 'A hold that names no customer covers the first one only.',
    patches: [
      {
        file: 'src/ledger/holds.ts',
        find: '(hold.customer ?? customer) === customer',
        replace: `(hold.customer ?? 'north') === customer`,
      },
    ],
    caughtBy: ['held-record-deleted', 'held-archive-purged'],
    life: (seed) =>
      life(seed, {
        records: [record('r0', -3), record('r1', -2.9, { tenant: 'south' })],
        script: [{ at: 1_000, act: hold({ owner: 'acme' }) }],
      }),
  },
  {
    name: 'grace of a release skipped',
    promise: 3,
    what: 'A released hold stops nothing any more, although the command said until when it still holds.',
    patches: [
      {
        file: 'src/ledger/holds.ts',
        find: `await read(holds(store).find({ state: 'released', heldUntil: { $gt: await store.serverTime() } }));`,
        replace: '',
      },
    ],
    caughtBy: ['held-record-deleted'],
    life: (seed) =>
      life(seed, {
        script: [
          { at: 1_000, act: hold() },
          { at: 30 * MINUTE_MS, act: { what: 'release hold', name: 'case-1' } },
          { at: 35 * MINUTE_MS, act: grantAll },
          { at: 40 * MINUTE_MS, act: { what: 'release hold', name: 'case-1' } },
        ],
      }),
  },
  {
    name: 'facets not kept whole',
    promise: 3,
    what: 'Of the facets of an archive only the first value is kept, so a hold on another person is thought not to cover it.',
    patches: [
      {
        file: 'src/archive/facets.ts',
        find: 'for (const value of values) this.#codes.add(',
        replace: 'for (const value of values) if (this.#codes.size === 0) this.#codes.add(',
      },
    ],
    caughtBy: ['held-archive-purged'],
    life: (seed) =>
      life(seed, {
        records: [record('r0', -3), record('r1', -2.9, { mail: 'kim@example.org' })],
        script: [{ at: BETWEEN_MS, act: hold({ owner: 'acme', mails: ['kim@example.org'] }) }],
      }),
  },
  {
    name: 'record key not looked up',
    promise: 3,
    what: 'A hold on a record is not looked for in the record index of an archive.',
    patches: [
      {
        file: 'src/ledger/holds-covering.ts',
        find: 'for (const key of recordKeys) {',
        replace: 'for (const key of recordKeys.slice(1)) {',
      },
    ],
    caughtBy: ['held-archive-purged'],
    life: (seed) =>
      life(seed, {
        script: [{ at: BETWEEN_MS, act: hold({ owner: 'acme', namespace: 'data.chats', recordIds: ['r1'] }) }],
      }),
  },
  {
    name: 'trigger range compared at one end',
    promise: 3,
    what: 'An archive that begins before the range of a hold is thought to lie outside it.',
    patches: [
      {
        file: 'src/ledger/holds.ts',
        find: 'return !(to < begin || from >= end);',
        replace: 'return !(from < begin || from >= end);',
      },
    ],
    caughtBy: ['held-archive-purged', 'held-record-deleted'],
    life: (seed) =>
      life(seed, {
        records: [record('r0', -3), record('r1', -2.6)],
        script: [
          {
            at: BETWEEN_MS,
            act: hold({ owner: 'acme', triggerFrom: START_MS - 2.8 * DAY_MS, triggerBefore: START_MS - DAY_MS }),
          },
        ],
      }),
  },
  {
    name: 'held record archived with the others',
    promise: 3,
    what: 'A record under a hold is not left out when an archive is sealed, and the archive says that it was.',
    patches: [
      {
        file: 'src/lifecycle/select-records.ts',
        find: 'holds.isHeld(record, facts), now)',
        replace: 'holds.isHeld(record, facts) && false, now)',
      },
    ],
    caughtBy: ['held-record-deleted'],
    life: (seed) =>
      life(seed, {
        script: [{ at: 1_000, act: hold({ owner: 'acme', namespace: 'data.chats', recordIds: ['r0'] }) }],
      }),
  },
  {
    name: 'too late not named',
    promise: 3,
    what: 'A hold becomes active without naming the archive whose destruction was asked for meanwhile.',
    patches: [
      {
        file: 'src/lifecycle/hold.ts',
        find: 'if (archive.purge?.askedAt == null) continue;',
        replace: 'if (archive._id.length > 0) continue;',
      },
    ],
    caughtBy: ['too-late-not-named'],
    life: (seed) =>
      life(seed, { aims: [{ call: 'vault deleteArchive', fault: slow(30 * SECOND_MS), acts: [[100, hold()]] }] }),
  },
  {
    name: 'paused without waiting',
    promise: 3,
    what: 'A pause is called in force as soon as it is written, whatever was announced before.',
    patches: [
      {
        file: 'src/lifecycle/pause.ts',
        find: 'if (!(await waitForAnnounced(context, (entry) => stops(found, entry)))) throw notInForce(found);',
        replace: '',
      },
    ],
    caughtBy: ['paused-record-deleted'],
    life: (seed) =>
      life(seed, { aims: [{ call: 'source deleteGuarded', fault: slow(6 * SECOND_MS), acts: [[10, pauseAll]] }] }),
  },
  {
    name: 'clearing does not look at pauses',
    promise: 3,
    what: 'Acts look at the holds and not at the pauses when they have announced themselves.',
    patches: [{ file: 'src/ledger/in-flight.ts', find: 'await assertNotPaused(store, scope);', replace: '' }],
    caughtBy: ['paused-record-deleted'],
    life: (seed) =>
      life(seed, { aims: [{ call: 'vault storeWhole', fault: slow(9 * SECOND_MS), acts: [[10, pauseAll]] }] }),
  },
  {
    name: 'purge does not look at pauses',
    promise: 3,
    what: 'A purge goes on although a person has paused everything.',
    patches: [
      {
        file: 'src/ledger/in-flight.ts',
        find: 'await assertNotPaused(store, scope);',
        replace: `if (act === 'clear') await assertNotPaused(store, scope);`,
      },
      { file: 'src/ledger/purging.ts', find: 'await assertNotPaused(context.store, scope);', replace: '' },
      {
        file: 'src/lifecycle/purge-caps.ts',
        find: 'if (stopping.length > 0 &&',
        replace: 'if (stopping.length > 1_000 &&',
      },
    ],
    caughtBy: ['paused-archive-purged'],
    life: (seed) => life(seed, { script: [{ at: BETWEEN_MS, act: pauseAll }] }),
  },
  {
    name: 'expiration does not ask the holds again',
    promise: 3,
    what: 'What was ordered to be deleted without an archive goes although a hold was placed after the records were chosen.',
    patches: [
      {
        file: 'src/ledger/holds-covering.ts',
        find: 'if (scope.leftOut?.includes(hold._id)) continue;',
        replace: 'if (scope.leftOut !== undefined) continue;',
      },
    ],
    caughtBy: ['held-record-deleted'],
    life: (seed) =>
      life(seed, {
        records: [record('old', -9), record('older', -9.5)],
        script: [
          { at: FIRST_SWEEP_MS + ROUND_MS / 2, act: { what: 'run', policy: 'chats', flush: true, expired: true } },
          { at: FIRST_SWEEP_MS + ROUND_MS / 2 + 5 * MINUTE_MS, act: grantAll },
          {
            at: FIRST_SWEEP_MS + ROUND_MS / 2 + 10 * MINUTE_MS,
            act: { what: 'run', policy: 'chats', flush: true, expired: true },
          },
        ],
        aims: [
          {
            process: 'operator-3',
            call: 'ledger rosterPages.insert',
            fault: slow(20 * SECOND_MS),
            acts: [[10, hold()]],
          },
        ],
      }),
  },
];
