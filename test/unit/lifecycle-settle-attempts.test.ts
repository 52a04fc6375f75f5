/** Attempts that nobody comes back to are given up with their keys, and no other: the key of an archive's own attempt opens its only copy. */
import { beforeEach, describe, expect, test } from 'vitest';
import { type ArchiveId, type AttemptId, id } from '../../src/ids.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { archives } from '../../src/ledger/archives.ts';
import { abandonAttempt, attemptKeyDestroyed, attempts, openAttempt } from '../../src/ledger/attempts.ts';
import { LEASE_MS } from '../../src/ledger/leases.ts';
import { writeRosterPage } from '../../src/ledger/rosters.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { endAttempt } from '../../src/lifecycle/end-attempt.ts';
import { settleAttempts } from '../../src/lifecycle/settle-attempts.ts';
import { anArchive, LOCATION } from '../harness/an-archive.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const A1 = id.archive('a1');
const T1 = id.attempt('t1');
const T2 = id.attempt('t2');
const QUIET_MS = 2 * LEASE_MS;

let world: MemoryWorld;
let context: Context;
beforeEach(async () => {
  world = await MemoryWorld.open();
  context = world.context();
});

/** An attempt of epoch 1, with its key and a page of its roster. */
async function open(attempt: AttemptId = T1, archive: ArchiveId = A1): Promise<void> {
  const { owner, customer, namespace: dataset, policyVersion } = anArchive();
  const { id: installation } = context.installation;
  const intent = { installation, archive, attempt, owner, customer, dataset, dueAt: '2029-01-02', policyVersion };
  const facts = { _id: attempt, archive, epoch: 1, location: LOCATION, intent, partBytes: 1 };
  await openAttempt(world.store, world.clock, facts);
  (await context.keys.createArchiveKey(owner, archive, attempt)).forget();
  await writeRosterPage(world.store, { archive, attempt, epoch: 1 }, 0, []);
}

async function put(fields: Partial<ArchiveDocument>): Promise<void> {
  await archives(world.store).insert(anArchive(fields));
}

async function left(attempt: AttemptId = T1) {
  const found = await attempts(world.store).get(attempt);
  const key = await context.keys.readBack(attempt).then(
    () => 'there',
    () => 'destroyed',
  );
  const pages = (await world.all('rosterPages')).filter((page) => page._id.startsWith(attempt)).length;
  return { state: found?.state, isDestroyed: found?.keyDestroyedAt != null, key, pages, reason: found?.reason };
}

const GIVEN_UP = { state: 'abandoned', isDestroyed: true, key: 'destroyed', pages: 0 };

describe('an attempt whose archive went on with another', () => {
  const wentOn = { epoch: 2, attempt: T2 };

  test('is given up when it has been quiet for two leases, not a millisecond before', async () => {
    await put(wentOn);
    await open();
    world.clock.advance(QUIET_MS);
    expect(await settleAttempts(context)).toBe(0);
    expect(await left()).toMatchObject({ state: 'open', key: 'there', pages: 1 });
    world.clock.advance(1);
    expect(await settleAttempts(context)).toBe(1);
    expect(await left()).toEqual({ ...GIVEN_UP, reason: 'its archive went on without it' });
    expect(await settleAttempts(context)).toBe(0);
  });

  test.each<[string, Partial<ArchiveDocument> | null]>([
    ['the archive is still under the epoch of the attempt', { epoch: 1, attempt: T2 }],
    ['it is the attempt of the archive, which others have claimed since', { epoch: 2, attempt: T1 }],
    ['the ledger does not have the archive', null],
    ['only another archive went on', { _id: id.archive('a2'), ...wentOn }],
  ])('%s: its key stays', async (_, fields) => {
    if (fields !== null) await put(fields);
    await open();
    world.clock.advance(QUIET_MS + 1);
    expect(await settleAttempts(context)).toBe(0);
    expect(await left()).toMatchObject({ state: 'open', key: 'there', pages: 1 });
  });

  test('told to stop: nothing more is given up', async () => {
    await put(wentOn);
    await open();
    world.clock.advance(QUIET_MS + 1);
    const signal = AbortSignal.abort('enough');
    await expect(settleAttempts({ ...context, signal })).rejects.toMatchObject({ code: 'WORK_STOPPED' });
    expect(await left()).toMatchObject({ state: 'open', key: 'there', pages: 1 });
  });
});

describe('an attempt that was abandoned by a worker which was cut', () => {
  test('loses its key when whoever abandoned it has had two leases for it; the first reason stays', async () => {
    await open();
    await abandonAttempt(world.store, world.clock, T1, 'VAULT_UNAVAILABLE');
    world.clock.advance(QUIET_MS);
    expect(await settleAttempts(context)).toBe(0);
    expect(await left()).toMatchObject({ state: 'abandoned', isDestroyed: false, key: 'there' });
    world.clock.advance(1);
    expect(await settleAttempts(context)).toBe(1);
    expect(await left()).toEqual({ ...GIVEN_UP, reason: 'VAULT_UNAVAILABLE' });
  });

  test('with its key destroyed already: nothing is left to do', async () => {
    await open();
    await abandonAttempt(world.store, world.clock, T1, 'cut');
    await attemptKeyDestroyed(world.store, T1, world.clock.now());
    world.clock.advance(QUIET_MS + 1);
    expect(await settleAttempts(context)).toBe(0);
  });
});

test('an end that is cut between ledger and key: it is abandoned, its roster stays, and the next one goes on', async () => {
  await open();
  await open(T2);
  const keys = overlay(context.keys, { destroy: () => Promise.reject(new Error('the key store is away')) });
  await expect(endAttempt({ ...context, keys }, T1, 'cut')).rejects.toThrow('the key store is away');
  expect(await left()).toMatchObject({ state: 'abandoned', isDestroyed: false, pages: 1 });
  expect(await endAttempt(context, T1, 'again')).toMatchObject({ state: 'abandoned', reason: 'cut' });
  expect(await left()).toEqual({ ...GIVEN_UP, reason: 'cut' });
  expect(await left(T2)).toMatchObject({ state: 'open', key: 'there', pages: 1 });
});
