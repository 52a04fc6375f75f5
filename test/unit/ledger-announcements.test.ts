/** Announce, then look: what is written, in which order, for how long it binds, and when it is taken back. */
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { ClearingPermit } from '../../src/ledger/clearing.ts';
import { ANNOUNCEMENT_SKEW_MS, holds } from '../../src/ledger/holds.ts';
import {
  ANNOUNCEMENT_MS,
  ANNOUNCEMENT_RESERVE_MS,
  type AnnouncedScope,
  announceAndLook,
  announcementsUnder,
  hasEnded,
  inFlight,
  isFresh,
  removeEndedAnnouncements,
  withdraw,
} from '../../src/ledger/in-flight.ts';
import type { Store } from '../../src/ledger/store.ts';
import { DisposalOrder } from '../../src/ledger/warrants.ts';
import { ACME, aHold } from '../harness/a-hold.ts';
import { LedgerWorld, watched } from '../harness/ledger-world.ts';

const SCOPE: AnnouncedScope = { policy: 'chats', ...ACME, archive: id.archive('a1') };
const HOUR_MS = 3_600_000;

let world: LedgerWorld;
beforeEach(async () => {
  world = await LedgerWorld.open();
});

async function announce(store: Store = world.store, scope: AnnouncedScope = SCOPE) {
  return await announceAndLook(store, world.clock, world.worker, 'clear', scope);
}

async function announced() {
  const look = await announce();
  if (look.held) throw new Error('It is held.');
  return look.announcement;
}

describe('announceAndLook', () => {
  test('writes whose work it is, then looks at the holds; it binds until the end in the time of the server', async () => {
    const calls: string[] = [];
    const look = await announce(watched(world.store, (collection, call) => void calls.push(`${collection} ${call}`)));
    expect(calls.indexOf('inFlight insert')).toBeGreaterThan(-1);
    expect(calls.indexOf('holds find')).toBeGreaterThan(calls.indexOf('inFlight insert'));
    const until = new Date(world.serverTime().getTime() + ANNOUNCEMENT_MS);
    expect(look).toMatchObject({ held: false, announcement: { until, endsAtMs: ANNOUNCEMENT_MS } });
    expect(await world.all('inFlight')).toMatchObject([{ ...SCOPE, act: 'clear', worker: world.worker, until }]);
  });

  test('a server that is slow to answer: the end by our clock counts from before the question', async () => {
    const slow = watched(world.store, (_, call) => (call === 'serverTime' ? world.advance(3_000) : undefined));
    const until = new Date(world.serverTime().getTime() + 3_000 + ANNOUNCEMENT_MS);
    const look = await announce(slow);
    if (look.held) throw new Error('It is held.');
    expect(look.announcement).toMatchObject({ endsAtMs: ANNOUNCEMENT_MS, until });
  });

  test('held: withdrawn at once, and the holds are named', async () => {
    await holds(world.store).insert(aHold({ _id: 'h1', owner: ACME.owner }));
    await holds(world.store).insert(aHold({ _id: 'h2', customer: ACME.customer }));
    await holds(world.store).insert(aHold({ _id: 'elsewhere', owner: id.owner('other') }));
    expect(await announce()).toEqual({ held: true, holds: ['h1', 'h2'] });
    expect(await world.all('inFlight')).toEqual([]);
  });

  test('holds that were looked at when the records were chosen do not count again', async () => {
    await holds(world.store).insert(aHold({ _id: 'h1', owner: ACME.owner }));
    const expired = { ...SCOPE, archive: null };
    expect(await announce(world.store, { ...expired, leftOut: ['h1'] })).toMatchObject({ held: false });
    expect(await announce(world.store, { ...expired, leftOut: ['h2'] })).toMatchObject({ held: true });
    expect(await announce(world.store, expired)).toMatchObject({ held: true });
  });

  test('holds that cannot be read: withdrawn, and the error is passed on', async () => {
    const broken = watched(world.store, (collection) => {
      if (collection === 'holds') throw new Error('the primary is away');
    });
    await expect(announce(broken)).rejects.toThrow('the primary is away');
    expect(await world.all('inFlight')).toEqual([]);
  });
});

test('fresh while more than the reserve is left, by the monotonic clock', async () => {
  const announcement = await announced();
  world.advance(ANNOUNCEMENT_MS - ANNOUNCEMENT_RESERVE_MS - 1);
  expect(isFresh(world.clock, announcement)).toBe(true);
  world.advance(1);
  expect(isFresh(world.clock, announcement)).toBe(false);
});

describe('an entry that a hold waits for', () => {
  test('has ended when it was withdrawn, or past its end and the skew by the clock of the server, and not at it', async () => {
    await announced();
    const [entry] = await announcementsUnder(world.store, () => true);
    if (entry === undefined) throw new Error('There is no entry.');
    world.advance(ANNOUNCEMENT_MS + ANNOUNCEMENT_SKEW_MS);
    expect(await hasEnded(world.store, entry)).toBe(false);
    world.advance(1);
    expect(await hasEnded(world.store, entry)).toBe(true);

    const next = await announced();
    const entries = await announcementsUnder(world.store, ({ _id }) => _id === next.entry);
    expect(entries.map(({ _id }) => _id)).toEqual([next.entry]);
    const [open] = entries;
    if (open === undefined) throw new Error('There is no entry.');
    expect(await hasEnded(world.store, open)).toBe(false);
    await withdraw(world.store, next);
    expect(await hasEnded(world.store, open)).toBe(true);
  });

  test('litter is removed an hour after its end, not before', async () => {
    const { until } = await announced();
    world.advance(until.getTime() + HOUR_MS - world.serverTime().getTime());
    expect(await removeEndedAnnouncements(world.store)).toBe(0);
    expect(await inFlight(world.store).count({})).toBe(1);
    world.advance(1);
    expect(await removeEndedAnnouncements(world.store)).toBe(1);
  });
});

