import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { periodAdder } from '../../src/policy/adder.ts';
import {
  addPeriod,
  exceeds,
  isoPeriod,
  MAX_INSTANT_MS,
  type Period,
  parsePeriod,
  periodOf,
  periodWords,
} from '../../src/policy/period.ts';
import { superset } from '../../src/policy/superset.ts';

const DAY = 86_400_000;
/** Summer time north and south, by half an hour, two changes in Ramadan, a day left out, no change at all. */
const ZONES = [
  'UTC',
  'Europe/Amsterdam',
  'America/New_York',
  'Australia/Lord_Howe',
  'Africa/Casablanca',
  'Pacific/Apia',
  'Asia/Kathmandu',
  'America/Sao_Paulo',
];

const at = (text: string) => Date.parse(text);
const iso = (ms: number) => new Date(ms).toISOString();
const end = (from: string, period: string, zone = 'UTC') => iso(addPeriod(at(from), periodOf(period), zone));

describe('reading periods', () => {
  test.each([
    ['2 years', 'P2Y'],
    ['24 months', 'P2Y'],
    ['18 months', 'P1Y6M'],
    ['1 year 6 months', 'P1Y6M'],
    ['1 Year, 6 Months and 3 days', 'P1Y6M3D'],
    ['30 days', 'P30D'],
    ['2 weeks', 'P14D'],
    ['P1W', 'P7D'],
    ['PT12H', 'PT12H'],
    ['90 minutes', 'PT1H30M'],
    ['36 hours', 'PT36H'],
    [' P20Y ', 'P20Y'],
    ['P1Y2M3DT4H5M', 'P1Y2M3DT4H5M'],
    [' 2 years ', 'P2Y'],
    ['P10W', 'P70D'],
    ['2   years', 'P2Y'],
    ['2years', 'P2Y'],
    ['1 year  and   2 days', 'P1Y2D'],
    ['1 year ,  6 months', 'P1Y6M'],
    ['1 year,6 months', 'P1Y6M'],
    ['1000 years', 'P1000Y'],
    ['8760000 hours', 'PT8760000H'],
  ])('%s is %s', (text, canonical) => {
    expect(isoPeriod(periodOf(text))).toBe(canonical);
  });

  test.each([
    '',
    'P',
    'PT',
    'P1YT',
    '2',
    'years',
    'two years',
    '2 yers',
    '0 days',
    'P0D',
    '-P1Y',
    'P-1Y',
    '-2 years',
    '1.5 years',
    'P1.5Y',
    'PT1S',
    '1 year 1 year',
    '2 years and',
    '2 years,',
    '1001 years',
    'P99999999999999999999Y',
    '2 years 6',
    'P1D1Y',
    'about 2 years',
    '2 years and ',
    '2 years , ',
    '8760001 hours',
  ])('%j is no period', (text) => {
    expect(parsePeriod(text)).toBeNull();
  });

  test('text that is no period makes periodOf throw', () => {
    expect(() => periodOf('soon')).toThrow(RangeError);
  });

  test('words: one of a unit is told as one', () => {
    expect(periodWords(periodOf('P1Y6M'))).toBe('1 year 6 months');
    expect(periodWords(periodOf('P2Y1M1DT1H1M'))).toBe('2 years 1 month 1 day 1 hour 1 minute');
  });

  test('words and ISO text of a period read back as the same period', () => {
    fc.assert(
      fc.property(anyPeriod(), (period) => {
        expect(parsePeriod(isoPeriod(period))).toEqual(period);
        expect(parsePeriod(periodWords(period))).toEqual(period);
      }),
    );
  });
});

describe('the calendar', () => {
  test('29 February plus one year is 28 February, 31 January plus one month the last of February', () => {
    expect(end('2024-02-29T12:00:00Z', '1 year')).toBe('2025-02-28T12:00:00.000Z');
    expect(end('2024-02-29T12:00:00Z', '4 years')).toBe('2028-02-29T12:00:00.000Z');
    expect(end('2023-01-31T00:00:00Z', '1 month')).toBe('2023-02-28T00:00:00.000Z');
    expect(end('2024-01-31T00:00:00Z', '1 month')).toBe('2024-02-29T00:00:00.000Z');
  });

  test('the time on the wall stays when summer time begins or ends in between', () => {
    // 10:00 in Amsterdam is 09:00 UTC in winter and 08:00 UTC in summer.
    expect(end('2024-01-15T09:00:00Z', '6 months', 'Europe/Amsterdam')).toBe('2024-07-15T08:00:00.000Z');
    expect(end('2024-07-15T08:00:00Z', '6 months', 'Europe/Amsterdam')).toBe('2025-01-15T09:00:00.000Z');
  });

  test('the day counts in the zone: half past midnight on 1 March in Amsterdam is still February in UTC', () => {
    expect(end('2023-02-28T23:30:00Z', '1 year', 'Europe/Amsterdam')).toBe('2024-02-29T23:30:00.000Z');
    expect(end('2023-02-28T23:30:00Z', '1 year', 'UTC')).toBe('2024-02-28T23:30:00.000Z');
  });

  test('a time that summer time skips moves on by the gap, one that happens twice means the first', () => {
    expect(end('2023-03-31T00:30:00Z', '1 year', 'Europe/Amsterdam')).toBe('2024-03-31T01:30:00.000Z');
    expect(end('2023-10-27T00:30:00Z', '1 year', 'Europe/Amsterdam')).toBe('2024-10-27T00:30:00.000Z');
  });

  test('hours are exact time, days are days on the wall', () => {
    expect(end('2024-03-30T12:00:00Z', 'PT24H', 'Europe/Amsterdam')).toBe('2024-03-31T12:00:00.000Z');
    expect(end('2024-03-30T12:00:00Z', '1 day', 'Europe/Amsterdam')).toBe('2024-03-31T11:00:00.000Z');
  });

  test('an end beyond what a date can hold is never reached, and does not throw', () => {
    expect(addPeriod(MAX_INSTANT_MS, periodOf('1 day'), 'Europe/Amsterdam')).toBe(Number.POSITIVE_INFINITY);
    expect(periodAdder(periodOf('1 day'), 'Europe/Amsterdam')(MAX_INSTANT_MS)).toBe(Number.POSITIVE_INFINITY);
  });

  test('30 days and a month each exceed the other, a week exceeds neither a week nor 8 days', () => {
    expect(exceeds(periodOf('30 days'), periodOf('1 month'))).toBe(true);
    expect(exceeds(periodOf('1 month'), periodOf('30 days'))).toBe(true);
    expect(exceeds(periodOf('28 days'), periodOf('1 month'))).toBe(false);
    expect(exceeds(periodOf('7 days'), periodOf('1 week'))).toBe(false);
    expect(exceeds(periodOf('7 days'), periodOf('8 days'))).toBe(false);
    expect(exceeds(periodOf('25 hours'), periodOf('1 day'))).toBe(true);
    expect(exceeds(periodOf('366 days'), periodOf('1 year'))).toBe(true);
    expect(exceeds(periodOf('365 days'), periodOf('1 year'))).toBe(false);
    expect(exceeds(periodOf('1 month'), periodOf('31 days'))).toBe(false);
    expect(exceeds(periodOf('61 minutes'), periodOf('1 hour'))).toBe(true);
    expect(exceeds(periodOf('90 minutes'), periodOf('2 hours'))).toBe(false);
    expect(exceeds(periodOf('2 minutes'), periodOf('1 minute'))).toBe(true);
  });
});

