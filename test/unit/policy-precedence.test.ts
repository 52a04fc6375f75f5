/**
 * What happens when several rules meet one record: retaining beats deleting, the longest retention wins, the more specific
 * rule decides the deletion, between equals the shorter. As the table of docs/policies.md says it, as properties that no
 * policy, exception or hold may break, and by single cases of what is missing or of no use.
 */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { type CompiledPolicy, compile, type DecisionFacts } from '../../src/policy/compile.ts';
import { decide, type HoldScope } from '../../src/policy/decide.ts';
import { type ExceptionRule, exceptionCode, valueCoders, witnessOf } from '../../src/policy/exception.ts';
import { addPeriod, periodOf } from '../../src/policy/period.ts';
import {
  type ArchiveRule,
  type Branch,
  type DispositionRule,
  dispositionRuleOf,
  type PeriodRule,
  type Policy,
  type RetentionRule,
  SPECIFICITIES,
  type Trigger,
} from '../../src/policy/policy.ts';
import { treatmentId } from '../../src/policy/treatment.ts';
import type { RecordValue, RecordValues } from '../../src/policy/values.ts';

const at = (text: string) => Date.parse(`${text}T00:00:00Z`);
const CREATED = at('2020-01-01');
const ZONE = 'UTC';
const end = (from: number, iso: string) => addPeriod(from, periodOf(iso), ZONE);

const ARCHIVE: ArchiveRule = {
  for: 'P7Y',
  vault: id.vaultKey('cold'),
  verify: 'checksum',
  dueWindow: 'P30D',
  maxWait: 'P7D',
};

function policy(over: Partial<Policy>): Policy {
  return {
    v: 1,
    name: 'chats',
    zone: ZONE,
    dataset: {
      collection: id.namespace('support.chats'),
      owner: { field: 'owner' },
      customer: { field: 'tenant' },
      version: null,
      facets: {},
    },
    trigger: { kind: 'date', field: 'createdAt' },
    active: 'P2Y',
    disposition: 'archive',
    archive: ARCHIVE,
    grace: 'P7D',
    limits: { records: 1000, share: 1 },
    schedule: null,
    ...over,
  };
}

const facts = (values: RecordValues = {}, over: Partial<DecisionFacts> = {}): DecisionFacts => ({
  owner: id.owner('acme'),
  customer: id.customer('globex'),
  trigger: CREATED,
  values,
  exemptUntil: null,
  quarantined: false,
  unfit: [],
  ...over,
});

const exception = (over: Partial<ExceptionRule>): ExceptionRule => ({
  id: 'x1',
  effect: 'longer',
  active: 'P5Y',
  scope: { owner: null, customer: null, value: null },
  from: at('2020-01-01'),
  until: null,
  bitesAt: at('2020-01-08'),
  ...over,
});

const macs = new Map<string, Uint8Array>();
/** Remembered: the properties ask for the same few a hundred thousand times. */
const hmac = (data: string): Uint8Array => {
  const known = macs.get(data) ?? createHmac('sha256', 'a key').update(data).digest();
  macs.set(data, known);
  return known;
};
const coders = valueCoders(new Map([id.owner('acme'), id.owner('umbra')].map((owner) => [owner, hmac])));
const coded = (field: string, ...is: readonly string[]) => ({
  field,
  codes: is.map((text) => exceptionCode(hmac, field, text)),
  witness: witnessOf(hmac),
});
const given = (...exceptions: ExceptionRule[]) => ({ exceptions, coders, environment: 'production' as const });
const dueDay = (compiled: CompiledPolicy, of: DecisionFacts, now: number) =>
  new Date(compiled.times(of, now).dueAt).toISOString().slice(0, 10);

