import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { id } from '../../src/ids.ts';
import { ClearingWarrant, VerifiedArchive } from '../../src/ledger/warrants.ts';
import { MemorySource } from '../../src/source/memory-source.ts';
import { idBytesOf, rawRecord } from '../../src/source/raw-document.ts';
import { SHAPE, sourceContract } from './source-contract.ts';
import { ordered, PARTIES } from './source-documents.ts';

sourceContract('memory', async () => {
  const source = new MemorySource({ clock: systemClock });
  let collections = 0;
  return {
    source,
    collection: async () => {
      const namespace = id.namespace(`memory.c${++collections}`);
      source.settings(namespace, { index: true });
      return namespace;
    },
    replace: async (namespace, raw) => {
      const there = source.remove(namespace, idBytesOf(raw));
      if (there) source.put(namespace, raw);
      return there;
    },
    change: async (namespace, from, to) => {
      // Within one turn: nobody else writes between the look and the change.
      const isThere = source.all(namespace).some((raw) => Buffer.compare(raw, from) === 0);
      if (isThere) source.put(namespace, to);
      return isThere;
    },
    remove: async (namespace, raw) => {
      source.remove(namespace, idBytesOf(raw));
    },
    close: async () => undefined,
  };
});

describe('the source in memory forbids more than the real one', () => {
  const namespace = id.namespace('memory.forbidden');
  const dataset = { ...SHAPE, namespace };

  it('asked without its index, or of an unfit kind: refused', async () => {
    const source = new MemorySource({ clock: systemClock });
    source.settings(namespace, { index: false });
    const partition = { dataset, owner: id.owner('a'), customer: id.customer('b') };
    await expect(source.summarise(partition, { before: 1 })).rejects.toMatchObject({ code: 'INDEX_MISSING' });
    expect((await source.inspect(dataset)).findings).toMatchObject([{ code: 'INDEX_MISSING' }]);
    source.settings(namespace, { kind: 'capped' });
    await expect(source.summarise(partition, { before: 1 })).rejects.toMatchObject({ code: 'DATASET_UNFIT' });
    expect((await source.inspect(dataset)).findings).toMatchObject([{ code: 'DATASET_UNFIT' }]);
  });

  it('a delete with a warrant that nobody issued: refused, the record stays', async () => {
    const source = new MemorySource({ clock: systemClock });
    const record = rawRecord(ordered(['_id', 1], ...PARTIES));
    source.put(namespace, record.raw);
    const verified = VerifiedArchive.issue(id.archive('a'), id.attempt('b'));
    const lease = { epoch: 1, assertHeld: () => undefined };
    const real = ClearingWarrant.issue(verified, lease, new Date(8e15));
    const forged: ClearingWarrant = Object.assign(Object.create(null), { ...real, assertGood: () => undefined });
    await expect(source.deleteGuarded(dataset, [record], forged)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(source.all(namespace)).toHaveLength(1);
  });

  it('a read of more ids than a roster page has: refused', async () => {
    const source = new MemorySource({ clock: systemClock });
    const ids = Array.from({ length: 1_001 }, (_, at) => idBytesOf(ordered(['_id', at])));
    await expect(source.readByIds(namespace, ids)).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  it('stored bytes do not change with those that were handed in or out', () => {
    const source = new MemorySource({ clock: systemClock });
    const raw = ordered(['_id', 1], ...PARTIES);
    const original = Buffer.from(raw).toString('hex');
    source.put(namespace, raw);
    raw.fill(0, 10);
    source.all(namespace)[0]!.fill(0, 10);
    expect(Buffer.from(source.all(namespace)[0]!).toString('hex')).toBe(original);
  });
});
