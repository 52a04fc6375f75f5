/**
 * What will be in force for an owner, and what was to be and will not: published versions that wait for their instant,
 * against those that the owner was told of. A version that says nothing else for the owner is none of its news; once it is
 * in force that is told like any other (src/lifecycle/notify.ts).
 */
import type { OwnerId } from '../ids.ts';
import type { PolicyChange } from '../ledger/policies.ts';
import { type ComingVersion, type FoundNews, NOTHING_TOLD, type Told } from '../ledger/told.ts';
import type { ComingNews, ComingPolicyNews } from '../notify/telling.ts';
import type { Policy } from '../policy/policy.ts';
import { type Terms, termsOf } from '../policy/terms.ts';
import type { Context } from './context.ts';
import { canMeet, type PolicyInForce } from './owner-in-force.ts';

/** A policy in force, and the version of it that comes. */
export interface PolicyComing extends PolicyInForce {
  readonly next: { readonly policy: Policy; readonly from: Date; readonly version: string } | null;
}

export function comingNews(
  { installation }: Context,
  owner: OwnerId,
  all: readonly PolicyComing[],
  before: Told | null,
): FoundNews | null {
  const told = before ?? NOTHING_TOLD;
  const terms = (policy: Policy): Terms | null =>
    canMeet(policy, owner) ? termsOf(policy, { owner, customer: null }, installation.environment) : null;
  const coming: ComingVersion[] = [];
  const policies: ComingPolicyNews[] = [];
  for (const { policy, next, history } of all) {
    const now = terms(policy);
    const earlier = told.coming.filter((one) => one.policy === policy.name);
    for (const { version, from } of earlier.filter((one) => wasTakenBack(history, one)))
      policies.push({ policy: policy.name, change: 'withdrawn', version, from, now, next: null });
    if (next === null) continue;
    const then = terms(next.policy);
    if (JSON.stringify(then) === JSON.stringify(now)) continue;
    const one = { policy: policy.name, version: next.version, from: next.from.toISOString() };
    coming.push(one);
    if (!earlier.some(({ version, from }) => version === one.version && from === one.from))
      policies.push({ ...one, change: 'coming', now, next: then });
  }
  if (policies.length === 0) return null;
  const news: ComingNews = { kind: 'coming', policies };
  return { news, told: { ...told, coming } };
}

/** Replaced before it was in force: by another publication, or by that of what is in force. */
function wasTakenBack(history: readonly PolicyChange[], { version, from }: ComingVersion): boolean {
  return history.some(
    (change) =>
      change.version === version && change.effectiveAt?.toISOString() === from && change.replacedAt !== undefined,
  );
}
