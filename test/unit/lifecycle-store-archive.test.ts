/** Storing, step by step: what the ledger knows before and after each call of the vault, and what is left of an attempt that fails. */
import { randomBytes } from 'node:crypto';
import { BSON } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import { MoraineError } from '../../src/errors.ts';
import { type ArchiveId, id } from '../../src/ids.ts';
import type { ArchiveKey } from '../../src/keys/port.ts';
import { archives, claimArchive, getArchive } from '../../src/ledger/archives.ts';
import {
  type AttemptDocument,
  abandonAttempt,
  acknowledgeAttempt,
  attempts,
  openAttempt,
} from '../../src/ledger/attempts.ts';
import { type AuditEntry, auditEntries } from '../../src/ledger/audit.ts';
import { LEASE_MS } from '../../src/ledger/leases.ts';
import { ROSTER_PAGE_RECORDS, writeRosterPage } from '../../src/ledger/rosters.ts';
import type { LedgerDocument, Store } from '../../src/ledger/store.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { planPolicy } from '../../src/lifecycle/plan.ts';
import { planNextArchives } from '../../src/lifecycle/plan-archive.ts';
import { PART_BYTES, storeArchive } from '../../src/lifecycle/store-archive.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { SourcePort } from '../../src/source/port.ts';
import type { VaultPort } from '../../src/vault/port.ts';
import { aHold } from '../harness/a-hold.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const AS_OF = '2024-06-01T00:00:00Z';
const YAML = (facets = '') => `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant }${facets} }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 30 days }
limits: { records: 1000, share: 1.0 }
`;

let world: MemoryWorld;
let policy: Policy;
let archive: ArchiveId;
/** Archive keys that are in memory. */
let keysInMemory: number;
beforeEach(async () => {
  world = await MemoryWorld.open();
  policy = await world.publish(YAML());
  put('jo', '2020-01-01');
  put('kim', '2020-01-20');
  put('later', '2020-06-01');
  archive = await planned();
  keysInMemory = 0;
});

function put(_id: string, day: string, more: BSON.Document = {}): void {
  world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date(day), ...more });
}

async function planned(): Promise<ArchiveId> {
  const context = world.context(undefined, { asOf: AS_OF });
  const { partitions } = await planPolicy(context, policy, { flush: true });
  const [partition] = partitions;
  if (partition === undefined) throw new Error('Nothing is due.');
  const [archive] = await planNextArchives(context, policy, partition);
  if (archive === undefined) throw new Error('Nothing was planned.');
  return archive;
}

/** The context with calls of its vault replaced, and its archive keys counted. */
function contextOf(more: Partial<VaultPort> = {}, fields: Partial<Context> = {}): Context {
  const base = world.context(undefined, { asOf: AS_OF });
  const keys = overlay(base.keys, {
    createArchiveKey: async (...of): Promise<ArchiveKey> => {
      const key = await base.keys.createArchiveKey(...of);
      keysInMemory += 1;
      const forget = () => {
        keysInMemory -= 1;
        key.forget();
      };
      return { keyName: key.keyName, bytes: () => key.bytes(), forget };
    },
  });
  const vaults = [...base.vaults].map(([key, vault]) => [key, overlay<VaultPort>(vault, more)] as const);
  return { ...base, keys, vaults: new Map(vaults), ...fields };
}

async function store(context: Context = contextOf()) {
  const lease = await claimArchive(context.store, context.audit, archive, context);
  try {
    return await storeArchive(context, lease, policy);
  } finally {
    await lease.giveUp();
    expect(keysInMemory).toBe(0);
  }
}

async function allAttempts(): Promise<AttemptDocument[]> {
  const found: AttemptDocument[] = [];
  for await (const attempt of attempts(world.store).find({ archive }, { sort: { _id: 1 } })) found.push(attempt);
  return found;
}

async function keyOf(attempt: AttemptDocument | undefined): Promise<'there' | 'destroyed'> {
  return await world
    .context()
    .keys.readBack(attempt?._id ?? id.attempt(''))
    .then(
      () => 'there',
      () => 'destroyed',
    );
}

