/** One purge, call by call: the order of what cannot be undone, and what every answer leaves behind. */
import { beforeEach, describe, expect, test } from 'vitest';
import { MoraineError } from '../../src/errors.ts';
import { type ArchiveId, id } from '../../src/ids.ts';
import { raiseAlarm } from '../../src/ledger/alarms.ts';
import type { ArchiveDocument, PurgeFacts } from '../../src/ledger/archive-document.ts';
import { archives, claimArchive } from '../../src/ledger/archives.ts';
import { attempts } from '../../src/ledger/attempts.ts';
import { holds } from '../../src/ledger/holds.ts';
import { inFlight } from '../../src/ledger/in-flight.ts';
import { recordIndexPages } from '../../src/ledger/record-index.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { purgeArchives, purgeable } from '../../src/lifecycle/purge.ts';
import { aHold } from '../harness/a-hold.ts';
import { anArchive, LOCATION } from '../harness/an-archive.ts';
import { watched } from '../harness/ledger-world.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const A1 = id.archive('a1');
const DUE = '2029-01-02T00:00:00Z';
const ACCEPTED = new Date('2029-01-02T00:00:07Z');
const begun: PurgeFacts = {
  claimedDueAt: new Date(DUE),
  asOf: new Date(DUE),
  askedAt: new Date(DUE),
  acceptedAt: null,
  keyDestroyedAt: null,
  confirmedByInventoryAt: null,
  certificate: null,
};

let world: MemoryWorld;
let context: Context;
/** What reached vault and key store, and how the ledger stood then. */
let calls: string[];
let onDelete: () => Promise<void>;
let onDestroy: () => Promise<void>;
beforeEach(async () => {
  world = await MemoryWorld.open();
  calls = [];
  onDelete = async () => undefined;
  onDestroy = async () => undefined;
  context = contextWith();
});

function contextWith(signal?: AbortSignal): Context {
  const base = world.context(undefined, { asOf: DUE, ...(signal === undefined ? {} : { signal }) });
  const vaults = [...base.vaults].map(
    ([key, vault]) =>
      [
        key,
        overlay(vault, {
          deleteArchive: async (_location, claim) => {
            claim.assertGood();
            const { purge, state } = await read(claim.archive);
            calls.push(`vault deletes ${claim.vaultArchiveId}: ${state}, asked ${purge?.askedAt != null}`);
            await onDelete();
            return { at: ACCEPTED };
          },
        }),
      ] as const,
  );
  const keys = overlay(base.keys, {
    destroy: async (attempt) => {
      const [archive] = await world.archives();
      calls.push(`key of ${attempt} destroyed: accepted ${archive?.purge?.acceptedAt != null}`);
      await onDestroy();
      return ACCEPTED;
    },
  });
  return { ...base, keys, vaults: new Map(vaults) };
}

async function put(fields: Partial<ArchiveDocument> = {}): Promise<void> {
  const archive = anArchive(fields);
  await archives(world.store).insert(archive);
  if (archive.attempt === null) return;
  await attempts(world.store).insert({
    _id: archive.attempt,
    v: 1,
    archive: archive._id,
    epoch: 1,
    state: 'acknowledged',
    location: LOCATION,
    intent: {
      installation: LOCATION.installation,
      archive: archive._id,
      attempt: archive.attempt,
      owner: archive.owner,
      customer: archive.customer,
      dataset: archive.namespace,
      dueAt: DUE,
      policyVersion: archive.policyVersion,
    },
    partBytes: 1,
    uploadId: null,
    members: [],
    keyDestroyedAt: null,
    cleanedUp: false,
    startedAt: archive.createdAt,
    endedAt: archive.createdAt,
    reason: null,
  });
}

async function read(archive: ArchiveId = A1): Promise<ArchiveDocument> {
  const found = await archives(world.store).get(archive);
  if (found === null) throw new Error('It is gone.');
  return found;
}

const purge = (...due: readonly ArchiveId[]) => purgeArchives(context, due.length === 0 ? [A1] : due);
const ASKED = 'vault deletes va1: purging, asked true';
const DESTROYED = 'key of t1 destroyed: accepted true';
const NOTHING = { purged: [], held: [], waiting: [], failed: [] };

