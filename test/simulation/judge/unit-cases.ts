/** Cases of judge.test.ts: what hangs on records. */
import { BSON } from 'bson';
import { describe, expect, test } from 'vitest';
import { expectBroken } from './broken.ts';
import { ANY, CANARY, HandMade, LONG_AFTER, NAMESPACE, POLICY } from './hand-made.ts';
import type { KeptFile, PolicyFacts, SourceRecord } from './observations.ts';
import type { Fields } from './values.ts';

const NOTES = `${NAMESPACE}.notes`;
const FAMILY: PolicyFacts = {
  ...POLICY,
  family: { children: { collection: NOTES, parent: '_id' }, files: ['clips', 'logos', 'sheets'] },
};
const NOTHING = { archived: 0, deleted: 0, treated: 0, changed: 0, held: 0, gone: 0, quarantined: 0, pending: 0 };
const DISPOSAL = {
  _id: 'x1',
  kind: 'delete',
  policy: 'chats',
  partition: 'p',
  namespace: NAMESPACE,
  owner: 'acme',
  customer: 'north',
  mostRecords: 9,
  state: 'deleting',
};

function note(id: string, of: string, fields: Fields = {}): SourceRecord {
  const document = { _id: id, of, owner: 'acme', tenant: 'north', n: 0, text: `${CANARY} ${id}`, ...fields };
  return { namespace: NOTES, id, bytes: BSON.serialize(document) };
}

function file(key: string, bucket = 'clips', text = 'moving pictures'): KeptFile {
  const isGrid = bucket === 'data.fs';
  const [kind, version] = isGrid ? (['gridfs', null] as const) : (['s3', 'v1'] as const);
  return { kind, bucket, key, version, bytes: Buffer.from(text), isWhole: true };
}

async function life(policy = FAMILY): Promise<HandMade> {
  const world = new HandMade(policy);
  await world.see({ what: 'policy published', by: 'operator-1', policy });
  return world;
}

async function putFile(world: HandMade, kept: KeptFile, by = 'application'): Promise<void> {
  await world.see({ what: 'file put', by, file: kept });
}

async function removeFile(world: HandMade, kept: KeptFile): Promise<void> {
  await world.see({ what: 'file removed', by: 'worker-1', file: kept });
}

interface Grown {
  readonly world: HandMade;
  readonly root: SourceRecord;
  readonly child: SourceRecord;
  readonly clip: KeptFile;
}

/** A record with a child and a file, all of it in a verified archive. */
async function grown(): Promise<Grown> {
  const world = await life();
  const clip = file('clip');
  await putFile(world, clip);
  const root = await world.put(world.record('r', { clips: [{ key: 'clip' }] }));
  const child = await world.put(note('c', 'r'));
  const units = { children: [{ record: child, root: 0 }], attachments: [{ file: clip, root: 0 }] };
  await world.archived('a1', { records: [root], units });
  return { world, root, child, clip };
}

/** The pages of what hangs on it: settled or not. */
async function pages(world: HandMade, outcomes: string | null): Promise<void> {
  const of = { archive: 'a1', attempt: 'a1-t1', page: 0 };
  await world.write('unitPages', { _id: 'a1-t1:0', ...of, kind: 'children', number: 0 });
  const attachments = [{ kind: 's3', bucket: 'clips', key: 'clip', version: 'v1' }];
  await world.write('unitPages', { _id: 'a1-t1:1', ...of, kind: 'attachments', number: 1, attachments });
  await world.write('clearingPages', { _id: 'a1~children:0', archive: 'a1~children', page: 0, outcomes });
}

async function look(world: HandMade, ...roots: string[]): Promise<void> {
  await world.see({ what: 'children looked for', by: 'worker-1', collection: NOTES, roots });
}

async function settled(world: HandMade): Promise<void> {
  for (const id of ['a1-t1:0', 'a1-t1:1']) await world.unwrite('unitPages', id);
  await world.unwrite('clearingPages', 'a1~children:0');
  await world.settle('a1', 'd', { ...NOTHING, archived: 1, deleted: 1 });
}

