/** Treating in place: what no treatment names keeps its bytes; the same person is the same pseudonym, within one owner. */
import { createHmac } from 'node:crypto';
import { BSON, Decimal128, Double, Int32, Long, ObjectId, Timestamp, UUID } from 'bson';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { treatmentId } from '../../src/policy/treatment.ts';
import { isCanonical } from '../../src/source/canonical.ts';
import { MARKER, markerOf } from '../../src/source/marker.ts';
import type { FieldTreatment, Treatment } from '../../src/source/port.ts';
import { PSEUDONYM_PREFIX, REDACTED, treatDocument } from '../../src/source/treatment.ts';

const AT = new Date('2026-03-01T02:00:00Z');

function treatment(fields: readonly FieldTreatment[], key = 'acme', at = AT): Treatment {
  const hmac = (data: string) => createHmac('sha256', key).update(data).digest();
  return { fields, version: 'v1', id: treatmentId(fields), at, hmac };
}

/** The treated document, decoded in the order of its fields, without the marker. */
function treated(document: object, fields: readonly FieldTreatment[], key?: string): Record<string, unknown> {
  const raw = treatDocument(serialize(document), treatment(fields, key));
  if (raw === null) throw new Error('It was not treated.');
  const { [MARKER]: marker, ...rest } = BSON.deserialize(raw, { promoteValues: false, promoteLongs: false });
  expect(marker).toMatchObject({ treated: 'v1', at: AT });
  return rest;
}

function serialize(document: object): Uint8Array {
  return BSON.serialize(document, { ignoreUndefined: false });
}

const anonymise = (field: string): FieldTreatment => ({ field, how: 'anonymise' });
const redact = (field: string): FieldTreatment => ({ field, how: 'redact' });
const pseudonymise = (field: string): FieldTreatment => ({ field, how: 'pseudonymise' });

