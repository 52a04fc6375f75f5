/** Clearing (announce, read again, hash, guard, read back, ledger) against a bare bulkWrite of deleteOne({ _id }). */
import type { AnyBulkWriteOperation } from 'mongodb';
import { planPolicy } from '../src/lifecycle/plan.ts';
import { carryOnTo, clearAll } from './carry-on-to.ts';
import { median, ratio, seconds } from './figures.ts';
import { insertRecords } from './records.ts';
import { publishFor, type Setting } from './setting.ts';

const RECORDS = 40_000;
const TEXT_LENGTH = 900;
const ROUNDS = 3;
/** What the local server takes in one batch. */
const BULK = 1_000;

export async function measureClearing(setting: Setting): Promise<readonly string[]> {
  const bare: number[] = [];
  const byDocument: number[] = [];
  const byVersion: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    bare.push(await rateOfBareDelete(setting, `plain${round}`));
    byDocument.push(await rateOfClearing(setting, `document${round}`, 'document'));
    byVersion.push(await rateOfClearing(setting, `version${round}`, 'version'));
  }
  return [
    `clearing, ${RECORDS} records of about 1 kB, median of ${ROUNDS} rounds in turn`,
    `  bare bulkWrite of deleteOne            ${median(bare).toFixed(0)} records/s`,
    `  clearing, guarded by the document      ${median(byDocument).toFixed(0)} records/s   ratio ${ratio(byDocument, bare)} (goal 0.6 or more)`,
    `  clearing, guarded by a version field   ${median(byVersion).toFixed(0)} records/s   ratio ${ratio(byVersion, bare)} (goal 0.6 or more)`,
  ];
}

/** Everything: announce, read again, hash, intent, guarded delete, read back, settle, shrink the roster. */
async function rateOfClearing(setting: Setting, collection: string, guard: 'document' | 'version'): Promise<number> {
  await insertRecords(setting, collection, { records: RECORDS, textLength: TEXT_LENGTH });
  const policy = await publishFor(setting, collection, guard);
  const plan = await planPolicy(setting.app.context(), policy, { flush: true });
  const archives = await carryOnTo(setting, policy, plan, 'verified');
  const taken = await seconds(() => clearAll(setting, policy, archives));
  const left = await setting.client.db(setting.database).collection(collection).countDocuments();
  if (left !== 0) throw new Error(`${left} records were not cleared: the figure would mean nothing.`);
  return RECORDS / taken;
}

async function rateOfBareDelete(setting: Setting, collection: string): Promise<number> {
  await insertRecords(setting, collection, { records: RECORDS, textLength: TEXT_LENGTH });
  return RECORDS / (await bareDelete(setting, collection));
}

/** Knows its ids already: reading them is not part of the time. */
async function bareDelete(setting: Setting, collection: string): Promise<number> {
  const target = setting.client.db(setting.database).collection(collection);
  const ids = await target.find({}, { projection: { _id: 1 } }).toArray();
  return await seconds(async () => {
    for (let start = 0; start < ids.length; start += BULK) {
      const operations = ids
        .slice(start, start + BULK)
        .map(({ _id }): AnyBulkWriteOperation => ({ deleteOne: { filter: { _id } } }));
      await target.bulkWrite(operations, { ordered: false, writeConcern: { w: 'majority' } });
    }
  });
}
