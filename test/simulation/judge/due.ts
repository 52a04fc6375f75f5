/**
 * When a record may go at the earliest, and has to at the latest: the judge's own reading of what docs/policies.md says of
 * events, tiers, look-ups, rules and exceptions. Where it cannot be told what a decision saw (an account that changed within
 * hours, an exception that was granted meanwhile), either counts.
 */
import type { KnownException } from './approvals.ts';
import { type Account, CLOCK_TOLERANCE_MS, DAY_MS, type Known } from './known.ts';
import type { Instant, PolicyFacts, RawDocument, RuleFacts } from './observations.ts';
import { SCOPES } from './policy-versions.ts';
import type { RecordFacts } from './record-facts.ts';

/** A run reads exceptions and accounts once, and may take so long until it writes its last plan. */
const RUN_MS = 6 * 3_600_000;

/** The collection that look-ups of a simulated life look into. */
export const ACCOUNTS = 'data.accounts';

/** Why it is not time for what was ordered yet; null: it is. */
export function faultOfTime(
  known: Known,
  policies: readonly PolicyFacts[],
  facts: RecordFacts,
  order: RawDocument | null,
  now: Instant,
): { readonly why: 'not due' | 'kept'; readonly text: string } | null {
  if (facts.trigger === null) return null;
  const decidedAt = known.decidedAt(order);
  const due = earliestByPolicy(known, policies, facts, decidedAt);
  if (due > now + CLOCK_TOLERANCE_MS) return { why: 'not due', text: `is due at ${iso(due)}` };
  const kept = earliestDue(known, policies, facts, decidedAt);
  if (kept <= now + CLOCK_TOLERANCE_MS) return null;
  const names = policies.map((policy) => retainedBy(known, policy, facts, decidedAt)?.exception.id);
  return { why: 'kept', text: `is kept until ${iso(kept)} by exception ${names.join(', ')}` };
}

/** The earliest instant at which a decision of `decidedAt` may take the record; null: whenever that was. */
function earliestDue(
  known: Known,
  policies: readonly PolicyFacts[],
  facts: RecordFacts,
  decidedAt: Instant | null,
): Instant {
  return Math.min(
    ...policies.map((policy) => {
      const retained = retainedBy(known, policy, facts, decidedAt);
      return Math.max(dueByPolicy(known, policy, facts, decidedAt), retained?.until ?? Number.NEGATIVE_INFINITY);
    }),
  );
}

/** Without what longer exceptions say. */
function earliestByPolicy(
  known: Known,
  policies: readonly PolicyFacts[],
  facts: RecordFacts,
  decidedAt: Instant | null,
): Instant {
  return Math.min(...policies.map((policy) => dueByPolicy(known, policy, facts, decidedAt)));
}

export function earliestPurge(
  known: Known,
  policies: readonly PolicyFacts[],
  facts: RecordFacts,
  decidedAt: Instant | null,
): Instant {
  return Math.min(
    ...policies.map((policy) => earliestDue(known, [policy], facts, decidedAt) + policy.archiveDays * DAY_MS),
  );
}

/** Whatever was decided, and whenever: no copy has to be kept longer. */
export function latestPurge(known: Known, policies: readonly PolicyFacts[], facts: RecordFacts): Instant {
  return Math.max(
    ...policies.map((policy) => {
      const starts = accountsSince(known, facts.customer, null).map((account) => startOf(policy, facts, account));
      const longer = exceptionsFor(known, policy, facts, 'longer').map(({ activeDays }) => activeDays);
      const ruled = (policy.rules ?? []).flatMap(({ retainDays, deleteDays }) => [retainDays ?? 0, deleteDays ?? 0]);
      const days = [policy.activeDays, policy.longDays ?? 0, policy.vipDays ?? 0, ...longer, ...ruled];
      return Math.max(...starts) + (Math.max(...days) + policy.archiveDays) * DAY_MS;
    }),
  );
}

/** As things are now, for what nobody has touched for a while. */
export function dueNow(known: Known, policy: PolicyFacts, facts: RecordFacts, now: Instant): Instant {
  const account = known.accounts.get(facts.customer ?? '')?.at(-1) ?? null;
  const start = startOf(policy, facts, account);
  const longer = exceptionsFor(known, policy, facts, 'longer').map((exception) =>
    Math.min(start + exception.activeDays * DAY_MS, lastDay(policy, exception)),
  );
  const shorter = exceptionsFor(known, policy, facts, 'shorter').flatMap((exception) =>
    endOf(exception) === null && exception.isCertain && (exception.grantedAt ?? now) + policy.graceDays * DAY_MS < now
      ? [Math.max(start + exception.activeDays * DAY_MS, bitesAt(policy, exception))]
      : [],
  );
  const chosen = Math.min(start + chosenDays(policy, facts, account) * DAY_MS, ...shorter);
  return Math.max(chosen, start + retainedDays(policy, facts) * DAY_MS, ...longer);
}

