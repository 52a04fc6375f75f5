import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import {
  DESCRIPTION_MAX,
  describeIntent,
  intentMetadata,
  objectKey,
  readIntent,
  readMetadata,
  readObjectKey,
} from '../../src/vault/intent.ts';
import type { UploadIntent } from '../../src/vault/port.ts';

const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 600 });
const uuid = fc.uuid();
const intents = fc
  .record({ installation: uuid, archive: uuid, attempt: uuid, owner: text, customer: text, dataset: text })
  .map(
    (fields): UploadIntent => ({
      installation: fields.installation,
      archive: id.archive(fields.archive),
      attempt: id.attempt(fields.attempt),
      owner: id.owner(fields.owner),
      customer: id.customer(fields.customer),
      dataset: fields.dataset,
      dueAt: '2031-06-30T22:00:00.000Z',
      policyVersion: id.policyVersion('f'.repeat(64)),
    }),
  );

describe('upload intents', () => {
  test('any names: the description keeps the limits of Glacier and its ids stay whole', () => {
    fc.assert(
      fc.property(intents, (intent) => {
        const description = describeIntent(intent);
        expect(description.length).toBeLessThanOrEqual(DESCRIPTION_MAX);
        expect(description).toMatch(/^[ -~]*$/);
        const read = readIntent(description);
        expect(read).toMatchObject({
          installation: intent.installation,
          archive: intent.archive,
          attempt: intent.attempt,
          dueAt: intent.dueAt,
          policyVersion: intent.policyVersion,
        });
        const metadata = intentMetadata(intent);
        expect(readMetadata(metadata)).toEqual(read);
        expect(Object.entries(metadata).join('').length).toBeLessThan(2048);
      }),
      { numRuns: 500 },
    );
  });

  test('names of common length come back whole, non-ASCII ones too', () => {
    const intent: UploadIntent = {
      installation: 'i',
      archive: id.archive('a'),
      attempt: id.attempt('t'),
      owner: id.owner('Øresund Forsikring'),
      customer: id.customer('oid:65f2a8b4c1d2e3f405060708'),
      dataset: 'support.chats',
      dueAt: '2031-01-01T00:00:00.000Z',
      policyVersion: id.policyVersion('1'),
    };
    expect(readIntent(describeIntent(intent))).toEqual(intent);
  });

  test('two long names that begin alike do not become the same', () => {
    fc.assert(
      fc.property(intents, (intent) => {
        const long = 'x'.repeat(400);
        const one = describeIntent({ ...intent, customer: id.customer(`${long}1`) });
        const other = describeIntent({ ...intent, customer: id.customer(`${long}2`) });
        expect(one).not.toBe(other);
      }),
      { numRuns: 20 },
    );
  });

  test.each([
    '',
    'backup 2019',
    '{',
    '{}',
    '[]',
    'null',
    '{"moraine":2}',
    '{"moraine":1,"i":"x"}',
    '{"moraine":1,"i":7}',
  ])('a foreign description is no intent: %s', (description) => {
    expect(readIntent(description)).toBeNull();
  });

  test('a key says archive and attempt only under its own prefix', () => {
    const names = { archive: id.archive('a1'), attempt: id.attempt('t1') };
    const key = objectKey('nordwind/', names);
    expect(readObjectKey('nordwind/', key)).toEqual(names);
    expect(readObjectKey('other/', key)).toBeNull();
    expect(readObjectKey('nordwind/', 'nordwind/report.pdf')).toBeNull();
    expect(readObjectKey('nordwind/', 'nordwind/deeper/a1.t1.tar')).toBeNull();
  });
});
