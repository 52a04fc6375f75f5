/** The verdict on the first page: what it says in order to be trusted, and what it must not say. */
import { describe, expect, it } from 'vitest';
import { type AttentionFacts, attentionOf } from '../../src/console/data/attention.ts';
import type { Overview } from '../../src/console/data/overview.ts';
import { html } from '../../src/console/html.ts';
import { overviewPage } from '../../src/console/pages/overview.ts';
import { NO_OUTCOMES } from '../../src/ledger/archive-document.ts';
import { ARCHIVE_STATES } from '../../src/ledger/states.ts';

const NOW = new Date('2026-06-01T00:00:00Z');
const ago = (days: number) => new Date(NOW.getTime() - days * 86_400_000);
const QUIET: AttentionFacts = {
  alarms: [],
  pauses: [],
  quarantine: { records: 0, archives: 0, oldestAt: null },
  overduePurges: [],
  oldestRecords: [{ policy: 'chats', overdueSeconds: 0, isExpired: false, problem: null }],
  approvals: [],
  undelivered: 0,
  queues: [],
  runs: [],
};

function overview(changes: Partial<Overview>): Overview {
  const record = {
    policy: 'chats',
    readAt: NOW,
    dueAt: null,
    overdueFrom: null,
    isExpired: false,
    pendingSince: null,
    problem: null,
    overdueSeconds: 0,
  };
  return {
    at: NOW,
    tookMs: 1,
    attention: [],
    states: ARCHIVE_STATES.map((state) => ({ state, archives: 0, records: 0, bytes: 0 })),
    outcomes: NO_OUTCOMES,
    recordBytes: 0,
    vaultBytes: 0,
    oldestRecords: [record],
    duePurges: [],
    duePurgeCount: 0,
    overduePurges: [],
    quarantine: QUIET.quarantine,
    holds: 0,
    pauses: [],
    approvals: [],
    undelivered: 0,
    alarms: [],
    auditEntries: 0,
    runs: [],
    queues: [],
    ...changes,
  };
}

const shown = (changes: Partial<Overview>) => html`${overviewPage(overview(changes), NOW).body}`.toString();

describe('the verdict', () => {
  it('all quiet and the source has answered: everything is in order', () => {
    expect(shown({})).toContain('Everything is in order');
  });

  it('the source has not answered yet: it does not say that nothing is overdue', () => {
    const page = shown({ oldestRecords: null });
    expect(page).toContain('Nothing needs a person so far');
    expect(page).not.toMatch(/in order|nothing overdue/);
  });

  it('no policy is in force: says what to do, and not that all is well', () => {
    const page = shown({ oldestRecords: [] });
    expect(page).toContain('No policy is in force yet');
    expect(page).not.toContain('in order');
  });

  it('outcomes that do not add up are called so (promise 5)', () => {
    expect(shown({ outcomes: { ...NO_OUTCOMES, archived: 10, deleted: 9, changed: 1 } })).toContain('They add up');
    expect(shown({ outcomes: { ...NO_OUTCOMES, archived: 10, deleted: 9 } })).toContain('They do not add up');
  });
});

describe('what needs a person', () => {
  const purge = { archive: 'a', policy: 'chats', owner: 'acme', customer: 'north', dueAt: ago(40) };
  const run = { id: 'r', by: 'person:a', asOf: null, policies: [], startedAt: ago(1), endedAt: ago(1), counts: {} };

  it('nothing, when nothing does', () => {
    expect(attentionOf(QUIET, NOW)).toEqual([]);
  });

  it('alarms come first, each with what to do', () => {
    const all = attentionOf(
      {
        ...QUIET,
        quarantine: { records: 2, archives: 0, oldestAt: ago(3) },
        approvals: [ago(5), ago(1)],
        undelivered: 1,
        pauses: [{ what: 'owner', name: 'acme', reason: 'look first', since: ago(2) }],
        alarms: [{ code: 'LEDGER_BEHIND_VAULT', text: 'The ledger is old.' }],
        overduePurges: [purge],
        oldestRecords: [{ policy: 'chats', overdueSeconds: 86_400, isExpired: false, problem: null }],
      },
      NOW,
    );
    expect(all.map(({ level, hint }) => [level, hint])).toEqual([
      ['alarm', 'moraine check'],
      ['alarm', 'moraine purge'],
      ['alarm', 'moraine run chats'],
      ['warning', 'moraine resume owner acme'],
      ['warning', 'moraine quarantine list'],
      ['warning', 'moraine approve list'],
      ['warning', 'moraine notify list'],
    ]);
    expect(all[5]?.text).toBe('2 approvals waiting for a second person, the oldest for 5 days.');
    expect(all[3]?.text).toBe('Paused for 2 days: owner acme, because: look first');
    expect(all[4]?.text).toBe('2 records in quarantine, the oldest for 3 days.');
  });

  it('a backlog past its archive period needs a person to say so, not one more run', () => {
    const backlog = { policy: 'chats', overdueSeconds: 86_400, isExpired: true, problem: null };
    const [first] = attentionOf({ ...QUIET, oldestRecords: [backlog] }, NOW);
    expect(first).toMatchObject({ level: 'alarm', hint: 'moraine run chats --expired' });
  });

  it('a run that failed counts until the same command went well', () => {
    const failed = { ...run, command: 'run', state: 'failed', error: 'VAULT_REFUSED' } as const;
    const done = { ...run, command: 'run', state: 'done', error: null } as const;
    const purged = { ...run, command: 'purge', state: 'done', error: null } as const;
    expect(attentionOf({ ...QUIET, runs: [purged, failed] }, NOW)).toMatchObject([
      { text: 'The last run failed (VAULT_REFUSED).' },
    ]);
    expect(attentionOf({ ...QUIET, runs: [done, failed] }, NOW)).toEqual([]);
  });

  it('a source that cannot be read is not taken for one without overdue records', () => {
    const problem = { text: 'no index', hint: 'Create it.' };
    const all = attentionOf(
      { ...QUIET, oldestRecords: [{ policy: 'chats', overdueSeconds: null, isExpired: false, problem }] },
      NOW,
    );
    expect(all).toMatchObject([{ level: 'warning', hint: 'Create it.' }]);
  });
});
