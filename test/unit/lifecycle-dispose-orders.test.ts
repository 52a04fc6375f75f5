/** An order to dispose of records: whose it is, what it pins, what it waits for, and what is done with one that others began. */
import { createHash } from 'node:crypto';
import { BSON } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import { MerkleTree } from '../../src/archive/merkle.ts';
import { type CustomerId, id } from '../../src/ids.ts';
import { NO_OUTCOMES } from '../../src/ledger/archive-document.ts';
import { archives } from '../../src/ledger/archives.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import {
  claimDisposal,
  type DisposalDocument,
  type DisposalKind,
  disposals,
  newestDisposal,
  proveOrdered,
  startDisposal,
} from '../../src/ledger/disposals.ts';
import { exceptions } from '../../src/ledger/exceptions.ts';
import { holds } from '../../src/ledger/holds.ts';
import { partitionId } from '../../src/ledger/partitions.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { carryOnDisposal, type DisposalReport, disposePartition } from '../../src/lifecycle/dispose.ts';
import { pause } from '../../src/lifecycle/pause.ts';
import { type Policy, policyVersion, toShape } from '../../src/policy/policy.ts';
import type { SourcePort } from '../../src/source/port.ts';
import { ACME, aHold } from '../harness/a-hold.ts';
import { anArchive } from '../harness/an-archive.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const AS_OF = '2024-06-01T00:00:00Z';
const SOUTH = id.customer('south');
const YAML = `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 100000, share: 1.0 }
`;

let world: MemoryWorld;
let policy: Policy;
let context: Context;
beforeEach(async () => {
  world = await MemoryWorld.open();
  policy = await world.publishAs(YAML, { disposition: 'delete', archive: null });
  context = world.context(undefined, { asOf: AS_OF });
});

const put = (_id: string, tenant = 'north', day = '2020-01-01') =>
  world.put(policy, { _id, owner: 'acme', tenant, at: new Date(day) });

function dispose(
  customer: CustomerId = ACME.customer,
  { on = context, under = policy, kind = 'delete' as DisposalKind } = {},
): Promise<DisposalReport> {
  return disposePartition(on, under, { kind, owner: ACME.owner, customer, records: 5, saidBy: 'ann' });
}

async function all(): Promise<DisposalDocument[]> {
  const found: DisposalDocument[] = [];
  for await (const disposal of disposals(world.store).find({})) found.push(disposal);
  return found;
}
const ids = async () => (await all()).map(({ _id }) => _id);

/** Begun, and cut before anything was read. */
async function cut(customer = ACME.customer): Promise<string> {
  const before = new Set(await ids());
  const source = overlay(context.source, {
    scan: () => {
      throw new Error('cut');
    },
  });
  await expect(dispose(customer, { on: { ...context, source } })).rejects.toThrow('cut');
  const [begun, ...others] = (await ids()).filter((one) => !before.has(one));
  if (begun === undefined || others.length > 0) throw new Error('One was to be begun.');
  return begun;
}

async function grant(_id: string, active: string): Promise<void> {
  const ended = { endedAt: null, endedBy: null, endReason: null };
  const scope = { owner: null, customer: null, value: null, from: null, until: null };
  const at = new Date('2024-05-01');
  await exceptions(world.store).insert({
    ...{ _id, v: 1, policy: 'chats', effect: 'longer', active, state: 'granted', graceMs: 0, ...scope, ...ended },
    ...{ reason: 'contract', requestedBy: 'ann', requestedAt: at, approval: 'p1', grantedBy: ['bob'], grantedAt: at },
  });
}

async function written(of: Partial<Parameters<typeof startDisposal>[3]> = {}): Promise<string> {
  const partition = partitionId(ACME.namespace, ACME.owner, ACME.customer);
  const pinned = { policy: policy.name, policyVersion: policyVersion(policy) };
  const told = { kind: 'delete', saidBy: 'ann', asOf: new Date(AS_OF), mostRecords: 5, after: null } as const;
  const begun = await startDisposal(world.store, world.clock, null, { ...ACME, ...pinned, partition, ...told, ...of });
  if (begun === null) throw new Error('It is another’s.');
  return begun;
}

async function change(disposal: string, fields: Partial<DisposalDocument>): Promise<void> {
  const found = await disposals(world.store).get(disposal);
  if (found === null) throw new Error('There is none.');
  await disposals(world.store).replace({ ...found, ...fields });
}