describe('the table of docs/policies.md', () => {
  const page = readFileSync(new URL('../../docs/policies.md', import.meta.url), 'utf8');
  const rows = [
    ...page.matchAll(/^\| ((?:policy|organisation|owner|customer|dataset|label)[^|]*)\| kept (\d+) years[^|]*\|/gm),
  ];

  test('has rows', () => {
    expect(rows.length).toBeGreaterThanOrEqual(7);
  });

  test.each(rows.map(([, what = '', years = '']) => [what.trim(), Number(years)] as const))(
    '%s: kept %i years',
    (what, years) => {
      let active = 'P1000Y';
      const rules: RetentionRule[] = [];
      for (const [position, part] of what.split(';').entries()) {
        const level = part.trim().split(' ')[0];
        const retain = /retains (\d+)/.exec(part)?.[1];
        const deletes = /deletes at (\d+)/.exec(part)?.[1];
        if (level === 'policy') {
          active = `P${deletes}Y`;
          continue;
        }
        const specificity = SPECIFICITIES.find((one) => one === level);
        if (specificity === undefined) throw new Error(`No such level: ${level}`);
        rules.push({
          name: `r${position}`,
          specificity,
          when: null,
          ...(retain === undefined ? {} : { retain: `P${retain}Y` }),
          ...(deletes === undefined ? {} : { delete: `P${deletes}Y` }),
        });
      }
      const compiled = compile(policy({ active, rules }));
      const due = end(CREATED, `P${years}Y`);
      expect(compiled.decision(facts(), false, due - 1)).toBe('not-due');
      expect(compiled.decision(facts(), false, due)).toBe('due');
      // Also where no rule can be told without the record.
      const singly = compile(policy({ active, rules }), given(exception({ active: 'P1D' })));
      expect(singly.uniform).toBeNull();
      expect(singly.times(facts(), due).dueAt).toBe(due);
    },
  );
});

describe('triggers', () => {
  const event: Trigger = {
    kind: 'composite',
    created: { kind: 'date', field: 'createdAt' },
    of: [{ field: 'closedAt' }, { field: 'paidAt' }],
    expires: false,
    latest: 'P5Y',
  };
  const closed = compile(policy({ trigger: event, active: 'P1Y' }));
  const when = (text: string) => ({ instant: at(text) });

  test('counts from the latest of its events, and never from before the creation', () => {
    const both = facts({ closedAt: when('2021-01-01'), paidAt: when('2021-03-01') });
    expect(dueDay(closed, both, at('2021-01-01'))).toBe('2022-03-01');
    const before = facts({ closedAt: when('2001-01-01'), paidAt: when('2002-01-01') });
    expect(dueDay(closed, before, at('2021-01-01'))).toBe('2021-01-01');
  });

  test('an event that has not happened: pending, and from the latest date on it counts from that', () => {
    const open = facts({ closedAt: when('2021-01-01'), paidAt: null });
    expect(closed.decision(open, false, at('2025-01-01') - 1)).toBe('pending');
    expect(closed.decision(open, false, at('2025-01-01'))).toBe('not-due');
    expect(closed.decision(open, false, at('2026-01-01'))).toBe('due');
    expect(closed.times(open, 0)).toMatchObject({ dueAt: at('2026-01-01'), pendingUntil: at('2025-01-01') });
  });

  test.each<[string, RecordValue]>([
    ['a text', '2021-01-01'],
    ['a number', at('2021-01-01')],
    ['a list', [when('2021-01-01')]],
    ['an object', { unusable: 'a value of BSON type 3' }],
  ])('%s where a date belongs: pending for ever, never due', (_case, value) => {
    const broken = facts({ closedAt: value, paidAt: when('2021-01-01') });
    for (const now of [at('2021-06-01'), at('2030-01-01'), at('9999-12-31')]) {
      expect(closed.decision(broken, false, now)).toBe('pending');
    }
    expect(closed.times(broken, 0)).toEqual({
      dueAt: Number.NaN,
      purgeAt: Number.NaN,
      pendingUntil: Number.POSITIVE_INFINITY,
    });
    const { reasons } = decide(broken, closed, [], at('2030-01-01'));
    expect(reasons.map(({ text }) => text).join('\n')).toMatch(/closedAt holds a .* where a date belongs/);
  });

  test('an expiry in the year 9999 is a date: not due before, and its archive ends beyond it', () => {
    const expires = compile(
      policy({ trigger: { ...event, of: [{ field: 'expiresAt' }], expires: true }, active: null }),
    );
    const never = facts({ expiresAt: when('9999-12-31') });
    expect(expires.decision(never, false, at('2026-01-01'))).toBe('not-due');
    expect(dueDay(expires, never, 0)).toBe('9999-12-31');
    expect(expires.decision(facts({ expiresAt: when('2020-06-01') }), false, at('2020-06-01'))).toBe('due');
    expect(expires.decision(facts({ expiresAt: null }), false, at('2024-12-31'))).toBe('pending');
    expect(expires.decision(facts({ expiresAt: null }), false, at('2025-01-01'))).toBe('due');
  });

  test('a period beyond the calendar is never over', () => {
    const long = compile(policy({ active: 'P1000Y' }));
    const late = facts({}, { trigger: 8.64e15 - 1 });
    expect(long.times(late, 0).dueAt).toBe(Number.POSITIVE_INFINITY);
    expect(long.decision(late, false, 8.64e15)).toBe('not-due');
  });

  test('a value that nobody read is a mistake of ours, and decides nothing', () => {
    expect(() => closed.decision(facts(), false, at('2030-01-01'))).toThrow(/was not read/);
  });
});

