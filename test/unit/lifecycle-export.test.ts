/** Export: everything of one customer and nothing of another's, byte for byte; what changed meanwhile is told; a cut leaves nothing that looks whole. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BSON, EJSON } from 'bson';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { documentsIn } from '../../src/cli/bson-file.ts';
import { exportInto } from '../../src/cli/export.ts';
import { verifyExport } from '../../src/cli/export-verify.ts';
import { MoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import { unwrapArchiveKey } from '../../src/keys/administrator.ts';
import { newIdentity, openIdentity } from '../../src/keys/identity-file.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { type OpenKey, ownersOfCustomer } from '../../src/lifecycle/export-customer.ts';
import type { ExportFormat } from '../../src/lifecycle/export-manifest.ts';
import { requestRetrieval } from '../../src/lifecycle/retrieve.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { AttachmentsPort } from '../../src/source/attachments-port.ts';
import type { SourcePort } from '../../src/source/port.ts';
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
  folder = mkdtempSync(join(tmpdir(), 'moraine-export-'));
  world = await MemoryWorld.open(recipient);
  chats = await world.publish(policyText('chats', 'data.chats'));
  calls = await world.publish(policyText('calls', 'data.calls / 2024'));
  context = world.context(undefined, { asOf: AS_OF });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const policyText = (name: string, collection: string) => `
policy: ${name}
zone: UTC
dataset: { collection: "${collection}", owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 5000, share: 1.0 }
`;

function put(policy: Policy, _id: string, more: BSON.Document = {}): void {
  world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date('2023-01-01'), ...more });
}

const out = () => join(folder, 'out');
const give = (options: { on?: Context; formats?: ExportFormat[]; openKey?: OpenKey | null } = {}) =>
  exportInto(options.on ?? context, NORTH, out(), options.formats ?? ['bson', 'jsonl'], options.openKey ?? null);

function changing(source: Partial<SourcePort>): Context {
  return { ...context, source: overlay(context.source, source) };
}

async function documentsOf(path: string): Promise<Buffer[]> {
  const found: Buffer[] = [];
  const bytes = readFileSync(join(out(), path));
  for await (const raw of documentsIn(
    (async function* () {
      yield bytes;
    })(),
  ))
    found.push(Buffer.from(raw));
  return found;
}

const idsOf = (documents: readonly Uint8Array[]) => documents.map((raw) => String(BSON.deserialize(raw)['_id'])).sort();

describe('export', () => {
  test('has every record of the customer byte for byte, due or not, with or without a trigger, and nobody else’s', async () => {
    put(chats, 'young');
    put(chats, 'due', { at: new Date('2010-01-01'), n: 1.5 });
    put(chats, 'no-trigger', { at: 'yesterday' });
    put(chats, 'south', { tenant: 'south' });
    put(chats, 'other-owner', { owner: 'beta' });
    put(calls, 'call');
    const report = await give();
    const read = await documentsOf('data/chats.bson');
    expect(idsOf(read)).toEqual(['due', 'no-trigger', 'young']);
    const stored = world.source.all(chats.dataset.collection).map((raw) => Buffer.from(raw));
    for (const raw of read) expect(stored.some((other) => other.equals(raw))).toBe(true);
    expect(idsOf(await documentsOf('data/calls%20%2F%202024.bson'))).toEqual(['call']);
    const lines = readFileSync(join(out(), 'data/chats.jsonl'), 'utf8').trimEnd().split('\n');
    const again = lines.map((line) => Buffer.from(BSON.serialize(EJSON.parse(line, { relaxed: false }))));
    expect(Buffer.concat(again).equals(Buffer.concat(read))).toBe(true);
    expect(JSON.parse(readFileSync(join(out(), 'data/calls%20%2F%202024.metadata.json'), 'utf8'))).toMatchObject({
      collectionName: 'calls / 2024',
      indexes: [{ name: '_id_' }],
    });
    expect(report.collections.map(({ policy, records, whileItRan }) => ({ policy, records, whileItRan }))).toEqual([
      { policy: 'calls', records: 1, whileItRan: { changed: 0, gone: 0, came: 0 } },
      { policy: 'chats', records: 3, whileItRan: { changed: 0, gone: 0, came: 0 } },
    ]);
  });

  test('the manifest verifies, is signed, and names no record', async () => {
    put(chats, 'somebody@example.org');
    const report = await give();
    const verdict = await verifyExport(out());
    expect(verdict).toMatchObject({ findings: [], manifestSha256: report.manifestSha256 });
    const bytes = readFileSync(join(out(), 'manifest.json'));
    expect(bytes.toString()).not.toContain('somebody');
    expect(JSON.parse(bytes.toString())).toMatchObject({ owner: 'acme', customer: 'north', audit: { seq: 1 } });
    const signature = JSON.parse(readFileSync(join(out(), 'manifest.sig'), 'utf8'));
    const signed = { keyId: signature.keyId, bytes: Buffer.from(signature.signature, 'base64') };
    expect(await context.keys.verify(bytes, signed)).toBe(true);
    const told = [];
    for await (const { act, phase, subject, details } of auditEntries(world.store))
      told.push({ act, phase, subject, details });
    expect(told).toMatchObject([
      { act: 'customer export', phase: 'intent', subject: { customer: 'north' } },
      { phase: 'outcome', details: { records: 1, changed: 0, manifestSha256: report.manifestSha256 } },
    ]);
  });

  test('a file that was changed, removed or added is told by its name', async () => {
    put(chats, 'a');
    put(calls, 'b');
    await give();
    const bson = join(out(), 'data/chats.bson');
    const bytes = readFileSync(bson);
    bytes[bytes.length - 3]! ^= 1;
    writeFileSync(bson, bytes);
    rmSync(join(out(), 'data/calls%20%2F%202024.jsonl'));
    writeFileSync(join(out(), 'data/new.txt'), '');
    expect((await verifyExport(out())).findings).toEqual([
      { path: 'data/calls%20%2F%202024.jsonl', problem: 'missing' },
      { path: 'data/chats.bson', problem: 'changed' },
      { path: 'data/new.txt', problem: 'not listed' },
    ]);
    writeFileSync(join(out(), 'manifest.json'), '{}');
    await expect(verifyExport(out())).rejects.toMatchObject({ code: 'EXPORT_CORRUPT' });
  });

  test('what changed, went and came while it ran is told, whatever the format', async () => {
    for (const formats of [['bson'], ['jsonl']] as const) {
      for (const _id of ['stays', 'changes', 'goes']) put(chats, _id);
      let isFirst = true;
      const on = changing({
        readByIds: async (...args) => {
          if (isFirst) {
            put(chats, 'changes', { text: 'new' });
            put(chats, 'came');
            world.source.remove(chats.dataset.collection, idOf('goes'));
          }
          isFirst = false;
          return await context.source.readByIds(...args);
        },
      });
      const report = await give({ on, formats: [...formats] });
      expect(report.collections).toMatchObject([{ records: 3, whileItRan: { changed: 1, gone: 1, came: 1 } }]);
      expect(readdirSync(join(out(), 'data')).filter((name) => !name.endsWith('.metadata.json'))).toEqual([
        `chats.${formats[0]}`,
      ]);
      expect((await verifyExport(out())).findings).toEqual([]);
      rmSync(out(), { recursive: true });
      for (const raw of world.source.all(chats.dataset.collection))
        world.source.remove(chats.dataset.collection, idOf(String(BSON.deserialize(raw)['_id'])));
    }
  });

  test('records of an archive come out of it with an identity, once it is retrieved; else the way to them is told', async () => {
    put(chats, 'old', { at: new Date('2020-01-01') });
    put(chats, 'young');
    await runPolicy(context, chats, { flush: true, expired: null });
    const [archive] = await world.archives();
    const before = await give({ openKey });
    expect(before.archives).toMatchObject([{ archive: archive?._id, outcome: 'not retrieved', records: 1, files: [] }]);
    rmSync(out(), { recursive: true });
    if (archive === undefined) throw new Error('An archive was expected.');
    await requestRetrieval(context, archive._id, 'standard');
    expect(await give({ openKey })).toMatchObject({ archives: [{ outcome: 'retrieval not ready' }] });
    rmSync(out(), { recursive: true });
    world.vault.advance(6);
    expect(await give()).toMatchObject({ archives: [{ outcome: 'no identity' }] });
    rmSync(out(), { recursive: true });
    const stranger = await newIdentity({ now: new Date(), scryptLogN: 10 });
    const strange = await openIdentity(Buffer.from(stranger.file));
    expect(await give({ openKey: (wrapped) => unwrapArchiveKey(wrapped, strange) })).toMatchObject({
      archives: [{ outcome: 'other administrator' }],
    });
    rmSync(out(), { recursive: true });
    const report = await give({ openKey });
    expect(report.archives).toMatchObject([{ outcome: 'exported', void: 0 }]);
    expect(idsOf(await documentsOf(`moraine-archives/${archive._id}/data/chats.bson`))).toEqual(['old']);
    expect(idsOf(await documentsOf('data/chats.bson'))).toEqual(['young']);
    expect((await verifyExport(out())).findings).toEqual([]);
  });

  test('files that hang on records are in it, with an index of where they were; missing ones are counted', async () => {
    const tickets = await world.publish(
      policyText('tickets', 'data.tickets').replace(
        'customer: { field: tenant } }',
        'customer: { field: tenant }, attachments: [{ gridfs: fs, file: photo, exclusive: true }] }',
      ),
    );
    for (const _id of ['whole', 'missing', 'changes', 'plain']) put(tickets, _id, { photo: _id });
    const facts = { kind: 'gridfs', bucket: 'data.fs', key: new Uint8Array([1]), about: new Uint8Array([2]) } as const;
    const file = { kind: 'gridfs', store: '', bucket: 'data.fs', key: '01', version: null, stamp: 's' } as const;
    const attachments: AttachmentsPort = {
      find: async (_, raw) => {
        const { photo } = BSON.deserialize(raw);
        if (photo === 'missing') return { problem: 'attachment-missing' };
        return { found: photo === 'plain' ? [] : [{ ...file, facts, version: photo, bytes: 6, exclusive: true }] };
      },
      read: async function* ({ version }) {
        yield Buffer.from('abc');
        if (version === 'changes') throw new MoraineError('ATTACHMENT_CHANGED', 'It is another one now.');
        yield Buffer.from('def');
      },
      isSame: async () => true,
      remove: async () => 'deleted',
      putBack: async () => 'inserted',
      inspect: async () => [],
    };
    const report = await give({ on: { ...context, attachments } });
    expect(report.collections).toMatchObject([
      { part: 'records', records: 4 },
      { part: 'attachments', records: 1, bytes: 6, leftOut: 2 },
    ]);
    const [line = '', ...others] = readFileSync(join(out(), 'moraine-attachments/index.jsonl'), 'utf8')
      .trim()
      .split('\n');
    expect(others).toEqual([]);
    const { file: name } = JSON.parse(line);
    expect(JSON.parse(line)).toMatchObject({ bytes: 6, kind: 'gridfs', bucket: 'data.fs', id: '01', about: '02' });
    expect(readFileSync(join(out(), 'moraine-attachments', name), 'utf8')).toBe('abcdef');
    expect(readdirSync(join(out(), 'moraine-attachments')).sort()).toEqual([name, 'index.jsonl']);
    expect((await verifyExport(out())).findings).toEqual([]);
    writeFileSync(join(out(), 'moraine-attachments', name), 'abcdeg');
    expect((await verifyExport(out())).findings).toEqual([{ path: `moraine-attachments/${name}`, problem: 'changed' }]);
  });

  test('a folder with files, and a customer of whom nothing is kept, are refused; nothing is left', async () => {
    await expect(give()).rejects.toMatchObject({ code: 'CUSTOMER_UNKNOWN' });
    put(chats, 'a');
    mkdirSync(out());
    writeFileSync(join(out(), 'mine'), '');
    await expect(give()).rejects.toMatchObject({ code: 'RESTORE_TARGET_NOT_EMPTY' });
    expect(readdirSync(folder)).toEqual(['out']);
  });

  test('a cut in the middle leaves nothing under the name that was asked for', async () => {
    put(chats, 'a');
    const on = changing({ readByIds: () => Promise.reject(new Error('cut')) });
    await expect(give({ on })).rejects.toThrow('cut');
    expect(existsSync(out())).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
    await give();
    expect((await verifyExport(out())).findings).toEqual([]);
  });

  test('owners of a customer: those that have records or archives of it', async () => {
    put(chats, 'a');
    put(calls, 'b', { owner: 'beta' });
    put(calls, 'c', { owner: 'gamma', tenant: 'south' });
    expect(await ownersOfCustomer(context, NORTH.customer)).toEqual(['acme', 'beta']);
  });
});

function idOf(text: string): Uint8Array {
  const raw = BSON.serialize({ _id: text });
  return Uint8Array.from([2, ...raw.subarray(9, raw.length - 1)]);
}

test('documents of a file come whole, wherever its chunks end; half a document is refused', async () => {
  const documents = Array.from({ length: 20 }, (_, n) => BSON.serialize({ _id: n, text: 'x'.repeat(n * 7) }));
  const all = Buffer.concat(documents);
  for (const size of [1, 3, 4, 5, 17, 100, all.length]) {
    const found: Buffer[] = [];
    for await (const raw of documentsIn(inChunks(all, size))) found.push(Buffer.from(raw));
    expect(Buffer.concat(found).equals(all)).toBe(true);
    expect(found.length).toBe(20);
  }
  const half = async () => {
    for await (const _ of documentsIn(inChunks(all.subarray(0, -1), 10)));
  };
  await expect(half()).rejects.toThrow(RangeError);
});

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
