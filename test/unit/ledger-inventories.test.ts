/** Who may ask a vault for an inventory, when the one who was about to ask never came back. */
import { expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { ASKING_MARGIN_MS, claimInventoryRequest, needInventory } from '../../src/ledger/inventories.ts';
import { MemoryStore } from '../../src/ledger/memory-store.ts';
import { MemoryVault } from '../../src/vault/memory-vault.ts';

const NOW = Date.parse('2030-03-06T03:00:00Z');
const MINUTE_MS = 60_000;

function at(ms: number) {
  return { now: () => new Date(ms), monotonicMs: () => 0, sleep: async () => undefined };
}

async function askedAt(ms: number) {
  const vault = new MemoryVault({ key: id.vaultKey('cold'), clock: at(NOW) });
  const location = vault.locate('1nst', id.owner('acme'), id.customer('north'));
  const store = new MemoryStore(at(NOW));
  await needInventory(store, location, new Date(NOW - MINUTE_MS));
  expect(await claimInventoryRequest(store, at(ms), location)).toBe(true);
  return (now: number) => claimInventoryRequest(store, at(now), location);
}

test('nobody asks beside another one; after the margin the next one does', async () => {
  const mayAsk = await askedAt(NOW);
  expect(await mayAsk(NOW + ASKING_MARGIN_MS - 1)).toBe(false);
  expect(await mayAsk(NOW + ASKING_MARGIN_MS)).toBe(true);
});

test('one whose clock is a minute ahead is waited for; one that is years ahead holds nobody up', async () => {
  expect(await (await askedAt(NOW + MINUTE_MS))(NOW)).toBe(false);
  expect(await (await askedAt(NOW + 3_650 * 1_440 * MINUTE_MS))(NOW)).toBe(true);
});
