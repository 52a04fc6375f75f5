/** Retention schedules as records managers write them: what each form comes to, and what a slip in it is told. */
import { describe, expect, test } from 'vitest';
import { loadPolicies, loadPolicy } from '../../src/policy/load.ts';
import type { Policy } from '../../src/policy/policy.ts';

const base = (lines: string) => `policy: contacts
zone: Europe/Amsterdam
dataset:
  collection: dialler.contacts
  owner: { field: owner }
  customer: { field: tenant }
${lines}
limits: { records: 1000, share: 0.5 }
`;
const ARCHIVED = `then: archive
archive: { for: 7 years, vault: cold }`;
const schedule = (lines: string, then = ARCHIVED) => base(`${lines}\n${then}`);

function load(text: string): Policy {
  const { loaded, problems } = loadPolicy('contacts.yaml', text);
  if (loaded === null) throw new Error(problems.map((one) => `${one.field}: ${one.expected}`).join('\n'));
  return loaded.policy;
}
const told = (text: string) =>
  loadPolicy('contacts.yaml', text).problems.map(
    ({ line, field, expected, found, hint }) =>
      `${line} ${field}: ${expected}, found ${found}${hint === undefined ? '' : `. ${hint}`}`,
  );

describe('periods', () => {
  const active = (text: string) => load(schedule(`trigger: { field: at }\nactive: ${text}`)).active;

  test('by tier, by owner and by customer, one within another', () => {
    expect(active('{ by: plan, of: { enterprise: 2 years, trial: completion }, otherwise: 3 months }')).toEqual({
      by: { field: 'plan' },
      of: { enterprise: 'P2Y', trial: 'P0D' },
      otherwise: 'P3M',
    });
    expect(
      active(
        '{ by: customer, of: { globex: { by: { field: owner }, of: { a: 1 day }, otherwise: P2D } }, otherwise: P3D }',
      ),
    ).toEqual({
      by: 'customer',
      of: { globex: { by: { field: 'owner' }, of: { a: 'P1D' }, otherwise: 'P2D' } },
      otherwise: 'P3D',
    });
  });

  test('months up to a stated maximum, and the life of a subscription', () => {
    expect(active('{ months: keepMonths, atMost: 120, otherwise: 1 year }')).toEqual({
      months: { field: 'keepMonths' },
      atMost: 120,
      otherwise: 'P1Y',
    });
    expect(active('{ until: subscription.endsAt, atMost: 10 years }')).toEqual({
      until: { field: 'subscription.endsAt' },
      atMost: 'P10Y',
    });
  });

  test('completion: due at the trigger', () => {
    expect(active('completion')).toBe('P0D');
  });

  test.each([
    [
      'completions',
      '8 active: a period such as "2 years", "18 months" or P1Y6M, of at most 1000 years, found "completions"',
    ],
    ['P0D', '8 active: a period such as "2 years", "18 months" or P1Y6M, of at most 1000 years, found "P0D"'],
    [
      '{ by: plan, of: { enterprise: 2 yers }, otherwise: 3 months }',
      '8 active.of.enterprise: a period such as "2 years", "18 months" or P1Y6M, of at most 1000 years, found "2 yers"',
    ],
    [
      '{ by: plan, of: { enterprise: 2 years } }',
      '8 active.otherwise: a period such as "2 years", "18 months" or P1Y6M, found nothing',
    ],
    [
      '{ by: plan, off: { enterprise: 2 years }, otherwise: 1 day }',
      '8 active.off: one of by, of, otherwise, months, atMost, until, found "off". Did you mean of?',
    ],
    [
      '{ months: m, atMost: 120000, otherwise: 1 day }',
      '8 active.atMost: a whole number of months, 1 to 12000, found 120000',
    ],
    [
      '{ until: endsAt, atMost: 1001 years }',
      '8 active.atMost: a period such as "2 years", "18 months" or P1Y6M, of at most 1000 years, found "1001 years"',
    ],
  ])('%s', (text, problem) => {
    expect(told(schedule(`trigger: { field: at }\nactive: ${text}`))).toEqual([problem]);
  });

  const kept = (text: string) =>
    schedule('trigger: { field: at }\nactive: 1 year', `then: archive\narchive: { for: ${text}, vault: cold }`);

  test('an archive is kept for the life of a subscription, and not for no time', () => {
    expect(
      load(kept('{ by: customer, of: { a: { until: contract.end, atMost: 1 year } }, otherwise: 7 years }')),
    ).toMatchObject({
      archive: {
        for: { by: 'customer', of: { a: { until: { field: 'contract.end' }, atMost: 'P1Y' } }, otherwise: 'P7Y' },
      },
    });
    expect(told(kept('{ until: contract.end }'))).toEqual([
      '10 archive.for.atMost: a period such as "2 years", "18 months" or P1Y6M, found nothing',
    ]);
    expect(told(kept('completion'))).toEqual([
      '10 archive.for: a period such as "2 years", "18 months" or P1Y6M, of at most 1000 years, found "completion"',
    ]);
  });

  test('the words for when a policy runs are no periods, and say where they belong', () => {
    expect(told(schedule('trigger: { field: at }\nactive: nightly'))).toEqual([
      '8 active: a period such as "2 years", "18 months" or P1Y6M (when the policy runs is said by `schedule: nightly`), found "nightly"',
    ]);
  });
});