describe('what hangs on records', () => {
  test('root, child, file, a look, and one that came late goes with an addendum: clean', async () => {
    const { world, root, child, clip } = await grown();
    await world.remove(root);
    await pages(world, 'd');
    await world.remove(child);
    await removeFile(world, clip);
    const late = await world.put(note('late', 'r'));
    await look(world, 'r');
    await world.archived('a2', { records: [late], addendumTo: 'a1' });
    await world.remove(late);
    await world.settle('a2', 'd');
    await look(world, 'r');
    await settled(world);
    const restored = {
      what: 'restored',
      by: 'operator-1',
      archive: 'a1',
      intoSource: false,
      exemptUntil: null,
    } as const;
    await world.see({ ...restored, records: [root], children: [child], files: [clip] });
    await world.put(root, 'operator-1');
    await world.put(child, 'operator-1');
    await putFile(world, { ...clip, version: 'v2' }, 'operator-1');
    world.time += 3_600_000;
    await world.end();
    expect(world.judge.violations).toEqual([]);
  });

  test('a disposal takes what it wrote down, children before files: clean', async () => {
    const world = await life({ ...FAMILY, does: 'delete' });
    const clip = file('clip');
    await putFile(world, clip);
    const root = await world.put(world.record('r', { clips: [{ key: 'clip' }] }));
    const child = await world.put(note('c', 'r'));
    await world.tell('records delete', 'intent', { expiration: 'x1' });
    await world.write('expirations', DISPOSAL);
    const attachments = [{ kind: 's3', bucket: 'clips', key: 'clip', version: 'v1' }];
    const page = { _id: 'x1:0', archive: 'x1', attempt: 'x1', page: 0, number: 0, kind: 'attachments', attachments };
    await world.write('unitPages', page);
    await world.remove(root);
    world.time += 1_000;
    const early = await life({ ...FAMILY, does: 'delete' });
    await world.remove(child);
    await removeFile(world, clip);
    expect(world.judge.violations).toEqual([]);
    // The same in another order, and without the list.
    for (const each of [clip]) await putFile(early, each);
    const [again, left] = [early.record('r', { clips: [{ key: 'clip' }] }), note('c', 'r')];
    for (const each of [again, left]) await early.put(each);
    await early.tell('records delete', 'intent', { expiration: 'x1' });
    await early.write('expirations', DISPOSAL);
    early.time += 1_000;
    await early.remove(again);
    await removeFile(early, clip);
    expectBroken(early, 'attachment-deleted-without-copy', 'attachment-out-of-order');
  });

  test('a child goes before its root, and with it a file', async () => {
    const { world, child, clip } = await grown();
    await world.remove(child);
    expectBroken(world, 'child-before-root');
    const { world: other } = await grown();
    await pages(other, 'd');
    await removeFile(other, clip);
    expectBroken(other, 'attachment-out-of-order');
  });

  test('a file goes before the children of its record are settled', async () => {
    const { world, root, clip } = await grown();
    await world.remove(root);
    await pages(world, null);
    await removeFile(world, clip);
    expectBroken(world, 'attachment-out-of-order');
  });

  test('a child goes with other bytes, a late one without an addendum, one that nobody archived', async () => {
    for (const change of [{ n: 1 }, { n: 2 }]) {
      const { world, root } = await grown();
      await world.remove(root);
      const changed = await world.put(note('c', 'r', change));
      await world.remove(changed);
      expectBroken(world, 'child-deleted-without-copy');
    }
    const { world, root } = await grown();
    await world.remove(root);
    await world.remove(await world.put(note('late', 'r')));
    expectBroken(world, 'child-deleted-without-copy');
  });

  test('another version of a file goes than was archived, and one that records share', async () => {
    const { world, root } = await grown();
    await world.remove(root);
    await pages(world, 'd');
    const next = { ...file('clip', 'clips', 'other pictures'), version: 'v2' };
    await putFile(world, next);
    await removeFile(world, next);
    expectBroken(world, 'attachment-deleted-without-copy');
    const shared = await life();
    await putFile(shared, file('logo', 'logos'));
    await removeFile(shared, file('logo', 'logos'));
    expectBroken(shared, 'shared-attachment-deleted');
  });

  test('a child and a file go under a hold that covers their root', async () => {
    const { world, root, child, clip } = await grown();
    await world.remove(root);
    await pages(world, 'd');
    await world.hold('case', { ...ANY, namespace: NAMESPACE, recordIds: ['r'] });
    await world.remove(child);
    await removeFile(world, clip);
    expectBroken(world, 'held-unit-deleted');
    expect(world.judge.violations).toHaveLength(2);
  });

  test('a child of another customer is archived, and one is deleted', async () => {
    const world = await life();
    const root = await world.put(world.record('r'));
    const foreign = await world.put(note('c', 'r', { tenant: 'south' }));
    await world.archived('a1', { records: [root], units: { children: [{ record: foreign, root: 0 }] } });
    expectBroken(world, 'foreign-child-taken');
    const { world: late, root: gone } = await grown();
    await late.remove(gone);
    await late.remove(await late.put(note('c2', 'r', { owner: 'zeta' })));
    expectBroken(late, 'foreign-child-taken', 'child-deleted-without-copy');
  });

  test('a record is archived without its file, with another, without its child', async () => {
    const world = await life();
    await putFile(world, file('clip'));
    await world.stored('a1', { records: [await world.put(world.record('r', { clips: [{ key: 'clip' }] }))] });
    expectBroken(world, 'half-archived');
    const other = await life();
    await putFile(other, file('clip'));
    const root = await other.put(other.record('r', { clips: [{ key: 'clip' }] }));
    const wrong = { attachments: [{ file: file('clip', 'clips', 'never was'), root: 0 }] };
    await other.stored('a1', { records: [root], units: wrong });
    expectBroken(other, 'half-archived');
    const childless = await life();
    const parent = await childless.put(childless.record('r'));
    await childless.put(note('c', 'r'));
    childless.time += 1_000;
    await childless.stored('a1', { records: [parent] });
    expectBroken(childless, 'half-archived');
  });

  test('the ledger counts other children than the file holds, or calls another number deleted', async () => {
    const { world, root } = await grown();
    await world.remove(root);
    await world.settle('a1', 'd', { ...NOTHING, archived: 1, deleted: 1 });
    expect(world.broken).toEqual(['outcomes-do-not-add-up']);
    const other = await life();
    const parent = await other.put(other.record('r'));
    const units = { children: [{ record: await other.put(note('c', 'r')), root: 0 }] };
    await other.stored('a1', { records: [parent], units, toldUnits: {} });
    expect(other.broken).toEqual(['file-does-not-open']);
  });

  test('a child comes back that changed, and one that the archive does not hold', async () => {
    for (const bytes of [note('c', 'r', { n: 7 }), note('c9', 'r')]) {
      const { world, root, child, clip } = await grown();
      await world.remove(root);
      await pages(world, 'd');
      await world.remove(child);
      await removeFile(world, clip);
      await look(world, 'r');
      await settled(world);
      await world.put(bytes, 'operator-1');
      expect(world.broken).toEqual(['void-copy-restored']);
    }
  });

  test('a child is left that was there before the last look; one that came after it is nobody’s', async () => {
    for (const isLate of [false, true]) {
      const { world, root, child, clip } = await grown();
      await world.remove(root);
      await pages(world, 'd');
      await world.remove(child);
      await removeFile(world, clip);
      if (!isLate) await world.put(note('left', 'r'));
      await look(world, 'r');
      await settled(world);
      if (isLate) await world.put(note('left', 'r'));
      world.time += 60_000;
      await world.end();
      if (isLate) expect(world.broken).toEqual([]);
      else expectBroken(world, 'orphan-left');
    }
  });

  test('a child is left and nobody looked at all; one that was put into quarantine is reported', async () => {
    for (const isReported of [false, true]) {
      const { world, root, child, clip } = await grown();
      await world.remove(root);
      await pages(world, 'd');
      await world.remove(child);
      await removeFile(world, clip);
      await world.put(note('left', 'r', isReported ? { tenant: 'south' } : {}));
      await settled(world);
      const idBytes = Buffer.from(`\x02\x05\0\0\0left\0`, 'latin1');
      const entry = { _id: 'q1', kind: 'record', state: 'open', namespace: NOTES, idBytes, reason: 'child-of-another' };
      if (isReported) await world.write('quarantine', entry);
      await world.end();
      if (isReported) expect(world.broken).toEqual([]);
      else expectBroken(world, 'orphan-left');
    }
  });

  test('the file that holds children and files is gone before its time', async () => {
    const { world, root, child, clip } = await grown();
    await world.remove(root);
    await pages(world, 'd');
    await world.remove(child);
    await removeFile(world, clip);
    await look(world, 'r');
    await settled(world);
    await world.unstore('a1-t1-file', 'deleteAbandoned');
    await world.end();
    expect(world.broken).toContain('unit-lost');
    expectBroken(world, 'unit-lost', 'lost-record', 'stray-removed', 'last-copy-lost', 'act-without-intent');
  });

  test('pages about what hangs on records are left when the archive is cleared', async () => {
    const { world, root, child, clip } = await grown();
    await world.remove(root);
    await pages(world, 'd');
    await world.remove(child);
    await removeFile(world, clip);
    await look(world, 'r');
    await settled(world);
    await world.write('unitPages', { _id: 'a1-t1:0', archive: 'a1', attempt: 'a1-t1', page: 0 });
    world.time = Math.min(world.time + 60_000, LONG_AFTER);
    await world.end();
    expectBroken(world, 'work-not-finished');
  });
});
