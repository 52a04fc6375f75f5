/**
 * Whether a server is one of production: a ledger of Moraine that lies on it says so, for the environment is stamped into a
 * ledger when it is first written. It is all that a server can prove: where the ledger of production lies on another one,
 * nothing here tells.
 */
import type { Document, MongoClient } from 'mongodb';
import { asking } from './driver-errors.ts';

/** As `src/ledger/installation.ts` names them. */
const COLLECTION = 'installation';
const ID = 'installation';

/** Databases that hold the ledger of a production installation. Throws MONGODB_REFUSED where the databases may not be listed. */
export async function productionLedgers(client: MongoClient): Promise<readonly string[]> {
  const doing = 'list its databases, to tell whether it is a server of production';
  const { databases } = await asking(doing, () => client.db('admin').admin().listDatabases({ nameOnly: true }));
  const found: string[] = [];
  for (const { name } of databases) {
    const stamp = await asking('read the stamp of a ledger', () =>
      client
        .db(name)
        .collection<Document>(COLLECTION)
        .findOne({ _id: { $in: [ID] }, environment: 'production' } as Document),
    );
    if (stamp !== null) found.push(name);
  }
  return found;
}
