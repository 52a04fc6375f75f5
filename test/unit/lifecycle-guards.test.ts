/** What vaults keep by themselves: locks and legal holds follow the ledger, at any cut, and never stand in for it. */
import { expect, test } from 'vitest';
import { openAlarms } from '../../src/ledger/alarms.ts';
import { grantApproval } from '../../src/ledger/approval-decisions.ts';
import { waitingApprovals } from '../../src/ledger/approvals.ts';
import { claimArchive } from '../../src/ledger/archives.ts';
import { holds } from '../../src/ledger/holds.ts';
import { acceptJump } from '../../src/ledger/installation.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { purgeEarly } from '../../src/lifecycle/early-purge.ts';
import { bringGuards } from '../../src/lifecycle/guard-archives.ts';
import { type HoldRequest, placeHold, releaseHold } from '../../src/lifecycle/hold.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { planReschedule, rescheduleArchives } from '../../src/lifecycle/reschedule.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { VaultGuards } from '../../src/vault/port.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const HOLDS: VaultGuards = { holds: true, lock: null };
const GOVERNANCE: VaultGuards = { holds: true, lock: 'governance' };
const COMPLIANCE: VaultGuards = { holds: true, lock: 'compliance' };
const DUE = new Date('2029-02-20T00:00:00.000Z');

const POLICY = `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 1 year
then: archive
archive: { for: 5 years, vault: cold }
limits: { records: 1000, share: 1.0 }
`;

async function open(guards?: VaultGuards) {
  const world = await MemoryWorld.open(undefined, guards);
  const context = world.context();
  const policy = await world.publish(POLICY);
  const archiveOne = async (tenant: string) => {
    world.put(policy, { _id: tenant, owner: 'acme', tenant, at: new Date('2023-02-20') });
    await runPolicy(context, policy, { flush: true, expired: null });
  };
  const archiveOf = async (tenant: string) => {
    const found = (await world.archives()).find(({ customer }) => customer === tenant);
    if (found === undefined) throw new Error(`There is no archive of ${tenant}.`);
    return found;
  };
  /** What the vault has of it. */
  const kept = async (tenant: string) => {
    const { vault, stored } = await archiveOf(tenant);
    const file = world.vault.archivesIn(vault).find(({ vaultArchiveId }) => vaultArchiveId === stored?.vaultArchiveId);
    return file === undefined ? null : { held: file.held, until: file.lockedUntil };
  };
  return { world, context, archiveOne, archiveOf, kept };
}

const request: HoldRequest = {
  ...{ caseNumber: 'C-1', reason: 'a claim', owner: null, customer: null, namespace: null },
  ...{ triggerFrom: null, triggerBefore: null, recordIds: [], facet: null },
};
const place = (context: Context, more: Partial<HoldRequest> = {}) =>
  placeHold(context, { ...request, ...more }, 'person:ann');

async function untilDue(world: MemoryWorld): Promise<void> {
  world.clock.advance(DUE.getTime() - world.clock.now().getTime());
  await acceptJump(world.store, world.clock.now());
}

async function grantAll({ world, context }: { readonly world: MemoryWorld; readonly context: Context }) {
  for (const { _id } of await waitingApprovals(world.store))
    await grantApproval(context, _id, { by: 'person:bob', asOf: null });
}

test('a copy is locked until its purge date before it counts, a minute less for the clocks', async () => {
  const { world, archiveOne, archiveOf, kept } = await open(GOVERNANCE);
  await archiveOne('north');
  expect(await kept('north')).toEqual({ held: false, until: new Date(DUE.getTime() - MINUTE_MS) });
  const { _id, guard, state } = await archiveOf('north');
  expect({ guard, state }).toEqual({ guard: { lock: 'done' }, state: 'cleared' });
  // The lock is not what keeps it: the ledger does, and the vault's lock ends first.
  await untilDue(world);
  expect(await purgeArchives(world.context(), [_id])).toMatchObject({ purged: [_id] });
});

