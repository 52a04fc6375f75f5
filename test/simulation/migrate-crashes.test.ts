/**
 * An archive moves from one vault to another, its old copy goes by approval, and it is purged; cut at every call, in every
 * way that faults.ts knows, and then a fresh process takes over. At no moment is there no copy; at the end there is none
 * anywhere, and the certificate names every place that it was in.
 */
import { expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { grantApproval } from '../../src/ledger/approval-decisions.ts';
import { liveApprovals } from '../../src/ledger/approvals.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { RELEASE_GRACE_MS } from '../../src/ledger/holds.ts';
import { getMigration, type MigrationDocument } from '../../src/ledger/migrations.ts';
import { wantRetrievals } from '../../src/ledger/retrievals.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { placeHold, releaseHold } from '../../src/lifecycle/hold.ts';
import { carryOnMigrations, planMigration, wantMigrations } from '../../src/lifecycle/migrate.ts';
import { orderOldCopiesGone } from '../../src/lifecycle/migrate-delete.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { planPurge } from '../../src/lifecycle/purge-caps.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { MemoryVault } from '../../src/vault/memory-vault.ts';
import type { StoredArchive, UploadHandle, UploadIntent, VaultLocation } from '../../src/vault/port.ts';
import { FAULTS, type Fault, Process } from './faults.ts';
import { MemoryWorld } from './memory-world.ts';

const POLICY = `
policy: chats
zone: Europe/Amsterdam
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: VERIFY, dueWindow: 30 days }
limits: { records: 1000, share: 1.0 }
`;
const RUN_AT = '2024-06-01T00:00:00Z';
const PURGE_AT = '2030-06-01T00:00:00Z';
const COLD = id.vaultKey('cold');
const ICE = id.vaultKey('ice');
const MOVE = { from: COLD, to: ICE, limit: null, tier: 'bulk' } as const;
const ASKED = { by: 'person:olive', throttle: 2 };

const NO_SCOPE = {
  ...{ caseNumber: 'C-1', reason: 'a claim', customer: null, namespace: null, triggerFrom: null, triggerBefore: null },
  ...{ recordIds: [], facet: null },
};

/** As S3 has it: the name of the object is made of archive and attempt, and what is there under it is found, not written twice. */
class WriteOnceVault extends MemoryVault {
  override locate(...of: Parameters<MemoryVault['locate']>): VaultLocation {
    const location = super.locate(...of);
    return { ...location, name: `${location.name}-ice` };
  }
  override async storeWhole(
    location: VaultLocation,
    intent: UploadIntent,
    bytes: Uint8Array,
    treeHash: string,
  ): Promise<StoredArchive> {
    return this.#found(location, intent, treeHash) ?? (await super.storeWhole(location, intent, bytes, treeHash));
  }
  override async completeUpload(
    location: VaultLocation,
    upload: UploadHandle,
    total: { readonly bytes: number; readonly treeHash: string },
  ): Promise<StoredArchive> {
    return (
      this.#found(location, upload.intent, total.treeHash) ?? (await super.completeUpload(location, upload, total))
    );
  }
  #found(location: VaultLocation, { archive, attempt }: UploadIntent, treeHash: string): StoredArchive | null {
    const there = this.archivesIn(location).find(
      ({ description }) => description.includes(archive) && description.includes(attempt),
    );
    if (there === undefined) return null;
    expect(there.treeHash).toBe(treeHash);
    return { vaultArchiveId: there.vaultArchiveId, treeHash, bytes: there.bytes.byteLength, at: this.now() };
  }
}

interface Moving {
  readonly world: MemoryWorld;
  readonly ice: WriteOnceVault;
  readonly policy: Policy;
  readonly archive: ArchiveDocument;
}

