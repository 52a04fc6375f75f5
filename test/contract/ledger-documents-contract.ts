/** The ledger's independent documents, on any store: each against repetition, races and what must be refused. */
import { beforeEach, describe, expect, it } from 'vitest';
import { id } from '../../src/ids.ts';
import { findCertificates, getCertificate, keepCertificate } from '../../src/ledger/certificates.ts';
import type { PreparedStore } from '../../src/ledger/indexes.ts';
import { acceptJump, assertClocksAgree, observeTime, openInstallation } from '../../src/ledger/installation.ts';
import {
  ASKING_MARGIN_MS,
  claimInventoryRequest,
  dropInventoryJob,
  getInventory,
  needInventory,
  pagedVaults,
  rememberInventoryJob,
  takeInventory,
} from '../../src/ledger/inventories.ts';
import { LEDGER_INDEXES } from '../../src/ledger/ledger-indexes.ts';
import {
  policiesInForce,
  policyHistory,
  policyInForce,
  policyVersion,
  publishPolicy,
} from '../../src/ledger/policies.ts';
import {
  archiveEntryId,
  closeQuarantine,
  closeUnseenRecords,
  findQuarantine,
  getQuarantine,
  openQuarantine,
  quarantineArchiveEntry,
  quarantineRecords,
  recordEntryId,
} from '../../src/ledger/quarantine.ts';
import {
  countChanged,
  exemptRecords,
  findMarks,
  forgetMarks,
  hasMarks,
  markQuarantined,
  removeSpentMarks,
} from '../../src/ledger/record-marks.ts';
import {
  endRetrieval,
  liveRetrievals,
  markFetched,
  markRetrievalReady,
  RETRIEVAL_MOVES,
} from '../../src/ledger/retrievals.ts';
import { endRun, latestRuns, startRun } from '../../src/ledger/runs.ts';
import type { LedgerDocument } from '../../src/ledger/store.ts';
import type { VaultLocation } from '../../src/vault/port.ts';
import { askedRetrieval } from '../harness/a-retrieval.ts';
import { MovableClock } from '../simulation/memory-world.ts';

