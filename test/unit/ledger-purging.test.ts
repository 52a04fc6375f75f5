/** The claim to purge and the asking: each gate in its turn, what is given back, and what is too late. */
import { beforeEach, describe, expect, test } from 'vitest';
import { type ArchiveId, id } from '../../src/ids.ts';
import type { ArchiveDocument, PurgeFacts } from '../../src/ledger/archive-document.ts';
import { type ArchiveLease, archives, getArchive } from '../../src/ledger/archives.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { holds } from '../../src/ledger/holds.ts';
import { ANNOUNCEMENT_MS, inFlight } from '../../src/ledger/in-flight.ts';
import { type PauseTarget, pauses } from '../../src/ledger/pauses.ts';
import {
  type ClaimResult,
  claimPurge,
  markAccepted,
  markAsked,
  purgeOf,
  stepBack,
  takeBackAsking,
} from '../../src/ledger/purging.ts';
import { endRetrieval } from '../../src/ledger/retrievals.ts';
import { PurgeClaim } from '../../src/ledger/warrants.ts';
import { ACME, aHold } from '../harness/a-hold.ts';
import { askedRetrieval } from '../harness/a-retrieval.ts';
import { anArchive, LOCATION } from '../harness/an-archive.ts';
import { LedgerWorld, watched } from '../harness/ledger-world.ts';

const A1 = id.archive('a1');
const DUE = new Date('2029-01-02T00:00:00Z');
const begun: PurgeFacts = {
  claimedDueAt: DUE,
  asOf: DUE,
  askedAt: null,
  acceptedAt: null,
  keyDestroyedAt: null,
  confirmedByInventoryAt: null,
  certificate: null,
};
const asked: PurgeFacts = { ...begun, askedAt: DUE };

let world: LedgerWorld;
beforeEach(async () => {
  world = await LedgerWorld.open();
});

async function claimed(fields: Partial<ArchiveDocument> = {}): Promise<ArchiveLease> {
  await archives(world.store).insert(anArchive(fields));
  return await world.claim();
}

async function purge(lease: ArchiveLease, asOf = DUE): Promise<ClaimResult> {
  return await claimPurge(world, lease, asOf);
}

async function retrieve(retrieval = 'r1', archive: ArchiveId = A1): Promise<void> {
  await askedRetrieval(world.store, world.clock, {
    id: retrieval,
    archive,
    location: LOCATION,
    vaultArchiveId: 'va1',
    tier: 'standard',
    range: null,
    jobId: 'j1',
    expectedAt: null,
  });
}

async function hold(fields: Parameters<typeof aHold>[0] = {}): Promise<void> {
  await holds(world.store).insert(aHold(fields));
}

async function put(what: PauseTarget['what'], name: string | null = null): Promise<void> {
  await pauses(world.store).insert({
    _id: 'pause-1',
    v: 1,
    what,
    name,
    state: 'paused',
    reason: 'an audit',
    pausedBy: 'person:test',
    askedAt: world.clock.now(),
    pausedAt: world.clock.now(),
    tooLate: [],
    resumedBy: null,
    resumedAt: null,
    resumeReason: null,
  });
}

/** What the newest entry of the audit chain says. */
async function details(): Promise<unknown[]> {
  for await (const { act, details: said } of auditEntries(world.store, { newestFirst: true })) {
    const { reason, dueAt } = said;
    return [{ act, ...(reason === undefined ? {} : { reason }), ...(dueAt === undefined ? {} : { dueAt }) }];
  }
  return [];
}

const current = () => getArchive(world.store, A1);
const announced = () => inFlight(world.store).count({});

