/** Placing and releasing, step by step: what is written in which order, what the chain says, which hold is the same, what was too late, and whom a crash leaves what. */
import { BSON } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { archives } from '../../src/ledger/archives.ts';
import { type AuditEntry, auditEntries } from '../../src/ledger/audit.ts';
import { type HoldDocument, holds, RELEASE_GRACE_MS } from '../../src/ledger/holds.ts';
import { ANNOUNCEMENT_MS, inFlight } from '../../src/ledger/in-flight.ts';
import type { LedgerDocument, Store, StoreCollection } from '../../src/ledger/store.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { type HoldRequest, placeHold, releaseHold, settleIfFree } from '../../src/lifecycle/hold.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import { ACME, aHold } from '../harness/a-hold.ts';
import { anArchive } from '../harness/an-archive.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const FROM = new Date('2020-01-01T00:00:00Z');
const BEFORE = new Date('2021-01-01T00:00:00Z');
const RELEASE = { by: 'person:bo', reason: 'settled' };

let world: MemoryWorld;
beforeEach(async () => {
  world = await MemoryWorld.open();
});

const request = (fields: Partial<HoldRequest> = {}): HoldRequest => ({
  caseNumber: 'C-1',
  reason: 'a claim',
  ...ACME,
  triggerFrom: FROM,
  triggerBefore: BEFORE,
  recordIds: [],
  facet: null,
  ...fields,
});
const place = (fields: Partial<HoldRequest> = {}, context: Context = world.context()) =>
  placeHold(context, request(fields), 'person:ann');
const release = (hold: string, told = RELEASE) => releaseHold(world.context(), hold, told);
const recordIds = (...ids: readonly string[]) => ids.map((_id) => idBytesOf(BSON.serialize({ _id })));
const EVERYTHING = { owner: null, customer: null, namespace: null, triggerFrom: null, triggerBefore: null };

/** What the chain says, in order. */
async function told() {
  const entries: Pick<AuditEntry, 'key' | 'act' | 'phase' | 'subject' | 'details'>[] = [];
  for await (const { key, act, phase, subject, details } of auditEntries(world.store))
    entries.push({ key, act, phase, subject, details });
  return entries;
}

/** An act that is under way, of ACME. */
async function announce(): Promise<void> {
  const until = new Date(world.clock.now().getTime() + ANNOUNCEMENT_MS);
  const entry = { act: 'clear', worker: id.worker('w'), until, archive: null } as const;
  await inFlight(world.store).insert({ _id: 'e', v: 1, ...ACME, ...entry });
}

/** The ledger, with a call of its holds replaced. */
function withHolds(context: Context, calls: (real: StoreCollection<LedgerDocument>) => object): Context {
  const store: Store = {
    serverTime: () => context.store.serverTime(),
    collection: <T extends LedgerDocument>(name: string) => {
      const real = context.store.collection<T>(name);
      return name === 'holds' ? overlay(real, calls(context.store.collection(name))) : real;
    },
  };
  return { ...context, store };
}

