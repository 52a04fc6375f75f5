/** Attacks on the promises of design section 2, on the in-memory world. Each asserts what must still be there as carefully as what must be gone. */
import { randomBytes } from 'node:crypto';
import { BSON } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import { MoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import { unwrapArchiveKey } from '../../src/keys/administrator.ts';
import { newIdentity, openIdentity } from '../../src/keys/identity-file.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { archives, claimArchive, getArchive } from '../../src/ledger/archives.ts';
import { attempts } from '../../src/ledger/attempts.ts';
import { holds } from '../../src/ledger/holds.ts';
import { findQuarantine } from '../../src/ledger/quarantine.ts';
import { exemptRecords } from '../../src/ledger/record-marks.ts';
import type { LedgerDocument, Store, StoreCollection } from '../../src/ledger/store.ts';
import { carryOn } from '../../src/lifecycle/carry-on.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { planPurge } from '../../src/lifecycle/purge-caps.ts';
import { markScope } from '../../src/lifecycle/read-marks.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { type RestoreReport, restoreArchive } from '../../src/lifecycle/restore.ts';
import { requestRetrieval } from '../../src/lifecycle/retrieve.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { SourcePort } from '../../src/source/port.ts';
import type { VaultPort } from '../../src/vault/port.ts';
import { aHold } from '../harness/a-hold.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const RUN_AT = '2024-06-01T00:00:00Z';
const PURGE_AT = '2032-06-01T00:00:00Z';
const HOUR_MS = 3_600_000;

const YAML = (lines: { readonly dataset?: string; readonly archive?: string; readonly limits?: string } = {}) => `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant }${lines.dataset ?? ''} }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 30 days${lines.archive ?? ''} }
limits: ${lines.limits ?? '{ records: 1000, share: 1.0 }'}
`;

const { file, recipient } = await newIdentity({ now: new Date(), scryptLogN: 10 });
const identity = await openIdentity(Buffer.from(file));

let world: MemoryWorld;
let policy: Policy;
beforeEach(async () => {
  world = await MemoryWorld.open(recipient);
  policy = await world.publish(YAML());
});

function record(_id: string, at = '2020-01-01T00:00:00Z', more: BSON.Document = {}): BSON.Document {
  return { _id, owner: 'acme', tenant: 'north', at: new Date(at), ...more };
}

function put(...records: readonly BSON.Document[]): void {
  for (const one of records) world.put(policy, one);
}

async function run(context: Context = world.context(undefined, { asOf: RUN_AT })) {
  const result = await runPolicy(context, policy, { flush: true, expired: null });
  await world.assertTotalsHold();
  return result;
}

async function purge(context: Context = world.context(undefined, { asOf: PURGE_AT })) {
  return await purgeArchives(context, (await planPurge(context, null)).due);
}

/** The context with something done around calls of its source or vault. */
function around(
  context: Context,
  ports: { readonly source?: Partial<SourcePort>; readonly vault?: Partial<VaultPort> },
): Context {
  const vaults = [...context.vaults].map(([key, vault]) => [key, overlay(vault, ports.vault ?? {})] as const);
  return { ...context, source: overlay(context.source, ports.source ?? {}), vaults: new Map(vaults) };
}

function overlay<T extends object>(port: T, over: Partial<T>): T {
  return new Proxy(port, {
    get: (target, name) => Reflect.get(Reflect.has(over, name) ? over : target, name),
  });
}

async function placeHold(scope: { readonly owner?: string; readonly customer?: string } = {}): Promise<string> {
  const _id = `hold-${await holds(world.store).count({})}`;
  const { owner = null, customer = null } = scope;
  await holds(world.store).insert(
    aHold({
      _id,
      state: 'placing',
      owner: owner === null ? null : id.owner(owner),
      customer: customer === null ? null : id.customer(customer),
    }),
  );
  return _id;
}

async function releaseHolds(): Promise<void> {
  await holds(world.store).removeMany({});
}

async function theArchive(): Promise<ArchiveDocument> {
  const [archive] = (await world.archives()).filter(({ state }) => state !== 'abandoned');
  if (archive === undefined) throw new Error('There is no archive.');
  return archive;
}

function vaultHolds(archive: ArchiveDocument): boolean {
  return world.vault
    .archivesIn(archive.vault)
    .some(({ vaultArchiveId }) => vaultArchiveId === archive.stored?.vaultArchiveId);
}

async function restored(
  archive: ArchiveDocument,
  context: Context,
): Promise<{ ids: string[]; report: RestoreReport; discarded: boolean }> {
  await requestRetrieval(context, archive._id, 'standard');
  world.vault.advance(6);
  const ids: string[] = [];
  let discarded = false;
  const report = await restoreArchive(
    context,
    archive._id,
    (wrapped) => unwrapArchiveKey(wrapped, identity),
    {
      write: async (records) => {
        ids.push(...records.map((raw) => String(BSON.deserialize(raw)['_id'])));
        return { inserted: records.length, existing: 0 };
      },
      finish: async () => undefined,
      discard: async () => {
        discarded = true;
      },
    },
    'database',
  );
  return { ids, report, discarded };
}

describe('clear', () => {
  test('records changed, removed and put back between archive and delete: only what is the same goes, void copies never come back', async () => {
    put(record('same'), record('changed'), record('removed'), record('changed-late'), record('back'));
    const context = world.context(undefined, { asOf: RUN_AT });
    let looks = 0;
    const attacked = around(context, {
      source: {
        readByIds: async (...args: Parameters<SourcePort['readByIds']>) => {
          looks += 1;
          if (looks === 1) {
            put(record('changed', undefined, { text: 'new' }));
            world.source.remove(policy.dataset.collection, idBytes('removed'));
            world.source.remove(policy.dataset.collection, idBytes('back'));
            put(record('back'));
          }
          const found = await context.source.readByIds(...args);
          if (looks === 1) put(record('changed-late', undefined, { text: 'newer' }));
          return found;
        },
      },
    });
    const result = await run(attacked);
    expect(result.totals).toMatchObject({ archived: 5, deleted: 2, changed: 2, gone: 1, held: 0, quarantined: 0 });
    expect(world.idsIn(policy)).toEqual(['changed', 'changed-late']);
    const { ids, report } = await restored(await theArchive(), context);
    expect(ids.sort()).toEqual(['back', 'same']);
    expect(report.void).toBe(3);
    // What stayed is planned anew and goes as it is now.
    const next = await run();
    expect(next.totals).toMatchObject({ selected: 2, archived: 2, deleted: 2, changed: 0 });
    expect(world.idsIn(policy)).toEqual([]);
  });

  test('a record that changes three times in a row goes to quarantine and stops nobody', async () => {
    put(record('restless'), record('calm'));
    let version = 0;
    const attacked = (context: Context) =>
      around(context, {
        source: {
          readByIds: async (...args: Parameters<SourcePort['readByIds']>) => {
            put(record('restless', undefined, { version: ++version }));
            return await context.source.readByIds(...args);
          },
        },
      });
    const outcomes: unknown[] = [];
    for (let time = 0; time < 3; time++) {
      const { totals } = await run(attacked(world.context(undefined, { asOf: RUN_AT })));
      outcomes.push({ changed: totals.changed, quarantined: totals.quarantined, deleted: totals.deleted });
    }
    expect(outcomes).toEqual([
      { changed: 1, quarantined: 0, deleted: 1 },
      { changed: 1, quarantined: 0, deleted: 0 },
      { changed: 0, quarantined: 1, deleted: 0 },
    ]);
    expect(world.idsIn(policy)).toEqual(['restless']);
    expect((await run()).totals).toMatchObject({ selected: 0, archived: 0 });
    const reasons: string[] = [];
    for await (const { reason } of findQuarantine(world.store, { state: 'open' })) reasons.push(reason);
    expect(reasons).toEqual(['changed-three-times']);
  });

  test('a guard that refuses the same bytes three times: quarantined, not deleted; one that was only too late: tried again', async () => {
    put(record('a'));
    const context = world.context(undefined, { asOf: RUN_AT });
    let slow = 0;
    const late = around(context, {
      source: {
        deleteGuarded: async (...args: Parameters<SourcePort['deleteGuarded']>) => {
          slow += 1;
          if (slow <= 5) world.clock.advance(11_000);
          return await context.source.deleteGuarded(...args);
        },
      },
    });
    expect((await run(late)).totals).toMatchObject({ archived: 1, deleted: 1, quarantined: 0 });
    put(record('b'));
    const refusing = around(context, { source: { deleteGuarded: async () => ({ deletedCount: 1 }) } });
    expect((await run(refusing)).totals).toMatchObject({ archived: 1, deleted: 0, quarantined: 1 });
    expect(world.idsIn(policy)).toEqual(['b']);
  });

  test('a worker that is cut after the delete and again before it settles: the next one counts the record as deleted by us', async () => {
    put(record('a'));
    for (let cut = 0; cut < 5; cut++) {
      const context = world.context(undefined, { asOf: RUN_AT });
      const dying = around(context, {
        source: {
          deleteGuarded: async (...args: Parameters<SourcePort['deleteGuarded']>) => {
            if (cut === 4) await context.source.deleteGuarded(...args);
            throw new Error('cut');
          },
        },
      });
      await run(dying);
      expect(world.idsIn(policy)).toEqual(cut === 4 ? [] : ['a']);
    }
    const result = await run();
    expect(result.archives.map(({ outcomes }) => outcomes)).toMatchObject([
      { archived: 1, deleted: 1, gone: 0, quarantined: 0 },
    ]);
  });

  test('a hold placed before the look: the page is held, its copies are void, and go with the next plan after the release', async () => {
    put(record('a'), record('b'));
    const context = world.context(undefined, { asOf: RUN_AT });
    const attacked = around(context, {
      vault: {
        storeWhole: async (...args: Parameters<VaultPort['storeWhole']>) => {
          await placeHold({ customer: 'north' });
          return await world.vault.storeWhole(...args);
        },
      },
    });
    expect((await run(attacked)).totals).toMatchObject({ archived: 2, held: 2, deleted: 0, pending: 0 });
    expect(world.idsIn(policy)).toEqual(['a', 'b']);
    expect((await run()).totals).toMatchObject({ selected: 0, archived: 0 });
    await releaseHolds();
    expect((await run()).totals).toMatchObject({ selected: 2, deleted: 2 });
    expect((await restored((await world.archives())[0] ?? (await theArchive()), context)).ids).toEqual([]);
  });

  test('the reply of a delete is lost: the announcement stays until its end, so that a hold waits for what may be on its way', async () => {
    put(record('a'));
    const context = world.context(undefined, { asOf: RUN_AT });
    const lost = new MoraineError('MONGODB_UNAVAILABLE', 'The connection was cut.');
    await run(around(context, { source: { deleteGuarded: async () => Promise.reject(lost) } }));
    expect(await world.all('inFlight')).toMatchObject([{ act: 'clear', customer: 'north' }]);
    await run();
    expect(world.idsIn(policy)).toEqual([]);
    // That of the second run is withdrawn, the first ends by itself.
    expect(await world.all('inFlight')).toHaveLength(1);
  });

  test('a ledger that cannot read its holds deletes nothing', async () => {
    put(record('a'));
    await holds(world.store).insert(aHold({ _id: 'from-the-future', v: 9, owner: id.owner('other') }));
    await expect(run()).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
    expect(world.idsIn(policy)).toEqual(['a']);
  });

  test('a version field in the policy: a change of it saves the record, the rest goes', async () => {
    policy = await world.publish(YAML({ dataset: ', version: { field: rev }' }));
    put(record('a', undefined, { rev: 1 }), record('b', undefined, { rev: 1 }));
    const context = world.context(undefined, { asOf: RUN_AT });
    const attacked = around(context, {
      source: {
        deleteGuarded: async (...args: Parameters<SourcePort['deleteGuarded']>) => {
          put(record('b', undefined, { rev: 2 }));
          return await context.source.deleteGuarded(...args);
        },
      },
    });
    expect((await run(attacked)).totals).toMatchObject({ deleted: 1, changed: 1 });
    expect(world.idsIn(policy)).toEqual(['b']);
  });
});

describe('run', () => {
  test('several archives in a partition: the due window splits them, sequence and bounds do not overlap', async () => {
    put(...['2020-01-01', '2020-01-20', '2020-03-01', '2020-07-01'].map((day) => record(day, `${day}T00:00:00Z`)));
    const { archives: made, totals } = await run();
    expect(made.map(({ outcomes, sequence }) => [sequence, outcomes.deleted]).sort()).toEqual([
      [1, 2],
      [2, 1],
      [3, 1],
    ]);
    expect(totals).toMatchObject({ selected: 4, archived: 4, deleted: 4 });
  });

  test('records that come between plan and scan do not pass the cap: they wait for the next plan', async () => {
    put(record('a'), record('b'));
    const context = world.context(undefined, { asOf: RUN_AT });
    const attacked = around(context, {
      vault: {
        ensure: async (...args: Parameters<VaultPort['ensure']>) => {
          for (let late = 0; late < 50; late++) put(record(`c${late}`, '2020-01-02T00:00:00Z'));
          await world.vault.ensure(...args);
        },
      },
    });
    expect((await run(attacked)).totals).toMatchObject({ selected: 2, archived: 2, deleted: 2 });
    expect(world.idsIn(policy)).toHaveLength(50);
  });

  test.each(['{ records: 1, share: 1.0 }', '{ records: 1000, share: 0.1 }', '{ records: 1000 }', '{ share: 1.0 }'])(
    'over the blast cap %s: nothing starts, and it says so',
    async (limits) => {
      policy = await world.publish(YAML({ limits }));
      put(record('a'), record('b'));
      const { problems, totals } = await run();
      expect(problems).toMatchObject([{ code: 'BLAST_CAP', needsPerson: true }]);
      expect(totals).toMatchObject({ selected: 0, archived: 0, deleted: 0 });
      expect(world.idsIn(policy)).toEqual(['a', 'b']);
    },
  );

  test('an archive keeps the policy version that it pinned, also when the run has a newer one', async () => {
    put(record('a'));
    const context = world.context(undefined, { asOf: RUN_AT });
    await run(around(context, { vault: { storeWhole: async () => Promise.reject(new Error('cut')) } }));
    const pinned = (await theArchive()).policyVersion;
    const newer = await world.publish(YAML().replace('7 years', '1 year'));
    const document = await carryOn(world.context(undefined, { asOf: RUN_AT }), (await theArchive())._id, newer);
    expect(document).toMatchObject({
      state: 'cleared',
      policyVersion: pinned,
      dueAt: new Date('2029-01-01T00:00:00Z'),
    });
  });

  test('two workers at once on one policy: every record goes once, nothing is left open', async () => {
    for (let at = 0; at < 12; at++)
      put(record(`r${at}`, `2020-0${(at % 6) + 1}-01T00:00:00Z`, { tenant: `t${at % 3}` }));
    const both = await Promise.all([run(), run()]);
    for (const { problems } of both) expect(problems).toEqual([]);
    await run();
    expect(world.idsIn(policy)).toEqual([]);
    const outcomes = (await world.archives()).map((archive) => archive.outcomes);
    expect(outcomes.reduce((sum, { deleted }) => sum + deleted, 0)).toBe(12);
    expect(outcomes.reduce((sum, { gone, changed }) => sum + gone + changed, 0)).toBe(0);
    await world.assertNothingIsOpen();
  });

  test('fifty contexts race to claim one archive: one wins, the others learn who has it', async () => {
    put(record('a'));
    await run();
    const archive = await theArchive();
    const claims = await Promise.allSettled(
      Array.from({ length: 50 }, async () => {
        const context = world.context();
        return await claimArchive(context.store, context.audit, archive._id, context);
      }),
    );
    expect(claims.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const claim of claims)
      if (claim.status === 'rejected') expect(claim.reason).toMatchObject({ code: 'LEASE_HELD' });
    expect((await getArchive(world.store, archive._id)).epoch).toBe(archive.epoch + 1);
  });

  test('the clocks disagree, or an alarm is open: nothing is destroyed', async () => {
    put(record('a'));
    const context = world.context(undefined, { asOf: RUN_AT });
    const wrong = around(context, {
      source: { serverTime: async () => new Date(world.clock.now().getTime() + 2 * HOUR_MS) },
    });
    await expect(run(wrong)).rejects.toMatchObject({ code: 'CLOCK_DISAGREES' });
    expect(world.idsIn(policy)).toEqual(['a']);
  });

  test('the key is not in the key store when the archive is to be verified: quarantined, the original stays, the next plan takes it', async () => {
    put(record('a'));
    const context = world.context(undefined, { asOf: RUN_AT });
    const attacked = around(context, {
      vault: {
        storeWhole: async (...args: Parameters<VaultPort['storeWhole']>) => {
          await world.store.collection('archiveKeys').removeMany({});
          return await world.vault.storeWhole(...args);
        },
      },
    });
    const result = await run(attacked);
    expect(result.archives).toMatchObject([{ state: 'quarantined', quarantinedFrom: 'stored' }]);
    expect(result.newlyQuarantined).toBe(1);
    expect(world.idsIn(policy)).toEqual(['a']);
    expect((await run()).totals).toMatchObject({ deleted: 1 });
  });
});

/** Type byte and value of `{ _id: text }`. */
function idBytes(text: string): Uint8Array {
  return Uint8Array.from([BSON.BSONType.string, ...BSON.serialize({ _id: text }).subarray(9, -1)]);
}

describe('store', () => {
  const large = (_id = 'large') => record(_id, undefined, { noise: new BSON.Binary(randomBytes(9 * 1024 * 1024)) });

  test('a file in parts, the reply to its completion lost: asked again, the same attempt is acknowledged', async () => {
    put(large());
    world.vault.failNext('completeUpload', 'lost-reply');
    expect(await run()).toMatchObject({ problems: [], totals: { archived: 1, deleted: 1 } });
    expect(await theArchive()).toMatchObject({ attemptCount: 1 });
    expect(world.vault.archivesIn((await theArchive()).vault)).toHaveLength(1);
  });

  test.each(['beginUpload', 'sendPart', 'completeUpload'] as const)(
    'a file in parts, %s fails: the upload is aborted, its key destroyed, nothing of it stays; the next run stores it',
    async (operation) => {
      put(large());
      world.vault.failNext(operation, 'unavailable');
      expect((await run()).problems).toMatchObject([{ code: 'VAULT_UNAVAILABLE' }]);
      const archive = await theArchive();
      expect(archive).toMatchObject({ state: 'planned', attempt: null, attemptCount: 1 });
      const open: unknown[] = [];
      for await (const upload of world.vault.listUploads(archive.vault)) open.push(upload);
      expect(open).toEqual([]);
      const [attempt] = await world.all('attempts');
      await expect(world.context().keys.readBack(id.attempt(attempt?._id ?? ''))).rejects.toMatchObject({
        code: 'KEY_DESTROYED',
      });
      expect(await world.all('rosterPages')).toEqual([]);
      expect(world.idsIn(policy)).toEqual(['large']);
      expect((await run()).totals).toMatchObject({ archived: 1, deleted: 1 });
    },
  );

  test('the source fails in the middle of a scan while a part is on its way: nothing of the attempt stays behind', async () => {
    put(large('a'), large('b'), large('c'));
    const context = world.context(undefined, { asOf: RUN_AT });
    let scans = 0;
    let partsUnderWay = 0;
    const partsUnderWayAtAbort: number[] = [];
    const attacked = around(context, {
      source: {
        scan: async function* (...args: Parameters<SourcePort['scan']>) {
          yield* context.source.scan(...args);
          scans += 1;
          if (scans === 1) return;
          while (partsUnderWay === 0) await new Promise((resolve) => setImmediate(resolve));
          throw new Error('cut');
        },
      },
      vault: {
        sendPart: async (...args: Parameters<VaultPort['sendPart']>) => {
          partsUnderWay += 1;
          for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
          await world.vault.sendPart(...args);
          partsUnderWay -= 1;
        },
        abortUpload: async (...args: Parameters<VaultPort['abortUpload']>) => {
          partsUnderWayAtAbort.push(partsUnderWay);
          await world.vault.abortUpload(...args);
        },
      },
    });
    expect((await run(attacked)).problems).toHaveLength(1);
    expect(partsUnderWayAtAbort).toEqual([0]);
    const open: unknown[] = [];
    for await (const upload of world.vault.listUploads((await theArchive()).vault)) open.push(upload);
    expect(open).toEqual([]);
    expect(await world.all('rosterPages')).toEqual([]);
    expect((await run()).totals).toMatchObject({ archived: 3, deleted: 3 });
  });
});

describe('purge', () => {
  beforeEach(async () => {
    put(record('a'));
    await run();
  });

  test('one millisecond early: nothing; then everything that names a record goes, and counts and root stay', async () => {
    const { dueAt } = await theArchive();
    const early = new Date((dueAt?.getTime() ?? 0) - 1).toISOString();
    expect(await purgeArchives(world.context(undefined, { asOf: early }), [(await theArchive())._id])).toMatchObject({
      purged: [],
      waiting: [{}],
    });
    expect(vaultHolds(await theArchive())).toBe(true);
    expect(await purge()).toMatchObject({ purged: [(await theArchive())._id] });
    const gone = await theArchive();
    expect(gone).toMatchObject({ state: 'purged', outcomes: { deleted: 1 } });
    expect(gone.stored?.merkleRoot).toMatch(/^[0-9a-f]{64}$/);
    expect(vaultHolds(gone)).toBe(false);
    for (const name of ['rosterPages', 'rosterExceptions', 'recordIndex', 'archiveFacets', 'clearingPages'])
      expect(await world.all(name), name).toEqual([]);
  });

  test('a hold between announcement and look: the claim is not made', async () => {
    const context = world.context(undefined, { asOf: PURGE_AT });
    const attacked = {
      ...context,
      store: storeWith(context.store, { insertInto: 'inFlight', happens: () => placeHold({ owner: 'acme' }) }),
    };
    expect(await purge(attacked)).toMatchObject({ purged: [], held: [(await theArchive())._id] });
    expect(await theArchive()).toMatchObject({ state: 'cleared', purge: null });
    expect(vaultHolds(await theArchive())).toBe(true);
  });

  test('a hold after look and claim, while the machine slept: archive and key stay, the claim is given back; after the release it goes', async () => {
    const context = world.context(undefined, { asOf: PURGE_AT });
    const store = storeWith(context.store, { findIn: 'retrievals', happens: () => placeHold({ owner: 'acme' }) });
    expect(await purge({ ...context, store })).toMatchObject({ purged: [], held: [(await theArchive())._id] });
    expect(await theArchive()).toMatchObject({ state: 'cleared', purge: null });
    expect(vaultHolds(await theArchive())).toBe(true);
    await context.keys.readBack((await theArchive()).attempt ?? id.attempt(''));
    await releaseHolds();
    expect(await purge()).toMatchObject({ purged: [(await theArchive())._id], held: [] });
  });

  test('the vault vetoes: archive and key stay, it is cleared again and reported', async () => {
    world.vault.failNext('deleteArchive', 'veto');
    expect(await purge()).toMatchObject({ purged: [], failed: [{ needsPerson: true }] });
    const archive = await theArchive();
    expect(archive).toMatchObject({ state: 'cleared', purge: null });
    expect(vaultHolds(archive)).toBe(true);
    await world.context().keys.readBack(archive.attempt ?? id.attempt(''));
  });

  test('a retrieval is open: not purged; its output expired: purged', async () => {
    await requestRetrieval(world.context(), (await theArchive())._id, 'standard');
    expect(await purge()).toMatchObject({ purged: [], waiting: [{}] });
    world.vault.advance(48);
    expect(await purge()).toMatchObject({ purged: [(await theArchive())._id] });
  });

  test('the reply of the delete was lost and a hold came since: the key stays while nobody knows; after the release it ends', async () => {
    world.vault.failNext('deleteArchive', 'lost-reply');
    expect((await purge()).failed).toHaveLength(1);
    await placeHold();
    expect(await purge()).toMatchObject({ purged: [], held: [(await theArchive())._id] });
    await world.context().keys.readBack((await theArchive()).attempt ?? id.attempt(''));
    await releaseHolds();
    expect(await purge()).toMatchObject({ purged: [(await theArchive())._id] });
  });

  test('an archive that is not cleared is never reported as purged', async () => {
    const archive = await theArchive();
    const stored = await archives(world.store).get(archive._id);
    if (stored !== null) await archives(world.store).replace({ ...stored, state: 'verified' });
    expect(await purgeArchives(world.context(undefined, { asOf: PURGE_AT }), [archive._id])).toMatchObject({
      purged: [],
      waiting: [{ reason: 'it is verified' }],
    });
    expect(vaultHolds(archive)).toBe(true);
  });
});

/** A store in which something happens once, when the first insert into a collection was made or the second reading of one ended. */
function storeWith(
  store: Store,
  when: { readonly insertInto?: string; readonly findIn?: string; readonly happens: () => Promise<unknown> },
): Store {
  let finds = 0;
  let hasHappened = false;
  const happen = async () => {
    if (hasHappened) return;
    hasHappened = true;
    await when.happens();
  };
  return {
    serverTime: () => store.serverTime(),
    collection: <T extends LedgerDocument>(name: string) => {
      const collection = store.collection<T>(name);
      const over: Partial<StoreCollection<T>> = {
        insert: async (document) => {
          const outcome = await collection.insert(document);
          if (name === when.insertInto) await happen();
          return outcome;
        },
        find: async function* (filter, options) {
          yield* collection.find(filter, options);
          finds += name === when.findIn ? 1 : 0;
          if (finds === 2) await happen();
        },
      };
      return overlay(collection, over);
    },
  };
}

describe('restore', () => {
  test('a flipped byte in the output: refused, the member named, the target untouched, tried again it works', async () => {
    put(record('a', undefined, { text: 'x'.repeat(5_000) }));
    await run();
    const archive = await theArchive();
    const context = world.context();
    const attempt = await attempts(world.store).get(archive.attempt ?? '');
    const segment = attempt?.members.find((member) => member.segment === 0);
    const flipped = around(context, {
      vault: {
        readRetrieval: async (...args: Parameters<VaultPort['readRetrieval']>) => {
          const bytes = Uint8Array.from(await world.vault.readRetrieval(...args));
          const middle = (segment?.offset ?? 0) + (segment?.length ?? 0) / 2;
          bytes[Math.floor(middle)] = (bytes[Math.floor(middle)] ?? 0) ^ 1;
          return bytes;
        },
      },
    });
    await expect(restored(archive, flipped)).rejects.toMatchObject({
      code: 'ARCHIVE_CORRUPT',
      message: expect.stringContaining('segments/'),
    });
    expect((await restored(archive, context)).ids).toEqual(['a']);
  });

  test('a restored record is left alone until its date, and then archived again', async () => {
    put(record('a'));
    await run();
    const context = world.context();
    const { ids } = await restored(await theArchive(), context);
    expect(ids).toEqual(['a']);
    const scope = await markScope(context, policy.dataset.collection, id.owner('acme'), id.customer('north'));
    await exemptRecords(world.store, scope, [context.source.keyOf(idBytes('a'))], new Date('2024-07-01T00:00:00Z'));
    put(record('a'));
    expect((await run()).totals).toMatchObject({ selected: 0, archived: 0 });
    expect(world.idsIn(policy)).toEqual(['a']);
    expect((await run(world.context(undefined, { asOf: '2024-07-01T00:00:00Z' }))).totals).toMatchObject({
      deleted: 1,
    });
    expect(world.idsIn(policy)).toEqual([]);
  });
});

describe('reconcile', () => {
  const look = async (context: Context = world.context(undefined, { asOf: RUN_AT })) => {
    for (let day = 0; day < 5; day++) {
      const report = await reconcile(context, { all: day === 0, source: false });
      if (report.vaults.some(({ state }) => state === 'compared')) return report;
      world.vault.advance(25);
    }
    throw new Error('No inventory came.');
  };

  test('an archive that the ledger does not know is a stray, one of another installation is foreign: both are kept', async () => {
    put(record('a'), record('b', '2020-06-01T00:00:00Z'));
    await run();
    const [lost, kept] = await world.archives();
    if (lost === undefined || kept === undefined) throw new Error('Two archives were expected.');
    await archives(world.store).removeMany({ _id: lost._id });
    world.vault.plantArchive(kept.vault, Buffer.from('theirs'), 'somebody else');
    const report = await look();
    expect(report.strays).toMatchObject([{ archive: lost._id }]);
    expect(report).toMatchObject({ foreign: 1, removedUploads: 0, missing: [] });
    expect(world.vault.archivesIn(kept.vault)).toHaveLength(3);
  });

  test('an archive that is missing in the vault: reported and quarantined', async () => {
    put(record('a'));
    await run();
    const archive = await theArchive();
    const planted = await archives(world.store).get(archive._id);
    if (planted?.stored == null) throw new Error('It was not stored.');
    await archives(world.store).replace({ ...planted, stored: { ...planted.stored, vaultArchiveId: 'nowhere' } });
    expect(await look()).toMatchObject({ missing: [archive._id], quarantined: [archive._id] });
    expect(await theArchive()).toMatchObject({ state: 'quarantined', quarantinedFrom: 'cleared' });
  });

  test('what an abandoned attempt left: kept within the margin, removed after it, and never the good one beside it', async () => {
    put(record('a'));
    world.vault.failNext('storeWhole', 'lost-reply');
    await run();
    await run();
    const archive = await theArchive();
    expect(world.vault.archivesIn(archive.vault)).toHaveLength(2);
    expect(await look()).toMatchObject({ removedUploads: 0, strays: [] });
    expect(world.vault.archivesIn(archive.vault)).toHaveLength(2);
    world.clock.advance(25 * HOUR_MS);
    expect(await look()).toMatchObject({ removedUploads: 1, strays: [] });
    expect(world.vault.archivesIn(archive.vault)).toMatchObject([{ vaultArchiveId: archive.stored?.vaultArchiveId }]);
    expect(await attempts(world.store).count({ state: 'abandoned', cleanedUp: false })).toBe(0);
  });

  test('verified by inventory: nothing is deleted before it lists the archive; then reconcile goes on to clear', async () => {
    policy = await world.publish(YAML({ archive: ', verify: inventory' }));
    put(record('a'));
    expect((await run()).totals).toMatchObject({ archived: 1, pending: 1, deleted: 0 });
    expect(world.idsIn(policy)).toEqual(['a']);
    const report = await look();
    expect(report.verified).toHaveLength(1);
    expect(report.cleared).toEqual(report.verified);
    expect(world.idsIn(policy)).toEqual([]);
  });
});

describe('expired', () => {
  test('records past the archive period go only when a person says so, no more than the plan counted, with a certificate; cut, it is carried on', async () => {
    put(record('old', '2010-01-01T00:00:00Z'), record('older', '2009-01-01T00:00:00Z'), record('due'));
    expect((await run()).totals).toMatchObject({ deleted: 1 });
    expect(world.idsIn(policy)).toEqual(['old', 'older']);
    const context = world.context(undefined, { asOf: RUN_AT });
    const dying = around(context, {
      source: {
        deleteGuarded: async (...args: Parameters<SourcePort['deleteGuarded']>) => {
          await context.source.deleteGuarded(...args);
          put(record('late', '2010-01-02T00:00:00Z'));
          throw new Error('cut');
        },
      },
    });
    const cut = await runPolicy(dying, policy, { flush: true, expired: { saidBy: 'alice' } });
    expect(cut.problems).toHaveLength(1);
    const after = await run();
    expect(after.expired).toMatchObject([{ outcomes: { archived: 2, deleted: 2, pending: 0 } }]);
    expect(after.expired[0]?.certificate).not.toBeNull();
    expect(world.idsIn(policy)).toEqual(['late']);
    expect(await world.all('rosterPages')).toEqual([]);
  });
});
