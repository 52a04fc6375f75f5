import { expect, test } from 'vitest';
import { MemoryHeads } from '../../src/vault/heads-memory.ts';
import { headsContract, listed } from './heads-contract.ts';

headsContract('in memory', async () => {
  const place = new MemoryHeads();
  return {
    place,
    remove: async () => 'it has no way to',
    cover: async (number) => place.cover(number),
  };
});

test('a reply that is lost leaves the head there; a refusal leaves nothing', async () => {
  const place = new MemoryHeads();
  place.failNext('lose reply');
  await expect(place.publish(1, Buffer.from('a'), new Date())).rejects.toMatchObject({ code: 'VAULT_UNAVAILABLE' });
  place.failNext('refuse');
  await expect(place.publish(2, Buffer.from('b'), new Date())).rejects.toMatchObject({ code: 'VAULT_REFUSED' });
  expect(await listed(place)).toEqual([[1, 'a', false]]);
});
