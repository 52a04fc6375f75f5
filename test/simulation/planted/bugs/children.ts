/** Children and files: after their root, only what is kept, nobody else's, and nothing forgotten. */

import type { FamilyFacts, PolicyFacts } from '../../judge/observations.ts';
import { NO_ARCHIVE } from '../../judge/policy-versions.ts';
import type { ChildPlan, FilePlan } from '../../world/families.ts';
import { HOUR_MS, type RecordPlan, type ScriptedAct } from '../../world/scenario.ts';
import type { DesignedLife, PlantedBug } from '../bug.ts';
import {
  CHATS,
  type Design,
  FIRST_SWEEP_MS,
  hold,
  life,
  MINUTE_MS,
  pauseAll,
  ROUND_MS,
  record,
  SECOND_MS,
  update,
} from '../designed.ts';

const NOTES = `${CHATS}.notes`;
const FAMILY: FamilyFacts = {
  children: { collection: NOTES, parent: '_id' },
  files: ['clips', 'logos', 'sheets'],
};
const DELETING: Partial<PolicyFacts> = { ...NO_ARCHIVE, does: 'delete' };
/** After the sweep began: the archive is verified, and its records wait half a minute for their deletion. */
const WAITING_MS = 10 * SECOND_MS;

function child(id: string, of: string, more: Partial<ChildPlan> = {}): ChildPlan {
  return { namespace: NOTES, id, of, owner: 'acme', tenant: 'north', size: 20, ...more };
}

const CHILDREN: readonly ChildPlan[] = [child('r0-1', 'r0'), child('r0-2', 'r0'), child('r1-1', 'r1')];
const SHEET: FilePlan = { kind: 'sheets', key: 'sheet', size: 100 };
const FILES: readonly FilePlan[] = [
  { kind: 'clips', key: 'clip', size: 100 },
  { kind: 'logos', key: 'logo', size: 100 },
  SHEET,
];
const ROOT = record('r0', -3, {
  family: { ref: 'ref-r0', clips: [{ key: 'clip' }], logos: ['logo'], sheets: ['sheet'] },
});
const RECORDS: readonly RecordPlan[] = [
  ROOT,
  record('r1', -2.9, { family: { ref: 'ref-r1', logos: ['logo'] } }),
  record('r2', -2.8),
];

interface FamilyDesign extends Design {
  readonly children?: readonly ChildPlan[];
  readonly files?: readonly FilePlan[];
}

function family(seed: number, { children = CHILDREN, files = FILES, ...design }: FamilyDesign = {}): DesignedLife {
  const policy = { family: FAMILY, ...design.policy };
  const { scenario, aims } = life(seed, { records: RECORDS, days: 2, ...design, policy });
  return { scenario: { ...scenario, children, files }, aims };
}

/** At this time of the first round. */
function at(ms: number, act: ScriptedAct['act']): ScriptedAct {
  return { at: FIRST_SWEEP_MS + ms, act };
}

const lateChild = (id = 'late', more: Partial<ChildPlan> = {}): ScriptedAct =>
  at(WAITING_MS, { what: 'insert child', child: child(id, 'r0', more) });

