import { Temporal } from 'temporal-polyfill';
import { z } from 'zod';
import type { Call, Reply } from './call.ts';
import { invalidParameter, limitExceeded, missingParameter } from './errors.ts';
import { ACCOUNT, newCapacityId } from './identifiers.ts';
import type { RetrievalPolicy } from './records.ts';

/** What belongs to the account in a region, not to a vault: its data retrieval policy and its provisioned capacity. */

/** "Two units of provisioned capacity per account". */
const MOST_CAPACITY_UNITS = 2;

const policySchema = z.object({
  Policy: z.object({
    Rules: z.array(z.object({ Strategy: z.string().nullish(), BytesPerHour: z.number().nullish() })),
  }),
});

export async function getDataRetrievalPolicy(call: Call): Promise<Reply> {
  const policy = call.accounts.get(call.region).retrievalPolicy;
  const bytesPerHour = policy.strategy === 'BytesPerHour' ? policy.bytesPerHour : null;
  return { status: 200, body: { Policy: { Rules: [{ BytesPerHour: bytesPerHour, Strategy: policy.strategy }] } } };
}

export async function setDataRetrievalPolicy(call: Call): Promise<Reply> {
  const body = policySchema.safeParse(call.json);
  if (!body.success) throw missingParameter('Policy');
  const { Rules } = body.data.Policy;
  const [rule] = Rules;
  if (rule === undefined || Rules.length > 1) {
    throw invalidParameter(`Invalid data retrieval policy: it has ${Rules.length} rules, exactly one is allowed`);
  }
  const retrievalPolicy = readRule(rule.Strategy ?? null, rule.BytesPerHour ?? null);
  await call.accounts.change(call.region, () => ({ retrievalPolicy }));
  return { status: 204 };
}

export async function listProvisionedCapacity(call: Call): Promise<Reply> {
  const units = unitsInForce(call);
  const list = units.map(({ id, startMs, expiresAtMs }) => ({
    CapacityId: id,
    StartDate: new Date(startMs).toISOString(),
    ExpirationDate: new Date(expiresAtMs).toISOString(),
  }));
  return { status: 200, body: { ProvisionedCapacityList: list } };
}

export async function purchaseProvisionedCapacity(call: Call): Promise<Reply> {
  const id = newCapacityId();
  await call.accounts.change(call.region, () => {
    const capacity = unitsInForce(call);
    if (capacity.length >= MOST_CAPACITY_UNITS) {
      throw limitExceeded(`The account has reached its limit of ${MOST_CAPACITY_UNITS} provisioned capacity units`);
    }
    const startMs = call.clock.nowMs();
    return { capacity: [...capacity, { id, startMs, expiresAtMs: oneMonthAfter(startMs) }] };
  });
  return {
    status: 201,
    headers: { location: `/${ACCOUNT}/provisioned-capacity/${id}`, 'x-amz-capacity-id': id },
  };
}

/** Units that were bought and have not expired. */
export function unitsInForce(call: Call) {
  const nowMs = call.clock.nowMs();
  return call.accounts.get(call.region).capacity.filter(({ expiresAtMs }) => nowMs < expiresAtMs);
}

/** "Exactly one month after the start date to the nearest second"; from a 31st to the last day of the next month. */
export function oneMonthAfter(startMs: number): number {
  const start = Temporal.Instant.fromEpochMilliseconds(Math.round(startMs / 1000) * 1000);
  return start.toZonedDateTimeISO('UTC').add({ months: 1 }).epochMilliseconds;
}

function readRule(strategy: string | null, bytesPerHour: number | null): RetrievalPolicy {
  if (strategy === null) throw missingParameter('Strategy');
  if (strategy === 'None' || strategy === 'FreeTier') {
    if (bytesPerHour !== null) {
      throw invalidParameter(`Invalid data retrieval policy: BytesPerHour is not for the strategy ${strategy}`);
    }
    return { strategy };
  }
  if (strategy !== 'BytesPerHour') throw invalidParameter(`Invalid data retrieval strategy: ${strategy}`);
  if (bytesPerHour === null) throw missingParameter('BytesPerHour');
  if (!Number.isInteger(bytesPerHour) || bytesPerHour < 1) {
    throw invalidParameter(`Invalid BytesPerHour: ${bytesPerHour}. It must be a positive whole number.`);
  }
  return { strategy, bytesPerHour };
}
