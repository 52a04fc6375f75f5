import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packRecords, unpackRecords } from '../../src/ledger/roster-packing.ts';

const record = fc.record({
  id: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  sha256: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  segment: fc.nat(),
});
const plain = (records: ReturnType<typeof unpackRecords>) =>
  records.map(({ id, sha256, segment }) => [
    Buffer.from(id).toString('hex'),
    Buffer.from(sha256).toString('hex'),
    segment,
  ]);

test('every page of records comes back as it was, also out of a larger buffer', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 50 }), fc.nat(7), (records, offset) => {
      const packed = packRecords(records);
      const larger = Buffer.concat([Buffer.alloc(offset, 1), packed, Buffer.alloc(3, 2)]);
      expect(plain(unpackRecords(larger.subarray(offset, offset + packed.length)))).toEqual(plain(records));
    }),
  );
});

test('a page that is cut anywhere inside a record is refused, never shortened', () => {
  const packed = packRecords([
    { id: Buffer.from([7, 1, 2, 3]), sha256: Buffer.alloc(32, 1), segment: 1 },
    { id: Buffer.from([2, 9]), sha256: Buffer.alloc(32, 2), segment: 2 },
  ]);
  const first = 4 + 4 + 32 + 4;
  for (let length = 1; length < packed.length; length++) {
    if (length === first) continue;
    expect(() => unpackRecords(packed.subarray(0, length)), String(length)).toThrow('cut short');
  }
});

test('what is no SHA-256 is not packed', () => {
  expect(() => packRecords([{ id: Buffer.from([7]), sha256: Buffer.alloc(31), segment: 0 }])).toThrow('SHA-256');
});
