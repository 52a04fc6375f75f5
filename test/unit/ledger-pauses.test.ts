/** Pauses in the ledger: which work each stops, in what order they are told, and that what cannot be told stops. */
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import {
  assertNotPaused,
  type PauseDocument,
  type PauseScope,
  type PauseTarget,
  pauseName,
  pauses,
  pausesInForce,
  pausesShown,
  stops,
  targetText,
} from '../../src/ledger/pauses.ts';
import { LedgerWorld } from '../harness/ledger-world.ts';

const ACME = id.owner('acme');

let world: LedgerWorld;
beforeEach(async () => {
  world = await LedgerWorld.open();
});

async function put(_id: string, fields: Partial<PauseDocument> = {}): Promise<void> {
  await pauses(world.store).insert({
    _id,
    v: 1,
    what: 'all',
    name: null,
    state: 'paused',
    reason: 'an audit',
    pausedBy: 'person:test',
    askedAt: world.clock.now(),
    pausedAt: null,
    tooLate: [],
    resumedBy: null,
    resumedAt: null,
    resumeReason: null,
    ...fields,
  });
}

test.each<[string, PauseTarget, PauseScope, boolean]>([
  ['everything', { what: 'all', name: null }, { policy: 'chats', owner: ACME }, true],
  ['everything, of nobody', { what: 'all', name: null }, { owner: null }, true],
  ['its policy', { what: 'policy', name: 'chats' }, { policy: 'chats', owner: ACME }, true],
  ['another policy', { what: 'policy', name: 'calls' }, { policy: 'chats', owner: ACME }, false],
  ['a policy, of work whose policy is not known', { what: 'policy', name: 'calls' }, { owner: ACME }, true],
  ['a policy without a name', { what: 'policy', name: null }, { policy: 'chats', owner: ACME }, true],
  ['its owner', { what: 'owner', name: 'acme' }, { policy: 'chats', owner: ACME }, true],
  ['another owner', { what: 'owner', name: 'globex' }, { policy: 'chats', owner: ACME }, false],
  ['an owner, of work that is about nobody', { what: 'owner', name: 'acme' }, { policy: 'chats', owner: null }, false],
  ['an owner without a name', { what: 'owner', name: null }, { policy: 'chats', owner: ACME }, true],
  ['what nobody knows', JSON.parse('{ "what": "region", "name": "eu" }'), { policy: 'chats', owner: ACME }, true],
])('a pause of %s', (_, target, scope, isStopped) => {
  expect(stops(target, scope)).toBe(isStopped);
});

describe('in force', () => {
  test('all that are not resumed, whatever their state is called, the oldest first', async () => {
    await put('b', { state: 'pausing' });
    world.advance(-1_000);
    await put('a');
    await put('c', { state: 'resumed' });
    world.advance(5_000);
    await put('d', { state: JSON.parse('"frozen"') });
    expect((await pausesInForce(world.store)).map(({ _id }) => _id)).toEqual(['a', 'b', 'd']);
    expect((await pausesShown(world.store)).map(({ _id }) => _id)).toEqual(['a', 'b', 'd']);
  });

  test('one of a newer Moraine stops who acts, and is shown to people', async () => {
    await put('a', { v: 9, what: 'owner', name: 'globex' });
    await expect(pausesInForce(world.store)).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
    await expect(assertNotPaused(world.store, { owner: ACME })).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
    expect(await pausesShown(world.store)).toHaveLength(1);
  });
});

describe('assertNotPaused', () => {
  test('names what stops the work, and passes the rest', async () => {
    await put('p1', { what: 'owner', name: 'acme' });
    await put('p2');
    await put('p3', { what: 'policy', name: 'calls' });
    await expect(assertNotPaused(world.store, { policy: 'chats', owner: ACME })).rejects.toMatchObject({
      code: 'PAUSED',
      ids: { pauses: 'p1 (owner acme), p2 (all)' },
    });
    await pauses(world.store).removeMany({ _id: 'p2' });
    await expect(assertNotPaused(world.store, { policy: 'chats', owner: id.owner('globex') })).resolves.toBeUndefined();
  });

  test('looks at those that it is given instead of the ledger', async () => {
    await put('p1');
    await expect(assertNotPaused(world.store, { owner: ACME }, [])).resolves.toBeUndefined();
    const given = await pausesInForce(world.store);
    await pauses(world.store).removeMany({});
    await expect(assertNotPaused(world.store, { owner: ACME }, given)).rejects.toMatchObject({ code: 'PAUSED' });
  });
});

test('for people, as the command line names it', () => {
  expect(targetText({ what: 'all', name: null })).toBe('all');
  expect(targetText({ what: 'policy', name: 'chats' })).toBe('policy chats');
  expect(pauseName({ _id: 'p1', what: 'owner', name: 'acme' })).toBe('p1 (owner acme)');
});
