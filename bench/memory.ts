/** Peak memory of the whole life up to `cleared`, at two sizes, each in a process of its own. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { planPolicy } from '../src/lifecycle/plan.ts';
import { carryOnTo, clearAll } from './carry-on-to.ts';
import { insertRecords } from './records.ts';
import { openSetting, publishFor, type Setting } from './setting.ts';

export const MEMORY_SIZES = [20_000, 1_000_000] as const;
const TEXT_LENGTH = 250;

export async function measureMemory(setting: Setting): Promise<readonly string[]> {
  const peaks: number[] = [];
  for (const records of MEMORY_SIZES) {
    const collection = `memory${records}`;
    await insertRecords(setting, collection, { records, textLength: TEXT_LENGTH });
    await publishFor(setting, collection);
    peaks.push(await peakOfChild(setting.database, collection));
  }
  const [small = Number.NaN, large = Number.NaN] = peaks;
  const [few, many] = MEMORY_SIZES;
  return [
    'peak memory of archive and clear, each in its own process (resident set)',
    `  ${few} records       ${(small / 1024).toFixed(0)} MiB`,
    `  ${many} records     ${(large / 1024).toFixed(0)} MiB   ratio ${(large / small).toFixed(2)} (goal 0.90-1.10)`,
  ];
}

async function peakOfChild(database: string, collection: string): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [import.meta.filename, database, collection]);
  return Number(stdout);
}

/** The child: does the job and prints the peak of its resident set in KiB. */
async function archiveAndClear(database: string, collection: string): Promise<void> {
  const setting = await openSetting(database);
  const policy = await publishFor(setting, collection);
  const plan = await planPolicy(setting.app.context(), policy, { flush: true });
  await clearAll(setting, policy, await carryOnTo(setting, policy, plan, 'verified'));
  await setting.close();
  console.log(process.resourceUsage().maxRSS);
}

if (process.argv[1] === import.meta.filename) {
  const [, , database, collection] = process.argv;
  if (database === undefined || collection === undefined) throw new Error('memory.ts is started by bench.ts.');
  await archiveAndClear(database, collection);
}
