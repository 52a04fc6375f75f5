import { describe, expect, test } from 'vitest';
import { RULES } from '../harness/import-rules.ts';
import { readModules } from '../harness/module-graph.ts';

const modules = readModules();

test('the scan sees the product', () => {
  const files = [...modules.keys()];
  for (const place of ['src/', 'jobs/', 'infra/', 'test/', 'scripts/']) {
    expect(files.filter((file) => file.startsWith(place)).length, place).toBeGreaterThan(0);
  }
  expect(files.length).toBeGreaterThan(250);
});

describe('import rules', () => {
  for (const rule of RULES) {
    test(rule.name, () => {
      expect(rule.violations(modules)).toEqual([]);
    });
  }
});
