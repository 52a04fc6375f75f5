/**
 * A policy in its one normal form: defaults spelled out, periods as canonical ISO text, plain JSON. The same policy in
 * other words ("24 months" for "2 years", defaults written or left out) has the same form and so the same version.
 */
import { hashCanonicalJson } from '../canonical-json.ts';
import { id, type Namespace, type PolicyVersion, type VaultKey } from '../ids.ts';
import type { DatasetShape, FieldOrValue } from '../source/port.ts';

export interface Policy {
  /** Version of this form. It is part of what is hashed. */
  readonly v: 1;
  readonly name: string;
  /** IANA name. */
  readonly zone: string;
  readonly dataset: {
    readonly collection: Namespace;
    readonly owner: FieldOrValue;
    readonly customer: FieldOrValue;
    readonly version: string | null;
    /** Facet name -> field. */
    readonly facets: Readonly<Record<string, string>>;
  };
  readonly trigger: {
    /** `expires`: the field holds the date on which the record itself is due. */
    readonly kind: 'date' | 'objectId' | 'expires';
    readonly field: string;
  };
  /** ISO 8601 period; null exactly when the trigger is of kind `expires`. */
  readonly active: string | null;
  readonly disposition: 'archive';
  readonly archive: {
    /** ISO 8601 period, counted from the end of the active period. */
    readonly for: string;
    readonly vault: VaultKey;
    readonly verify: 'checksum' | 'inventory';
    readonly dueWindow: string;
    readonly maxWait: string;
  };
  readonly grace: string;
  readonly limits: BlastCaps;
  /** Cron line in the policy's zone; null: only by hand. */
  readonly schedule: string | null;
}

/** Null is a cap that is missing or makes no sense: it lets nothing through. */
export interface BlastCaps {
  /** A whole number, 1 or more. */
  readonly records: number | null;
  /** Above 0, at most 1. */
  readonly share: number | null;
}

/** SHA-256 (hex) of the canonical JSON of the normal form: what a published policy is known by. */
export function policyVersion(policy: Policy): PolicyVersion {
  return id.policyVersion(hashCanonicalJson(policy));
}

/** How the source must read the dataset. */
export function toShape(policy: Policy): DatasetShape {
  const { dataset, trigger } = policy;
  return {
    namespace: dataset.collection,
    owner: dataset.owner,
    customer: dataset.customer,
    trigger: { field: trigger.field, kind: trigger.kind === 'objectId' ? 'objectId' : 'date' },
    ...(dataset.version === null ? {} : { version: dataset.version }),
    facets: dataset.facets,
  };
}
