/** What becomes of a job by the error's class, and when a schedule last came round. Pure: no queue is there. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MARGINS, MAX_STALLED_COUNT } from '../../jobs/margins.ts';
import { JOB_OPTIONS, jobId, QUEUE_NAMES, readJobData } from '../../jobs/queues.ts';
import { FIXED_SCHEDULES, previousRun } from '../../jobs/schedules.ts';
import { settle } from '../../jobs/settle-job.ts';
import { ERROR_KINDS, type ErrorCode, MoraineError } from '../../src/errors.ts';
import { isSchedule } from '../../src/policy/schedule.ts';

const now = new Date('2026-03-01T12:00:00Z');
const settled = (error: unknown, isStopping = false) => settle(error, { now, isStopping, margins: MARGINS });
const codes = Object.keys(ERROR_KINDS).filter((code): code is ErrorCode => code in ERROR_KINDS);

describe('settle', () => {
  it('told to stop: every job is given back, whatever was thrown', () => {
    for (const code of codes) expect(settled(new MoraineError(code, 'x'), true)).toEqual({ kind: 'give-back' });
    expect(settled(new TypeError('x'), true)).toEqual({ kind: 'give-back' });
  });

  it('each code of the list: by its class, or as an outage or a stop of all destructive work', () => {
    const kinds = { retry: 'retry', unknown: 'retry', later: 'delay' } as const;
    const waits: Partial<Record<ErrorCode, string>> = {
      MONGODB_UNAVAILABLE: 'mongodb',
      VAULT_UNAVAILABLE: 'vault',
      CLOCK_DISAGREES: 'time',
      CLOCK_JUMPED: 'time',
      KEY_STORE_BEHIND: 'time',
      LEDGER_BEHIND_VAULT: 'time',
      LEDGER_NEWER: 'time',
      LEDGER_REBUILT: 'time',
    };
    for (const code of codes) {
      const error = new MoraineError(code, 'the text');
      const wanted = Object.entries(kinds).find(([name]) => name === error.class)?.[1] ?? 'fail';
      const settlement = settled(error);
      expect([code, settlement.kind]).toEqual([code, waits[code] === undefined ? wanted : 'delay']);
      if (settlement.kind === 'delay') expect([code, settlement.waited]).toEqual([code, waits[code] ?? null]);
    }
  });

  it('later: until the time that the error names, never a busy loop', () => {
    const at = (ms: number) => new MoraineError('VAULT_THROTTLED', 'x', { retryAt: new Date(now.getTime() + ms) });
    expect(settled(at(90_000))).toMatchObject({ kind: 'delay', ms: 90_000 });
    expect(settled(at(-5_000))).toMatchObject({ kind: 'delay', ms: 1_000 });
    expect(settled(at(30 * 24 * 3_600_000))).toMatchObject({ kind: 'delay', ms: MARGINS.longestDelayMs });
    expect(settled(new MoraineError('VAULT_THROTTLED', 'x'))).toMatchObject({ ms: MARGINS.laterRetryMs });
  });

  it('what goes to Redis is the code and ids: neither the text of the error nor of foreign ones', () => {
    const ids = { archive: 'a1' };
    expect(settled(new MoraineError('KEY_MISSING', 'of a@b.example', { ids }))).toEqual({
      kind: 'fail',
      text: 'KEY_MISSING archive=a1',
    });
    expect(settled(new Error('{ email: a@b.example }'))).toEqual({ kind: 'fail', text: 'INTERNAL' });
  });
});

describe('the longest delay', () => {
  it('is longer than every wait of the daemon and of the queue', () => {
    const { outageRetryMs, gateRetryMs, pausedRetryMs, leaseRetryMs, laterRetryMs, longestDelayMs } = MARGINS;
    const { attempts = 0, backoff } = JOB_OPTIONS;
    const firstMs = typeof backoff === 'object' ? (backoff.delay ?? 0) : 0;
    const waits = [outageRetryMs, gateRetryMs, leaseRetryMs, laterRetryMs, firstMs * 2 ** (attempts - 2)];
    expect(firstMs).toBeGreaterThan(0);
    expect(longestDelayMs).toBeGreaterThan(10 * Math.max(...waits));
    // A pause is noticed to be over long before: this one is the last resort.
    expect(longestDelayMs).toBeGreaterThanOrEqual(2 * pausedRetryMs);
  });
});

describe('jobs', () => {
  it('ids: the same work is the same id, other work another; BullMQ takes them all', () => {
    const by = 'test';
    const partition = { policy: 'p', version: 'v', dataset: 'd.c', owner: 'a', customer: 'b', plannedAt: 'now' };
    const ids = [
      jobId('sweep', { policy: 'p', flush: false, by }),
      jobId('sweep', { policy: 'p', flush: true, by }),
      jobId('sweep', { policy: null, flush: false, by }),
      jobId('archive', partition),
      jobId('archive', { ...partition, customer: 'c' }),
      jobId('archive', { archive: 'x' }),
      jobId('purge', { by }),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    expect(jobId('archive', { ...partition, version: 'w', plannedAt: 'then' })).toBe(ids[3]);
    for (const id of ids) expect(id).not.toMatch(/:|^\d+$/);
  });

  it('data: what is not of the queue is refused, also with a field too many', () => {
    for (const queue of QUEUE_NAMES) expect(readJobData(queue, { by: 'x', record: {} })).toBeNull();
    expect(readJobData('clear', { archive: 'x' })).toEqual({ archive: 'x' });
    expect(readJobData('clear', { archive: '' })).toBeNull();
  });
});

describe('docs/jobs.md', () => {
  const page = readFileSync(new URL('../../docs/jobs.md', import.meta.url), 'utf8');

  it('its table has every queue, and no other', () => {
    expect([...page.matchAll(/^\| `(\w+)` /gm)].map(([, queue]) => queue)).toEqual(QUEUE_NAMES);
  });

  it('its figures are those of the code', () => {
    const seconds = (ms: number) => ms / 1000;
    const flat = page.replace(/\s+/g, ' ');
    expect(flat).toContain(`looks again after ${seconds(MARGINS.leaseRetryMs)} seconds`);
    expect(flat).toContain(
      `Jobs have ${seconds(MARGINS.giveBackWithinMs)} seconds for that, closing the connections ${seconds(MARGINS.closeWithinMs)}`,
    );
    expect(flat).toContain(
      `after ${seconds(MARGINS.giveBackWithinMs + 2 * MARGINS.closeWithinMs)} seconds the process ends`,
    );
    expect(flat).toContain(`${JOB_OPTIONS.attempts} attempts`);
    expect(flat).toContain(`the ${MAX_STALLED_COUNT + 1}st`);
    const minute = (pattern: string) => `minute ${pattern.split(' ')[0]} of every hour`;
    expect(flat).toContain(minute(FIXED_SCHEDULES.purge));
    expect(flat).toContain(minute(FIXED_SCHEDULES.reconcile));
  });
});

describe('schedules', () => {
  it('the last time that one came round: at that very instant too, in its zone, across the change of the clocks', () => {
    const amsterdam = { pattern: '0 2 * * *', zone: 'Europe/Amsterdam' };
    const last = (at: string, schedule = amsterdam) => previousRun(schedule, new Date(at))?.toISOString();
    expect(last('2026-03-01T01:00:00.000Z')).toBe('2026-03-01T01:00:00.000Z');
    expect(last('2026-03-01T00:59:59.999Z')).toBe('2026-02-28T01:00:00.000Z');
    expect(last('2026-07-01T00:30:00Z')).toBe('2026-07-01T00:00:00.000Z');
    expect(last('2026-03-01T12:00:00Z', { pattern: '0 0 1 1 *', zone: 'UTC' })).toBe('2026-01-01T00:00:00.000Z');
  });

  it('our own are schedules that a policy could have', () => {
    for (const pattern of Object.values(FIXED_SCHEDULES)) expect(isSchedule(pattern)).toBe(true);
  });
});
