import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isMoraineError } from '../../src/errors.ts';
import { InventoryReader } from '../../src/vault/inventory-json.ts';

const archives = fc.array(
  fc.record({
    ArchiveId: fc.string({ minLength: 1 }),
    ArchiveDescription: fc.string({ unit: fc.constantFrom('{', '}', '[', ']', '"', '\\', ',', 'a', 'é') }),
    CreationDate: fc.constant('2026-01-01T00:00:00Z'),
    Size: fc.nat(),
    SHA256TreeHash: fc.constant('ab'),
  }),
);

function read(bytes: Uint8Array, cuts: readonly number[]) {
  const reader = new InventoryReader();
  const found = [];
  let from = 0;
  for (const cut of [...cuts.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    found.push(...reader.push(bytes.subarray(from, cut)));
    from = cut;
  }
  reader.end();
  return { found, date: reader.inventoryDate };
}

describe('inventory', () => {
  test('wherever the chunks are cut, every archive comes out whole and in order', () => {
    fc.assert(
      fc.property(archives, fc.array(fc.nat(), { maxLength: 20 }), fc.boolean(), (list, cuts, pretty) => {
        const document = { VaultARN: 'arn:x', InventoryDate: '2026-02-01T10:11:12Z', ArchiveList: list };
        const { found, date } = read(Buffer.from(JSON.stringify(document, null, pretty ? 2 : 0)), cuts);
        expect(found).toEqual(list);
        expect(date).toEqual(new Date('2026-02-01T10:11:12Z'));
      }),
    );
  });

  test('a document that ends early throws, at whatever byte', () => {
    const whole = Buffer.from(
      JSON.stringify({
        InventoryDate: '2026-02-01T10:11:12Z',
        ArchiveList: [{ ArchiveId: 'a', CreationDate: '2026-01-01T00:00:00Z', Size: 1 }],
      }),
    );
    for (let end = 0; end < whole.length; end += 1) {
      expect(() => read(whole.subarray(0, end), []), `cut at ${end}`).toThrow(
        expect.toSatisfy((error: unknown) => isMoraineError(error, 'VAULT_UNAVAILABLE')),
      );
    }
    expect(read(whole, []).found).toHaveLength(1);
  });

  test('the date is there before the archives are', () => {
    const reader = new InventoryReader();
    reader.push(Buffer.from('{"VaultARN":"arn","InventoryDate":"2026-02-01T10:11:12Z","ArchiveList":[{"Arch'));
    expect(reader.inventoryDate).toEqual(new Date('2026-02-01T10:11:12Z'));
  });

  test.each([
    '{"Code":"x"}',
    '[]',
    '{"InventoryDate":"2026-02-01T10:11:12Z","ArchiveList":[{"ArchiveId":7}]}',
    '<html>',
  ])('what is no inventory throws: %s', (text) => {
    expect(() => read(Buffer.from(text), [])).toThrow();
  });
});