describe('an order', () => {
  test.each([
    { what: 'policy', name: 'chats' },
    { what: 'owner', name: 'acme' },
  ] as const)('while the $what is paused: refused, and none is written', async (target) => {
    put('a');
    await pause(world.context(), target, { by: 'ann', reason: 'look' });
    await expect(dispose()).rejects.toMatchObject({ code: 'PAUSED' });
    expect(await all()).toEqual([]);
    expect(world.idsIn(policy)).toEqual(['a']);
  });

  test('while one of another partition is open: is an order of its own, and the other stays open', async () => {
    put('a');
    put('b', 'south');
    const south = await cut(SOUTH);
    expect(await dispose()).toMatchObject({ customer: 'north', outcomes: { deleted: 1 } });
    expect(world.idsIn(policy)).toEqual(['b']);
    expect(await disposals(world.store).get(south)).toMatchObject({ state: 'deleting' });
  });

  test('while one of the partition is open that this policy does not know of: refused, and none is written beside it', async () => {
    put('a');
    const begun = await written({ policy: 'others' });
    await expect(dispose()).rejects.toMatchObject({ code: 'LEASE_HELD', ids: { owner: 'acme', customer: 'north' } });
    expect(await ids()).toEqual([begun]);
    expect(world.idsIn(policy)).toEqual(['a']);
  });

  test('after one that is done: has the next number', async () => {
    await dispose();
    await dispose();
    expect((await all()).map(({ sequence, state }) => [sequence, state])).toEqual([
      [1, 'done'],
      [2, 'done'],
    ]);
    const partition = partitionId(ACME.namespace, ACME.owner, ACME.customer);
    expect(await newestDisposal(world.store, partition)).toMatchObject({ sequence: 2 });
  });

  test('begun by two at once: one has it, and the other begins nothing', async () => {
    const begun = await written();
    await expect(written({ saidBy: 'bob' })).rejects.toThrow('another’s');
    expect(await all()).toMatchObject([{ _id: begun, saidBy: 'ann' }]);
  });

  test('is one as long as it is under way, and its worker has the lease', async () => {
    const begun = await written();
    const lease = await claimDisposal(world.store, begun, context);
    expect(proveOrdered(lease)).toMatchObject({ disposal: begun, saidBy: 'ann', act: 'delete' });
    await lease.write((document) => ({ ...document, state: 'done' }));
    expect(() => proveOrdered(lease)).toThrow('is done');
    await lease.write((document) => ({ ...document, state: 'deleting' }));
    world.letLeasesEnd();
    expect(() => proveOrdered(lease)).toThrow(expect.objectContaining({ code: 'LEASE_LOST' }));
  });

  test('pins the exceptions that it was decided with: one that was granted since does not change it', async () => {
    put('a');
    await grant('exception-1', 'P3Y');
    const begun = await cut();
    expect(await disposals(world.store).get(begun)).toMatchObject({ exceptions: ['exception-1'] });
    await grant('exception-2', 'P20Y');
    expect(await carryOnDisposal(context, begun)).toMatchObject({ outcomes: { deleted: 1 } });
  });

  test('waits for an archive of the partition that is not sealed; what is expired is in none, and does not', async () => {
    put('old', 'north', '2010-01-01');
    const archive = anArchive({ state: 'planned', stored: null });
    await archives(world.store).insert({ ...archive, plan: { ...archive.plan, bound: null } });
    await expect(dispose()).rejects.toMatchObject({ code: 'LEASE_HELD', ids: { archive: 'a1' } });
    expect(await all()).toEqual([]);
    const archiving = await world.publish(YAML);
    expect(await dispose(ACME.customer, { under: archiving, kind: 'expired' })).toMatchObject({
      kind: 'expired',
      outcomes: { deleted: 1 },
    });
  });

  test('of what is expired takes also what lies before an archive that is not cleared', async () => {
    put('old', 'north', '2010-01-01');
    const archiving = await world.publish(YAML);
    const newer = BSON.serialize({ _id: 'b', owner: 'acme', tenant: 'north', at: new Date('2020-01-01') });
    const { plan, ...archive } = anArchive({ state: 'verified', rosterShrunk: false });
    const bound = world.source.position(toShape(archiving), newer);
    await archives(world.store).insert({ ...archive, plan: { ...plan, bound } });
    expect(await dispose(ACME.customer, { under: archiving, kind: 'expired' })).toMatchObject({
      outcomes: { deleted: 1 },
    });
  });
});

