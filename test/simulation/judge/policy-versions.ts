/** What policies say, as the judge reads the documents of their versions. */
import { familyIn } from './family-facts.ts';
import type { Known } from './known.ts';
import type { PolicyFacts, RawDocument, RuleFacts } from './observations.ts';
import { asFields, asList, asNumber, asText } from './values.ts';

/** What a version says: as a person published it, else as its document says. */
export function seePolicyVersion(known: Known, after: RawDocument | null): void {
  const json = asText(after?.['json']);
  if (after === null || json === null || known.policyVersions.has(after._id)) return;
  const parsed: unknown = JSON.parse(json);
  const fields = asFields(parsed);
  const archive = asFields(fields['archive']);
  const limits = asFields(fields['limits']);
  const verify = archive['verify'] === 'inventory' ? 'inventory' : 'checksum';
  const active = asFields(fields['active']);
  const trigger = asFields(fields['trigger']);
  const expires = trigger['expires'] === true;
  const otherwise = expires ? 'P0D' : (asText(fields['active']) ?? active['otherwise']);
  const long = asText(asFields(active['of'])['long']);
  const vip = asText(asFields(active['of'])['vip']);
  const latest = asText(trigger['latest']);
  const events = asList(trigger['of']).map((each) => asText(asFields(each)['field']) ?? '');
  const rules = asList(fields['rules']).map(ruleOf);
  const makesArchives = fields['archive'] !== null;
  const treat = treatOf(fields['treat']);
  const family = familyIn(asFields(fields['dataset']));
  const does = makesArchives ? (treat === null ? null : 'archive and treat') : treat === null ? 'delete' : 'treat';
  const policy: PolicyFacts = {
    name: asText(after['name']) ?? '',
    namespace: asText(after['namespace']) ?? '',
    activeDays: days(otherwise),
    ...(long === null ? {} : { longDays: days(long) }),
    ...(vip === null ? {} : { vipDays: days(vip) }),
    ...(latest === null ? {} : { latestDays: days(latest) }),
    ...(events.length > 1 ? { events } : {}),
    ...(expires ? { expires } : {}),
    ...(rules.length > 0 ? { rules } : {}),
    archiveDays: makesArchives ? days(archive['for']) : NO_ARCHIVE.archiveDays,
    dueWindowDays: makesArchives ? days(archive['dueWindow']) : NO_ARCHIVE.dueWindowDays,
    maxWaitDays: makesArchives ? days(archive['maxWait']) : NO_ARCHIVE.maxWaitDays,
    graceDays: days(fields['grace']),
    verify,
    ...(does === null ? {} : { does }),
    ...(treat === null ? {} : { treat }),
    limits: { records: asNumber(limits['records']) ?? 0, share: asNumber(limits['share']) ?? 0 },
    ...(family === null ? {} : { family }),
  };
  known.policyVersions.set(after._id, [policy]);
  const versions = known.policies.get(policy.name);
  if (versions === undefined) known.policies.set(policy.name, [policy]);
  else if (!versions.some((each) => isSame(each, policy))) versions.unshift(policy);
}

/** From general to special. */
export const SCOPES = ['organisation', 'owner', 'customer', 'dataset', 'label'] as const;

/** Of a policy that makes no archives: nothing is ever past its archive period, and nothing waits for more records. */
export const NO_ARCHIVE = { archiveDays: 36_500, dueWindowDays: 1, maxWaitDays: 1 } as const;

function treatOf(value: unknown): NonNullable<PolicyFacts['treat']> | null {
  if (!Array.isArray(value)) return null;
  return value.map((each) => {
    const how = asFields(each)['how'];
    return {
      field: asText(asFields(each)['field']) ?? '',
      how: how === 'redact' || how === 'pseudonymise' ? how : 'anonymise',
    };
  });
}

function ruleOf(value: unknown): RuleFacts {
  const rule = asFields(value);
  const when = asFields(rule['when']);
  const [owner, customer] = [asList(when['owner'])[0], asList(when['customer'])[0]];
  const [topic] = asList(asFields(when['value'])['is']);
  const daysOf = (name: string) => (rule[name] === undefined ? null : days(rule[name]));
  return {
    name: asText(rule['name']) ?? '',
    scope: SCOPES.find((scope) => scope === rule['specificity']) ?? 'organisation',
    owner: asText(owner),
    customer: asText(customer),
    topic: asText(topic),
    retainDays: daysOf('retain'),
    deleteDays: daysOf('delete'),
  };
}

/** Whole days, as all periods of a simulated life are. */
function days(period: unknown): number {
  const [, count] = /^P(\d+)D$/.exec(asText(period) ?? '') ?? [];
  return count === undefined ? Number.NaN : Number(count);
}

/** A person heard that a policy is in force. */
export function learnPolicy(known: Known, policy: PolicyFacts): void {
  const versions = (known.policies.get(policy.name) ?? []).filter((each) => !isSame(each, policy));
  known.policies.set(policy.name, [...versions, policy]);
}

function isSame(left: PolicyFacts, right: PolicyFacts): boolean {
  return sorted(left) === sorted(right);
}

function sorted(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