describe('what is treated', () => {
  test('anonymise removes the field, also inside lists of documents and lists of lists; what is beside it stays in its order', () => {
    const document = {
      _id: 1,
      contacts: [{ mail: 'a', kind: 'x' }, { kind: 'y' }, [{ mail: 'b', kind: 'z' }], 'text'],
      mail: 'c',
      deep: { mail: 'd', other: 1 },
      last: true,
    };
    expect(treated(document, [anonymise('contacts.mail'), anonymise('mail'), anonymise('deep.mail')])).toEqual({
      _id: new Int32(1),
      contacts: [{ kind: 'x' }, { kind: 'y' }, [{ kind: 'z' }], 'text'],
      deep: { other: new Int32(1) },
      last: true,
    });
  });

  test('a number in a path names one element: it is emptied, and the elements behind it keep their places', () => {
    expect(treated({ _id: 1, tags: ['a', 'b', 'c'] }, [anonymise('tags.1')])).toMatchObject({ tags: ['a', null, 'c'] });
    expect(treated({ _id: 1, tags: [{ n: 'a' }, { n: 'b' }] }, [redact('tags.0.n')])).toMatchObject({
      tags: [{ n: REDACTED }, { n: 'b' }],
    });
  });

  test('redact leaves a value of the same type that says nothing', () => {
    const values: readonly (readonly [unknown, unknown])[] = [
      ['text', REDACTED],
      [new Int32(5), new Int32(0)],
      [new Double(5.5), new Double(0)],
      [Long.fromInt(5), Long.ZERO],
      [Decimal128.fromString('5.50'), Decimal128.fromString('0')],
      [true, false],
      [new Date('2020-01-01'), new Date(0)],
      [new ObjectId('0123456789abcdef01234567'), new ObjectId('000000000000000000000000')],
      [new Timestamp({ t: 1, i: 2 }), new Timestamp({ t: 0, i: 0 })],
      [new UUID(), new UUID('00000000-0000-0000-0000-000000000000')],
      [['a', 'b'], []],
      [{ a: 1 }, {}],
      [null, null],
      [/a person/, REDACTED],
    ];
    for (const [before, after] of values) {
      const raw = treatDocument(serialize({ _id: 1, value: before }), treatment([redact('value')]));
      expect(raw === null ? null : Buffer.from(raw)).toEqual(
        Buffer.from(
          serialize({
            _id: 1,
            value: after,
            [MARKER]: { treated: 'v1', treatment: treatmentId([redact('value')]), at: AT },
          }),
        ),
      );
    }
  });

  test('the same person is the same pseudonym, in whatever case and wherever it stands; another owner has another one', () => {
    const fields = [pseudonymise('mail'), pseudonymise('cc')];
    const { mail, cc } = treated(
      { _id: 1, mail: ' Jo@Example.org', cc: ['jo@example.org', 'ann@example.org', null, ''] },
      fields,
    );
    expect(mail).toMatch(new RegExp(`^${PSEUDONYM_PREFIX}[\\w-]{27}$`));
    expect(cc).toEqual([mail, expect.not.stringContaining(String(mail)), null, '']);
    expect(treated({ _id: 2, mail: 'JO@EXAMPLE.ORG' }, fields)['mail']).toBe(mail);
    expect(treated({ _id: 1, mail: 'jo@example.org' }, fields, 'globex')['mail']).not.toBe(mail);
  });

  test('one number is one pseudonym, of whatever type; the text of it is another', () => {
    const of = (value: unknown) => treated({ _id: 1, value }, [pseudonymise('value')])['value'];
    expect(of(new Double(7))).toBe(of(new Int32(7)));
    expect(of(Long.fromInt(7))).toBe(of(new Int32(7)));
    expect(of('7')).not.toBe(of(new Int32(7)));
  });

  test('a text that only looks like a pseudonym is replaced as any other; a real one of the owner is kept', () => {
    const fake = `${PSEUDONYM_PREFIX}${'A'.repeat(27)}`;
    const real = treated({ _id: 1, value: 'jo' }, [pseudonymise('value')])['value'];
    expect(treated({ _id: 1, value: fake }, [pseudonymise('value')])['value']).not.toBe(fake);
    expect(treated({ _id: 1, value: real }, [pseudonymise('value')])['value']).toBe(real);
    expect(treated({ _id: 1, value: real }, [pseudonymise('value')], 'globex')['value']).not.toBe(real);
  });

  test('of a field and one inside it the outer one decides', () => {
    expect(treated({ _id: 1, a: { b: 'x' }, c: 1 }, [redact('a.b'), anonymise('a')])).toEqual({
      _id: new Int32(1),
      c: new Int32(1),
    });
  });

  test('a field that is there twice is treated twice', () => {
    const one = serialize({ a: 'x' }).subarray(4, -1);
    const raw = Buffer.concat([Buffer.alloc(4), one, one, Buffer.of(0)]);
    raw.writeInt32LE(raw.length, 0);
    const found = treatDocument(raw, treatment([anonymise('a')]));
    expect(found === null ? null : Object.keys(BSON.deserialize(found))).toEqual([MARKER]);
  });
});

describe('the marker', () => {
  test('says version, treatment and instant; another treatment writes it anew, in its place', () => {
    const first = treatDocument(serialize({ _id: 1, a: 1 }), treatment([anonymise('b')]));
    const grown = first === null ? null : BSON.serialize({ ...BSON.deserialize(first), later: 1 });
    const second = grown === null ? null : treatDocument(grown, { ...treatment([anonymise('a')]), version: 'v2' });
    if (second === null) throw new Error('It was not treated.');
    expect(Object.keys(BSON.deserialize(second))).toEqual(['_id', MARKER, 'later']);
    expect(markerOf(second)).toEqual({ version: 'v2', treatment: treatmentId([anonymise('a')]), at: AT.getTime() });
  });

  test('something else in its place is not overwritten: the record cannot be treated', () => {
    for (const other of ['text', 7, null, {}, { treated: 'v1' }, { treated: 1, treatment: 'x', at: AT }]) {
      expect(treatDocument(serialize({ _id: 1, [MARKER]: other }), treatment([anonymise('a')]))).toBeNull();
      expect(markerOf(serialize({ _id: 1, [MARKER]: other }))).toBeNull();
    }
  });

  test('the order of the fields in a policy makes no other treatment; what becomes of them does', () => {
    expect(treatmentId([anonymise('a'), redact('b')])).toBe(treatmentId([redact('b'), anonymise('a')]));
    expect(treatmentId([anonymise('a')])).not.toBe(treatmentId([redact('a')]));
  });
});

