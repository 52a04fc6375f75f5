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
  const clearing: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const guarded = `guarded${round}`;
    const plain = `plain${round}`;
    await insertRecords(setting, guarded, { records: RECORDS, textLength: TEXT_LENGTH });
    await insertRecords(setting, plain, { records: RECORDS, textLength: TEXT_LENGTH });
    const policy = await publishFor(setting, guarded);
    const plan = await planPolicy(setting.app.context(), policy, { flush: true });
    const archives = await carryOnTo(setting, policy, plan, 'verified');
    bare.push(RECORDS / (await bareDelete(setting, plain)));
    clearing.push(RECORDS / (await seconds(() => clearAll(setting, policy, archives))));
    const left = await setting.client.db(setting.database).collection(guarded).countDocuments();
    if (left !== 0) throw new Error(`${left} records were not cleared: the figure would mean nothing.`);
  }
  return [
    `clearing, ${RECORDS} records of about 1 kB, median of ${ROUNDS} rounds in turn`,
    `  clearing, everything         ${median(clearing).toFixed(0)} records/s`,
    `  bare bulkWrite of deleteOne  ${median(bare).toFixed(0)} records/s   ratio ${ratio(clearing, bare)} (goal 0.6 or more)`,
  ];
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