async function open(verify: 'checksum' | 'inventory' = 'checksum'): Promise<Moving> {
  const world = await MemoryWorld.open();
  const ice = new WriteOnceVault({ key: ICE, clock: world.clock });
  const policy = await world.publish(POLICY.replace('VERIFY', verify));
  for (const _id of ['a', 'b'])
    world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date('2020-01-01T00:00:00Z') });
  const moving = { world, ice, policy };
  await runPolicy(contextOf(moving), policy, { flush: true, expired: null });
  await inventories(moving, new Process(), RUN_AT);
  const [archive] = await world.archives();
  if (archive?.state !== 'cleared') throw new Error(`The archive is ${archive?.state}.`);
  return { ...moving, archive };
}

function contextOf({ world, ice }: Omit<Moving, 'archive'>, process = new Process(), asOf = RUN_AT): Context {
  const context = world.context(process, { asOf });
  const wrapped = process.wrap<MemoryVault>(ice, 'vault', ['locate', 'estimateRetrieval'], 'new vault');
  return { ...context, vaults: new Map([...context.vaults, [ICE, wrapped]]) };
}

async function inventories(moving: Omit<Moving, 'archive'>, process: Process, asOf: string): Promise<void> {
  for (let day = 0; day < 6; day++) {
    const report = await reconcile(contextOf(moving, process, asOf), { all: false, source: false });
    if (!report.vaults.some(({ state }) => state === 'waiting')) return;
    moving.world.vault.advance(25);
    moving.ice.advance(25);
  }
}

/** As far as it comes: the vaults' time moves on between two looks. */
async function move(moving: Moving, process = new Process()): Promise<void> {
  await wantMigrations(contextOf(moving, process), MOVE, ASKED);
  for (let look = 0; look < 4; look++) {
    const { waiting } = await carryOnMigrations(contextOf(moving, process));
    if (waiting === 0) return;
    moving.world.vault.advance(13);
    await inventories(moving, process, RUN_AT);
  }
}

/** Olive asks, peter grants, olive orders it again. */
async function deleteOldCopies(moving: Moving, process = new Process()): Promise<void> {
  const context = contextOf(moving, process);
  try {
    await orderOldCopiesGone(context, {}, 'person:olive');
  } catch (error) {
    if (!String(error).includes('has to approve')) throw error;
    for (const one of await liveApprovals(moving.world.store, 'migrate', SUBJECT))
      if (one.state === 'requested')
        await grantApproval(contextOf(moving), one._id, { by: 'person:peter', asOf: null });
    await orderOldCopiesGone(context, {}, 'person:olive');
  }
  await carryOnMigrations(context);
  await inventories(moving, process, RUN_AT);
}

const SUBJECT = { from: 'cold', to: 'ice', copies: '1' };

async function purge(moving: Moving, process = new Process()) {
  const context = contextOf(moving, process, PURGE_AT);
  const report = await purgeArchives(context, (await planPurge(context, null)).due);
  await inventories(moving, process, PURGE_AT);
  return report;
}

function copies({ world, ice, archive }: Moving): { readonly cold: number; readonly ice: number } {
  const iceLocation = ice.locate(archive.vault.installation, archive.owner, archive.customer);
  return { cold: world.vault.archivesIn(archive.vault).length, ice: ice.archivesIn(iceLocation).length };
}

async function migration({ world, archive }: Moving): Promise<MigrationDocument> {
  return await getMigration(world.store, `${archive._id}.1`);
}

async function now({ world, archive }: Moving): Promise<ArchiveDocument> {
  const found = (await world.archives()).find(({ _id }) => _id === archive._id);
  if (found === undefined) throw new Error('no archive');
  return found;
}

async function certificateCopies({ world }: Moving): Promise<readonly { readonly vault: string }[]> {
  const certificates = await world.all('certificates');
  expect(certificates).toHaveLength(1);
  const [certificate] = certificates;
  const body: unknown =
    certificate !== undefined && 'body' in certificate ? JSON.parse(String(certificate.body)) : null;
  return typeof body === 'object' && body !== null && 'copies' in body && Array.isArray(body.copies) ? body.copies : [];
}

async function assertGoneEverywhere(moving: Moving): Promise<void> {
  expect(copies(moving)).toEqual({ cold: 0, ice: 0 });
  expect((await now(moving)).state).toBe('confirmed');
  expect((await migration(moving)).state).toBe('gone');
  expect(await certificateCopies(moving)).toHaveLength(2);
  await moving.world.assertTotalsHold();
  await moving.world.assertNothingIsOpen();
}

