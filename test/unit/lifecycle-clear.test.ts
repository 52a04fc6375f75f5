/** Clearing one archive: its pages, what they add up to, and what a failure in the middle leaves for the next worker. */
import { createHash } from 'node:crypto';
import { BSON } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import type { ArchiveDocument, StoredFacts } from '../../src/ledger/archive-document.ts';
import { type ArchiveLease, archives, claimArchive } from '../../src/ledger/archives.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { settlePage } from '../../src/ledger/clearing.ts';
import { inFlight } from '../../src/ledger/in-flight.ts';
import { removeRoster, writeRosterPage } from '../../src/ledger/rosters.ts';
import { clearArchive, shrinkClearedRoster } from '../../src/lifecycle/clear.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { type Policy, toShape } from '../../src/policy/policy.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import { anArchive } from '../harness/an-archive.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const A1 = id.archive('a1');
const T1 = id.attempt('t1');

let world: MemoryWorld;
let policy: Policy;
let context: Context;
/** What each delete took, in order. */
let deletes: string[];
let onDelete: (ids: string) => void;
beforeEach(async () => {
  world = await MemoryWorld.open();
  policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1000, share: 1.0 }
`);
  deletes = [];
  onDelete = () => undefined;
  const base = world.context();
  const source = overlay(base.source, {
    deleteGuarded: async (shape, records, warrant) => {
      const ids = records.map(({ raw }) => BSON.deserialize(raw)['_id']).join(' ');
      deletes.push(ids);
      onDelete(ids);
      return await base.source.deleteGuarded(shape, records, warrant);
    },
  });
  context = { ...base, source };
});

const documentOf = (_id: string) => ({ _id, owner: 'acme', tenant: 'north', at: new Date('2020-01-01') });

/** A verified archive with these records, in pages, all of them in the source. */
async function verified(pages: readonly (readonly string[])[], fields: Partial<ArchiveDocument> = {}) {
  for (const [page, ids] of pages.entries()) {
    const records = ids.map((_id) => {
      const raw = BSON.serialize(documentOf(_id));
      world.put(policy, documentOf(_id));
      return { id: idBytesOf(raw), sha256: createHash('sha256').update(raw).digest(), segment: page };
    });
    await writeRosterPage(world.store, { archive: A1, attempt: T1, epoch: 1 }, page, records);
  }
  const stored = { ...storedOf(), records: pages.flat().length, rosterPages: pages.length };
  await archives(world.store).insert(anArchive({ state: 'verified', rosterShrunk: false, stored, ...fields }));
  return await claimArchive(world.store, context.audit, A1, context);
}

function storedOf(): StoredFacts {
  const { stored } = anArchive();
  if (stored === null) throw new Error('It was not stored.');
  return stored;
}

const clear = (lease: ArchiveLease, on = context) => clearArchive(on, lease, toShape(policy));
const read = async () => await archives(world.store).get(A1);

describe('clear', () => {
  test('page by page, its intent told before the first; counts add up, the roster shrinks, nothing stays open', async () => {
    const lease = await verified([['a', 'b'], ['c'], ['d', 'e']]);
    world.put(policy, { ...documentOf('d'), text: 'new' });
    const progress: string[] = [];
    const cleared = await clear(lease, {
      ...context,
      progress: {
        cleared: (outcome, records) => progress.push(`${outcome} ${records}`),
        moved: (archive, to) => progress.push(`${archive} ${to}`),
      },
    });
    const outcomes = { archived: 5, deleted: 4, changed: 1, held: 0, gone: 0, quarantined: 0, pending: 0 };
    expect(cleared).toMatchObject({ state: 'cleared', outcomes, rosterShrunk: true });
    expect(await read()).toMatchObject({ state: 'cleared', outcomes });
    expect(world.idsIn(policy)).toEqual(['d']);
    expect([...deletes].sort()).toEqual(['a b', 'c', 'e']);
    expect([...progress].sort()).toEqual(['a1 cleared', 'changed 1', 'deleted 1', 'deleted 1', 'deleted 2']);
    for (const collection of ['rosterPages', 'clearingPages', 'inFlight'])
      expect(await world.all(collection), collection).toEqual([]);
    const told = [];
    for await (const entry of auditEntries(world.store)) told.push(entry);
    expect(told[0]?.subject).toEqual({ archive: A1, owner: 'acme', customer: 'north', policy: 'chats' });
    expect(told).toMatchObject([
      {
        key: 'a1:clear:1',
        act: 'archive clear',
        phase: 'intent',
        details: { records: 5, policyVersion: lease.document.policyVersion },
      },
      { act: 'archive cleared', phase: 'outcome', details: outcomes },
    ]);
  });

  test('the intent is in the audit chain before anything is deleted; where it cannot be told, nothing is', async () => {
    const lease = await verified([['a']]);
    const audit = overlay(context.audit, {
      appendOnce: async () => {
        throw new Error('the chain is away');
      },
    });
    await expect(clear(lease, { ...context, audit })).rejects.toThrow('the chain is away');
    expect(deletes).toEqual([]);
  });

  test('a page that was settled before stays as it is: its records are not looked at again', async () => {
    const lease = await verified([['a'], ['b']]);
    await settlePage(world.store, lease, 0, ['held']);
    const progress: string[] = [];
    const counting = { ...context, progress: { cleared: (outcome: string) => progress.push(outcome) } };
    expect(await clear(lease, counting)).toMatchObject({ outcomes: { archived: 2, deleted: 1, held: 1 } });
    expect(progress).toEqual(['deleted']);
    expect(deletes).toEqual(['b']);
    expect(world.idsIn(policy)).toEqual(['a']);
  });

  test('a page fails: no other is begun, those under way end, the announcement stays for what may be on its way', async () => {
    const lease = await verified([['a'], ['b'], ['c'], ['d'], ['e'], ['f'], ['g']]);
    onDelete = (ids) => {
      if (ids === 'b') throw new Error('the reply was lost');
    };
    await expect(clear(lease)).rejects.toThrow('the reply was lost');
    expect(deletes.length).toBeLessThan(7);
    expect(world.idsIn(policy)).toContain('g');
    expect(await read()).toMatchObject({ state: 'verified' });
    expect(await inFlight(world.store).count({})).toBe(1);
    onDelete = () => undefined;
    expect(await clear(lease)).toMatchObject({ outcomes: { deleted: 7, pending: 0 } });
  });

  test('a page of the roster is missing: a bug; nothing of it is deleted and the archive stays verified', async () => {
    const lease = await verified([['a']]);
    await removeRoster(world.store, T1);
    await expect(clear(lease)).rejects.toMatchObject({ code: 'INTERNAL', ids: { archive: A1, page: 0 } });
    expect(deletes).toEqual([]);
    expect(await read()).toMatchObject({ state: 'verified' });
  });

  test('outcomes that do not add up to what was archived: a bug, and it stays verified', async () => {
    const lease = await verified([['a'], ['b']], { stored: { ...storedOf(), records: 3, rosterPages: 2 } });
    await expect(clear(lease)).rejects.toMatchObject({ code: 'INTERNAL', ids: { archive: A1 } });
    expect(await read()).toMatchObject({ state: 'verified' });
  });

  test('never stored, or not verified: nothing is looked at', async () => {
    const lease = await verified([['a']], { state: 'stored' });
    await expect(clear(lease)).rejects.toMatchObject({ code: 'INTERNAL' });
    await archives(world.store).removeMany({});
    await archives(world.store).insert(anArchive({ state: 'verified', stored: null, rosterShrunk: false }));
    const other = await claimArchive(world.store, context.audit, A1, context);
    await expect(clear(other)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(deletes).toEqual([]);
  });
});

describe('the roster of a cleared archive', () => {
  test('shrunk before, or of an archive without an attempt: nothing is done', async () => {
    const lease = await verified([['a']], { state: 'cleared', rosterShrunk: true });
    expect(await shrinkClearedRoster(context, lease)).toBe(lease.document);
    expect(await world.all('rosterPages')).toHaveLength(1);
    await archives(world.store).removeMany({});
    await archives(world.store).insert(anArchive({ attempt: null, rosterShrunk: false }));
    const other = await claimArchive(world.store, context.audit, A1, context);
    expect(await shrinkClearedRoster(context, other)).toMatchObject({ rosterShrunk: false });
  });

  test('a page whose outcomes are not in the ledger: which copies are void cannot be told, so nothing is removed', async () => {
    const lease = await verified([['a']], { state: 'cleared' });
    await expect(shrinkClearedRoster(context, lease)).rejects.toMatchObject({ code: 'INTERNAL', ids: { archive: A1 } });
    expect(await world.all('rosterPages')).toHaveLength(1);
    expect(await world.all('recordIndex')).toEqual([]);
  });

  test('cut after the index was written: whoever comes next removes what is left, and says so', async () => {
    const lease = await verified([['a'], ['b']], { state: 'cleared' });
    await settlePage(world.store, lease, 0, ['deleted']);
    await settlePage(world.store, lease, 1, ['changed']);
    expect(await shrinkClearedRoster(context, lease)).toMatchObject({ rosterShrunk: true });
    await lease.giveUp();
    expect(await read()).toMatchObject({ rosterShrunk: true, lease: null });
    expect(await world.all('rosterExceptions')).toMatchObject([{ exceptions: [{ ordinal: 1, outcome: 'changed' }] }]);
    for (const collection of ['rosterPages', 'clearingPages']) expect(await world.all(collection)).toEqual([]);
  });
});