describe('carried on', () => {
  test('one that was certified, and cut while its pages were removed: ended as it was certified', async () => {
    put('a');
    const certified = { ...NO_OUTCOMES, archived: 3, deleted: 2, changed: 1 };
    const begun = await written();
    await change(begun, { scanned: true, pages: 1, records: 3, outcomes: certified });
    expect(await carryOnDisposal(context, begun)).toMatchObject({ certificate: null, outcomes: certified });
    expect(await disposals(world.store).get(begun)).toMatchObject({ state: 'done', endedAt: world.clock.now() });
    expect(world.idsIn(policy)).toEqual(['a']);
    expect(await world.all('certificates')).toEqual([]);
  });

  test('one of before there were other kinds is of what is expired', async () => {
    put('a');
    const begun = await written();
    const found = await disposals(world.store).get(begun);
    if (found === null) throw new Error('There is none.');
    const { kind: _, ...before } = found;
    await disposals(world.store).replace(before);
    expect(await carryOnDisposal(context, begun)).toMatchObject({ kind: 'expired', outcomes: { archived: 0 } });
    expect(world.idsIn(policy)).toEqual(['a']);
  });

  test('of a customer that leaves, never read to its end: ends, and nothing of it goes', async () => {
    put('a');
    const begun = await written({ kind: 'offboard' });
    expect(await carryOnDisposal(context, begun)).toMatchObject({ kind: 'offboard', outcomes: NO_OUTCOMES });
    expect(await disposals(world.store).get(begun)).toMatchObject({ state: 'done' });
    expect(world.idsIn(policy)).toEqual(['a']);
  });

  test('one that is to treat under a policy that treats nothing: a bug, and nothing is done', async () => {
    put('a');
    const begun = await written({ kind: 'treat' });
    await expect(carryOnDisposal(context, begun)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await disposals(world.store).get(begun)).toMatchObject({ pages: 0, scanned: false });
    expect(world.idsIn(policy)).toEqual(['a']);
  });

  describe('cut after a page was written, beside a hold on some that was there before', () => {
    const refusing = () =>
      overlay(context.source, { deleteGuarded: () => Promise.reject(new Error('cut')) } satisfies Partial<SourcePort>);
    beforeEach(async () => {
      put('a', 'north', '2019-01-01');
      put('b');
      await holds(world.store).insert(aHold({ triggerBefore: new Date('2019-06-01') }));
      await expect(dispose(ACME.customer, { on: { ...context, source: refusing() } })).rejects.toThrow('cut');
      world.clock.advance(60_000);
    });
    const open = async () => (await ids())[0] ?? '';

    test('it holds nothing that is in the pages, so they go', async () => {
      expect(await carryOnDisposal(context, await open())).toMatchObject({ outcomes: { deleted: 1, held: 0 } });
      expect(world.idsIn(policy)).toEqual(['a']);
    });

    test('one of before holds were noted: it may hold what is in the pages, so they stay', async () => {
      const found = await disposals(world.store).get(await open());
      if (found === null) throw new Error('There is none.');
      const { leftOut: _, ...before } = found;
      await disposals(world.store).replace(before);
      expect(await carryOnDisposal(context, await open())).toMatchObject({ outcomes: { deleted: 0, held: 1 } });
      expect(world.idsIn(policy)).toEqual(['a', 'b']);
    });
  });

  test('one that nobody ordered, or that is done: nothing goes', async () => {
    put('a');
    const nobodys = await written({ saidBy: '' });
    await expect(carryOnDisposal(context, nobodys)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(world.idsIn(policy)).toEqual(['a']);
  });

  test('its lease is given up at its end, and after a failure', async () => {
    put('a');
    const begun = await cut();
    expect(await disposals(world.store).get(begun)).toMatchObject({ lease: null });
    await carryOnDisposal(context, begun);
    expect(await disposals(world.store).get(begun)).toMatchObject({ lease: null, state: 'done' });
  });
});

test('what is treated: the root in the certificate is of what the records were before, and of no other', async () => {
  const treat = [{ field: 'text', how: 'redact' }] as const;
  const treating = await world.publishAs(YAML, { disposition: 'treat', archive: null, treat });
  for (const [_id, day] of [
    ['a', '2020-01-01'],
    ['b', '2020-01-02'],
  ] as const)
    world.put(treating, { _id, owner: 'acme', tenant: 'north', at: new Date(day), text: 'hello' });
  const tree = new MerkleTree();
  for (const raw of world.source.all(treating.dataset.collection)) tree.add(createHash('sha256').update(raw).digest());
  await dispose(ACME.customer, { under: treating, kind: 'treat' });
  const [certificate] = await world.all('certificates');
  expect(JSON.parse(String(Reflect.get(certificate ?? {}, 'body')))).toMatchObject({
    records: { treated: 2 },
    fields: treat,
    merkleRoot: tree.root(),
  });
});

test('the audit chain names what it is about before and after, and the counts after', async () => {
  put('a');
  const { outcomes } = await dispose();
  const [disposal] = await ids();
  const told = [];
  for await (const { phase, subject, details } of auditEntries(world.store)) told.push({ phase, subject, details });
  const subject = { expiration: disposal, owner: 'acme', customer: 'north', policy: 'chats' };
  expect(told).toEqual([
    { phase: 'intent', subject, details: { saidBy: 'ann', records: 5 } },
    { phase: 'outcome', subject, details: { ...outcomes } },
  ]);
});
