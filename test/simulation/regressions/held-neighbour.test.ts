/** Found by the first of the enumerated lives: a daemon archived nothing of a partition as long as one of its records was held. */
import { expect, test } from 'vitest';
import { live } from '../simulate.ts';
import { HOUR_MS, type RecordPlan, type Scenario } from '../world/scenario.ts';

const NAMESPACE = 'data.chats';

function record(id: string, mail: string | null): RecordPlan {
  return { namespace: NAMESPACE, id, owner: 'acme', tenant: 'north', at: -2.1, mail, size: 10 };
}

const SCOPE = {
  customer: null,
  namespace: null,
  policy: null,
  recordIds: null,
  triggerFrom: null,
  triggerBefore: null,
};

const SCENARIO: Scenario = {
  seed: 1,
  days: 1,
  policies: [
    {
      facts: {
        name: 'chats',
        namespace: NAMESPACE,
        activeDays: 2,
        archiveDays: 10,
        dueWindowDays: 1,
        maxWaitDays: 1,
        graceDays: 2,
        verify: 'checksum',
        limits: { records: 1_000, share: 1 },
      },
      version: false,
    },
  ],
  owners: ['acme'],
  workers: 1,
  records: [record('held', 'jo@example.org'), record('free', null)],
  script: [
    {
      at: 0,
      act: { what: 'place hold', name: 'case', scope: { ...SCOPE, owner: 'acme', mails: ['jo@example.org'] } },
    },
    { at: HOUR_MS, act: { what: 'sweep', policy: 'chats', flush: true } },
  ],
  latencyMs: [5, 5],
  faults: { by: 'list', list: [] },
  quiet: { days: 4, roundMs: 24 * HOUR_MS },
};

test('daemon: one record of a partition held: the others are archived and deleted, the held one stays', async () => {
  const { violations, deleted } = await live(SCENARIO);
  expect({ violations, deleted }).toEqual({ violations: [], deleted: 1 });
});