describe('purge', () => {
  test('asked in the ledger, deleted by the vault, then the key, then all that names a record; nothing stays open', async () => {
    await put();
    await recordIndexPages(world.store).insert({
      _id: 'x',
      v: 1,
      archive: A1,
      bits: 0,
      prefix: 0,
      entries: new Uint8Array(),
    });
    const moved: string[] = [];
    context = { ...context, progress: { moved: (archive, to) => moved.push(`${archive} ${to}`) } };
    expect(await purge()).toEqual({ ...NOTHING, asOf: new Date(DUE), purged: [A1] });
    expect(calls).toEqual([ASKED, DESTROYED]);
    expect(await read()).toMatchObject({
      state: 'purged',
      lease: null,
      purge: { claimedDueAt: new Date(DUE), acceptedAt: ACCEPTED, keyDestroyedAt: ACCEPTED, certificate: null },
    });
    expect(await world.all('attempts')).toMatchObject([{ keyDestroyedAt: ACCEPTED }]);
    expect(await world.all('recordIndex')).toEqual([]);
    expect(await inFlight(world.store).count({})).toBe(0);
    expect(moved).toEqual([`${A1} purged`]);
  });

  test.each(['purged', 'confirmed'] as const)('%s before: reported, and nobody is asked', async (state) => {
    await put({ state, purge: begun });
    expect(await purge()).toMatchObject({ ...NOTHING, purged: [A1] });
    expect(calls).toEqual([]);
    expect((await read()).lease).toBeNull();
  });

  test.each(['stored', 'verified', 'quarantined'] as const)(
    '%s: not purged, and never reported as purged',
    async (state) => {
      await put({ state });
      expect(await purge()).toMatchObject({ ...NOTHING, waiting: [{ id: A1, reason: `it is ${state}` }] });
      expect(calls).toEqual([]);
      expect((await read()).state).toBe(state);
    },
  );

  test('held: reported, and nobody is asked', async () => {
    await put();
    await holds(world.store).insert(aHold({ _id: 'h1' }));
    expect(await purge()).toMatchObject({ ...NOTHING, held: [A1] });
    expect(calls).toEqual([]);
    expect(await read()).toMatchObject({ state: 'cleared', purge: null, lease: null });
  });

  test('a hold comes while the ledger is told that the vault is asked: it is not', async () => {
    await put();
    let looks = 0;
    // Each look reads twice; the third reading is the first one after the asking was written.
    const store = watched(context.store, async (collection, call) => {
      if (collection === 'holds' && call === 'find' && ++looks === 3) await holds(world.store).insert(aHold());
    });
    context = { ...context, store };
    expect(await purge()).toMatchObject({ ...NOTHING, held: [A1] });
    expect(calls).toEqual([]);
    expect(await read()).toMatchObject({ state: 'cleared', purge: null });
    expect(await inFlight(world.store).count({})).toBe(0);
  });

  test('not due, by the date that counts as now: waits', async () => {
    await put({ dueAt: new Date(Date.parse(DUE) + 1) });
    expect(await purge()).toMatchObject({ ...NOTHING, waiting: [{ id: A1 }] });
    expect(calls).toEqual([]);
  });
});

describe('the vault', () => {
  test('vetoes: the key stays, the claim is given back, and it is reported with its code', async () => {
    await put();
    onDelete = async () => {
      throw new MoraineError('VAULT_VETO', 'A lock keeps it.');
    };
    expect(await purge()).toMatchObject({ ...NOTHING, failed: [{ id: A1, code: 'VAULT_VETO', needsPerson: true }] });
    expect(calls).toEqual([ASKED]);
    expect(await read()).toMatchObject({ state: 'cleared', purge: null, lease: null });
    expect(await inFlight(world.store).count({})).toBe(0);
  });

  test('may have deleted it: the key stays while nobody knows, and the next worker asks again', async () => {
    await put();
    onDelete = async () => {
      throw new MoraineError('VAULT_OUTCOME_UNKNOWN', 'The connection was cut.');
    };
    expect(await purge()).toMatchObject({
      ...NOTHING,
      failed: [{ id: A1, code: 'VAULT_OUTCOME_UNKNOWN', reason: 'The connection was cut.', needsPerson: false }],
    });
    expect(calls).toEqual([ASKED]);
    expect(await read()).toMatchObject({ state: 'purging', lease: null, purge: { acceptedAt: null } });
    expect(await inFlight(world.store).count({})).toBe(0);
    onDelete = async () => undefined;
    expect(await purge()).toMatchObject({ purged: [A1] });
    expect(calls).toEqual([ASKED, ASKED, DESTROYED]);
  });

  test('is busy: waits, which is no failure', async () => {
    await put();
    onDelete = async () => {
      throw new MoraineError('VAULT_THROTTLED', 'Slow down.');
    };
    expect(await purge()).toMatchObject({ ...NOTHING, waiting: [{ id: A1, reason: 'Slow down.' }] });
    expect((await read()).state).toBe('purging');
  });

  test('accepted, and the key store was away: taken to its end without asking the vault again, whatever is held since', async () => {
    await put();
    onDestroy = async () => {
      throw new MoraineError('MONGODB_UNAVAILABLE', 'away');
    };
    expect(await purge()).toMatchObject({ ...NOTHING, failed: [{ id: A1, code: 'MONGODB_UNAVAILABLE' }] });
    expect(await read()).toMatchObject({ state: 'purging', purge: { acceptedAt: ACCEPTED, keyDestroyedAt: null } });
    onDestroy = async () => undefined;
    await holds(world.store).insert(aHold({ _id: 'h1' }));
    expect(await purge()).toMatchObject({ purged: [A1] });
    expect(calls).toEqual([ASKED, DESTROYED, DESTROYED]);
  });
});