describe('triggers', () => {
  const trigger = (text: string, more = 'active: 1 year') => load(schedule(`trigger: ${text}\n${more}`)).trigger;

  test('an event, the latest of several, and a date from elsewhere', () => {
    const composite = { kind: 'composite', created: { kind: 'date', field: 'createdAt' }, latest: 'P5Y' };
    expect(trigger('{ event: closedAt, created: createdAt, latest: 5 years }')).toEqual({
      ...composite,
      of: [{ field: 'closedAt' }],
      expires: false,
    });
    expect(trigger('{ latestOf: [closedAt, answered.at], created: { objectId: _id }, latest: 5 years }')).toEqual({
      ...composite,
      created: { kind: 'objectId', field: '_id' },
      of: [{ field: 'closedAt' }, { field: 'answered.at' }],
      expires: false,
    });
    const lookUp = '\nlookUps: { list: { collection: dialler.lists, from: listId } }';
    const text = `{ expires: { lookUp: list, field: expiresAt }, created: createdAt, latest: 5 years }${lookUp}`;
    expect(trigger(text, '')).toEqual({ ...composite, of: [{ lookUp: 'list', field: 'expiresAt' }], expires: true });
  });

  test('without its latest date an event is refused: a record would be kept for ever', () => {
    expect(told(schedule('trigger: { event: closedAt, created: createdAt }\nactive: 1 year'))).toEqual([
      '7 trigger.latest: a period such as "2 years", "18 months" or P1Y6M, found nothing',
    ]);
    expect(told(schedule('trigger: { event: closedAt, create: createdAt, latest: 1 year }\nactive: 1 year'))).toEqual([
      '7 trigger.create: one of field, objectId, expires, event, created, latest, latestOf, found "create". Did you mean created?',
    ]);
  });

  test('a date from elsewhere needs the date of creation: the form that was begun is the one that is told', () => {
    expect(
      told(
        schedule(
          'trigger: { expires: { lookUp: list, field: expiresAt } }\nlookUps: { list: { collection: dialler.lists, from: listId } }',
        ),
      ),
    ).toEqual([
      '7 trigger.created: the field with the date of creation, or { objectId: _id }, found nothing',
      '7 trigger.latest: a period such as "2 years", "18 months" or P1Y6M, found nothing',
    ]);
  });
});

