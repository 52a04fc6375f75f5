import { systemClock } from '../../src/clock.ts';
import { id } from '../../src/ids.ts';
import { MemorySource } from '../../src/source/memory-source.ts';
import { lookUpContract } from './look-up-contract.ts';

lookUpContract('memory', async () => {
  const source = new MemorySource({ clock: systemClock });
  let collections = 0;
  return {
    source,
    collection: async () => {
      const namespace = id.namespace(`memory.c${++collections}`);
      source.settings(namespace, { index: true });
      return namespace;
    },
    dropIndexes: async (namespace) => source.settings(namespace, { index: false }),
    close: async () => undefined,
  };
});