describe('placing', () => {
  test('writes what was asked for, and the chain says it before and after', async () => {
    const hold = await place({
      recordIds: recordIds('jo', 'kim'),
      facet: { name: 'subject', values: ['jo@example.org'] },
    });
    const subject = { hold: hold._id, owner: ACME.owner, customer: ACME.customer, dataset: ACME.namespace };
    const { rev: _, recordKeys, facet, ...rest } = hold;
    expect(recordKeys).toHaveLength(2);
    expect(facet).toMatchObject({ name: 'subject', codes: [expect.any(String)] });
    expect(rest).toEqual({
      ...{ _id: expect.stringMatching(/^hold-/), v: 1, state: 'active', caseNumber: 'C-1', reason: 'a claim' },
      ...{ placedBy: 'person:ann', placedAt: world.clock.now(), activeAt: world.clock.now(), tooLate: [] },
      ...{ releasedBy: null, releasedAt: null, releaseReason: null, heldUntil: null },
      ...{ ...ACME, triggerFrom: FROM, triggerBefore: BEFORE },
    });
    expect(await holds(world.store).get(hold._id)).toEqual(hold);
    const extent = { triggerFrom: FROM.toISOString(), triggerBefore: BEFORE.toISOString(), recordKeys: 2 };
    const said = { case: 'C-1', reason: 'a claim', by: 'person:ann', ...extent, facet: 'subject' };
    const [intent, outcome] = [`${hold._id}:place`, `${hold._id}:active`];
    expect(await told()).toEqual([
      { key: intent, act: 'hold place', phase: 'intent', subject, details: said },
      { key: outcome, act: 'hold place', phase: 'outcome', subject, details: { case: 'C-1', tooLate: [] } },
    ]);
  });

  test('of a hold on everything: the chain names no party', async () => {
    const { _id } = await place(EVERYTHING);
    const none = { triggerFrom: null, triggerBefore: null, recordKeys: 0, facet: null };
    const details = { case: 'C-1', reason: 'a claim', by: 'person:ann', ...none };
    expect(await told()).toMatchObject([{ details }, { details: { case: 'C-1' } }]);
    expect((await told()).map(({ subject }) => subject)).toEqual([{ hold: _id }, { hold: _id }]);
  });

  test.each<[string, Partial<HoldRequest>]>([
    ['record keys without an owner', { owner: null, recordIds: recordIds('jo') }],
    ['record keys without a dataset', { namespace: null, recordIds: recordIds('jo') }],
    ['a facet without an owner', { owner: null, facet: { name: 'subject', values: ['jo'] } }],
  ])('%s: refused, and nothing is written', async (_, fields) => {
    await expect(place(fields)).rejects.toMatchObject({ code: 'USAGE' });
    expect(await world.all('holds')).toEqual([]);
    expect(await told()).toEqual([]);
  });

  test('a facet of an owner needs no dataset', async () => {
    expect(await place({ namespace: null, facet: { name: 'subject', values: ['jo'] } })).toMatchObject({
      state: 'active',
      recordKeys: null,
    });
  });

  test('that is cut before the hold is written leaves the intent; cut before it says active, a hold that stops acts', async () => {
    const away = () => Promise.reject(new Error('cut'));
    await expect(
      place(
        {},
        withHolds(world.context(), () => ({ insert: away })),
      ),
    ).rejects.toThrow('cut');
    expect(await world.all('holds')).toEqual([]);
    expect(await told()).toMatchObject([{ phase: 'intent' }]);
    await expect(
      place(
        {},
        withHolds(world.context(), () => ({ replace: away })),
      ),
    ).rejects.toThrow('cut');
    const [cut] = await world.all('holds');
    expect(cut).toMatchObject({ state: 'placing', activeAt: null, tooLate: [] });
    const again = await place();
    expect(again).toMatchObject({ _id: cut?._id, state: 'active' });
    const phases = (await told()).map(({ phase }) => phase);
    expect(phases).toEqual(['intent', 'intent', 'outcome']);
  });

  test('acts that do not end: it is not said to be in force, and stays written', async () => {
    await announce();
    const context = world.context();
    const clock = { now: () => world.clock.now(), monotonicMs: () => world.clock.monotonicMs(), sleep: async () => {} };
    const failed = place({}, { ...context, clock });
    await expect(failed).rejects.toMatchObject({ code: 'LEDGER_CONTENTION', ids: { hold: expect.any(String) } });
    expect(await world.all('holds')).toMatchObject([{ state: 'placing', activeAt: null, tooLate: [] }]);
    expect(await told()).toMatchObject([{ phase: 'intent' }]);
  });
});

