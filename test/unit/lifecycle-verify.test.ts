/** Nothing is verified but by what its policy asks for, with its key read back; what cannot be is put aside. */
import { beforeEach, describe, expect, test } from 'vitest';
import { MoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { type ArchiveLease, archives, claimArchive } from '../../src/ledger/archives.ts';
import { getInventory } from '../../src/ledger/inventories.ts';
import { archiveEntryId, getQuarantine } from '../../src/ledger/quarantine.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { verifyByChecksum, verifyByInventory } from '../../src/lifecycle/verify.ts';
import { anArchive, LOCATION } from '../harness/an-archive.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const A1 = id.archive('a1');
const LATER = new Date('2024-06-03T00:00:00Z');
const stored = { state: 'stored', verifiedAt: null, rosterShrunk: false } as const;

let world: MemoryWorld;
let context: Context;
let readBack: string[];
let onReadBack: () => void;
let moved: string[];
beforeEach(async () => {
  world = await MemoryWorld.open();
  readBack = [];
  moved = [];
  onReadBack = () => undefined;
  const base = world.context();
  const keys = overlay(base.keys, {
    readBack: async (attempt) => {
      readBack.push(attempt);
      onReadBack();
      return { attempt, archive: A1, owner: LOCATION.owner, wrapped: new Uint8Array(), recipients: [] };
    },
  });
  context = { ...base, keys, progress: { moved: (archive, to) => moved.push(`${archive} ${to}`) } };
});

async function claimed(fields: Partial<ArchiveDocument> = {}): Promise<ArchiveLease> {
  await archives(world.store).insert(anArchive({ ...stored, ...fields }));
  return await claimArchive(world.store, context.audit, A1, context);
}

const read = async () => await archives(world.store).get(A1);

describe('by checksum', () => {
  test('verified with its key read back, and the date', async () => {
    const lease = await claimed();
    world.clock.advance(1_000);
    expect(await verifyByChecksum(context, lease)).toMatchObject({ state: 'verified', verifiedAt: world.clock.now() });
    expect(readBack).toEqual(['t1']);
    expect(moved).toEqual(['a1 verified']);
    expect(await read()).toMatchObject({
      state: 'verified',
      unaudited: [{ act: 'archive verified', details: { level: 'checksum' } }],
    });
  });

  test('is not enough where the policy asks for an inventory: that is asked for, and the archive stays stored', async () => {
    const lease = await claimed({ verifyLevel: 'inventory' });
    expect(await verifyByChecksum(context, lease)).toMatchObject({ state: 'stored', verifiedAt: null });
    expect(readBack).toEqual([]);
    expect(await getInventory(world.store, LOCATION)).toMatchObject({ neededSince: lease.document.stored?.at });
  });

  test.each(['KEY_MISSING', 'KEY_DESTROYED'] as const)('%s: quarantined with that reason, and told', async (code) => {
    onReadBack = () => {
      throw new MoraineError(code, 'no key');
    };
    const errors: unknown[] = [];
    context = { ...context, log: { ...context.log, error: (ids) => errors.push(ids) } };
    expect(await verifyByChecksum(context, await claimed())).toMatchObject({
      state: 'quarantined',
      quarantinedFrom: 'stored',
      quarantineReason: code,
      verifiedAt: null,
    });
    const { owner, customer, namespace, policy } = anArchive();
    expect(await getQuarantine(world.store, archiveEntryId(A1))).toMatchObject({
      state: 'open',
      archive: A1,
      reason: code,
      owner,
      customer,
      namespace,
      policy,
    });
    expect(errors).toEqual([{ archive: A1, code }]);
    expect(moved).toEqual([]);
  });

  test('a key store that is away says nothing about the key: stored still, and the error is passed on', async () => {
    onReadBack = () => {
      throw new MoraineError('MONGODB_UNAVAILABLE', 'away');
    };
    const lease = await claimed();
    await expect(verifyByChecksum(context, lease)).rejects.toMatchObject({ code: 'MONGODB_UNAVAILABLE' });
    expect(await read()).toMatchObject({ state: 'stored', verifiedAt: null });
  });

  test('without an attempt there is no key to read back: a bug, and nothing changes', async () => {
    const lease = await claimed({ attempt: null });
    await expect(verifyByChecksum(context, lease)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await read()).toMatchObject({ state: 'stored' });
  });
});

describe('by inventory', () => {
  const { bytes = 0, treeHash = '', vaultArchiveId = '' } = anArchive().stored ?? {};
  const listed = { vaultArchiveId, intent: null, description: '', bytes, treeHash, createdAt: LATER };

  test('listed with size and tree hash: verified, and the date of the inventory is told', async () => {
    const lease = await claimed({ verifyLevel: 'inventory' });
    expect(await verifyByInventory(context, lease, listed, LATER)).toMatchObject({ state: 'verified' });
    expect(await read()).toMatchObject({
      unaudited: [{ details: { level: 'inventory', inventoryDate: LATER.toISOString() } }],
    });
    expect(readBack).toEqual(['t1']);
  });

  test.each([
    ['not listed', null, /does not list it/],
    ['with another size', { ...listed, bytes: bytes + 1 }, /another size or tree hash/],
    ['with another tree hash', { ...listed, treeHash: '0' }, /another size or tree hash/],
  ])('%s: put aside, and its key is not asked for', async (_, entry, text) => {
    const lease = await claimed({ verifyLevel: 'inventory' });
    expect(await verifyByInventory(context, lease, entry, LATER)).toMatchObject({
      state: 'quarantined',
      quarantineReason: 'ARCHIVE_NOT_IN_INVENTORY',
    });
    expect((await getQuarantine(world.store, archiveEntryId(A1)))?.text).toMatch(text);
    expect((await getQuarantine(world.store, archiveEntryId(A1)))?.text).toContain(LATER.toISOString());
    expect(readBack).toEqual([]);
  });

  test('never stored: nothing that an inventory lists verifies it', async () => {
    const lease = await claimed({ stored: null });
    expect(await verifyByInventory(context, lease, listed, LATER)).toMatchObject({ state: 'quarantined' });
  });
});