describe('several', () => {
  test('one that fails, in whatever way, never stops the others; another worker’s waits', async () => {
    await put();
    await put({
      _id: id.archive('a2'),
      sequence: 2,
      attempt: null,
      state: 'purging',
      purge: { ...begun, acceptedAt: ACCEPTED },
    });
    await put({ _id: id.archive('a3'), sequence: 3, attempt: id.attempt('t3') });
    const other = { worker: id.worker('other'), clock: world.clock };
    await claimArchive(world.store, context.audit, id.archive('a3'), other);
    onDelete = async () => {
      throw new TypeError('not one of ours');
    };
    const errors: unknown[] = [];
    context = { ...context, log: { ...context.log, error: (ids) => errors.push(ids) } };
    const report = await purge(A1, id.archive('a2'), id.archive('a3'), id.archive('nobody'));
    expect(report).toMatchObject({
      purged: [],
      held: [],
      waiting: [{ id: 'a3' }],
      failed: [
        { id: 'a1', code: 'INTERNAL', reason: 'not one of ours', needsPerson: false },
        { id: 'a2', code: 'INTERNAL', needsPerson: false },
        { id: 'nobody', code: 'ARCHIVE_UNKNOWN' },
      ],
    });
    expect(calls).toEqual([ASKED]);
    expect(errors).toHaveLength(4);
  });

  test('told to stop: nothing more is begun', async () => {
    await put();
    await put({ _id: id.archive('a2'), sequence: 2, attempt: id.attempt('t2') });
    const stop = new AbortController();
    context = contextWith(stop.signal);
    onDelete = async () => stop.abort('enough');
    await expect(purge(A1, id.archive('a2'))).rejects.toMatchObject({ code: 'WORK_STOPPED' });
    expect(calls).toEqual([ASKED]);
    expect((await read(id.archive('a2'))).state).toBe('cleared');
    await expect(purge(id.archive('a2'))).rejects.toMatchObject({ code: 'WORK_STOPPED' });
    expect(calls).toEqual([ASKED]);
    expect(await read(id.archive('a2'))).toMatchObject({ epoch: 0, lease: null });
  });

  test('told to stop in the last one: it is no failure of that archive', async () => {
    await put();
    const stop = new AbortController();
    context = contextWith(stop.signal);
    onDelete = async () => stop.abort('enough');
    await expect(purge()).rejects.toMatchObject({ code: 'WORK_STOPPED' });
  });

  test('an alarm is open: nothing is begun', async () => {
    await put();
    await raiseAlarm(world.store, world.clock, 'LEDGER_BEHIND_VAULT', 'a restored backup');
    await expect(purge()).rejects.toMatchObject({ code: 'LEDGER_BEHIND_VAULT' });
    expect(calls).toEqual([]);
  });
});

test('what a purge would take: what was begun, then what is cleared and due, the oldest first; of these policies', async () => {
  const day = (n: number) => new Date(Date.parse(DUE) - n * 86_400_000);
  await put({ _id: id.archive('late'), sequence: 1, attempt: null, dueAt: day(-1) });
  await put({ _id: id.archive('now'), sequence: 2, attempt: null, dueAt: day(0) });
  await put({ _id: id.archive('old'), sequence: 3, attempt: null, dueAt: day(9), policy: 'calls' });
  await put({ _id: id.archive('begun'), sequence: 4, attempt: null, state: 'purging', purge: begun });
  await put({ _id: id.archive('verified'), sequence: 5, attempt: null, state: 'verified', dueAt: day(9) });
  const listed = async (policies: readonly string[] | null) => {
    const found = [];
    for await (const { _id } of purgeable(context, new Date(DUE), policies)) found.push(_id);
    return found;
  };
  expect(await listed(null)).toEqual(['begun', 'old', 'now']);
  expect(await listed(['chats'])).toEqual(['begun', 'now']);
  expect(await listed(['calls'])).toEqual(['old']);
  expect(await listed([])).toEqual([]);
});