describe('periods that depend on the record', () => {
  const due = (active: PeriodRule, values: RecordValues, over: Partial<DecisionFacts> = {}) => {
    const { dueAt, pendingUntil } = compile(policy({ active })).times(facts(values, over), 0);
    return Number.isNaN(dueAt)
      ? 'never'
      : `${new Date(dueAt).toISOString().slice(0, 10)}${pendingUntil === null ? '' : '?'}`;
  };

  test('tiers', () => {
    const tiers: PeriodRule = { by: { field: 'plan' }, of: { enterprise: 'P2Y', '7': 'P7D' }, otherwise: 'P3M' };
    expect(due(tiers, { plan: 'enterprise' })).toBe('2022-01-01');
    expect(due(tiers, { plan: 7 })).toBe('2020-01-08');
    expect(due(tiers, { plan: 'free' })).toBe('2020-04-01');
    expect(due(tiers, { plan: null })).toBe('2020-04-01');
    expect(due(tiers, { plan: 'toString' })).toBe('2020-04-01');
    expect(due(tiers, { plan: ['enterprise'] })).toBe('never');
    expect(due(tiers, { plan: { unusable: 'an object' } })).toBe('never');
    const byCustomer: PeriodRule = { by: 'customer', of: { globex: tiers }, otherwise: 'P0D' };
    expect(due(byCustomer, { plan: 'enterprise' })).toBe('2022-01-01');
    expect(due(byCustomer, { plan: 'enterprise' }, { customer: id.customer('initech') })).toBe('2020-01-01');
  });

  test('months up to a maximum', () => {
    const months: PeriodRule = { months: { field: 'keep' }, atMost: 120, otherwise: 'P1Y' };
    expect(due(months, { keep: 18 })).toBe('2021-07-01');
    expect(due(months, { keep: 121 })).toBe('2030-01-01');
    expect(due(months, { keep: Number.MAX_SAFE_INTEGER })).toBe('2030-01-01');
    expect(due(months, { keep: null })).toBe('2021-01-01');
    for (const keep of [0, -3, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '18', { instant: 18 }] as const) {
      expect(due(months, { keep })).toBe('never');
    }
  });

  test('for the life of a subscription', () => {
    const until: PeriodRule = { until: { field: 'endsAt' }, atMost: 'P10Y' };
    expect(due(until, { endsAt: { instant: at('2023-05-01') } })).toBe('2023-05-01');
    expect(due(until, { endsAt: { instant: at('9999-01-01') } })).toBe('2030-01-01');
    expect(due(until, { endsAt: { instant: at('1999-01-01') } })).toBe('2020-01-01');
    expect(due(until, { endsAt: null })).toBe('2030-01-01?');
    expect(due(until, { endsAt: '2023-05-01' })).toBe('never');
  });
});

