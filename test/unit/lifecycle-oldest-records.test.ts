/** The oldest record that is due and still there, by the source itself; and the policies that are taken: only what was published. */
import { BSON } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { holds } from '../../src/ledger/holds.ts';
import { exemptRecords, markQuarantined } from '../../src/ledger/record-marks.ts';
import type { LedgerDocument } from '../../src/ledger/store.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { type OldestRecord, oldestRecords, overdueMs } from '../../src/lifecycle/oldest-records.ts';
import { pinnedPolicy, policiesToRun } from '../../src/lifecycle/published.ts';
import { markScope } from '../../src/lifecycle/read-marks.ts';
import { type Policy, policyVersion } from '../../src/policy/policy.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import { ACME, aHold } from '../harness/a-hold.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const AS_OF = '2024-06-01T00:00:00Z';
const text = (name: string, collection: string, active = '2 years') => `
policy: ${name}
zone: UTC
dataset: { collection: ${collection}, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: ${active}
then: archive
archive: { for: 7 years, vault: cold }
grace: 7 days
limits: { records: 1000, share: 1.0 }
`;

let world: MemoryWorld;
let chats: Policy;
let context: Context;
beforeEach(async () => {
  world = await MemoryWorld.open();
  chats = await world.publish(text('chats', 'data.chats'));
  context = world.context(undefined, { asOf: AS_OF });
});

const put = (_id: string, day: string, more: BSON.Document = {}) =>
  world.put(chats, { _id, owner: 'acme', tenant: 'north', at: new Date(day), ...more });
const keyOf = (_id: string) => world.source.keyOf(idBytesOf(BSON.serialize({ _id })));

async function oldest(on = context): Promise<OldestRecord> {
  const [first, ...others] = await oldestRecords(on);
  if (first === undefined || others.length > 0) throw new Error('One was expected.');
  return first;
}

describe('the oldest record', () => {
  test('none is due: no date, and nothing is overdue', async () => {
    put('young', '2024-01-01');
    const found = await oldest();
    expect(found).toEqual({
      policy: 'chats',
      readAt: world.clock.now(),
      dueAt: null,
      overdueFrom: null,
      isExpired: false,
      pendingSince: null,
      problem: null,
    });
    expect(overdueMs(found, new Date(AS_OF))).toBe(0);
  });

  test('of all partitions the one that became due first, with its grace; by the instant that counts as now', async () => {
    put('later', '2022-05-20');
    put('first', '2022-05-10', { tenant: 'south' });
    put('middle', '2022-05-15', { tenant: 'west' });
    const found = await oldest();
    expect(found).toMatchObject({
      dueAt: new Date('2024-05-10'),
      overdueFrom: new Date('2024-05-17'),
      isExpired: false,
      pendingSince: null,
    });
    const day = 86_400_000;
    expect(overdueMs(found, new Date('2024-05-18'))).toBe(day);
    expect(overdueMs(found, new Date('2024-05-17'))).toBe(0);
    expect(overdueMs(found, new Date('2024-05-01'))).toBe(0);
    expect(await oldest(world.context(undefined, { asOf: '2024-05-01T00:00:00Z' }))).toMatchObject({ dueAt: null });
  });

  test('due at this very instant counts, past its archive period too is said', async () => {
    put('now', '2022-06-01');
    expect(await oldest()).toMatchObject({ dueAt: new Date(AS_OF), isExpired: false });
    put('expired', '2015-06-01');
    expect(await oldest()).toMatchObject({ dueAt: new Date('2017-06-01'), isExpired: true });
    world.source.remove(chats.dataset.collection, idBytesOf(BSON.serialize({ _id: 'expired' })));
    put('nearly', '2015-06-02');
    expect(await oldest()).toMatchObject({ dueAt: new Date('2017-06-02'), isExpired: false });
  });

  test('exempt, in quarantine, held: not late; the next one is', async () => {
    put('exempt', '2020-01-01');
    put('apart', '2020-01-02');
    put('held', '2020-01-03');
    put('late', '2020-01-04');
    const scope = await markScope(context, ACME.namespace, ACME.owner, ACME.customer);
    await exemptRecords(world.store, scope, [keyOf('exempt')], new Date('2025-01-01'));
    await markQuarantined(world.store, scope, [keyOf('apart')]);
    const range = { triggerFrom: new Date('2020-01-03'), triggerBefore: new Date('2020-01-04') };
    await holds(world.store).insert(aHold({ _id: 'h1', ...ACME, ...range }));
    expect(await oldest()).toMatchObject({ dueAt: new Date('2022-01-04') });
    await holds(world.store).insert(aHold({ _id: 'h2', owner: ACME.owner }));
    expect(await oldest()).toMatchObject({ dueAt: null });
    put('of-another', '2021-01-01', { owner: 'other' });
    expect(await oldest()).toMatchObject({ dueAt: new Date('2023-01-01') });
  });

  test('a hold on all of a partition: its records are not read', async () => {
    put('a', '2020-01-01');
    await holds(world.store).insert(aHold({ owner: ACME.owner }));
    const source = overlay(context.source, {
      scan: () => {
        throw new Error('not to be read');
      },
    });
    expect(await oldest({ ...context, source })).toMatchObject({ dueAt: null, problem: null });
  });

  test('a policy whose source cannot be asked says why, and stops no other; a stranger’s error is not quoted', async () => {
    const mails = await world.publish(text('mails', 'data.mails'));
    put('a', '2020-01-01');
    world.put(mails, { _id: 'm', owner: 'acme', tenant: 'north', at: new Date('2021-01-01') });
    world.source.settings(mails.dataset.collection, { index: false });
    const warnings: unknown[] = [];
    const log = { ...context.log, warn: (ids: unknown) => warnings.push(ids) };
    const [first, second] = await oldestRecords({ ...context, log });
    expect(first).toMatchObject({ policy: 'chats', dueAt: new Date('2022-01-01'), problem: null });
    expect(second).toEqual({
      policy: 'mails',
      readAt: world.clock.now(),
      dueAt: null,
      overdueFrom: null,
      isExpired: false,
      pendingSince: null,
      problem: { code: 'INDEX_MISSING', text: expect.any(String), hint: expect.any(String) },
    });
    expect(second && overdueMs(second, new Date(AS_OF))).toBeNull();
    expect(warnings).toEqual([{ policy: 'mails', code: 'INDEX_MISSING' }]);
    const source = overlay(context.source, {
      inspect: async () => Promise.reject(new Error('the mail of jo@example.org')),
    });
    const [strange] = await oldestRecords({ ...context, source, log });
    expect(strange?.problem).toMatchObject({ code: 'INTERNAL' });
    expect(JSON.stringify(strange)).not.toContain('jo@example.org');
  });
});