async function told(act: string): Promise<AuditEntry[]> {
  const found: AuditEntry[] = [];
  for await (const entry of auditEntries(world.store)) if (entry.act === act) found.push(entry);
  return found;
}

const inVault = async () => world.vaultFiles(archive, await world.archives());
const away = new MoraineError('VAULT_UNAVAILABLE', 'The vault is away.');

describe('stored', () => {
  test('the ledger knows what was taken, until where, when it is due, and what the vault acknowledged', async () => {
    const moved: string[] = [];
    const document = await store(contextOf({}, { progress: { moved: (of, to) => moved.push(`${of} ${to}`) } }));
    const [attempt] = await allAttempts();
    const [file] = await inVault();
    expect(document).toMatchObject({
      state: 'stored',
      attempt: attempt?._id,
      attemptCount: 1,
      dueAt: new Date('2029-01-20T00:00:00Z'),
      leftOut: [],
      facets: [],
      unfit: 0,
      outcomes: { archived: 2, pending: 2, deleted: 0 },
      plan: { after: null, reachedEnd: false, bound: expect.anything() },
      stored: {
        vaultArchiveId: file?.vaultArchiveId,
        bytes: file?.bytes.length,
        treeHash: file?.treeHash,
        records: 2,
        rosterPages: 1,
        oldestDueAt: new Date('2022-01-01T00:00:00Z'),
        triggerFrom: new Date('2020-01-01T00:00:00Z'),
        triggerTo: new Date('2020-01-20T00:00:00Z'),
      },
    });
    expect(document.stored?.recordBytes).toBe(
      2 * BSON.serialize({ _id: 'jo', owner: 'acme', tenant: 'north', at: new Date() }).length + 1,
    );
    expect(attempt).toMatchObject({
      state: 'acknowledged',
      uploadId: null,
      partBytes: PART_BYTES,
      epoch: document.epoch,
    });
    expect(attempt?.intent).toEqual({
      installation: world.context().installation.id,
      archive,
      attempt: attempt?._id,
      owner: 'acme',
      customer: 'north',
      dataset: 'data.chats',
      dueAt: document.plan.latestPurgeAt.toISOString(),
      policyVersion: document.policyVersion,
    });
    expect(attempt?.members.map(({ segment }) => segment)).toContain(0);
    const ends = attempt?.members.map(({ offset, length }) => offset + length) ?? [];
    expect(Math.max(...ends)).toBeLessThanOrEqual(document.stored?.bytes ?? 0);
    expect(moved).toEqual([`${archive} stored`]);
    expect(await keyOf(attempt)).toBe('there');
    const { bytes, treeHash, merkleRoot } = document.stored ?? {};
    expect(document.unaudited).toMatchObject([
      { act: 'archive stored', details: { attempt: attempt?._id, records: 2, bytes, treeHash, merkleRoot } },
    ]);
    const details = { attempt: attempt?._id, vault: document.vault.name };
    expect(await told('archive storing')).toMatchObject([{ details }]);
    expect(await told('archive stored')).toEqual([]);
  });

  test('the vault exists, and the intent is in the ledger, before the first byte goes out', async () => {
    const order: string[] = [];
    const context = contextOf({
      ensure: async (location) => {
        order.push(`ensure ${location.customer}, attempts ${(await allAttempts()).length}`);
        await world.vault.ensure(location);
      },
      storeWhole: async (...args) => {
        const [attempt] = await allAttempts();
        order.push(`${attempt?.state}, key ${await keyOf(attempt)}, ${(await getArchive(world.store, archive)).state}`);
        return await world.vault.storeWhole(...args);
      },
    });
    await store(context);
    expect(order).toEqual(['ensure north, attempts 0', 'open, key there, storing']);
  });

  test('values of facets are kept as codes by the first attempt already; where there are too many, it counts as having every one', async () => {
    policy = await world.publish(YAML(', facets: { subject: { field: mail } }'));
    put('jo', '2020-01-01', { mail: 'jo@example.org' });
    await archives(world.store).removeMany({});
    archive = await planned();
    await store();
    expect(await world.all('archiveFacets')).toMatchObject([{ archive, coversEverything: false, codes: [{}] }]);
    await archives(world.store).removeMany({});
    archive = await planned();
    const { source } = world.context();
    const many = Array.from({ length: 100_001 }, (_, at) => String(at));
    await store(contextOf({}, { source: overlay(source, { facets: () => ({ subject: many }) }) }));
    expect((await world.all('archiveFacets')).filter((page) => Reflect.get(page, 'archive') === archive)).toMatchObject(
      [{ coversEverything: true, codes: [] }],
    );
  });

  test('the manifest names the newest entry of the audit chain', async () => {
    await store();
    const [file] = await inVault();
    const manifest = /"auditHead":\s*\{\s*"seq":\s*(\d+),\s*"hash":\s*"([0-9a-f]{64})"/.exec(
      Buffer.from(file?.bytes ?? []).toString(),
    );
    const entries: AuditEntry[] = [];
    for await (const entry of auditEntries(world.store)) entries.push(entry);
    const { seq, hash } = entries.at(-1) ?? { seq: -1, hash: '' };
    expect(manifest?.slice(1)).toEqual([String(seq), hash]);
  });

  test('holds that were looked at for each record are named; values of facets are kept as codes, and replaced by the next attempt', async () => {
    policy = await world.publish(YAML(', facets: { subject: { field: mail } }'));
    await archives(world.store).removeMany({});
    put('jo', '2020-01-01', { mail: 'jo@example.org' });
    await world.store
      .collection('holds')
      .insert(aHold({ owner: id.owner('acme'), triggerBefore: new Date('2019-01-01') }));
    archive = await planned();
    const late = contextOf({
      storeWhole: async (...args) => {
        await world.vault.storeWhole(...args);
        throw away;
      },
    });
    await expect(store(late)).rejects.toBe(away);
    expect(await world.all('archiveFacets')).toEqual([]);
    const cut = whenStored(contextOf(), () => Promise.reject(new Error('cut')));
    await expect(store(cut)).rejects.toThrow('cut');
    expect(await world.all('archiveFacets')).toMatchObject([{ archive, codes: [expect.any(String)] }]);
    put('jo', '2020-01-01', {});
    world.letLeasesEnd();
    expect(await store()).toMatchObject({ state: 'stored', attemptCount: 3, facets: ['subject'], leftOut: ['hold-1'] });
    expect(await world.all('archiveFacets')).toEqual([]);
  });
});

/** The context, with writes of archives that move one to `stored` replaced. */
function whenStored(context: Context, write: (write: () => Promise<unknown>) => Promise<never>): Context {
  let hasFailed = false;
  const collection: Store['collection'] = <T extends LedgerDocument>(name: string) => {
    const real = context.store.collection<T>(name);
    if (name !== 'archives') return real;
    return overlay(real, {
      replace: async (document: T & { readonly state?: unknown }) => {
        if (document.state !== 'stored' || hasFailed) return await real.replace(document);
        hasFailed = true;
        return await write(() => real.replace(document));
      },
    });
  };
  return { ...context, store: { serverTime: () => context.store.serverTime(), collection } };
}

describe('nothing is left to take', () => {
  test('the archive is abandoned, and its attempt with its key; what was unfit is counted', async () => {
    world.source.remove(policy.dataset.collection, idBytes('later'));
    for (const _id of ['jo', 'kim']) world.source.remove(policy.dataset.collection, idBytes(_id));
    const { source } = world.context();
    world.put(policy, { _id: 'unfit', owner: 'acme', tenant: 'north', at: new Date('2020-01-01') });
    const unfit = overlay(source, { fitness: () => 'too-large' as const });
    const document = await store(contextOf({}, { source: unfit }));
    expect(document).toMatchObject({ state: 'abandoned', unfit: 1, stored: null });
    const [attempt] = await allAttempts();
    expect(attempt).toMatchObject({ state: 'abandoned', reason: 'nothing was left to take' });
    expect(await keyOf(attempt)).toBe('destroyed');
    expect(await inVault()).toEqual([]);
    const details = { reason: 'nothing was left to take' };
    expect(await told('archive abandoned')).toMatchObject([{ details }]);
  });
});

/** Type byte and value of `{ _id: text }`. */
function idBytes(text: string): Uint8Array {
  return Uint8Array.from([BSON.BSONType.string, ...BSON.serialize({ _id: text }).subarray(9, -1)]);
}

describe('a failed attempt', () => {
  test.each<[string, Partial<VaultPort>, string]>([
    ['the vault is away', { storeWhole: () => Promise.reject(away) }, 'VAULT_UNAVAILABLE'],
    ['something breaks', { storeWhole: () => Promise.reject(new Error('broken')) }, 'INTERNAL'],
    [
      'the vault acknowledges another tree hash',
      { storeWhole: async (...args) => ({ ...(await world.vault.storeWhole(...args)), treeHash: '00'.repeat(32) }) },
      'VAULT_CHECKSUM',
    ],
    [
      'the vault acknowledges another size',
      { storeWhole: async (...args) => ({ ...(await world.vault.storeWhole(...args)), bytes: 1 }) },
      'VAULT_CHECKSUM',
    ],
  ])(
    '%s: it is abandoned with its key and roster, the archive is planned again, and the next one stores it',
    async (_, calls, reason) => {
      const aborted: string[] = [];
      const abortUpload: VaultPort['abortUpload'] = async (_location, upload) => {
        aborted.push(upload);
      };
      await expect(store(contextOf({ ...calls, abortUpload }))).rejects.toThrow();
      expect(aborted).toEqual([]);
      const [attempt] = await allAttempts();
      expect(attempt).toMatchObject({ state: 'abandoned', reason, keyDestroyedAt: expect.any(Date) });
      expect(await keyOf(attempt)).toBe('destroyed');
      expect(await world.all('rosterPages')).toEqual([]);
      expect(await getArchive(world.store, archive)).toMatchObject({
        state: 'planned',
        attempt: null,
        stored: null,
        attemptCount: 1,
      });
      expect((await told('archive planned')).at(-1)).toMatchObject({ details: { reason } });
      expect(await store()).toMatchObject({ state: 'stored', attemptCount: 2 });
    },
  );

  test('while a page of its roster is on its way: nothing of that is left either', async () => {
    for (let at = 0; at < ROSTER_PAGE_RECORDS; at++) put(`r${at}`, '2020-01-02');
    await archives(world.store).removeMany({});
    archive = await planned();
    const base = contextOf();
    let read = 0;
    const source = overlay(base.source, {
      fitness: () => {
        read += 1;
        if (read > ROSTER_PAGE_RECORDS) throw new Error('broken');
        return null;
      },
    });
    const collection: Store['collection'] = <T extends LedgerDocument>(name: string) => {
      const real = base.store.collection<T>(name);
      if (name !== 'rosterPages') return real;
      return overlay(real, {
        insert: async (page) => {
          for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
          return await real.insert(page);
        },
      });
    };
    const slow = { ...base, source, store: { serverTime: () => base.store.serverTime(), collection } };
    await expect(store(slow)).rejects.toThrow('broken');
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(await world.all('rosterPages')).toEqual([]);
    expect(await inVault()).toEqual([]);
  });

  test('while its upload is being begun: that is waited for, and aborted', async () => {
    // The scan goes on after the last record that fits.
    world.source.remove(policy.dataset.collection, idBytes('later'));
    put('large', '2020-01-02', { noise: new BSON.Binary(randomBytes(PART_BYTES + 1)) });
    await archives(world.store).removeMany({});
    archive = await planned();
    const base = contextOf();
    let begins = false;
    let hasBegun = false;
    const source = overlay(base.source, {
      scan: async function* (...args: Parameters<SourcePort['scan']>) {
        yield* base.source.scan(...args);
        while (!begins) await new Promise((resolve) => setImmediate(resolve));
        throw new Error('cut');
      },
    });
    const beginUpload: VaultPort['beginUpload'] = async (...args) => {
      begins = true;
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
      const upload = await world.vault.beginUpload(...args);
      hasBegun = true;
      return upload;
    };
    await expect(store(contextOf({ beginUpload }, { source }))).rejects.toThrow('cut');
    while (!hasBegun) await new Promise((resolve) => setImmediate(resolve));
    const open: string[] = [];
    const { vault } = await getArchive(world.store, archive);
    for await (const { uploadId } of world.vault.listUploads(vault)) open.push(uploadId);
    expect(open).toEqual([]);
  });

  test('the vault itself is not there: no attempt is made', async () => {
    await expect(store(contextOf({ ensure: () => Promise.reject(away) }))).rejects.toBe(away);
    expect(await allAttempts()).toEqual([]);
    expect(await getArchive(world.store, archive)).toMatchObject({ state: 'planned' });
  });

  test('its lease was at its end before: the vault is not asked to exist', async () => {
    const context = contextOf();
    const lease = await claimArchive(context.store, context.audit, archive, context);
    world.clock.advance(LEASE_MS);
    await expect(storeArchive(context, lease, policy)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(await allAttempts()).toEqual([]);
    expect(await world.vault.vaultCount()).toMatchObject({ used: 0 });
  });

  test.each(['LEASE_LOST', 'WORK_STOPPED'] as const)(
    '%s: it stays as it is for whoever comes next, who abandons it and stores anew',
    async (code) => {
      const stopped = new MoraineError(code, 'Stop.');
      await expect(store(contextOf({ storeWhole: () => Promise.reject(stopped) }))).rejects.toBe(stopped);
      const [first] = await allAttempts();
      expect(first).toMatchObject({ state: 'open', keyDestroyedAt: null });
      expect(await keyOf(first)).toBe('there');
      expect(await getArchive(world.store, archive)).toMatchObject({ state: 'storing', attempt: first?._id });
      let before: unknown;
      const ensure: VaultPort['ensure'] = async () => {
        before = await getArchive(world.store, archive);
      };
      expect(await store(contextOf({ ensure }))).toMatchObject({ state: 'stored', attemptCount: 2 });
      expect(before).toMatchObject({ state: 'planned', attempt: null });
      const cut = (await allAttempts()).find(({ _id }) => _id === first?._id);
      expect(cut).toMatchObject({ state: 'abandoned', reason: 'its worker was cut' });
      expect(await keyOf(cut)).toBe('destroyed');
      expect((await told('archive planned')).at(-1)).toMatchObject({ details: { reason: 'the attempt was cut' } });
    },
  );

  test("`stored` was written and its reply lost: the attempt is the archive's, and its key stays", async () => {
    const lost = new MoraineError('MONGODB_UNAVAILABLE', 'The reply was lost.');
    const lossy = whenStored(contextOf(), async (write) => {
      await write();
      throw lost;
    });
    await expect(store(lossy)).rejects.toBe(lost);
    const [attempt] = await allAttempts();
    expect(await getArchive(world.store, archive)).toMatchObject({ state: 'stored', attempt: attempt?._id });
    expect(attempt).toMatchObject({ state: 'acknowledged' });
    expect(await keyOf(attempt)).toBe('there');
    expect(await world.all('rosterPages')).toHaveLength(1);
  });

  test('it cannot be given back: the first error is the one that is told, and the next claim abandons it', async () => {
    const base = contextOf({ storeWhole: () => Promise.reject(away) });
    const keys = overlay(base.keys, { destroy: () => Promise.reject(new Error('the key store is away')) });
    await expect(store({ ...base, keys })).rejects.toBe(away);
    const [first] = await allAttempts();
    expect(first).toMatchObject({ state: 'abandoned', keyDestroyedAt: null });
    expect(await getArchive(world.store, archive)).toMatchObject({ state: 'storing' });
    expect(await store()).toMatchObject({ state: 'stored', attemptCount: 2 });
    expect(await keyOf(first)).toBe('destroyed');
  });
});

describe('attempts that a cut worker left', () => {
  async function left(attempt: string, of: ArchiveId = archive, upload = false): Promise<AttemptDocument> {
    const { vault, owner, customer, namespace: dataset, policyVersion } = await getArchive(world.store, archive);
    const installation = world.context().installation.id;
    const _id = id.attempt(attempt);
    const intent = { installation, archive: of, attempt: _id, owner, customer, dataset, dueAt: AS_OF, policyVersion };
    await world.vault.ensure(vault);
    await openAttempt(world.store, world.clock, {
      _id,
      archive: of,
      epoch: 0,
      location: vault,
      intent,
      partBytes: PART_BYTES,
    });
    (await world.context().keys.createArchiveKey(owner, of, _id)).forget();
    await writeRosterPage(world.store, { archive: of, attempt: _id, epoch: 0 }, 0, []);
    const found = await attempts(world.store).get(_id);
    if (found === null) throw new Error('It is gone.');
    if (!upload) return found;
    const { uploadId } = await world.vault.beginUpload(vault, intent, PART_BYTES);
    return (await attempts(world.store).replace({ ...found, uploadId })) ?? found;
  }
  const uploads = async () => {
    const open: string[] = [];
    for await (const { uploadId } of world.vault.listUploads((await getArchive(world.store, archive)).vault))
      open.push(uploadId);
    return open;
  };

  test('open, acknowledged, and abandoned by half: all lose their keys, uploads and rosters; those of another archive stay', async () => {
    await left('open', archive, true);
    await left('acknowledged');
    await acknowledgeAttempt(world.store, world.clock, id.attempt('acknowledged'), []);
    await left('half');
    await abandonAttempt(world.store, world.clock, id.attempt('half'), 'VAULT_UNAVAILABLE');
    const other = await left('other', id.archive('other'), true);
    await store();
    const states = Object.fromEntries((await allAttempts()).map(({ _id, state, reason }) => [_id, { state, reason }]));
    expect(states).toMatchObject({
      open: { state: 'abandoned', reason: 'its worker was cut' },
      acknowledged: { state: 'abandoned', reason: 'its worker was cut' },
      half: { state: 'abandoned', reason: 'VAULT_UNAVAILABLE' },
    });
    const gone = (await allAttempts()).filter(({ state }) => state === 'abandoned');
    expect(await Promise.all(gone.map(keyOf))).toEqual(['destroyed', 'destroyed', 'destroyed']);
    expect(await attempts(world.store).get('other')).toMatchObject({ state: 'open' });
    expect(await keyOf(other)).toBe('there');
    expect(await uploads()).toEqual([other.uploadId]);
    expect((await world.all('rosterPages')).map(({ _id }) => _id.split(':')[0])).toHaveLength(2);
  });

  test('the vault does not abort the upload: it is stored all the same, reconcile aborts it later', async () => {
    const { uploadId } = await left('open', archive, true);
    expect(await store(contextOf({ abortUpload: () => Promise.reject(away) }))).toMatchObject({ state: 'stored' });
    expect(await keyOf((await allAttempts()).find(({ _id }) => _id === 'open'))).toBe('destroyed');
    expect(await uploads()).toEqual([uploadId]);
  });
});

describe('the parts of a file', () => {
  const sizeFor = async (bytes: number) => {
    const document = await getArchive(world.store, archive);
    await archives(world.store).replace({ ...document, plan: { ...document.plan, bytes, records: 2 } });
    let partBytes = 0;
    const storeWhole: VaultPort['storeWhole'] = async () => {
      partBytes = (await allAttempts()).find(({ state }) => state === 'open')?.partBytes ?? 0;
      throw away;
    };
    await expect(store(contextOf({ storeWhole }))).rejects.toBe(away);
    return partBytes;
  };

  test('are as small as the 10,000 of the service let them be', async () => {
    expect(await sizeFor(1)).toBe(PART_BYTES);
    // A file may be three times its records: the index has their `_id`s twice.
    expect(await sizeFor(PART_BYTES * 3_200)).toBe(PART_BYTES);
    expect(await sizeFor(PART_BYTES * 3_400)).toBe(2 * PART_BYTES);
    expect(await sizeFor(PART_BYTES * 13_500)).toBe(8 * PART_BYTES);
  });
});
