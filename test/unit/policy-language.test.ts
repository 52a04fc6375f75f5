import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { id } from '../../src/ids.ts';
import { compile } from '../../src/policy/compile.ts';
import { decide } from '../../src/policy/decide.ts';
import { MAX_ARCHIVE_BYTES, MAX_ARCHIVE_RECORDS } from '../../src/policy/limits.ts';
import { loadPolicies, loadPolicy } from '../../src/policy/load.ts';
import { DEFAULTS, policyJsonSchema } from '../../src/policy/schema.ts';
import type { RecordValues } from '../../src/policy/values.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const page = read('docs/policies.md');

test('the example policies load together, without a warning, and show editors the schema', () => {
  const names = readdirSync(new URL('policies/', root)).filter((name) => name.endsWith('.yaml'));
  const files = names.map((file) => ({ file, text: read(`policies/${file}`) }));
  const { loaded, problems } = loadPolicies(files);
  expect(problems).toEqual([]);
  expect(loaded.map(({ policy }) => policy.name)).toEqual(
    expect.arrayContaining(['calls', 'chats', 'flights', 'tickets']),
  );
  expect(loaded.flatMap(({ warnings }) => warnings)).toEqual([]);
  for (const { text } of files)
    expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=./policy.schema.json');
});

const blocks = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, block]) => block ?? '');

describe('the examples on the page', () => {
  test.each(blocks)('%s', (block) => {
    expect(loadPolicy('page.yaml', wholePolicy(block)).problems).toEqual([]);
  });

  test('are many, and each form of the language is among them', () => {
    expect(blocks.length).toBeGreaterThanOrEqual(14);
    const all = blocks.join('');
    for (const word of [
      'event:',
      'latestOf:',
      'expires:',
      'completion',
      'months:',
      'until:',
      'lookUp:',
      'rules:',
      'children:',
      's3:',
      'gridfs:',
    ])
      expect(all).toContain(word);
    for (const then of [
      '  by: customer\n  of:\n    globex: delete',
      'then: delete',
      'then: [anonymise',
      'then: [archive',
    ])
      expect(all).toContain(then);
  });
});

describe('examples of the page, decided', () => {
  const policyWith = (words: string) => {
    const block = blocks.find((one) => one.includes(words)) ?? '';
    const { loaded } = loadPolicy('page.yaml', wholePolicy(block));
    if (loaded === null) throw new Error(`No example with ${words}.`);
    return loaded.policy;
  };
  const at = (day: string) => Date.parse(`${day}T00:00:00Z`);
  const of = (customer: string, values: RecordValues = {}) => ({
    owner: id.owner('acme'),
    customer: id.customer(customer),
    trigger: at('2024-01-01'),
    values,
    exemptUntil: null,
    quarantined: false,
    unfit: [],
  });

  test('what happens by customer', () => {
    const policy = policyWith('globex: delete');
    const does = (customer: string, kind: string | null = null) => {
      const { disposition, purgeAt } = decide(of(customer, { kind }), policy, [], at('2025-02-01'));
      const fields = (disposition?.treat ?? []).map(({ field }) => field);
      return [disposition?.disposition, fields, purgeAt === null ? null : new Date(purgeAt).getUTCFullYear()];
    };
    expect(does('globex').slice(0, 2)).toEqual(['delete', []]);
    expect(does('hooli').slice(0, 2)).toEqual(['treat', ['notes.text', 'visitor.email']]);
    expect(does('initech', 'voice').slice(0, 2)).toEqual(['delete', []]);
    expect(does('initech', 'chat')).toEqual(['archive', ['visitor.address'], 2026]);
    expect(does('anybody')).toEqual(['archive', [], 2032]);
  });

  test('rules on completion, by tier and until a date', () => {
    const compiled = compile(policyWith('name: solved'));
    const due = (values: RecordValues) =>
      new Date(
        compiled.times(
          of('a', { state: null, plan: null, 'contract.endsAt': { instant: at('2024-01-01') }, ...values }),
          0,
        ).dueAt,
      )
        .toISOString()
        .slice(0, 10);
    expect(due({ state: 'solved' })).toBe('2024-01-01');
    expect(due({ plan: 'trial' })).toBe('2024-01-31');
    expect(due({})).toBe('2026-01-01');
    expect(due({ 'contract.endsAt': { instant: at('2029-05-01') } })).toBe('2029-05-01');
  });

  test('a copy for as long as the contract lasts', () => {
    const compiled = compile(policyWith('lookUp: contract, field: endsAt }, atMost: 10 years'));
    const purge = (end: RecordValues[string]) =>
      new Date(compiled.times(of('a', { '$contract.endsAt': end }), 0).purgeAt).toISOString().slice(0, 10);
    expect(purge({ instant: at('2028-03-01') })).toBe('2028-03-01');
    expect(purge(null)).toBe('2035-01-01');
  });
});

