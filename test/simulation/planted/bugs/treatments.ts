/** Deleting by policy, and treating in place: once, only what is named, under the same guard and brakes as a clearing. */

import type { PolicyFacts } from '../../judge/observations.ts';
import { NO_ARCHIVE } from '../../judge/policy-versions.ts';
import type { PlantedBug } from '../bug.ts';
import { CHATS, FIRST_SWEEP_MS, hold, life, MINUTE_MS, pauseAll, record, SECOND_MS, update } from '../designed.ts';

const TREAT = [
  { field: 'mail', how: 'pseudonymise' },
  { field: 'text', how: 'redact' },
] as const;

const TREATING: Partial<PolicyFacts> = { ...NO_ARCHIVE, does: 'treat', treat: TREAT };
const CHAIN: Partial<PolicyFacts> = { does: 'archive and treat', treat: TREAT };
const DELETING: Partial<PolicyFacts> = { ...NO_ARCHIVE, does: 'delete' };

const SLOW = { kind: 'delay', ms: 4_000 } as const;
const LATE = { kind: 'late', ms: 30 * MINUTE_MS } as const;

export const TREATMENT_BUGS: readonly PlantedBug[] = [
  {
    name: 'treated without a guard',
    promise: 2,
    what: 'The source replaces by id alone, so that a change since the read is overwritten (a bug of the adapter).',
    patches: [
      {
        file: 'src/source/memory-guard.ts',
        find: 'if (now === undefined || !guardHolds(dataset, now, record.raw)) continue;',
        replace: 'if (now === undefined) continue;',
      },
    ],
    caughtBy: ['treated-other-fields'],
    life: (seed) =>
      life(seed, {
        policy: TREATING,
        aims: [{ call: 'source replaceGuarded', fault: SLOW, acts: [[2_000, update('r1')]] }],
      }),
  },
  {
    name: 'treated past the end of the announcement',
    promise: 3,
    what: 'The source carries out a replace whenever it arrives, also when its announcement is long over (a bug of the adapter).',
    patches: [
      {
        file: 'src/source/memory-source.ts',
        find: 'if (this.#clock.now() < warrant.until) replacedCount += ',
        replace: 'replacedCount += ',
      },
    ],
    caughtBy: ['treated-under-brake'],
    life: (seed) =>
      life(seed, {
        policy: TREATING,
        aims: [{ call: 'source replaceGuarded', fault: LATE, acts: [[30 * SECOND_MS, hold()]] }],
      }),
  },
  {
    name: 'marker forgotten',
    promise: 2,
    what: 'A treated record carries no marker, so that each run treats it again.',
    patches: [{ file: 'src/source/treatment.ts', find: 'if (!isMarked) this.#mark(writer);', replace: '' }],
    caughtBy: ['source-overwritten'],
    life: (seed) => life(seed, { policy: TREATING, days: 2 }),
  },
  {
    name: 'marker not looked at',
    promise: 6,
    what: 'A record that was treated is due again at every run.',
    patches: [
      {
        file: 'src/policy/compile.ts',
        find: "if (hasMarker(facts, chosen)) return 'treated';",
        replace: '',
      },
    ],
    caughtBy: ['treated-twice'],
    life: (seed) => life(seed, { policy: TREATING, days: 2 }),
  },
  {
    name: 'held records treated',
    promise: 3,
    what: 'A treatment looks at no hold, neither for its records nor when it announces itself.',
    patches: [
      {
        file: 'src/lifecycle/ordered-pages.ts',
        find: 'holds.isHeld(record, facts)',
        replace: "kindOf(lease.document) !== 'treat' && holds.isHeld(record, facts)",
      },
      {
        file: 'src/lifecycle/plan.ts',
        find: 'records: holds.whole.length > 0 ? 0 : counts.due,',
        replace: 'records: counts.due,',
      },
      {
        file: 'src/ledger/in-flight.ts',
        find: 'const { covering, naming } = await lookAtHolds(store, scope);',
        replace:
          'const { naming } = await lookAtHolds(store, scope);\n    const covering: readonly { readonly _id: string }[] = [];',
      },
    ],
    caughtBy: ['treated-under-brake'],
    life: (seed) =>
      life(seed, {
        policy: TREATING,
        records: [record('r0', -1.9), record('r1', -1.85)],
        script: [{ at: 10 * MINUTE_MS, act: hold({ owner: 'acme', namespace: CHATS, recordIds: ['r0'] }) }],
      }),
  },
  {
    name: 'pause forgotten between the pages of a treatment',
    promise: 3,
    what: 'Who treats looks at the pauses when it begins, and announces itself without looking again.',
    patches: [{ file: 'src/ledger/in-flight.ts', find: 'await assertNotPaused(store, scope);', replace: '' }],
    caughtBy: ['treated-under-brake', 'paused-record-deleted'],
    life: (seed) =>
      life(seed, {
        policy: TREATING,
        aims: [
          { call: 'ledger rosterPages.insert', fault: { kind: 'delay', ms: 30 * SECOND_MS }, acts: [[10, pauseAll]] },
        ],
      }),
  },
  {
    name: 'one more field treated than the policy names',
    promise: 2,
    what: 'The field that the application counts its changes in is removed as well.',
    patches: [
      {
        file: 'src/lifecycle/treatment.ts',
        find: 'fields: treat,',
        replace: "fields: [...treat, { field: 'n', how: 'anonymise' }],",
      },
    ],
    caughtBy: ['treated-other-fields'],
    life: (seed) => life(seed, { policy: TREATING, days: 2 }),
  },
  {
    name: 'pseudonyms of every record alone',
    promise: 9,
    what: 'The pseudonym is drawn anew for each disposal, so that one person has several within an owner.',
    patches: [
      {
        file: 'src/lifecycle/treatment.ts',
        find: 'const key = createSecretKey(ownerHmac(PSEUDONYM_PURPOSE));',
        replace: 'const key = createSecretKey(ownerHmac(PSEUDONYM_PURPOSE + at.toISOString()));',
      },
    ],
    caughtBy: ['pseudonym-differs'],
    life: (seed) => life(seed, { policy: TREATING, records: [record('r0', -3), record('r1', -1.2)] }),
  },
  {
    name: 'pseudonyms shared by all owners',
    promise: 9,
    what: 'The key of pseudonyms is one for all owners.',
    patches: [
      {
        file: 'src/lifecycle/treatment.ts',
        find: 'const ownerHmac = await context.keys.hmacFor(owner);',
        replace: 'const ownerHmac = (text: string) => Buffer.alloc(32, text + owner.slice(0, 0));',
      },
    ],
    caughtBy: ['pseudonym-differs'],
    life: (seed) =>
      life(seed, { policy: TREATING, records: [record('r0', -3), record('r1', -3, { owner: 'zenith' })] }),
  },
  {
    name: 'treated before it is due',
    promise: 4,
    what: 'A disposal takes everything that its query finds, also what is near the end of its period.',
    patches: [
      {
        file: 'src/lifecycle/ordered-pages.ts',
        find: 'if (decision !== wanted) continue;',
        replace: "if (decision === 'treated') continue;",
      },
      {
        file: 'src/lifecycle/ordered-pages.ts',
        find: 'let left = lease.document.mostRecords - lease.document.records;',
        replace: 'let left = 1_000;',
      },
    ],
    caughtBy: ['treated-not-due'],
    life: (seed) => life(seed, { policy: TREATING, records: [record('r0', -3), record('r1', -1)] }),
  },
  {
    name: 'what was treated called changed',
    promise: 5,
    what: 'What is found after a treatment is not compared with the intent: the copy of what was treated becomes void.',
    patches: [
      {
        file: 'src/lifecycle/clear-page.ts',
        find: "outcomes[at] = isTreated(context, treatment, intended, at, now) ? 'treated' : 'changed';",
        replace: "outcomes[at] = 'changed';",
      },
    ],
    caughtBy: ['outcomes-do-not-add-up'],
    life: (seed) => life(seed, { policy: CHAIN }),
  },
  {
    name: 'chain forgets to treat',
    promise: 2,
    what: 'The originals of a policy that archives and then treats are deleted, as those of any other.',
    patches: [
      {
        file: 'src/lifecycle/carry-on.ts',
        find: 'const treatment = await treatmentOf(context, policy, branch, owner, verifiedAt ?? context.clock.now());',
        replace:
          'const treatment = await treatmentOf(context, policy, branch, owner, verifiedAt ?? context.clock.now()).then(() => null);',
      },
    ],
    caughtBy: ['deleted-instead-of-treated'],
    life: (seed) => life(seed, { policy: CHAIN }),
  },
  {
    name: 'deleted by policy without an intent',
    promise: 10,
    what: 'What a policy deletes goes before the audit chain says so.',
    patches: [
      {
        file: 'src/lifecycle/dispose.ts',
        find: 'await context.audit.appendOnce([intentEntry(lease.document)]);',
        replace: '',
      },
    ],
    caughtBy: ['act-without-intent'],
    life: (seed) => life(seed, { policy: DELETING }),
  },
  {
    name: 'two disposals of one partition',
    promise: 6,
    what: 'A disposal is begun beside one that is under way, so that both count the same records.',
    patches: [
      {
        file: 'src/lifecycle/dispose.ts',
        find: "const isUnderWay = previous !== null && previous.state !== 'done';",
        replace: 'const isUnderWay = false;',
      },
      {
        file: 'src/lifecycle/dispose.ts',
        find: 'const cut = (await openDisposals(context.store, policy.name)).find((open) => open.partition === partition);',
        replace:
          'const cut = (await openDisposals(context.store, policy.name)).find((open) => open.partition === partition.slice(1));',
      },
    ],
    caughtBy: ['two-disposals-at-once'],
    life: (seed) =>
      life(seed, {
        policy: DELETING,
        workers: 2,
        script: [
          { at: FIRST_SWEEP_MS + seed * 10, act: { what: 'run', policy: 'chats', flush: true, expired: false } },
          { at: FIRST_SWEEP_MS + seed * 25, act: { what: 'run', policy: 'chats', flush: true, expired: false } },
        ],
        aims: [
          {
            call: 'source deleteGuarded',
            fault: SLOW,
            acts: [[1_000, { what: 'run', policy: 'chats', flush: true, expired: false }]],
          },
        ],
      }),
  },
];
