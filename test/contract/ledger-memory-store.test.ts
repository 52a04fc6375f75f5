import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { MemoryStore } from '../../src/ledger/memory-store.ts';
import { ledgerDocumentsContract } from './ledger-documents-contract.ts';
import { storeContract } from './store-contract.ts';
import { storeValuesContract } from './store-values-contract.ts';

storeContract('memory', async () => ({ store: new MemoryStore(systemClock), close: async () => undefined }));
storeValuesContract('memory', async () => ({ store: new MemoryStore(systemClock), close: async () => undefined }));
ledgerDocumentsContract('memory', async () => new MemoryStore(systemClock));

describe('memory store', () => {
  it.each([
    Number.NaN,
    1n,
    new Map(),
    undefined,
    Symbol('x'),
    new Date(Number.NaN),
    'x\ud800',
    { 'a.b': 1 },
    { $a: 1 },
    { '': 1 },
  ])('refuses a value that the port does not allow: %s', async (value) => {
    const items = new MemoryStore(systemClock).collection('items');
    const document = { _id: 'a', v: 1, list: [value] };
    await expect(items.insert(document)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await items.count({})).toBe(0);
  });
});
