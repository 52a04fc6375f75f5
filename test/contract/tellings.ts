/** Tellings for tests, with the words that a real policy gives. */
import { id } from '../../src/ids.ts';
import type { Telling } from '../../src/notify/telling.ts';
import type { Terms } from '../../src/policy/terms.ts';

export const OWNER = id.owner('acme');

const TERMS: Terms = {
  collection: 'support.chats',
  together: ['the files that “video” names'],
  counted: 'from the date in “createdAt”',
  active: ['2 years, where “plan” is enterprise', '3 months otherwise'],
  disposition: ['the record is moved into an encrypted archive, and deleted where it was'],
  archive: ['7 years'],
  rules: [],
  zone: 'Europe/Amsterdam',
};

export function inForceTelling(notification: string, policy = 'chats'): Telling {
  return {
    ...about(notification),
    news: {
      kind: 'in-force',
      policies: [
        {
          policy,
          change: 'changed',
          version: 'b'.repeat(64),
          previous: 'a'.repeat(64),
          since: '2026-11-01T10:00:00.000Z',
          terms: TERMS,
        },
      ],
      exceptions: { inForce: 2, granted: 1, ended: 0 },
    },
  };
}

export function purgeTelling(notification: string): Telling {
  return {
    ...about(notification),
    news: {
      kind: 'purge',
      archives: ['a1', 'a2'],
      records: 1_234_567,
      customers: 2,
      firstAt: '2026-12-01T00:00:00.000Z',
      lastAt: '2026-12-31T00:00:00.000Z',
      byPolicy: [{ policy: 'chats', archives: 2, records: 1_234_567 }],
    },
  };
}

export function comingTelling(notification: string): Telling {
  const from = '2026-12-01T10:00:00.000Z';
  const next = { ...TERMS, active: ['1 year'], rules: ['kept for at least 3 years (rule “tax”)'] };
  return {
    ...about(notification),
    news: {
      kind: 'coming',
      policies: [
        { policy: 'chats', change: 'coming', version: 'c'.repeat(64), from, now: TERMS, next },
        { policy: 'calls', change: 'withdrawn', version: 'd'.repeat(64), from, now: TERMS, next: null },
      ],
    },
  };
}

function about(notification: string): Omit<Telling, 'news'> {
  const at = new Date('2026-11-22T12:00:00Z');
  return { id: notification, owner: OWNER, installation: 'i-1', environment: 'production', at };
}
