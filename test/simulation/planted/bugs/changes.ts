/** Rules that meet on one record, reviews in stages, purge dates that people move, versions that are to come, and customers who leave. */
import type { ApprovalFacts, RuleFacts } from '../../judge/observations.ts';
import { type Act, DAY_MS, HOUR_MS, type ScriptedAct } from '../../world/scenario.ts';
import type { DesignedLife, PlantedBug } from '../bug.ts';
import {
  CHATS,
  type Design,
  FIRST_SWEEP_MS,
  grantAll,
  life,
  MINUTE_MS,
  ROUND_MS,
  record,
  update,
} from '../designed.ts';

const POLICY = {
  name: 'chats',
  namespace: CHATS,
  activeDays: 2,
  archiveDays: 3,
  dueWindowDays: 1,
  maxWaitDays: 1,
  graceDays: 2,
  verify: 'checksum' as const,
  limits: { records: 1_000, share: 1 },
};

const rule = (scope: RuleFacts['scope'], change: Partial<RuleFacts>): RuleFacts => ({
  ...{ name: `for-${scope}`, scope, owner: null, customer: null, topic: null },
  ...{ retainDays: null, deleteDays: null, ...change },
});

function reviewed(seed: number, approvals: ApprovalFacts, design: Design): DesignedLife {
  const designed = life(seed, design);
  return { ...designed, scenario: { ...designed.scenario, approvals } };
}
const TWO_STAGES: ApprovalFacts = { people: [], purgeStages: [['bob'], ['cleo']] };
const looksAt = (as: string): Act => ({ what: 'decide', pick: 'all', how: 'grant', as, kind: 'purge' });
/** The archives of the first sweep are due for their purge on the third day. */
const REVIEW_MS = 3 * DAY_MS;

const reschedule = (toDays: number): Act => ({
  ...{ what: 'reschedule', policy: 'chats', owner: null, customer: null },
  toDays,
});
const publish = (change: Partial<typeof POLICY>, verify: 'checksum' | 'inventory' = 'checksum'): Act => ({
  what: 'publish',
  policy: { ...POLICY, verify, ...change },
  version: false,
});
const EXPORT: Act = { what: 'export', name: 'leaving', owner: 'acme', customer: 'north', wait: false };
const OFFBOARD: Act = { what: 'offboard', name: 'leaving', withoutArchives: false };

/** Asked for, granted by another person, and done where it was waited for. */
function approved(act: Act, at: number): ScriptedAct[] {
  return [
    { at, act },
    { at: at + MINUTE_MS, act: grantAll },
    { at: at + 2 * MINUTE_MS, act },
  ];
}

/** What a rule that names their topic says, no scan knows before it has read them. */
const ABOUT_SAFETY = [record('r0', -3, { topic: 'safety' }), record('r1', -2.9, { topic: 'safety' })];
const YOUNG = [record('r0', -0.5), record('r1', -0.4)];