describe('a permit to clear', () => {
  const lease = { epoch: 1, subject: 'a1', assertHeld: () => undefined, keep: async () => undefined };
  const basis = DisposalOrder.issue('x1', 'ann', 'delete');
  const by = (store: Store, sourceTime = async () => world.serverTime()) => ({
    store,
    clock: world.clock,
    worker: world.worker,
    sourceTime,
  });
  const permitOn = (store: Store) => new ClearingPermit(by(store), lease, SCOPE);

  test('one announcement serves while it is fresh, then there is another; all are withdrawn at the end', async () => {
    const permit = permitOn(world.store);
    const first = await permit.ask(basis);
    expect(await permit.ask(basis)).toEqual(first);
    expect(first).toMatchObject({
      warrant: { basis, until: new Date(world.serverTime().getTime() + ANNOUNCEMENT_MS) },
    });
    expect(await inFlight(world.store).count({})).toBe(1);
    world.advance(ANNOUNCEMENT_MS - ANNOUNCEMENT_RESERVE_MS);
    const second = await permit.ask(basis);
    expect(second).toMatchObject({ warrant: { until: new Date(world.serverTime().getTime() + ANNOUNCEMENT_MS) } });
    // Another page may still delete under the first.
    expect(await inFlight(world.store).count({})).toBe(2);
    await permit.end();
    expect(await inFlight(world.store).count({})).toBe(0);
  });

  test('the end of a warrant is counted by the source, whose clock is asked before the ledger says until when', async () => {
    const calls: string[] = [];
    const watching = watched(world.store, (collection, call) => void calls.push(`${collection} ${call}`));
    const aheadMs = 45_000;
    const sourceTime = async () => {
      calls.push('source time');
      return new Date(world.serverTime().getTime() + aheadMs);
    };
    const answer = await new ClearingPermit(by(watching, sourceTime), lease, SCOPE).ask(basis);
    if (!('warrant' in answer)) throw new Error('It is held.');
    expect(answer.warrant.until).toEqual(new Date(world.serverTime().getTime() + aheadMs + ANNOUNCEMENT_MS));
    expect(calls[0]).toBe('source time');
    for await (const { until } of inFlight(world.store).find({}))
      expect(until).toEqual(new Date(world.serverTime().getTime() + ANNOUNCEMENT_MS));
  });

  test('several pages that ask at once look once', async () => {
    const permit = permitOn(world.store);
    const answers = await Promise.all([permit.ask(basis), permit.ask(basis), permit.ask(basis)]);
    expect(new Set(answers.map((answer) => ('warrant' in answer ? answer.warrant.until.getTime() : 0))).size).toBe(1);
    expect(await inFlight(world.store).count({})).toBe(1);
  });

  test('held: no warrant, and asked again it looks again', async () => {
    await holds(world.store).insert(aHold({ _id: 'h1' }));
    const permit = permitOn(world.store);
    expect(await permit.ask(basis)).toEqual({ holds: ['h1'] });
    await permit.end();
    await holds(world.store).removeMany({});
    expect(await permit.ask(basis)).toMatchObject({ warrant: { basis } });
    expect(await world.all('inFlight')).toMatchObject([{ act: 'clear', archive: SCOPE.archive }]);
  });

  test('a look that fails says nothing about the next one', async () => {
    let isAway = true;
    const store = watched(world.store, (collection) => {
      if (isAway && collection === 'holds') throw new Error('the primary is away');
    });
    const permit = permitOn(store);
    await expect(permit.ask(basis)).rejects.toThrow('the primary is away');
    isAway = false;
    expect(await permit.ask(basis)).toMatchObject({ warrant: { basis } });
  });

  test('the lease is kept before anything is announced, and looked at again by the warrant', async () => {
    const calls: string[] = [];
    const watching = watched(world.store, (collection, call) => void calls.push(`${collection} ${call}`));
    const told = {
      ...lease,
      keep: async () => void calls.push('keep'),
      assertHeld: () => {
        throw new Error('the lease is gone');
      },
    };
    const permit = new ClearingPermit(by(watching), told, SCOPE);
    const answer = await permit.ask(basis);
    expect(calls[0]).toBe('keep');
    if (!('warrant' in answer)) throw new Error('It is held.');
    expect(() => answer.warrant.assertGood('delete')).toThrow('the lease is gone');
    const gone = { ...told, keep: async () => Promise.reject(new Error('no lease')) };
    const late = new ClearingPermit(by(world.store), gone, SCOPE);
    await expect(late.ask(basis)).rejects.toThrow('no lease');
  });
});