test('a vault that refuses the lock: not verified, and the originals stay', async () => {
  const { world, archiveOne, archiveOf } = await open(COMPLIANCE);
  world.vault.failNext('lockUntil', 'veto', 1);
  await archiveOne('north').catch(() => undefined);
  expect((await archiveOf('north')).state).toBe('stored');
  expect((await archiveOf('north')).outcomes).toMatchObject({ deleted: 0, pending: 1 });
  await archiveOne('north');
  expect((await archiveOf('north')).state).toBe('cleared');
});

test('a vault without guards is told nothing', async () => {
  const { archiveOne, archiveOf, context, kept } = await open();
  await archiveOne('north');
  await place(context);
  expect((await archiveOf('north')).guard).toBeUndefined();
  expect(await kept('north')).toEqual({ held: false, until: null });
});

test('a hold is put on what it covers, and on what is stored later; its release takes it off after the grace', async () => {
  const { world, context, archiveOne, kept } = await open(HOLDS);
  await archiveOne('north');
  await archiveOne('south');
  const hold = await place(context, { customer: (await world.archives())[0]?.customer ?? null });
  const [held, other] = (await world.archives()).map(({ customer }) => customer);
  expect(await kept(held ?? '')).toMatchObject({ held: true });
  expect(await kept(other ?? '')).toMatchObject({ held: false });
  await place(context, { caseNumber: 'C-2', namespace: (await world.archives())[0]?.namespace ?? null });
  await archiveOne('west').catch(() => undefined);
  expect(await kept(other ?? '')).toMatchObject({ held: true });

  for (const { _id } of await world.all('holds'))
    await releaseHold(context, _id, { by: 'person:bo', reason: 'settled' });
  await reconcile(context, { all: false, source: false });
  expect(await kept(held ?? '')).toMatchObject({ held: true });
  world.clock.advance(DAY_MS + MINUTE_MS);
  await reconcile(world.context(), { all: false, source: false });
  expect(await kept(held ?? '')).toMatchObject({ held: false });
  expect(await kept(other ?? '')).toMatchObject({ held: false });
  expect((await holds(world.store).get(hold._id))?.mirrored).toBe(true);
});

test('a vault that is away when a hold is placed: it is in force, an alarm says so, and reconcile mends both', async () => {
  const { world, context, archiveOne, archiveOf, kept } = await open(HOLDS);
  await archiveOne('north');
  world.vault.failNext('mirrorHold', 'unavailable', 1);
  const hold = await place(context);
  expect(hold.state).toBe('active');
  expect(await kept('north')).toMatchObject({ held: false });
  expect((await archiveOf('north')).guard).toEqual({ hold: 'asked' });
  expect(await openAlarms(world.store)).toMatchObject([{ code: 'VAULT_GUARD_LAGS', subject: 'cold' }]);
  await untilDue(world);
  const { _id } = await archiveOf('north');
  expect(await purgeArchives(world.context(), [_id])).toMatchObject({ held: [_id], purged: [] });
  expect(await bringGuards(world.context())).toBe(0);
  expect(await kept('north')).toMatchObject({ held: true });
  expect(await openAlarms(world.store)).toEqual([]);
});

test('an archive that another worker has in hand is left, and done by the next look', async () => {
  const { world, context, archiveOne, archiveOf, kept } = await open(HOLDS);
  await archiveOne('north');
  const { _id } = await archiveOf('north');
  const lease = await claimArchive(world.store, context.audit, _id, world.context());
  await place(context);
  expect(await kept('north')).toMatchObject({ held: false });
  expect(await bringGuards(context)).toBe(1);
  await lease.giveUp();
  expect(await bringGuards(context)).toBe(0);
  expect(await kept('north')).toMatchObject({ held: true });
});