export const CHANGE_BUGS: readonly PlantedBug[] = [
  {
    name: 'retaining rule does not retain',
    promise: 4,
    what: 'What a rule retains goes at the end of its active period.',
    patches: [
      {
        file: 'src/policy/ready-rules.ts',
        find: 'retainUntil = Math.max(retainUntil, until);',
        replace: 'retainUntil = Math.max(retainUntil, from);',
      },
    ],
    caughtBy: ['deleted-not-due'],
    life: (seed) =>
      life(seed, { records: ABOUT_SAFETY, policy: { rules: [rule('label', { topic: 'safety', retainDays: 6 })] } }),
  },
  {
    name: 'general rule beats a special one',
    promise: 4,
    what: 'Of the rules that say when a record goes the first one decides, and not the most special one.',
    patches: [
      {
        file: 'src/policy/ready-rules.ts',
        find: 'rule.rank > (top?.rank ?? 0)) top = rule;',
        replace: 'top === null) top = rule;',
      },
      {
        file: 'src/policy/ready-rules.ts',
        find: 'if (rule.rank < top.rank) {',
        replace: 'if (rule.rank !== top.rank) {',
      },
    ],
    caughtBy: ['deleted-not-due'],
    life: (seed) => {
      const rules = [rule('organisation', { deleteDays: 1 }), rule('label', { topic: 'safety', deleteDays: 6 })];
      return life(seed, { records: ABOUT_SAFETY, policy: { rules } });
    },
  },
  {
    name: 'last of several events decides, not the latest',
    promise: 4,
    what: 'Periods count from the event that the policy names last, and not from the latest of all.',
    patches: [
      { file: 'src/policy/evaluate.ts', find: 'else start = Math.max(start, at);', replace: 'else start = at;' },
    ],
    caughtBy: ['deleted-not-due'],
    life: (seed) =>
      life(seed, {
        policy: { latestDays: 9, events: ['closed', 'solved'] },
        records: [record('r0', -4, { closed: -0.5, solved: -3 }), record('r1', -4, { closed: -0.6, solved: -3 })],
        days: 2,
      }),
  },
  {
    name: 'purge without its review',
    promise: 3,
    what: 'An archive is purged while the people who are asked for a review have said nothing.',
    patches: [
      {
        file: 'src/lifecycle/purge.ts',
        find: 'const text = await waitsForReview(context, lease.document);',
        replace: 'const text = lease.document === undefined ? await waitsForReview(context, lease.document) : null;',
      },
      {
        file: 'src/lifecycle/purge-caps.ts',
        find: "stateOf(archive).state === 'granted'",
        replace: "stateOf(archive).state !== 'refused'",
      },
    ],
    caughtBy: ['purged-without-review'],
    life: (seed) => reviewed(seed, TWO_STAGES, {}),
  },
  {
    name: 'first stage of a review is enough',
    promise: 3,
    what: 'An approval of two stages counts as granted when the first person said yes.',
    patches: [
      {
        file: 'src/ledger/approval-decisions.ts',
        find: 'return grants.length < now.stages.length',
        replace: 'return grants.length < Math.min(1, now.stages.length)',
      },
    ],
    caughtBy: ['stage-not-passed'],
    life: (seed) => reviewed(seed, TWO_STAGES, { script: [{ at: REVIEW_MS, act: looksAt('bob') }] }),
  },
  {
    name: 'anybody passes any stage',
    promise: 3,
    what: 'A stage of a review is passed by somebody who is not asked there.',
    patches: [
      {
        file: 'src/ledger/approval-decisions.ts',
        find: 'return stage !== undefined && (stage.length === 0 ||',
        replace: 'return stage !== undefined && (stage.length >= 0 ||',
      },
    ],
    caughtBy: ['stage-not-passed'],
    life: (seed) =>
      reviewed(seed, TWO_STAGES, {
        script: [
          { at: REVIEW_MS, act: looksAt('dora') },
          { at: REVIEW_MS + MINUTE_MS, act: looksAt('emil') },
        ],
      }),
  },
  {
    name: 'purge date moved earlier by one person',
    promise: 4,
    what: 'Archives get an earlier purge date because one person said so.',
    patches: [
      {
        file: 'src/lifecycle/reschedule.ts',
        find: 'await approvalOf(context, plan, by)',
        replace: '(await Promise.resolve(by))',
      },
    ],
    caughtBy: ['rescheduled-without-approval'],
    life: (seed) => life(seed, { days: 1, script: [{ at: FIRST_SWEEP_MS + HOUR_MS, act: reschedule(1) }] }),
  },
  {
    name: 'purge dates moved that nobody was shown',
    promise: 4,
    what: 'A yes for some archives lets all archives of the request be moved, those that came since among them.',
    patches: [{ file: 'src/lifecycle/reschedule.ts', find: 'earlier.every(', replace: 'earlier.some(' }],
    caughtBy: ['rescheduled-without-approval'],
    life: (seed) =>
      life(seed, {
        days: 2,
        records: [record('r0', -3), record('r1', -1.7)],
        script: [
          { at: FIRST_SWEEP_MS + HOUR_MS, act: reschedule(1) },
          { at: FIRST_SWEEP_MS + 2 * HOUR_MS, act: grantAll },
          { at: FIRST_SWEEP_MS + ROUND_MS + HOUR_MS, act: reschedule(1) },
        ],
      }),
  },
  {
    name: 'later purge date noted and not kept',
    promise: 4,
    what: 'That a person gave an archive a later purge date is written down, and the old date stays.',
    patches: [
      {
        file: 'src/lifecycle/reschedule.ts',
        find: '{ dueAt: step.to, rescheduled',
        replace: '{ dueAt: step.from, rescheduled',
      },
    ],
    caughtBy: ['purged-early'],
    life: (seed) => life(seed, { script: [{ at: FIRST_SWEEP_MS + HOUR_MS, act: reschedule(8) }] }),
  },
  {
    name: 'version that deletes more at once',
    promise: 4,
    what: 'A version that lets records go sooner is in force when it was granted, and nobody has the grace to look at it.',
    patches: [
      {
        file: 'src/lifecycle/publish-policy.ts',
        find: "if (approval === null && context.installation.environment === 'sandbox') return null;",
        replace: "if (approval !== null || context.installation.environment === 'sandbox') return null;",
      },
    ],
    caughtBy: ['policy-bites-early'],
    life: (seed) => life(seed, { records: YOUNG, script: approved(publish({ activeDays: 1 }), 10 * MINUTE_MS) }),
  },
  {
    name: 'version that deletes more by one person',
    promise: 3,
    what: 'A version that lets records go sooner takes no second person.',
    patches: [
      {
        file: 'src/lifecycle/publish-policy.ts',
        find: 'needsApproval: isMore && isRequired',
        replace: 'needsApproval: isMore && !isRequired',
      },
    ],
    caughtBy: ['act-without-approval'],
    life: (seed) =>
      life(seed, { days: 1, records: YOUNG, script: [{ at: MINUTE_MS, act: publish({ activeDays: 1 }) }] }),
  },
  {
    name: 'runs take the version that is to come',
    promise: 4,
    what: 'Runs plan under the version that was published last, in force or not.',
    patches: [
      {
        file: 'src/ledger/policies.ts',
        find: 'return changeInForce(changes, at ?? (await store.serverTime()))?.version ?? null;',
        replace: 'return (at === null ? changes.at(-1) : changeInForce(changes, at))?.version ?? null;',
      },
    ],
    caughtBy: ['policy-bites-early'],
    life: (seed) => life(seed, { records: YOUNG, script: approved(publish({ activeDays: 1 }), 10 * MINUTE_MS) }),
  },
  {
    name: 'run goes on under another version',
    promise: 4,
    what: 'An archive that is carried on gets the version of its policy that is in force by then.',
    patches: [
      {
        file: 'src/lifecycle/carry-on.ts',
        find: 'import { type ArchiveLease, claimArchive,',
        replace: 'import { amendArchive, type ArchiveLease, claimArchive,',
      },
      {
        file: 'src/lifecycle/carry-on.ts',
        find: "import { pinnedPolicy } from './published.ts';",
        replace: "import { pinnedPolicy, policiesToRun } from './published.ts';",
      },
      {
        file: 'src/lifecycle/carry-on.ts',
        find: 'const { policyVersion: pinned } = document;',
        replace: `const [inForce = given] = await policiesToRun(context.store, [document.policy]);
    if (policyVersion(inForce) !== document.policyVersion) await amendArchive(lease, { policyVersion: policyVersion(inForce) });
    document = lease.document;
    const { policyVersion: pinned } = document;`,
      },
    ],
    caughtBy: ['run-changed-policy'],
    life: (seed) =>
      life(seed, {
        policy: { verify: 'inventory' },
        days: 3,
        script: [{ at: FIRST_SWEEP_MS + HOUR_MS, act: publish({ activeDays: 3 }, 'inventory') }],
      }),
  },
  {
    name: 'offboarding deletes what changed since the export',
    promise: 1,
    what: 'A record of a customer who leaves goes as it is, and not as it was handed over.',
    patches: [
      {
        file: 'src/lifecycle/offboard-records.ts',
        find: "return { record, stays: 'changed' };",
        replace: 'return { record: there, stays: null };',
      },
    ],
    caughtBy: ['left-unreturned'],
    life: (seed) =>
      life(seed, {
        days: 1,
        records: YOUNG,
        script: [
          { at: MINUTE_MS, act: EXPORT },
          { at: 10 * MINUTE_MS, act: update('r0') },
          ...approved(OFFBOARD, 20 * MINUTE_MS),
        ],
      }),
  },
  {
    name: 'offboarding by one person',
    promise: 3,
    what: 'All of a customer is destroyed because one person said so.',
    patches: [
      {
        file: 'src/lifecycle/offboard.ts',
        find: 'await requireApproval(context, { ...requestOf(plan), spendFor: offboarding }, order.saidBy)',
        replace: '{ approval: requestOf(plan).kind }',
      },
    ],
    caughtBy: ['act-without-approval'],
    life: (seed) =>
      life(seed, {
        days: 1,
        records: YOUNG,
        script: [
          { at: MINUTE_MS, act: EXPORT },
          { at: 20 * MINUTE_MS, act: OFFBOARD },
        ],
      }),
  },
  {
    name: 'offboarding purges what was not handed over',
    promise: 1,
    what: 'Every archive of a customer who leaves goes, those that came after the export among them.',
    patches: [
      {
        file: 'src/lifecycle/offboard-archives.ts',
        find: 'const reason = mayGo.has(archive)',
        replace: 'const reason = mayGo.size < all.length || mayGo.has(archive)',
      },
    ],
    caughtBy: ['left-unreturned', 'act-without-approval'],
    life: (seed) =>
      life(seed, {
        days: 2,
        script: [{ at: MINUTE_MS, act: EXPORT }, ...approved(OFFBOARD, FIRST_SWEEP_MS + 3 * HOUR_MS)],
      }),
  },
];
