/** A purge whose answer never came: since when it is missing, what an inventory says of it, and that an answer which came meanwhile counts. */
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import type { ArchiveDocument, PurgeFacts } from '../../src/ledger/archive-document.ts';
import { archives, claimArchive, getArchive } from '../../src/ledger/archives.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { answerOf, settleUnanswered, unansweredSince } from '../../src/lifecycle/unanswered-purge.ts';
import type { InventoryEntry } from '../../src/vault/port.ts';
import { anArchive } from '../harness/an-archive.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const HOUR_MS = 3_600_000;
const A1 = id.archive('a1');
const ASKED = new Date('2024-06-01T00:00:00Z');
const after = (hours: number) => new Date(ASKED.getTime() + hours * HOUR_MS);
const PURGE: PurgeFacts = {
  claimedDueAt: ASKED,
  asOf: ASKED,
  askedAt: ASKED,
  acceptedAt: null,
  keyDestroyedAt: null,
  confirmedByInventoryAt: null,
  certificate: null,
};
const UNANSWERED = { state: 'purging', purge: PURGE } as const;

let world: MemoryWorld;
beforeEach(async () => {
  world = await MemoryWorld.open();
});

async function put(fields: Partial<ArchiveDocument>): Promise<ArchiveDocument> {
  await archives(world.store).insert(anArchive(fields));
  return await getArchive(world.store, A1);
}

test.each<[string, Partial<ArchiveDocument>]>([
  ['not asked', { state: 'purging', purge: { ...PURGE, askedAt: null } }],
  ['answered', { state: 'purging', purge: { ...PURGE, acceptedAt: ASKED } }],
  ['no purge', { state: 'purging', purge: null }],
  ['taken back', { state: 'cleared', purge: PURGE }],
  ['put aside', { state: 'quarantined', purge: PURGE }],
])('%s: no answer is missing, and no inventory says anything', async (_, fields) => {
  const archive = await put(fields);
  expect(unansweredSince(archive, after(1_000))).toBeNull();
  expect(answerOf(archive, null, after(1_000), after(1_000))).toBe('none');
});

test('without what was stored no inventory says anything', async () => {
  expect(answerOf(await put({ ...UNANSWERED, stored: null }), null, after(1_000), after(1_000))).toBe('none');
});

test('missing for six hours, it is looked for; listed for three days, the vault never deleted it', async () => {
  const archive = await put(UNANSWERED);
  expect(unansweredSince(archive, new Date(after(6).getTime() - 1))).toBeNull();
  expect(unansweredSince(archive, after(6))).toEqual(ASKED);
  const listed: InventoryEntry = {
    ...{ vaultArchiveId: 'va1', intent: null, description: '', bytes: 1, treeHash: null, createdAt: ASKED },
  };
  expect(answerOf(archive, listed, after(1), new Date(after(72).getTime() - 1))).toBe('none');
  expect(answerOf(archive, listed, after(1), after(72))).toBe('not-deleted');
  const storedAt = archive.stored?.at ?? ASKED;
  expect(answerOf(archive, null, storedAt, after(72))).toBe('none');
  expect(answerOf(archive, null, new Date(storedAt.getTime() + 1), after(0))).toBe('gone');
});

test.each(['gone', 'not-deleted'] as const)('%s, and its answer came meanwhile: that counts', async (answer) => {
  const purge = { ...PURGE, acceptedAt: after(1) };
  await put({ ...UNANSWERED, purge });
  const context = world.context();
  const lease = await claimArchive(context.store, context.audit, A1, context);
  await settleUnanswered(context, lease, answer, after(72));
  expect(await getArchive(world.store, A1)).toMatchObject({ state: 'purging', purge });
});

test('not deleted: the chain says which inventory lists it still', async () => {
  await put(UNANSWERED);
  const context = world.context();
  const lease = await claimArchive(context.store, context.audit, A1, context);
  await settleUnanswered(context, lease, 'not-deleted', after(72));
  expect(await getArchive(world.store, A1)).toMatchObject({ state: 'cleared', purge: null });
  const told: unknown[] = [];
  for await (const { details } of auditEntries(world.store)) told.push(details);
  const reason = expect.stringContaining(`the inventory of ${after(72).toISOString()} still lists it`);
  expect(told).toContainEqual(expect.objectContaining({ reason }));
});
