/**
 * An exception: for an owner, a customer, or records with a value, a longer or a shorter time than the policy says. It
 * is a document of the ledger and no policy text: it has a requester, an approver and an end, and comes and goes without
 * a new version of the policy. This is what a decision needs to know of one that was granted.
 */
import type { CustomerId, OwnerId } from '../ids.ts';

export interface ExceptionRule {
  readonly id: string;
  /** `longer` retains until trigger + `active`. `shorter` is a date of disposition that beats the policy's own; what retains still wins. */
  readonly effect: 'longer' | 'shorter';
  /** ISO 8601 period, counted from the trigger. */
  readonly active: string;
  /** What it covers; null members cover all. */
  readonly scope: {
    readonly owner: OwnerId | null;
    readonly customer: CustomerId | null;
    /** A field of the record that has one of these values, as text. */
    readonly value: { readonly field: string; readonly is: readonly string[] } | null;
  };
  /** ms. It does nothing before. */
  readonly from: number;
  /** ms. Its end; null: none. A longer one still retains until the policy's grace after it, so that nothing goes on that day. */
  readonly until: number | null;
  /** ms. A shorter one does nothing before: granted + the policy's grace. Not looked at for a longer one. */
  readonly bitesAt: number;
}
