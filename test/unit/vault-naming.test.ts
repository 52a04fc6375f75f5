import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import {
  bucketName,
  bucketTemplateFault,
  customerPrefix,
  escapeForBucket,
  escapeId,
  partiesOfVaultName,
  tagValue,
  unescapeFromBucket,
  unescapeId,
  vaultName,
} from '../../src/vault/naming.ts';

/** Ids that look like escapes, hashes and each other, besides any text at all (lone surrogates too). */
const tricky = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
  fc.string({
    unit: fc.constantFrom('a', 'A', '.', '_', '-', 'h', 'u', '0', '2', 'e', ' ', 'é', '\ud800'),
    minLength: 1,
  }),
  fc.string({ unit: fc.constantFrom('a', '.', '_'), minLength: 200, maxLength: 400 }),
);
const pairs = fc.tuple(tricky, tricky, tricky, tricky);
const name = (owner: string, customer: string) => vaultName('0a1b2c3d', id.owner(owner), id.customer(customer));

describe('vault names', () => {
  test('two different pairs of owner and customer never share a vault, a bucket with prefix, or tags', () => {
    fc.assert(
      fc.property(pairs, ([owner, customer, otherOwner, otherCustomer]) => {
        fc.pre(owner !== otherOwner || customer !== otherCustomer);
        expect(name(owner, customer)).not.toBe(name(otherOwner, otherCustomer));
        const place = (o: string, c: string) =>
          `${bucketName('moraine-{owner}', 'x', id.owner(o))}/${customerPrefix(id.customer(c))}`;
        expect(place(owner, customer)).not.toBe(place(otherOwner, otherCustomer));
        const tags = (o: string, c: string) => [tagValue(o), tagValue(c)];
        expect(tags(owner, customer)).not.toEqual(tags(otherOwner, otherCustomer));
      }),
      { numRuns: 1000 },
    );
  });

  test('a separator inside an id does not move the border between owner and customer', () => {
    expect(name('a.b', 'c')).not.toBe(name('a', 'b.c'));
    expect(name('a_2eb', 'c')).not.toBe(name('a.b', 'c'));
  });

  test('every name keeps the rules of its service', () => {
    fc.assert(
      fc.property(tricky, tricky, (owner, customer) => {
        expect(name(owner, customer)).toMatch(/^[A-Za-z0-9_.-]{1,255}$/);
        expect(bucketName('moraine-{owner}', 'x', id.owner(owner))).toMatch(/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/);
        expect(customerPrefix(id.customer(customer))).toMatch(/^[A-Za-z0-9_.-]{1,700}\/$/);
        expect(tagValue(owner)).toMatch(/^[A-Za-z0-9_.-]{1,256}$/);
      }),
    );
  });

  test('the escape can be read back, and so can a name that was not cut', () => {
    fc.assert(
      fc.property(tricky, tricky, (owner, customer) => {
        expect(unescapeId(escapeId(owner))).toBe(owner);
        expect(unescapeFromBucket(escapeForBucket(owner))).toBe(owner);
        const whole = `0a1b2c3d.${escapeId(owner)}.${escapeId(customer)}`.length <= 255;
        expect(partiesOfVaultName(name(owner, customer))).toEqual(whole ? { owner, customer } : null);
      }),
    );
  });

  test('plain names stay readable', () => {
    expect(name('acme', 'Nordwind-AG')).toBe('0a1b2c3d.acme.Nordwind-AG');
    expect(name('acme', 'help@nordwind.example')).toBe('0a1b2c3d.acme.help_40nordwind_2eexample');
    expect(bucketName('moraine-{installation}-{owner}', '0a1b2c3d-9999', id.owner('acme'))).toBe(
      'moraine-0a1b2c3d-acme',
    );
  });

  test.each([
    ['moraine', 'exactly once'],
    ['{owner}-{owner}', 'exactly once'],
    ['Moraine-{owner}', 'lower case'],
    ['{owner}', 'must begin'],
    ['moraine--{owner}', '"--"'],
    ['sthree-{owner}', 'reserved'],
    ['a-name-that-is-much-too-long-for-any-bucket-{owner}', 'too long'],
  ])('bucket template %s is refused: %s', (template, why) => {
    expect(bucketTemplateFault(template)).toContain(why);
  });

  test('a bucket template with owner and installation is taken', () => {
    expect(bucketTemplateFault('moraine-{installation}-{owner}')).toBeNull();
  });
});
