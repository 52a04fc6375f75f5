/** The ways out of quarantine: taken up again where that is safe, disposed of where nothing is lost without being said. */
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { archives } from '../../src/ledger/archives.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { holds } from '../../src/ledger/holds.ts';
import { findQuarantine, type QuarantineDocument } from '../../src/ledger/quarantine.ts';
import { exemptRecords } from '../../src/ledger/record-marks.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { pause, resume } from '../../src/lifecycle/pause.ts';
import { disposeQuarantined, planDisposal, retryQuarantined } from '../../src/lifecycle/quarantine.ts';
import { markScope } from '../../src/lifecycle/read-marks.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { SourcePort } from '../../src/source/port.ts';
import type { VaultPort } from '../../src/vault/port.ts';
import { aHold } from '../harness/a-hold.ts';
import { type Fault, Process } from '../simulation/faults.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const RUN_AT = '2024-06-01T00:00:00Z';
const BY = { who: 'person:test', reason: 'looked at it' };
const NO_LOSS = { acceptLoss: false };
const YAML = (verify: string) => `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: ${verify} }
limits: { records: 1000, share: 1.0 }
`;

let world: MemoryWorld;
let policy: Policy;
beforeEach(async () => {
  world = await MemoryWorld.open();
  policy = await world.publish(YAML('checksum'));
});

const runContext = () => world.context(undefined, { asOf: RUN_AT });
const put = (_id: string, more: object = {}) =>
  world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date('2020-01-01'), ...more });

async function run(context: Context = runContext()) {
  const done = await runPolicy(context, policy, { flush: true, expired: null });
  await world.assertTotalsHold();
  return done;
}

async function look() {
  for (let day = 0; day < 5; day++) {
    const report = await reconcile(runContext(), { all: day === 0, source: false });
    if (report.vaults.some(({ state }) => state === 'compared')) return report;
    world.vault.advance(25);
  }
  throw new Error('No inventory came.');
}

async function theEntry(): Promise<QuarantineDocument> {
  const found: QuarantineDocument[] = [];
  for await (const entry of findQuarantine(world.store, {})) found.push(entry);
  const [entry, ...others] = found;
  if (entry === undefined || others.length > 0) throw new Error(`One entry was expected, there are ${found.length}.`);
  return entry;
}

async function onlyArchive() {
  const [archive, ...others] = await world.archives();
  if (archive === undefined || others.length > 0) throw new Error('One archive was expected.');
  return archive;
}

const retry = async () => await retryQuarantined(world.context(), await theEntry(), BY);
const dispose = async (options = NO_LOSS) => await disposeQuarantined(world.context(), await theEntry(), BY, options);

/** Its key is not there when it is to be verified. */
async function quarantineUnverified(): Promise<void> {
  put('jo');
  const context = runContext();
  const [[key, vault] = []] = [...context.vaults];
  if (key === undefined || vault === undefined) throw new Error('There is no vault.');
  const storeWhole: VaultPort['storeWhole'] = async (...args) => {
    for await (const { _id } of world.store.collection('archiveKeys').find({})) hidden.push(_id);
    await world.store.collection('archiveKeys').removeMany({});
    return await vault.storeWhole(...args);
  };
  const hidden: string[] = [];
  const attacked = new Proxy(vault, {
    get: (target, name) => (name === 'storeWhole' ? storeWhole : Reflect.get(target, name)),
  });
  await run({ ...context, vaults: new Map([[key, attacked]]) });
  expect(await onlyArchive()).toMatchObject({ state: 'quarantined', quarantinedFrom: 'stored', verifiedAt: null });
}

/** The vault no longer lists a cleared archive. Returns the id under which it lay there. */
async function loseCleared(): Promise<string> {
  put('jo');
  await run();
  const archive = await onlyArchive();
  if (archive.stored === null) throw new Error('It was not stored.');
  await archives(world.store).replace({ ...archive, stored: { ...archive.stored, vaultArchiveId: 'nowhere' } });
  await look();
  expect(await onlyArchive()).toMatchObject({ state: 'quarantined', quarantinedFrom: 'cleared' });
  return archive.stored.vaultArchiveId;
}

