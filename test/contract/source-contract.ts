/** What every source must do, the one in memory and the real ones. */
import { Binary, BSONRegExp, BSONSymbol, Decimal128, Double, Int32, Long, ObjectId, Timestamp, UUID } from 'bson';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MoraineError } from '../../src/errors.ts';
import { id, type Namespace } from '../../src/ids.ts';
import { ClearingWarrant, DisposalOrder, VerifiedArchive } from '../../src/ledger/warrants.ts';
import type { DatasetShape, Partition, RawRecord, Replacement, SourcePort } from '../../src/source/port.ts';
import { idBytesOf, rawRecord } from '../../src/source/raw-document.ts';
import { bytes, EXTREMES, IDS, NOT_CANONICAL, ordered, PARTIES, TRIGGER } from './source-documents.ts';

export interface SourceWorld {
  readonly source: SourcePort;
  /** A new empty collection with the index that the dataset needs. */
  collection(dataset: Omit<DatasetShape, 'namespace'>): Promise<Namespace>;
  /** Another client of the source writes: replaces the document with that `_id`; false when it is not there. */
  replace(namespace: Namespace, raw: Uint8Array): Promise<boolean>;
  remove(namespace: Namespace, raw: Uint8Array): Promise<void>;
  /** Another client changes the document if it still is what that client has read; false when it is not. */
  change(namespace: Namespace, from: Uint8Array, to: Uint8Array): Promise<boolean>;
  close(): Promise<void>;
}

export const SHAPE: Omit<DatasetShape, 'namespace'> = {
  owner: { field: 'owner' },
  customer: { field: 'tenant' },
  trigger: { field: 'at', kind: 'date' },
  facets: {},
};
const LATER = Date.parse('2030-01-01T00:00:00Z');
const RACES = 200;
const CALLERS = 50;

