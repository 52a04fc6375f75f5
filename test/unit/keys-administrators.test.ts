import { describe, expect, it } from 'vitest';
import { id } from '../../src/ids.ts';
import { newIdentity } from '../../src/keys/administrator.ts';
import {
  type Administrator,
  assessAdministrators,
  nameRecipients,
  recipientProblem,
} from '../../src/keys/recipients.ts';

const acme = id.owner('acme');
const all = (_recipient: string) => true;
const none = () => false;
const person = (name: string, recipient: string, recovery = false): Administrator => ({ name, recipient, recovery });
const [A, B] = ['age1aaaaaaaaaaaaaaaaaaaa', 'age1bbbbbbbbbbbbbbbbbbbb'];

describe('assessAdministrators', () => {
  const refusal = (administrators: readonly Administrator[], isProven = all) =>
    expect(() => assessAdministrators(acme, administrators, 'production', isProven));

  it('nobody: refused in every environment', () => {
    for (const environment of ['sandbox', 'non-production', 'production'] as const) {
      expect(() => assessAdministrators(acme, [], environment, all)).toThrow(/names no administrator/);
    }
  });
  it('production: one recipient is too few', () => {
    refusal([person('a', A, true)]).toThrow(/needs 2 different recipients, there is 1/);
  });
  it('production: the same recipient under two names is one recipient', () => {
    refusal([person('a', A), person('b', A, true)]).toThrow(/there is 1/);
  });
  it('production: none for recovery', () => {
    refusal([person('a', A), person('b', B)]).toThrow(/recovery: true/);
  });
  it('production: one of two unproven: refused and named', () => {
    refusal([person('a', A), person('b', B, true)], (recipient) => recipient === A).toThrow(/not proven: b \(age1b/);
  });
  it('production: two proven, one for recovery: no warning', () => {
    expect(assessAdministrators(acme, [person('a', A), person('b', B, true)], 'production', all)).toEqual([]);
  });
  it('elsewhere: one unproven recipient is enough, with warnings', () => {
    for (const environment of ['sandbox', 'non-production'] as const) {
      const warnings = assessAdministrators(acme, [person('a', A)], environment, none);
      expect(warnings.join(' ')).toMatch(/one administrator.*unproven recipients: a \(age1/);
    }
  });
  it('production with a key of KMS: the recovery recipient beside it is enough; without one it is refused', () => {
    const withKms = (...administrators: readonly Administrator[]) =>
      assessAdministrators(acme, administrators, 'production', all, true);
    expect(withKms(person('safe', A, true))).toEqual([]);
    expect(() => withKms()).toThrow(/needs 1 different recipients beside its key of KMS, there is 0; none of them/);
    expect(() => withKms(person('a', A))).toThrow(/recovery: true/);
    expect(() => assessAdministrators(acme, [person('safe', A, true)], 'production', none, true)).toThrow(/not proven/);
  });
  it('elsewhere: a key of KMS alone is enough, with a warning', () => {
    expect(assessAdministrators(acme, [], 'sandbox', all, true)).toEqual([expect.stringMatching(/no recipient/)]);
    expect(assessAdministrators(acme, [person('a', A)], 'sandbox', all, true)).toEqual([]);
  });
  it('a post-quantum recipient beside a classic one is a warning, alone it is none', () => {
    const mixed = [person('a', A), person('b', 'age1pq1cccccccccccccccc', true)];
    expect(assessAdministrators(acme, mixed, 'production', all)).toEqual([expect.stringMatching(/post-quantum/)]);
    const both = [person('a', 'age1pq1dddddddddddddddd'), person('b', 'age1pq1cccccccccccccccc', true)];
    expect(assessAdministrators(acme, both, 'production', all)).toEqual([]);
  });
});

describe('recipientProblem', () => {
  it('accepts both kinds that Moraine makes', async () => {
    const now = new Date(0);
    for (const postQuantum of [false, true]) {
      expect(recipientProblem((await newIdentity({ now, postQuantum })).recipient)).toBeNull();
    }
  });
  it('refuses a typing error, an identity, a plug-in recipient and other text', async () => {
    const { recipient, file } = await newIdentity({ now: new Date(0) });
    const last = recipient.at(-1) === 'q' ? 'p' : 'q';
    expect(recipientProblem(recipient.slice(0, -1) + last)).toMatch(/checksum is wrong/);
    expect(recipientProblem(file.split('\n')[2] ?? '')).toMatch(/an age recipient/);
    expect(recipientProblem('age1tag1qqqq')).toMatch(/an age recipient/);
    expect(recipientProblem('')).toMatch(/an age recipient/);
  });
});

it('nameRecipients: names where known, shortened recipients', () => {
  expect(nameRecipients([A, 'age1former'], [person('alice', A)])).toBe('alice (age1aaaaaaaaaaaa…), age1former');
});
