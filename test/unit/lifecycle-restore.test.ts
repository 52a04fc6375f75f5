/** Restore, call by call: nothing reaches the target before the whole file was verified, no void copy comes back, and nothing half is left. */
import { randomBytes } from 'node:crypto';
import { BSON } from 'bson';
import { beforeEach, expect, test } from 'vitest';
import { MoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import { unwrapArchiveKey } from '../../src/keys/administrator.ts';
import { newIdentity, openIdentity } from '../../src/keys/identity-file.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { archives } from '../../src/ledger/archives.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { findRetrievals } from '../../src/ledger/retrievals.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { discarded } from '../../src/lifecycle/discarded.ts';
import { type RestoreTarget, restoreArchive } from '../../src/lifecycle/restore.ts';
import { requestRetrieval } from '../../src/lifecycle/retrieve.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { SourcePort } from '../../src/source/port.ts';
import type { VaultPort } from '../../src/vault/port.ts';
import { askedRetrieval } from '../harness/a-retrieval.ts';
import { watched } from '../harness/ledger-world.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const RUN_AT = '2024-06-01T00:00:00Z';
const { file, recipient } = await newIdentity({ now: new Date(), scryptLogN: 10 });
const identity = await openIdentity(Buffer.from(file));

let world: MemoryWorld;
let policy: Policy;
beforeEach(async () => {
  world = await MemoryWorld.open(recipient);
  policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 5000, share: 1.0 }
`);
});

const runContext = () => world.context(undefined, { asOf: RUN_AT });
const put = (_id: string, more: BSON.Document = {}) =>
  world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date('2020-01-01'), ...more });

async function run(context: Context = runContext()): Promise<ArchiveDocument> {
  await runPolicy(context, policy, { flush: true, expired: null });
  return await theArchive();
}

async function theArchive(): Promise<ArchiveDocument> {
  const [archive, ...others] = await world.archives();
  if (archive === undefined || others.length > 0) throw new Error('One archive was expected.');
  return archive;
}

async function change(fields: Partial<ArchiveDocument>): Promise<void> {
  await archives(world.store).replace({ ...(await theArchive()), ...fields });
}

/** The context with calls of its source or its vault replaced. */
function over(context: Context, calls: { readonly source?: Partial<SourcePort>; readonly vault?: Partial<VaultPort> }) {
  const vaults = [...context.vaults].map(([key, vault]) => [key, replaced(vault, calls.vault ?? {})] as const);
  return { ...context, source: replaced(context.source, calls.source ?? {}), vaults: new Map(vaults) };
}

function replaced<T extends object>(port: T, calls: Partial<T>): T {
  return new Proxy(port, { get: (target, name) => Reflect.get(Reflect.has(calls, name) ? calls : target, name) });
}

/** A target that tells what was asked of it. */
class Told implements RestoreTarget {
  readonly calls: string[] = [];
  readonly batches: string[][] = [];
  readonly there: ReadonlySet<string>;
  constructor(...there: readonly string[]) {
    this.there = new Set(there);
  }
  get ids() {
    return this.batches.flat();
  }
  async write(records: readonly Uint8Array[]) {
    const ids = records.map((raw) => String(BSON.deserialize(raw)['_id']));
    this.batches.push(ids);
    this.calls.push(`write ${ids.length}`);
    const existing = ids.filter((one) => this.there.has(one)).length;
    return { inserted: ids.length - existing, existing };
  }
  async finish() {
    this.calls.push('finish');
  }
  async discard() {
    this.calls.push('discard');
  }
}

async function retrieved(context = world.context()): Promise<string> {
  const { _id } = await requestRetrieval(context, (await theArchive())._id, 'standard');
  world.vault.advance(6);
  return _id;
}

async function restore(target: RestoreTarget, kind: 'files' | 'database' = 'files', context = world.context()) {
  const { _id } = await theArchive();
  return await restoreArchive(context, _id, (wrapped) => unwrapArchiveKey(wrapped, identity), target, kind);
}

async function retrievalStates(): Promise<string[]> {
  const states: string[] = [];
  for await (const { state } of findRetrievals(world.store)) states.push(state);
  return states;
}

test('all of it comes back in its order: told before and after, and the retrieval has done its work', async () => {
  put('a');
  put('b');
  const { _id: archive, owner, customer } = await run();
  const retrieval = await retrieved();
  const target = new Told('b');
  const report = await restore(target, 'database');
  expect(target.batches).toEqual([['a', 'b']]);
  expect(target.calls).toEqual(['write 2', 'finish']);
  expect(report).toMatchObject({
    archive,
    records: 2,
    inserted: 1,
    existing: 1,
    void: 0,
    signedBy: expect.any(String),
  });
  expect(await retrievalStates()).toEqual(['read']);
  const told: unknown[] = [];
  for await (const { act, phase, subject, details } of auditEntries(world.store, { subject: { archive } }))
    if (act === 'archive restore') told.push({ phase, subject, details });
  const subject = { archive, owner, customer, policy: 'chats' };
  expect(told).toMatchObject([
    { phase: 'intent', subject, details: { kind: 'database', retrieval } },
    { phase: 'outcome', subject, details: { kind: 'database', records: 2, inserted: 1, existing: 1, void: 0 } },
  ]);
});

test('nothing was retrieved, or it is not there yet, or only a part of it, or it was read: refused, and the target is not touched', async () => {
  put('a');
  const { _id: archive, vault, stored } = await run();
  const target = new Told();
  await expect(restore(target)).rejects.toMatchObject({ code: 'RETRIEVAL_NEEDED' });
  const context = world.context();
  const jobId = await world.vault.requestRetrieval(vault, stored?.vaultArchiveId ?? '', 'standard', {
    start: 0,
    end: stored?.bytes ?? 0,
  });
  const part = { archive, location: vault, vaultArchiveId: stored?.vaultArchiveId ?? '', tier: 'standard' } as const;
  await askedRetrieval(world.store, world.clock, {
    id: 'part',
    ...part,
    range: { start: 0, end: stored?.bytes ?? 0 },
    jobId,
    expectedAt: null,
  });
  await expect(restore(target)).rejects.toMatchObject({ code: 'RETRIEVAL_NEEDED' });
  world.vault.advance(6);
  await expect(restore(target)).rejects.toMatchObject({ code: 'RETRIEVAL_NEEDED' });
  const whole = await world.vault.requestRetrieval(vault, part.vaultArchiveId, 'standard', null);
  const expectedAt = new Date('2024-06-01T05:00:00Z');
  await askedRetrieval(context.store, context.clock, {
    id: 'whole',
    ...part,
    range: null,
    jobId: whole,
    expectedAt,
  });
  await expect(restore(target)).rejects.toMatchObject({ code: 'RETRIEVAL_NOT_READY', retryAt: expectedAt });
  expect(target.calls).toEqual([]);
  world.vault.advance(6);
  expect(await restore(target)).toMatchObject({ records: 1 });
  await expect(restore(new Told())).rejects.toMatchObject({ code: 'RETRIEVAL_NEEDED' });
});

test('a retrieval of which nobody knows when it ends: not ready, and no time is named', async () => {
  put('a');
  const { _id: archive, vault, stored } = await run();
  const vaultArchiveId = stored?.vaultArchiveId ?? '';
  const jobId = await world.vault.requestRetrieval(vault, vaultArchiveId, 'bulk', null);
  const facts = {
    archive,
    location: vault,
    vaultArchiveId,
    tier: 'bulk',
    range: null,
    jobId,
    expectedAt: null,
  } as const;
  await askedRetrieval(world.store, world.clock, { id: 'r', ...facts });
  const error = await restore(new Told()).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'RETRIEVAL_NOT_READY' });
  expect(Reflect.get(Object(error), 'retryAt')).toBeUndefined();
});

test('the vault dropped its output before anyone read it: it is to be asked anew, not waited for', async () => {
  put('a');
  await run();
  await retrieved();
  world.vault.advance(48);
  await expect(restore(new Told())).rejects.toMatchObject({ code: 'RETRIEVAL_NEEDED' });
  expect(await retrievalStates()).toEqual(['expired']);
});

test('every copy is void: nothing is written, and it ends well', async () => {
  put('a');
  const context = runContext();
  const source: Partial<SourcePort> = {
    readByIds: async (...args) => {
      put('a', { text: 'new' });
      return await context.source.readByIds(...args);
    },
  };
  await run(over(context, { source }));
  await retrieved();
  const target = new Told();
  expect(await restore(target, 'database')).toMatchObject({ records: 1, void: 1, inserted: 0, existing: 0 });
  expect(target.calls).toEqual(['finish']);
});

test('a file of which no tree hash is known, after a rebuild: its signed manifest says what it is', async () => {
  put('one');
  const { stored } = await run();
  if (stored === null) throw new Error('A stored archive was expected.');
  await change({ stored: { ...stored, treeHash: '' } });
  await retrieved();
  const told = new Told();
  await restore(told);
  expect(told.ids).toEqual(['one']);
});

test('of two that are ready the newest is read; one that still waits stops nobody', async () => {
  put('a');
  const { _id: archive, vault, stored } = await run();
  const vaultArchiveId = stored?.vaultArchiveId ?? '';
  const facts = { archive, location: vault, vaultArchiveId, tier: 'standard', range: null, expectedAt: null } as const;
  for (const name of ['r1', 'r2']) {
    const jobId = await world.vault.requestRetrieval(vault, vaultArchiveId, 'standard', null);
    await askedRetrieval(world.store, world.clock, { id: name, ...facts, jobId });
    world.clock.advance(1_000);
  }
  world.vault.advance(6);
  const late = await world.vault.requestRetrieval(vault, vaultArchiveId, 'standard', null);
  await askedRetrieval(world.store, world.clock, { id: 'r3', ...facts, jobId: late });
  await restore(new Told());
  expect(await retrievalStates()).toEqual(['requested', 'read', 'requested']);
});

test('into a database before it is cleared: refused, for the originals are there; into files it is not', async () => {
  put('a');
  put('b');
  const archive = await run(
    over(runContext(), { source: { readByIds: async () => Promise.reject(new Error('cut')) } }),
  );
  expect(archive.state).toBe('verified');
  await retrieved();
  const target = new Told();
  await expect(restore(target, 'database')).rejects.toMatchObject({ code: 'ARCHIVE_NOT_RETRIEVABLE' });
  expect(target.calls).toEqual([]);
  expect(await restore(target, 'files')).toMatchObject({ records: 2, void: 0 });
  expect(target.ids).toEqual(['a', 'b']);
});

test('while it is being cleared: copies that are void by now stay out, on every page; a page that is going says so', async () => {
  for (let n = 0; n < 1_003; n++) put(`r${String(n).padStart(4, '0')}`);
  const context = runContext();
  let reads = 0;
  // The first page is settled, with one record that changed; the second is settled too; then the worker is cut.
  const source: Partial<SourcePort> = {
    readByIds: async (...args) => {
      reads += 1;
      if (reads === 1) {
        put('r0007', { text: 'new' });
        put('r1001', { text: 'new' });
      }
      return await context.source.readByIds(...args);
    },
  };
  const store = watched(context.store, (collection, call) => {
    // The archive's own counts come last.
    if (collection === 'rosterExceptions' && call === 'insert') throw new Error('cut');
  });
  const archive = await run({ ...over(context, { source }), store });
  expect(archive).toMatchObject({ state: 'cleared', rosterShrunk: false });
  await change({ state: 'verified' });
  await retrieved();
  const target = new Told();
  expect(await restore(target, 'files')).toMatchObject({ records: 1_003, void: 2, inserted: 1_001 });
  expect(target.ids).not.toContain('r0007');
  expect(target.ids).not.toContain('r1001');
  expect(target.calls).toEqual(['write 1000', 'write 1', 'finish']);
  await world.store.collection('rosterPages').removeMany({ page: 1 });
  await retrieved();
  const half = new Told();
  await expect(restore(half, 'files')).rejects.toMatchObject({ code: 'LEASE_HELD' });
  expect(half.calls.at(-1)).toBe('discard');
  expect(half.calls).not.toContain('finish');
});

test('cleared, and its worker was cut before it wrote the exceptions: they are written first, and the void copy stays out', async () => {
  put('a');
  put('b');
  const context = runContext();
  const source: Partial<SourcePort> = {
    readByIds: async (...args) => {
      put('a', { text: 'new' });
      return await context.source.readByIds(...args);
    },
  };
  const store = watched(context.store, (collection, call) => {
    if (collection === 'rosterExceptions' && call === 'insert') throw new Error('cut');
  });
  expect(await run({ ...over(context, { source }), store })).toMatchObject({ state: 'cleared', rosterShrunk: false });
  await retrieved();
  const target = new Told();
  expect(await restore(target, 'database')).toMatchObject({ records: 2, void: 1 });
  expect(target.ids).toEqual(['b']);
  expect(await theArchive()).toMatchObject({ rosterShrunk: true, lease: null });
  expect(await world.all('rosterPages')).toEqual([]);
});

test.each([
  ['another manifest', { manifestSha256: '0'.repeat(64) }],
  ['another tree hash', { treeHash: '0'.repeat(64) }],
])('the ledger remembers %s: refused before the target is touched, and the retrieval stays', async (_, wrong) => {
  put('a');
  const { stored } = await run();
  if (stored === null) throw new Error('It was not stored.');
  await change({ stored: { ...stored, ...wrong } });
  await retrieved();
  const target = new Told();
  await expect(restore(target)).rejects.toMatchObject({ code: 'ARCHIVE_CORRUPT' });
  expect(target.calls).toEqual([]);
  expect(await retrievalStates()).toEqual(['ready']);
});

test.each([
  ['customer', { customer: id.customer('south') }],
  ['owner', { owner: id.owner('other') }],
  ['dataset', { namespace: id.namespace('data.mails') }],
  ['policy', { policy: 'mails' }],
  ['policy version', { policyVersion: id.policyVersion('0'.repeat(64)) }],
])('a file of another %s under this id: refused before the target is touched', async (_, wrong) => {
  put('a');
  await run();
  await retrieved();
  await change(wrong);
  const target = new Told();
  await expect(restore(target)).rejects.toMatchObject({ code: 'ARCHIVE_CORRUPT' });
  expect(target.calls).toEqual([]);
});

test('a signature that does not hold: refused before the target is touched', async () => {
  put('a');
  await run();
  await retrieved();
  const target = new Told();
  const context = world.context();
  const keys = replaced(context.keys, { verify: async () => false });
  await expect(restore(target, 'files', { ...context, keys })).rejects.toMatchObject({ code: 'ARCHIVE_CORRUPT' });
  expect(target.calls).toEqual([]);
});

test.each(['write', 'finish'] as const)(
  'the target fails at its %s: discarded, and the same retrieval serves again',
  async (call) => {
    put('a');
    await run();
    await retrieved();
    const target = new Told();
    const full = new Error('The disk is full.');
    const failing = replaced<RestoreTarget>(target, {
      [call]: async () => Promise.reject(full),
      discard: () => target.discard(),
      ...(call === 'finish' ? { write: (records: readonly Uint8Array[]) => target.write(records) } : {}),
    });
    await expect(restore(failing)).rejects.toBe(full);
    expect(target.calls).toEqual(call === 'finish' ? ['write 1', 'discard'] : ['discard']);
    expect(await retrievalStates()).toEqual(['ready']);
    expect(await restore(new Told())).toMatchObject({ records: 1 });
  },
);

test.each([
  ['an error of ours', new MoraineError('VAULT_UNAVAILABLE', 'The disk is away.', { ids: { archive: 'a1' } })],
  ['any other error', new Error('The disk is full.')],
])(
  'the target fails and cannot be discarded, %s: it is the first error still, and names the second',
  async (_case, full) => {
    put('a');
    await run();
    await retrieved();
    const stuck = new Error('The folder is in use.');
    const failing = replaced<RestoreTarget>(new Told(), {
      write: async () => Promise.reject(full),
      discard: async () => Promise.reject(stuck),
    });
    const thrown = await restore(failing).catch((error) => error);
    expect(thrown.message).toBe(`${full.message} What was begun could not be discarded: The folder is in use.`);
    expect(thrown.cause.errors).toEqual([full, stuck]);
    if (full instanceof MoraineError) expect(thrown).toMatchObject({ code: full.code, ids: full.ids, hint: full.hint });
    // Whoever discards once more does not say it again.
    expect(await discarded(thrown, async () => Promise.reject(stuck))).toBe(thrown);
    expect(await retrievalStates()).toEqual(['ready']);
  },
);

test('told to stop in the second reading: nothing more is written, what was is discarded', async () => {
  put('a');
  await run();
  await retrieved();
  const stop = new AbortController();
  const context = world.context(undefined, { signal: stop.signal });
  let reads = 0;
  const stopping = over(context, {
    vault: {
      readRetrieval: async (...args) => {
        reads += 1;
        if (reads === 2) stop.abort();
        return await world.vault.readRetrieval(...args);
      },
    },
  });
  const target = new Told();
  await expect(restore(target, 'files', stopping)).rejects.toMatchObject({ code: 'WORK_STOPPED' });
  expect(target.calls).toEqual(['discard']);
});

test('told to stop before it reads: the vault is not asked', async () => {
  put('a');
  await run();
  await retrieved();
  const stop = new AbortController();
  const context = world.context(undefined, { signal: stop.signal });
  const reads: unknown[] = [];
  const counted = over(context, {
    vault: {
      readRetrieval: async (...args) => {
        reads.push(args);
        return await world.vault.readRetrieval(...args);
      },
    },
  });
  stop.abort();
  await expect(restore(new Told(), 'files', counted)).rejects.toMatchObject({ code: 'WORK_STOPPED' });
  expect(reads).toEqual([]);
});

test('a large file is read in pieces that join, and written in batches of no more than 16 MiB and a record', async () => {
  const noise = () => new BSON.Binary(randomBytes(8.25 * 1024 * 1024));
  for (const one of ['a', 'b']) put(one, { noise: noise() });
  put('c');
  const { stored } = await run();
  await retrieved();
  const ranges: { start: number; end: number }[] = [];
  const context = over(world.context(), {
    vault: {
      readRetrieval: async (location, job, range) => {
        ranges.push(range);
        return await world.vault.readRetrieval(location, job, range);
      },
    },
  });
  const target = new Told();
  expect(await restore(target, 'files', context)).toMatchObject({ records: 3, inserted: 3 });
  expect(target.batches).toEqual([['a', 'b'], ['c']]);
  const piece = 16 * 1024 * 1024;
  const once = [
    { start: 0, end: piece },
    { start: piece, end: stored?.bytes },
  ];
  expect(ranges).toEqual([...once, ...once]);
});