export function sourceContract(name: string, makeWorld: () => Promise<SourceWorld>): void {
  describe(`source contract: ${name}`, () => {
    let world: SourceWorld;
    let source: SourcePort;
    beforeAll(async () => {
      world = await makeWorld();
      source = world.source;
    });
    afterAll(() => world.close());

    async function dataset(change: Partial<DatasetShape> = {}): Promise<DatasetShape> {
      const shape = { ...SHAPE, ...change };
      return { ...shape, namespace: await world.collection(shape) };
    }
    async function filled(raws: readonly Uint8Array[], change: Partial<DatasetShape> = {}) {
      const made = await dataset(change);
      expect(await source.insertMissing(made.namespace, raws)).toEqual({ inserted: raws.length, existing: [] });
      return { made, records: raws.map((raw) => rawRecord(raw)) };
    }
    async function warrant(milliseconds = 60_000, assertHeld: () => void = () => undefined): Promise<ClearingWarrant> {
      const until = new Date((await source.serverTime()).getTime() + milliseconds);
      const verified = VerifiedArchive.issue(id.archive('archive'), id.attempt('attempt'));
      return ClearingWarrant.issue(verified, { epoch: 1, assertHeld }, until);
    }
    async function left(namespace: Namespace, records: readonly RawRecord[]): Promise<string[]> {
      const found = await source.readByIds(
        namespace,
        records.map((record) => record.idBytes),
      );
      return records.filter((record) => found.has(record.key)).map((record) => hex(found.get(record.key)!.raw));
    }
    async function scanned(partition: Partition, range: Partial<Parameters<SourcePort['scan']>[1]> = {}) {
      const records: RawRecord[] = [];
      const whole = { after: null, upTo: null, before: LATER, ...range };
      for await (const batch of source.scan(partition, whole)) records.push(...batch);
      return records;
    }
    async function unfit(made: DatasetShape): Promise<string[]> {
      const keys: string[] = [];
      for await (const batch of source.unfit(made)) keys.push(...batch.map((record) => record.key));
      return keys.sort();
    }
    async function partitions(made: DatasetShape, before = LATER): Promise<string[]> {
      const found: string[] = [];
      for await (const { owner, customer } of source.partitions(made, before)) found.push(`${owner} | ${customer}`);
      return found.sort();
    }
    function north(made: DatasetShape): Partition {
      return { dataset: made, owner: id.owner('acme'), customer: id.customer('north') };
    }

    describe('documents at the extremes: read, scanned, deleted and inserted again byte for byte', () => {
      for (const [label, value] of Object.entries(EXTREMES)) {
        it(label, async () => {
          const { made, records } = await filled([ordered(['_id', 1], ...PARTIES, ['value', value], ['last', 'x'])]);
          await staysItselfAndGoes(made, records);
        });
      }
      it('all of them at once', async () => {
        const raws = Object.values(EXTREMES).map((value, at) => ordered(['_id', at], ...PARTIES, ['value', value]));
        const { made, records } = await filled(raws);
        await staysItselfAndGoes(made, records);
      });
      for (const [label, value] of Object.entries(IDS)) {
        it(`_id: ${label}`, async () => {
          const { made, records } = await filled([ordered(['_id', value], ...PARTIES)]);
          await staysItselfAndGoes(made, records);
        });
      }
    });

    async function staysItselfAndGoes(made: DatasetShape, records: readonly RawRecord[]): Promise<void> {
      const raws = records.map((record) => hex(record.raw));
      for (const record of records) expect(source.fitness(made, record.raw)).toBeNull();
      expect(await left(made.namespace, records)).toEqual(raws);
      expect((await scanned(north(made))).map((record) => hex(record.raw)).sort()).toEqual([...raws].sort());
      expect(await source.deleteGuarded(made, records, await warrant())).toEqual({ deletedCount: records.length });
      expect(await left(made.namespace, records)).toEqual([]);
      const again = records.map((record) => record.raw);
      expect(await source.insertMissing(made.namespace, again)).toEqual({ inserted: records.length, existing: [] });
      expect(await left(made.namespace, records)).toEqual(raws);
    }

    it('a document of almost 16 MB is deleted alone, a larger one is unfit without a version field', async () => {
      const text = 'x'.repeat(16_700_000);
      const { made, records } = await filled([
        ordered(['_id', 1], ...PARTIES),
        ordered(['_id', 2], ...PARTIES, ['text', text]),
        ordered(['_id', 3], ...PARTIES),
      ]);
      for (const record of records) expect(source.fitness(made, record.raw)).toBeNull();
      expect(await source.deleteGuarded(made, records, await warrant())).toEqual({ deletedCount: 3 });
      const larger = ordered(['_id', 4], ...PARTIES, ['v', 1], ['text', 'x'.repeat(16 * 1024 * 1024 - 200)]);
      expect(source.fitness(made, larger)).toBe('too-large');
      expect(source.fitness({ ...made, version: 'v' }, larger)).toBeNull();
      await expect(source.deleteGuarded(made, [rawRecord(larger)], await warrant())).rejects.toMatchObject({
        code: 'RECORD_UNFIT',
      });
    });

    it('what stock libraries would not give back is not canonical, unless a version field guards it', async () => {
      const made = await dataset();
      for (const [label, raw] of Object.entries(NOT_CANONICAL)) {
        expect([label, source.fitness(made, raw)]).toEqual([label, 'not-canonical']);
        expect([label, source.fitness({ ...made, version: 'owner' }, raw)]).toEqual([label, null]);
      }
    });

    describe('scan', () => {
      it('goes on right after any record, also across types of _id under one trigger', async () => {
        const raws = Object.values(IDS).map((value) => ordered(['_id', value], ...PARTIES));
        const { made } = await filled([
          ...raws,
          ordered(['_id', 'before'], ['owner', 'acme'], ['tenant', 'north'], ['at', new Date(TRIGGER.getTime() - 1)]),
          ordered(['_id', 'after'], ['owner', 'acme'], ['tenant', 'north'], ['at', new Date(TRIGGER.getTime() + 1)]),
        ]);
        const all = (await scanned(north(made))).map((record) => record.key);
        expect(all).toHaveLength(raws.length + 2);
        expect(new Set(all).size).toBe(all.length);
        expect(all[0]).toBe('s:before');
        expect(all.at(-1)).toBe('s:after');
        for (const [at, record] of (await scanned(north(made))).entries()) {
          const position = source.position(made, record.raw);
          const rest = await scanned(north(made), { after: position });
          expect([record.key, rest.map((later) => later.key)]).toEqual([record.key, all.slice(at + 1)]);
          const first = await scanned(north(made), { upTo: position });
          expect([record.key, first.map((earlier) => earlier.key)]).toEqual([record.key, all.slice(0, at + 1)]);
        }
      });

      it('orders by trigger, ends before its bound and sees its own partition only', async () => {
        const { made } = await filled([
          ...[5, 3, 9, 1].map((at) =>
            ordered(['_id', at], ['owner', 'acme'], ['tenant', 'north'], ['at', new Date(at)]),
          ),
          ordered(['_id', 100], ['owner', 'acme'], ['tenant', 'south'], ['at', new Date(2)]),
          ordered(['_id', 101], ['owner', 'other'], ['tenant', 'north'], ['at', new Date(2)]),
          ordered(['_id', 102], ['owner', new BSONSymbol('acme')], ['tenant', 'north'], ['at', new Date(2)]),
          ordered(['_id', 103], ['owner', ['acme']], ['tenant', 'north'], ['at', new Date(2)]),
          ordered(['_id', 104], ['owner', 'acme'], ['tenant', 'north'], ['at', [new Date(2)]]),
        ]);
        const found = await scanned(north(made), { before: 9 });
        expect(found.map((record) => source.facts(made, record.raw).trigger)).toEqual([1, 3, 5]);
      });

      it('walks several batches with nothing twice and nothing lost', async () => {
        const raws = Array.from({ length: 3_500 }, (_, at) =>
          ordered(['_id', at], ['owner', 'acme'], ['tenant', 'north'], ['at', new Date(at % 7)]),
        );
        const { made } = await filled(raws);
        const found = await scanned(north(made));
        expect(new Set(found.map((record) => record.key)).size).toBe(raws.length);
        expect(found).toHaveLength(raws.length);
        const middle = found[1_234]!;
        expect((await scanned(north(made), { after: source.position(made, middle.raw) })).map((r) => r.key)).toEqual(
          found.slice(1_235).map((record) => record.key),
        );
      });

      it('left early again and again, the source still answers', async () => {
        const raws = Array.from({ length: 2_500 }, (_, at) => ordered(['_id', at], ...PARTIES));
        const { made } = await filled(raws);
        for (let walks = 0; walks < 10; walks++) {
          for await (const batch of source.scan(north(made), { after: null, upTo: null, before: LATER })) {
            expect(batch.length).toBeGreaterThan(0);
            break;
          }
        }
        expect(await scanned(north(made))).toHaveLength(raws.length);
      });

      it('counts from the time inside an ObjectId', async () => {
        const at = (seconds: number) => new ObjectId(seconds.toString(16).padStart(8, '0') + '0'.repeat(16));
        const { made } = await filled(
          [100, 200, 300, 0xf0000000].map((seconds) =>
            ordered(['_id', at(seconds)], ['owner', 'acme'], ['tenant', 'north']),
          ),
          { trigger: { field: '_id', kind: 'objectId' } },
        );
        const found = await scanned(north(made), { before: 300_000 });
        expect(found.map((record) => source.facts(made, record.raw).trigger)).toEqual([100_000, 200_000]);
        expect(await scanned(north(made), { before: 300_001 })).toHaveLength(3);
        const after = source.position(made, found[0]!.raw);
        expect(await scanned(north(made), { after, before: 8.64e15 })).toHaveLength(3);
        expect(await source.summarise(north(made), { from: 200_000, before: 300_001 })).toMatchObject({
          records: 2,
          oldest: 200_000,
          newest: 300_000,
        });
      });

      it('stops when it is told to', async () => {
        const { made } = await filled([ordered(['_id', 1], ...PARTIES)]);
        const stopped = AbortSignal.abort(new MoraineError('WORK_STOPPED', 'The work was told to stop.'));
        const walk = async () => {
          for await (const _ of source.scan(north(made), { after: null, upTo: null, before: LATER }, stopped));
        };
        await expect(walk()).rejects.toMatchObject({ code: 'WORK_STOPPED' });
      });
    });

    describe('partitions', () => {
      it('are told apart by the types of owner and customer, and need a trigger before the bound', async () => {
        const owner = new ObjectId('65f000000000000000000001');
        const customer = new UUID('11111111-2222-4333-8444-555555555555');
        const { made } = await filled(
          [
            ['acme', 'north', 1],
            ['acme', 'north', 2],
            ['acme', 'south', 1],
            ['acme', customer.toBinary(), 1],
            ['zed', 'late', LATER],
            [owner, 'north', 1],
            [owner.toHexString(), 'north', 1],
            [`oid:${owner.toHexString()}`, 'north', 1],
            [customer.toBinary(), owner, 1],
            ['\u{1f600}', 'é', 1],
          ].map(([who, whose, at], number) =>
            ordered(['_id', number], ['owner', who], ['tenant', whose], ['at', new Date(Number(at))]),
          ),
        );
        expect(await partitions(made)).toEqual(
          [
            'acme | north',
            'acme | south',
            `acme | uuid:${customer.toHexString()}`,
            `oid:${owner.toHexString()} | north`,
            `${owner.toHexString()} | north`,
            `str:oid:${owner.toHexString()} | north`,
            `uuid:${customer.toHexString()} | oid:${owner.toHexString()}`,
            '\u{1f600} | é',
          ].sort(),
        );
        for await (const partition of source.partitions(made, LATER)) {
          const count = (await scanned(partition)).length;
          expect([partition.owner, count]).toEqual([
            partition.owner,
            partition.customer === 'north' && partition.owner === 'acme' ? 2 : 1,
          ]);
          expect((await source.summarise(partition, { before: LATER })).records).toBe(count);
        }
      });

      it('with fixed owner and customer there is one, if it has any record', async () => {
        const fixed = { owner: { value: 'acme' }, customer: { value: 'all' } } as const;
        const { made } = await filled([ordered(['_id', 1], ['at', new Date(5)])], fixed);
        expect(await partitions(made)).toEqual(['acme | all']);
        expect(await partitions(made, 5)).toEqual([]);
        const partition = { dataset: made, owner: id.owner('acme'), customer: id.customer('all') };
        expect(await scanned(partition)).toHaveLength(1);
        expect(await source.summarise(partition, { before: 6 })).toMatchObject({ records: 1, oldest: 5, newest: 5 });
      });

      it('with dotted fields, arrays on the way are not followed', async () => {
        const dotted = { owner: { field: 'a.owner' }, customer: { field: 'a.b.tenant' } } as const;
        const { made, records } = await filled(
          [
            ordered(['_id', 1], ['a', { owner: 'acme', b: { tenant: 'north' } }], ['at', TRIGGER]),
            ordered(['_id', 2], ['a', [{ owner: 'acme', b: { tenant: 'north' } }]], ['at', TRIGGER]),
            ordered(['_id', 3], ['a', { owner: 'acme', b: [{ tenant: 'south' }] }], ['at', TRIGGER]),
            ordered(['_id', 4], ['a', { owner: 'acme' }], ['at', TRIGGER]),
          ],
          dotted,
        );
        expect(await partitions(made)).toEqual(['acme | north']);
        expect((await scanned(north(made))).map((record) => record.key)).toEqual([records[0]!.key]);
        expect(await unfit(made)).toEqual(records.slice(1).map((record) => record.key));
      });
    });

    it('summarise: counts, bytes and range of the records in a range, none when there are none', async () => {
      const { made, records } = await filled(
        [10, 20, 30].map((at) => ordered(['_id', at], ['owner', 'acme'], ['tenant', 'north'], ['at', new Date(at)])),
      );
      expect(await source.summarise(north(made), { from: 20, before: 31 })).toEqual({
        records: 2,
        bytes: records[1]!.raw.length + records[2]!.raw.length,
        oldest: 20,
        newest: 30,
      });
      expect(await source.summarise(north(made), { before: 10 })).toEqual({
        records: 0,
        bytes: 0,
        oldest: null,
        newest: null,
      });
    });

    it('unfit: each record without a usable owner, customer or trigger comes once, usable ones never', async () => {
      const wrongParties: Record<string, unknown> = {
        missing: undefined,
        null: null,
        empty: '',
        number: 5,
        double: new Double(Number.NaN),
        long: Long.MAX_VALUE,
        object: { a: 1 },
        array: ['acme', 'b'],
        'empty array': [],
        'array of a usable one': ['acme'],
        'short binary': new Binary(Buffer.from([1])),
        'long binary': new Binary(Buffer.alloc(40)),
        'old uuid': new Binary(Buffer.alloc(16), 3),
        boolean: true,
        date: new Date(1),
        timestamp: new Timestamp({ t: 1, i: 1 }),
        regex: new BSONRegExp('a'),
        symbol: new BSONSymbol('acme'),
      };
      const wrongTriggers: Record<string, unknown> = {
        missing: undefined,
        null: null,
        string: '2020-01-01',
        number: new Int32(1_500_000_000),
        array: [TRIGGER],
        'empty array': [],
        'object id': new ObjectId(),
        timestamp: new Timestamp({ t: 1, i: 1 }),
        binary: new Binary(Buffer.from([1])),
        object: { at: TRIGGER },
      };
      const raws: Uint8Array[] = [];
      const add = (label: string, owner: unknown, tenant: unknown, at: unknown) => {
        const fields = Object.entries({ _id: label, owner, tenant, at }).filter(([, value]) => value !== undefined);
        raws.push(ordered(...fields));
      };
      for (const [label, value] of Object.entries(wrongParties)) {
        add(`owner ${label}`, value, 'north', TRIGGER);
        add(`customer ${label}`, 'acme', value, TRIGGER);
      }
      for (const [label, value] of Object.entries(wrongTriggers)) add(`trigger ${label}`, 'acme', 'north', value);
      add('all wrong', null, null, null);
      const wrong = raws.map((raw) => rawRecord(raw).key).sort();
      add('usable', 'acme', 'north', TRIGGER);
      add('usable too', new UUID('11111111-2222-4333-8444-555555555555').toBinary(), new ObjectId(), TRIGGER);
      const { made } = await filled(raws);
      expect(await unfit(made)).toEqual(wrong);
      const ofNorth = { owner: id.owner('acme'), customer: id.customer('north') };
      const theirs: string[] = [];
      for await (const batch of source.unfit(made, ofNorth)) theirs.push(...batch.map((record) => record.key));
      const expected = raws.filter((raw) => {
        const { owner, customer, unfit: reasons } = source.facts(made, raw);
        return owner === ofNorth.owner && customer === ofNorth.customer && reasons.length > 0;
      });
      expect(expected.length).toBeGreaterThan(0);
      expect(theirs.sort()).toEqual(expected.map((raw) => source.keyOf(idBytesOf(raw))).sort());
      expect(source.facts(made, raws[0]!)).toMatchObject({ owner: null, customer: 'north', unfit: ['owner-unusable'] });
      expect((await scanned(north(made))).map((record) => record.key)).toEqual(['s:usable']);
    });

    describe('guarded delete', () => {
      it('a record that changed after the read survives, the others go', async () => {
        const { made, records } = await filled(
          Array.from({ length: 450 }, (_, at) => ordered(['_id', at], ...PARTIES, ['n', 0])),
        );
        for (const at of [0, 199, 200, 449])
          await world.replace(made.namespace, ordered(['_id', at], ...PARTIES, ['n', 1]));
        expect(await source.deleteGuarded(made, records, await warrant())).toEqual({ deletedCount: 446 });
        expect(await left(made.namespace, records)).toEqual(
          [0, 199, 200, 449].map((at) => hex(ordered(['_id', at], ...PARTIES, ['n', 1]))),
        );
      });

      it('changes that keep the same size, order of fields or type of a string are seen', async () => {
        const before = [
          ordered(['_id', 1], ...PARTIES, ['a', 1], ['b', 2]),
          ordered(['_id', 2], ...PARTIES, ['a', 'x']),
          ordered(['_id', 3], ...PARTIES, ['a', [1, 2]]),
          ordered(['_id', 4], ...PARTIES, ['a', null]),
        ];
        const after = [
          ordered(['_id', 1], ...PARTIES, ['b', 2], ['a', 1]),
          ordered(['_id', 2], ...PARTIES, ['a', 'X']),
          ordered(['_id', 3], ...PARTIES, ['a', [2, 1]]),
          ordered(['_id', 4], ...PARTIES),
        ];
        const { made, records } = await filled(before);
        for (const raw of after) expect(await world.replace(made.namespace, raw)).toBe(true);
        expect(await source.deleteGuarded(made, records, await warrant())).toEqual({ deletedCount: 0 });
        expect(await left(made.namespace, records)).toEqual(after.map(hex));
      });

      it('a change to an equal value, as the server compares, goes too; a change to another type of text or a null does not', async () => {
        const pairs: readonly (readonly [label: string, before: unknown, after: unknown, isEqual: boolean])[] = [
          ['int32 to double', new Int32(1), new Double(1), true],
          ['int32 to int64', new Int32(1), Long.fromInt(1), true],
          ['double to decimal', new Double(1.5), Decimal128.fromString('1.50'), true],
          ['zero to negative zero', new Double(0), new Double(-0), true],
          ['double NaN to decimal NaN', new Double(Number.NaN), Decimal128.fromString('NaN'), true],
          ['inside a list', [new Int32(1)], [new Double(1)], true],
          ['inside a document', { a: new Int32(1) }, { a: Long.fromInt(1) }, true],
          ['int64 to the next double', Long.fromString('9007199254740993'), new Double(9007199254740992), false],
          ['double to a decimal that is near', new Double(1.1), Decimal128.fromString('1.1'), false],
          ['another order of fields', { a: 1, b: 2 }, { b: 2, a: 1 }, false],
          ['number to text', 1, '1', false],
          ['null to no value', null, new Map(), false],
          ['true to one', true, 1, false],
          ['binary of another subtype', new Binary(Buffer.alloc(16), 0), new Binary(Buffer.alloc(16), 5), false],
        ];
        const { made, records } = await filled(
          pairs.map(([label, before]) => ordered(['_id', label], ...PARTIES, ['value', before])),
        );
        for (const [label, , after] of pairs) {
          await world.replace(made.namespace, ordered(['_id', label], ...PARTIES, ['value', after]));
        }
        await source.deleteGuarded(made, records, await warrant());
        const stayed = await left(made.namespace, records);
        expect(stayed).toEqual(
          pairs
            .filter(([, , , isEqual]) => !isEqual)
            .map(([label, , after]) => hex(ordered(['_id', label], ...PARTIES, ['value', after]))),
        );
      });

      it(`${CALLERS} callers delete the same records at once, in orders of their own: all are gone, none fails`, async () => {
        const { made, records } = await filled(
          Array.from({ length: 60 }, (_, at) => ordered(['_id', at], ...PARTIES, ['n', at])),
        );
        const good = await warrant();
        const counts = await Promise.all(
          Array.from({ length: CALLERS }, async (_, caller) => {
            const turned = [...records.slice(caller), ...records.slice(0, caller)];
            const mine = caller % 2 === 0 ? turned : turned.toReversed();
            return (await source.deleteGuarded(made, mine, good)).deletedCount;
          }),
        );
        expect(counts.reduce((sum, count) => sum + count)).toBe(records.length);
        expect(await left(made.namespace, records)).toEqual([]);
      });

      it('batches: at most 200 records and 8 MiB in one command, a larger record alone', async () => {
        const text = (megabytes: number) => 'x'.repeat(megabytes * 1024 * 1024);
        const { made, records } = await filled([
          ...[1, 2].map((at) => ordered(['_id', at], ...PARTIES, ['text', text(3)])),
          ordered(['_id', 3], ...PARTIES, ['text', text(9)]),
          ...[4, 5].map((at) => ordered(['_id', at], ...PARTIES, ['text', text(5)])),
          ...Array.from({ length: 401 }, (_, at) => ordered(['_id', at + 6], ...PARTIES)),
        ]);
        // 3+3 | 9 | 5 | 5 and 199 small ones | 200 | 2
        let looks = 0;
        const good = await warrant(60_000, () => {
          looks += 1;
        });
        expect(await source.deleteGuarded(made, records, good)).toEqual({ deletedCount: records.length });
        expect(looks).toBe(6);
      });

      it('once the time of the warrant has passed nothing goes', async () => {
        const { made, records } = await filled([ordered(['_id', 1], ...PARTIES)]);
        expect(await source.deleteGuarded(made, records, await warrant(-1_000))).toEqual({ deletedCount: 0 });
        expect(await left(made.namespace, records)).toHaveLength(1);
      });

      it('the warrant is looked at before every command: lost in between, the later batches stay', async () => {
        const { made, records } = await filled(
          Array.from({ length: 401 }, (_, at) => ordered(['_id', at], ...PARTIES)),
        );
        let looks = 0;
        const lost = () => {
          if (++looks > 1) throw new MoraineError('LEASE_LOST', 'Another worker has taken over.');
        };
        await expect(source.deleteGuarded(made, records, await warrant(60_000, lost))).rejects.toMatchObject({
          code: 'LEASE_LOST',
        });
        expect(await left(made.namespace, records)).toHaveLength(201);
      });

      it('a record that is gone already is no error', async () => {
        const { made, records } = await filled([ordered(['_id', 1], ...PARTIES), ordered(['_id', 2], ...PARTIES)]);
        await world.remove(made.namespace, records[0]!.raw);
        expect(await source.deleteGuarded(made, records, await warrant())).toEqual({ deletedCount: 1 });
      });

      it('a version field replaces the document; without a usable version the whole document guards', async () => {
        const { made, records } = await filled(
          [
            ordered(['_id', 1], ...PARTIES, ['v', 1], ['a', 1]),
            ordered(['_id', 2], ...PARTIES, ['v', 1], ['a', 1]),
            ordered(['_id', 3], ...PARTIES, ['a', 1]),
            ordered(['_id', 4], ...PARTIES, ['a', 1]),
            ordered(['_id', 5], ...PARTIES, ['v', [1]], ['a', 1]),
            ordered(['_id', 6], ...PARTIES, ['v', 1], ['a', 1]),
          ],
          { version: 'v' },
        );
        const changes = [
          ordered(['_id', 1], ...PARTIES, ['v', 1], ['a', 2]),
          ordered(['_id', 2], ...PARTIES, ['v', 2], ['a', 1]),
          ordered(['_id', 4], ...PARTIES, ['a', 2]),
          ordered(['_id', 5], ...PARTIES, ['v', [1]], ['a', 2]),
          ordered(['_id', 6], ...PARTIES, ['a', 1]),
        ];
        for (const raw of changes) await world.replace(made.namespace, raw);
        expect(await source.deleteGuarded(made, records, await warrant())).toEqual({ deletedCount: 2 });
        expect(await left(made.namespace, records)).toEqual(changes.slice(1).map(hex));
      });

      it(`${RACES} races of an update against the delete: never both`, async () => {
        const { made, records } = await filled(
          Array.from({ length: RACES }, (_, at) => ordered(['_id', at], ...PARTIES, ['n', 0])),
        );
        const good = await warrant();
        let updates = 0;
        let deletes = 0;
        for (let at = 0; at < records.length; at += 10) {
          await Promise.all(
            records.slice(at, at + 10).map(async (record, offset) => {
              const changed = ordered(['_id', at + offset], ...PARTIES, ['n', 1]);
              const update = () => world.replace(made.namespace, changed);
              const clear = async () => (await source.deleteGuarded(made, [record], good)).deletedCount === 1;
              const acts = offset % 2 === 0 ? [update(), clear()] : [clear(), update()];
              const outcome = await Promise.all(acts);
              const [updated, deleted] = offset % 2 === 0 ? outcome : outcome.toReversed();
              expect([updated, deleted].filter(Boolean)).toHaveLength(1);
              expect(await left(made.namespace, [record])).toEqual(deleted ? [] : [hex(changed)]);
              if (updated) updates++;
              if (deleted) deletes++;
            }),
          );
        }
        expect(updates + deletes).toBe(RACES);
      });
    });

    describe('replaceGuarded', () => {
      const changing = (record: RawRecord, by: Uint8Array): Replacement => ({ record, by });

      it('puts exactly these bytes in the place of what was read: every extreme, its order and its types kept', async () => {
        const raws = Object.values(EXTREMES).map((value, at) =>
          ordered(['_id', at], ...PARTIES, ['value', value], ['mail', 'x']),
        );
        const { made, records } = await filled(raws);
        const after = Object.values(EXTREMES).map((value, at) =>
          ordered(['_id', at], ...PARTIES, ['value', value], ['_moraine', { treated: 'v1' }]),
        );
        const replacements = records.map((record, at) => changing(record, after[at]!));
        expect(await source.replaceGuarded(made, replacements, await warrant())).toEqual({
          replacedCount: raws.length,
        });
        expect(await left(made.namespace, records)).toEqual(after.map(hex));
      });

      for (const [label, value] of Object.entries(IDS)) {
        it(`_id: ${label}`, async () => {
          const { made, records } = await filled([ordered(['_id', value], ...PARTIES, ['mail', 'x'])]);
          const after = ordered(['_id', value], ...PARTIES, ['done', true]);
          await source.replaceGuarded(made, [changing(records[0]!, after)], await warrant());
          expect(await left(made.namespace, records)).toEqual([hex(after)]);
        });
      }

      it('what changed since it was read stays as it is, in any place of any batch; what is gone is not made', async () => {
        const { made, records } = await filled(
          Array.from({ length: 450 }, (_, at) => ordered(['_id', at], ...PARTIES, ['n', 0], ['mail', 'x'])),
        );
        const changedAt = new Set([0, 199, 200, 449]);
        for (const at of changedAt) await world.replace(made.namespace, ordered(['_id', at], ...PARTIES, ['n', 1]));
        await world.remove(made.namespace, records[100]!.raw);
        const replacements = records.map((record, at) => changing(record, ordered(['_id', at], ...PARTIES, ['n', 0])));
        expect(await source.replaceGuarded(made, replacements, await warrant())).toEqual({ replacedCount: 445 });
        expect(await left(made.namespace, records)).toEqual(
          records.flatMap((_, at) =>
            at === 100 ? [] : [hex(ordered(['_id', at], ...PARTIES, ['n', changedAt.has(at) ? 1 : 0]))],
          ),
        );
      });

      it('once the time of the warrant has passed nothing is written', async () => {
        const { made, records } = await filled([ordered(['_id', 1], ...PARTIES, ['mail', 'x'])]);
        const late = [changing(records[0]!, ordered(['_id', 1], ...PARTIES))];
        expect(await source.replaceGuarded(made, late, await warrant(-1_000))).toEqual({ replacedCount: 0 });
        expect(await left(made.namespace, records)).toEqual(records.map(({ raw }) => hex(raw)));
      });

      it('the warrant is looked at before every command; an order to delete lets nothing be replaced, nor the other way round', async () => {
        const { made, records } = await filled(
          Array.from({ length: 401 }, (_, at) => ordered(['_id', at], ...PARTIES)),
        );
        const replacements = records.map((record, at) => changing(record, ordered(['_id', at], ...PARTIES, ['n', 1])));
        let looks = 0;
        const lost = () => {
          if (++looks > 1) throw new MoraineError('LEASE_LOST', 'Another worker has taken over.');
        };
        const cut = source.replaceGuarded(made, replacements, await warrant(60_000, lost));
        await expect(cut).rejects.toMatchObject({ code: 'LEASE_LOST' });
        const original = new Set(records.map(({ raw }) => hex(raw)));
        const stayed = (await left(made.namespace, records)).filter((raw) => original.has(raw));
        expect(stayed).toHaveLength(201);
        const { lease, until } = await warrant();
        const ordering = (act: 'delete' | 'replace') =>
          ClearingWarrant.issue(DisposalOrder.issue('x1', 'ann', act), lease, until);
        const wrong = [
          source.replaceGuarded(made, replacements, ordering('delete')),
          source.deleteGuarded(made, records, ordering('replace')),
        ];
        for (const refused of wrong) await expect(refused).rejects.toMatchObject({ code: 'INTERNAL' });
        expect((await left(made.namespace, records)).filter((raw) => original.has(raw))).toEqual(stayed);
      });

      it('a version field replaces the document in the guard too', async () => {
        const { made, records } = await filled(
          [
            ordered(['_id', 1], ...PARTIES, ['v', 1]),
            ordered(['_id', 2], ...PARTIES, ['v', 1]),
            ordered(['_id', 3], ...PARTIES, ['a', 1]),
          ],
          { version: 'v' },
        );
        const changes = [ordered(['_id', 1], ...PARTIES, ['v', 2]), ordered(['_id', 3], ...PARTIES, ['a', 2])];
        for (const raw of changes) await world.replace(made.namespace, raw);
        const after = records.map((record, at) =>
          changing(record, ordered(['_id', at + 1], ...PARTIES, ['v', 1], ['done', 1])),
        );
        expect(await source.replaceGuarded(made, after, await warrant())).toEqual({ replacedCount: 1 });
        expect(await left(made.namespace, records)).toEqual([hex(changes[0]!), hex(after[1]!.by), hex(changes[1]!)]);
      });

      it('what is too large for one statement is refused, and a record of 7 MB goes alone', async () => {
        const text = 'x'.repeat(7_000_000);
        const { made, records } = await filled([1, 2].map((at) => ordered(['_id', at], ...PARTIES, ['text', text])));
        const after = records.map((record, at) =>
          changing(record, ordered(['_id', at + 1], ...PARTIES, ['text', text], ['n', 1])),
        );
        let looks = 0;
        const good = await warrant(60_000, () => {
          looks += 1;
        });
        expect(await source.replaceGuarded(made, after, good)).toEqual({ replacedCount: 2 });
        expect(looks).toBe(2);
        const large = rawRecord(ordered(['_id', 3], ...PARTIES, ['text', 'x'.repeat(9_000_000)]));
        const refused = source.replaceGuarded(made, [changing(large, large.raw)], await warrant());
        await expect(refused).rejects.toMatchObject({ code: 'RECORD_UNFIT' });
        const treatment = { fields: [], version: 'v1', id: 'none', at: TRIGGER, hmac: () => new Uint8Array(32) };
        expect(source.treated(made, large.raw, treatment)).toBeNull();
        expect(source.treated(made, records[0]!.raw, treatment)).not.toBeNull();
      });

      it(`${RACES} races of an update against the replace: never both, and the update is never overwritten`, async () => {
        const { made, records } = await filled(
          Array.from({ length: RACES }, (_, at) => ordered(['_id', at], ...PARTIES, ['n', 0], ['mail', 'x'])),
        );
        const good = await warrant();
        const outcomes = { updated: 0, replaced: 0 };
        for (let at = 0; at < records.length; at += 10) {
          await Promise.all(
            records.slice(at, at + 10).map(async (record, offset) => {
              const changed = ordered(['_id', at + offset], ...PARTIES, ['n', 1], ['mail', 'x']);
              const treated = ordered(['_id', at + offset], ...PARTIES, ['n', 0]);
              const replace = async () =>
                (await source.replaceGuarded(made, [changing(record, treated)], good)).replacedCount === 1;
              const update = () => world.change(made.namespace, record.raw, changed);
              const acts = offset % 2 === 0 ? [update(), replace()] : [replace(), update()];
              const outcome = await Promise.all(acts);
              const [updated, replaced] = offset % 2 === 0 ? outcome : outcome.toReversed();
              expect([updated, replaced].filter(Boolean)).toHaveLength(1);
              expect(await left(made.namespace, [record])).toEqual([hex(updated ? changed : treated)]);
              if (updated) outcomes.updated++;
              if (replaced) outcomes.replaced++;
            }),
          );
        }
        expect(outcomes.updated + outcomes.replaced).toBe(RACES);
      });

      it(`${CALLERS} callers replace the same records at once with the same: each is replaced once, none fails`, async () => {
        const { made, records } = await filled(
          Array.from({ length: 60 }, (_, at) => ordered(['_id', at], ...PARTIES, ['mail', 'x'])),
        );
        const good = await warrant();
        const after = records.map((record, at) => changing(record, ordered(['_id', at], ...PARTIES, ['n', 1])));
        const counts = await Promise.all(
          Array.from({ length: CALLERS }, async (_, caller) => {
            const turned = [...after.slice(caller), ...after.slice(0, caller)];
            return (await source.replaceGuarded(made, caller % 2 === 0 ? turned : turned.toReversed(), good))
              .replacedCount;
          }),
        );
        expect(counts.reduce((sum, count) => sum + count)).toBe(records.length);
        expect(await left(made.namespace, records)).toEqual(after.map(({ by }) => hex(by)));
      });
    });

    it('insertMissing: what is there is named and stays as it is, what is missing comes', async () => {
      const { made, records } = await filled([ordered(['_id', 1], ...PARTIES), ordered(['_id', 'a'], ...PARTIES)]);
      const outcome = await source.insertMissing(made.namespace, [
        ordered(['_id', new Double(1)], ['other', true]),
        ordered(['_id', 2], ...PARTIES),
        ordered(['_id', 'a'], ['other', true]),
      ]);
      expect(outcome.inserted).toBe(1);
      expect([...outcome.existing].sort()).toEqual(records.map((record) => record.key).sort());
      expect(await left(made.namespace, records)).toEqual(records.map((record) => hex(record.raw)));
    });

    it('insertMissing: fifty at once of the same documents: each goes in once, and all are named by the others', async () => {
      const made = await dataset();
      const raws = Array.from({ length: 20 }, (_, at) => ordered(['_id', at], ...PARTIES));
      const outcomes = await Promise.all(
        Array.from({ length: CALLERS }, () => source.insertMissing(made.namespace, raws)),
      );
      expect(outcomes.reduce((sum, { inserted }) => sum + inserted, 0)).toBe(raws.length);
      for (const { inserted, existing } of outcomes) expect(inserted + existing.length).toBe(raws.length);
    });

    it('insertMissing: a document of more than 16 MiB is refused, and those before it stay', async () => {
      const { made, records } = await filled([ordered(['_id', 1], ...PARTIES)]);
      const larger = ordered(['_id', 2], ...PARTIES, ['text', 'x'.repeat(16 * 1024 * 1024)]);
      await expect(source.insertMissing(made.namespace, [larger])).rejects.toMatchObject({
        name: 'MoraineError',
        code: 'MONGODB_REFUSED',
      });
      expect(await left(made.namespace, records)).toHaveLength(1);
      expect(await left(made.namespace, [rawRecord(larger)])).toEqual([]);
    });

    it('readByIds: absent ones are left out, numbers of one value are one key', async () => {
      const { made, records } = await filled([ordered(['_id', new Int32(1)], ...PARTIES)]);
      const asked = [new Double(1), 'missing'].map((value) => idBytesOf(ordered(['_id', value])));
      const found = await source.readByIds(made.namespace, asked);
      expect([...found.keys()]).toEqual([records[0]!.key]);
      expect(source.keyOf(asked[0]!)).toBe(records[0]!.key);
      expect(await source.readByIds(made.namespace, [])).toEqual(new Map());
    });

    it('findOne: understands an _id as a person types it', async () => {
      const typed: readonly (readonly [string, unknown])[] = [
        ['65f000000000000000000001', new ObjectId('65f000000000000000000001')],
        ['11111111-2222-4333-8444-555555555555', new UUID('11111111-2222-4333-8444-555555555555').toBinary()],
        ['42', 42],
        ['{"a":{"$numberLong":"5"}}', { a: Long.fromInt(5) }],
        ['plain text', 'plain text'],
        ['"43"', '43'],
        ['44', '44'],
      ];
      const { made, records } = await filled(typed.map(([, value]) => ordered(['_id', value], ...PARTIES)));
      for (const [at, [text]] of typed.entries()) {
        expect((await source.findOne(made.namespace, text))?.key).toBe(records[at]!.key);
      }
      expect(await source.findOne(made.namespace, 'nobody')).toBeNull();
    });

    it('inspect: a collection with its index has no findings', async () => {
      const { made } = await filled([bytes({ _id: 1 })]);
      const report = await source.inspect(made);
      expect(report.findings).toEqual([]);
      expect(report.index).not.toBeNull();
      expect(report.documents).toBe(1);
      const missing = await source.inspect({ ...made, namespace: id.namespace(`${made.namespace}_missing`) });
      expect(missing.findings.map((finding) => finding.code)).toEqual(['COLLECTION_MISSING']);
    });
  });
}

function hex(raw: Uint8Array): string {
  // A large document as text would drown a failure's message.
  return raw.length > 100_000 ? `${raw.length} bytes` : Buffer.from(raw).toString('hex');
}