/** A part of a policy on the page is shown without the rest: here is the rest. */
function wholePolicy(block: string): string {
  if (/^(#.*\n)?policy:/.test(block)) return block;
  const part: Record<string, unknown> = parse(block);
  const base: Record<string, unknown> = {
    policy: 'part',
    zone: 'UTC',
    trigger: { field: 'createdAt' },
    active: '1 year',
    // biome-ignore lint/suspicious/noThenProperty: the word of the policy language.
    then: 'archive',
    archive: { for: '7 years', vault: 'cold' },
    limits: { records: 1, share: 1 },
  };
  if (block.includes('expires:')) delete base['active'];
  if (block.includes('then:')) delete base['archive'];
  const dataset = {
    collection: 'support.chats',
    owner: { field: 'owner' },
    customer: { field: 'tenant' },
    ...Object(part['dataset']),
  };
  return JSON.stringify({ ...base, ...part, dataset });
}

test('the mistakes on the page are told in those words', () => {
  const example = (/```yaml\n(.*?)```/s.exec(page)?.[1] ?? '').split('\n').slice(1).join('\n');
  const wrong = example.replace('{ field: owner }', '{ feild: owner }').replace('2 years', '2 yers');
  const shown = (/```text\n(.*?)```/s.exec(page)?.[1] ?? '').trim().split('\n');
  const told = loadPolicy('chats.yaml', wrong).problems;
  expect(told).toHaveLength(shown.length);
  for (const [at, problem] of told.entries()) {
    expect(shown[at]).toContain(`${problem.field}: expected ${problem.expected}, found ${problem.found}`);
  }
});

test('the page lists exactly the fields of the schema, with the defaults of the code', () => {
  const rows = [...page.matchAll(/^\| `([\w.]+)` +\| (.*?) +\|/gm)];
  const listed = new Map(rows.map(([, field, value]) => [field ?? '', value ?? '']));
  const { properties } = policyJsonSchema();
  const fields = Object.entries(properties ?? {}).flatMap(([name, schema]) =>
    name === 'dataset' || name === 'archive'
      ? Object.keys(schema.properties).map((inner) => `${name}.${inner}`)
      : [name],
  );
  const decisions = ['unfit', 'quarantined', 'treated', 'pending', 'not-due', 'exempt', 'held', 'due', 'expired'];
  expect([...listed.keys()].filter((name) => !decisions.includes(name)).sort()).toEqual(fields.sort());
  expect(listed.get('archive.verify')).toBe(`\`${DEFAULTS.verify}\``);
  expect(listed.get('archive.dueWindow')).toBe(`\`${DEFAULTS.dueWindow}\``);
  expect(listed.get('grace')).toBe(`\`${DEFAULTS.grace}\``);
  expect(page).toContain(
    `${MAX_ARCHIVE_BYTES / 1024 / 1024} MiB, or ${MAX_ARCHIVE_RECORDS.toLocaleString('en')} records`,
  );
});

test('policies/policy.schema.json is what the schema says (else: node scripts/write-policy-schema.ts)', () => {
  expect(JSON.parse(read('policies/policy.schema.json'))).toEqual(JSON.parse(JSON.stringify(policyJsonSchema())));
});