test('a record that changed three times: taken up again it is counted from none and goes; its exemption stays', async () => {
  put('jo', { version: 0 });
  let version = 0;
  for (let time = 0; time < 3; time++) {
    const context = runContext();
    const readByIds: SourcePort['readByIds'] = async (...args) => {
      put('jo', { version: ++version });
      return await context.source.readByIds(...args);
    };
    const source = new Proxy(context.source, {
      get: (target, name) => (name === 'readByIds' ? readByIds : Reflect.get(target, name)),
    });
    await run({ ...context, source });
  }
  expect(await theEntry()).toMatchObject({ reason: 'changed-three-times', state: 'open' });
  expect((await run()).totals.selected).toBe(0);
  expect((await retry()).entry).toMatchObject({ state: 'closed', closedBy: 'person:test', idBytes: null });
  // Once more is no mistake.
  expect((await retry()).entry).toMatchObject({ state: 'closed' });
  expect((await run()).totals).toMatchObject({ selected: 1, deleted: 1, quarantined: 0 });
  const said: string[] = [];
  for await (const { act, phase } of auditEntries(world.store)) if (act.startsWith('quarantine')) said.push(phase);
  expect(said).toEqual(['intent', 'outcome']);
  expect(JSON.stringify(await world.all('audit'))).not.toContain('"jo"');
});

test('a record without an owner: disposed of it stays, is not reported again, and goes when it was mended', async () => {
  put('lost', { owner: null });
  expect((await run()).newlyQuarantined).toBe(1);
  expect((await dispose()).entry).toMatchObject({ state: 'disposed', closedReason: 'looked at it' });
  expect((await run()).newlyQuarantined).toBe(0);
  expect(await theEntry()).toMatchObject({ state: 'disposed', timesSeen: 2 });
  expect(world.idsIn(policy)).toEqual(['lost']);
  // Another trouble is a new one.
  put('lost', { tenant: null });
  world.clock.advance(1_000);
  expect((await run()).newlyQuarantined).toBe(1);
  expect(await theEntry()).toMatchObject({ state: 'open', reason: 'customer-unusable' });
  await dispose();
  put('lost');
  world.clock.advance(1_000);
  expect((await run()).totals).toMatchObject({ deleted: 1 });
  expect(await theEntry()).toMatchObject({ state: 'closed', idBytes: null });
});

test('a disposed record with a mark is passed over until it is retried', async () => {
  put('jo');
  const scope = await markScope(world.context(), policy.dataset.collection, id.owner('acme'), id.customer('north'));
  const [record] = [...(await firstBatch())];
  if (record === undefined) throw new Error('There is no record.');
  const { quarantineRecord } = await import('../../src/lifecycle/quarantine-record.ts');
  const party = { namespace: scope.namespace, owner: id.owner('acme'), customer: id.customer('north') };
  await exemptRecords(world.store, scope, [record.key], new Date('2021-01-01'));
  await quarantineRecord(world.context(), { ...party, policy: 'chats' }, record, 'guard-refused');
  await dispose();
  expect((await run()).totals.selected).toBe(0);
  await retry();
  const [mark] = await world.all('recordMarks');
  expect(mark).toMatchObject({ quarantined: false, exemptUntil: new Date('2021-01-01') });
  expect((await run()).totals).toMatchObject({ deleted: 1 });
});

async function firstBatch() {
  const context = world.context();
  const { toShape } = await import('../../src/policy/policy.ts');
  const partition = { dataset: toShape(policy), owner: id.owner('acme'), customer: id.customer('north') };
  for await (const batch of context.source.scan(partition, { after: null, upTo: null, before: Infinity })) return batch;
  return [];
}

test('an archive that was never verified: taken up again while its records are in no other, and verified anew', async () => {
  await quarantineUnverified();
  const back = await retry();
  expect(back.archive).toMatchObject({ state: 'stored', quarantinedFrom: null });
  // Its key is still missing: nothing is deleted, and it is reported again.
  await run();
  const [first] = await world.archives();
  expect(first).toMatchObject({ _id: back.archive?._id, state: 'quarantined' });
  expect(await theEntry()).toMatchObject({ state: 'open', timesSeen: 2 });
});

test('… and refused while they are in one that is not cleared', async () => {
  await quarantineUnverified();
  policy = await world.publish(YAML('inventory'));
  expect((await run()).archives).toMatchObject([{ state: 'stored' }]);
  await expect(retry()).rejects.toMatchObject({ code: 'RETRY_UNSAFE' });
  expect((await theEntry()).state).toBe('open');
  await look();
  await run();
  expect(world.idsIn(policy)).toEqual([]);
  // Now they are gone from the source: what comes of it deletes nothing.
  expect((await retry()).archive).toMatchObject({ state: 'stored' });
});

