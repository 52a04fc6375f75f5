/** The schedules in the folders of policies/: ready to use as they are. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { loadPolicies } from '../../src/policy/load.ts';

const folder = new URL('../../policies/', import.meta.url);
const schedules = readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
);

describe.each(schedules)('policies/%s', (schedule) => {
  const files = readdirSync(new URL(`${schedule}/`, folder)).map((file) => ({
    file,
    text: readFileSync(new URL(`${schedule}/${file}`, folder), 'utf8'),
  }));

  test('loads as a whole, without a warning; each file shows editors the schema and bears its policy’s name', () => {
    const { loaded, problems } = loadPolicies(files);
    expect(problems).toEqual([]);
    expect(loaded.flatMap(({ warnings }) => warnings)).toEqual([]);
    expect(loaded.map(({ policy }) => `${policy.name}.yaml`)).toEqual(files.map(({ file }) => file));
    for (const { text } of files)
      expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=../policy.schema.json');
  });

  test('is on the page beside the folders, and has an acceptance test', () => {
    expect(readFileSync(new URL('README.md', folder), 'utf8')).toContain(`| \`${schedule}\``);
    const source = readFileSync(new URL(`../acceptance/schedule-${schedule}.test.ts`, import.meta.url), 'utf8');
    expect(source).toContain(`'${schedule}'`);
  });
});

test('there are five', () => {
  expect(schedules).toEqual(['contact-centre', 'help-desk', 'sales-dialler', 'video-platform', 'workforce-management']);
});
