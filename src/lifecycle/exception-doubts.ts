/** What may be a slip in an exception and is not refused: a policy may change, and records may come. */
import { addPeriod, DAY_MS, periodOf, periodWords } from '../policy/period.ts';
import type { Policy } from '../policy/policy.ts';
import { isAtLeast, onlyPeriod } from '../policy/shortest.ts';
import { type Context, dueNow } from './context.ts';
import type { ExceptionRequest } from './exception.ts';

/** By so many days at most "1 month" and "30 days", "1 year" and "365 days" differ from one day to another. */
const CALENDAR_DAYS = 3;

export function doubtsOfException(
  context: Context,
  policy: Policy,
  request: Pick<ExceptionRequest, 'owner' | 'customer' | 'effect' | 'active'>,
): readonly string[] {
  const { owner, customer, effect, active } = request;
  const of = policy.dataset;
  const doubts: string[] = [];
  if (owner !== null && !context.owners.has(owner)) doubts.push(`moraine.yaml has no owner ${owner}.`);
  if (owner !== null && 'value' in of.owner && of.owner.value !== owner)
    doubts.push(`All records of policy ${policy.name} are of owner ${of.owner.value}: it fits none.`);
  if (customer !== null && 'value' in of.customer && of.customer.value !== customer)
    doubts.push(`All records of policy ${policy.name} are of customer ${of.customer.value}: it fits none.`);
  const only = onlyPeriod(policy);
  if (typeof only !== 'string') return doubts;
  const [shorter, longer] = effect === 'longer' ? [active, only] : [only, active];
  const changesNothing = isAtLeast(longer, shorter) || daysBeyond(context, policy, longer, shorter) > CALENDAR_DAYS;
  if (changesNothing) {
    const [asked, has] = [active, only].map((period) => periodWords(periodOf(period)));
    doubts.push(`Policy ${policy.name} has ${has} for all its records: ${asked} makes no record's period ${effect}.`);
  }
  return doubts;
}

/** How many days later the first of two periods ends, if both begin now. */
function daysBeyond(context: Context, { zone }: Policy, longer: string, shorter: string): number {
  const now = dueNow(context).getTime();
  return (addPeriod(now, periodOf(longer), zone) - addPeriod(now, periodOf(shorter), zone)) / DAY_MS;
}