describe('exceptions', () => {
  test('a longer one keeps; when it ends, nothing goes before the grace is over', () => {
    const longer = compile(policy({}), given(exception({ until: at('2023-01-01') })));
    expect(longer.decision(facts(), false, at('2022-06-01'))).toBe('not-due');
    expect(longer.decision(facts(), false, at('2023-01-01'))).toBe('not-due');
    expect(longer.decision(facts(), false, at('2023-01-08') - 1)).toBe('not-due');
    expect(longer.decision(facts(), false, at('2023-01-08'))).toBe('due');
    const open = compile(policy({}), given(exception({})));
    expect(open.decision(facts(), false, at('2025-01-01') - 1)).toBe('not-due');
    expect(open.decision(facts(), false, at('2025-01-01'))).toBe('due');
  });

  test('one that begins later keeps what is there when it begins, also what is due by then', () => {
    const later = compile(policy({}), given(exception({ from: at('2022-03-01') })));
    expect(later.decision(facts(), false, at('2022-02-01'))).toBe('due');
    expect(later.decision(facts(), false, at('2022-03-01'))).toBe('not-due');
  });

  test('a shorter one does nothing before it bites, and nothing after its end; what retains still wins', () => {
    const short = exception({ effect: 'shorter', active: 'P1M', bitesAt: at('2020-06-08'), until: at('2021-01-01') });
    const shorter = compile(policy({}), given(short));
    expect(shorter.decision(facts(), false, at('2020-06-08') - 1)).toBe('not-due');
    expect(shorter.decision(facts(), false, at('2020-06-08'))).toBe('due');
    expect(shorter.decision(facts(), false, at('2021-01-01'))).toBe('not-due');
    // The archive period counts from the day on which it bit, not from one that nobody was told of.
    expect(shorter.times(facts(), at('2020-06-08')).purgeAt).toBe(end(at('2020-06-08'), 'P7Y'));
    const retained = policy({ rules: [{ name: 'r', specificity: 'organisation', when: null, retain: 'P1Y' }] });
    expect(compile(retained, given(short)).decision(facts(), false, at('2020-07-01'))).toBe('not-due');
    const { reasons } = decide(facts(), shorter, [], at('2020-02-01'));
    expect(reasons.map(({ text }) => text).join(' ')).toContain('shortened on 2020-06-08 00:00 (UTC)');
  });

  test('a shorter one that is longer than the policy changes nothing', () => {
    const compiled = compile(policy({}), given(exception({ effect: 'shorter', active: 'P9Y' })));
    expect(dueDay(compiled, facts(), at('2021-01-01'))).toBe('2022-01-01');
  });

  test('a shorter one does not wait for what the policy’s own period waits for; what the trigger waits for it does', () => {
    const short = exception({ effect: 'shorter', active: 'P1M' });
    const until: PeriodRule = { until: { field: 'endsAt' }, atMost: 'P10Y' };
    const open = facts({ endsAt: null });
    expect(compile(policy({ active: until })).decision(open, false, at('2021-01-01'))).toBe('pending');
    expect(compile(policy({ active: until }), given(short)).decision(open, false, at('2021-01-01'))).toBe('due');
    const trigger: Trigger = {
      kind: 'composite',
      created: { kind: 'date', field: 'createdAt' },
      of: [{ field: 'endsAt' }],
      expires: false,
      latest: 'P5Y',
    };
    const waiting = compile(policy({ trigger, active: 'P1Y' }), given(short));
    expect(waiting.decision(open, false, at('2021-01-01'))).toBe('pending');
  });

  test('only its own scope', () => {
    const scope = {
      owner: id.owner('acme'),
      customer: id.customer('globex'),
      value: coded('label', 'dispute', ''),
    };
    const compiled = compile(policy({}), given(exception({ scope })));
    const due = (over: Partial<DecisionFacts>, label: RecordValue) =>
      dueDay(compiled, facts({ label }, over), at('2021-01-01'));
    expect(due({}, 'dispute')).toBe('2025-01-01');
    expect(due({}, ['vip', 'dispute'])).toBe('2025-01-01');
    expect(due({}, 'vip')).toBe('2022-01-01');
    expect(due({}, null)).toBe('2022-01-01');
    expect(due({}, [{ instant: 0 }, 7])).toBe('2022-01-01');
    expect(due({ customer: id.customer('initech') }, 'dispute')).toBe('2022-01-01');
    expect(compiled.of(id.owner('acme'), id.customer('initech')).uniform).toEqual({ active: 'P2Y', archive: 'P7Y' });
    // It cannot be told to be outside.
    const unclear = facts({ label: { unusable: 'an object' } });
    expect(compiled.decision(unclear, false, at('2040-01-01'))).toBe('pending');
    expect(compiled.times(unclear, 0).dueAt).toBeNaN();
    // What is said of it: how many values of which field, and none of them.
    const texts = decide(facts({ label: 'dispute' }), compiled, [], at('2021-01-01')).reasons.map(({ text }) => text);
    expect(texts.join(' ')).toContain('Exception x1 (2 values of label) keeps it for 5 years');
    expect(texts.join(' ')).not.toContain('dispute');
  });

  test('values are of one owner, and compared under its key alone', () => {
    const scope = { owner: id.owner('acme'), customer: null, value: coded('label', 'dispute') };
    const rule = exception({ scope });
    const ofAnother = exception({ scope: { ...scope, owner: null } });
    expect(() => compile(policy({}), given(ofAnother))).toThrow('no key to compare');
    const withoutKeys = { exceptions: [rule], environment: 'production' as const };
    expect(() => compile(policy({}), withoutKeys)).toThrow('no key to compare');
    const noKey = valueCoders(new Map());
    expect(() => compile(policy({}), { ...withoutKeys, coders: noKey })).toThrow('Nobody read the key');
    const otherKey = valueCoders(new Map([[scope.owner, (data: string) => hmac(`other ${data}`)]]));
    const [same, other] = [given(rule), { ...withoutKeys, coders: otherKey }].map((one) =>
      dueDay(compile(policy({}), one), facts({ label: 'dispute' }), at('2021-01-01')),
    );
    expect([same, other]).toEqual(['2025-01-01', '2022-01-01']);
    // The same text in another field has another code.
    expect(coded('label', 'a').codes).not.toEqual(coded('other', 'a').codes);
  });

  test('the code of a value is computed once, however many exceptions and records have it', () => {
    let computed = 0;
    const count = (data: string) => {
      computed += 1;
      return hmac(data);
    };
    const counting = valueCoders(new Map([[id.owner('acme'), count]]));
    const many = Array.from({ length: 100 }, (_, n) =>
      exception({ id: `x${n}`, scope: { owner: id.owner('acme'), customer: null, value: coded('label', `v${n}`) } }),
    );
    const compiled = compile(policy({}), { exceptions: many, coders: counting, environment: 'production' });
    const decideAll = () => {
      for (let n = 0; n < 200; n++) dueDay(compiled, facts({ label: [`v${n % 50}`, 'other'] }), at('2021-01-01'));
    };
    decideAll();
    // One for each text, and the one that a coder begins with; again, for each compilation that looks at a list.
    expect(computed).toBeLessThanOrEqual(52);
    const before = computed;
    decideAll();
    expect(computed).toBe(before);
    // As many other values as it remembers, and then it computes anew: memory stays flat.
    for (let n = 0; n < 20_000; n++) dueDay(compiled, facts({ label: `w${n}` }), at('2021-01-01'));
    expect(computed - before).toBe(20_000);
  });
});

