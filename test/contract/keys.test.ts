import { randomUUID } from 'node:crypto';
import { ensureServices } from '../../infra/local-stack/index.ts';
import { MemoryStore } from '../../src/ledger/memory-store.ts';
import { connectMongoStore } from '../../src/ledger/mongo-store.ts';
import { keysContract, type OpenStore } from './keys-contract.ts';

const inMemory = async (): Promise<OpenStore> => ({ store: new MemoryStore(), close: async () => undefined });

const onServer = async (): Promise<OpenStore> => {
  const { mongodb: url } = await ensureServices({ services: ['mongodb'], progress: () => undefined });
  const store = await connectMongoStore({ url: url ?? '', database: `keys-${randomUUID().slice(0, 8)}` });
  return {
    store,
    close: async () => {
      await store.drop();
      await store.close();
    },
  };
};

keysContract('memory', 1, inMemory);
keysContract('memory', 2, inMemory);
keysContract('mongodb', 1, onServer);
keysContract('mongodb', 2, onServer);