describe('look-ups', () => {
  const by = (lookUps: string, ref = '{ lookUp: customer, field: plan }') =>
    schedule(
      `lookUps:\n${lookUps}\ntrigger: { field: at }\nactive: { by: ${ref}, of: { a: 1 day }, otherwise: 1 year }`,
    );

  test('by its id, or by another unique field, and one from another', () => {
    const text = by(
      '  contract: { collection: crm.contracts, key: number, from: contractNumber }\n  customer: { collection: crm.customers, from: { lookUp: contract, field: customerId } }',
    );
    expect(load(text).dataset.lookUps).toEqual({
      contract: { collection: 'crm.contracts', key: 'number', from: { field: 'contractNumber' } },
      customer: { collection: 'crm.customers', key: '_id', from: { lookUp: 'contract', field: 'customerId' } },
    });
  });

  test('a name that is not there, with the nearest that is', () => {
    expect(told(by('  customer: { collection: crm.customers, from: c }', '{ lookUp: custmer, field: plan }'))).toEqual([
      '8 lookUps.customer: a look-up that something uses, found a map',
      '10 active.by.lookUp: one of customer, found "custmer". Did you mean customer?',
    ]);
    expect(told(schedule('trigger: { field: at }\nactive: { until: { lookUp: a, field: b }, atMost: 1 day }'))).toEqual(
      ['8 active.until.lookUp: a look-up that lookUps names, and there are none, found "a"'],
    );
  });

  test('a circle is told once, whole', () => {
    const text = by(
      '  customer: { collection: crm.customers, from: { lookUp: list, field: c } }\n  list: { collection: crm.lists, from: { lookUp: customer, field: l } }',
    );
    expect(told(text)).toEqual([
      '8 lookUps.customer.from: a value that does not depend on itself: customer looks up from list looks up from customer, found a map. Begin with a field of the record.',
    ]);
  });
});

describe('rules', () => {
  const rules = (text: string) => schedule(`trigger: { field: at }\nactive: 1 year\nrules:\n${text}`);

  test('how special a rule is comes from what it names, unless it says so', () => {
    const text = rules(`  - { name: everything, retain: 1 year }
  - { name: ours, when: { owner: acme }, delete: 2 years }
  - { name: theirs, when: { owner: acme, customer: [globex, initech] }, retain: 3 years, delete: 3 years }
  - { name: disputed, when: { field: label, is: [dispute, 7, true] }, retain: 7 years }
  - { name: collection, scope: dataset, delete: 4 years }`);
    expect(load(text).rules).toEqual([
      { name: 'everything', specificity: 'organisation', when: null, retain: 'P1Y' },
      { name: 'ours', specificity: 'owner', when: { owner: ['acme'] }, delete: 'P2Y' },
      {
        name: 'theirs',
        specificity: 'customer',
        when: { owner: ['acme'], customer: ['globex', 'initech'] },
        retain: 'P3Y',
        delete: 'P3Y',
      },
      {
        name: 'disputed',
        specificity: 'label',
        when: { value: { ref: { field: 'label' }, is: ['dispute', '7', 'true'] } },
        retain: 'P7Y',
      },
      { name: 'collection', specificity: 'dataset', when: null, delete: 'P4Y' },
    ]);
  });

  test('retain and delete take the forms of the active period', () => {
    const text = rules(`  - { name: done, when: { field: state, is: closed }, delete: completion }
  - { name: plans, delete: { by: plan, of: { trial: completion }, otherwise: { months: keep, atMost: 24, otherwise: 1 year } } }
  - { name: contract, retain: { until: contract.end, atMost: 10 years } }`);
    expect(load(text).rules).toMatchObject([
      { delete: 'P0D' },
      {
        delete: {
          by: { field: 'plan' },
          of: { trial: 'P0D' },
          otherwise: { months: { field: 'keep' }, atMost: 24, otherwise: 'P1Y' },
        },
      },
      { retain: { until: { field: 'contract.end' }, atMost: 'P10Y' } },
    ]);
  });

  test.each([
    [
      '  - { name: a, retain: completion }',
      '10 rules[0].retain: a period such as "2 years", "18 months" or P1Y6M, of at most 1000 years, found "completion"',
    ],
    [
      '  - { name: a, delete: { by: plan, of: { x: 1 yer }, otherwise: 1 year } }',
      '10 rules[0].delete.of.x: a period such as "2 years", "18 months" or P1Y6M, of at most 1000 years, found "1 yer"',
    ],
    ['  - { name: nothing }', '10 rules[0]: retain or delete, or both, found a map'],
    [
      '  - { name: a, retain: 1 day }\n  - { name: a, retain: 1 day }',
      '11 rules[1].name: a name that no other rule has, found "a"',
    ],
    [
      '  - { name: a, retain: 1 day, when: { field: label } }',
      '10 rules[0].when: field and is together, such as { field: label, is: dispute }, found a map',
    ],
    [
      '  - { name: a, scope: tenant, retain: 1 day }',
      '10 rules[0].scope: organisation, owner, customer, dataset, label, found "tenant"',
    ],
    [
      '  - { name: a, retian: 1 day }',
      '10 rules[0].retian: one of name, scope, when, retain, delete, found "retian". Did you mean retain?',
    ],
  ])('%s', (text, problem) => {
    expect(told(rules(text))).toEqual([problem]);
  });
});

