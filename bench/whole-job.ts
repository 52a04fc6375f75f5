/** The whole job (scan, seal, upload to the emulator, ledger) against a raw read of the same collection, and mongodump where it is. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { MongoClient } from 'mongodb';
import { type PolicyPlan, planPolicy } from '../src/lifecycle/plan.ts';
import { carryOnTo, forgetArchives } from './carry-on-to.ts';
import { median, ratio, seconds } from './figures.ts';
import { insertRecords } from './records.ts';
import { publishFor, type Setting } from './setting.ts';

const RECORDS = 120_000;
const TEXT_LENGTH = 900;
const ROUNDS = 3;

export async function measureWholeJob(setting: Setting): Promise<readonly string[]> {
  const bytes = await insertRecords(setting, 'whole', { records: RECORDS, textLength: TEXT_LENGTH });
  const policy = await publishFor(setting, 'whole');
  const megabytes = bytes / 1e6;
  const raw: number[] = [];
  const job: number[] = [];
  const dump: number[] = [];
  const planning: number[] = [];
  const hasMongodump = await isOnPath('mongodump');
  await rawRead(setting.client, setting.database);
  for (let round = 0; round < ROUNDS; round++) {
    raw.push(megabytes / (await seconds(() => rawRead(setting.client, setting.database))));
    if (hasMongodump) dump.push(megabytes / (await seconds(() => mongodump(setting))));
    let plan: PolicyPlan | null = null;
    planning.push(await seconds(async () => (plan = await planPolicy(setting.app.context(), policy, { flush: true }))));
    if (plan === null) throw new Error('There is no plan.');
    const planned: PolicyPlan = plan;
    job.push(megabytes / (await seconds(() => carryOnTo(setting, policy, planned, 'stored'))));
    await forgetArchives(setting);
  }
  const lines = [
    `whole job, ${RECORDS} records, ${megabytes.toFixed(0)} MB of BSON, median of ${ROUNDS} rounds in turn`,
    `  scan, seal, upload, ledger   ${median(job).toFixed(1)} MB/s`,
    `  raw read of the collection   ${median(raw).toFixed(1)} MB/s   ratio ${ratio(job, raw)} (goal 0.5 or more)`,
  ];
  if (hasMongodump)
    lines.push(
      `  mongodump --archive --gzip   ${median(dump).toFixed(1)} MB/s   ratio ${ratio(job, dump)} (goal 3 or more)`,
    );
  else lines.push('  mongodump --archive --gzip   not on the PATH, not measured');
  return lines;
}

async function rawRead(client: MongoClient, database: string): Promise<number> {
  const cursor = client.db(database).collection('whole').find({}, { raw: true, batchSize: 1000 });
  let bytes = 0;
  for await (const document of cursor) bytes += document.length;
  return bytes;
}

async function mongodump(setting: Setting): Promise<void> {
  const options = [
    '--uri',
    setting.urls.mongodb,
    '--db',
    setting.database,
    '--collection',
    'whole',
    '--archive=/dev/null',
    '--gzip',
    '--quiet',
  ];
  await promisify(execFile)('mongodump', options);
}

async function isOnPath(program: string): Promise<boolean> {
  try {
    await promisify(execFile)(program, ['--version']);
    return true;
  } catch {
    // Not there: the line of the report says so.
    return false;
  }
}