describe('published policies', () => {
  const versions = () => world.store.collection<LedgerDocument & { json: string }>('policyVersions');

  /** Somebody else's hand in the ledger. */
  async function forge(version: string, json: (was: string) => string): Promise<void> {
    const found = await versions().get(version);
    if (found === null) throw new Error('It was not published.');
    await versions().replace({ ...found, json: json(found.json) });
  }

  test('all, or those with these names; one that was never published is refused', async () => {
    const mails = await world.publish(text('mails', 'data.mails'));
    expect(await policiesToRun(world.store, null)).toEqual([chats, mails]);
    expect(await policiesToRun(world.store, ['mails'])).toEqual([mails]);
    expect(await policiesToRun(world.store, [])).toEqual([]);
    await expect(policiesToRun(world.store, ['mails', 'calls'])).rejects.toMatchObject({
      code: 'POLICY_NOT_PUBLISHED',
    });
  });

  test('the version that was pinned is what comes back, whatever is in force since', async () => {
    const newer = await world.publish(text('chats', 'data.chats', '1 year'));
    expect(await pinnedPolicy(world.store, policyVersion(chats))).toEqual(chats);
    expect(await policiesToRun(world.store, ['chats'])).toEqual([newer]);
    await expect(pinnedPolicy(world.store, id.policyVersion('0'.repeat(64)))).rejects.toMatchObject({
      code: 'POLICY_UNKNOWN',
    });
  });

  test.each([
    ['a shorter period', (was: string) => was.replace('P2Y', 'P1Y')],
    ['no policy', () => '"chats"'],
    ['nothing', () => 'null'],
    ['a list', () => '[]'],
    ['another version of the format', (was: string) => was.replace('"v":1', '"v":2')],
  ])('a version that was changed in the ledger to %s is never used', async (_, json) => {
    await forge(policyVersion(chats), json);
    await expect(pinnedPolicy(world.store, policyVersion(chats))).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(policiesToRun(world.store, null)).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(policiesToRun(world.store, ['chats'])).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});
