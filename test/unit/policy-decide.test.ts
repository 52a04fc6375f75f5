import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { compile, type DecisionFacts } from '../../src/policy/compile.ts';
import { decide, type HoldScope, isHeld } from '../../src/policy/decide.ts';
import { policiesOf } from '../../src/policy/load.ts';
import type { Policy } from '../../src/policy/policy.ts';

const DAY = 86_400_000;
const at = (text: string) => Date.parse(text);

function policy(trigger = '{ field: createdAt }', active = 'active: 2 years'): Policy {
  const text = `policy: chats
zone: Europe/Amsterdam
dataset: { collection: support.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: ${trigger}
${active}
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1000, share: 0.5 }
`;
  const [loaded] = policiesOf([{ file: 'chats.yaml', text }]);
  if (!loaded) throw new Error('no policy');
  return loaded.policy;
}

const chats = policy();
/** 10:00 in Amsterdam, due at 10:00 on 31 January 2026, to be purged at 10:00 on 31 January 2033. */
const TRIGGER = at('2024-01-31T09:00:00Z');
const DUE = at('2026-01-31T09:00:00Z');
const PURGE = at('2033-01-31T09:00:00Z');

const fit: DecisionFacts = {
  owner: id.owner('acme'),
  customer: id.customer('north'),
  trigger: TRIGGER,
  exemptUntil: null,
  quarantined: false,
  unfit: [],
};
const holdOnAll: HoldScope = { id: 'hold-1', covers: () => true };
const holdOnOthers: HoldScope = { id: 'hold-2', covers: ({ customer }) => customer !== 'north' };
const brokenHold: HoldScope = {
  id: 'hold-3',
  covers: () => {
    throw new Error('the facet key is away');
  },
};
const outcome = (facts: Partial<DecisionFacts>, now: number, holds: readonly HoldScope[] = []) =>
  decide({ ...fit, ...facts }, chats, holds, now);
const textOf = (rule: string, { reasons }: ReturnType<typeof decide>) => reasons.find((one) => one.rule === rule)?.text;

describe('in time', () => {
  test.each([
    ['a millisecond before the active period ends', DUE - 1, 'not-due'],
    ['at the instant at which it ends', DUE, 'due'],
    ['a millisecond before the archive period ends', PURGE - 1, 'due'],
    ['at the instant at which that ends', PURGE, 'expired'],
  ])('%s', (_case, now, decision) => {
    expect(outcome({}, now)).toMatchObject({ decision, dueAt: DUE, purgeAt: PURGE });
  });

  test('the archive period counts from the end of the active period, however late the run', () => {
    expect(outcome({}, PURGE + 1000 * DAY).purgeAt).toBe(PURGE);
  });

  test('with `expires` the record is due on its own date', () => {
    const leases = policy('{ expires: keepUntil }', '');
    expect(decide(fit, leases, [], TRIGGER - 1).decision).toBe('not-due');
    expect(decide(fit, leases, [], TRIGGER)).toMatchObject({
      decision: 'due',
      dueAt: TRIGGER,
      purgeAt: at('2031-01-31T09:00:00Z'),
    });
  });
});

