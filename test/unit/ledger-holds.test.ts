/** Which holds cover what: a hold that cannot be proved not to cover an archive covers it whole. */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { facetCode } from '../../src/archive/facets.ts';
import { id } from '../../src/ids.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { archives } from '../../src/ledger/archives.ts';
import { facetPages, writeFacets } from '../../src/ledger/facet-codes.ts';
import { countHolds, type HoldDocument, holdName, holds, RELEASE_GRACE_MS } from '../../src/ledger/holds.ts';
import { coversArchive, holdsCovering } from '../../src/ledger/holds-covering.ts';
import { RecordIndexBuilder, recordIndexPages } from '../../src/ledger/record-index.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { ACME, aHold } from '../harness/a-hold.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const POLICY = `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant }, facets: { subject: { field: mail } } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1000, share: 1.0 }
`;
const hmac = (data: string | Uint8Array) => createHmac('sha256', 'key').update(data).digest();
const keyOf = (key: string) => hmac(key).toString('base64url');
const day = (n: number) => new Date(Date.UTC(2020, 0, n));

let world: MemoryWorld;
/** A cleared archive with one record: trigger on day 1. */
let cleared: ArchiveDocument;
beforeEach(async () => {
  world = await MemoryWorld.open();
  const policy = await world.publish(POLICY);
  world.put(policy, { _id: 'a', owner: 'acme', tenant: 'north', at: day(1), mail: 'jo@example.org' });
  const [archive] = (
    await runPolicy(world.context(undefined, { asOf: '2024-06-01T00:00:00Z' }), policy, { flush: true, expired: null })
  ).archives;
  if (archive?.stored == null) throw new Error('There is no archive.');
  cleared = archive;
});

async function covers(fields: Partial<HoldDocument>, archive: ArchiveDocument = cleared): Promise<boolean> {
  return await coversArchive(world.store, { ...aHold(fields), rev: 0 }, archive);
}

describe('a hold and an archive', () => {
  test.each<[string, Partial<HoldDocument>, boolean]>([
    ['everything', {}, true],
    ['its owner', { owner: ACME.owner }, true],
    ['another owner', { owner: id.owner('other') }, false],
    ['its customer', { customer: ACME.customer }, true],
    ['another customer of its owner', { owner: ACME.owner, customer: id.customer('south') }, false],
    ['its dataset', { namespace: ACME.namespace }, true],
    ['another dataset', { namespace: id.namespace('data.other') }, false],
    ['triggers up to its first', { triggerBefore: day(1) }, false],
    ['triggers past its first', { triggerBefore: new Date(day(1).getTime() + 1) }, true],
    ['triggers from its last', { triggerFrom: day(1) }, true],
    ['triggers after its last', { triggerFrom: new Date(day(1).getTime() + 1) }, false],
    ['a date that is none', { triggerFrom: new Date(Number.NaN) }, true],
    ['a facet value that nobody has', { facet: { name: 'subject', codes: ['x'] } }, false],
    ['a facet that was not declared', { facet: { name: 'ticket', codes: ['x'] } }, true],
    ['a record key that it has not', { recordKeys: [keyOf('elsewhere')] }, false],
    ['all must fit', { owner: ACME.owner, triggerBefore: day(9), facet: { name: 'subject', codes: ['x'] } }, false],
  ])('%s', async (_, fields, expected) => {
    expect(await covers(fields)).toBe(expected);
  });

  test('what cannot be told covers it: no facets kept, pages gone, too many values, roster not shrunk, index gone, not stored', async () => {
    const facet = { name: 'subject', codes: ['x'] };
    const { facets: _, leftOut: __, ...unknown } = cleared;
    expect(await covers({ facet }, unknown)).toBe(true);
    await facetPages(world.store).removeMany({ archive: cleared._id });
    expect(await covers({ facet })).toBe(true);
    await writeFacets(world.store, cleared, { coversEverything: true });
    expect(await covers({ facet })).toBe(true);
    const recordKeys = [keyOf('elsewhere')];
    const index = new RecordIndexBuilder(1);
    index.add(hmac('a'), 0);
    await index.write(world.store, id.archive('another'));
    expect(await covers({ recordKeys }, { ...cleared, rosterShrunk: false })).toBe(true);
    await recordIndexPages(world.store).removeMany({ archive: cleared._id });
    expect(await covers({ recordKeys })).toBe(true);
    expect(await covers({ triggerFrom: day(20) }, { ...cleared, stored: null })).toBe(true);
  });

  test('looked at when it was sealed: proved not to cover it, unless it covers its parties whole', async () => {
    const sealed = { ...cleared, leftOut: ['hold-1'] };
    expect(await covers({ facet: { name: 'ticket', codes: ['x'] } }, sealed)).toBe(false);
    expect(await covers({ _id: 'hold-2', facet: { name: 'ticket', codes: ['x'] } }, sealed)).toBe(true);
    expect(await covers({}, sealed)).toBe(true);
  });

  test('property: covered when one of its records is; not covered when one selector excludes all of them', async () => {
    const letter = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    const recordOf = fc.record({ at: fc.integer({ min: 1, max: 9 }), key: letter, mail: letter });
    const some = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null });
    const holdOf = fc.record({
      from: some(fc.integer({ min: 1, max: 9 })),
      before: some(fc.integer({ min: 1, max: 9 })),
      keys: some(fc.array(letter, { minLength: 1, maxLength: 2 })),
      mails: some(fc.array(letter, { minLength: 1, maxLength: 2 })),
    });
    let made = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(recordOf, { minLength: 1, maxLength: 6 }), holdOf, async (records, named) => {
        const _id = id.archive(`made-${made++}`);
        const triggers = records.map(({ at }) => at);
        const [first, last] = [Math.min(...triggers), Math.max(...triggers)];
        const { stored } = cleared;
        if (stored === null) throw new Error('It was stored.');
        const archive: ArchiveDocument = {
          ...cleared,
          _id,
          stored: { ...stored, records: records.length, triggerFrom: day(first), triggerTo: day(last) },
        };
        const index = new RecordIndexBuilder(records.length);
        for (const { key } of records) index.add(hmac(key), 0);
        await index.write(world.store, _id);
        const codes = (mails: readonly string[]) => mails.map((mail) => facetCode(hmac, 'subject', mail));
        await writeFacets(world.store, archive, {
          coversEverything: false,
          codes: [...new Set(codes(records.map(({ mail }) => mail)))],
        });
        const answer = await covers(
          {
            triggerFrom: named.from === null ? null : day(named.from),
            triggerBefore: named.before === null ? null : day(named.before),
            recordKeys: named.keys === null ? null : named.keys.map(keyOf),
            facet: named.mails === null ? null : { name: 'subject', codes: codes(named.mails) },
          },
          archive,
        );
        const inRange = (at: number) => at >= (named.from ?? 0) && at < (named.before ?? 99);
        const isOne = records.some(
          ({ at, key, mail }) =>
            inRange(at) && (named.keys?.includes(key) ?? true) && (named.mails?.includes(mail) ?? true),
        );
        const isExcluded =
          last < (named.from ?? 0) ||
          first >= (named.before ?? 99) ||
          (named.keys !== null && !records.some(({ key }) => named.keys?.includes(key))) ||
          (named.mails !== null && !records.some(({ mail }) => named.mails?.includes(mail)));
        if (isOne) expect(answer).toBe(true);
        if (isExcluded) expect(answer).toBe(false);
      }),
      { numRuns: 200 },
    );
  });
});

