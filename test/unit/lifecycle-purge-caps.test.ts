/** Which purges may begin: what was begun always, the rest within the caps of its own policy, and nothing that is paused. */
import { beforeEach, describe, expect, test } from 'vitest';
import { MoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import { type ArchiveDocument, NO_OUTCOMES } from '../../src/ledger/archive-document.ts';
import { archives } from '../../src/ledger/archives.ts';
import { type PauseTarget, pauses } from '../../src/ledger/pauses.ts';
import type { Store } from '../../src/ledger/store.ts';
import { planPurge } from '../../src/lifecycle/purge-caps.ts';
import { anArchive } from '../harness/an-archive.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const DUE = '2029-01-02T00:00:00Z';
const PURGE = {
  claimedDueAt: new Date(DUE),
  asOf: new Date(DUE),
  askedAt: null,
  acceptedAt: null,
  keyDestroyedAt: null,
  confirmedByInventoryAt: null,
  certificate: null,
};

let world: MemoryWorld;
let sequence: number;
beforeEach(async () => {
  world = await MemoryWorld.open();
  sequence = 0;
});

async function publish(name: string, limits: string): Promise<void> {
  await world.publish(`
policy: ${name}
zone: UTC
dataset: { collection: data.${name}, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: ${limits}
`);
}

async function put(name: string, records: number, fields: Partial<ArchiveDocument> = {}): Promise<void> {
  const outcomes = { ...NO_OUTCOMES, archived: records, deleted: records };
  sequence += 1;
  await archives(world.store).insert(anArchive({ _id: id.archive(name), sequence, outcomes, ...fields }));
}

async function paused({ what, name }: PauseTarget): Promise<void> {
  await pauses(world.store).insert({
    _id: 'p1',
    v: 1,
    what,
    name,
    state: 'paused',
    reason: 'an audit',
    pausedBy: 'person:test',
    askedAt: world.clock.now(),
    pausedAt: null,
    tooLate: [],
    resumedBy: null,
    resumedAt: null,
    resumeReason: null,
  });
}

const plan = (policies: readonly string[] | null = null) =>
  planPurge(world.context(undefined, { asOf: DUE }), policies);

describe('caps', () => {
  test('within both: what is due goes, the oldest first; what is not due does not count', async () => {
    await publish('chats', '{ records: 4, share: 0.5 }');
    await put('b', 2);
    await put('a', 2, { dueAt: new Date('2028-01-01T00:00:00Z') });
    await put('young', 4, { dueAt: new Date('2030-01-01T00:00:00Z') });
    expect(await plan()).toEqual({ asOf: new Date(DUE), due: ['a', 'b'], paused: [], review: [], capped: [] });
  });

  test('one record too many: nothing of the policy begins, and it says how many archives wait', async () => {
    await publish('chats', '{ records: 3, share: 1 }');
    await put('a', 2);
    await put('b', 2);
    expect(await plan()).toMatchObject({
      due: [],
      capped: [{ policy: 'chats', archives: 2, text: expect.stringContaining('limits.records allows 3') }],
    });
  });

  test.each([
    ['stored', true],
    ['verified', true],
    ['purged', false],
    ['quarantined', false],
    ['abandoned', false],
  ] as const)('the share is of the records whose copies exist: %s counts %s', async (state, counts) => {
    await publish('chats', '{ records: 100, share: 0.5 }');
    await put('a', 2);
    await put('other', 2, { state });
    expect((await plan()).due).toEqual(counts ? ['a'] : []);
  });

  test('what was begun goes on, over the caps too, and counts for the share', async () => {
    await publish('chats', '{ records: 1, share: 1 }');
    await put('a', 2);
    await put('begun', 2, { state: 'purging', purge: PURGE });
    expect(await plan()).toMatchObject({ due: ['begun'], capped: [{ archives: 1 }] });
  });

  test('one policy over its caps stops no other; each counts its own', async () => {
    await publish('chats', '{ records: 1, share: 1 }');
    await publish('calls', '{ records: 2, share: 1 }');
    await put('a', 2);
    await put('b', 2, { policy: 'calls' });
    expect(await plan()).toMatchObject({ due: ['b'], capped: [{ policy: 'chats', archives: 1 }] });
    expect(await plan(['calls'])).toMatchObject({ due: ['b'], capped: [] });
  });

  test('caps that make no sense let nothing through', async () => {
    await publish('chats', '{ records: 0 }');
    await put('a', 2);
    expect(await plan()).toMatchObject({ due: [], capped: [{ policy: 'chats' }] });
  });

  test('no policy in force, no caps, no purge; and the other policies go on', async () => {
    await publish('calls', '{ records: 100, share: 1 }');
    await put('a', 2);
    await put('b', 2, { policy: 'calls' });
    expect(await plan()).toMatchObject({ due: ['b'], capped: [{ policy: 'chats', archives: 1 }] });
  });

  test('a ledger that is away is no cap: nothing is planned', async () => {
    await publish('chats', '{ records: 100, share: 1 }');
    await put('a', 2);
    const away = new MoraineError('MONGODB_UNAVAILABLE', 'The connection was cut.');
    const context = world.context();
    const store: Store = {
      serverTime: () => context.store.serverTime(),
      collection: (name) => {
        if (name === 'policiesInForce') throw away;
        return context.store.collection(name);
      },
    };
    await expect(planPurge({ ...context, store, asOf: new Date(DUE) }, null)).rejects.toBe(away);
  });
});

describe('paused', () => {
  beforeEach(async () => {
    await publish('chats', '{ records: 100, share: 1 }');
    await publish('calls', '{ records: 100, share: 1 }');
    await put('a', 2);
    await put('b', 2, { policy: 'calls' });
  });

  test('a policy: its archives wait, and are told with what stops them', async () => {
    await paused({ what: 'policy', name: 'chats' });
    expect(await plan()).toMatchObject({ due: ['b'], paused: [{ id: 'a', pauses: ['p1 (policy chats)'] }] });
  });

  test('everything: also what was begun, but not what the vault has deleted already', async () => {
    await paused({ what: 'all', name: null });
    await put('begun', 2, { state: 'purging', purge: { ...PURGE, askedAt: new Date(DUE) } });
    await put('gone', 2, { state: 'purging', purge: { ...PURGE, acceptedAt: new Date(DUE) } });
    const { due, paused: waiting } = await plan();
    expect(due).toEqual(['gone']);
    expect(waiting.map((one) => one.id).sort()).toEqual(['a', 'b', 'begun']);
  });

  test('what waits for a person is not counted for the caps', async () => {
    await publish('chats', '{ records: 1, share: 1 }');
    await paused({ what: 'policy', name: 'chats' });
    expect(await plan()).toMatchObject({ due: ['b'], capped: [] });
  });
});