const HOUR_MS = 3_600_000;
const NAMESPACE = id.namespace('support.chats');
const OWNER = id.owner('acme');
const CUSTOMER = id.customer('globex');
const LOCATION: VaultLocation = {
  installation: 'x0x0x0x0x0',
  key: id.vaultKey('cold'),
  backend: 'glacier',
  account: '-',
  region: 'eu-west-1',
  name: 'x-acme-globex',
  prefix: '',
  owner: OWNER,
  customer: CUSTOMER,
};

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** `open` gives an empty store each time. */
export function ledgerDocumentsContract(name: string, open: () => Promise<PreparedStore>) {
  describe(`ledger documents: ${name}`, () => {
    let store: PreparedStore;
    let clock: MovableClock;

    beforeEach(async () => {
      store = await open();
      await store.ensureIndexes(LEDGER_INDEXES);
      clock = new MovableClock('2026-05-01T00:00:00Z');
    });

    describe('installation', () => {
      it('twenty processes begin at once: one installation, one short printable id, one environment', async () => {
        const opened = await Promise.all(Array.from({ length: 20 }, () => openInstallation(store, clock, 'sandbox')));
        expect(new Set(opened.map((installation) => installation.id)).size).toBe(1);
        expect(opened[0]?.id).toMatch(/^[0-9a-z]{10}$/);
        await expect(openInstallation(store, clock, 'production')).rejects.toMatchObject({
          code: 'ENVIRONMENT_MISMATCH',
        });
        expect((await openInstallation(store, clock, 'sandbox')).environment).toBe('sandbox');
      });

      it('time: forward is remembered, a minute back is borne, more is refused and never accepted', async () => {
        await openInstallation(store, clock, 'sandbox');
        const at = (ms: number) => new Date(clock.now().getTime() + ms);
        await observeTime(store, at(30 * HOUR_MS));
        await observeTime(store, at(30 * HOUR_MS - 60_000));
        await expect(observeTime(store, at(30 * HOUR_MS - 61_000))).rejects.toMatchObject({ code: 'CLOCK_DISAGREES' });
        await expect(acceptJump(store, at(0))).rejects.toMatchObject({ code: 'CLOCK_DISAGREES' });
        await expect(observeTime(store, new Date(Number.NaN))).rejects.toMatchObject({ code: 'CLOCK_DISAGREES' });
      });

      it('time: 36 h ahead is borne, more stops until a person accepts it', async () => {
        await openInstallation(store, clock, 'sandbox');
        const later = new Date(clock.now().getTime() + 36 * HOUR_MS);
        await observeTime(store, later);
        const jump = new Date(later.getTime() + 36 * HOUR_MS + 1);
        await expect(observeTime(store, jump)).rejects.toMatchObject({ code: 'CLOCK_JUMPED' });
        await expect(observeTime(store, jump)).rejects.toMatchObject({ code: 'CLOCK_JUMPED' });
        await acceptJump(store, jump);
        await observeTime(store, jump);
      });

      it('time: small steps add up in the mark, so that going back over them is seen', async () => {
        await openInstallation(store, clock, 'sandbox');
        const start = clock.now().getTime();
        for (let minute = 1; minute <= 10; minute++) await observeTime(store, new Date(start + minute * 45_000));
        await expect(observeTime(store, new Date(start))).rejects.toMatchObject({ code: 'CLOCK_DISAGREES' });
      });

      it('witnesses: near ours passes with the skews, a wrong, absent or senseless one stops', async () => {
        const off = (ms: number) => async () => new Date(clock.now().getTime() + ms);
        expect(await assertClocksAgree({ clock, mongodb: off(59_000), vault: off(-60_000) })).toEqual({
          mongodbMs: 59_000,
          vaultMs: -60_000,
        });
        expect(await assertClocksAgree({ clock, mongodb: off(0), vault: null })).toEqual({
          mongodbMs: 0,
          vaultMs: null,
        });
        const disagrees = { code: 'CLOCK_DISAGREES' };
        await expect(assertClocksAgree({ clock, mongodb: off(61_000), vault: null })).rejects.toMatchObject(disagrees);
        await expect(assertClocksAgree({ clock, mongodb: off(0), vault: off(-61_000) })).rejects.toMatchObject(
          disagrees,
        );
        await expect(assertClocksAgree({ clock, mongodb: off(Number.NaN), vault: null })).rejects.toMatchObject(
          disagrees,
        );
        const away = async () => Promise.reject(new Error('away'));
        await expect(assertClocksAgree({ clock, mongodb: off(0), vault: away })).rejects.toThrow('away');
      });
    });

    describe('policies', () => {
      const chats = (version: string, policy = { active: 'P2Y', 'a.b': { $c: [1, null] } }) => ({
        name: 'chats',
        namespace: NAMESPACE,
        version: id.policyVersion(version),
        policy: { ...policy, version },
        by: 'alice',
      });

      it('publish: in force at once, again does nothing, an older version can come back, history tells it', async () => {
        await expect(policyInForce(store, 'chats')).rejects.toMatchObject({ code: 'POLICY_NOT_PUBLISHED' });
        expect(await publishPolicy(store, clock, chats('v1'))).toEqual({ outcome: 'published', previous: null });
        expect(await publishPolicy(store, clock, chats('v1'))).toEqual({ outcome: 'unchanged', previous: 'v1' });
        expect(await publishPolicy(store, clock, chats('v2'))).toEqual({ outcome: 'published', previous: 'v1' });
        expect(await publishPolicy(store, clock, chats('v1'))).toEqual({ outcome: 'published', previous: 'v2' });
        expect((await policyHistory(store, 'chats')).map(({ version }) => version)).toEqual(['v1', 'v2', 'v1']);
        expect((await policyVersion(store, id.policyVersion('v2'))).policy).toEqual(chats('v2').policy);
        expect((await all(policiesInForce(store))).map(({ version }) => version)).toEqual(['v1']);
        await expect(policyVersion(store, id.policyVersion('v3'))).rejects.toMatchObject({ code: 'POLICY_UNKNOWN' });
      });

      it('a second policy for the same collection is refused, also when both come at once', async () => {
        const other = { ...chats('w1'), name: 'other' };
        const outcomes = await Promise.allSettled([
          publishPolicy(store, clock, chats('v1')),
          publishPolicy(store, clock, other),
        ]);
        expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
          reason: { code: 'POLICY_INVALID' },
        });
        expect(await all(policiesInForce(store))).toHaveLength(1);
      });

      it('a version stays what it was: another policy under its name is a bug, and changes nothing', async () => {
        await publishPolicy(store, clock, chats('v1'));
        await publishPolicy(store, clock, chats('v2'));
        const forged = { ...chats('v1'), policy: { active: 'P1D' } };
        await expect(publishPolicy(store, clock, forged)).rejects.toMatchObject({ code: 'INTERNAL' });
        expect((await policyInForce(store, 'chats')).version).toBe('v2');
      });
    });

    describe('quarantine', () => {
      const record = (n: number, reason = 'owner-unusable') => ({
        policy: 'chats',
        namespace: NAMESPACE,
        owner: null,
        customer: CUSTOMER,
        reason,
        text: 'The record names no owner.',
        idBytes: new Uint8Array([16, n & 255, n >> 8, 0, 0]),
      });

      it('the same records seen again count up and are not new; one that was closed is opened again', async () => {
        const records = Array.from({ length: 2_300 }, (_, n) => record(n));
        expect(await quarantineRecords(store, clock, records)).toEqual({ fresh: 2_300, known: 0, reopened: 0 });
        const first = recordEntryId(NAMESPACE, records[0]?.idBytes ?? new Uint8Array());
        clock.advance(HOUR_MS);
        await closeQuarantine(store, clock, first, { who: 'alice', reason: 'mended' });
        expect((await getQuarantine(store, first))?.idBytes).toBeNull();
        expect(await quarantineRecords(store, clock, records.slice(0, 5))).toEqual({ fresh: 0, known: 4, reopened: 1 });
        const entry = await getQuarantine(store, first);
        expect(entry).toMatchObject({ state: 'open', timesSeen: 2, closedBy: null });
        expect([...(entry?.idBytes ?? [])]).toEqual([16, 0, 0, 0, 0]);
        expect((entry?.lastSeenAt.getTime() ?? 0) - (entry?.firstSeenAt.getTime() ?? 0)).toBe(HOUR_MS);
      });

      it('two workers report the same archive: one entry, and it is new for one of them', async () => {
        const archive = id.archive('a1');
        const facts = { ...record(0), archive };
        const { idBytes: _, ...entry } = facts;
        const reports = await Promise.all([1, 2].map(() => quarantineArchiveEntry(store, clock, entry)));
        expect(reports.map(({ fresh }) => fresh).sort()).toEqual([0, 1]);
        expect(await openQuarantine(store)).toEqual({ records: 0, archives: 1, oldestAt: clock.now() });
        expect(await getQuarantine(store, archiveEntryId(archive))).toMatchObject({ archive, idBytes: null });
      });

      it('records that a complete look no longer sees are closed; those seen, or there for another reason, stay', async () => {
        await quarantineRecords(store, clock, [record(1), record(2), record(3, 'changed-three-times')]);
        clock.advance(HOUR_MS);
        const since = clock.now();
        await quarantineRecords(store, clock, [record(2)]);
        const unseen = { policy: 'chats', namespace: NAMESPACE, reasons: ['owner-unusable'], since };
        expect(await closeUnseenRecords(store, clock, unseen)).toBe(1);
        expect(await closeUnseenRecords(store, clock, unseen)).toBe(0);
        const left = await all(findQuarantine(store, { state: 'open' }));
        expect(left.map(({ idBytes }) => idBytes?.[1]).sort()).toEqual([2, 3]);
        expect((await openQuarantine(store)).oldestAt?.getTime()).toBe(since.getTime() - HOUR_MS);
      });
    });

    describe('record marks', () => {
      const scope = {
        namespace: NAMESPACE,
        partition: id.partition('p1'),
        hmac: (data: string) => Buffer.from(`hmac of ${data}`),
      };
      const until = new Date('2026-06-01T00:00:00Z');

      it('exempt 5,000 after a restore: all are found, again changes nothing, a longer exemption stays', async () => {
        expect(await hasMarks(store, scope.partition)).toBe(false);
        const keys = Array.from({ length: 5_000 }, (_, n) => `key${n}`);
        await exemptRecords(store, scope, keys.slice(0, 10), new Date('2027-01-01T00:00:00Z'));
        await exemptRecords(store, scope, keys, until);
        await exemptRecords(store, scope, keys.slice(0, 20), until);
        const marks = await findMarks(store, scope, [...keys, 'unknown']);
        expect(marks.size).toBe(5_000);
        expect(marks.get('key9')?.exemptUntil).toEqual(new Date('2027-01-01T00:00:00Z'));
        expect(marks.get('key4999')?.exemptUntil).toEqual(until);
        expect(await hasMarks(store, scope.partition)).toBe(true);
        expect(await hasMarks(store, id.partition('p2'))).toBe(false);
      });

      it('changed: the third archive in a row tells, the same archive counts once, a deletion begins anew', async () => {
        const count = (archive: string) => countChanged(store, scope, id.archive(archive), ['k', 'other']);
        expect(await count('a1')).toEqual([]);
        expect(await count('a1')).toEqual([]);
        expect(await countChanged(store, scope, id.archive('a2'), ['k'])).toEqual([]);
        expect(await count('a3')).toEqual(['k']);
        expect(await count('a3')).toEqual(['k']);
        expect(await forgetMarks(store, scope, ['k'])).toBe(1);
        expect(await count('a4')).toEqual(['other']);
      });

      it('spent marks go; a quarantined record, one that is counted and one still exempt stay', async () => {
        await exemptRecords(store, scope, ['spent', 'quarantined', 'counted'], until);
        await exemptRecords(store, scope, ['exempt'], new Date(until.getTime() + 1));
        await markQuarantined(store, scope, ['quarantined', 'never exempt']);
        await countChanged(store, scope, id.archive('a1'), ['counted']);
        expect(await removeSpentMarks(store, until)).toBe(1);
        const left = await findMarks(store, scope, ['spent', 'quarantined', 'counted', 'exempt', 'never exempt']);
        expect([...left.keys()].sort()).toEqual(['counted', 'exempt', 'never exempt', 'quarantined']);
      });

      it('no plaintext key is kept', async () => {
        await exemptRecords(store, scope, ['alice@globex.example'], until);
        const [mark] = await all(store.collection<LedgerDocument>('recordMarks').find({}));
        expect(JSON.stringify(mark)).not.toContain('alice');
      });
    });

    describe('retrievals', () => {
      const ask = (retrieval = 'r1') =>
        askedRetrieval(store, clock, {
          id: retrieval,
          archive: id.archive('a1'),
          location: LOCATION,
          vaultArchiveId: 'va1',
          tier: 'standard',
          range: null,
          jobId: 'j1',
          expectedAt: null,
        });
      const ready = (retrieval = 'r1') =>
        markRetrievalReady(store, retrieval, { readyAt: clock.now(), expiresAt: null });

      it('live from its request until it was read; each step twice is one step', async () => {
        await ask();
        await ask();
        expect(await liveRetrievals(store, id.archive('a1'))).toHaveLength(1);
        await ready();
        await ready();
        expect(await liveRetrievals(store, id.archive('a1'))).toHaveLength(1);
        await endRetrieval(store, clock, 'r1', 'read');
        await endRetrieval(store, clock, 'r1', 'read');
        expect(await liveRetrievals(store, id.archive('a1'))).toEqual([]);
        expect(await liveRetrievals(store, id.archive('a2'))).toEqual([]);
      });

      const states = ['requested', 'ready', 'fetched', 'read', 'cancelled', 'expired'] as const;
      it('every move between two states is what the table says', async () => {
        for (const from of states) {
          for (const to of states.slice(1)) {
            const retrieval = `${from} ${to}`;
            await ask(retrieval);
            const go = async (state: (typeof states)[number]) => {
              if (state === 'ready') return await ready(retrieval);
              const file = { fetchedAt: clock.now(), keepUntil: clock.now() };
              if (state === 'fetched') return await markFetched(store, retrieval, file);
              return await endRetrieval(store, clock, retrieval, state === 'requested' ? 'read' : state);
            };
            if (from === 'fetched') await go('ready');
            if (from !== 'requested') await go(from);
            const outcome = await go(to).then(
              ({ state }) => state,
              ({ code }) => code,
            );
            const isLegal = from === to || RETRIEVAL_MOVES[from].includes(to);
            expect({ from, to, outcome }).toEqual({ from, to, outcome: isLegal ? to : 'ILLEGAL_MOVE' });
          }
        }
      });

      it('two readers end it at once: one state stands', async () => {
        await ask();
        const ends = await Promise.allSettled([
          endRetrieval(store, clock, 'r1', 'read'),
          endRetrieval(store, clock, 'r1', 'expired'),
        ]);
        expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      });
    });

    describe('certificates', () => {
      const about = (name: string, archive = name) => {
        return { id: name, archive: id.archive(archive), policy: 'chats', owner: OWNER, customer: CUSTOMER };
      };
      const saying = (body: string) => async () => ({ body, signature: new Uint8Array([1, 2]), keyId: 'k1' });

      it('kept once, the first stands, found by archive, owner and customer', async () => {
        await keepCertificate(store, clock, about('a1'), saying('{"at":1}'));
        expect((await keepCertificate(store, clock, about('a1'), saying('{"at":2}'))).body).toBe('{"at":1}');
        expect((await getCertificate(store, 'a1'))?.body).toBe('{"at":1}');
        await expect(keepCertificate(store, clock, about('a1', 'a2'), saying('{}'))).rejects.toMatchObject({
          code: 'INTERNAL',
        });
        expect(await all(findCertificates(store, { owner: OWNER, customer: CUSTOMER }))).toHaveLength(1);
        expect(await all(findCertificates(store, { archive: id.archive('a2') }))).toEqual([]);
      });

      it('ten at once, five of them twice: numbers from 1 without a gap, each in the text that was signed', async () => {
        const names = Array.from({ length: 5 }, (_, at) => `a${at}`);
        const write = (number: number) => saying(JSON.stringify({ number }))();
        await Promise.all([...names, ...names].map((name) => keepCertificate(store, clock, about(name), write)));
        const kept = await all(findCertificates(store));
        expect(kept.map(({ number }) => number)).toEqual(names.map((_, at) => at + 1));
        expect(kept.map(({ body }) => JSON.parse(body).number)).toEqual(kept.map(({ number }) => number));
        expect(new Set(kept.map(({ _id }) => _id)).size).toBe(5);
      }, 180_000);

      it('a worker that is cut while it signs takes no number, and one that slept finds its number taken', async () => {
        const cut = async () => {
          throw new Error('cut');
        };
        await expect(keepCertificate(store, clock, about('a1'), cut)).rejects.toThrow('cut');
        const numbers: number[] = [];
        await keepCertificate(store, clock, about('slow'), async (number) => {
          numbers.push(number);
          if (numbers.length === 1) await keepCertificate(store, clock, about('fast'), saying('{}'));
          return await saying('{}')();
        });
        expect(numbers).toEqual([1, 2]);
        expect((await all(findCertificates(store))).map(({ _id, number }) => [_id, number])).toEqual([
          ['fast', 1],
          ['slow', 2],
        ]);
      });
    });

    describe('inventories', () => {
      const event = new Date('2026-05-01T10:00:00Z');
      const wanted = async () => (await all(pagedVaults(store, { neededSince: { $ne: null }, state: 'none' }))).length;

      it('ten workers want one: one asks; taken when later than the event, which then waits no more', async () => {
        await Promise.all(Array.from({ length: 10 }, () => needInventory(store, LOCATION, event)));
        const claims = await Promise.all(
          Array.from({ length: 10 }, () => claimInventoryRequest(store, clock, LOCATION)),
        );
        expect(claims.filter(Boolean)).toHaveLength(1);
        await rememberInventoryJob(store, clock, LOCATION, 'j1');
        expect(await all(pagedVaults(store, { state: 'requested' }))).toEqual([LOCATION]);
        expect(await wanted()).toBe(0);
        await takeInventory(store, LOCATION, { jobId: 'j1', inventoryDate: new Date(event.getTime() + 1) });
        expect(await wanted()).toBe(0);
        expect(await getInventory(store, LOCATION)).toMatchObject({ state: 'none', jobId: null, neededSince: null });
      });

      it('an inventory not later than the newest event leaves the need; a lost job too', async () => {
        await needInventory(store, LOCATION, event);
        await claimInventoryRequest(store, clock, LOCATION);
        await rememberInventoryJob(store, clock, LOCATION, 'j1');
        await needInventory(store, LOCATION, new Date(event.getTime() + HOUR_MS));
        await needInventory(store, LOCATION, event);
        await takeInventory(store, LOCATION, { jobId: 'j1', inventoryDate: new Date(event.getTime() + HOUR_MS) });
        expect(await wanted()).toBe(1);
        expect(await claimInventoryRequest(store, clock, LOCATION)).toBe(true);
        await rememberInventoryJob(store, clock, LOCATION, 'j2');
        await takeInventory(store, LOCATION, { jobId: 'j1', inventoryDate: new Date(event.getTime() + 9 * HOUR_MS) });
        expect(await wanted()).toBe(0);
        await dropInventoryJob(store, LOCATION, 'j2');
        expect(await wanted()).toBe(1);
      });

      it('a worker that died while asking holds the vault up for the margin only', async () => {
        await needInventory(store, LOCATION, event);
        expect(await claimInventoryRequest(store, clock, LOCATION)).toBe(true);
        clock.advance(ASKING_MARGIN_MS - 1);
        expect(await claimInventoryRequest(store, clock, LOCATION)).toBe(false);
        clock.advance(1);
        expect(await claimInventoryRequest(store, clock, LOCATION)).toBe(true);
        await rememberInventoryJob(store, clock, LOCATION, 'second');
        await rememberInventoryJob(store, clock, LOCATION, 'first, late');
        expect((await getInventory(store, LOCATION))?.jobId).toBe('second');
      });
    });

    it('runs: started, ended once, newest first', async () => {
      const run = { command: 'run', by: 'alice', asOf: null, policies: ['chats'] } as const;
      await startRun(store, clock, { id: 'r1', ...run });
      clock.advance(1_000);
      await startRun(store, clock, { id: 'r2', ...run, command: 'purge' });
      await endRun(store, clock, 'r1', { totals: { deleted: 3 } });
      await endRun(store, clock, 'r1', { totals: {}, error: 'INTERNAL' });
      await endRun(store, clock, 'r2', { totals: {}, error: 'VAULT_VETO' });
      expect(await all(latestRuns(store, { limit: 9 }))).toMatchObject([
        { _id: 'r2', state: 'failed', error: 'VAULT_VETO' },
        { _id: 'r1', state: 'done', totals: { deleted: 3 }, error: null },
      ]);
      expect(await all(latestRuns(store, { limit: 1, command: 'run' }))).toMatchObject([{ _id: 'r1' }]);
    });

    it('a document of a newer Moraine: reading it stops with LEDGER_NEWER, nothing is changed', async () => {
      await openInstallation(store, clock, 'sandbox');
      const raw = store.collection<LedgerDocument>('installation');
      const document = await raw.get('installation');
      if (document === null) throw new Error('not there');
      await raw.replace({ ...document, v: 2 });
      await expect(openInstallation(store, clock, 'sandbox')).rejects.toMatchObject({ code: 'LEDGER_NEWER' });
      await expect(observeTime(store, new Date(clock.now().getTime() + HOUR_MS))).rejects.toMatchObject({
        code: 'LEDGER_NEWER',
      });
      expect(await raw.get('installation')).toMatchObject({ v: 2, rev: 1 });
    });
  });
}