test('in a non-production source what would be archived is deleted at the end of its active use', () => {
  const compiled = compile(policy({}), { exceptions: [], environment: 'non-production' });
  expect(compiled.disposition).toBe('delete');
  expect(compiled.decision(facts(), false, at('2040-01-01'))).toBe('due');
  expect(decide(facts(), compiled, [], at('2040-01-01')).reasons.at(-1)?.text).toBe(
    'It is to be deleted, without an archive.',
  );
});

test('a record that was treated is not treated again, and says so', () => {
  const compiled = compile(policy({ disposition: 'treat', archive: null, treat: [{ field: 'a', how: 'redact' }] }));
  expect(compiled.uniform).toBeNull();
  expect(compiled.decision(facts(), false, at('2040-01-01'))).toBe('due');
  const treated = (treatment: string) => compiled.decision(facts({}, { treated: treatment }), false, at('2040-01-01'));
  expect(treated(treatmentId([{ field: 'a', how: 'redact' }]))).toBe('treated');
  // As another policy says: this one is carried out on top.
  expect(treated(treatmentId([{ field: 'a', how: 'anonymise' }]))).toBe('due');
});

/* Properties. Instants are days, so that ends meet often. */

const day = fc.integer({ min: 0, max: 5_000 }).map((days) => at('2015-01-01') + days * 86_400_000);
const iso = fc.constantFrom('P1D', 'P30D', 'P1M', 'P3M', 'P1Y', 'P18M', 'P2Y', 'P5Y', 'P7Y', 'PT36H');
const value: fc.Arbitrary<RecordValue> = fc.oneof(
  fc.constantFrom('a', 'b', null, 6, 0, { unusable: 'an object' }, ['a', 'c']),
  day.map((instant) => ({ instant })),
);
const owners = ['acme', 'umbra'].map(id.owner);
const customers = ['globex', 'initech'].map(id.customer);
const ref = fc.constantFrom({ field: 'v' }, { field: 'w' }, { lookUp: 'list', field: 'x' });
const { period } = fc.letrec<{ period: PeriodRule }>((tie) => ({
  period: fc.oneof(
    { maxDepth: 2 },
    iso,
    fc.record({
      by: fc.oneof(fc.constantFrom('owner' as const, 'customer' as const), ref),
      of: fc.dictionary(fc.constantFrom('a', 'b', '6', 'acme', 'globex'), tie('period'), { maxKeys: 3 }),
      otherwise: tie('period'),
    }),
    fc.record({ months: ref, atMost: fc.constantFrom(3, 120), otherwise: iso }),
    fc.record({ until: ref, atMost: iso }),
  ),
}));
const trigger: fc.Arbitrary<Trigger> = fc.oneof(
  fc.constantFrom<Trigger>({ kind: 'date', field: 'createdAt' }),
  fc.record({
    kind: fc.constant('composite' as const),
    created: fc.constant({ kind: 'date' as const, field: 'createdAt' }),
    of: fc.array(ref, { minLength: 1, maxLength: 2 }),
    expires: fc.constant(false),
    latest: iso,
  }),
);
// What cannot be told is never due, and a property about what is due says nothing of it.
const mostlyPlain = fc.oneof({ arbitrary: iso, weight: 3 }, { arbitrary: period, weight: 1 });
const rule: fc.Arbitrary<RetentionRule> = fc.record(
  {
    name: fc.constantFrom('r1', 'r2', 'r3'),
    specificity: fc.constantFrom(...SPECIFICITIES),
    when: fc.option(
      fc.record(
        {
          owner: fc.constant(['acme']),
          customer: fc.constant(['globex']),
          value: fc.record({ ref, is: fc.constantFrom(['a'], ['b', '6']) }),
        },
        { requiredKeys: [] },
      ),
    ),
    retain: mostlyPlain,
    delete: fc.oneof(mostlyPlain, fc.constant('P0D')),
  },
  { requiredKeys: ['name', 'specificity', 'when'] },
);
const TREATED = [{ field: 'z', how: 'redact' as const }];
const branch = fc.constantFrom<Branch>(
  { disposition: 'archive' },
  { disposition: 'delete' },
  { disposition: 'treat', treat: TREATED },
  { disposition: 'archive', treat: [{ field: 'z', how: 'anonymise' }] },
);
const { disposition } = fc.letrec<{ disposition: DispositionRule }>((tie) => ({
  disposition: fc.oneof(
    { maxDepth: 2 },
    branch,
    fc.record({
      by: fc.oneof(fc.constantFrom('owner' as const, 'customer' as const), ref),
      of: fc.dictionary(fc.constantFrom('a', 'b', '6', 'acme', 'globex'), tie('disposition'), { maxKeys: 3 }),
      otherwise: tie('disposition'),
    }),
  ),
}));
const policies = fc
  .record({
    trigger,
    active: period,
    rules: fc.array(rule, { maxLength: 4 }),
    dispositions: fc.option(disposition),
    keptFor: period,
  })
  .map(({ dispositions, keptFor, ...parts }) =>
    policy({
      ...parts,
      ...(dispositions === null ? {} : { disposition: 'chosen', dispositions }),
      archive: { ...ARCHIVE, for: keptFor },
      dataset: {
        ...policy({}).dataset,
        lookUps: { list: { collection: id.namespace('x.lists'), key: '_id', from: { field: 'w' } } },
      },
    }),
  );
