/**
 * A policy in its one normal form: defaults spelled out, periods as canonical ISO text, plain JSON. The same policy in
 * other words ("24 months" for "2 years", defaults written or left out) has the same form and so the same version.
 */
import { hashCanonicalJson } from '../canonical-json.ts';
import { MoraineError } from '../errors.ts';
import { id, type Namespace, type PolicyVersion, type VaultKey } from '../ids.ts';
import type { DatasetShape, FieldOrValue } from '../source/port.ts';

/** A value that a decision looks at: a field of the record, or of the document that a look-up finds for it. */
export type ValueRef = { readonly field: string } | { readonly lookUp: string; readonly field: string };

/** Finds one document for each record: the one in `collection` whose `key` (unique there) is the value of `from`. */
export interface LookUp {
  readonly collection: Namespace;
  readonly key: string;
  readonly from: ValueRef;
}

/** How long: one period for all records, or one that depends on the record. */
export type PeriodRule =
  /** ISO 8601 period; P0D ("completion"): none. */
  | string
  /** By tier: the value as text names the entry of `of`. */
  | {
      readonly by: 'owner' | 'customer' | ValueRef;
      readonly of: Readonly<Record<string, PeriodRule>>;
      readonly otherwise: PeriodRule;
    }
  /** As many months as the value says, and no more than `atMost`. `otherwise`: it says nothing. */
  | { readonly months: ValueRef; readonly atMost: number; readonly otherwise: string }
  /** Until the date that the value says (the life of a subscription), and no longer than `atMost` from where it counts. */
  | { readonly until: ValueRef; readonly atMost: string };

/** Records of another collection that belong to one root record, and go where it goes. */
export interface ChildRule {
  readonly collection: Namespace;
  /** Field of the child that names its root. */
  readonly key: string;
  /** Field of the root that the child's key equals. */
  readonly parent: string;
  /** Where a child says whose it is: checked against its root. */
  readonly owner?: FieldOrValue;
  readonly customer?: FieldOrValue;
  /** Guard field of the child. */
  readonly version?: string;
}

/** A file that hangs on a record. Deleted with it only where it is `exclusive`: no other record refers to it. */
export type AttachmentRule =
  | {
      readonly kind: 's3';
      /** Name under `attachments` in moraine.yaml. */
      readonly store: string;
      readonly bucket: FieldOrValue;
      /** Field with the object's key; may lie in an array. */
      readonly key: string;
      /** Field with the object's version id. */
      readonly version: string | null;
      readonly exclusive: boolean;
    }
  | {
      readonly kind: 'gridfs';
      readonly bucket: string;
      /** Field with the file's _id. */
      readonly file: string;
      readonly exclusive: boolean;
    };

export type Trigger =
  | {
      /** `expires`: the field holds the date on which the record itself is due. */
      readonly kind: 'date' | 'objectId' | 'expires';
      readonly field: string;
    }
  | {
      readonly kind: 'composite';
      /** The scan is ordered by it, and nothing counts from before it. */
      readonly created: { readonly kind: 'date' | 'objectId'; readonly field: string };
      /** Dates; the latest of them counts. One that is missing: the event has not happened. */
      readonly of: readonly ValueRef[];
      /** The latest of the dates is the due date itself. */
      readonly expires: boolean;
      /** ISO 8601 period from `created`, after which it counts although an event has not happened. */
      readonly latest: string;
    };

/** From general to special. */
export const SPECIFICITIES = ['organisation', 'owner', 'customer', 'dataset', 'label'] as const;

/** All members that are there must hold; null in a rule: always. */
export interface Condition {
  readonly owner?: readonly string[];
  readonly customer?: readonly string[];
  readonly value?: { readonly ref: ValueRef; readonly is: readonly string[] };
}

/** deleteAt = max(latest retain-until, chosen delete date); see precedence.ts. */
export interface RetentionRule {
  readonly name: string;
  readonly specificity: (typeof SPECIFICITIES)[number];
  readonly when: Condition | null;
  /** Counted from the trigger; one of them at least. */
  readonly retain?: PeriodRule;
  readonly delete?: PeriodRule;
}

export type Treatment = 'anonymise' | 'redact' | 'pseudonymise';

export interface FieldTreatment {
  readonly field: string;
  /** anonymise: removed; redact: replaced by a fixed text of its type; pseudonymise: by an HMAC under the owner's key. */
  readonly how: Treatment;
}

export type Disposition = 'archive' | 'delete' | 'treat';

/** What happens to a record that is due. `treat`: as in {@link Policy}. */
export interface Branch {
  readonly disposition: Disposition;
  readonly treat?: readonly FieldTreatment[];
}

/** One for all records, or one that depends on whose the record is or on what it says. */
export type DispositionRule =
  | Branch
  | {
      readonly by: 'owner' | 'customer' | ValueRef;
      readonly of: Readonly<Record<string, DispositionRule>>;
      readonly otherwise: DispositionRule;
    };

export interface ArchiveRule {
  /** Counted from the end of the active period; without `until`. */
  readonly for: PeriodRule;
  readonly vault: VaultKey;
  /** Of an s3 vault. Absent: the vault's own. */
  readonly storageClass?: StorageClass;
  readonly verify: 'checksum' | 'inventory';
  readonly dueWindow: string;
  readonly maxWait: string;
}

