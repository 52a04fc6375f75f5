/** Attempts: what an open one may become, and when what an abandoned one left may be removed. */
import { beforeEach, describe, expect, test } from 'vitest';
import { type AttemptId, id } from '../../src/ids.ts';
import {
  ABANDONED_MARGIN_MS,
  abandonAttempt,
  acknowledgeAttempt,
  attemptKeyDestroyed,
  attempts,
  attemptsToCleanUp,
  markCleanedUp,
  openAttempt,
  proveAbandoned,
  rememberUpload,
} from '../../src/ledger/attempts.ts';
import { AbandonedUpload } from '../../src/ledger/warrants.ts';
import { anArchive, LOCATION } from '../harness/an-archive.ts';
import { LedgerWorld } from '../harness/ledger-world.ts';

const T1 = id.attempt('t1');
const MEMBER = { name: 'README.txt', offset: 512, length: 100, sha256: 'ab'.repeat(32), segment: null };

let world: LedgerWorld;
beforeEach(async () => {
  world = await LedgerWorld.open();
});

function intentOf(attempt: AttemptId) {
  const { _id: archive, owner, customer, policyVersion, namespace: dataset } = anArchive();
  const { installation } = LOCATION;
  return { installation, archive, attempt, owner, customer, dataset, dueAt: '2029-01-02T00:00:00Z', policyVersion };
}

async function open(attempt: AttemptId = T1): Promise<void> {
  const intent = intentOf(attempt);
  const { archive } = intent;
  await openAttempt(world.store, world.clock, {
    _id: attempt,
    archive,
    epoch: 1,
    location: LOCATION,
    intent,
    partBytes: 1,
  });
}

async function read(attempt: AttemptId = T1) {
  const found = await attempts(world.store).get(attempt);
  if (found === null) throw new Error('It is gone.');
  return found;
}

const upload = { uploadId: 'u1', partBytes: 1, intent: intentOf(T1) };

test('opened: nothing is known of it yet; the same attempt a second time is a bug', async () => {
  await open();
  expect(await read()).toMatchObject({
    state: 'open',
    uploadId: null,
    members: [],
    keyDestroyedAt: null,
    cleanedUp: false,
    startedAt: world.clock.now(),
    endedAt: null,
    reason: null,
  });
  await expect(open()).rejects.toMatchObject({ code: 'INTERNAL' });
});

describe('while it is open', () => {
  test('its upload and its members are remembered', async () => {
    await open();
    await rememberUpload(world.store, T1, upload);
    expect(await read()).toMatchObject({ state: 'open', uploadId: 'u1', endedAt: null });
    world.advance(1_000);
    await acknowledgeAttempt(world.store, world.clock, T1, [MEMBER]);
    expect(await read()).toMatchObject({ state: 'acknowledged', members: [MEMBER], endedAt: world.clock.now() });
  });

  test('and not after: a worker that slept learns that another abandoned it, and changes nothing', async () => {
    await open();
    await abandonAttempt(world.store, world.clock, T1, 'its worker was cut');
    await expect(rememberUpload(world.store, T1, upload)).rejects.toMatchObject({
      code: 'LEASE_LOST',
      ids: { attempt: T1 },
    });
    await expect(acknowledgeAttempt(world.store, world.clock, T1, [MEMBER])).rejects.toMatchObject({
      code: 'LEASE_LOST',
    });
    expect(await read()).toMatchObject({ state: 'abandoned', uploadId: null, members: [] });
  });
});

test('abandoned once: its first end and reason stand; so does the first date of its key’s destruction', async () => {
  await open();
  const endedAt = world.clock.now();
  await abandonAttempt(world.store, world.clock, T1, 'first');
  await attemptKeyDestroyed(world.store, T1, endedAt);
  world.advance(5_000);
  expect(await abandonAttempt(world.store, world.clock, T1, 'second')).toMatchObject({ reason: 'first', endedAt });
  await attemptKeyDestroyed(world.store, T1, world.clock.now());
  expect(await read()).toMatchObject({ state: 'abandoned', reason: 'first', endedAt, keyDestroyedAt: endedAt });
});

describe('the proof that what it left may be removed', () => {
  const proof = () => proveAbandoned(world.store, world.clock, T1);

  test('at the end of the margin, not a millisecond before', async () => {
    await open();
    await abandonAttempt(world.store, world.clock, T1, 'cut');
    await attemptKeyDestroyed(world.store, T1, world.clock.now());
    world.advance(ABANDONED_MARGIN_MS - 1);
    expect(await proof()).toBeNull();
    world.advance(1);
    const proven = await proof();
    expect(proven).toBeInstanceOf(AbandonedUpload);
    expect(proven).toMatchObject({ attempt: T1, isProof: true });
  });

  test('never while its key is there, for an attempt that is good or open, or for one that the ledger does not know', async () => {
    expect(await proof()).toBeNull();
    await open();
    await attemptKeyDestroyed(world.store, T1, world.clock.now());
    world.advance(2 * ABANDONED_MARGIN_MS);
    expect(await proof()).toBeNull();
    await acknowledgeAttempt(world.store, world.clock, T1, [MEMBER]);
    world.advance(2 * ABANDONED_MARGIN_MS);
    expect(await proof()).toBeNull();
    const other = id.attempt('t2');
    await open(other);
    await abandonAttempt(world.store, world.clock, other, 'cut');
    world.advance(2 * ABANDONED_MARGIN_MS);
    expect(await proveAbandoned(world.store, world.clock, other)).toBeNull();
  });
});

test('to be cleaned up: abandoned, past the margin, and not cleaned up before', async () => {
  const listed = async () => {
    const found = [];
    for await (const { _id } of attemptsToCleanUp(world.store, world.clock)) found.push(_id);
    return found;
  };
  await open();
  await open(id.attempt('good'));
  await acknowledgeAttempt(world.store, world.clock, id.attempt('good'), []);
  await abandonAttempt(world.store, world.clock, T1, 'cut');
  world.advance(ABANDONED_MARGIN_MS - 1);
  expect(await listed()).toEqual([]);
  world.advance(1);
  expect(await listed()).toEqual([T1]);
  await markCleanedUp(world.store, T1);
  expect(await listed()).toEqual([]);
  const { rev, cleanedUp } = await read();
  expect(cleanedUp).toBe(true);
  await markCleanedUp(world.store, T1);
  expect((await read()).rev).toBe(rev);
});
