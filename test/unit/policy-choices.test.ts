/** A disposition that owners, customers, fields or tiers choose: how it is written, read, explained, compared and noticed. */
import { describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { compile, type DecisionFacts } from '../../src/policy/compile.ts';
import { decide } from '../../src/policy/decide.ts';
import { deletesMore } from '../../src/policy/deletes-more.ts';
import { changeWords, differenceOf } from '../../src/policy/difference.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { type Policy, policyVersion, toShape } from '../../src/policy/policy.ts';
import { considerRules } from '../../src/policy/rules.ts';
import { termsOf } from '../../src/policy/terms.ts';
import { treatmentId } from '../../src/policy/treatment.ts';
import { scheduleWords } from '../../src/policy/words.ts';

const text = (then: string, { dataset = '', more = '' } = {}) => `policy: interactions
zone: UTC
dataset:
  collection: contact.interactions
  owner: { field: owner }
  customer: { field: tenant }
${dataset}trigger: { field: endedAt }
active: 1 year
${more}${then}
limits: { records: 1000, share: 0.5 }
`;
const ARCHIVE = 'archive: { for: 7 years, vault: cold }';
const BY_CUSTOMER = `then:
  by: customer
  of:
    acme: delete
    bolt: [{ redact: [notes] }, { pseudonymise: [email] }]
    clinic: [archive, anonymise]
  otherwise: archive
anonymise: [email]
${ARCHIVE}`;

function load(then: string, of?: Parameters<typeof text>[1]): Policy {
  const { loaded, problems } = loadPolicy('interactions.yaml', text(then, of));
  if (loaded === null) throw new Error(problems.map((one) => `${one.field}: ${one.expected}`).join('\n'));
  return loaded.policy;
}
const line = (one: { line: number; field: string; expected: string; found: string; hint?: string }) =>
  `${one.line} ${one.field}: ${one.expected}, found ${one.found}${one.hint === undefined ? '' : `. ${one.hint}`}`;
const told = (then: string) => loadPolicy('interactions.yaml', text(then)).problems.map(line);
const warned = (then: string, of?: Parameters<typeof text>[1]) =>
  (loadPolicy('interactions.yaml', text(then, of)).loaded?.warnings ?? []).map(line);

const at = (day: string) => Date.parse(`${day}T00:00:00Z`);
const of = (customer: string, over: Partial<DecisionFacts> = {}): DecisionFacts => ({
  owner: id.owner('north'),
  customer: id.customer(customer),
  trigger: at('2020-01-01'),
  exemptUntil: null,
  quarantined: false,
  unfit: [],
  ...over,
});
const NOW = at('2022-01-01');

describe('how it is written', () => {
  test('by customer, each with its own words, lists and fields', () => {
    const policy = load(BY_CUSTOMER);
    expect(policy.disposition).toBe('chosen');
    expect(policy).not.toHaveProperty('treat');
    expect(policy.dispositions).toEqual({
      by: 'customer',
      of: {
        acme: { disposition: 'delete' },
        bolt: {
          disposition: 'treat',
          treat: [
            { field: 'notes', how: 'redact' },
            { field: 'email', how: 'pseudonymise' },
          ],
        },
        clinic: { disposition: 'archive', treat: [{ field: 'email', how: 'anonymise' }] },
      },
      otherwise: { disposition: 'archive' },
    });
  });

  test('fields in the place are the same policy as fields in a list', () => {
    const inPlace = load('then: [archive, { redact: [a, b] }]\narchive: { for: 1 year, vault: cold }');
    const listed = load('then: [archive, redact]\nredact: [a, b]\narchive: { for: 1 year, vault: cold }');
    expect(policyVersion(inPlace)).toBe(policyVersion(listed));
    expect(inPlace.disposition).toBe('archive');
  });

  test('a tier within a customer, and what it looks at is read', () => {
    const policy = load(`then:
  by: customer
  of: { acme: { by: plan, of: { gold: archive }, otherwise: delete } }
  otherwise: { redact: [notes] }
${ARCHIVE}`);
    expect(toShape(policy)).toMatchObject({ values: ['plan'], isMarked: true });
    const compiled = compile(policy);
    const north = (customer: string) => compiled.of(id.owner('north'), id.customer(customer));
    // In the order in which they are done: the archive last.
    expect(north('acme').branches.map(({ key }) => key)).toEqual(['delete', 'archive']);
    expect(north('bolt').disposition).toBe('treat');
    const does = (values: DecisionFacts['values']) =>
      compiled.dispositionOf(of('acme', values === undefined ? {} : { values }))?.by;
    expect(does({ plan: 'gold' })).toBe('customer is acme, plan is gold');
    expect(does({ plan: null })).toBe('customer is acme, plan is not gold');
  });

  test.each([
    [
      'then: { by: customer, of: { a: keep }, otherwise: delete }',
      [
        '9 then.of.a: archive, delete, anonymise, redact or pseudonymise, or a list of them such as [archive, anonymise], found "keep"',
      ],
    ],
    [
      'then: { by: customer, of: { a: delete } }',
      [
        '9 then.otherwise: archive, delete, anonymise, redact or pseudonymise, or a list of them such as [archive, anonymise], found nothing',
      ],
    ],
    [
      'then: { by: customer, off: { a: delete }, otherwise: delete }',
      ['9 then.off: one of anonymise, redact, pseudonymise, by, of, otherwise, found "off". Did you mean of?'],
    ],
    ['then: {}', ['9 then.anonymise: a list of fields, found nothing']],
    [
      'then: { redacted: [a] }',
      [
        '9 then.redacted: one of anonymise, redact, pseudonymise, by, of, otherwise, found "redacted". Did you mean redact?',
      ],
    ],
    [
      'then: { by: customer, of: { a: archive }, otherwise: delete }',
      ['1 archive: a group with for and vault, found nothing'],
    ],
    [
      `then: { by: customer, of: { a: { redact: [x] } }, otherwise: delete }\n${ARCHIVE}`,
      ['10 archive: no archive, for `then` does not say archive, found a map'],
    ],
    [
      'then: { by: customer, of: { a: [delete, redact] }, otherwise: delete }\nredact: [x]',
      ['9 then.of.a: delete alone: nothing is left to do anything with, found a list'],
    ],
    [
      `then: { by: customer, of: { a: [{ redact: [x] }, archive] }, otherwise: delete }\n${ARCHIVE}`,
      ['9 then.of.a: archive first, found a list. The copy is made before the original is treated.'],
    ],
    [
      'then: { by: customer, of: { a: redact, b: redact }, otherwise: delete }\nredact: [tenant]\nanonymise: [y]',
      [
        '10 redact[0]: a field that the customer does not lie in, found "tenant"',
        '11 anonymise: anonymise in `then`, or no such list, found a list',
      ],
    ],
    [
      'then: { by: customer, of: { a: [{ redact: [x] }, { anonymise: [x.y] }] }, otherwise: { redact: [x] } }',
      ['9 then.of.a[0].redact[0]: a field that is treated once: x.y is in a list already, found "x"'],
    ],
    [
      'then: { by: customer, of: { a: redact }, otherwise: delete }',
      ['1 redact: the fields that `then: redact` is about, such as [contact.email], found nothing'],
    ],
  ])('%s', (then, problems) => {
    expect(told(then)).toEqual(problems);
  });

  test('what decides is not treated: the record would be another tier’s, and that may delete it', () => {
    expect(told('then: { by: plan.name, of: { gold: { redact: [plan] } }, otherwise: delete }')).toEqual([
      '9 then.of.gold.redact[0]: a field that what `then` looks at does not lie in, found "plan"',
    ]);
    const lookUps = 'lookUps: { account: { collection: crm.accounts, from: accountId } }\n';
    const then =
      'then: { by: { lookUp: account, field: plan }, of: { gold: { anonymise: [accountId] } }, otherwise: delete }';
    expect(loadPolicy('a.yaml', text(then, { more: lookUps })).problems.map(line)).toEqual([
      '10 then.of.gold.anonymise[0]: a field that what `then` looks at does not lie in, found "accountId"',
    ]);
  });

  test('a branch that no record can come to is warned of, and so is a period', () => {
    const then =
      'then:\n  by: customer\n  of:\n    a: { by: customer, of: { b: delete }, otherwise: archive }\n  otherwise: delete';
    expect(warned(`${then}\n${ARCHIVE}`)).toEqual([
      '12 then.of.a.of.b: customer: a, which all records have here, found "delete". No record can come to it.',
    ]);
    const one = loadPolicy(
      'a.yaml',
      text(
        'then: { by: owner, of: { north: delete, south: archive }, otherwise: archive }\narchive: { for: { by: owner, of: { north: 1 year }, otherwise: 2 years }, vault: cold }',
      ).replace('owner: { field: owner }', 'owner: { value: north }'),
    ).loaded?.warnings.map(({ field }) => field);
    expect(one).toEqual(['archive.for.otherwise', 'then.of.south', 'then.otherwise']);
  });
});

describe('what it decides', () => {
  const compiled = compile(load(BY_CUSTOMER));

  test('each customer by its own, with the copy’s end where there is one', () => {
    const does = (customer: string) => {
      const { disposition, purgeAt } = decide(of(customer), compiled, [], NOW);
      return [disposition?.key.split('-')[0], disposition?.by, Number.isFinite(purgeAt)];
    };
    expect(does('acme')).toEqual(['delete', 'customer is acme', false]);
    expect(does('bolt')).toEqual(['treat', 'customer is bolt', false]);
    expect(does('clinic')).toEqual(['archive', 'customer is clinic', true]);
    expect(does('other')).toEqual(['archive', 'customer is none of acme, bolt, clinic', true]);
  });

  test('one disposition a customer is counted by the server as before, but for its marker', () => {
    const own = (customer: string) => compiled.of(id.owner('north'), id.customer(customer)).uniform;
    expect(own('acme')).toEqual({ active: 'P1Y', archive: null });
    expect(own('other')).toEqual({ active: 'P1Y', archive: 'P7Y' });
    expect(own('bolt')).toBeNull();
  });

  test('a record is treated once by each treatment: what another customer has done counts for nothing', () => {
    const marked = (customer: string, fields: Parameters<typeof treatmentId>[0]) =>
      compiled.decision(of(customer, { treated: treatmentId(fields) }), false, NOW);
    const bolts = [
      { field: 'email', how: 'pseudonymise' as const },
      { field: 'notes', how: 'redact' as const },
    ];
    expect(marked('bolt', bolts)).toBe('treated');
    expect(marked('clinic', bolts)).toBe('due');
    expect(marked('acme', bolts)).toBe('due');
  });

  test('in a non-production source each branch that archives deletes', () => {
    const there = compile(load(BY_CUSTOMER), { exceptions: [], environment: 'non-production' });
    const does = (customer: string) => there.dispositionOf(of(customer))?.key.split('-')[0];
    expect(['acme', 'bolt', 'clinic', 'other'].map(does)).toEqual(['delete', 'treat', 'delete', 'delete']);
  });

  test('a value that is of no use chooses nothing: the record waits', () => {
    const by = compile(load(`then: { by: plan, of: { gold: archive }, otherwise: delete }\n${ARCHIVE}`));
    const odd = of('acme', { values: { plan: ['gold'] } });
    expect(by.decision(odd, false, NOW)).toBe('pending');
    expect(decide(odd, by, [], NOW).disposition).toBeNull();
    expect(by.of(id.owner('north'), id.customer('acme')).uniform).toBeNull();
    expect(by.branches.map(({ key }) => by.taking(key).decision(odd, false, NOW))).toEqual(['pending', 'other']);
    expect(() => by.taking(undefined)).toThrow('has no disposition for all of its records');
    expect(() => by.taking('treat-x')).toThrow('has no disposition treat-x');
  });

  test('is explained with the branch and with what leads to it', () => {
    const policy = load(BY_CUSTOMER);
    const { rules } = considerRules({
      policy,
      published: 'in force',
      facts: of('bolt'),
      now: NOW,
      configuration: null,
      quarantine: null,
      holds: [],
      pauses: [],
      uncleared: null,
      plan: null,
    });
    const said = (name: string) => rules.filter(({ rule }) => rule === name).map(({ text: words }) => words);
    expect(said('chosen-disposition')).toEqual([
      'As customer is bolt: these fields are treated in place: notes (redact), email (pseudonymise).',
    ]);
    expect(said('disposition')).toEqual([
      'It stays, and these fields are to be treated: notes (redact), email (pseudonymise). So the policy says where customer is bolt.',
    ]);
    expect(said('archive-period')).toEqual(['Nothing of it is archived.']);
  });
});

describe('two versions', () => {
  const old = load(BY_CUSTOMER);
  const next = (from: string, to: string) => load(BY_CUSTOMER.replace(from, to));
  const reasons = (one: Policy) => deletesMore(old, one).map(({ text: words }) => words);

  test('what destroys more is told with its customer', () => {
    expect(reasons(next('bolt: [{ redact: [notes] }, { pseudonymise: [email] }]', 'bolt: delete'))).toEqual([
      'What is due is deleted instead of treated in place for customer bolt.',
    ]);
    expect(reasons(next('otherwise: archive', 'otherwise: delete'))).toEqual([
      'What is due is deleted instead of archived.',
    ]);
    expect(reasons(next('    acme: delete\n', ''))).toEqual([]);
    expect(reasons(next('    acme: delete\n', '    acme: delete\n    dorn: delete\n'))).toEqual([
      'What is due is deleted instead of archived for customer dorn.',
    ]);
    expect(reasons(next('by: customer', 'by: owner'))).toEqual(['What happens to a record depends on something else.']);
  });

  test('from one disposition for all to a choice, and back', () => {
    const plain = load(`then: archive\n${ARCHIVE}`);
    expect(deletesMore(plain, old).map(({ text: words }) => words)).toEqual([
      'What is due is deleted instead of archived for customer acme.',
      'What is due is treated in place instead of archived for customer bolt.',
    ]);
    expect(deletesMore(old, plain).map(({ text: words }) => words)).toEqual([
      'Originals are deleted that stayed with some fields treated for customer bolt.',
      'Originals are deleted that stayed with some fields treated for customer clinic.',
    ]);
    const byPlan = load(`then: { by: plan, of: { gold: archive }, otherwise: archive }\n${ARCHIVE}`);
    expect(deletesMore(byPlan, plain).map(({ text: words }) => words)).toEqual([
      'What happens to a record no longer depends on plan.',
    ]);
  });

  test('are told field by field', () => {
    expect(differenceOf(old, next('acme: delete', 'acme: archive')).map(changeWords)).toEqual([
      'dispositions.of.acme.disposition: delete -> archive',
    ]);
  });
});

test('a notice tells a customer its own, an owner what holds where nobody chose, and nobody of another', () => {
  const policy = load(BY_CUSTOMER);
  const terms = (customer: string | null) => termsOf(policy, { owner: 'north', customer }, 'production');
  expect(terms('acme')).toMatchObject({ disposition: ['the record is deleted; no copy is kept'], archive: [] });
  expect(terms('bolt')).toMatchObject({
    disposition: [
      'the record stays where it is',
      '“notes” in it is replaced by a fixed text',
      '“email” in it is replaced by a pseudonym',
    ],
    archive: [],
  });
  expect(terms('other')).toMatchObject({ archive: ['7 years'] });
  expect(terms(null).disposition).toEqual([
    'the record is moved into an encrypted archive, and deleted where it was, where the customer has not chosen otherwise',
  ]);
  expect(scheduleWords(policy)).toBe(
    'A record stays for 1 year, then it is deleted for acme, these fields are treated in place: notes (redact), email (pseudonymise) for bolt, it is archived, and these fields of the original are treated: email (anonymise) for clinic, otherwise it is archived (by customer). What is archived stays in the archive for 7 years, then it is destroyed.',
  );
});

describe('a copy that is kept for the life of a contract', () => {
  const kept = compile(load('then: archive\narchive: { for: { until: contract.end, atMost: 10 years }, vault: cold }'));
  const purge = (end: unknown) => kept.times(of('acme', { values: { 'contract.end': end as never } }), NOW).purgeAt;

  test('ends at its date, no sooner than it begins and no later than at most; without a date it is kept that long', () => {
    expect(purge({ instant: at('2025-06-01') })).toBe(at('2025-06-01'));
    expect(purge({ instant: at('2099-01-01') })).toBe(at('2031-01-01'));
    expect(purge(null)).toBe(at('2031-01-01'));
    expect(purge({ instant: at('2020-06-01') })).toBe(at('2021-01-01'));
  });

  test('is due for its archive before the date is known, and past it once the contract has ended', () => {
    const decision = (end: unknown) =>
      kept.decision(of('acme', { values: { 'contract.end': end as never } }), false, NOW);
    expect(decision(null)).toBe('due');
    expect(decision({ instant: at('2025-06-01') })).toBe('due');
    expect(decision({ instant: at('2021-06-01') })).toBe('expired');
    expect(decision('tomorrow')).toBe('pending');
  });
});
