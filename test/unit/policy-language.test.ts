import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { MAX_ARCHIVE_BYTES, MAX_ARCHIVE_RECORDS } from '../../src/policy/limits.ts';
import { loadPolicies, loadPolicy } from '../../src/policy/load.ts';
import { DEFAULTS, policyJsonSchema } from '../../src/policy/schema.ts';

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
    for (const then of ['then: delete', 'then: [anonymise', 'then: [archive']) expect(all).toContain(then);
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
