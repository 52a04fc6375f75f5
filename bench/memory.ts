/**
 * Peak memory of the whole life up to `cleared`, at two sizes, each in a process of its own: as Node comes, where the
 * garbage collector lets the heap grow while there is room, and with a bounded heap, in which a job that needed memory in
 * proportion to what is due would die.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { planPolicy } from '../src/lifecycle/plan.ts';
import { carryOnTo, clearAll } from './carry-on-to.ts';
import { insertRecords } from './records.ts';
import { openSetting, publishFor, type Setting } from './setting.ts';

export const MEMORY_SIZES = [20_000, 1_000_000] as const;
const TEXT_LENGTH = 900;

const HEAPS = [
  { name: 'heap of 160 MiB', flags: ['--max-old-space-size=160', '--max-semi-space-size=2'] },
  { name: 'heap as Node comes', flags: [] },
] as const;

export async function measureMemory(setting: Setting): Promise<readonly string[]> {
  const lines = ['peak memory of archive and clear, each in its own process (resident set)'];
  const [few, many] = MEMORY_SIZES;
  for (const [at, { name, flags }] of HEAPS.entries()) {
    const small = await peakOf(setting, few, at, flags);
    const large = await peakOf(setting, many, at, flags);
    const figures = `${few} records ${(small / 1024).toFixed(0)} MiB, ${many} records ${(large / 1024).toFixed(0)} MiB`;
    lines.push(`  ${name.padEnd(20)} ${figures}   ratio ${(large / small).toFixed(2)} (goal 0.90-1.10)`);
  }
  return lines;
}

/** In KiB. */
async function peakOf(setting: Setting, records: number, at: number, flags: readonly string[]): Promise<number> {
  const collection = `memory${records}-${at}`;
  await insertRecords(setting, collection, { records, textLength: TEXT_LENGTH });
  await publishFor(setting, collection);
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...flags,
    import.meta.filename,
    setting.database,
    collection,
  ]);
  await setting.client.db(setting.database).dropCollection(collection);
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
