/** Whether a version lets more go: from the texts alone, and true for every record that there could be. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { compile } from '../../src/policy/compile.ts';
import { decidedBy } from '../../src/policy/decider.ts';
import { deletesMore } from '../../src/policy/deletes-more.ts';
import { changeWords, differenceOf } from '../../src/policy/difference.ts';
import { GoingSeer } from '../../src/policy/going.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import type { PeriodRule, Policy, RetentionRule } from '../../src/policy/policy.ts';
import type { RecordValue } from '../../src/policy/values.ts';

const NOW = Date.parse('2024-01-01T00:00:00Z');

function policy(changes: Partial<Policy> = {}): Policy {
  const { loaded, problems } = loadPolicy(
    'p.yaml',
    `policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: inventory }
limits: { records: 100, share: 0.5 }
`,
  );
  if (loaded === null) throw new Error(JSON.stringify(problems));
  return { ...loaded.policy, ...changes };
}
const archive = (changes: Partial<NonNullable<Policy['archive']>>): Partial<Policy> => {
  const whole = policy().archive;
  return { archive: whole === null ? null : { ...whole, ...changes } };
};
const rule = (changes: Partial<RetentionRule> = {}): RetentionRule => ({
  ...{ name: 'bots', specificity: 'label', when: { value: { ref: { field: 'kind' }, is: ['bot'] } } },
  ...changes,
});
const texts = (old: Partial<Policy>, next: Partial<Policy>) =>
  deletesMore(policy(old), policy(next)).map(({ text }) => text);

describe('more is deletable', () => {
  test.each<[string, Partial<Policy>, Partial<Policy>, RegExp]>([
    ['a shorter active period', {}, { active: 'P1Y' }, /active period/],
    ['30 days for a month: it depends on the day', { active: 'P1M' }, { active: 'P30D' }, /active period/],
    ['a shorter archive period', {}, archive({ for: 'P6Y' }), /archive period/],
    ['a weaker proof', {}, archive({ verify: 'checksum' }), /inventory/],
    ['no copy', {}, { disposition: 'delete', archive: null }, /deleted instead of archived/],
    ['another trigger', {}, { trigger: { kind: 'date', field: 'closedAt' } }, /count from something else/],
    ['another zone', {}, { zone: 'Asia/Tokyo' }, /Asia\/Tokyo/],
    [
      'another collection',
      {},
      { dataset: { ...policy().dataset, collection: id.namespace('data.mails') } },
      /data\.mails/,
    ],
    [
      'children that stayed',
      {},
      {
        dataset: {
          ...policy().dataset,
          children: [{ collection: id.namespace('data.parts'), key: 'chat', parent: '_id' }],
        },
      },
      /data\.parts/,
    ],
    ['a rule that deletes', {}, { rules: [rule({ delete: 'P1M' })] }, /bots may let records go sooner/],
    ['a rule that retained', { rules: [rule({ retain: 'P9Y' })] }, {}, /bots retains less/],
    [
      'a rule that retained others',
      { rules: [rule({ retain: 'P9Y' })] },
      { rules: [rule({ retain: 'P9Y', when: { owner: ['acme'] } })] },
      /bots retains less/,
    ],
    ['a rule that deleted later than the policy', { rules: [rule({ delete: 'P9Y' })] }, {}, /another date/],
    [
      'a shorter tier',
      { active: { by: { field: 'plan' }, of: { gold: 'P5Y' }, otherwise: 'P1Y' } },
      { active: { by: { field: 'plan' }, of: {}, otherwise: 'P1Y' } },
      /active period/,
    ],
    ['a shorter grace', { grace: 'P30D' }, { grace: 'P1D' }, /grace/],
    ['originals that stayed in part', { treat: [{ field: 'name', how: 'redact' }] }, {}, /Originals are deleted/],
    [
      'more fields treated',
      { treat: [{ field: 'name', how: 'redact' }] },
      {
        treat: [
          { field: 'name', how: 'redact' },
          { field: 'mail', how: 'redact' },
        ],
      },
      /mail/,
    ],
  ])('%s', (_, old, next, text) => {
    expect(texts(old, next)).toEqual([expect.stringMatching(text)]);
  });

  test('raised limits do not wait: what they let go is due anyway', () => {
    expect(deletesMore(policy(), policy({ limits: { records: 200, share: 0.5 } }))).toEqual([
      { text: 'limits.records is raised: one run may take more.', kind: 'limits' },
    ]);
    expect(texts({ limits: { records: null, share: 0.5 } }, {})).toHaveLength(1);
    expect(texts({}, { limits: { records: 1, share: null } })).toEqual([]);
  });

  test.each<[string, Partial<Policy>, Partial<Policy>]>([
    ['the same', {}, {}],
    ['longer', {}, { active: 'P3Y' }],
    ['a longer archive period and a stronger proof', archive({ for: 'P1Y', verify: 'checksum' }), {}],
    ['a rule that only retains', {}, { rules: [rule({ retain: 'P9Y' })] }],
    ['a rule that retains longer', { rules: [rule({ retain: 'P3Y' })] }, { rules: [rule({ retain: 'P9Y' })] }],
    ['a copy where there was none', { disposition: 'delete', archive: null }, {}],
    ['treatment instead of deletion', {}, { treat: [{ field: 'name', how: 'redact' }] }],
    [
      'an attachment that stays',
      {},
      {
        dataset: { ...policy().dataset, attachments: [{ kind: 'gridfs', bucket: 'fs', file: 'f', exclusive: false }] },
      },
    ],
    [
      'up to more months',
      { active: { months: { field: 'm' }, atMost: 12, otherwise: 'P1Y' } },
      { active: { months: { field: 'm' }, atMost: 24, otherwise: 'P1Y' } },
    ],
    ['another schedule', {}, { schedule: '0 3 * * *' }],
  ])('not with %s', (_, old, next) => {
    expect(texts(old, next)).toEqual([]);
  });

  const iso = fc.constantFrom('P10D', 'P1M', 'P6M', 'P1Y', 'P2Y', 'P5Y');
  const { period } = fc.letrec<{ period: PeriodRule }>((tie) => ({
    period: fc.oneof(
      { maxDepth: 2 },
      iso,
      fc.record({
        by: fc.constant({ field: 'v' }),
        of: fc.dictionary(fc.constantFrom('a', 'b'), tie('period'), { maxKeys: 2 }),
        otherwise: tie('period'),
      }),
      fc.record({ months: fc.constant({ field: 'm' }), atMost: fc.constantFrom(3, 24), otherwise: iso }),
      fc.record({ until: fc.constant({ field: 'u' }), atMost: iso }),
    ),
  }));
  const rules = fc
    .uniqueArray(
      fc.record(
        {
          name: fc.constantFrom('r1', 'r2'),
          specificity: fc.constantFrom('organisation' as const, 'owner' as const, 'label' as const),
          when: fc.option(fc.constant({ value: { ref: { field: 'v' }, is: ['a'] } })),
          retain: iso,
          delete: iso,
        },
        { requiredKeys: ['name', 'specificity', 'when'] },
      ),
      { maxLength: 2, selector: ({ name }) => name },
    )
    .map((all) => all.filter((one) => one.retain !== undefined || one.delete !== undefined));
  const value: fc.Arbitrary<RecordValue> = fc.constantFrom<RecordValue>('a', 'b', null, 6, 40, {
    unusable: 'an object',
  });
  const facts = fc
    .record({
      trigger: fc.integer({ min: 0, max: 2_000 }).map((days) => NOW - days * 86_400_000),
      v: value,
      m: value,
      u: fc.oneof(
        value,
        fc.integer({ min: 0, max: 3_000 }).map((days) => ({ instant: NOW - 2_000 * 86_400_000 + days * 86_400_000 })),
      ),
    })
    .map(({ trigger, ...values }) => ({
      ...{ owner: id.owner('acme'), customer: id.customer('north'), trigger, values },
      ...{ exemptUntil: null, quarantined: false, unfit: [] },
    }));

  test('what it says nothing of lets no record go sooner, and leaves no copy a shorter life', () => {
    let harmless = 0;
    const part = fc.record({ active: period, for: iso, rules });
    fc.assert(
      fc.property(
        part,
        part,
        fc.subarray(['active', 'for', 'rules'] as const),
        fc.array(facts, { minLength: 1, maxLength: 8 }),
        (a, b, kept, records) => {
          const taken = Object.fromEntries(kept.map((key) => [key, a[key]]));
          const make = (one: typeof a) =>
            policy({ active: one.active, rules: one.rules, ...archive({ for: one.for }) });
          const [old, next] = [make(a), make({ ...b, ...taken })];
          if (deletesMore(old, next).length > 0) return;
          if (JSON.stringify(old) !== JSON.stringify(next)) harmless += 1;
          const [before, after] = [new GoingSeer(compile(old), NOW), new GoingSeer(compile(next), NOW)];
          for (const record of records) {
            const [was, is] = [before.of(record), after.of(record)];
            expect(is.at).toBeGreaterThanOrEqual(was.at);
            if (Number.isFinite(is.at)) expect(is.purgeAt).toBeGreaterThanOrEqual(was.purgeAt);
          }
        },
      ),
      { numRuns: 1_500 },
    );
    expect(harmless).toBeGreaterThan(15);
  }, 60_000);
});

test('the difference names each field, periods in words, rules by name', () => {
  const old = policy({ rules: [rule({ retain: 'P1Y' })] });
  const next = policy({
    active: 'P18M',
    rules: [rule({ name: 'first', retain: 'P1D' }), rule({ retain: 'P3Y' })],
    schedule: '0 3 * * *',
  });
  expect(differenceOf(old, next).map(changeWords)).toEqual([
    'active: 2 years -> 1 year 6 months',
    'rules.bots.retain: 1 year -> 3 years',
    'rules.first.name: not there -> first',
    'rules.first.retain: not there -> 1 day',
    'rules.first.specificity: not there -> label',
    'rules.first.when.value.is: not there -> bot',
    'rules.first.when.value.ref.field: not there -> kind',
    'schedule: none -> 0 3 * * *',
  ]);
  expect(differenceOf(old, old)).toEqual([]);
});

test('the rule that decides is the one without which it would be another day', () => {
  const record = {
    ...{ owner: id.owner('acme'), customer: id.customer('north'), trigger: Date.parse('2020-01-01T00:00:00Z') },
    ...{ values: { kind: 'bot' }, exemptUntil: null, quarantined: false, unfit: [] },
  };
  const of = (changes: Partial<Policy>) => decidedBy(compile(policy(changes)), record, NOW);
  expect(of({})).toEqual({ dueAt: Date.parse('2022-01-01T00:00:00Z'), by: 'the active period of 2 years' });
  expect(of({ rules: [rule({ delete: 'P1M' })] })).toMatchObject({ by: 'rule bots (label)' });
  const rules = [rule({ retain: 'P9Y' }), rule({ name: 'all', when: null, retain: 'P3Y' })];
  expect(of({ rules })).toEqual({ dueAt: Date.parse('2029-01-01T00:00:00Z'), by: 'rule bots (label)' });
  const exceptions = [
    {
      id: 'x1',
      effect: 'longer' as const,
      active: 'P12Y',
      scope: { owner: null, customer: null, value: null },
      from: 0,
      until: null,
      bitesAt: 0,
    },
  ];
  const excepted = compile(policy(), { exceptions, environment: 'production' });
  expect(decidedBy(excepted, record, NOW)).toMatchObject({ by: 'exception x1' });
  expect(of({ active: { until: { field: 'kind' }, atMost: 'P9Y' } })).toEqual({
    dueAt: Number.POSITIVE_INFINITY,
    by: 'waits for a value',
  });
});
