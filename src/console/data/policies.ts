/** Policies in force, with what they came to. */
import { CronExpressionParser } from 'cron-parser';
import { changeComing, changeInForce, inForceSince, type PolicyChange, policyHistory } from '../../ledger/policies.ts';
import type { OldestRecord } from '../../lifecycle/oldest-records.ts';
import { pinnedPolicy, policiesToRun } from '../../lifecycle/published.ts';
import { differenceOf, type FieldChange } from '../../policy/difference.ts';
import { type Policy, policyVersion } from '../../policy/policy.ts';
import { type Sight, SOURCE_PATIENCE_MS } from '../sight.ts';
import type { PolicyFigures } from '../snapshot.ts';
import { lastGoodRuns } from './runs.ts';

export interface PolicyView {
  readonly name: string;
  readonly version: string;
  readonly inForceSince: Date | null;
  readonly publishedBy: string | null;
  readonly versions: number;
  readonly policy: Policy;
  readonly nextRun: Date | null;
  readonly lastGoodRun: Date | null;
  readonly figures: PolicyFigures | null;
  readonly oldestRecord: OldestRecord | null;
  /** Published, and in force from a later instant. */
  readonly coming: ComingVersion | null;
}

export interface ComingVersion {
  readonly version: string;
  readonly publishedBy: string;
  readonly publishedAt: Date;
  readonly approval: string | null;
  readonly from: Date;
  /** Against what is in force. */
  readonly changes: readonly FieldChange[];
}

export async function readPolicies(sight: Sight): Promise<readonly PolicyView[]> {
  const { store, clock } = sight.context;
  const [policies, snapshot, oldest, goodRuns] = await Promise.all([
    policiesToRun(store, null),
    sight.snapshot.get(),
    sight.oldest.within(SOURCE_PATIENCE_MS),
    lastGoodRuns(store),
  ]);
  return await Promise.all(
    policies.map(async (policy) => {
      const history = await policyHistory(store, policy.name);
      const current = changeInForce(history, clock.now());
      return {
        name: policy.name,
        version: policyVersion(policy),
        inForceSince: current === null ? null : inForceSince(current),
        publishedBy: current?.by ?? null,
        versions: new Set(history.map(({ version }) => version)).size,
        policy,
        nextRun: nextRun(policy, clock.now()),
        lastGoodRun: goodRuns.get(policy.name) ?? null,
        figures: snapshot.policies.get(policy.name) ?? null,
        oldestRecord: oldest?.find((record) => record.policy === policy.name) ?? null,
        coming: await comingOf(sight, policy, changeComing(history, clock.now())),
      };
    }),
  );
}

async function comingOf(
  { context }: Sight,
  inForce: Policy,
  change: PolicyChange | null,
): Promise<ComingVersion | null> {
  if (change === null) return null;
  const { version, by, at, approval = null } = change;
  const changes = differenceOf(inForce, await pinnedPolicy(context.store, version));
  return { version, publishedBy: by, publishedAt: at, approval, from: inForceSince(change), changes };
}

/** When the schedule comes round next; null for a policy that is run by hand. */
export function nextRun(policy: Pick<Policy, 'schedule' | 'zone'>, now: Date): Date | null {
  if (policy.schedule === null) return null;
  return CronExpressionParser.parse(policy.schedule, { currentDate: now, tz: policy.zone }).next().toDate();
}