describe('dispositions', () => {
  const then = (lines: string) => schedule('trigger: { field: at }\nactive: 1 year', lines);

  test('delete, in place, and a chain', () => {
    expect(load(then('then: delete'))).toMatchObject({ disposition: 'delete', archive: null });
    expect(load(then('then: delete'))).not.toHaveProperty('treat');
    expect(load(then('then: [pseudonymise, anonymise]\nanonymise: [a, b.c]\npseudonymise: [d]'))).toMatchObject({
      disposition: 'treat',
      archive: null,
      treat: [
        { field: 'a', how: 'anonymise' },
        { field: 'b.c', how: 'anonymise' },
        { field: 'd', how: 'pseudonymise' },
      ],
    });
    const chain = 'then: [archive, redact]\nredact: [text]\narchive: { for: 1 year, vault: cold }';
    expect(load(then(chain))).toMatchObject({ disposition: 'archive', treat: [{ field: 'text', how: 'redact' }] });
  });

  test.each([
    [
      'then: delete\narchive: { for: 1 year, vault: cold }',
      '10 archive: no archive, for `then` does not say archive, found a map',
    ],
    ['then: archive', '1 archive: a group with for and vault, found nothing'],
    [
      'then: [delete, anonymise]\nanonymise: [a]',
      '9 then: delete alone: nothing is left to do anything with, found a list',
    ],
    [
      'then: [anonymise, archive]\nanonymise: [a]\narchive: { for: 1 day, vault: c }',
      '9 then: archive first, found a list. The copy is made before the original is treated.',
    ],
    [
      'then: anonymise',
      '1 anonymise: the fields that `then: anonymise` is about, such as [contact.email], found nothing',
    ],
    ['then: delete\nredact: [a]', '10 redact: redact in `then`, or no such list, found a list'],
    ['then: anonymise\nanonymise: [at]', '10 anonymise[0]: a field that the trigger does not lie in, found "at"'],
    [
      'then: anonymise\nanonymise: [tenant.name]',
      '10 anonymise[0]: a field that the customer does not lie in, found "tenant.name"',
    ],
    [
      'then: [anonymise, redact]\nanonymise: [a]\nredact: [a.b]',
      '11 redact[0]: a field that is treated once: a is in a list already, found "a.b"',
    ],
    ['then: [redact, redact]\nredact: [a]', '9 then: each word once, and redact is there twice, found a list'],
  ])('%s', (text, problem) => {
    expect(told(then(text))).toEqual([problem]);
  });
});

test('words for the times that most policies run at', () => {
  const when = (text: string) =>
    load(`${schedule('trigger: { field: at }\nactive: 1 year')}schedule: ${text}\n`).schedule;
  expect(['hourly', 'daily', 'nightly', 'monthly', '"5 4  * * *"'].map(when)).toEqual([
    '0 * * * *',
    '0 2 * * *',
    '0 2 * * *',
    '0 2 1 * *',
    '5 4 * * *',
  ]);
});

