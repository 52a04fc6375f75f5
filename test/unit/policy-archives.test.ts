import { describe, expect, test } from 'vitest';
import { checkCaps } from '../../src/policy/caps.ts';
import { MAX_ARCHIVE_BYTES, MAX_ARCHIVE_RECORDS } from '../../src/policy/limits.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { lastPurgeInWindow, overdueAfter, sealDecision, waitsUntil } from '../../src/policy/window.ts';

const at = (text: string) => Date.parse(text);
const { loaded } = loadPolicy(
  'chats.yaml',
  `policy: chats
zone: Europe/Amsterdam
dataset: { collection: support.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: createdAt }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 1 month, maxWait: 3 days }
grace: 1 week
limits: { records: 1000, share: 0.5 }
`,
);
if (loaded === null) throw new Error('the policy of this test is wrong');
const { policy } = loaded;

/** 10:00 in Amsterdam, two days before summer time begins. */
const DUE = at('2026-03-27T09:00:00Z');
const waiting = { records: 10, bytes: 10_000, oldestDueAt: DUE, now: DUE, policy, flush: false };

test('the due window is calendar arithmetic from the first record’s purge date', () => {
  expect(lastPurgeInWindow(at('2033-01-31T09:00:00Z'), policy)).toBe(at('2033-02-28T09:00:00Z'));
  expect(lastPurgeInWindow(Number.POSITIVE_INFINITY, policy)).toBe(Number.POSITIVE_INFINITY);
});

test('the wait and the grace end on the clock on the wall', () => {
  expect(waitsUntil(DUE, policy)).toBe(at('2026-03-30T08:00:00Z'));
  expect(overdueAfter(DUE, policy)).toBe(at('2026-04-03T08:00:00Z'));
});

describe('when to seal', () => {
  const UNTIL = at('2026-03-30T08:00:00Z');

  test('few records wait for company, and say until when', () => {
    expect(sealDecision(waiting)).toMatchObject({ seal: false, reason: 'waiting', until: UNTIL });
    expect(sealDecision(waiting).text).toContain('2026-03-30 10:00 (Europe/Amsterdam)');
  });

  test('they go at the very instant at which the oldest has waited long enough, not a millisecond before', () => {
    expect(sealDecision({ ...waiting, now: UNTIL - 1 }).seal).toBe(false);
    expect(sealDecision({ ...waiting, now: UNTIL })).toMatchObject({ seal: true, reason: 'waited' });
  });

  test('a full archive goes at once: by records or by bytes', () => {
    expect(sealDecision({ ...waiting, records: MAX_ARCHIVE_RECORDS })).toMatchObject({ seal: true, reason: 'full' });
    expect(sealDecision({ ...waiting, bytes: MAX_ARCHIVE_BYTES })).toMatchObject({ seal: true, reason: 'full' });
    expect(sealDecision({ ...waiting, records: MAX_ARCHIVE_RECORDS - 1, bytes: MAX_ARCHIVE_BYTES - 1 }).seal).toBe(
      false,
    );
  });

  test('a person can say: now', () => {
    expect(sealDecision({ ...waiting, flush: true })).toMatchObject({ seal: true, reason: 'flush' });
  });

  test('nothing due is nothing to seal, flushed or not', () => {
    const nothing = { ...waiting, records: 0, bytes: 0, oldestDueAt: null, flush: true };
    expect(sealDecision(nothing)).toMatchObject({ seal: false, reason: 'nothing-due', until: null });
  });
});

describe('blast caps', () => {
  const limits = { records: 100, share: 0.1 };

  test('within both caps, up to the very numbers', () => {
    expect(checkCaps({ taken: 100, documents: 1000, limits })).toEqual({ ok: true });
    expect(checkCaps({ taken: 0, documents: 0, limits })).toEqual({ ok: true });
  });

  test('one record too many', () => {
    const result = checkCaps({ taken: 101, documents: 100_000, limits });
    expect(result).toMatchObject({ ok: false, cap: 'records' });
    expect(!result.ok && result.text).toBe('101 records are to be taken, and limits.records allows 100');
  });

  test('too large a share, also when rounding would hide it', () => {
    const result = checkCaps({ taken: 100, documents: 999, limits });
    expect(result).toMatchObject({ ok: false, cap: 'share' });
    expect(!result.ok && result.text).toBe(
      '100 of 999 documents are to be taken (10.02 %), and limits.share allows 10 %',
    );
  });

  test('a share of 1 allows everything, also when the count of documents was estimated too low', () => {
    expect(checkCaps({ taken: 100, documents: 98, limits: { records: 100, share: 1 } })).toEqual({ ok: true });
    expect(checkCaps({ taken: 100, documents: 0, limits: { records: 100, share: 0.9 } }).ok).toBe(false);
  });

  test.each([
    ['records missing', { records: null, share: 1 }],
    ['share missing', { records: 100, share: null }],
    ['records zero', { records: 0, share: 1 }],
    ['share zero', { records: 100, share: 0 }],
    ['records NaN', { records: Number.NaN, share: 1 }],
    ['share NaN', { records: 100, share: Number.NaN }],
    ['records infinite', { records: Number.POSITIVE_INFINITY, share: 1 }],
    ['share above 1', { records: 100, share: 1.01 }],
    ['negative', { records: -1, share: -1 }],
  ])('%s: nothing may go, not even nothing', (_case, closed) => {
    expect(checkCaps({ taken: 1, documents: 1000, limits: closed }).ok).toBe(false);
    expect(checkCaps({ taken: 0, documents: 1000, limits: closed }).ok).toBe(false);
  });

  test.each([
    ['taken NaN', Number.NaN, 1000],
    ['taken negative', -1, 1000],
    ['documents NaN', 1, Number.NaN],
    ['documents negative', 1, -1],
  ])('an amount that makes no sense (%s) is refused', (_case, taken, documents) => {
    expect(checkCaps({ taken, documents, limits }).ok).toBe(false);
  });
});