const exceptions = fc.array(
  fc.record({
    id: fc.constantFrom('x1', 'x2', 'x3'),
    effect: fc.constantFrom('longer' as const, 'shorter' as const),
    active: iso,
    scope: fc
      .record({
        owner: fc.option(fc.constantFrom(...owners)),
        customer: fc.option(fc.constantFrom(...customers)),
        value: fc.option(
          fc
            .record({ field: fc.constantFrom('v', 'w'), is: fc.constantFrom('a', 'b') })
            .map((of) => coded(of.field, of.is)),
        ),
      })
      .map((scope) => (scope.value === null ? scope : { ...scope, owner: scope.owner ?? id.owner('acme') })),
    from: day,
    until: fc.option(day),
    bitesAt: day,
  }),
  { maxLength: 3 },
);
const records = fc
  .record({
    owner: fc.constantFrom(...owners),
    customer: fc.constantFrom(...customers),
    trigger: day,
    v: value,
    w: value,
    x: value,
    treated: fc.constantFrom(null, treatmentId(TREATED)),
  })
  .map(({ v, w, x, ...of }) => facts({ v, w, '$list.x': x }, of));
const versions = fc.array(fc.record({ policy: policies, exceptions, held: fc.boolean(), now: day }), {
  minLength: 1,
  maxLength: 4,
});

/** Every instant (or never) at which something in the policy allows the record to go, told without the code under test. */
function endsOf(active: PeriodRule, of: DecisionFacts, from: number): number[] {
  const read = (by: { readonly field: string } | { readonly lookUp: string; readonly field: string }) =>
    of.values?.['lookUp' in by ? `$${by.lookUp}.${by.field}` : by.field] ?? null;
  if (typeof active === 'string') return [end(from, active)];
  if ('months' in active) {
    const months = read(active.months);
    if (months === null) return [end(from, active.otherwise)];
    return typeof months === 'number' && months >= 1 ? [end(from, `P${Math.min(months, active.atMost)}M`)] : [];
  }
  if ('until' in active) {
    const until = read(active.until);
    if (until === null) return [end(from, active.atMost)];
    return typeof until === 'object' && 'instant' in until
      ? [Math.max(from, Math.min(until.instant, end(from, active.atMost)))]
      : [];
  }
  const tier = active.by === 'owner' ? of.owner : active.by === 'customer' ? of.customer : read(active.by);
  if (tier !== null && typeof tier === 'object') return [];
  const named = tier !== null && Object.hasOwn(active.of, String(tier)) ? active.of[String(tier)] : undefined;
  return endsOf(named ?? active.otherwise, of, from);
}

