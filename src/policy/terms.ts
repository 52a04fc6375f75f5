/**
 * A policy in plain words, for those whose data it is about: what is kept, from when, how long, and what becomes of it
 * then. Pure. What a policy says about other owners and customers is left out: a notice for one names no other.
 */
import { parsePeriod, periodWords } from './period.ts';
import {
  type Branch,
  type Condition,
  type DispositionRule,
  dispositionRuleOf,
  type FieldTreatment,
  type PeriodRule,
  type Policy,
  type RetentionRule,
  type ValueRef,
} from './policy.ts';

/** For whom. `customer` null: for the owner, about all of its customers. */
export interface TermsFor {
  readonly owner: string;
  readonly customer: string | null;
}

/** Each line is a sentence or a part of a list; no markup. */
export interface Terms {
  readonly collection: string;
  /** What else is kept and goes with each record. */
  readonly together: readonly string[];
  /** What the periods count from. */
  readonly counted: string;
  readonly active: readonly string[];
  readonly disposition: readonly string[];
  /** How long the copy is kept; empty where there is none. */
  readonly archive: readonly string[];
  readonly rules: readonly string[];
  readonly zone: string;
}

export function termsOf(policy: Policy, of: TermsFor, environment: string): Terms {
  const { dataset, trigger, archive } = policy;
  // What is not production's does not outlive its active use (src/policy/compile.ts).
  const disposition = dispositionRuleOf(policy);
  const archives = branchesFor(disposition, of).some((branch) => branch.disposition === 'archive');
  const keepsCopy = archive !== null && archives && environment !== 'non-production';
  return {
    collection: dataset.collection,
    together: togetherWith(policy),
    counted: countedFrom(trigger),
    active: policy.active === null ? ['until that date'] : periodLines(policy.active, of),
    disposition: dispositionLines(disposition, keepsCopy, of),
    archive: keepsCopy ? periodLines(archive.for, of) : [],
    rules: (policy.rules ?? []).filter(({ when }) => isAbout(when, of)).map((rule) => ruleWords(rule, of)),
    zone: policy.zone,
  };
}

/** What goes with each record and is not counted beside it. What is only treated in place takes nothing along. */
export function withEach(policy: Policy): readonly string[] {
  return policy.disposition === 'treat' ? [] : togetherWith(policy);
}

function togetherWith({ dataset }: Policy): readonly string[] {
  return [
    ...(dataset.children ?? []).map(({ collection }) => `records of ${collection} that belong to it`),
    ...(dataset.attachments ?? []).map(attachmentWords),
  ];
}

/** One line for one period; more where it depends on something, the general one last. */
export function periodLines(rule: PeriodRule, of: TermsFor): readonly string[] {
  if (typeof rule === 'string') return [isoWords(rule)];
  if ('months' in rule) {
    const most = isoWords(`P${rule.atMost}M`);
    return [
      `as many months as ${refWords(rule.months)} says, at most ${most}; ${isoWords(rule.otherwise)} where it says nothing`,
    ];
  }
  if ('until' in rule) return [`until the date that ${refWords(rule.until)} says, at most ${isoWords(rule.atMost)}`];
  const { by } = rule;
  if (by === 'owner') return periodLines(own(rule.of, of.owner) ?? rule.otherwise, of);
  if (by === 'customer') return ofCustomer(rule, of);
  return [
    ...Object.entries(rule.of).flatMap(([value, inner]) =>
      periodLines(inner, of).map((line) => `${line}, where ${refWords(by)} is ${value}`),
    ),
    ...periodLines(rule.otherwise, of).map((line) => `${line} otherwise`),
  ];
}

function ofCustomer(
  rule: { readonly of: Readonly<Record<string, PeriodRule>>; readonly otherwise: PeriodRule },
  of: TermsFor,
): readonly string[] {
  if (of.customer !== null) return periodLines(own(rule.of, of.customer) ?? rule.otherwise, of);
  // The names may be those of other owners' customers: each stands in its own notice.
  return periodLines(rule.otherwise, of).map((line) => `${line}, where the customer has no period of its own`);
}

/** A key that is there: `constructor` of an object is no customer's period. */
function own<T>(record: Readonly<Record<string, T>>, key: string): T | null {
  return Object.hasOwn(record, key) ? (record[key] ?? null) : null;
}

function isoWords(iso: string): string {
  if (/^P(T?0[A-Z])+$/.test(iso)) return 'no time: at once';
  const period = parsePeriod(iso);
  return period === null ? iso : periodWords(period);
}

