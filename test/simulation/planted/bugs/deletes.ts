/** Promises 2 and 5: what is deleted equals what was archived, and the outcomes say what became of each record. */
import { HOUR_MS } from '../../world/scenario.ts';
import type { PlantedBug } from '../bug.ts';
import { FIRST_SWEEP_MS, hold, life, MINUTE_MS, ROUND_MS, record, reinsert, remove, update } from '../designed.ts';

/** The command is on its way for some seconds, and the application is faster. */
const SLOW_DELETE = { kind: 'delay', ms: 4_000 } as const;

/** Of two tiers: due at once, and their copies are to be purged two days apart. */
const TWO_WINDOWS = [
  record('r0', -4.1, { label: 'vip' }),
  record('r1', -4.05, { label: 'vip' }),
  record('r2', -3.9),
  record('r3', -3.8),
];

export const DELETE_BUGS: readonly PlantedBug[] = [
  {
    name: 'guard left out',
    promise: 2,
    what: 'The source deletes by id alone, whatever the record has become since it was read (a bug of the adapter).',
    patches: [
      {
        file: 'src/source/memory-source.ts',
        find: 'if (stored === undefined || !guardHolds(dataset, stored, record.raw)) continue;',
        replace: 'if (stored === undefined) continue;',
      },
    ],
    caughtBy: ['deleted-other-bytes'],
    life: (seed) =>
      life(seed, { aims: [{ call: 'source deleteGuarded', fault: SLOW_DELETE, acts: [[2_000, update('r1')]] }] }),
  },
  {
    name: 'guard compares the version of another record',
    promise: 2,
    what: 'Where the policy names a version field, its presence is enough for the guard (a bug of the adapter).',
    patches: [
      {
        file: 'src/source/memory-guard.ts',
        find: 'return now !== null && compareValues(now, version) === 0;',
        replace: 'return now !== null;',
      },
    ],
    caughtBy: ['deleted-other-bytes'],
    life: (seed) =>
      life(seed, {
        version: true,
        aims: [{ call: 'source deleteGuarded', fault: SLOW_DELETE, acts: [[2_000, update('r1')]] }],
      }),
  },
  {
    name: 'hash not compared before the delete',
    promise: 2,
    what: 'What is read again before the delete is deleted as it is, also when it is not what was archived.',
    patches: [
      {
        file: 'src/lifecycle/clear-page.ts',
        find: 'else if (isSame(record.sha256, now.raw))',
        replace: 'else if (isSame(record.sha256, now.raw) || true)',
      },
    ],
    caughtBy: ['deleted-other-bytes'],
    life: (seed) => life(seed, { aims: [{ call: 'vault storeWhole', acts: [[1, update('r1')]] }] }),
  },
  {
    name: 'void copies restored',
    promise: 2,
    what: 'The exceptions of a cleared archive are not kept, so a restore gives back what was never deleted.',
    patches: [
      {
        file: 'src/ledger/rosters.ts',
        find: 'if (exceptions.length > 0) {',
        replace: 'if (exceptions.length > 1_000) {',
      },
    ],
    caughtBy: ['void-copy-restored'],
    life: (seed) =>
      life(seed, {
        script: [{ at: 3 * HOUR_MS, act: { what: 'retrieve and restore', pick: 0, intoSource: false, exemptDays: 1 } }],
        aims: [{ call: 'vault storeWhole', acts: [[1, update('r1')]] }],
      }),
  },
  {
    name: 'void copies restored by their place',
    promise: 2,
    what: 'A restore skips as many copies as are void, counted from the page and not from the archive.',
    patches: [
      {
        file: 'src/lifecycle/restore-items.ts',
        find: 'nextVoid.value === item.ordinal;',
        replace: 'nextVoid.value === item.ordinal + 1;',
      },
    ],
    caughtBy: ['void-copy-restored'],
    life: (seed) =>
      life(seed, {
        script: [{ at: 3 * HOUR_MS, act: { what: 'retrieve and restore', pick: 0, intoSource: false, exemptDays: 1 } }],
        aims: [{ call: 'vault storeWhole', acts: [[1, update('r1')]] }],
      }),
  },
  {
    name: 'deleted for gone',
    promise: 5,
    what: 'A record that somebody else removed before the delete is counted as deleted by us.',
    patches: [
      {
        file: 'src/lifecycle/clear-page.ts',
        find: `intended.has(at) ? 'deleted' : 'gone'`,
        replace: `intended.has(at) ? 'deleted' : 'deleted'`,
      },
    ],
    caughtBy: ['outcomes-do-not-add-up'],
    life: (seed) => life(seed, { aims: [{ call: 'vault storeWhole', acts: [[1, remove('r1')]] }] }),
  },
  {
    name: 'gone for deleted',
    promise: 5,
    what: 'The intent of a crashed page is not read: what its worker deleted is taken for gone, and its only copy for void.',
    patches: [{ file: 'src/lifecycle/clear-page.ts', find: 'new Set(state.intended)', replace: 'new Set<number>()' }],
    caughtBy: ['outcomes-do-not-add-up', 'lost-record'],
    life: (seed) => life(seed, { aims: [{ call: 'source deleteGuarded', fault: { kind: 'crash after', ms: 0 } }] }),
  },
  {
    name: 'page intent not written',
    promise: 5,
    what: 'The delete goes out before the ledger knows which records were seen present.',
    patches: [
      {
        file: 'src/lifecycle/clear-page.ts',
        find: 'await subject.writeIntent(',
        replace: 'void Array.of<unknown>(',
      },
    ],
    caughtBy: ['outcomes-do-not-add-up', 'lost-record'],
    life: (seed) => life(seed, { aims: [{ call: 'source deleteGuarded', fault: { kind: 'crash after', ms: 0 } }] }),
  },
  {
    name: 'page intent replaced by the next one',
    promise: 5,
    what: 'A second try forgets what the first one intended, so what the first one deleted is taken for gone.',
    patches: [
      {
        file: 'src/ledger/clearing.ts',
        find: 'intentOf([...found.intended, ...present], ',
        replace: 'intentOf(present, ',
      },
    ],
    caughtBy: ['outcomes-do-not-add-up', 'lost-record'],
    life: (seed) =>
      life(seed, {
        aims: [
          { call: 'source deleteGuarded', fault: { kind: 'partial', ms: 0 } },
          // Whoever takes the page on dies right after its intent, too.
          { call: 'source deleteGuarded', nth: 2, fault: { kind: 'crash before', ms: 0 } },
        ],
      }),
  },
  {
    name: 'held although deleted',
    promise: 5,
    what: 'When a hold forbids to go on, the whole page is called held without a look at what is still there.',
    patches: [
      {
        file: 'src/lifecycle/clear-page.ts',
        find: 'if (present.length === 0) break;',
        replace: `if ('holds' in permit) {
      outcomes.fill('held');
      break;
    }
    if (present.length === 0) break;`,
      },
    ],
    caughtBy: ['outcomes-do-not-add-up', 'lost-record'],
    life: (seed) =>
      life(seed, {
        script: [{ at: FIRST_SWEEP_MS + 20 * MINUTE_MS, act: { what: 'kill', worker: 0, downMs: 0 } }],
        aims: [
          {
            call: 'source deleteGuarded',
            fault: { kind: 'crash after', ms: 0 },
            acts: [[500, hold()]],
          },
        ],
      }),
  },
  {
    name: 'totals not updated',
    promise: 5,
    what: 'An archive becomes cleared without its outcomes.',
    patches: [{ file: 'src/lifecycle/clear.ts', find: 'set: { outcomes', replace: 'set: { unsaid: outcomes' }],
    caughtBy: ['outcomes-do-not-add-up'],
    life: (seed) => life(seed),
  },
  {
    name: 'counts of the delete trusted',
    promise: 5,
    what: 'After the delete nothing is read back: what it was asked to delete counts as deleted.',
    patches: [
      {
        file: 'src/lifecycle/clear-page.ts',
        find: 'deadline = permit.warrant.until;',
        replace: `deadline = permit.warrant.until;\n    for (const { at } of present) outcomes[at] = 'deleted';`,
      },
    ],
    caughtBy: ['outcomes-do-not-add-up'],
    life: (seed) =>
      life(seed, { aims: [{ call: 'source deleteGuarded', fault: SLOW_DELETE, acts: [[2_000, update('r1')]] }] }),
  },
  {
    name: 'planner ignores what is not cleared',
    promise: 6,
    what: 'A plan starts at the beginning although an archive that is not cleared holds the same records: two archives hold one record.',
    patches: [
      { file: 'src/lifecycle/plan-archive.ts', find: 'await highestUncleared(', replace: 'await lowestOfNone(' },
      {
        file: 'src/lifecycle/plan-archive.ts',
        find: 'async function writePlan(',
        replace:
          'async function lowestOfNone(..._: unknown[]): Promise<ArchiveDocument | null> {\n  return null;\n}\n\nasync function writePlan(',
      },
      { file: 'src/lifecycle/plan.ts', find: 'asOf, uncleared?.plan ?? null)', replace: 'asOf, null)' },
    ],
    caughtBy: ['record-in-two-archives', 'outcomes-do-not-add-up'],
    life: (seed) =>
      life(seed, {
        policy: { verify: 'inventory' },
        script: [
          { at: FIRST_SWEEP_MS + MINUTE_MS, act: { what: 'run', policy: 'chats', flush: true, expired: false } },
        ],
      }),
  },
  {
    name: 'what a pass put down is not looked at',
    promise: 6,
    what: 'Each archive of a pass takes what it meets in their common bounds, and not what was put down for it: two archives hold one record.',
    patches: [
      {
        file: 'src/lifecycle/planned-batches.ts',
        find: 'if (pass === undefined) {',
        replace: 'if (pass === undefined || bound !== null) {',
      },
    ],
    caughtBy: ['record-in-two-archives', 'outcomes-do-not-add-up'],
    life: (seed) => life(seed, { policy: { verify: 'inventory', vipDays: 4, archiveDays: 6 }, records: TWO_WINDOWS }),
  },
  {
    name: 'record that moved since taken all the same',
    promise: 6,
    what: 'A record that a pass put down for an archive is taken wherever it lies by then, also where another plan has taken it meanwhile.',
    patches: [
      {
        file: 'src/lifecycle/planned-batches.ts',
        find: 'return bound === null || comparePositions(position, bound) <= 0;',
        replace: 'return true;',
      },
    ],
    caughtBy: ['record-in-two-archives', 'outcomes-do-not-add-up'],
    life: (seed) =>
      life(seed, {
        policy: { verify: 'inventory', vipDays: 4, archiveDays: 6 },
        records: TWO_WINDOWS,
        aims: [
          {
            // Of the first archive: its record moves, to the same window, and somebody else plans where it lies now.
            call: 'source readByIds',
            fault: { kind: 'freeze before', ms: 2 * MINUTE_MS },
            acts: [
              [1_000, { what: 'insert', record: record('r1', -2.5) }],
              [5_000, { what: 'run', policy: 'chats', flush: true, expired: false }],
            ],
          },
        ],
      }),
  },
  {
    name: 'restored record written over',
    promise: 2,
    what: 'A restore replaces what the application has inserted again: it does not look, and nor does the adapter.',
    patches: [
      {
        file: 'src/source/memory-source.ts',
        find: 'if (documents.has(key)) existing.push(key);\n      else documents.set(key',
        replace: 'if (documents.has(key)) existing.push(key);\n      documents.set(key',
      },
      {
        file: 'src/lifecycle/restore-conflicts.ts',
        find: 'if (found === undefined) absent.push(raw);',
        replace: `if (is !== 'same') absent.push(raw);`,
      },
    ],
    caughtBy: ['source-overwritten'],
    life: (seed) =>
      life(seed, {
        script: [
          { at: 3 * HOUR_MS, act: { what: 'retrieve and restore', pick: 0, intoSource: true, exemptDays: 1 } },
          { at: 4 * HOUR_MS, act: { what: 'insert', record: record('r1', -0.5) } },
          { at: FIRST_SWEEP_MS + ROUND_MS, act: reinsert('r1') },
        ],
      }),
  },
];
