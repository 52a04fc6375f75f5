/** What a policy has done to records in place, made ready for the records of one owner. */
import { createHmac, createSecretKey } from 'node:crypto';
import { MoraineError } from '../errors.ts';
import type { CustomerId, OwnerId } from '../ids.ts';
import type { ReadyBranch } from '../policy/choice.ts';
import { compile } from '../policy/compile.ts';
import { type Policy, policyVersion } from '../policy/policy.ts';
import type { Treatment } from '../source/port.ts';
import type { Context, Environment } from './context.ts';

/**
 * Pseudonyms have a key of their own, made of the owner's HMAC key: nobody who may compute the codes of facets and record
 * keys, which stand in the ledger, has to be given it. No facet and no record key is this text (the first are JSON, the
 * others begin with a type).
 */
const PSEUDONYM_PURPOSE = 'moraine pseudonyms 1';

/** Null: this branch treats nothing. `at` goes into the markers. */
export async function treatmentOf(
  context: Context,
  policy: Policy,
  { treat, treatment }: ReadyBranch,
  owner: OwnerId,
  at: Date,
): Promise<Treatment | null> {
  if (treat === null || treatment === null) return null;
  const ownerHmac = await context.keys.hmacFor(owner);
  const key = createSecretKey(ownerHmac(PSEUDONYM_PURPOSE));
  return {
    fields: treat,
    version: policyVersion(policy),
    id: treatment,
    at,
    hmac: (data) => createHmac('sha256', key).update(data).digest(),
  };
}

/**
 * What happens to the records of one owner and customer; `key`: that of the branch, where there are several. In a
 * non-production source nothing outlives its active use, so nothing is archived.
 */
export function branchOf(
  policy: Policy,
  environment: Environment,
  of: { readonly owner: OwnerId; readonly customer: CustomerId; readonly branch?: string | undefined },
): ReadyBranch {
  const compiled = compile(policy, { exceptions: [], environment });
  const [branch] = compiled.of(of.owner, of.customer).taking(of.branch).branches;
  if (branch !== undefined) return branch;
  throw new MoraineError('INTERNAL', `Policy ${policy.name} does not say what happens to what is due.`);
}