describe('the claim', () => {
  test('at the very instant at which it is due: it names that date, and stands in the ledger and in the audit chain', async () => {
    const lease = await claimed();
    const result = await purge(lease);
    if (!result.claimed) throw new Error(result.text);
    expect(result.claim).toBeInstanceOf(PurgeClaim);
    expect(result.claim).toMatchObject({ archive: A1, vaultArchiveId: 'va1', lease });
    expect(await current()).toMatchObject({ state: 'purging', purge: begun });
    expect(await details()).toEqual([{ act: 'archive purging', dueAt: DUE.toISOString() }]);
    expect(await world.all('inFlight')).toMatchObject([{ act: 'purge', archive: A1, ...ACME }]);
    expect(() => result.claim.assertGood()).not.toThrow();
  });

  test.each([
    ['a millisecond early', { dueAt: new Date(DUE.getTime() + 1) }, 'due on 2029-01-02T00:00:00.001Z'],
    ['without a date', { dueAt: null }, 'due on an unknown date'],
  ])('%s: not made, and nothing is announced', async (_, fields, text) => {
    const lease = await claimed(fields);
    expect(await purge(lease)).toEqual({ claimed: false, why: 'not-due', text });
    expect(await current()).toMatchObject({ state: 'cleared', purge: null });
    expect(await announced()).toBe(0);
  });

  test('that was rescheduled after it was made is given back', async () => {
    const lease = await claimed({ state: 'purging', purge: begun, dueAt: new Date(DUE.getTime() + 1) });
    expect(await purge(lease)).toMatchObject({ claimed: false, why: 'not-due' });
    expect(await current()).toMatchObject({ state: 'cleared', purge: null });
    expect(await details()).toEqual([{ act: 'archive cleared', reason: 'no longer due' }]);
  });

  test('held: not made, the holds are named; one that was made is given back', async () => {
    await hold({ _id: 'h1', owner: ACME.owner });
    await hold({ _id: 'h2', customer: ACME.customer });
    const lease = await claimed();
    expect(await purge(lease)).toEqual({ claimed: false, why: 'held', text: 'held by h1, h2' });
    expect(await current()).toMatchObject({ state: 'cleared', purge: null });
    await archives(world.store).removeMany({});
    const again = await claimed({ state: 'purging', purge: begun });
    expect(await purge(again)).toMatchObject({ claimed: false, why: 'held' });
    expect(await current()).toMatchObject({ state: 'cleared', purge: null });
    expect(await details()).toEqual([{ act: 'archive cleared', reason: 'held by h1, h2' }]);
    expect(await announced()).toBe(0);
  });

  test('paused: refused, and a claim that was made is given back; another failure leaves it as it is', async () => {
    await put('all');
    const lease = await claimed({ state: 'purging', purge: begun });
    await expect(purge(lease)).rejects.toMatchObject({ code: 'PAUSED' });
    expect(await current()).toMatchObject({ state: 'cleared', purge: null });
    expect(await announced()).toBe(0);
    await archives(world.store).removeMany({});
    await pauses(world.store).removeMany({});
    const again = await claimed({ state: 'purging', purge: begun });
    const broken = watched(world.store, (collection) => {
      if (collection === 'holds') throw new Error('the primary is away');
    });
    const { audit, clock, worker } = world;
    await expect(claimPurge({ store: broken, audit, clock, worker }, again, DUE)).rejects.toThrow('is away');
    expect(await current()).toMatchObject({ state: 'purging', purge: begun });
  });

  test('a retrieval is open: not made, or given back, and nothing stays announced; ended: made', async () => {
    await retrieve();
    await retrieve('elsewhere', id.archive('a2'));
    const lease = await claimed();
    expect(await purge(lease)).toEqual({ claimed: false, why: 'retrieval-open', text: 'retrieval r1 is open' });
    expect(await current()).toMatchObject({ state: 'cleared', purge: null });
    await archives(world.store).removeMany({});
    const again = await claimed({ state: 'purging', purge: begun });
    expect(await purge(again)).toMatchObject({ claimed: false, why: 'retrieval-open' });
    expect(await current()).toMatchObject({ state: 'cleared', purge: null });
    expect(await details()).toEqual([{ act: 'archive cleared', reason: 'a retrieval is open' }]);
    expect(await announced()).toBe(0);
    await endRetrieval(world.store, world.clock, 'r1', 'cancelled');
    expect(await purge(again)).toMatchObject({ claimed: true });
  });

  test('the vault was asked before: a retrieval that came since is too late', async () => {
    await retrieve();
    const lease = await claimed({ state: 'purging', purge: asked });
    expect(await purge(lease)).toMatchObject({ claimed: true });
    expect(await current()).toMatchObject({ state: 'purging', purge: asked });
  });

  test('made by an earlier worker: taken up as it is, without another move', async () => {
    const lease = await claimed({ state: 'purging', purge: { ...begun, asOf: new Date('2029-05-05T00:00:00Z') } });
    expect(await purge(lease)).toMatchObject({ claimed: true });
    expect(await current()).toMatchObject({ purge: { asOf: new Date('2029-05-05T00:00:00Z') } });
    expect(await world.told()).toEqual([]);
  });

  test('what cannot be purged, or fails on the way: no claim, and the announcement is withdrawn', async () => {
    const neverStored = await claimed({ stored: null });
    await expect(purge(neverStored)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await announced()).toBe(0);
    await archives(world.store).removeMany({});
    const lease = await claimed();
    const broken = watched(world.store, (collection) => {
      if (collection === 'retrievals') throw new Error('the primary is away');
    });
    const { audit, clock, worker } = world;
    await expect(claimPurge({ store: broken, audit, clock, worker }, lease, DUE)).rejects.toThrow('is away');
    expect(await announced()).toBe(0);
    expect(await current()).toMatchObject({ state: 'cleared' });
    await archives(world.store).removeMany({});
    const early = await claimed({ state: 'verified' });
    await expect(purge(early)).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  test('ages: past the announcement, or without the lease, it is good for nothing', async () => {
    const lease = await claimed();
    const result = await purge(lease);
    if (!result.claimed) throw new Error(result.text);
    world.advance(ANNOUNCEMENT_MS - 1);
    expect(() => result.claim.assertGood()).not.toThrow();
    world.advance(1);
    expect(() => result.claim.assertGood()).toThrow(
      expect.objectContaining({ code: 'LEASE_LOST', ids: { archive: A1 } }),
    );
    const stop = { epoch: 1, assertHeld: () => fail() };
    const other = PurgeClaim.issue(A1, 'va1', stop, Number.POSITIVE_INFINITY, world.clock);
    expect(() => other.assertGood()).toThrow('the lease is gone');
  });
});

function fail(): never {
  throw new Error('the lease is gone');
}

describe('given back', () => {
  test('while the vault was not asked; afterwards it stands', async () => {
    const lease = await claimed({ state: 'purging', purge: begun });
    await stepBack(world, lease, 'no longer due');
    expect(await current()).toMatchObject({ state: 'cleared', purge: null });
    await stepBack(world, lease, 'again');
    expect(await world.told()).toEqual(['archive cleared outcome']);
    await archives(world.store).removeMany({});
    const late = await claimed({ state: 'purging', purge: asked });
    await stepBack(world, late, 'too late');
    expect(await current()).toMatchObject({ state: 'purging', purge: asked });
  });

  test('after a veto, although the ledger says that the vault was asked', async () => {
    const lease = await claimed({ state: 'purging', purge: asked });
    await takeBackAsking(world, lease, 'the vault is locked');
    expect(await current()).toMatchObject({ state: 'cleared', purge: null });
    expect(await world.told()).toEqual(['archive cleared outcome']);
  });
});

describe('the asking', () => {
  test('is written before the holds are looked at once more; nobody holds: it stands', async () => {
    const lease = await claimed({ state: 'purging', purge: begun });
    let writtenFirst: Date | null | undefined;
    const { audit, clock, worker } = world;
    const store = watched(world.store, async (collection, call) => {
      if (collection === 'holds' && call === 'find') writtenFirst = (await current()).purge?.askedAt;
    });
    world.advance(500);
    expect(await markAsked({ store, audit, clock, worker }, lease)).toEqual([]);
    expect(writtenFirst).toEqual(clock.now());
    expect(await current()).toMatchObject({ state: 'purging', purge: { ...begun, askedAt: clock.now() } });
  });

  test('a hold came since the claim: taken back, and it is named', async () => {
    const lease = await claimed({ state: 'purging', purge: begun });
    await hold({ _id: 'h1' });
    await hold({ _id: 'h2', customer: ACME.customer });
    expect(await markAsked(world, lease)).toEqual(['h1', 'h2']);
    expect(await current()).toMatchObject({ state: 'cleared', purge: null });
    expect(await details()).toEqual([{ act: 'archive cleared', reason: 'held by h1, h2' }]);
  });

  test('a pause came since the claim: taken back; pauses that cannot be read leave it asked, and the vault is not', async () => {
    const lease = await claimed({ state: 'purging', purge: begun });
    await put('owner', ACME.owner);
    await expect(markAsked(world, lease)).rejects.toMatchObject({ code: 'PAUSED' });
    expect(await current()).toMatchObject({ state: 'cleared', purge: null });
    await archives(world.store).removeMany({});
    const again = await claimed({ state: 'purging', purge: begun });
    const broken = watched(world.store, (collection) => {
      if (collection === 'pauses') throw new Error('the primary is away');
    });
    const { audit, clock, worker } = world;
    await expect(markAsked({ store: broken, audit, clock, worker }, again)).rejects.toThrow('is away');
    expect(await current()).toMatchObject({ state: 'purging' });
  });

  test('asked before: a hold that came since is too late, and the first date stands', async () => {
    const lease = await claimed({ state: 'purging', purge: asked });
    await hold();
    expect(await markAsked(world, lease)).toEqual([]);
    expect(await current()).toMatchObject({ state: 'purging', purge: asked });
  });

  test('accepted: the date of the vault is kept beside what was known', async () => {
    const lease = await claimed({ state: 'purging', purge: asked });
    const at = new Date('2029-01-02T00:00:05Z');
    await markAccepted(lease, at);
    expect(await current()).toMatchObject({ state: 'purging', purge: { ...asked, acceptedAt: at } });
  });

  test('without a claim there is nothing to ask for', async () => {
    const lease = await claimed();
    expect(() => purgeOf(lease.document)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    await expect(markAccepted(lease, DUE)).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});
