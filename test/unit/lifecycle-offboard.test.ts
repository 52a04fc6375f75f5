/** Offboard: nothing goes that the export does not hold, that a hold covers, or that nobody else granted; cut anywhere, the same command comes to the same end. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BSON } from 'bson';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exportInto } from '../../src/cli/export.ts';
import { writtenExport } from '../../src/cli/export-verify.ts';
import { MoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import { unwrapArchiveKey } from '../../src/keys/administrator.ts';
import { newIdentity, openIdentity } from '../../src/keys/identity-file.ts';
import { grantApproval, refuseApproval } from '../../src/ledger/approval-decisions.ts';
import { auditEntries, verifyAudit } from '../../src/ledger/audit.ts';
import { holds } from '../../src/ledger/holds.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import type { OpenKey } from '../../src/lifecycle/export-customer.ts';
import { type OffboardReport, offboard } from '../../src/lifecycle/offboard.ts';
import { requestRetrieval } from '../../src/lifecycle/retrieve.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { VerifiedExport } from '../../src/lifecycle/verified-export.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { AttachmentsPort } from '../../src/source/attachments-port.ts';
import type { SourcePort } from '../../src/source/port.ts';
import { aHold } from '../harness/a-hold.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const AS_OF = '2024-06-01T00:00:00Z';
const NORTH = { owner: id.owner('acme'), customer: id.customer('north') };
const { file, recipient } = await newIdentity({ now: new Date(), scryptLogN: 10 });
const identity = await openIdentity(Buffer.from(file));
const openKey: OpenKey = (wrapped) => unwrapArchiveKey(wrapped, identity);

let world: MemoryWorld;
let chats: Policy;
let calls: Policy;
let context: Context;
let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'moraine-offboard-'));
  world = await MemoryWorld.open(recipient);
  chats = await world.publish(policyText('chats'));
  calls = await world.publish(policyText('calls'));
  context = world.context(undefined, { asOf: AS_OF });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const policyText = (name: string) => `
policy: ${name}
zone: UTC
dataset: { collection: data.${name}, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 5000, share: 1.0 }
`;

function put(policy: Policy, _id: string, more: BSON.Document = {}): void {
  world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date('2023-01-01'), ...more });
}

const out = (name = 'out') => join(folder, name);
const give = (name?: string) => exportInto(context, NORTH, out(name), ['bson', 'jsonl'], openKey);

interface Options {
  readonly on?: Context;
  readonly name?: string;
  readonly withoutArchives?: boolean;
}

async function leave({ on = context, name, withoutArchives = false }: Options = {}): Promise<OffboardReport> {
  const exported = await VerifiedExport.of(on, writtenExport(out(name)), NORTH);
  return await offboard(on, exported, { ...NORTH, reason: 'contract ended', saidBy: 'person:ann', withoutArchives });
}

/** Asks, has another person grant it, and goes on. */
async function leaveGranted(options: Options = {}): Promise<OffboardReport> {
  await expect(leave(options)).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
  const approvals = await world.all('approvals');
  for (const { _id } of approvals)
    await grantApproval(context, _id, { by: 'person:bea', asOf: null }).catch(() => undefined);
  return await leave(options);
}

function around(source: Partial<SourcePort>): Context {
  return { ...context, source: overlay(context.source, source) };
}

async function archived(): Promise<string> {
  put(chats, 'old', { at: new Date('2020-01-01') });
  await runPolicy(context, chats, { flush: true, expired: null });
  const [archive] = await world.archives();
  if (archive?.state !== 'cleared') throw new Error('A cleared archive was expected.');
  return archive._id;
}

async function retrieved(): Promise<string> {
  const archive = await archived();
  await requestRetrieval(context, id.archive(archive), 'standard');
  world.vault.advance(6);
  return archive;
}

