/** Found by seed 7471: who granted a version stood still before the grant was written, and the grace had begun by then. */
import { expect, test } from 'vitest';
import type { PolicyFacts } from '../judge/observations.ts';
import { liveAimed } from '../planted/aimed.ts';
import { HOUR_MS, type Scenario } from '../world/scenario.ts';

const POLICY: PolicyFacts = {
  name: 'chats',
  namespace: 'data.chats',
  activeDays: 3,
  archiveDays: 3,
  dueWindowDays: 1,
  maxWaitDays: 1,
  graceDays: 1,
  verify: 'checksum',
  limits: { records: 1_000, share: 1 },
};
const SHORTER = { what: 'publish', policy: { ...POLICY, activeDays: 1 }, version: false } as const;

const SCENARIO: Scenario = {
  seed: 1,
  days: 3,
  policies: [{ facts: POLICY, version: false }],
  owners: ['acme'],
  workers: 1,
  records: [{ namespace: 'data.chats', id: 'young', owner: 'acme', tenant: 'north', at: -0.5, mail: null, size: 10 }],
  script: [
    { at: HOUR_MS, act: SHORTER },
    { at: 2 * HOUR_MS, act: { what: 'decide', pick: 'all', how: 'grant', as: 'bob' } },
    { at: 30 * HOUR_MS, act: SHORTER },
    { at: 32 * HOUR_MS, act: { what: 'sweep', policy: 'chats', flush: true } },
  ],
  latencyMs: [5, 5],
  faults: { by: 'list', list: [] },
};

test('a grant that is written long after it was said: the version waits for the grace all the same', async () => {
  const late = { kind: 'delay', ms: 25 * HOUR_MS } as const;
  const reports = await liveAimed({
    scenario: SCENARIO,
    aims: [{ call: 'ledger approvals.replace', process: 'operator-2', fault: late }],
  });
  expect(reports.map(({ violations }) => violations)).toEqual([[], []]);
  const report = reports.at(-1);
  expect(report?.faults).toMatchObject([late]);
  expect(report).toMatchObject({ granted: 1, waited: 1, deleted: 1 });
});