test('an archive that was never verified, disposed of: key destroyed, abandoned, its upload goes, its record is archived anew', async () => {
  await quarantineUnverified();
  const entry = await theEntry();
  expect(await planDisposal(world.context(), entry)).toMatchObject({ kind: 'archive given up', lost: 0 });
  await pause(world.context(), { what: 'owner', name: 'acme' }, { by: 'person:test', reason: 'look first' });
  await expect(dispose()).rejects.toMatchObject({ code: 'PAUSED' });
  await resume(world.context(), { what: 'owner', name: 'acme' }, { by: 'person:test', reason: null });
  await holds(world.store).insert(aHold());
  await expect(dispose()).rejects.toMatchObject({ code: 'HELD' });
  expect(await onlyArchive()).toMatchObject({ state: 'quarantined' });
  await holds(world.store).removeMany({});
  const { archive } = await dispose();
  expect(archive).toMatchObject({ state: 'abandoned' });
  expect(await theEntry()).toMatchObject({ state: 'closed' });
  expect(await world.all('attempts')).toMatchObject([{ state: 'abandoned', keyDestroyedAt: expect.any(Date) }]);
  expect(await world.all('inFlight')).toEqual([]);
  // Disposing again, and retrying what was given up, change nothing.
  expect((await dispose()).archive).toMatchObject({ state: 'abandoned' });
  expect((await retry()).archive).toMatchObject({ state: 'abandoned' });
  expect((await run()).totals).toMatchObject({ archived: 1, deleted: 1 });
  world.clock.advance(25 * 3_600_000);
  expect(await look()).toMatchObject({ removedUploads: 1, strays: [] });
});

test('a cleared archive that is not in its vault: the loss is told and must be accepted; nothing of it is destroyed', async () => {
  const vaultArchiveId = await loseCleared();
  expect(await planDisposal(world.context(), await theEntry())).toMatchObject({ kind: 'archive stays', lost: 1 });
  await expect(dispose()).rejects.toMatchObject({
    code: 'CONFIRMATION_NEEDED',
    message: expect.stringContaining('the only copy of 1 record'),
  });
  expect((await theEntry()).state).toBe('open');
  expect((await dispose({ acceptLoss: true })).entry).toMatchObject({ state: 'disposed' });
  const archive = await onlyArchive();
  expect(archive).toMatchObject({ state: 'quarantined', purge: null });
  if (archive.attempt === null || archive.stored === null) throw new Error('It was stored.');
  await world.context().keys.readBack(archive.attempt);
  // The copy reappears.
  await archives(world.store).replace({ ...archive, stored: { ...archive.stored, vaultArchiveId } });
  expect((await retry()).archive).toMatchObject({ state: 'cleared' });
  expect(await look()).toMatchObject({ missing: [] });
  expect(await onlyArchive()).toMatchObject({ state: 'cleared' });
});

test('a verified archive that is not in its vault goes back to stored only: an inventory must list it before more is deleted', async () => {
  put('jo');
  const context = runContext();
  const deleteGuarded: SourcePort['deleteGuarded'] = () => Promise.reject(new Error('cut'));
  const source = new Proxy(context.source, {
    get: (target, name) => (name === 'deleteGuarded' ? deleteGuarded : Reflect.get(target, name)),
  });
  await run({ ...context, source });
  const archive = await onlyArchive();
  expect(archive.state).toBe('verified');
  if (archive.stored === null) throw new Error('It was not stored.');
  await archives(world.store).replace({ ...archive, stored: { ...archive.stored, vaultArchiveId: 'nowhere' } });
  world.letLeasesEnd();
  await look();
  expect(await planDisposal(world.context(), await theEntry())).toMatchObject({ lost: 0, perhapsLost: 1 });
  await expect(dispose()).rejects.toMatchObject({ code: 'CONFIRMATION_NEEDED' });
  expect((await retry()).archive).toMatchObject({ state: 'stored', verifyLevel: 'inventory' });
  await run();
  expect(world.idsIn(policy)).toEqual(['jo']);
  const again = await onlyArchive();
  await archives(world.store).replace({ ...again, stored: { ...archive.stored } });
  await look();
  await run();
  expect(await onlyArchive()).toMatchObject({ state: 'cleared', outcomes: { deleted: 1 } });
});

describe.each<Fault>(['dies before', 'dies after', 'gets an error', 'loses a reply'])(
  'a person who %s, at each call',
  (fault) => {
    test.each(['dispose', 'retry'] as const)('%s: once more comes to the same end', async (verb) => {
      for (let atCall = 1; ; atCall++) {
        world = await MemoryWorld.open();
        policy = await world.publish(YAML('checksum'));
        await quarantineUnverified();
        const cut = new Process(fault, atCall);
        const decide = async (context: Context) =>
          verb === 'dispose'
            ? await disposeQuarantined(context, await theEntry(), BY, NO_LOSS)
            : await retryQuarantined(context, await theEntry(), BY);
        await decide(world.context(cut)).catch(() => undefined);
        world.letLeasesEnd();
        const { archive } = await decide(world.context());
        const where = `${atCall}, ${cut.met}`;
        expect(archive?.state, where).toBe(verb === 'dispose' ? 'abandoned' : 'stored');
        expect((await theEntry()).state, where).toBe('closed');
        expect(world.idsIn(policy), where).toEqual(['jo']);
        if (cut.met === null) return;
      }
    });
  },
);
