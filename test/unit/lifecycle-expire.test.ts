/** Records past their archive period too: no more than was ordered, under the guard, with a certificate; cut anywhere, carried on as ordered. */
import { createHash } from 'node:crypto';
import { BSON } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import { MerkleTree } from '../../src/archive/merkle.ts';
import { id } from '../../src/ids.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { claimDisposal, disposals } from '../../src/ledger/disposals.ts';
import { holds } from '../../src/ledger/holds.ts';
import { findQuarantine } from '../../src/ledger/quarantine.ts';
import { ROSTER_PAGE_BYTES, ROSTER_PAGE_RECORDS } from '../../src/ledger/rosters.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { carryOnDisposal, disposePartition } from '../../src/lifecycle/dispose.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { SourcePort } from '../../src/source/port.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import { ACME, aHold } from '../harness/a-hold.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const AS_OF = '2024-06-01T00:00:00Z';

let world: MemoryWorld;
let policy: Policy;
let context: Context;
beforeEach(async () => {
  world = await MemoryWorld.open();
  policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant }, facets: { subject: { field: mail } } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 100000, share: 1.0 }
`);
  context = world.context(undefined, { asOf: AS_OF });
});

/** Expired from 1 June 2015 on backwards. */
function put(_id: string, day = '2010-01-01', more: BSON.Document = {}): void {
  world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date(day), ...more });
}

function around(source: Partial<SourcePort>): Context {
  return { ...context, source: overlay(context.source, source) };
}

const expire = (records: number, on = context) => {
  const { owner, customer } = ACME;
  return disposePartition(on, policy, { kind: 'expired', owner, customer, records, saidBy: 'ann' });
};

async function cutOnce(on: Context, expired = 10): Promise<string> {
  await expect(expire(expired, on)).rejects.toThrow('cut');
  const [open] = await world.all('expirations');
  if (open === undefined) throw new Error('Nothing was begun.');
  return open._id;
}

describe('expire', () => {
  test('takes what is expired, not what is due, young or somebody else’s; the certificate says who said so and for when', async () => {
    put('old');
    put('at-the-instant', '2015-06-01');
    put('a-millisecond-young', '2015-06-01T00:00:00.001Z');
    put('due', '2020-01-01');
    put('south', '2010-01-01', { tenant: 'south' });
    const report = await expire(5);
    expect(report).toMatchObject({
      owner: 'acme',
      customer: 'north',
      unfit: 0,
      outcomes: { archived: 2, deleted: 2, pending: 0 },
    });
    expect(world.idsIn(policy)).toEqual(['a-millisecond-young', 'due', 'south']);
    const [certificate] = await world.all('certificates');
    expect(certificate?._id).toBe(report.certificate);
    expect(JSON.parse(String(Reflect.get(certificate ?? {}, 'body')))).toMatchObject({
      what: 'expired records deleted',
      saidBy: 'ann',
      dueBy: '2024-06-01T00:00:00.000Z',
      records: { deleted: 2 },
      merkleRoot: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    for (const collection of ['rosterPages', 'clearingPages', 'inFlight'])
      expect(await world.all(collection), collection).toEqual([]);
    expect(await world.all('expirations')).toMatchObject([
      { state: 'done', scanned: true, lease: null, records: 2, pages: 1, endedAt: world.clock.now(), saidBy: 'ann' },
    ]);
    const told = [];
    for await (const { key, act, phase, details } of auditEntries(world.store)) told.push({ key, act, phase, details });
    const [{ _id = '' } = {}] = await world.all('expirations');
    expect(told).toEqual([
      { key: `${_id}:begin`, act: 'expired records delete', phase: 'intent', details: { saidBy: 'ann', records: 5 } },
      expect.objectContaining({ key: `${_id}:done`, phase: 'outcome' }),
    ]);
  });

  test('the root in the certificate is of what was deleted, and of nothing else', async () => {
    put('a', '2010-01-01');
    put('b', '2010-01-02');
    const raw = (_id: string, day: string) =>
      BSON.serialize({ _id, owner: 'acme', tenant: 'north', at: new Date(day) });
    const changing = around({
      readByIds: async (...args) => {
        put('b', '2010-01-02', { text: 'new' });
        return await context.source.readByIds(...args);
      },
    });
    expect(await expire(5, changing)).toMatchObject({ outcomes: { deleted: 1, changed: 1 } });
    const tree = new MerkleTree();
    tree.add(createHash('sha256').update(raw('a', '2010-01-01')).digest());
    const [certificate] = await world.all('certificates');
    expect(JSON.parse(String(Reflect.get(certificate ?? {}, 'body')))).toMatchObject({ merkleRoot: tree.root() });
  });

  test('no more than was ordered, the oldest first', async () => {
    put('c', '2010-01-03');
    put('a', '2010-01-01');
    put('b', '2010-01-02');
    expect(await expire(2)).toMatchObject({ outcomes: { archived: 2, deleted: 2 } });
    expect(world.idsIn(policy)).toEqual(['c']);
  });

  test('nothing was ordered, or nothing is left: no certificate', async () => {
    put('a');
    expect(await expire(0)).toMatchObject({ certificate: null, outcomes: { archived: 0, deleted: 0 } });
    expect(world.idsIn(policy)).toEqual(['a']);
    world.source.remove(policy.dataset.collection, idBytesOf(BSON.serialize({ _id: 'a' })));
    expect(await expire(5)).toMatchObject({ certificate: null, outcomes: { archived: 0 } });
    expect(await world.all('certificates')).toEqual([]);
  });

  test('what a guard cannot compare is quarantined and stays; it does not count as taken', async () => {
    put('odd', '2010-01-01');
    put('a', '2010-01-02');
    const odd = around({
      fitness: (shape, raw) =>
        BSON.deserialize(raw)['_id'] === 'odd' ? 'not-canonical' : context.source.fitness(shape, raw),
    });
    expect(await expire(1, odd)).toMatchObject({ unfit: 1, outcomes: { archived: 1, deleted: 1 } });
    expect(world.idsIn(policy)).toEqual(['odd']);
    const reasons = [];
    for await (const { reason } of findQuarantine(world.store, {})) reasons.push(reason);
    expect(reasons).toEqual(['not-canonical']);
    // The next one passes it over.
    expect(await expire(1, odd)).toMatchObject({ unfit: 0, outcomes: { archived: 0 } });
  });

  test('what a hold on one person covers is left out, the rest goes; a hold on all of them takes none', async () => {
    put('jo', '2010-01-01', { mail: 'jo@example.org' });
    put('kim', '2010-01-02', { mail: 'kim@example.org' });
    await holds(world.store).insert(aHold({ _id: 'h1', triggerBefore: new Date('2010-01-02') }));
    expect(await expire(5)).toMatchObject({ outcomes: { archived: 1, deleted: 1, held: 0 } });
    expect(world.idsIn(policy)).toEqual(['jo']);
    await holds(world.store).insert(aHold({ _id: 'h2' }));
    put('lee');
    expect(await expire(5)).toMatchObject({ outcomes: { archived: 0 } });
    expect(world.idsIn(policy)).toEqual(['jo', 'lee']);
  });

  test('a hold that comes while pages are deleted stops all that are left', async () => {
    put('a');
    const attacked = around({
      readByIds: async (...args) => {
        await holds(world.store).insert(aHold({ _id: 'late' }));
        return await context.source.readByIds(...args);
      },
      deleteGuarded: async () => {
        // Past the announcement: the next look sees the hold.
        world.clock.advance(11_000);
        return { deletedCount: 0 };
      },
    });
    expect(await expire(5, attacked)).toMatchObject({ certificate: null, outcomes: { archived: 1, held: 1 } });
    expect(world.idsIn(policy)).toEqual(['a']);
  });
});

describe('pages', () => {
  test('end at their number of records', async () => {
    for (let n = 0; n < ROSTER_PAGE_RECORDS + 1; n++) put(`r${String(n).padStart(5, '0')}`);
    expect(await expire(5_000)).toMatchObject({ outcomes: { deleted: ROSTER_PAGE_RECORDS + 1 } });
    expect(await world.all('expirations')).toMatchObject([{ pages: 2, records: ROSTER_PAGE_RECORDS + 1 }]);
    expect(world.idsIn(policy)).toEqual([]);
  });

  test('end at their number of bytes, a larger record alone', async () => {
    const large = ROSTER_PAGE_BYTES / 2 - 1_000;
    put('a', '2010-01-01', { text: 'x'.repeat(large) });
    put('b', '2010-01-02', { text: 'x'.repeat(large) });
    put('c', '2010-01-03', { text: 'x'.repeat(large) });
    expect(await expire(5)).toMatchObject({ outcomes: { deleted: 3 } });
    expect(await world.all('expirations')).toMatchObject([{ pages: 2, records: 3 }]);
  });
});

describe('cut', () => {
  test('after the order: carried on by whoever runs the policy again, as it was ordered then', async () => {
    put('a');
    put('b', '2010-01-02');
    const cut = around({
      scan: () => {
        throw new Error('cut');
      },
    });
    const begun = await cutOnce(cut, 1);
    expect(await expire(9)).toMatchObject({ outcomes: { archived: 1, deleted: 1 } });
    expect((await world.all('expirations')).map(({ _id }) => _id)).toEqual([begun]);
    expect(world.idsIn(policy)).toEqual(['b']);
  });

  test('after the delete: counted as deleted by us, and the scan goes on after it', async () => {
    put('a');
    put('b', '2010-01-02');
    const cut = around({
      deleteGuarded: async (...args) => {
        await context.source.deleteGuarded(...args);
        throw new Error('cut');
      },
    });
    const begun = await cutOnce(cut);
    put('earlier', '2009-01-01');
    expect(await carryOnDisposal(context, begun)).toMatchObject({
      outcomes: { archived: 2, deleted: 2, gone: 0 },
      certificate: expect.any(String),
    });
    expect(world.idsIn(policy)).toEqual(['earlier']);
  });

  test('a hold on some that came after the first page was written stops all of it: what it covers may be there', async () => {
    put('a');
    const cut = around({
      deleteGuarded: async () => {
        throw new Error('cut');
      },
    });
    const begun = await cutOnce(cut);
    await holds(world.store).insert(aHold({ _id: 'late', triggerFrom: new Date('2010-01-01') }));
    world.clock.advance(60_000);
    expect(await carryOnDisposal(context, begun)).toMatchObject({ outcomes: { archived: 1, held: 1, deleted: 0 } });
    expect(world.idsIn(policy)).toEqual(['a']);
  });

  test('after the last page was settled: nothing is read or deleted again', async () => {
    put('a');
    let isCut = true;
    const keys = overlay(context.keys, {
      sign: async (bytes) => {
        if (isCut) throw new Error('cut');
        return await context.keys.sign(bytes);
      },
    });
    const begun = await cutOnce({ ...context, keys });
    expect(await world.all('expirations')).toMatchObject([{ state: 'deleting', scanned: true, lease: null }]);
    isCut = false;
    const calls: string[] = [];
    const watching = around({
      scan: (...args) => {
        calls.push('scan');
        return context.source.scan(...args);
      },
      readByIds: async (...args) => {
        calls.push('look');
        return await context.source.readByIds(...args);
      },
      deleteGuarded: async (...args) => {
        calls.push('delete');
        return await context.source.deleteGuarded(...args);
      },
    });
    expect(await carryOnDisposal(watching, begun)).toMatchObject({ outcomes: { deleted: 1 } });
    expect(calls).toEqual([]);
    expect(await world.all('certificates')).toHaveLength(1);
  });

  test('while another worker is at it: refused, and nothing is begun beside it', async () => {
    put('a');
    const begun = await cutOnce(
      around({
        scan: () => {
          throw new Error('cut');
        },
      }),
    );
    await claimDisposal(world.store, begun, { worker: id.worker('other'), clock: world.clock });
    await expect(expire(5)).rejects.toMatchObject({ code: 'LEASE_HELD' });
    expect(await disposals(world.store).count({})).toBe(1);
    expect(world.idsIn(policy)).toEqual(['a']);
  });
});
