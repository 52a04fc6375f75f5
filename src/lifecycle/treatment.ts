/** What a policy has done to records in place, made ready for the records of one owner. */
import { createHmac, createSecretKey } from 'node:crypto';
import type { OwnerId } from '../ids.ts';
import { type Policy, policyVersion } from '../policy/policy.ts';
import { treatmentId } from '../policy/treatment.ts';
import type { Treatment } from '../source/port.ts';
import type { Context } from './context.ts';

/**
 * Pseudonyms have a key of their own, made of the owner's HMAC key: nobody who may compute the codes of facets and record
 * keys, which stand in the ledger, has to be given it. No facet and no record key is this text (the first are JSON, the
 * others begin with a type).
 */
const PSEUDONYM_PURPOSE = 'moraine pseudonyms 1';

/** Null: the policy treats nothing, or not what is done here. `at` goes into the markers. */
export async function treatmentOf(
  context: Context,
  policy: Policy,
  owner: OwnerId,
  at: Date,
): Promise<Treatment | null> {
  if (policy.treat === undefined) return null;
  const ownerHmac = await context.keys.hmacFor(owner);
  const key = createSecretKey(ownerHmac(PSEUDONYM_PURPOSE));
  return {
    fields: policy.treat,
    version: policyVersion(policy),
    id: treatmentId(policy.treat),
    at,
    hmac: (data) => createHmac('sha256', key).update(data).digest(),
  };
}