/** What the ledger names as the archive is in that vault, with its bytes; and its key opens. */
async function assertReadable(moving: Moving): Promise<void> {
  const { vault, stored, attempt, state } = await now(moving);
  if (state !== 'cleared') return;
  const files = [...moving.world.vault.files(), ...moving.ice.files()].filter((each) => each.vault === vault.name);
  const file = files.find(({ archive }) => archive.vaultArchiveId === stored?.vaultArchiveId);
  expect(file?.archive.treeHash).toBe(stored?.treeHash);
  if (attempt !== null) await contextOf(moving).keys.readBack(attempt);
}

test.each(['checksum', 'inventory'] as const)(
  'verified by %s: planned with its cost, moved byte for byte, the old copy goes by approval, the certificate names both places',
  async (verify) => {
    const moving = await open(verify);
    const plan = await planMigration(contextOf(moving), MOVE);
    expect(plan).toMatchObject({ archives: 1, bytes: moving.archive.stored?.bytes, dueSoon: 0, notReady: 0 });
    expect(plan.dollars).toBeGreaterThan(0);
    await move(moving);
    const moved = await now(moving);
    expect(moved.vault.key).toBe('ice');
    expect(moved.attempt).toBe(moving.archive.attempt);
    expect(moved.stored).toMatchObject({ treeHash: moving.archive.stored?.treeHash });
    expect(copies(moving)).toEqual({ cold: 1, ice: 1 });
    // Known to the ledger in both vaults: neither missing nor a stray.
    await inventories(moving, new Process(), RUN_AT);
    const report = await reconcile(contextOf(moving), { all: true, source: false });
    expect(report).toMatchObject({ missing: [], strays: [] });
    expect(await planMigration(contextOf(moving), MOVE)).toMatchObject({ archives: 0 });
    await deleteOldCopies(moving);
    expect(copies(moving)).toEqual({ cold: 0, ice: 1 });
    expect(await migration(moving)).toMatchObject({ state: 'gone', deletion: { approval: expect.any(String) } });
    await purge(moving);
    await assertGoneEverywhere(moving);
  },
);

test('purged while the old copy is there: destroyed in both vaults, and confirmed only when both inventories say so', async () => {
  const moving = await open();
  await move(moving);
  const context = contextOf(moving, new Process(), PURGE_AT);
  expect(await purgeArchives(context, [moving.archive._id])).toMatchObject({ purged: [moving.archive._id] });
  expect(copies(moving)).toEqual({ cold: 0, ice: 0 });
  await inventories(moving, new Process(), PURGE_AT);
  await assertGoneEverywhere(moving);
});

test('a vault lock on the old copy: the purge steps back, and the archive itself is untouched', async () => {
  const moving = await open();
  await move(moving);
  moving.world.vault.failNext('deleteArchive', 'veto');
  expect(await purge(moving)).toMatchObject({ purged: [], failed: [{ code: 'VAULT_VETO' }] });
  expect(await now(moving)).toMatchObject({ state: 'cleared' });
  expect(copies(moving)).toEqual({ cold: 1, ice: 1 });
  await purge(moving);
  await assertGoneEverywhere(moving);
});

test('due while its copy is on the way: the purge waits; before that it goes first and the move ends', async () => {
  const waiting = await open('inventory');
  await wantMigrations(contextOf(waiting), MOVE, ASKED);
  await carryOnMigrations(contextOf(waiting));
  waiting.world.vault.advance(13);
  await carryOnMigrations(contextOf(waiting));
  expect((await migration(waiting)).state).toBe('copied');
  const context = contextOf(waiting, new Process(), PURGE_AT);
  expect(await purgeArchives(context, [waiting.archive._id])).toMatchObject({
    purged: [],
    waiting: [{ reason: expect.stringContaining('being moved to vault ice') }],
  });
  await inventories(waiting, new Process(), RUN_AT);
  await carryOnMigrations(contextOf(waiting));
  await purge(waiting);
  await assertGoneEverywhere(waiting);

  const first = await open();
  await wantMigrations(contextOf(first), MOVE, ASKED);
  await carryOnMigrations(contextOf(first));
  expect((await migration(first)).state).toBe('retrieving');
  await purge(first);
  expect((await now(first)).state).toBe('confirmed');
  first.world.vault.advance(13);
  await carryOnMigrations(contextOf(first));
  expect(await migration(first)).toMatchObject({ state: 'ended' });
  expect(await certificateCopies(first)).toHaveLength(1);
});

