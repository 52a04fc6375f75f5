import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { MAX_ARCHIVE_BYTES, MAX_ARCHIVE_RECORDS } from '../../src/policy/limits.ts';
import { loadPolicies, loadPolicy } from '../../src/policy/load.ts';
import { DEFAULTS, policyJsonSchema } from '../../src/policy/schema.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const page = read('docs/policy-language.md');

test('the example policies load together, without a warning, and show editors the schema', () => {
  const names = readdirSync(new URL('policies/', root)).filter((name) => name.endsWith('.yaml'));
  const files = names.map((file) => ({ file, text: read(`policies/${file}`) }));
  const { loaded, problems } = loadPolicies(files);
  expect(problems).toEqual([]);
  expect(loaded.map(({ policy }) => policy.name).sort()).toEqual(['calls', 'chats', 'flights', 'tickets']);
  expect(loaded.flatMap(({ warnings }) => warnings)).toEqual([]);
  for (const { text } of files)
    expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=./policy.schema.json');
});

test('the examples on the page of the policy language load', () => {
  const blocks = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, block]) => block ?? '');
  expect(blocks.length).toBeGreaterThanOrEqual(2);
  for (const block of blocks) expect(loadPolicy('page.yaml', block).problems).toEqual([]);
});

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
  const decisions = ['unfit', 'quarantined', 'not-due', 'exempt', 'held', 'due', 'expired'];
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
