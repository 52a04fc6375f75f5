/** The policy of a simulated life as the file that a person would write, and its publication before anybody is there. */
import { publishPolicy } from '../../../src/ledger/policies.ts';
import type { Context } from '../../../src/lifecycle/context.ts';
import { loadPolicy } from '../../../src/policy/load.ts';
import { type Policy, policyVersion } from '../../../src/policy/policy.ts';
import { ACCOUNTS } from '../judge/due.ts';
import type { PolicyFacts } from '../judge/observations.ts';
import { familyLines } from './families.ts';

/** The policy's file, as a person would write it. */
export function policyYaml(facts: PolicyFacts, version: boolean): string {
  return `
policy: ${facts.name}
zone: UTC
dataset:
  collection: ${facts.namespace}
  owner: { field: owner }
  customer: { field: tenant }
  facets: { subject: { field: mail } }
${facts.family === undefined ? '' : familyLines(facts.family)}${version ? '  version: { field: n }\n' : ''}${timeLines(facts)}${dispositionLines(facts)}grace: ${facts.graceDays} days
limits: { records: ${facts.limits.records}, share: ${facts.limits.share} }
`;
}

/** The lines that say when a record is due. */
function timeLines(facts: PolicyFacts): string {
  const { activeDays, longDays, vipDays, latestDays, events = ['closed'], expires } = facts;
  const waits = `created: at, latest: ${latestDays} days }`;
  const looksUp = expires === true || longDays !== undefined;
  const lookUps = looksUp ? `lookUps:\n  account: { collection: ${ACCOUNTS}, from: tenant }\n` : '';
  if (expires === true)
    return `${lookUps}trigger: { expires: { lookUp: account, field: until }, ${waits}\n${ruleLines(facts)}`;
  const [event] = events;
  const composite = events.length > 1 ? `latestOf: [${events.join(', ')}]` : `event: ${event}`;
  const trigger = latestDays === undefined ? '{ field: at }' : `{ ${composite}, ${waits}`;
  const otherwise = `otherwise: ${activeDays} days }`;
  const active =
    longDays !== undefined
      ? `{ by: { lookUp: account, field: plan }, of: { long: ${longDays} days }, ${otherwise}`
      : vipDays !== undefined
        ? `{ by: label, of: { vip: ${vipDays} days }, ${otherwise}`
        : `${activeDays} days`;
  return `${lookUps}trigger: ${trigger}\nactive: ${active}\n${ruleLines(facts)}`;
}

function ruleLines({ rules = [] }: PolicyFacts): string {
  const lines = rules.map(({ name, scope, owner, customer, topic, retainDays, deleteDays }) => {
    const when = [
      ...(owner === null ? [] : [`owner: ${owner}`]),
      ...(customer === null ? [] : [`customer: ${customer}`]),
      ...(topic === null ? [] : ['field: topic', `is: ${topic}`]),
    ].join(', ');
    const says = [
      ...(when === '' ? [] : [`when: { ${when} }`]),
      ...(retainDays === null ? [] : [`retain: ${retainDays} days`]),
      ...(deleteDays === null ? [] : [`delete: ${deleteDays} days`]),
    ];
    return `  - { name: ${name}, scope: ${scope}, ${says.join(', ')} }\n`;
  });
  return lines.length === 0 ? '' : `rules:\n${lines.join('')}`;
}

/** The lines that say what happens to what is due. */
function dispositionLines(facts: PolicyFacts): string {
  const { does, treat = [] } = facts;
  const hows = [...new Set(treat.map(({ how }) => how))];
  const fields = hows.map(
    (how) => `${how}: [${treat.flatMap((each) => (each.how === how ? [each.field] : [])).join(', ')}]\n`,
  );
  const archive = `archive: { for: ${facts.archiveDays} days, vault: cold, verify: ${facts.verify}, dueWindow: ${facts.dueWindowDays} days, maxWait: ${facts.maxWaitDays} days }\n`;
  switch (does) {
    case 'delete':
      return 'then: delete\n';
    case 'treat':
      return `then: [${hows.join(', ')}]\n${fields.join('')}`;
    case 'archive and treat':
      return `then: [archive, ${hows.join(', ')}]\n${fields.join('')}${archive}`;
    default:
      return `then: archive\n${archive}`;
  }
}

/** Before anybody is there. */
export async function publish(
  { store, clock }: Pick<Context, 'store' | 'clock'>,
  facts: PolicyFacts,
  version: boolean,
  by: string,
): Promise<void> {
  const policy = policyOf(facts, version);
  await publishPolicy(store, clock, {
    name: policy.name,
    namespace: policy.dataset.collection,
    version: policyVersion(policy),
    policy: JSON.parse(JSON.stringify(policy)),
    by,
  });
}

export function policyOf(facts: PolicyFacts, version: boolean): Policy {
  const text = policyYaml(facts, version);
  const before = read.get(text);
  if (before !== undefined) return before;
  const { loaded, problems } = loadPolicy('policy.yaml', text);
  if (loaded === null) throw new Error(JSON.stringify(problems));
  if (read.size >= MOST_READ) read.clear();
  read.set(text, loaded.policy);
  return loaded.policy;
}

/** The same file says the same: people publish it again and again. */
const read = new Map<string, Policy>();
const MOST_READ = 1_000;
