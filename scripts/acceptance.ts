/**
 * The example schedules of policies/, each from its first record to its last certificate on the local stack, and a line
 * for each: `npm run acceptance`, or with names, `npm run acceptance -- --schedule help-desk`.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import pMap from 'p-map';
import { z } from 'zod';
import { scriptArguments } from '../test/harness/script-arguments.ts';

const CHECKOUT = resolve(import.meta.dirname, '..');
const WRONG_USAGE = 2;
const USAGE = `usage: npm run acceptance [-- --schedule <name> ...]

The example schedules of policies/, each from the first record to the last certificate, on the local stack.

  --schedule <name>   only this one; may be repeated: ${schedules().join(', ')}`;

const shown = z.object({
  archived: z.number(),
  deleted: z.number(),
  treated: z.number(),
  purged: z.number(),
  certificates: z.number(),
});
const report = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      startTime: z.number(),
      endTime: z.number(),
      assertionResults: z.array(
        z.object({
          title: z.string(),
          status: z.string(),
          failureMessages: z.array(z.string()).nullish(),
          meta: z.object({ shown: shown.optional() }).optional(),
        }),
      ),
    }),
  ),
});
type Ran = z.output<typeof report>['testResults'][number];

const { schedule: named = [] } = scriptArguments({ schedule: { type: 'string', multiple: true } }, USAGE);
const unknown = named.find((name) => !schedules().includes(name));
if (unknown !== undefined) {
  console.error(`There is no schedule ${unknown}.\n\n${USAGE}`);
  process.exit(WRONG_USAGE);
}
const chosen = named.length === 0 ? schedules() : schedules().filter((name) => named.includes(name));
process.exitCode = (await run(chosen)) ? 0 : 1;

/** Folders of policies/. */
function schedules(): readonly string[] {
  return readdirSync(join(CHECKOUT, 'policies'), { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
    .sort();
}

/** Two at a time, as the tests of the project run. A line as soon as one has come to its end. */
async function run(names: readonly string[]): Promise<boolean> {
  const outcomes = await pMap(
    names,
    async (name) => {
      const { ok, text, output } = await runOne(name);
      console.log(text);
      // A failure that no test has, such as a stack that does not come up, is told in vitest's own words.
      if (!ok) console.error(output);
      return ok;
    },
    { concurrency: 2 },
  );
  return outcomes.every((ok) => ok);
}

async function runOne(name: string) {
  const directory = mkdtempSync(join(tmpdir(), 'moraine-acceptance-'));
  try {
    const file = join(directory, 'report.json');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const { succeeded, output } = await vitest(['run', ...reporters, `test/acceptance/schedule-${name}.test.ts`]);
    const line = lineOf(name, readReport(file));
    return { ok: succeeded && line.ok, text: line.text, output };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function readReport(file: string): readonly Ran[] {
  try {
    return report.parse(JSON.parse(readFileSync(file, 'utf8'))).testResults;
  } catch {
    // Said as "it did not run", with what vitest printed.
    return [];
  }
}

/** One line: the name, what its lives came to, seconds, ok or failed with the first thing that did not hold. */
function lineOf(name: string, ran: readonly Ran[]): { readonly ok: boolean; readonly text: string } {
  const one = ran.find((each) => basename(each.name) === `schedule-${name}.test.ts`);
  const title = name.padEnd(Math.max(...schedules().map(({ length }) => length)));
  if (one === undefined) return { ok: false, text: `${title}  failed: it did not run` };
  const seconds = `${Math.round((one.endTime - one.startTime) / 1000)} s`;
  const lives = one.assertionResults.flatMap(({ meta }) => meta?.shown ?? []);
  const sum = (count: keyof z.output<typeof shown>) => lives.reduce((total, life) => total + life[count], 0);
  const counts = [
    `${sum('archived')} archived`,
    `${sum('deleted')} deleted`,
    `${sum('treated')} treated`,
    `${sum('purged')} purged`,
    `${sum('certificates')} certificates`,
  ].join(', ');
  const failed = one.assertionResults.find(({ status }) => status !== 'passed');
  // A file whose set-up failed has tests that were skipped, and one that showed nothing proves nothing.
  const ok = one.status === 'passed' && failed === undefined && lives.length > 0;
  const why = failed?.failureMessages?.[0]?.split('\n')[0] ?? 'nothing was shown';
  return { ok, text: `${title}  ${counts}, ${seconds}: ${ok ? 'ok' : `failed: ${why}`}` };
}

function vitest(args: readonly string[]): Promise<{ readonly succeeded: boolean; readonly output: string }> {
  return new Promise((done) => {
    const child = spawn(join(CHECKOUT, 'node_modules/.bin/vitest'), args, { cwd: CHECKOUT });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    child.on('error', (error) => done({ succeeded: false, output: `${output}${error.message}` }));
    child.on('exit', (code) => done({ succeeded: code === 0, output }));
  });
}