describe('holds in force', () => {
  const scope = { ...ACME, archive: null };
  const inForce = async () => (await holdsCovering(world.store, scope)).map(({ _id }) => _id);

  test('placing, active, in an unknown state, and released within the grace; not after it', async () => {
    const now = world.clock.now().getTime();
    await holds(world.store).insert(aHold({ _id: 'placing', state: 'placing' }));
    await holds(world.store).insert(aHold({ _id: 'active' }));
    await holds(world.store).insert({ ...aHold({ _id: 'odd' }), state: JSON.parse('"frozen"') });
    await holds(world.store).insert(
      aHold({ _id: 'released', state: 'released', heldUntil: new Date(now + RELEASE_GRACE_MS) }),
    );
    expect((await inForce()).sort()).toEqual(['active', 'odd', 'placing', 'released']);
    expect(await countHolds(world.store)).toBe(3);
    world.clock.advance(RELEASE_GRACE_MS);
    expect((await inForce()).sort()).toEqual(['active', 'odd', 'placing']);
  });

  test('a document of a newer version stops all, also where it names another owner', async () => {
    await holds(world.store).insert(aHold({ v: 9, owner: id.owner('other') }));
    await expect(inForce()).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
  });

  test('an archive, or codes of it, that a newer Moraine wrote stop all', async () => {
    await holds(world.store).insert(aHold({ facet: { name: 'subject', codes: ['x'] } }));
    const held = () => holdsCovering(world.store, { ...ACME, archive: cleared._id });
    expect(await held()).toEqual([]);
    for await (const page of facetPages(world.store).find({})) await facetPages(world.store).replace({ ...page, v: 9 });
    await expect(held()).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
    const archive = await archives(world.store).get(cleared._id);
    if (archive !== null) await archives(world.store).replace({ ...archive, v: 9 });
    await facetPages(world.store).removeMany({});
    await expect(held()).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
  });

  test('people read their id and case', () => {
    expect(holdName({ ...aHold({ _id: 'h1' }), rev: 0 })).toBe('h1 (case C-1)');
    const { caseNumber: _, ...older } = aHold({ _id: 'h1' });
    expect(holdName(JSON.parse(JSON.stringify(older)))).toBe('h1');
  });

  test('an archive that the ledger does not have is covered by a hold on less than its parties', async () => {
    await holds(world.store).insert(aHold({ triggerBefore: day(1) }));
    expect(await holdsCovering(world.store, { ...ACME, archive: cleared._id })).toEqual([]);
    await archives(world.store).removeMany({ _id: cleared._id });
    expect(await holdsCovering(world.store, { ...ACME, archive: cleared._id })).toHaveLength(1);
  });
});
