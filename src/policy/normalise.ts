import { id } from '../ids.ts';
import { COMPLETION, isoPeriod, periodOf } from './period.ts';
import type {
  ArchiveRule,
  AttachmentRule,
  BlastCaps,
  Branch,
  ChildRule,
  Condition,
  DispositionRule,
  FieldTreatment,
  LookUp,
  PeriodRule,
  Policy,
  RetentionRule,
  Treatment,
  Trigger,
  ValueRef,
} from './policy.ts';
import { SCHEDULE_WORDS } from './schedule.ts';
import { DEFAULTS, type PolicyText } from './schema.ts';
import { type ChainText, isChoice, stepsOf, type ThenStep, type ThenText } from './schema-then.ts';
import type { PeriodText, ValueText } from './schema-words.ts';
import { zoneName } from './zone.ts';

/** The normal form of a policy that passed the schema and the checks across fields (see load.ts). */
export function normalise(text: PolicyText): Policy {
  const { dataset, lookUps, rules } = text;
  const grace = iso(text.grace ?? DEFAULTS.grace);
  return {
    v: 1,
    name: text.policy,
    zone: zoneName(text.zone) ?? text.zone,
    dataset: {
      collection: id.namespace(dataset.collection),
      owner: dataset.owner,
      customer: dataset.customer,
      version: dataset.version?.field ?? null,
      facets: Object.fromEntries(Object.entries(dataset.facets ?? {}).map(([name, { field }]) => [name, field])),
      ...(lookUps === undefined || Object.keys(lookUps).length === 0 ? {} : { lookUps: normalLookUps(lookUps) }),
      ...(dataset.children === undefined ? {} : { children: dataset.children.map(normalChild) }),
      ...(dataset.attachments === undefined ? {} : { attachments: dataset.attachments.map(normalAttachment) }),
    },
    trigger: normalTrigger(text.trigger),
    active: text.active === undefined ? null : normalPeriod(text.active),
    ...(rules === undefined ? {} : { rules: rules.map(normalRule) }),
    ...normalThen(text),
    archive: text.archive === undefined ? null : normalArchive(text.archive, grace),
    grace,
    limits: normalCaps(text.limits),
    schedule: text.schedule === undefined ? null : normalSchedule(text.schedule),
  };
}

function normalThen(text: PolicyText): Pick<Policy, 'disposition' | 'dispositions' | 'treat'> {
  if (isChoice(text.then)) return { disposition: 'chosen', dispositions: normalDispositions(text, text.then) };
  return normalBranch(text, text.then);
}

function normalDispositions(text: PolicyText, then: ThenText): DispositionRule {
  if (!isChoice(then)) return normalBranch(text, then);
  const of = Object.entries(then.of).map(([tier, inner]): [string, DispositionRule] => [
    tier,
    normalDispositions(text, inner),
  ]);
  return {
    by: then.by === 'owner' || then.by === 'customer' ? then.by : ref(then.by),
    of: Object.fromEntries(of),
    otherwise: normalDispositions(text, then.otherwise),
  };
}

/** In this order, whatever the chain's, and in that of their fields. */
const TREATMENTS: readonly Treatment[] = ['anonymise', 'redact', 'pseudonymise'];

function normalBranch(text: PolicyText, chain: ChainText): Branch {
  const steps = stepsOf(chain);
  const treat = TREATMENTS.flatMap((how) =>
    fieldsOf(text, steps, how).map((field): FieldTreatment => ({ field, how })),
  );
  const disposition = steps.includes('archive') ? 'archive' : steps.includes('delete') ? 'delete' : 'treat';
  return { disposition, ...(treat.length === 0 ? {} : { treat }) };
}

/** A word means the fields that the policy names for all. */
function fieldsOf(text: PolicyText, steps: readonly ThenStep[], how: Treatment): readonly string[] {
  return steps.flatMap((step) =>
    step === how ? (text[how] ?? []) : typeof step === 'string' ? [] : (step[how] ?? []),
  );
}

function normalArchive(archive: NonNullable<PolicyText['archive']>, grace: string): ArchiveRule {
  return {
    for: normalPeriod(archive.for),
    vault: id.vaultKey(archive.vault),
    ...(archive.storageClass === undefined ? {} : { storageClass: archive.storageClass }),
    verify: archive.verify ?? DEFAULTS.verify,
    dueWindow: iso(archive.dueWindow ?? DEFAULTS.dueWindow),
    maxWait: archive.maxWait === undefined ? grace : iso(archive.maxWait),
  };
}

