/**
 * All checks, as CI runs them: types, lint, every test. Arguments go to vitest (`npm test -- test/unit`). The last line
 * is `N passed, N failed`: the two checks and the tests.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';

const CHECKOUT = resolve(import.meta.dirname, '..');

interface Tally {
  readonly passed: number;
  readonly failed: number;
}

const vitestReport = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  testResults: z.array(z.object({ status: z.string(), assertionResults: z.array(z.unknown()) })),
});

const tallies = [
  await check('types', 'tsc', []),
  await check('lint', 'biome', ['check', '--error-on-warnings', '.']),
  await tests(process.argv.slice(2)),
];
const passed = tallies.reduce((sum, tally) => sum + tally.passed, 0);
const failed = tallies.reduce((sum, tally) => sum + tally.failed, 0);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function check(title: string, program: string, args: readonly string[]): Promise<Tally> {
  console.log(`--- ${title}`);
  return (await runProgram(program, args)) ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

async function tests(args: readonly string[]): Promise<Tally> {
  console.log('--- tests');
  const directory = mkdtempSync(join(tmpdir(), 'moraine-test-'));
  try {
    const report = join(directory, 'report.json');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const succeeded = await runProgram('vitest', ['run', ...reporters, ...args]);
    return tallyOf(report, succeeded);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A run that failed counts as one failure at least: a set-up or an unhandled error fails no test of its own. */
function tallyOf(report: string, succeeded: boolean): Tally {
  try {
    const { numPassedTests, numFailedTests, testResults } = vitestReport.parse(
      JSON.parse(readFileSync(report, 'utf8')),
    );
    // A file that could not be loaded has no tests to fail.
    const unloaded = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
    const failures = numFailedTests + unloaded.length;
    return { passed: numPassedTests, failed: succeeded ? failures : Math.max(failures, 1) };
  } catch (error) {
    console.error(`vitest left no report: ${error}`);
    return { passed: 0, failed: 1 };
  }
}

function runProgram(program: string, args: readonly string[]): Promise<boolean> {
  return new Promise((done) => {
    const child = spawn(join(CHECKOUT, 'node_modules/.bin', program), args, { cwd: CHECKOUT, stdio: 'inherit' });
    child.on('error', (error) => {
      console.error(`${program}: ${error.message}`);
      done(false);
    });
    child.on('exit', (code) => done(code === 0));
  });
}