test('the hold was released and nobody looked since: the purge takes the vault’s own hold off', async () => {
  const { world, context, archiveOne, archiveOf, kept } = await open(HOLDS);
  await archiveOne('north');
  const { _id } = await place(context);
  await releaseHold(context, _id, { by: 'person:bo', reason: 'settled' });
  await untilDue(world);
  const archive = await archiveOf('north');
  expect(await purgeArchives(world.context(), [archive._id])).toMatchObject({ purged: [archive._id] });
  expect(await kept('north')).toBeNull();
});

test('a later date moves the lock; a vault that is away then is told by reconcile', async () => {
  const { world, context, archiveOne, archiveOf, kept } = await open(COMPLIANCE);
  await archiveOne('north');
  const later = new Date('2031-02-20T00:00:00.000Z');
  world.vault.failNext('lockUntil', 'throttle', 1);
  const ask = { policy: 'chats', owner: null, customer: null, to: { due: later }, reason: 'new law' };
  await rescheduleArchives(context, await planReschedule(context, ask), 'person:ann');
  expect(await archiveOf('north')).toMatchObject({ dueAt: later, guard: { lock: 'pending' } });
  expect(await kept('north')).toMatchObject({ until: new Date(DUE.getTime() - MINUTE_MS) });
  await reconcile(context, { all: false, source: false });
  expect(await kept('north')).toMatchObject({ until: new Date(later.getTime() - MINUTE_MS) });
  expect(await archiveOf('north')).toMatchObject({ guard: { lock: 'done' } });
  expect(await openAlarms(world.store)).toEqual([]);
});

test('an earlier date in compliance mode is refused before anybody is asked to approve it', async () => {
  const { world, context, archiveOne, archiveOf } = await open(COMPLIANCE);
  await archiveOne('north');
  const { _id } = await archiveOf('north');
  const ask = { policy: 'chats', owner: null, customer: null, to: { due: new Date('2027-01-01') }, reason: 'no need' };
  const refused = { code: 'VAULT_VETO', message: expect.stringContaining('compliance') };
  await expect(planReschedule(context, ask)).rejects.toMatchObject(refused);
  await expect(purgeEarly(context, [_id], { by: 'person:ann', reason: 'no need' })).rejects.toMatchObject(refused);
  expect(await waitingApprovals(world.store)).toEqual([]);
  expect((await archiveOf('north')).dueAt).toEqual(DUE);
});

test('an earlier date in governance mode: by approval, the vault first; refused there, the ledger keeps its date', async () => {
  const { world, context, archiveOne, archiveOf, kept } = await open(GOVERNANCE);
  await archiveOne('north');
  const earlier = new Date('2027-01-01T00:00:00.000Z');
  const ask = { policy: 'chats', owner: null, customer: null, to: { due: earlier }, reason: 'no need' };
  const move = async () => await rescheduleArchives(context, await planReschedule(context, ask), 'person:ann');
  await expect(move()).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  await grantAll({ world, context });
  world.vault.failNext('lockUntil', 'veto', 1);
  await expect(move()).rejects.toMatchObject({ code: 'VAULT_VETO' });
  expect((await archiveOf('north')).dueAt).toEqual(DUE);
  expect(await bringGuards(context)).toBe(0);
  expect(await kept('north')).toMatchObject({ until: new Date(DUE.getTime() - MINUTE_MS) });
  await move();
  expect((await archiveOf('north')).dueAt).toEqual(earlier);
  expect(await kept('north')).toMatchObject({ until: new Date(earlier.getTime() - MINUTE_MS) });
});

test('an early purge in governance mode unlocks the archive and purges it', async () => {
  const { world, context, archiveOne, archiveOf, kept } = await open(GOVERNANCE);
  await archiveOne('north');
  const { _id } = await archiveOf('north');
  const purge = () => purgeEarly(context, [_id], { by: 'person:ann', reason: 'no need' });
  await expect(purge()).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  await grantAll({ world, context });
  expect(await purge()).toMatchObject({ purged: [_id] });
  expect(await kept('north')).toBeNull();
});