test('a hold: the move goes on, the old copy stays until it is released; an open retrieval keeps the archive in its place', async () => {
  const moving = await open();
  const context = contextOf(moving);
  const { _id, vault, stored } = moving.archive;
  const hold = await placeHold(context, { ...NO_SCOPE, owner: moving.archive.owner }, 'person:olive');
  const retrieval = {
    id: 'r1',
    archive: _id,
    location: vault,
    vaultArchiveId: stored?.vaultArchiveId ?? '',
    tier: 'bulk' as const,
    range: null,
  };
  await wantRetrievals(moving.world.store, moving.world.clock, [retrieval]);
  await move(moving);
  expect(await now(moving)).toMatchObject({ vault: { key: 'cold' } });
  expect((await migration(moving)).state).toBe('copied');
  await moving.world.store.collection('retrievals').removeMany({});
  await move(moving);
  expect(await now(moving)).toMatchObject({ vault: { key: 'ice' } });
  await deleteOldCopies(moving);
  expect(copies(moving)).toEqual({ cold: 1, ice: 1 });
  await releaseHold(context, hold._id, { reason: 'over', by: 'person:olive' });
  await carryOnMigrations(contextOf(moving));
  expect(copies(moving)).toEqual({ cold: 1, ice: 1 });
  moving.world.clock.advance(RELEASE_GRACE_MS + 1_000);
  await carryOnMigrations(contextOf(moving));
  expect(copies(moving)).toEqual({ cold: 0, ice: 1 });
});

/** What went wrong, or null. */
async function attack(fault: Fault, atCall: number): Promise<string | null> {
  const moving = await open();
  const cut = new Process(fault, atCall);
  const life = (async () => {
    await move(moving, cut);
    await deleteOldCopies(moving, cut);
    await purge(moving, cut);
  })().catch(() => undefined);
  try {
    await Promise.race([life, cut.asleep]);
    await assertReadable(moving);
    moving.world.letLeasesEnd();
    await move(moving);
    await move(moving);
    await assertReadable(moving);
    cut.wake();
    await life;
    moving.world.letLeasesEnd();
    if ((await migration(moving)).state === 'moved') await deleteOldCopies(moving);
    await carryOnMigrations(contextOf(moving));
    await assertReadable(moving);
    for (let more = 0; more < 2; more++) {
      await purge(moving);
      moving.world.letLeasesEnd();
    }
    await assertGoneEverywhere(moving);
    return null;
  } catch (error) {
    return `call ${atCall} (${cut.met}): ${String(error)}`;
  }
}

/** Every call is cut where the effect is there and its worker is not; of the other ways every fourth, each from another one on. */
const ATTACKS: readonly (readonly [Fault, number, number])[] = FAULTS.map((fault, at) =>
  fault === 'dies after' ? [fault, 1, 1] : [fault, 1 + (at % 4), 4],
);

test.each(ATTACKS)(
  'moved, deleted and purged, a process %s at any one call: a fresh one finishes, never without a copy, nothing left anywhere',
  async (fault, from, step) => {
    const moving = await open();
    const process = new Process();
    await move(moving, process);
    await deleteOldCopies(moving, process);
    await purge(moving, process);
    await assertGoneEverywhere(moving);
    expect(process.calls).toBeGreaterThan(100);
    const failures: string[] = [];
    for (let atCall = from; atCall <= process.calls; atCall += step) {
      const failure = await attack(fault, atCall);
      if (failure !== null) failures.push(failure);
    }
    expect(failures).toEqual([]);
  },
);