/** The classes of S3 that archives are stored in. */
export type StorageClass = 'GLACIER_IR' | 'GLACIER' | 'DEEP_ARCHIVE';

/** Members with `?` are absent where a policy does not use them, so that policies without them keep their version. */
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
    readonly lookUps?: Readonly<Record<string, LookUp>>;
    readonly children?: readonly ChildRule[];
    readonly attachments?: readonly AttachmentRule[];
  };
  readonly trigger: Trigger;
  /** null exactly when the trigger is itself the due date. */
  readonly active: PeriodRule | null;
  readonly rules?: readonly RetentionRule[];
  /** `chosen`: `dispositions` says which, and there is no `treat` here. */
  readonly disposition: Disposition | 'chosen';
  readonly dispositions?: DispositionRule;
  /** With `treat`: what is done in place. With `archive`: what is done in place once the copy is safe, instead of deleting. */
  readonly treat?: readonly FieldTreatment[];
  /** null exactly when nothing of it is archived. */
  readonly archive: ArchiveRule | null;
  readonly grace: string;
  readonly limits: BlastCaps;
  /** Cron line in the policy's zone; null: only by hand. */
  readonly schedule: string | null;
}

/** The archive part of a policy that archives. */
export function archiveOf(policy: Policy): ArchiveRule {
  if (policy.archive !== null) return policy.archive;
  throw new MoraineError('INTERNAL', `Policy ${policy.name} does not archive.`, { ids: { policy: policy.name } });
}

/** Also of a policy that has one disposition for all. */
export function dispositionRuleOf({ name, disposition, treat, dispositions }: Policy): DispositionRule {
  if (dispositions !== undefined) return dispositions;
  if (disposition !== 'chosen') return { disposition, ...(treat === undefined ? {} : { treat }) };
  throw new MoraineError('INTERNAL', `Policy ${name} does not say what happens to what is due.`, {
    ids: { policy: name },
  });
}

/** Every branch that a rule may come to, in its order. */
export function branchesOf(rule: DispositionRule): readonly Branch[] {
  return 'by' in rule ? [...Object.values(rule.of), rule.otherwise].flatMap(branchesOf) : [rule];
}

/** The values that decide which branch a record takes. */
export function refsOfDisposition(rule: DispositionRule): readonly ValueRef[] {
  if (!('by' in rule)) return [];
  const inner = [...Object.values(rule.of), rule.otherwise].flatMap(refsOfDisposition);
  return typeof rule.by === 'string' ? inner : [rule.by, ...inner];
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

/** How the source must read the dataset. `fields`: further fields of the record that exceptions look at. */
export function toShape(policy: Policy, fields: readonly string[] = []): DatasetShape {
  const { dataset, trigger } = policy;
  const values = [...new Set([...valueRefs(policy).flatMap((ref) => ('lookUp' in ref ? [] : [ref.field])), ...fields])];
  return {
    namespace: dataset.collection,
    owner: dataset.owner,
    customer: dataset.customer,
    trigger: scanTrigger(trigger),
    ...(dataset.version === null ? {} : { version: dataset.version }),
    facets: dataset.facets,
    ...(dataset.children === undefined ? {} : { children: dataset.children }),
    ...(dataset.attachments === undefined ? {} : { attachments: dataset.attachments }),
    ...(dataset.lookUps === undefined
      ? {}
      : { lookUps: Object.values(dataset.lookUps).map(({ collection, key }) => ({ collection, key })) }),
    ...(values.length === 0 ? {} : { values }),
    ...(branchesOf(dispositionRuleOf(policy)).some(({ treat }) => treat !== undefined) ? { isMarked: true } : {}),
  };
}

function scanTrigger(trigger: Trigger): DatasetShape['trigger'] {
  const { kind, field } = trigger.kind === 'composite' ? trigger.created : trigger;
  return { field, kind: kind === 'objectId' ? 'objectId' : 'date' };
}

/** Every value that the policy looks at, those of its look-ups included. */
export function valueRefs(policy: Policy): readonly ValueRef[] {
  return [
    ...(policy.trigger.kind === 'composite' ? policy.trigger.of : []),
    ...(policy.active === null ? [] : refsOfPeriod(policy.active)),
    ...(policy.archive === null ? [] : refsOfPeriod(policy.archive.for)),
    ...(policy.dispositions === undefined ? [] : refsOfDisposition(policy.dispositions)),
    ...(policy.rules ?? []).flatMap(({ when, retain, delete: deletes }) => [
      ...(when?.value === undefined ? [] : [when.value.ref]),
      ...[retain, deletes].flatMap((period) => (period === undefined ? [] : refsOfPeriod(period))),
    ]),
    ...Object.values(policy.dataset.lookUps ?? {}).map(({ from }) => from),
  ];
}

function refsOfPeriod(rule: PeriodRule): readonly ValueRef[] {
  if (typeof rule === 'string') return [];
  if ('months' in rule) return [rule.months];
  if ('until' in rule) return [rule.until];
  const inner = [...Object.values(rule.of), rule.otherwise].flatMap(refsOfPeriod);
  return typeof rule.by === 'string' ? inner : [rule.by, ...inner];
}
