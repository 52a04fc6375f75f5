import { afterAll } from 'vitest';
import { connectMongoStore, type MongoStore } from '../../src/ledger/mongo-store.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { approvalsContract } from './approvals-contract.ts';

const names = testNames(import.meta.filename);
let store: MongoStore | undefined;
afterAll(async () => store?.close());

approvalsContract('mongodb', async () => {
  store ??= await connectMongoStore({ url: stackUrls().mongodb, database: names.database });
  await store.drop();
  return store;
});