/** The longer exception that keeps the record longest, for a decision of that time. */
function retainedBy(
  known: Known,
  policy: PolicyFacts,
  facts: RecordFacts,
  decidedAt: Instant | null,
): { readonly exception: KnownException; readonly until: Instant } | null {
  if (decidedAt === null) return null;
  const starts = accountsSince(known, facts.customer, decidedAt).map((account) => startOf(policy, facts, account));
  const start = Math.min(...starts);
  let found: { readonly exception: KnownException; readonly until: Instant } | null = null;
  for (const exception of exceptionsFor(known, policy, facts, 'longer')) {
    if (!exception.isCertain || (exception.grantedAt ?? decidedAt) > decidedAt - RUN_MS) continue;
    const until = Math.min(start + exception.activeDays * DAY_MS, lastDay(policy, exception));
    if (until > (found?.until ?? Number.NEGATIVE_INFINITY)) found = { exception, until };
  }
  return found;
}

/** The earliest of all that what was looked up may have said. */
function dueByPolicy(known: Known, policy: PolicyFacts, facts: RecordFacts, decidedAt: Instant | null): Instant {
  return Math.min(
    ...accountsSince(known, facts.customer, decidedAt).map((account) => {
      const start = startOf(policy, facts, account);
      const shorter = exceptionsFor(known, policy, facts, 'shorter')
        .filter((exception) => decidedAt === null || (endOf(exception) ?? decidedAt) > decidedAt - RUN_MS)
        .map((exception) => Math.max(start + exception.activeDays * DAY_MS, bitesAt(policy, exception)));
      const chosen = Math.min(start + chosenDays(policy, facts, account) * DAY_MS, ...shorter);
      return Math.max(chosen, start + retainedDays(policy, facts) * DAY_MS);
    }),
  );
}

/** What periods count from: the creation, the latest of all events, or the date that the account has. */
function startOf(
  { latestDays, events = ['closed'], expires }: PolicyFacts,
  { trigger, closed, solved }: RecordFacts,
  account: Account | null,
): Instant {
  const created = trigger ?? Number.NaN;
  if (latestDays === undefined) return created;
  const happened =
    expires === true ? [account?.until ?? null] : events.map((name) => ({ closed, solved })[name] ?? null);
  const known = happened.filter((at): at is Instant => at !== null);
  // As long as one of them is missing, it waits for that one until the last day.
  const waits = known.length < happened.length ? [created + latestDays * DAY_MS] : [];
  return Math.max(created, ...known, ...waits);
}

/** Days until its disposition: what the most special rule says that says anything (between equals the shorter), else the policy's own. */
function chosenDays(policy: PolicyFacts, facts: RecordFacts, account: Account | null): number {
  const { activeDays, longDays, vipDays } = policy;
  const tier = account?.plan === 'long' ? longDays : facts.label === 'vip' ? vipDays : undefined;
  let chosen = { rank: 0, days: tier ?? activeDays };
  for (const { scope, deleteDays } of rulesAbout(policy, facts)) {
    const rank = SCOPES.indexOf(scope) + 1;
    if (deleteDays === null || rank < chosen.rank || (rank === chosen.rank && deleteDays >= chosen.days)) continue;
    chosen = { rank, days: deleteDays };
  }
  return chosen.days;
}

/** What retains beats what deletes, and of what retains the longest counts. */
function retainedDays(policy: PolicyFacts, facts: RecordFacts): number {
  return Math.max(0, ...rulesAbout(policy, facts).map(({ retainDays }) => retainDays ?? 0));
}

function rulesAbout({ rules = [] }: PolicyFacts, facts: RecordFacts): readonly RuleFacts[] {
  return rules.filter(
    ({ owner, customer, topic }) =>
      (owner === null || owner === facts.owner) &&
      (customer === null || customer === facts.customer) &&
      (topic === null || topic === facts.topic),
  );
}

/** What the account of a customer has said since shortly before; null among them: there was none. */
function accountsSince(known: Known, customer: string | null, since: Instant | null): readonly (Account | null)[] {
  const history = known.accounts.get(customer ?? '') ?? [];
  const from = (since ?? Number.NEGATIVE_INFINITY) - RUN_MS;
  const before = history.findLast(({ at }) => at <= from) ?? null;
  return [before, ...history.filter(({ at }) => at > from)];
}

/** Those that were granted, and cover the record. */
function exceptionsFor(
  known: Known,
  policy: PolicyFacts,
  facts: RecordFacts,
  effect: KnownException['effect'],
): readonly KnownException[] {
  return [...known.exceptions.values()].filter(
    (exception) =>
      exception.grantedAt !== null &&
      exception.effect === effect &&
      exception.policy === policy.name &&
      (exception.owner === null || exception.owner === facts.owner) &&
      (exception.customer === null || exception.customer === facts.customer) &&
      (exception.labels === null || (facts.label !== null && exception.labels.includes(facts.label))),
  );
}

function bitesAt({ graceDays }: PolicyFacts, { grantedAt }: KnownException): Instant {
  return (grantedAt ?? Number.POSITIVE_INFINITY) - CLOCK_TOLERANCE_MS + graceDays * DAY_MS;
}

function endOf({ until, endedAt }: KnownException): Instant | null {
  return until === null ? endedAt : Math.min(until, endedAt ?? until);
}

/** Until the grace after its end it keeps what it kept. */
function lastDay({ graceDays }: PolicyFacts, exception: KnownException): Instant {
  const end = endOf(exception);
  return end === null ? Number.POSITIVE_INFINITY : end + graceDays * DAY_MS - CLOCK_TOLERANCE_MS;
}

function iso(instant: Instant): string {
  return Number.isFinite(instant) ? new Date(instant).toISOString() : String(instant);
}