describe('the unit', () => {
  const unit = (lines: string) => base(`${lines}\ntrigger: { field: at }\nactive: 1 year\n${ARCHIVED}`);

  test('children and attachments', () => {
    const { dataset } = load(
      unit(`  children:
    - { collection: dialler.notes, key: contactId }
    - { collection: dialler.calls, key: contact, parent: number, customer: { field: tenant }, version: { field: rev } }
  attachments:
    - { s3: recordings, bucket: { value: voice }, key: recordings.key, version: recordings.version, exclusive: true }
    - { gridfs: fs, file: photoId, exclusive: false }`),
    );
    expect(dataset.children).toEqual([
      { collection: 'dialler.notes', key: 'contactId', parent: '_id' },
      { collection: 'dialler.calls', key: 'contact', parent: 'number', customer: { field: 'tenant' }, version: 'rev' },
    ]);
    expect(dataset.attachments).toEqual([
      {
        kind: 's3',
        store: 'recordings',
        bucket: { value: 'voice' },
        key: 'recordings.key',
        version: 'recordings.version',
        exclusive: true,
      },
      { kind: 'gridfs', bucket: 'fs', file: 'photoId', exclusive: false },
    ]);
  });

  test('whether a file is exclusive is said, never guessed', () => {
    expect(told(unit('  attachments: [{ gridfs: fs, file: photoId }]'))).toEqual([
      '7 dataset.attachments[0].exclusive: true or false: whether no other record refers to the file, so that it is deleted with this one, found nothing',
    ]);
  });

  test('a collection is deleted from by one policy', () => {
    expect(told(unit('  children: [{ collection: dialler.contacts, key: parentId }]'))).toEqual([
      '7 dataset.children[0].collection: another collection than the dataset, found "dialler.contacts"',
    ]);
    const notes = schedule('trigger: { field: at }\nactive: 1 year')
      .replace('policy: contacts', 'policy: notes')
      .replace('dialler.contacts', 'dialler.notes');
    const { problems } = loadPolicies([
      { file: 'contacts.yaml', text: unit('  children: [{ collection: dialler.notes, key: contactId }]') },
      { file: 'notes.yaml', text: notes },
    ]);
    expect(problems).toMatchObject([{ file: 'notes.yaml', field: 'dataset.collection' }]);
  });
});

describe('what can never matter is a warning, and no mistake', () => {
  const warned = (rules: string, from = 'owner: { field: owner }', to = 'owner: { field: owner }') =>
    loadPolicy(
      'contacts.yaml',
      schedule(`trigger: { field: at }\nactive: 1 year\nrules:\n${rules}`).replace(from, to),
    ).loaded?.warnings.map(
      ({ line, field, expected, hint }) => `${line} ${field}: ${expected}${hint === undefined ? '' : `. ${hint}`}`,
    );

  test.each([
    ['  - { name: a, when: { customer: x }, delete: 5 years }', []],
    [
      '  - { name: a, delete: 5 years }\n  - { name: b, scope: dataset, delete: 6 years }',
      [
        '8 active: a period that can count: rule a is about every record and takes its place',
        '10 rules[0].delete: a date that can count: rule b is about every record and decides before it',
      ],
    ],
    [
      '  - { name: a, when: { field: label, is: x }, retain: 3 years }\n  - { name: b, retain: 4 years }',
      ['10 rules[0].retain: a retention that can count: rule b retains every record for longer'],
    ],
    ['  - { name: a, when: { field: label, is: x }, retain: 30 days }\n  - { name: b, retain: 1 month }', []],
  ])('%s', (rules, warnings) => {
    expect([...(warned(rules) ?? [])].sort()).toEqual([...warnings].sort());
  });

  test('a rule about another owner than the dataset has', () => {
    expect(
      warned('  - { name: a, when: { owner: umbra }, retain: 2 years }', '{ field: owner }', '{ value: acme }'),
    ).toEqual(['10 rules[0].when: owner: acme, as the dataset says. The rule is about no record.']);
  });
});