describe('offboard', () => {
  test('all of the customer goes, due or not, with or without a trigger, with its archives and keys; of others nothing', async () => {
    const archive = await retrieved();
    put(chats, 'young');
    put(chats, 'no-trigger', { at: 'yesterday' });
    put(calls, 'call');
    put(chats, 'south', { tenant: 'south' });
    put(chats, 'beta', { owner: 'beta' });
    await give();
    const report = await leaveGranted();
    expect(report).toMatchObject({
      state: 'done',
      collections: [
        { collection: 'data.calls', exported: 1, deleted: 1, held: 0, changed: 0, left: 0 },
        { collection: 'data.chats', exported: 2, deleted: 2, held: 0, changed: 0, left: 0 },
      ],
      came: [],
      problems: [],
      archives: [{ archive, destroyed: true, state: 'purged' }],
    });
    expect(world.idsIn(chats)).toEqual(['beta', 'south']);
    expect(world.idsIn(calls)).toEqual([]);
    const [purged] = await world.archives();
    expect(purged?.purge?.keyDestroyedAt).toBeInstanceOf(Date);
    await expect(context.keys.readBack(purged?.attempt ?? id.attempt(''))).rejects.toMatchObject({
      code: 'KEY_DESTROYED',
    });
    for (const collection of ['rosterPages', 'clearingPages', 'inFlight'])
      expect(await world.all(collection), collection).toEqual([]);
    expect(await verifyAudit(world.store)).toMatchObject({ ok: true });
    const bodies = (await world.all('certificates')).map((one) => JSON.parse(String(Reflect.get(one, 'body'))));
    // What a person wrote, and the records, are in none of them.
    for (const secret of ['contract ended', '"a"', '"b"']) expect(JSON.stringify(bodies)).not.toContain(secret);
    expect(bodies.map(({ number }) => number).sort()).toEqual(bodies.map((_, at) => at + 1));
    const ofChats = bodies.find(({ what, dataset }) => what !== 'customer offboarded' && dataset === 'data.chats');
    expect(ofChats).toMatchObject({
      rules: [{ rule: 'the order to offboard', records: 2 }],
      approvals: [{ kind: 'offboard' }],
    });
    expect(bodies.find(({ what }) => what === 'customer offboarded')).toMatchObject({
      id: report.certificate,
      records: { deleted: 3 },
      archives: [archive],
      approvals: [{ kind: 'offboard', granted: [expect.anything()] }],
      certificates: bodies.filter(({ what }) => what !== 'customer offboarded').map((one) => one.id),
    });
  });

  test('nothing without another person: not by who asks, not after a refusal, not for other counts', async () => {
    put(chats, 'a');
    await give();
    await expect(leave()).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
    const [{ _id = '' } = {}] = await world.all('approvals');
    await expect(grantApproval(context, _id, { by: 'person:ann', asOf: null })).rejects.toBeInstanceOf(MoraineError);
    await refuseApproval(context, _id, { by: 'person:bea', reason: 'not yet' });
    await expect(leave()).rejects.toMatchObject({ code: 'APPROVAL_REFUSED' });
    put(chats, 'b');
    await give('again');
    await expect(leave({ name: 'again' })).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
    expect(world.idsIn(chats)).toEqual(['a', 'b']);
    expect(await world.all('offboardings')).toEqual([]);
  });

  test('an export that was changed, is somebody else’s, or was never signed by us destroys nothing', async () => {
    put(chats, 'a');
    await give();
    const bson = readFileSync(join(out(), 'data/chats.bson'));
    const changed = Buffer.from(bson);
    changed[changed.length - 3] = (changed[changed.length - 3] ?? 0) ^ 1;
    writeFileSync(join(out(), 'data/chats.bson'), changed);
    await expect(leave()).rejects.toMatchObject({ code: 'EXPORT_CORRUPT' });
    writeFileSync(join(out(), 'data/chats.bson'), bson);
    const south = { ...NORTH, customer: id.customer('south') };
    await expect(VerifiedExport.of(context, writtenExport(out()), south)).rejects.toMatchObject({
      code: 'EXPORT_CORRUPT',
    });
    const manifest = JSON.parse(readFileSync(join(out(), 'manifest.json'), 'utf8'));
    writeFileSync(join(out(), 'manifest.json'), JSON.stringify({ ...manifest, customer: 'south' }));
    await expect(VerifiedExport.of(context, writtenExport(out()), south)).rejects.toMatchObject({
      code: 'EXPORT_CORRUPT',
    });
    expect(world.idsIn(chats)).toEqual(['a']);
  });

  test('a record that changed or came after the export stays, and is told', async () => {
    for (const _id of ['same', 'changes']) put(chats, _id);
    await give();
    put(chats, 'changes', { text: 'new' });
    put(chats, 'came');
    put(calls, 'came-too');
    const report = await leaveGranted();
    expect(report).toMatchObject({
      state: 'open',
      certificate: null,
      collections: [{ deleted: 1, changed: 1, held: 0, left: 2 }],
      came: [{ collection: 'data.calls', records: 1 }],
    });
    expect(world.idsIn(chats)).toEqual(['came', 'changes']);
    expect(world.idsIn(calls)).toEqual(['came-too']);
    await give('again');
    expect(await leaveGranted({ name: 'again' })).toMatchObject({ state: 'done' });
    expect(world.idsIn(chats)).toEqual([]);
    expect((await world.all('offboardings')).map((one) => Reflect.get(one, 'state')).sort()).toEqual([
      'done',
      'superseded',
    ]);
    await expect(leave()).rejects.toMatchObject({ code: 'EXPORT_CORRUPT' });
  });

  test('a change between the look and the delete saves the record', async () => {
    put(chats, 'a');
    put(chats, 'b');
    await give();
    const on = around({
      deleteGuarded: async (...args) => {
        put(chats, 'b', { text: 'new' });
        return await context.source.deleteGuarded(...args);
      },
    });
    expect(await leaveGranted({ on })).toMatchObject({
      state: 'open',
      collections: [{ deleted: 1, changed: 1, left: 1 }],
    });
    expect(world.idsIn(chats)).toEqual(['b']);
  });

  test('a hold on the customer stops records and archives and is named; after its release the same command goes on', async () => {
    const archive = await retrieved();
    put(chats, 'young');
    await give();
    await holds(world.store).insert(aHold({ ...NORTH, _id: 'hold-9' }));
    const report = await leaveGranted();
    expect(report).toMatchObject({
      state: 'open',
      collections: [{ deleted: 0, held: 1, left: 1, holds: ['hold-9'] }],
      archives: [{ archive, destroyed: false, state: 'cleared', holds: ['hold-9'] }],
    });
    expect(world.idsIn(chats)).toEqual(['young']);
    await holds(world.store).remove('hold-9', 0);
    // Nobody is asked again: what was granted was begun.
    expect(await leave()).toMatchObject({
      state: 'done',
      collections: [{ deleted: 1, held: 0, left: 0 }],
      archives: [{ archive, destroyed: true }],
    });
  });

  test('a hold that came after the order was written down stops all of it', async () => {
    put(chats, 'a');
    put(chats, 'b');
    await give();
    let isPlaced = false;
    const on = around({
      serverTime: async () => {
        if (!isPlaced && (await world.all('rosterPages')).length > 0) {
          isPlaced = true;
          await holds(world.store).insert(aHold({ ...NORTH, triggerFrom: new Date('2000-01-01') }));
        }
        return await context.source.serverTime();
      },
    });
    expect(await leaveGranted({ on })).toMatchObject({ state: 'open', collections: [{ deleted: 0, held: 2 }] });
    expect(isPlaced).toBe(true);
    expect(world.idsIn(chats)).toEqual(['a', 'b']);
  });

  test('a narrow hold keeps what it covers and lets the rest go', async () => {
    put(chats, 'early', { at: new Date('2022-07-01') });
    put(chats, 'late', { at: new Date('2023-07-01') });
    await give();
    const range = { triggerFrom: new Date('2023-01-01'), triggerBefore: new Date('2024-01-01') };
    await holds(world.store).insert(aHold({ ...NORTH, _id: 'hold-2', ...range }));
    expect(await leaveGranted()).toMatchObject({
      state: 'open',
      collections: [{ deleted: 1, held: 1, left: 1, holds: ['hold-2'] }],
    });
    expect(world.idsIn(chats)).toEqual(['late']);
  });

  test('archives that are not in the export stop it, unless the person says so, which the audit chain keeps', async () => {
    const archive = await archived();
    put(chats, 'young');
    await give();
    await expect(leave()).rejects.toMatchObject({ code: 'EXPORT_NOT_WHOLE' });
    expect(await leaveGranted({ withoutArchives: true })).toMatchObject({
      state: 'done',
      archives: [{ archive, destroyed: true }],
    });
    const told = [];
    for await (const { act, phase, details } of auditEntries(world.store))
      if (act === 'customer offboard') told.push({ phase, details });
    expect(told).toMatchObject([
      { phase: 'intent', details: { reason: 'contract ended', withoutArchives: [archive] } },
      { phase: 'outcome', details: { outcome: 'done', deleted: 1, archivesDestroyed: 1 } },
    ]);
  });

  test('an archive that came after the export stays, and is told', async () => {
    put(chats, 'old', { at: new Date('2020-01-01') });
    put(chats, 'young');
    await give();
    await runPolicy(context, chats, { flush: true, expired: null });
    const report = await leaveGranted();
    expect(report).toMatchObject({
      state: 'open',
      collections: [{ exported: 2, deleted: 1, left: 0 }],
      archives: [{ destroyed: false, state: 'cleared', reason: 'the export does not hold it: it came after' }],
    });
  });

  test('cut at any call of the source, it is carried on to the same end, with nothing asked twice', async () => {
    const names = ['readByIds', 'deleteGuarded', 'serverTime', 'summarise'] as const;
    for (const name of names) {
      for (let nth = 1; nth <= 3; nth++) {
        for (const _id of ['a', 'b', 'c']) put(chats, _id);
        put(chats, 'south', { tenant: 'south' });
        const place = `${name}-${nth}`;
        await give(place);
        await expect(leave({ name: place })).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
        for (const { _id } of await world.all('approvals'))
          await grantApproval(context, _id, { by: 'person:bea', asOf: null }).catch(() => undefined);
        let calls = 0;
        const on = around({
          [name]: async (...args: unknown[]) => {
            calls += 1;
            const answer = await Reflect.apply(Reflect.get(context.source, name), context.source, args);
            if (calls === nth) throw new Error('cut');
            return answer;
          },
        });
        await leave({ on, name: place }).catch((error: unknown) => {
          if (!(error instanceof Error) || error.message !== 'cut') throw error;
        });
        world.letLeasesEnd();
        expect(await leave({ name: place }), place).toMatchObject({
          state: 'done',
          collections: [{ deleted: 3, left: 0 }],
        });
        expect(world.idsIn(chats)).toEqual(['south']);
        for (const collection of ['rosterPages', 'clearingPages'])
          expect(await world.all(collection), `${place} ${collection}`).toEqual([]);
      }
    }
    expect(await verifyAudit(world.store)).toMatchObject({ ok: true });
  });

  test('an order that was cut while it was written down is nobody’s: a run ends it and deletes nothing', async () => {
    for (let n = 0; n < 1_500; n++) put(chats, `r${n}`);
    await give();
    await expect(leave()).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
    const [{ _id = '' } = {}] = await world.all('approvals');
    await grantApproval(context, _id, { by: 'person:bea', asOf: null });
    let reads = 0;
    const on = around({
      readByIds: (...args) => {
        reads += 1;
        // What its worker leaves behind when it is killed: no lease is given up, no page is removed.
        if (reads === 2) return new Promise(() => undefined);
        return context.source.readByIds(...args);
      },
    });
    void leave({ on });
    while (reads < 2) await new Promise((resolve) => setImmediate(resolve));
    expect((await world.all('rosterPages')).length).toBe(1);
    world.letLeasesEnd();
    await runPolicy(context, chats, { flush: true, expired: null });
    expect(world.idsIn(chats).length).toBe(1_500);
    expect(await leave()).toMatchObject({ state: 'done', collections: [{ deleted: 1_500 }] });
  });

  test('children go with their record and are in the export; one of another customer keeps its record, and stays', async () => {
    const tickets = await world.publish(
      policyText('tickets').replace(
        'customer: { field: tenant } }',
        'customer: { field: tenant }, children: [{ collection: data.comments, key: ticket, parent: number, customer: { field: tenant } }] }',
      ),
    );
    const comment = (_id: string, ticket: number, tenant = 'north') =>
      world.source.put(id.namespace('data.comments'), BSON.serialize({ _id, ticket, tenant }));
    const comments = () =>
      world.source.all(id.namespace('data.comments')).map((raw) => String(BSON.deserialize(raw)['_id']));
    put(tickets, 'one', { number: 1 });
    put(tickets, 'two', { number: 2 });
    put(tickets, 'south', { number: 3, tenant: 'south' });
    comment('a', 1);
    comment('b', 1);
    comment('c', 2);
    comment('strange', 2, 'south');
    comment('d', 3, 'south');
    const exported = await give();
    expect(exported.collections).toMatchObject([
      { collection: 'data.tickets', part: 'records', records: 2 },
      { collection: 'data.comments', part: 'children', records: 3, leftOut: 1, whileItRan: { changed: 0, gone: 0 } },
    ]);
    expect(readFileSync(join(out(), 'data/comments.jsonl'), 'utf8')).not.toContain('strange');
    const report = await leaveGranted();
    expect(report).toMatchObject({
      state: 'open',
      collections: [
        { collection: 'data.tickets', deleted: 1, unfit: 1, left: 1 },
        { collection: 'data.comments', deleted: 2, left: 1 },
      ],
    });
    expect(world.idsIn(tickets)).toEqual(['south', 'two']);
    expect(comments().sort()).toEqual(['c', 'd', 'strange']);
    expect(await world.all('unitPages')).toEqual([]);
    world.source.remove(id.namespace('data.comments'), idOf('strange'));
    expect(await leave()).toMatchObject({ state: 'done' });
    expect(comments()).toEqual(['d']);
  });

  const TICKETS = policyText('tickets').replace(
    'customer: { field: tenant } }',
    'customer: { field: tenant }, children: [{ collection: data.comments, key: ticket }] }',
  );
  const COMMENTS = id.namespace('data.comments');
  const comment = (_id: string, ticket: string, text = 'hello') =>
    world.source.put(COMMENTS, BSON.serialize({ _id, ticket, text }));
  const comments = () => world.source.all(COMMENTS).map((raw) => String(BSON.deserialize(raw)['_id']));

  test('a child that came or changed after the export keeps its record until an export has it', async () => {
    const tickets = await world.publish(TICKETS);
    for (const ticket of ['same', 'came', 'changed']) {
      put(tickets, ticket);
      comment(`${ticket}-1`, ticket);
    }
    await give();
    comment('came-2', 'came');
    comment('changed-1', 'changed', 'no, wait');
    const report = await leaveGranted();
    expect(report).toMatchObject({
      state: 'open',
      collections: [
        { collection: 'data.tickets', deleted: 1, changed: 2, left: 2 },
        { collection: 'data.comments', deleted: 1, left: 2 },
      ],
    });
    expect(comments().sort()).toEqual(['came-1', 'came-2', 'changed-1']);
    await give('again');
    expect(await leaveGranted({ name: 'again' })).toMatchObject({ state: 'done' });
    expect(comments()).toEqual([]);
    for (const collection of ['returnedUnits', 'returnedUnitCodes'])
      expect(await world.all(collection), collection).toEqual([]);
  });

  test('a child that comes in the moment in which its record goes stays, and the offboarding is not done while it is there', async () => {
    const tickets = await world.publish(TICKETS);
    put(tickets, 'one');
    comment('first', 'one');
    await give();
    const on = around({
      deleteGuarded: async (...args) => {
        if (args[0].namespace === 'data.tickets') comment('late', 'one');
        return await context.source.deleteGuarded(...args);
      },
    });
    const report = await leaveGranted({ on });
    expect(report).toMatchObject({ state: 'open', came: [{ collection: 'data.comments', records: 1 }] });
    expect(world.idsIn(tickets)).toEqual([]);
    expect(comments()).toEqual(['late']);
    expect(await world.all('quarantine')).toMatchObject([{ state: 'open', reason: 'not-returned' }]);
    world.source.remove(COMMENTS, idOf('late'));
    expect(await leave()).toMatchObject({ state: 'done', came: [] });
  });

  test('a file that is another one since the export keeps its record', async () => {
    const photos = await world.publish(
      policyText('photos').replace(
        'customer: { field: tenant } }',
        'customer: { field: tenant }, attachments: [{ gridfs: fs, file: photo, exclusive: true }] }',
      ),
    );
    put(photos, 'one', { photo: 1 });
    let about = new Uint8Array([2]);
    const removed: string[] = [];
    const file = { kind: 'gridfs', store: '', bucket: 'data.fs', key: '01', version: null, stamp: 's' } as const;
    const attachments: AttachmentsPort = {
      find: async () => {
        const facts = { kind: 'gridfs', bucket: 'data.fs', key: new Uint8Array([1]), about } as const;
        return { found: [{ ...file, bytes: 3, exclusive: true, facts }] };
      },
      read: async function* () {
        yield Buffer.from('abc');
      },
      isSame: async () => true,
      remove: async ({ key }) => {
        removed.push(key);
        return 'deleted';
      },
      putBack: async () => 'inserted',
      inspect: async () => [],
    };
    context = { ...context, attachments };
    await give();
    about = new Uint8Array([3]);
    expect(await leaveGranted()).toMatchObject({
      state: 'open',
      collections: [{ deleted: 0, changed: 1, left: 1 }],
    });
    expect(removed).toEqual([]);
    about = new Uint8Array([2]);
    expect(await leave()).toMatchObject({ collections: [{ deleted: 1, left: 0 }] });
    expect(removed).toEqual(['01']);
  });

  test('a hold between a record and its children stops the children; after it they go, too', async () => {
    const tickets = await world.publish(
      policyText('tickets').replace(
        'customer: { field: tenant } }',
        'customer: { field: tenant }, children: [{ collection: data.comments, key: ticket }] }',
      ),
    );
    put(tickets, 'one');
    world.source.put(id.namespace('data.comments'), BSON.serialize({ _id: 'a', ticket: 'one' }));
    await give();
    let isPlaced = false;
    const on = around({
      deleteGuarded: async (...args) => {
        const answer = await context.source.deleteGuarded(...args);
        // The announcement of the page runs out before the children are looked at.
        if (!isPlaced) {
          isPlaced = true;
          await holds(world.store).insert(aHold({ ...NORTH, namespace: null, _id: 'hold-3' }));
          world.clock.advance(60_000);
        }
        return answer;
      },
    });
    const report = await leaveGranted({ on });
    expect(report).toMatchObject({ state: 'open', problems: [{ code: 'HELD' }] });
    expect(world.idsIn(tickets)).toEqual([]);
    expect(world.source.all(id.namespace('data.comments')).length).toBe(1);
    await holds(world.store).remove('hold-3', 0);
    world.letLeasesEnd();
    expect(await leave()).toMatchObject({ state: 'done' });
    expect(world.source.all(id.namespace('data.comments'))).toEqual([]);
  });

  test('an entry in quarantine of a record that went is closed', async () => {
    put(chats, 'no-trigger', { at: 'yesterday' });
    await runPolicy(context, chats, { flush: true, expired: null });
    expect(await world.all('quarantine')).toMatchObject([{ state: 'open' }]);
    await give();
    await leaveGranted();
    expect(await world.all('quarantine')).toMatchObject([{ state: 'closed', idBytes: null }]);
  });
});

function idOf(text: string): Uint8Array {
  const raw = BSON.serialize({ _id: text });
  return Uint8Array.from([2, ...raw.subarray(9, raw.length - 1)]);
}