export const CHILD_BUGS: readonly PlantedBug[] = [
  {
    name: 'children of roots that stayed',
    promise: 1,
    what: 'The children of a page go, whatever became of their roots.',
    patches: [
      {
        file: 'src/lifecycle/clear-children.ts',
        find: 'page.children.flatMap(({ root }, at) => (roots.gone.has(root) ? [at] : []))',
        replace: 'page.children.map((_, at) => at)',
      },
    ],
    caughtBy: ['child-before-root'],
    life: (seed) => family(seed, { script: [at(WAITING_MS, update('r0'))] }),
  },
  {
    name: 'no look for late children',
    promise: 'end',
    what: 'What is found late is taken for settled, and no run looks for children without a root.',
    patches: [
      {
        file: 'src/lifecycle/clear-children.ts',
        find: "if (found.size === 0) return { kind: 'settled' };",
        replace: "return { kind: 'settled' };",
      },
      {
        file: 'src/lifecycle/orphans.ts',
        find: 'for (const child of shape.children ?? []) planned.push(...(await lookIn(context, policy, shape, child)));',
        replace: 'for (const child of shape.attachments === null ? [] : []) planned.push(child);',
      },
    ],
    caughtBy: ['orphan-left'],
    life: (seed) => family(seed, { script: [lateChild()] }),
  },
  {
    name: 'late children without an addendum',
    promise: 1,
    what: 'Late children are deleted at once although there is an archive, as if there were none.',
    patches: [{ file: 'src/lifecycle/clear.ts', find: "late: 'addendum'", replace: "late: 'delete'" }],
    caughtBy: ['child-deleted-without-copy'],
    life: (seed) => family(seed, { script: [lateChild()] }),
  },
  {
    name: 'foreign children at sealing',
    promise: 9,
    what: 'Nobody asks whose a child is when its record is sealed.',
    patches: [
      {
        file: 'src/lifecycle/unit-reader.ts',
        find: "if (!source.isOfParty(child, record.raw, this.#party)) return 'child-of-another';",
        replace: '',
      },
    ],
    caughtBy: ['foreign-child-taken'],
    life: (seed) => family(seed, { children: [...CHILDREN, child('r1-x', 'r1', { tenant: 'south' })] }),
  },
  {
    name: 'late foreign children',
    promise: 9,
    what: 'Nobody asks whose a child is when it comes late.',
    patches: [
      {
        file: 'src/lifecycle/late-children.ts',
        find: 'const isOurs = context.source.isOfParty(child, record.raw, scope);',
        replace: 'const isOurs = true;',
      },
    ],
    caughtBy: ['foreign-child-taken', 'mixed-archive'],
    life: (seed) => family(seed, { script: [lateChild('late', { owner: 'zenith' })] }),
  },
  {
    name: 'late foreign children told to nobody',
    promise: 'end',
    what: 'A child of another customer that comes late is left, and not put into quarantine.',
    patches: [
      {
        file: 'src/lifecycle/late-children.ts',
        find: "await quarantineRecord(context, quarantine, record, isOurs ? 'child-unfit' : 'child-of-another');",
        replace: "if (isOurs) await quarantineRecord(context, quarantine, record, 'child-unfit');",
      },
    ],
    caughtBy: ['orphan-left'],
    life: (seed) => family(seed, { script: [lateChild('late', { tenant: 'south' })] }),
  },
  {
    name: 'void children forgotten',
    promise: 2,
    what: 'Which copies of children are void is not kept when the roster goes.',
    patches: [{ file: 'src/lifecycle/clear.ts', find: '  await writeVoidUnits(context, archive);\n', replace: '' }],
    caughtBy: ['void-copy-restored'],
    life: (seed) =>
      family(seed, {
        days: 3,
        script: [
          at(WAITING_MS, { what: 'update', namespace: NOTES, id: 'r0-1' }),
          ...[0, 1].map((pick) => ({
            at: FIRST_SWEEP_MS + ROUND_MS + pick * MINUTE_MS,
            act: { what: 'retrieve and restore', pick, intoSource: false, exemptDays: 1 } as const,
          })),
        ],
      }),
  },
  {
    name: 'shared files deleted',
    promise: 1,
    what: 'Files go with their record whether or not it is the only one that names them.',
    patches: [
      {
        file: 'src/lifecycle/clear-children.ts',
        find: 'if (!attachment.exclusive || !gone.has(attachment.root)) continue;',
        replace: 'if (!gone.has(attachment.root)) continue;',
      },
    ],
    caughtBy: ['shared-attachment-deleted'],
    life: (seed) => family(seed),
  },
  {
    name: 'files of roots that stayed',
    promise: 1,
    what: 'The files of a page go, whatever became of their records.',
    patches: [
      {
        file: 'src/lifecycle/clear-children.ts',
        find: 'if (!attachment.exclusive || !gone.has(attachment.root)) continue;',
        replace: 'if (!attachment.exclusive) continue;',
      },
    ],
    caughtBy: ['attachment-out-of-order'],
    life: (seed) => family(seed, { script: [at(WAITING_MS, update('r0'))] }),
  },
  {
    name: 'files before children',
    promise: 1,
    what: 'Files are deleted before the children of their record are settled.',
    patches: [
      {
        file: 'src/lifecycle/clear-children.ts',
        find: "for (const page of roots.units) if (page.kind === 'children') await clearChildren(context, unit, roots, page);",
        replace:
          "for (const page of roots.units) if (page.kind === 'attachments') await clearAttachments(context, unit, roots, page.attachments);\n      for (const page of roots.units) if (page.kind === 'children') await clearChildren(context, unit, roots, page);",
      },
    ],
    caughtBy: ['attachment-out-of-order'],
    life: (seed) => family(seed),
  },
  {
    name: 'files before children without an archive',
    promise: 1,
    what: 'A disposal deletes the files of a record before its children.',
    patches: [
      {
        file: 'src/lifecycle/clear-children.ts',
        find: "      // Without an archive no page lists the children: they are those that a look finds.\n      if (unit.late === 'delete') await deleteAllLate(context, unit, roots);\n",
        replace: '',
      },
    ],
    caughtBy: ['attachment-out-of-order'],
    life: (seed) => family(seed, { policy: DELETING }),
  },
  {
    name: 'children without an archive left',
    promise: 'end',
    what: 'A disposal looks for children of what it deleted, and leaves what it finds.',
    patches: [
      {
        file: 'src/lifecycle/clear-children.ts',
        find: 'await context.source.deleteGuarded(childDataset(child), going, warrant);\n      seen += going.length;',
        replace: 'if (warrant === null) seen += going.length;',
      },
    ],
    caughtBy: ['orphan-left', 'attachment-out-of-order'],
    life: (seed) => family(seed, { policy: DELETING }),
  },
  {
    name: 'a missing file passed over',
    promise: 2,
    what: 'A record of which a file is missing is archived without it.',
    patches: [
      {
        file: 'src/lifecycle/unit-reader.ts',
        find: "    if ('problem' in answer) {",
        replace:
          "    if ('problem' in answer && answer.problem === 'attachment-missing') return { kind: 'whole', bytes, attachments: [] };\n    if ('problem' in answer) {",
      },
    ],
    caughtBy: ['half-archived'],
    life: (seed) => family(seed, { files: FILES.filter(({ kind }) => kind !== 'sheets') }),
  },
  {
    name: 'children left out of the archive',
    promise: 2,
    what: 'Of several children of a record only the first is sealed with it.',
    patches: [
      {
        file: 'src/lifecycle/take-unit.ts',
        find: 'await units.child(child.collection, { id: of.idBytes, sha256: childHash, root, ordinal }, of.raw.length);',
        replace:
          'await units.child(child.collection, { id: of.idBytes, sha256: childHash, root, ordinal }, of.raw.length);\n    break;',
      },
    ],
    caughtBy: ['half-archived'],
    life: (seed) => family(seed),
  },
  {
    name: 'a changed file not seen',
    promise: 2,
    what: 'Nobody asks whether files are the same as they were archived before their record goes.',
    patches: [
      {
        file: 'src/lifecycle/changed-attachments.ts',
        find: 'if (!(await attachmentsOf(context).isSame(attachment))) changed.add(attachment.root - first);',
        replace: 'await attachmentsOf(context).isSame(attachment);',
      },
    ],
    caughtBy: ['half-archived'],
    life: (seed) =>
      family(seed, {
        policy: { verify: 'inventory' },
        days: 4,
        script: [at(WAITING_MS, { what: 'put file', file: SHEET })],
      }),
  },
  {
    name: 'holds forgotten between a root and its children',
    promise: 3,
    what: 'Who comes back to what hangs on deleted roots announces itself, and looks at no hold.',
    patches: [
      {
        file: 'src/ledger/in-flight.ts',
        find: 'const { covering, naming } = await lookAtHolds(store, scope);',
        replace:
          'const { naming } = await lookAtHolds(store, scope);\n    const covering: readonly { readonly _id: string }[] = [];',
      },
    ],
    caughtBy: ['held-unit-deleted'],
    life: (seed) =>
      family(seed, {
        aims: [
          {
            call: 'source deleteGuarded',
            fault: { kind: 'freeze after', ms: 5 * MINUTE_MS },
            acts: [[SECOND_MS, hold({ owner: 'acme', namespace: CHATS, recordIds: ['r0'] })]],
          },
        ],
      }),
  },
  {
    name: 'children after their root was put back',
    promise: 1,
    what: 'A root that somebody has put back is taken for deleted: nobody looks whether it is there.',
    patches: [
      {
        file: 'src/lifecycle/cleared-roots.ts',
        find: '(back.has(context.source.keyOf(id)) ? [] : [[ordinal, id] as const])',
        replace: '(back.size < 0 ? [] : [[ordinal, id] as const])',
      },
    ],
    caughtBy: ['child-before-root', 'attachment-out-of-order'],
    life: (seed) =>
      family(seed, {
        script: [
          { at: FIRST_SWEEP_MS + 4 * HOUR_MS, act: { what: 'resume', name: 'pause-1', target: 'all', of: null } },
        ],
        aims: [
          {
            // The page is settled: its records are deleted.
            call: 'ledger clearingPages.replace',
            fault: { kind: 'crash after', ms: 0 },
            acts: [
              [SECOND_MS, pauseAll],
              [2 * SECOND_MS, { what: 'insert', record: ROOT }],
            ],
          },
        ],
      }),
  },
  {
    name: 'an addendum that is purged early',
    promise: 4,
    what: 'What came late goes from the vault as soon as it is there.',
    patches: [
      {
        file: 'src/lifecycle/select-late.ts',
        find: 'lastPurgeAt: dueAt,',
        replace: 'lastPurgeAt: new Date(0),',
      },
    ],
    caughtBy: ['purged-early'],
    life: (seed) => family(seed, { script: [lateChild()] }),
  },
  {
    name: 'pages of what hangs on records left',
    promise: 'end',
    what: 'Pages that name children and files stay in the ledger when those of their records go.',
    patches: [
      {
        file: 'src/ledger/unit-pages.ts',
        find: 'await unitPages(store).removeMany({ archive });',
        replace: 'void store;\n  void archive;',
      },
    ],
    caughtBy: ['work-not-finished'],
    life: (seed) => family(seed),
  },
];
