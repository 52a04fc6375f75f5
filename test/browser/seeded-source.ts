/** Collections for the policies of `seeded-ledger.ts`, with a few records: one policy is late, one in time, one has nothing due. */
import { type Db, ObjectId } from 'mongodb';

const DAY_MS = 86_400_000;

export async function seedSource(database: Db, now: Date): Promise<void> {
  const ago = (days: number) => new Date(now.getTime() - days * DAY_MS);
  const parties = { owner: 'acme', tenant: 'north' };
  await database.collection('chats').createIndex({ owner: 1, tenant: 1, createdAt: 1, _id: 1 });
  // Two years and 20 days: the grace of 7 days was over 13 days ago.
  await database.collection('chats').insertOne({ ...parties, createdAt: yearsBefore(ago(20), 2), text: 'a secret' });
  await database.collection('calls').createIndex({ owner: 1, tenant: 1, _id: 1 });
  const seconds = Math.floor(yearsBefore(ago(3), 1).getTime() / 1_000);
  await database.collection('calls').insertOne({ _id: ObjectId.createFromTime(seconds), ...parties, text: 'a secret' });
  await database.collection('tickets').createIndex({ owner: 1, tenant: 1, closedAt: 1, _id: 1 });
  await database.collection('tickets').insertOne({ ...parties, closedAt: ago(30), text: 'a secret' });
}

function yearsBefore(at: Date, years: number): Date {
  const before = new Date(at);
  before.setUTCFullYear(at.getUTCFullYear() - years);
  return before;
}