describe('the same again', () => {
  const narrow = {
    recordIds: recordIds('jo', 'kim', 'lee'),
    facet: { name: 'subject', values: ['a@x.org', 'b@x.org', 'c@x.org'] },
  };

  test('in another order, and twice: the hold that is there, and nothing more is said or waited for', async () => {
    const first = await place(narrow);
    const before = await told();
    await announce();
    const at = world.clock.now();
    const again = await place({
      recordIds: recordIds('lee', 'jo', 'kim', 'jo'),
      facet: { name: 'subject', values: ['c@x.org', 'a@x.org', 'a@x.org', 'b@x.org'] },
    });
    expect(again).toEqual(first);
    expect(world.clock.now()).toEqual(at);
    expect(await settleIfFree(world.context(), first)).toEqual(first);
    expect(await told()).toEqual(before);
  });

  test.each(['active', 'released'] as const)('one that is %s is left as it is, and nothing is said', async (state) => {
    await holds(world.store).insert(aHold({ state, heldUntil: FROM }));
    const hold = await holds(world.store).get('hold-1');
    if (hold === null) throw new Error('It is gone.');
    expect(await settleIfFree(world.context(), hold)).toEqual(hold);
    expect(await told()).toEqual([]);
  });

  test.each<[string, Partial<HoldRequest>]>([
    ['case', { caseNumber: 'C-2' }],
    ['owner', { owner: id.owner('other') }],
    ['customer', { customer: null }],
    ['customer', { customer: id.customer('south') }],
    ['dataset', { namespace: id.namespace('data.calls') }],
    ['begin', { triggerFrom: null }],
    ['begin', { triggerFrom: BEFORE }],
    ['end', { triggerBefore: null }],
    ['record key', { recordIds: recordIds('jo', 'kim') }],
    ['facet', { facet: { name: 'ticket', values: narrow.facet.values } }],
    ['value of the facet', { facet: { name: 'subject', values: ['a@x.org'] } }],
    ['extent, for it names no facet', { facet: null }],
  ])('with another %s: another hold, and both are in force', async (_, fields) => {
    const first = await place(narrow);
    const second = await place({ ...narrow, ...fields });
    expect(second._id).not.toBe(first._id);
    expect((await world.all('holds')).map((hold) => Reflect.get(hold, 'state'))).toEqual(['active', 'active']);
  });

  test('after the first was released: a new one', async () => {
    const first = await place();
    await release(first._id);
    const second = await place();
    expect(second).toMatchObject({ state: 'active' });
    expect(second._id).not.toBe(first._id);
  });

  test('of a case with a hold that a newer Moraine wrote: nothing is said about it', async () => {
    await holds(world.store).insert(aHold({ v: 99, ...ACME }));
    await expect(place()).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
    expect(await world.all('holds')).toHaveLength(1);
  });
});

describe('too late', () => {
  const purge = {
    claimedDueAt: FROM,
    asOf: FROM,
    askedAt: FROM,
    acceptedAt: null,
    keyDestroyedAt: null,
    confirmedByInventoryAt: null,
    certificate: null,
  };
  const notAsked = { ...purge, askedAt: null };
  type Row = [string, Partial<ArchiveDocument>, boolean];
  test.each<Row>([
    ['purging, and asked', { state: 'purging', purge }, true],
    ['purging, and not asked', { state: 'purging', purge: notAsked }, false],
    ['purged', { state: 'purged', purge }, true],
    ['in quarantine after it was asked', { state: 'quarantined', quarantinedFrom: 'purged', purge }, true],
    ['in quarantine before', { state: 'quarantined', quarantinedFrom: 'cleared', purge: null }, false],
    ['confirmed', { state: 'confirmed', purge }, false],
    ['cleared', {}, false],
    ['of another owner', { state: 'purging', purge, owner: id.owner('other') }, false],
    ['of another customer', { state: 'purging', purge, customer: id.customer('south') }, false],
  ])('%s', async (_, fields, isNamed) => {
    await archives(world.store).insert(anArchive(fields));
    const hold = await place();
    expect(hold).toMatchObject({ state: 'active', tooLate: isNamed ? ['a1'] : [] });
    expect((await told()).at(-1)).toMatchObject({ details: { tooLate: isNamed ? ['a1'] : [] } });
  });
});