function refWords(ref: ValueRef): string {
  return 'lookUp' in ref ? `“${ref.field}” of its ${ref.lookUp}` : `“${ref.field}”`;
}

function countedFrom(trigger: Policy['trigger']): string {
  switch (trigger.kind) {
    case 'date':
      return `from the date in “${trigger.field}”`;
    case 'objectId':
      return `from the time at which “${trigger.field}” was made`;
    case 'expires':
      return `the date in “${trigger.field}” is the end itself`;
    case 'composite': {
      const dates = trigger.of.map(refWords).join(', ');
      const which = trigger.of.length === 1 ? `the date in ${dates}` : `the latest of the dates in ${dates}`;
      const late = `where that has not happened, ${isoWords(trigger.latest)} after the record was made (“${trigger.created.field}”)`;
      return trigger.expires ? `${which} is the end itself; ${late}` : `from ${which}; ${late}`;
    }
  }
}

function attachmentWords(attachment: NonNullable<Policy['dataset']['attachments']>[number]): string {
  const field = attachment.kind === 's3' ? attachment.key : attachment.file;
  const kept = attachment.exclusive ? '' : ' (a copy is kept; the file itself is not deleted)';
  return `the files that “${field}” names${kept}`;
}

function dispositionLines(rule: DispositionRule, keepsCopy: boolean, of: TermsFor): readonly string[] {
  if (!('by' in rule)) return branchLines(rule, keepsCopy);
  const { by, otherwise } = rule;
  const lines = (inner: DispositionRule) => dispositionLines(inner, keepsCopy, of);
  if (by === 'owner') return lines(own(rule.of, of.owner) ?? otherwise);
  if (by === 'customer') {
    if (of.customer !== null) return lines(own(rule.of, of.customer) ?? otherwise);
    return lines(otherwise).map((line) => `${line}, where the customer has not chosen otherwise`);
  }
  return [
    ...Object.entries(rule.of).flatMap(([value, inner]) =>
      lines(inner).map((line) => `${line}, where ${refWords(by)} is ${value}`),
    ),
    ...lines(otherwise).map((line) => `${line} otherwise`),
  ];
}

/** What may happen to these records. Of an owner as a whole: to those of any of its customers. */
export function branchesFor(rule: DispositionRule, of: TermsFor): readonly Branch[] {
  if (!('by' in rule)) return [rule];
  const party = rule.by === 'owner' ? of.owner : rule.by === 'customer' ? of.customer : null;
  if (party !== null) return branchesFor(own(rule.of, party) ?? rule.otherwise, of);
  return [...Object.values(rule.of), rule.otherwise].flatMap((inner) => branchesFor(inner, of));
}

function branchLines({ disposition, treat }: Branch, keepsCopy: boolean): readonly string[] {
  const treated = treat === undefined ? [] : ['the record stays where it is', ...treatmentLines(treat)];
  if (disposition === 'treat') return treated;
  if (disposition === 'delete' || !keepsCopy) return ['the record is deleted; no copy is kept'];
  if (treated.length === 0) return ['the record is moved into an encrypted archive, and deleted where it was'];
  return ['a copy goes into an encrypted archive', ...treated];
}

const TREATMENTS: Readonly<Record<FieldTreatment['how'], string>> = {
  anonymise: 'is removed',
  redact: 'is replaced by a fixed text',
  pseudonymise: 'is replaced by a pseudonym',
};

function treatmentLines(treat: readonly FieldTreatment[]): readonly string[] {
  return treat.map(({ field, how }) => `“${field}” in it ${TREATMENTS[how]}`);
}

function isAbout(when: Condition | null, { owner, customer }: TermsFor): boolean {
  if (when === null) return true;
  if (when.owner !== undefined && !when.owner.includes(owner)) return false;
  return when.customer === undefined || customer === null || when.customer.includes(customer);
}

function ruleWords({ name, when, retain, delete: deletes }: RetentionRule, of: TermsFor): string {
  const words = (period: PeriodRule) => periodLines(period, of).join('; ');
  const parts = [
    ...(retain === undefined ? [] : [`kept for at least ${words(retain)}`]),
    ...(deletes === undefined ? [] : [`gone after ${words(deletes)} where nothing retains it longer`]),
  ];
  const value = when?.value;
  const where = value === undefined ? '' : `, where ${refWords(value.ref)} is ${value.is.join(' or ')}`;
  const some = when?.customer === undefined ? '' : ', for certain customers';
  return `${parts.join(', ')}${where}${some} (rule “${name}”)`;
}
