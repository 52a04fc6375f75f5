/** Retrievals, call by call: one is paid for once, a purge that comes in between is seen, and one that ended keeps no archive. */
import { beforeEach, expect, test } from 'vitest';
import { MoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { archives, getArchive } from '../../src/ledger/archives.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { findRetrievals, getRetrieval, liveRetrievals, wantRetrievals } from '../../src/ledger/retrievals.ts';
import type { ArchiveState } from '../../src/ledger/states.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import {
  ASKING_ENDS_MS,
  askVault,
  cancelRetrieval,
  estimateRetrieval,
  refreshRetrieval,
  refreshRetrievals,
  requestRetrieval,
  retrievableFacts,
} from '../../src/lifecycle/retrieve.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { VaultPort } from '../../src/vault/port.ts';
import { anArchive } from '../harness/an-archive.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

let world: MemoryWorld;
let context: Context;
let archive: ArchiveDocument;
beforeEach(async () => {
  world = await MemoryWorld.open();
  const policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1000, share: 1.0 }
`);
  world.put(policy, { _id: 'a', owner: 'acme', tenant: 'north', at: new Date('2020-01-01') });
  context = world.context();
  await runPolicy(context, policy, { flush: true, expired: null });
  const [made] = await world.archives();
  if (made === undefined) throw new Error('There is no archive.');
  archive = made;
});

/** The context with calls of its vault replaced. */
function withVault(calls: Partial<VaultPort>): Context {
  return { ...context, vaults: new Map([...context.vaults].map(([key, vault]) => [key, overlay(vault, calls)])) };
}

const ask = async (on = context) => await requestRetrieval(on, archive._id, 'standard');

async function states(): Promise<string[]> {
  const found: string[] = [];
  for await (const { state } of findRetrievals(world.store)) found.push(state);
  return found;
}

async function told(): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const { act, phase, subject, details } of auditEntries(world.store, { subject: { archive: archive._id } }))
    if (act === 'archive retrieve') found.push({ phase, subject, details });
  return found;
}

test('asked for: told before and after, remembered with what the vault said', async () => {
  const retrieval = await ask();
  expect(retrieval).toMatchObject({
    archive: archive._id,
    location: archive.vault,
    vaultArchiveId: archive.stored?.vaultArchiveId,
    tier: 'standard',
    range: null,
    state: 'requested',
    expectedAt: expect.any(Date),
    readyAt: null,
    expiresAt: null,
  });
  const { _id, owner, customer } = archive;
  const subject = { archive: _id, owner, customer, policy: 'chats', retrieval: retrieval._id };
  expect(await told()).toEqual([
    { phase: 'intent', subject, details: { tier: 'standard' } },
    { phase: 'outcome', subject, details: { tier: 'standard', jobId: retrieval.jobId } },
  ]);
});

test('asked for twice: the vault is asked once; ready, it is the same still; ended, it is asked anew', async () => {
  const asked: unknown[] = [];
  const counting = withVault({
    requestRetrieval: async (...args) => {
      asked.push(args);
      return await world.vault.requestRetrieval(...args);
    },
  });
  const first = await ask(counting);
  expect((await ask(counting))._id).toBe(first._id);
  world.vault.advance(6);
  expect(await ask(counting)).toMatchObject({ _id: first._id, state: 'ready', readyAt: expect.any(Date) });
  expect(asked).toEqual([[archive.vault, archive.stored?.vaultArchiveId, 'standard', null, first._id]]);
  await cancelRetrieval(context, first._id);
  expect((await ask(counting))._id).not.toBe(first._id);
  expect(asked).toHaveLength(2);
});

test('the vault is away: the intent is told, and what nobody follows is given up', async () => {
  world.vault.failNext('requestRetrieval', 'unavailable');
  await expect(ask()).rejects.toMatchObject({ code: 'VAULT_UNAVAILABLE' });
  expect(await states()).toEqual(['cancelled']);
  expect(await told()).toMatchObject([{ phase: 'intent' }]);
});

test('the reply of the vault is lost: asked again, its job is found and not paid for twice', async () => {
  world.vault.failNext('requestRetrieval', 'lost-reply');
  await expect(ask()).rejects.toMatchObject({ code: 'VAULT_OUTCOME_UNKNOWN' });
  expect(await states()).toEqual(['asking']);
  const asked: unknown[] = [];
  const counting = withVault({
    requestRetrieval: async (...args) => {
      asked.push(args);
      return 'another';
    },
  });
  expect(await ask(counting)).toMatchObject({ state: 'requested', jobId: expect.not.stringMatching(/^$|another/) });
  expect(asked).toEqual([]);
  expect(await states()).toEqual(['requested']);
});

test('the reply is lost and nothing had arrived: it is asked for once more; while another may still ask it is left alone', async () => {
  const away = withVault({
    requestRetrieval: async () => Promise.reject(new MoraineError('VAULT_OUTCOME_UNKNOWN', 'cut')),
  });
  await expect(ask(away)).rejects.toMatchObject({ code: 'VAULT_OUTCOME_UNKNOWN' });
  const other = { ...context, worker: id.worker('another') };
  expect(await ask(other)).toMatchObject({ state: 'asking' });
  world.clock.advance(ASKING_ENDS_MS);
  expect(await ask(other)).toMatchObject({ state: 'requested', askedBy: 'another' });
});

test('it is there at once: no time is expected', async () => {
  const at = { readyAt: new Date('2024-06-01'), expiresAt: new Date('2024-06-02') };
  const quick = withVault({ retrievalState: async () => ({ state: 'ready', ...at }) });
  expect(await ask(quick)).toMatchObject({ state: 'ready', expectedAt: null, ...at });
});

test('a purge took the archive before the vault was asked: it has failed, and nobody waits for it', async () => {
  const wanted = {
    archive: archive._id,
    location: archive.vault,
    vaultArchiveId: 'va',
    tier: 'bulk',
    range: null,
  } as const;
  await wantRetrievals(world.store, world.clock, [{ id: 'r1', ...wanted }]);
  await archives(world.store).replace({ ...(await getArchive(world.store, archive._id)), state: 'purging' });
  const silent = withVault({ requestRetrieval: async () => Promise.reject(new Error('not to be asked')) });
  const retrieval = await getRetrieval(world.store, 'r1');
  await expect(askVault(silent, retrieval)).rejects.toMatchObject({ code: 'ARCHIVE_NOT_RETRIEVABLE' });
  expect(await getRetrieval(world.store, 'r1')).toMatchObject({ state: 'failed', failure: 'ARCHIVE_NOT_RETRIEVABLE' });
  expect(await liveRetrievals(world.store, archive._id)).toEqual([]);
});

test.each<[ArchiveState, ArchiveState | null, boolean]>([
  ['planned', null, false],
  ['storing', null, false],
  ['stored', null, true],
  ['verified', null, true],
  ['cleared', null, true],
  ['purging', null, false],
  ['purged', null, false],
  ['confirmed', null, false],
  ['abandoned', null, false],
  ['quarantined', 'stored', true],
  ['quarantined', 'cleared', true],
  ['quarantined', 'purged', false],
  ['quarantined', null, false],
])('%s (from %s): can be retrieved: %s', async (state, quarantinedFrom, expected) => {
  const one = { ...anArchive({ state, quarantinedFrom }), rev: 0 };
  if (expected) {
    expect(retrievableFacts(one)).toBe(one.stored);
    expect(() => retrievableFacts({ ...one, stored: null })).toThrow();
  } else expect(() => retrievableFacts(one)).toThrow(expect.objectContaining({ code: 'ARCHIVE_NOT_RETRIEVABLE' }));
});

test('one that cannot be retrieved is never asked for', async () => {
  await archives(world.store).replace({ ...(await getArchive(world.store, archive._id)), state: 'purging' });
  const asked: unknown[] = [];
  const counting = withVault({
    requestRetrieval: async (...args) => {
      asked.push(args);
      return 'job';
    },
  });
  await expect(ask(counting)).rejects.toMatchObject({ code: 'ARCHIVE_NOT_RETRIEVABLE' });
  expect(asked).toEqual([]);
  expect(await told()).toEqual([]);
});

test('what it costs is asked of the vault that has it, by its size', () => {
  const asked: unknown[] = [];
  const estimating = withVault({
    estimateRetrieval: (bytes, tier) => {
      asked.push([bytes, tier]);
      return world.vault.estimateRetrieval(bytes, tier);
    },
  });
  estimateRetrieval(estimating, archive, 'bulk');
  expect(asked).toEqual([[archive.stored?.bytes, 'bulk']]);
});

test('looked after: pending stays, ready says until when, gone has expired; an end is an end', async () => {
  const asked = await ask();
  expect(await refreshRetrieval(context, asked)).toEqual(asked);
  world.vault.advance(6);
  const ready = await refreshRetrieval(context, asked);
  expect(ready).toMatchObject({
    state: 'ready',
    readyAt: expect.any(Date),
    expiresAt: expect.any(Date),
    endedAt: null,
  });
  world.vault.advance(48);
  const ended = await refreshRetrieval(context, ready);
  expect(ended).toMatchObject({ state: 'expired', endedAt: world.clock.now() });
  const silent = withVault({ retrievalState: async () => Promise.reject(new Error('not to be asked')) });
  expect(await refreshRetrieval(silent, ended)).toBe(ended);
});

test('all that live are looked after; one of which the vault says nothing stays as it is, and stops no other', async () => {
  const asked = await ask();
  const warnings: unknown[] = [];
  const log = { ...context.log, warn: (ids: unknown) => warnings.push(ids) };
  world.vault.failNext('retrievalState', 'unavailable');
  expect(await refreshRetrievals({ ...context, log })).toEqual([asked]);
  expect(warnings).toEqual([{ retrieval: asked._id, archive: archive._id }]);
  world.vault.advance(6);
  expect(await refreshRetrievals(context, id.archive('another'))).toEqual([]);
  expect(await states()).toEqual(['requested']);
  expect(await refreshRetrievals(context, archive._id)).toMatchObject([{ _id: asked._id, state: 'ready' }]);
  expect(await refreshRetrievals(context)).toMatchObject([{ _id: asked._id, state: 'ready' }]);
  await cancelRetrieval(context, asked._id);
  expect(await refreshRetrievals(context)).toEqual([]);
});

test('cut while the vault was asked, outside an order: its job is taken up later; without one it no longer keeps the archive', async () => {
  const cut = withVault({
    requestRetrieval: async (...asked) => {
      await context.vaults.get(archive.vault.key)?.requestRetrieval(...asked);
      throw new MoraineError('VAULT_OUTCOME_UNKNOWN', 'No reply.');
    },
  });
  await expect(ask(cut)).rejects.toMatchObject({ code: 'VAULT_OUTCOME_UNKNOWN' });
  await refreshRetrievals(context);
  expect(await states()).toEqual(['asking']);
  world.clock.advance(2 * 3_600_000);
  await refreshRetrievals(context);
  expect(await states()).toEqual(['requested']);
  for (const { _id } of await liveRetrievals(world.store, archive._id)) await cancelRetrieval(context, _id);

  const unasked = withVault({
    requestRetrieval: () => Promise.reject(new MoraineError('VAULT_OUTCOME_UNKNOWN', 'No reply.')),
    findRetrieval: () => Promise.resolve(null),
  });
  await expect(ask(unasked)).rejects.toMatchObject({ code: 'VAULT_OUTCOME_UNKNOWN' });
  world.clock.advance(2 * 3_600_000);
  await refreshRetrievals(unasked);
  expect(await liveRetrievals(world.store, archive._id)).toEqual([]);
});