function normalPeriod(text: PeriodText): PeriodRule {
  if (typeof text === 'string') return text === 'completion' ? COMPLETION : iso(text);
  if ('months' in text) return { months: ref(text.months), atMost: text.atMost, otherwise: iso(text.otherwise) };
  if ('until' in text) return { until: ref(text.until), atMost: iso(text.atMost) };
  const of = Object.entries(text.of).map(([tier, period]): [string, PeriodRule] => [tier, normalPeriod(period)]);
  return {
    by: text.by === 'owner' || text.by === 'customer' ? text.by : ref(text.by),
    of: Object.fromEntries(of),
    otherwise: normalPeriod(text.otherwise),
  };
}

function ref(text: ValueText): ValueRef {
  return typeof text === 'string' ? { field: text } : text;
}

function normalLookUps(lookUps: NonNullable<PolicyText['lookUps']>): Readonly<Record<string, LookUp>> {
  return Object.fromEntries(
    Object.entries(lookUps).map(([name, { collection, key, from }]) => [
      name,
      { collection: id.namespace(collection), key: key ?? '_id', from: ref(from) },
    ]),
  );
}

function normalTrigger(trigger: PolicyText['trigger']): Trigger {
  if ('field' in trigger) return { kind: 'date', field: trigger.field };
  if ('objectId' in trigger) return { kind: 'objectId', field: trigger.objectId };
  if (!('created' in trigger)) return { kind: 'expires', field: trigger.expires };
  const { created } = trigger;
  return {
    kind: 'composite',
    created:
      typeof created === 'string' ? { kind: 'date', field: created } : { kind: 'objectId', field: created.objectId },
    of: 'latestOf' in trigger ? trigger.latestOf.map(ref) : [ref('event' in trigger ? trigger.event : trigger.expires)],
    expires: 'expires' in trigger,
    latest: iso(trigger.latest),
  };
}

function normalRule(rule: NonNullable<PolicyText['rules']>[number]): RetentionRule {
  const when = rule.when === undefined ? null : normalCondition(rule.when);
  return {
    name: rule.name,
    specificity: rule.scope ?? specificityOf(when),
    when,
    ...(rule.retain === undefined ? {} : { retain: normalPeriod(rule.retain) }),
    ...(rule.delete === undefined ? {} : { delete: normalPeriod(rule.delete) }),
  };
}

function specificityOf(when: Condition | null): RetentionRule['specificity'] {
  if (when?.value !== undefined) return 'label';
  if (when?.customer !== undefined) return 'customer';
  return when?.owner !== undefined ? 'owner' : 'organisation';
}

function normalCondition({
  owner,
  customer,
  lookUp,
  field,
  is,
}: NonNullable<NonNullable<PolicyText['rules']>[number]['when']>): Condition | null {
  const condition: Condition = {
    ...(owner === undefined ? {} : { owner: list(owner) }),
    ...(customer === undefined ? {} : { customer: list(customer) }),
    ...(field === undefined || is === undefined
      ? {}
      : { value: { ref: lookUp === undefined ? { field } : { lookUp, field }, is: list(is) } }),
  };
  return Object.keys(condition).length === 0 ? null : condition;
}

function list(texts: string | number | boolean | readonly (string | number | boolean)[]): readonly string[] {
  return (Array.isArray(texts) ? texts : [texts]).map(String);
}

function normalChild(child: NonNullable<PolicyText['dataset']['children']>[number]): ChildRule {
  return {
    collection: id.namespace(child.collection),
    key: child.key,
    parent: child.parent ?? '_id',
    ...(child.owner === undefined ? {} : { owner: child.owner }),
    ...(child.customer === undefined ? {} : { customer: child.customer }),
    ...(child.version === undefined ? {} : { version: child.version.field }),
  };
}

function normalAttachment(attachment: NonNullable<PolicyText['dataset']['attachments']>[number]): AttachmentRule {
  const { exclusive } = attachment;
  if ('gridfs' in attachment) return { kind: 'gridfs', bucket: attachment.gridfs, file: attachment.file, exclusive };
  const { s3, bucket, key, version } = attachment;
  return { kind: 's3', store: s3, bucket, key, version: version ?? null, exclusive };
}

/** The caps that make sense; what is missing, zero, negative, NaN or no number at all is null and lets nothing through. */
function normalCaps(limits: unknown): BlastCaps {
  if (typeof limits !== 'object' || limits === null) return { records: null, share: null };
  const records = 'records' in limits ? limits.records : null;
  const share = 'share' in limits ? limits.share : null;
  return {
    records: typeof records === 'number' && Number.isSafeInteger(records) && records > 0 ? records : null,
    share: typeof share === 'number' && share > 0 && share <= 1 ? share : null,
  };
}

function normalSchedule(text: string): string {
  const trimmed = text.trim();
  return Object.hasOwn(SCHEDULE_WORDS, trimmed) ? (SCHEDULE_WORDS[trimmed] ?? trimmed) : trimmed.split(/\s+/).join(' ');
}

function iso(text: string): string {
  return isoPeriod(periodOf(text));
}