describe('releasing', () => {
  test('writes who and why, says it before and after, and holds for the grace by the clock of the ledger', async () => {
    const { _id } = await place();
    const before = (await told()).length;
    const context = world.context();
    const hourLater = new Date(world.clock.now().getTime() + 3_600_000);
    const store = overlay<Store>(context.store, { serverTime: async () => hourLater });
    const heldUntil = new Date(hourLater.getTime() + RELEASE_GRACE_MS);
    const released = await releaseHold({ ...context, store }, _id, RELEASE);
    const now = world.clock.now();
    expect(released).toMatchObject({
      ...{ state: 'released', releasedBy: 'person:bo', releasedAt: now, releaseReason: 'settled', heldUntil },
    });
    expect(await holds(world.store).get(_id)).toEqual(released);
    const subject = { hold: _id, owner: ACME.owner, customer: ACME.customer, dataset: ACME.namespace };
    const of = { act: 'hold release', subject };
    const details = { case: 'C-1', reason: 'settled', by: 'person:bo' };
    expect((await told()).slice(before)).toEqual([
      { ...of, key: `${_id}:release`, phase: 'intent', details },
      {
        ...of,
        key: `${_id}:released`,
        phase: 'outcome',
        details: { case: 'C-1', heldUntil: heldUntil.toISOString() },
      },
    ]);
  });

  test('twice: the first counts, and the grace does not begin anew', async () => {
    const { _id } = await place();
    const first = await release(_id);
    const before = await told();
    world.clock.advance(3_600_000);
    expect(await release(_id, { by: 'person:cy', reason: 'again' })).toEqual(first);
    expect(await told()).toEqual(before);
  });

  test('one that is being placed: it is in force first', async () => {
    await holds(world.store).insert(aHold({ state: 'placing', ...ACME }));
    await announce();
    const at = world.clock.now().getTime();
    expect(await release('hold-1')).toMatchObject({ state: 'released', activeAt: expect.any(Date) });
    expect(world.clock.now().getTime()).toBeGreaterThan(at + ANNOUNCEMENT_MS);
    expect((await told()).map(({ key }) => key)).toEqual(['hold-1:active', 'hold-1:release', 'hold-1:released']);
  });

  test('one that is not there, and one that a newer Moraine wrote: refused, nothing changes', async () => {
    await expect(release('hold-9')).rejects.toMatchObject({ code: 'USAGE', hint: expect.stringContaining('list') });
    await holds(world.store).insert(aHold({ v: 99 }));
    await expect(release('hold-1')).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
    expect(await world.all('holds')).toMatchObject([{ state: 'active' }]);
    expect(await told()).toEqual([]);
  });

  test('cut before it is written: the chain has the intent, the hold still holds', async () => {
    const { _id } = await place();
    const cut = withHolds(world.context(), () => ({ replace: () => Promise.reject(new Error('cut')) }));
    await expect(releaseHold(cut, _id, RELEASE)).rejects.toThrow('cut');
    expect(await world.all('holds')).toMatchObject([{ state: 'active', heldUntil: null }]);
    expect((await told()).at(-1)).toMatchObject({ key: `${_id}:release`, phase: 'intent' });
    expect(await release(_id)).toMatchObject({ state: 'released' });
  });

  test('while somebody who read it before takes it on: it stays released', async () => {
    await holds(world.store).insert(aHold({ state: 'placing', ...ACME }));
    const read: HoldDocument | null = await holds(world.store).get('hold-1');
    if (read === null) throw new Error('It is gone.');
    const released = await release('hold-1');
    expect(await settleIfFree(world.context(), read)).toEqual(released);
  });
});
