/**
 * Putting a version of a policy into force. One that makes nothing deletable sooner is in force at once. One that may,
 * by the real data or by the texts alone, takes another person where approvals of the kind `policy` do, and comes into
 * force the grace of the policy in force after its publication, which is when people are told of it: they can still
 * object. In a sandbox that asks for no approval it is in force at once.
 *
 * What is granted is bound to both versions and to the counts at the instant of the request. Asked again, the same is
 * counted as of that instant: fewer is covered, more is another request. Runs that have begun keep their version.
 */
import type { Json } from '../canonical-json.ts';
import { MoraineError } from '../errors.ts';
import type { PolicyVersion } from '../ids.ts';
import { liveApprovals } from '../ledger/approvals.ts';
import { publishPolicy } from '../ledger/policies.ts';
import { deletesMore, type MoreDeletable } from '../policy/deletes-more.ts';
import { changeWords } from '../policy/difference.ts';
import { addPeriod, periodOf } from '../policy/period.ts';
import { type Policy, policyVersion } from '../policy/policy.ts';
import { type ApprovalRequest, isApprovalRequired, requireApproval, shownOf } from './approval.ts';
import { CHANGES, type Changes, comparePolicies, type PolicyComparison } from './compare-policies.ts';
import { type Context, dueNow } from './context.ts';

export interface WeighedPublication {
  readonly old: Policy | null;
  readonly next: Policy;
  /** Null: the first version, and nobody has to approve it. */
  readonly comparison: PolicyComparison | null;
  readonly reasons: readonly MoreDeletable[];
  /** It may let records go sooner, or leaves nothing of them sooner. */
  readonly isSooner: boolean;
  readonly needsApproval: boolean;
}

export interface Published {
  readonly outcome: 'published' | 'unchanged';
  readonly previous: PolicyVersion | null;
  /** Null: at once. */
  readonly effectiveAt: Date | null;
  readonly approval: string | null;
}

/** What a version would change. `old`: what is in force. Reads only. */
export async function weighPublication(
  context: Context,
  old: Policy | null,
  next: Policy,
): Promise<WeighedPublication> {
  const isRequired = isApprovalRequired(context, 'policy');
  if (old === null && !isRequired)
    return { old, next, comparison: null, reasons: [], isSooner: false, needsApproval: false };
  const measuredAt = (await askedBefore(context, old, next)) ?? dueNow(context);
  const comparison = await comparePolicies(context, old, next, { measuredAt, examples: 0 });
  const reasons = old === null ? [] : deletesMore(old, next);
  const { earlier, goneSooner } = comparison.totals;
  const isSooner = earlier.records + goneSooner.records > 0 || reasons.some(({ kind }) => kind === 'sooner');
  const isMore = isSooner || reasons.length > 0 || old === null;
  return { old, next, comparison, reasons, isSooner, needsApproval: isMore && isRequired };
}

/** Throws APPROVAL_NEEDED and APPROVAL_REFUSED before anything is changed. */
export async function publishWeighed(context: Context, weighed: WeighedPublication, by: string): Promise<Published> {
  const { next, old, needsApproval } = weighed;
  const [to, from] = [policyVersion(next), old === null ? null : policyVersion(old)];
  const request = needsApproval ? requestOf(weighed) : null;
  const approval = request === null ? null : (await requireApproval(context, request, by)).approval;
  const effectiveAt = await beginOf(context, weighed, approval);
  const details = {
    ...{ version: to, previous: from },
    ...(effectiveAt === null ? {} : { effectiveAt: effectiveAt.toISOString() }),
    ...(approval === null ? {} : { approval }),
  };
  const namespace = next.dataset.collection;
  const entry = { act: 'policy publish', subject: { policy: next.name, namespace }, details };
  await context.audit.append([{ ...entry, phase: 'intent' }]);
  const policy: Json = JSON.parse(JSON.stringify(next));
  const { outcome, previous } = await publishPolicy(context.store, context.clock, {
    ...{ name: next.name, namespace, version: to, policy, by, asOf: context.asOf },
    ...(effectiveAt === null ? {} : { effectiveAt }),
    ...(approval === null ? {} : { approval }),
  });
  await context.audit.append([{ ...entry, phase: 'outcome', details: { ...details, outcome } }]);
  return { outcome, previous, effectiveAt, approval };
}

/**
 * When it comes into force; null: at once. Counted from now, by the ledger's clock: the instant in a grant is read before
 * the grant is written, and who asked may come back long after it; the grace has to follow both.
 */
async function beginOf(
  context: Context,
  { old, next, isSooner }: WeighedPublication,
  approval: string | null,
): Promise<Date | null> {
  // Of another collection nobody was promised anything yet; and one name stands for one collection at a time.
  if (old === null || !isSooner || old.dataset.collection !== next.dataset.collection) return null;
  if (approval === null && context.installation.environment === 'sandbox') return null;
  const now = context.asOf ?? (await context.store.serverTime());
  return new Date(addPeriod(now.getTime(), periodOf(old.grace), old.zone));
}

function requestOf(weighed: WeighedPublication): ApprovalRequest {
  const { old, next, comparison, reasons } = weighed;
  if (comparison === null) throw new MoraineError('INTERNAL', `Nobody has counted what ${next.name} would change.`);
  const { from, to, measuredAt, fields, records, totals, parties } = comparison;
  return {
    kind: 'policy',
    subject: { policy: next.name },
    shown: {
      ...{ policy: next.name, from, to, measuredAt: measuredAt.toISOString() },
      changes: fields.map(changeWords),
      moreDeletable: reasons.map(({ text }) => text),
      comesIntoForce:
        old === null || !weighed.isSooner ? 'at once' : `${old.grace} after it is published with the grant`,
      records,
      totals: amounts(totals),
      parties: parties.map(({ owner, customer, ...changes }) => ({ owner, customer, ...amounts(changes) })),
    },
    covers: (granted) => covers(granted, comparison),
    spendFor: `publication of ${to} at ${measuredAt.toISOString()}`,
  };
}

function amounts(changes: Changes) {
  return Object.fromEntries(CHANGES.map((change) => [change, { ...changes[change] }]));
}

/** Fails closed: what cannot be read of a grant covers nothing. */
function covers(granted: Json, { from, to, totals }: PolicyComparison): boolean {
  if (!isObject(granted) || granted['from'] !== from || granted['to'] !== to) return false;
  const were = granted['totals'];
  return CHANGES.every((change) => {
    const was = isObject(were) ? were[change] : undefined;
    const records = isObject(was) ? was['records'] : undefined;
    return typeof records === 'number' && totals[change].records <= records;
  });
}

/** As of when the same was asked for, so that what came since makes no other request of it. */
async function askedBefore(context: Context, old: Policy | null, next: Policy): Promise<Date | null> {
  if (!isApprovalRequired(context, 'policy')) return null;
  const [from, to] = [old === null ? null : policyVersion(old), policyVersion(next)];
  for (const { shown } of await liveApprovals(context.store, 'policy', { policy: next.name })) {
    const asked = shownOf(shown);
    if (!isObject(asked) || asked['from'] !== from || asked['to'] !== to) continue;
    const at = asked['measuredAt'];
    if (typeof at === 'string') return new Date(at);
  }
  return null;
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