describe('the fast adder', () => {
  test('equals the calendar at random instants, in every kind of zone', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...ZONES),
        anyPeriod(),
        fc.array(anyInstant(), { maxLength: 20 }),
        (zone, period, instants) => {
          const fast = periodAdder(period, zone);
          for (const ms of instants) expect(fast(ms)).toBe(addPeriod(ms, period, zone));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('equals the calendar on and around changes of the offset and ends that land on one', () => {
    const changes: Record<string, string[]> = {
      'Europe/Amsterdam': ['2024-03-31T01:00:00Z', '2024-10-27T01:00:00Z'],
      'Australia/Lord_Howe': ['2024-04-06T15:00:00Z', '2024-10-05T15:30:00Z'],
      'Africa/Casablanca': ['2024-03-10T02:00:00Z', '2024-04-14T02:00:00Z'],
      'Pacific/Apia': ['2011-12-30T10:00:00Z', '2012-03-31T14:00:00Z'],
      'America/Sao_Paulo': ['2018-11-04T03:00:00Z', '2019-02-17T02:00:00Z'],
    };
    const periods = [
      '1 day',
      '7 days',
      '1 month',
      '6 months',
      '1 year',
      '2 years',
      '1 year 30 days',
      'PT12H',
      'P1DT90M',
      'P1MT100H',
    ];
    for (const [zone, instants] of Object.entries(changes)) {
      for (const text of periods) {
        const period = periodOf(text);
        const fast = periodAdder(period, zone);
        for (const change of instants.map(at)) {
          // The triggers whose end, or the end of whose calendar part, lands near the change, and those near it themselves.
          const earlier = (by: Period) => change - (addPeriod(change, by, zone) - change);
          const calendarPart = { ...period, hours: 0, minutes: 0 };
          for (const centre of [earlier(period), earlier(calendarPart), change]) {
            for (let ms = centre - 2 * DAY; ms <= centre + 2 * DAY; ms += 30 * 60_000) {
              for (const near of [ms - 1, ms]) {
                if (fast(near) !== addPeriod(near, period, zone)) {
                  expect.fail(
                    `${zone} ${text} from ${iso(near)}: ${iso(fast(near))}, not ${iso(addPeriod(near, period, zone))}`,
                  );
                }
              }
            }
          }
        }
      }
    }
  });
});

describe('the range for the query', () => {
  test('misses no due record, and what lies below its lower end is due', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...ZONES),
        anyPeriod(),
        recentInstant(),
        fc.integer({ min: -8 * DAY, max: 8 * DAY }),
        (zone, period, now, away) => {
          const { dueBefore, certainlyDueBefore } = superset(now, period, zone);
          const middle = (dueBefore + certainlyDueBefore) / 2;
          const trigger = Math.round(middle) + away;
          const isDue = addPeriod(trigger, period, zone) <= now;
          if (isDue) expect(trigger).toBeLessThan(dueBefore);
          if (trigger < certainlyDueBefore) expect(isDue).toBe(true);
          expect(dueBefore - certainlyDueBefore).toBeLessThanOrEqual(10 * DAY);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('is exact where the trigger is the due date itself', () => {
    expect(superset(1_000, null, 'UTC')).toEqual({ dueBefore: 1_001, certainlyDueBefore: 1_001 });
  });
});

function anyPeriod(): fc.Arbitrary<Period> {
  return fc
    .record({
      years: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 30 })),
      months: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 11 })),
      days: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 400 })),
      hours: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 100 })),
      minutes: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 59 })),
    })
    .filter((period) => Object.values(period).some((amount) => amount > 0));
}

function recentInstant() {
  return fc.integer({ min: at('1970-01-01T00:00:00Z'), max: at('2060-01-01T00:00:00Z') });
}

function anyInstant() {
  return fc.oneof(recentInstant(), fc.integer({ min: at('0001-01-01T00:00:00Z'), max: at('9999-12-31T00:00:00Z') }));
}