/** What happens to the record when it is due, told without the code under test; null: it cannot be told. */
function branchFor(rule: DispositionRule, of: DecisionFacts): Branch | null {
  if (!('by' in rule)) return rule;
  const { by } = rule;
  const read = () => of.values?.['lookUp' in (by as object) ? '$list.x' : (by as { field: string }).field] ?? null;
  const tier = by === 'owner' ? of.owner : by === 'customer' ? of.customer : read();
  if (tier !== null && typeof tier === 'object') return null;
  const named = tier !== null && Object.hasOwn(rule.of, String(tier)) ? rule.of[String(tier)] : undefined;
  return branchFor(named ?? rule.otherwise, of);
}

function startOf({ trigger: by }: Policy, of: DecisionFacts): number | null {
  const created = of.trigger ?? Number.NaN;
  if (by.kind !== 'composite') return created;
  let start = created;
  for (const one of by.of) {
    const found = of.values?.['lookUp' in one ? `$${one.lookUp}.${one.field}` : one.field] ?? null;
    if (found === null) start = Math.max(start, end(created, by.latest));
    else if (typeof found === 'object' && 'instant' in found) start = Math.max(start, found.instant);
    else return null;
  }
  return start;
}

function isMet(when: RetentionRule['when'], of: DecisionFacts): boolean {
  if (when?.owner !== undefined && !when.owner.includes(of.owner ?? '')) return false;
  if (when?.customer !== undefined && !when.customer.includes(of.customer ?? '')) return false;
  if (when?.value === undefined) return true;
  const { ref: by, is } = when.value;
  const found = of.values?.['lookUp' in by ? `$${by.lookUp}.${by.field}` : by.field] ?? null;
  return [found].flat().some((one) => is.includes(String(one)));
}

function covers({ scope }: ExceptionRule, of: DecisionFacts): boolean {
  const { value: named } = scope;
  const is = ['a', 'b'].filter((text) => named?.codes.includes(exceptionCode(hmac, named.field, text)));
  const when = named === null ? {} : { value: { ref: { field: named.field }, is } };
  return (scope.owner ?? of.owner) === of.owner && (scope.customer ?? of.customer) === of.customer && isMet(when, of);
}

const onAll: HoldScope = { id: 'h1', covers: () => true };