describe('what stops a record that is due', () => {
  test('unfit goes before everything, and says why', () => {
    const result = outcome({ unfit: ['owner-unusable'], quarantined: true }, DUE, [holdOnAll]);
    expect(result).toMatchObject({ decision: 'unfit', dueAt: null, purgeAt: null });
    expect(textOf('fitness', result)).toMatch(/does not say who owns it/);
  });

  test.each([
    ['owner', { owner: null }],
    ['customer', { customer: null }],
    ['trigger', { trigger: null }],
    ['trigger that is NaN', { trigger: Number.NaN }],
    ['trigger beyond the calendar', { trigger: 8.64e15 + 1 }],
    ['trigger long before the calendar', { trigger: -9e15 }],
  ])('facts that contradict themselves (no %s, and no reason why) are unfit too', (_case, facts) => {
    const result = outcome(facts, DUE);
    expect(result.decision).toBe('unfit');
    expect(textOf('fitness', result)).toBeDefined();
  });

  test('quarantine, before holds and time', () => {
    expect(outcome({ quarantined: true }, DUE, [holdOnAll]).decision).toBe('quarantined');
  });

  test('an exemption, until its very instant', () => {
    expect(outcome({ exemptUntil: DUE + DAY }, DUE + DAY - 1).decision).toBe('exempt');
    expect(outcome({ exemptUntil: DUE + DAY }, DUE + DAY).decision).toBe('due');
    expect(outcome({ exemptUntil: Number.NaN }, DUE).decision).toBe('exempt');
  });

  test('a hold that covers it, named in the reasons; one that does not is not named', () => {
    const result = outcome({}, DUE, [holdOnOthers, holdOnAll]);
    expect(result.decision).toBe('held');
    expect(result.reasons.filter(({ rule }) => rule === 'hold').map(({ text }) => text)).toEqual([
      'Legal hold hold-1 covers this record.',
    ]);
    expect(outcome({}, DUE, [holdOnOthers]).decision).toBe('due');
  });

  test('a hold keeps an expired record as well', () => {
    expect(outcome({}, PURGE, [holdOnAll]).decision).toBe('held');
  });

  test('a hold that cannot be evaluated holds', () => {
    expect(outcome({}, DUE, [brokenHold]).decision).toBe('held');
    expect(isHeld([holdOnOthers, brokenHold], fit)).toBe(true);
    expect(isHeld([holdOnOthers], fit)).toBe(false);
  });

  test('a record that is not due is `not-due`, held or exempt or not, and the hold is still told', () => {
    const result = outcome({ exemptUntil: DUE }, DUE - 1, [holdOnAll]);
    expect(result.decision).toBe('not-due');
    expect(textOf('hold', result)).toBeDefined();
  });
});

test('the reasons are sentences that a records manager understands', () => {
  const result = outcome({}, DUE, []);
  expect(result.reasons.map(({ text }) => text)).toEqual([
    expect.stringMatching(/^Policy chats, version [0-9a-f]{12}, for support\.chats\.$/),
    'The active period of 2 years began at 2024-01-31 10:00 (createdAt) and ended at 2026-01-31 10:00 (Europe/Amsterdam).',
    'The archive period of 7 years after that ends at 2033-01-31 10:00.',
    'It is to be archived into vault cold.',
  ]);
});

test('a trigger at the end of the calendar is never due, and the reasons do not throw', () => {
  const result = outcome({ trigger: 8.64e15 }, DUE);
  expect(result).toMatchObject({ decision: 'not-due', dueAt: Number.POSITIVE_INFINITY });
  expect(textOf('active-period', result)).toContain('beyond the calendar');
});

test('no time at all lets nothing go', () => {
  expect(outcome({}, Number.NaN).decision).toBe('not-due');
});

test('compiled once and used for a scan, it decides as `decide` does from the policy alone', () => {
  const compiled = compile(chats);
  fc.assert(
    fc.property(
      fc.integer({ min: at('1990-01-01T00:00:00Z'), max: at('2040-01-01T00:00:00Z') }),
      fc.integer({ min: at('2020-01-01T00:00:00Z'), max: at('2050-01-01T00:00:00Z') }),
      fc.option(fc.integer({ min: at('2020-01-01T00:00:00Z'), max: at('2050-01-01T00:00:00Z') })),
      fc.boolean(),
      (trigger, now, exemptUntil, held) => {
        const facts = { ...fit, trigger, exemptUntil };
        const slow = decide(facts, chats, held ? [holdOnAll] : [], now);
        expect(compiled.decision(facts, held, now)).toBe(slow.decision);
        const { dueAt, purgeAt, pendingUntil } = compiled.times(facts, now);
        expect({ dueAt, purgeAt, pendingUntil }).toEqual({
          dueAt: slow.dueAt,
          purgeAt: slow.purgeAt,
          pendingUntil: null,
        });
        const { dueBefore, certainlyDueBefore } = compiled.superset(now);
        if (dueAt <= now) expect(trigger).toBeLessThan(dueBefore);
        if (trigger < certainlyDueBefore) expect(dueAt).toBeLessThanOrEqual(now);
      },
    ),
  );
});
