import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CHECKOUT, readModules } from '../harness/module-graph.ts';

/** One concept to a file: past this, there is usually a second one inside. */
const MOST_LINES = 350;

/** Longer with a reason. */
const LONGER: Readonly<Record<string, string>> = { 'src/errors.ts': 'one list of every error, of one entry each' };

test(`no file of the product is longer than ${MOST_LINES} lines without a reason`, () => {
  const long = [...readModules().keys()]
    .filter((file) => file.startsWith('src/') || file.startsWith('jobs/'))
    .map((file) => ({ file, lines: readFileSync(join(CHECKOUT, file), 'utf8').split('\n').length }))
    .filter(({ lines }) => lines > MOST_LINES);
  expect(long.filter(({ file }) => LONGER[file] === undefined)).toEqual([]);
  expect(Object.keys(LONGER).filter((file) => !long.some((one) => one.file === file))).toEqual([]);
});
