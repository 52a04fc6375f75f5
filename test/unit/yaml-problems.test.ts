import { expect, it } from 'vitest';
import { z } from 'zod';
import { withoutCredentials } from '../../src/without-credentials.ts';
import { checkYaml, describeProblem, fieldName, problemsError, readYaml } from '../../src/yaml-problems.ts';

const schema = z.strictObject({
  trigger: z.union([z.strictObject({ field: z.string() }), z.strictObject({ days: z.int() })]),
  list: z.array(z.strictObject({ n: z.number().min(1) })).default([]),
  password: z.string().default(''),
});

const problems = (text: string) => checkYaml(readYaml('f.yaml', text), schema).problems.map(describeProblem);

it('a union: the form that the writer chose is the one that is told', () => {
  expect(problems('trigger:\n  field: 3\n')).toEqual(['f.yaml:2: trigger.field: expected text, found 3']);
  expect(problems('trigger:\n  days: x\n')).toEqual(['f.yaml:2: trigger.days: expected a number, found "x"']);
  expect(problems('trigger: 3\n')).toEqual(['f.yaml:1: trigger: expected a map, found 3']);
});

it('inside a list, below its key, and a required field that is missing: the nearest line that is there', () => {
  expect(problems('trigger: { field: x }\nlist:\n  - n: 1\n  - n: 0\n')).toEqual([
    'f.yaml:4: list[1].n: expected at least 1, found 0',
  ]);
  expect(problems('list: []\n')).toEqual(['f.yaml:1: trigger: expected a map, found nothing']);
});

it('a secret field is never quoted, nor is what stands on a broken line', () => {
  expect(problems('trigger: { field: x }\npassword: 12345\n')).toEqual([
    'f.yaml:2: password: expected text, found a value that is not shown',
  ]);
  expect(problems('url: [a] hunter2\n').join()).not.toContain('hunter2');
});

it('a name from the environment: replaced in any place of a value, quoted in messages as it stands', () => {
  const lookup = (name: string) => (name === 'NAME' ? '{ not: yaml }' : undefined);
  const text = `a: { b: \${NAME}, c: "x-\${NAME}" } # \${IN_A_COMMENT}\n`;
  expect(readYaml('f.yaml', text, lookup).value).toEqual({ a: { b: '{ not: yaml }', c: 'x-{ not: yaml }' } });
  expect(readYaml('f.yaml', text, lookup).problemAt(['a', 'b'], 'x').found).toBe(`"\${NAME}"`);
  expect(readYaml('f.yaml', `a: "\${NAME}"`).value).toEqual({ a: `\${NAME}` });
});

it('aliases that multiply without end are a problem, not a crash', () => {
  const levels = [...'abcdefghi'].map((name, at, all) =>
    at === 0
      ? 'a: &a [x, x, x, x, x, x, x, x]'
      : `${name}: &${name} [${Array(8)
          .fill(`*${all[at - 1]}`)
          .join(', ')}]`,
  );
  const source = readYaml('f.yaml', levels.join('\n'));
  expect(source.problems).toHaveLength(1);
  expect(source.value).toBeUndefined();
});

it('the error names the first problem in its ids and every problem in its text', () => {
  const error = problemsError('POLICY_INVALID', [
    { file: 'a.yaml', line: 3, field: 'x', expected: 'text', found: 'nothing', hint: 'Write one.' },
    { file: 'b.yaml', line: 1, field: '', expected: 'valid YAML', found: 'noise' },
  ]);
  expect(error.message).toBe(
    'a.yaml:3: x: expected text, found nothing. Write one.\nb.yaml:1: expected valid YAML, found noise',
  );
  expect(error.ids).toEqual({ file: 'a.yaml', line: 3, field: 'x' });
});

it('fieldName', () => {
  expect(fieldName(['owners', 'a b', 'list', 2, 'x'])).toBe('owners["a b"].list[2].x');
});

it('withoutCredentials', () => {
  expect(withoutCredentials('to mongodb://al:p@ss@h:1,i:2/db?a=b failed')).toBe(
    'to mongodb://***@h:1,i:2/db?a=b failed',
  );
  expect(withoutCredentials('redis://:x@h')).toBe('redis://***@h');
  expect(withoutCredentials('mongodb://h/?tlsCertificateKeyFilePassword=x&a=1')).toBe(
    'mongodb://h/?tlsCertificateKeyFilePassword=***&a=1',
  );
  expect(withoutCredentials('alice@acme.example at http://h/')).toBe('alice@acme.example at http://h/');
});
