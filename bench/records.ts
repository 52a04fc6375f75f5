/** Records to measure with: chats of about 1 kB whose texts compress as people's words do. Seeded: every run has the same. */
import { faker } from '@faker-js/faker';
import type { Setting } from './setting.ts';

const INSERT_BATCH = 2_000;
/** Different texts to draw from: making a new one for each record would measure the generator. */
const TEXTS = 5_000;
const FIRST_DAY = Date.UTC(2010, 0, 1);
const SECONDS_OF_TEN_YEARS = 315_000_000;

export interface RecordOptions {
  readonly records: number;
  /** Characters of text a record. */
  readonly textLength: number;
}

/** Inserts records of one customer, with the index that the policy needs. Returns the bytes of BSON. */
export async function insertRecords(setting: Setting, collection: string, options: RecordOptions): Promise<number> {
  faker.seed(20_260_101);
  const target = setting.client.db(setting.database).collection(collection);
  const texts = Array.from({ length: TEXTS }, () => sentences(options.textLength));
  for (let start = 0; start < options.records; start += INSERT_BATCH) {
    const batch = [];
    for (let at = start; at < Math.min(start + INSERT_BATCH, options.records); at++) {
      batch.push({
        tenant: 'north',
        createdAt: new Date(FIRST_DAY + Math.floor((at / options.records) * SECONDS_OF_TEN_YEARS) * 1000),
        updatedAt: new Date(FIRST_DAY + at),
        channel: at % 3 === 0 ? 'web' : 'app',
        agent: at % 97,
        seconds: (at * 7) % 1800,
        rating: at % 5 === 0 ? null : (at % 5) + 0.5,
        text: texts[(at * 31) % TEXTS],
      });
    }
    await target.insertMany(batch, { ordered: false });
  }
  await target.createIndex({ tenant: 1, createdAt: 1, _id: 1 });
  const [size] = await target
    .aggregate([{ $group: { _id: null, bytes: { $sum: { $bsonSize: '$$ROOT' } } } }])
    .toArray();
  return Number(size?.bytes ?? 0);
}

function sentences(length: number): string {
  let text = '';
  while (text.length < length) text += `${faker.lorem.sentence()} ${faker.person.firstName()}. `;
  return text.slice(0, length);
}