test('no sequence of policy versions, exceptions and holds makes a record due earlier than every rule that allows it', () => {
  let due = 0;
  fc.assert(
    fc.property(records, versions, (record, steps) => {
      for (const { policy: version, exceptions: granted, held, now } of steps) {
        const { decision } = decide(record, compile(version, given(...granted)), held ? [onAll] : [], now);
        if (decision !== 'due' && decision !== 'expired') continue;
        due += 1;
        expect(held).toBe(false);
        const from = startOf(version, record);
        if (from === null || version.active === null) throw new Error('It cannot be told when its period began.');
        expect(from).toBeLessThanOrEqual(now);
        const rules = (version.rules ?? []).filter(({ when }) => isMet(when, record));
        for (const { retain } of rules) {
          if (retain === undefined) continue;
          const [until] = endsOf(retain, record, from);
          // One that cannot be told retains.
          expect(until ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(now);
        }
        for (const one of granted.filter(
          (each) => each.effect === 'longer' && covers(each, record) && each.from <= now,
        )) {
          const lastDay = one.until === null ? Number.POSITIVE_INFINITY : end(one.until, 'P7D');
          expect(Math.min(end(from, one.active), lastDay)).toBeLessThanOrEqual(now);
        }
        const bites = granted.filter(
          (one) =>
            one.effect === 'shorter' &&
            covers(one, record) &&
            one.from <= now &&
            one.bitesAt <= now &&
            now < (one.until ?? Number.POSITIVE_INFINITY),
        );
        const allows = [
          ...endsOf(version.active, record, from),
          ...rules.flatMap((one) => (one.delete === undefined ? [] : endsOf(one.delete, record, from))),
          ...bites.map(({ active }) => end(from, active)),
        ];
        expect(Math.min(...allows)).toBeLessThanOrEqual(now);
      }
    }),
    { numRuns: 4_000 },
  );
  // A property about what is due says nothing where nothing is.
  expect(due).toBeGreaterThan(300);
});

test('the query’s superset never misses a record that is due, nor calls one due that is not; every way to ask answers the same', () => {
  fc.assert(
    fc.property(records, policies, exceptions, day, (record, version, granted, now) => {
      const compiled = compile(version, given(...granted));
      const { owner, customer } = record;
      if (owner === null || customer === null || record.trigger === null) throw new Error('It is fit.');
      const own = compiled.of(owner, customer);
      const decision = compiled.decision(record, false, now);
      expect(own.decision(record, false, now)).toBe(decision);
      expect(decide(record, compiled, [], now).decision).toBe(decision);
      expect(own.times(record, now)).toEqual(compiled.times(record, now));
      expect(compiled.explain(record, now)).toMatchObject(compiled.times(record, now));
      const { dueAt, pendingUntil } = own.times(record, now);
      for (const { superset } of [compiled, own]) {
        const { dueBefore, certainlyDueBefore } = superset(now);
        if (decision === 'due' || decision === 'expired') expect(record.trigger).toBeLessThan(dueBefore);
        if (record.trigger < certainlyDueBefore) expect(['due', 'expired']).toContain(decision);
      }
      if (decision === 'due') expect(dueAt).toBeLessThanOrEqual(now);
      if (decision === 'pending') expect(pendingUntil).toBeGreaterThan(now);
    }),
    { numRuns: 3_000 },
  );
});

test('records are decided the same in any order', () => {
  fc.assert(
    fc.property(
      policies,
      exceptions,
      fc.array(records, { minLength: 2, maxLength: 30 }),
      day,
      fc.infiniteStream(fc.nat()),
      (version, granted, all, now, random) => {
        const compiled = compile(version, given(...granted));
        const decisions = (list: readonly DecisionFacts[]) =>
          new Map(list.map((one) => [one, compiled.decision(one, false, now)]));
        const first = decisions(all);
        const shuffled = all.toSorted(() => ((random.next().value ?? 0) % 3) - 1);
        expect(decisions(shuffled)).toEqual(first);
        for (const one of all)
          expect(compile(version, given(...granted)).decision(one, false, now)).toBe(first.get(one));
      },
    ),
    { numRuns: 100 },
  );
});

test('a record goes as under a policy that has its disposition alone, and belongs to exactly one of the branches', () => {
  const met = new Set<string>();
  fc.assert(
    fc.property(records, policies, exceptions, day, fc.boolean(), (record, version, granted, now, held) => {
      const { owner, customer } = record;
      if (owner === null || customer === null) throw new Error('It is fit.');
      const compiled = compile(version, given(...granted));
      const decision = compiled.decision(record, held, now);
      const wanted = branchFor(dispositionRuleOf(version), record);
      const chosen = compiled.dispositionOf(record);
      expect(chosen?.disposition).toBe(wanted?.disposition);
      expect(chosen?.treat ?? undefined).toEqual(wanted?.treat);
      const own = compiled.of(owner, customer);
      expect(own.dispositionOf(record)?.key).toBe(chosen?.key);
      if (wanted === null) {
        // What happens to it cannot be told, so nothing does.
        expect(['pending', 'not-due', 'exempt', 'quarantined']).toContain(decision);
      } else {
        const { dispositions, ...parts } = version;
        const alone = compile({ ...parts, ...wanted }, given(...granted));
        expect(alone.decision(record, held, now)).toBe(decision);
        expect(alone.times(record, now)).toEqual(compiled.times(record, now));
        if (dispositions !== undefined && decision === 'due') met.add(wanted.disposition);
      }
      const said = own.branches.map(({ key }) => [key, own.taking(key).decision(record, held, now)] as const);
      const ours = said.filter(([, one]) => one !== 'other');
      expect(ours).toEqual([[chosen?.key ?? own.branches[0]?.key, decision]]);
      for (const { key } of own.branches) {
        const { dueBefore } = own.taking(key).superset(now);
        if (ours[0]?.[0] === key && (decision === 'due' || decision === 'expired'))
          expect(record.trigger).toBeLessThan(dueBefore);
      }
    }),
    { numRuns: 3_000 },
  );
  expect(met).toEqual(new Set(['archive', 'delete', 'treat']));
});