test('bytes that do not add up cannot be treated, wherever they are cut or changed in length', () => {
  const raw = serialize({ _id: 1, a: { b: ['x', { c: 'y' }] }, d: 'z' });
  for (let length = 0; length < raw.length; length++)
    expect(treatDocument(raw.subarray(0, length), treatment([anonymise('a.b.c')]))).toBeNull();
});

const NAMES = ['a', 'b', 'c', 'd'] as const;
const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.string({ maxLength: 8 }),
    fc.integer().map((n) => new Int32(n | 0)),
    fc.double({ noNaN: true }).map((n) => new Double(n)),
    fc.constant(null),
    fc.boolean(),
    fc.date({ noInvalidDate: true }),
    fc.array(tie('value'), { maxLength: 3 }),
    tie('document'),
  ),
  document: fc.dictionary(fc.constantFrom(...NAMES), tie('value'), { maxKeys: 4, noNullPrototype: true }),
})).value;
const document = fc
  .dictionary(fc.constantFrom(...NAMES), value, { maxKeys: 4, noNullPrototype: true })
  .map((fields) => ({ _id: 1, ...fields }));
const path = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }).map((steps) => steps.join('.'));
const fieldsOf = fc.uniqueArray(
  fc.record({ field: path, how: fc.constantFrom('anonymise' as const, 'redact' as const, 'pseudonymise' as const) }),
  { minLength: 1, maxLength: 4, selector: ({ field }) => field },
);

/** Each value that no path leads to or into, with the path that it stands at, as bytes. Written from the promise alone. */
function untouched(document: unknown, paths: readonly (readonly string[])[], at = ''): string[] {
  if (paths.some((rest) => rest.length === 0)) return [];
  if (Array.isArray(document)) {
    // A list is on the way with every element; without a path into it, it stands as a whole.
    if (paths.length === 0) return [`${at}=${hex(document)}`];
    return document.flatMap((element: unknown, index) => {
      const isContainer = typeof element === 'object' && element !== null;
      return isContainer ? untouched(element, paths, `${at}[${index}]`) : [`${at}[${index}]=${hex(element)}`];
    });
  }
  const isDocument =
    typeof document === 'object' && document !== null && Object.getPrototypeOf(document) === Object.prototype;
  if (!isDocument || paths.length === 0) return [`${at}=${hex(document)}`];
  return Object.entries(document).flatMap(([name, inner]) => {
    const into = paths.filter(([first]) => first === name).map((steps) => steps.slice(1));
    return untouched(inner, into, `${at}.${name}`);
  });
}

function hex(one: unknown): string {
  return Buffer.from(serialize({ one })).toString('hex');
}

describe('for any document and any treatment', () => {
  test('what no path names is there with the same bytes, in the same order, and nothing else is new', () => {
    fc.assert(
      fc.property(document, fieldsOf, (given, fields) => {
        const paths = fields.map(({ field }) => field.split('.'));
        const before = untouched(given, paths);
        const after = untouched(plain(treatDocument(serialize(given), treatment(fields))), paths);
        expect(after).toEqual(before);
      }),
      { numRuns: 500 },
    );
  });

  test('it is canonical, treating it again gives the same, and a stock library reads it', () => {
    fc.assert(
      fc.property(document, fieldsOf, (given, fields) => {
        const once = treatDocument(serialize(given), treatment(fields));
        if (once === null) throw new Error('It was not treated.');
        const again = treatDocument(once, treatment(fields));
        expect(Buffer.compare(again ?? new Uint8Array(), once)).toBe(0);
        expect(isCanonical(once)).toBe(true);
        expect(once.length).toBe(BSON.serialize(BSON.deserialize(once, { promoteValues: false })).length);
      }),
      { numRuns: 300 },
    );
  });

  test('nothing that is pseudonymised can be read back, and no two owners share a pseudonym', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 4, maxLength: 40 }).filter((text) => text.trim() !== ''),
        (text) => {
          const of = (key: string) => String(treated({ _id: 1, value: text }, [pseudonymise('value')], key)['value']);
          expect(of('acme')).not.toBe(of('globex'));
          expect(of('acme')).not.toContain(text);
        },
      ),
    );
  });
});

function plain(raw: Uint8Array | null): unknown {
  if (raw === null) throw new Error('It was not treated.');
  const { [MARKER]: _, ...rest } = BSON.deserialize(raw, { promoteValues: false });
  return rest;
}
