/** Children and attachments in an archive file: written, inspected, read back, and what is wrong with them found. */
import { hash, randomBytes } from 'node:crypto';
import { serialize } from 'bson';
import { describe, expect, test } from 'vitest';
import {
  type AttachmentEntry,
  decodeAttachmentEntry,
  encodeAttachmentEntry,
} from '../../src/archive/attachment-index.ts';
import { decodeIndexEntry, encodeIndexEntry, idBytesOf } from '../../src/archive/index-pages.ts';
import { inspectArchive } from '../../src/archive/inspect.ts';
import { piecesOf } from '../../src/archive/pieces.ts';
import { readItems } from '../../src/archive/reader.ts';
import { ArchiveWriter } from '../../src/archive/writer.ts';
import { chats, chunksOf, DESCRIPTION, newKey, newSigner, recordOf } from './archive-samples.ts';
import { child, unitFile } from './archive-unit-sample.ts';

const MIB = 1024 * 1024;

async function readBack(archive: Awaited<ReturnType<typeof unitFile>>['archive']) {
  const attachments: AttachmentEntry[] = [];
  const verified = await inspectArchive(chunksOf(archive.file), {
    verify: archive.signer.verify,
    expected: archive.description,
    key: archive.key,
    onAttachment: (entry) => attachments.push(entry),
  });
  const found = new Map<string, Buffer[]>();
  for await (const item of readItems(chunksOf(archive.file), verified, archive.key)) {
    const place = item.kind === 'part' ? `file ${item.attachment}` : item.kind === 'child' ? item.collection : 'roots';
    const bytes = Buffer.from(item.kind === 'part' ? item.bytes : item.raw);
    found.set(place, [...(found.get(place) ?? []), bytes]);
  }
  return { found, attachments, manifest: verified.manifest };
}

describe('a file with children and attachments', () => {
  test('gives all of them back byte for byte, each under its root, and the manifest counts them', async () => {
    const { archive, roots, comments, votes, files } = await unitFile();
    const { found, attachments, manifest } = await readBack(archive);
    expect(Buffer.concat(found.get('roots')!)).toEqual(Buffer.concat(roots));
    expect(Buffer.concat(found.get('support.comments')!)).toEqual(Buffer.concat(comments));
    expect(Buffer.concat(found.get('support.votes')!)).toEqual(Buffer.concat(votes));
    for (const [n, file] of files.entries()) {
      expect(Buffer.concat(found.get(`file ${n}`)!).equals(file)).toBe(true);
      expect(attachments[n]).toMatchObject({ ordinal: n, root: n, bytes: file.byteLength });
      expect(Buffer.from(attachments[n]!.sha256).toString('hex')).toBe(hash('sha256', file, 'hex'));
    }
    expect(manifest.records).toBe(roots.length);
    expect(manifest.children).toMatchObject([
      { collection: 'support.comments', records: comments.length },
      { collection: 'support.votes', records: votes.length },
    ]);
    expect(manifest.attachments).toMatchObject({
      files: files.length,
      bytes: files.reduce((total, file) => total + file.byteLength, 0),
    });
    const parts = manifest.members.filter(({ kind }) => kind === 'attachment').map(({ name }) => name);
    expect(parts.slice(0, 4)).toEqual([
      'attachments/00000000/0000.esdk',
      'attachments/00000001/0000.esdk',
      'attachments/00000001/0001.esdk',
      'attachments/00000001/0002.esdk',
    ]);
    expect(Math.max(...manifest.members.map(({ plainBytes }) => plainBytes))).toBeLessThanOrEqual(8 * MIB);
  });

  test.each([
    ['a part of an attachment', 'attachments/00000001/0001.esdk'],
    ['a segment of children', 'segments/support.comments/00000000.bson.zst.esdk'],
    ['an index page of children', 'index/support.comments/00000000.bson.zst.esdk'],
    ['the index of attachments', 'index/attachments/00000000.bson.zst.esdk'],
  ])('%s with a flipped bit is found, by name', async (_, name) => {
    const { archive } = await unitFile();
    const member = archive.written.members.find((candidate) => candidate.name === name)!;
    archive.file[member.offset + 40]! ^= 1;
    await expect(readBack(archive)).rejects.toMatchObject({ code: 'ARCHIVE_CORRUPT', ids: { member: name } });
  });

  test('an attachment that breaks off breaks the archive off: nothing after it is taken', async () => {
    const broken = async function* () {
      yield randomBytes(10);
      throw new Error('gone');
    };
    await expect(unitFile({ broken: broken() })).rejects.toThrow('gone');
  });
});

test('an index entry of a child carries its root, and one of a root cannot be read as a child', () => {
  const raw = child('c', 1, 7);
  const entry = { idBytes: idBytesOf(raw), ordinal: 3, segment: 1, offset: 9, length: 30, sha256: randomBytes(32) };
  expect(decodeIndexEntry(encodeIndexEntry(entry))).not.toHaveProperty('root');
  expect(decodeIndexEntry(encodeIndexEntry({ ...entry, root: 70_000 })).root).toBe(70_000);
  const bytes = Buffer.from(encodeIndexEntry({ ...entry, root: 1 }));
  bytes[bytes.length - 10]! ^= 1;
  expect(() => decodeIndexEntry(bytes)).toThrow('not an index entry');
});

test('the entry of an attachment holds sizes over 2^32 and keys of any kind', () => {
  const entry: AttachmentEntry = {
    ordinal: 1,
    root: 2,
    facts: { kind: 'gridfs', bucket: 'support.fs', key: idBytesOf([...chats(1)][0]!), about: serialize({ length: 1 }) },
    bytes: 9_000_000_000,
    parts: 1_073,
    sha256: randomBytes(32),
  };
  const back = decodeAttachmentEntry(encodeAttachmentEntry(entry));
  expect(back.bytes).toBe(9_000_000_000);
  expect(Buffer.from(back.sha256).equals(entry.sha256)).toBe(true);
  expect(back.facts.kind === 'gridfs' && entry.facts.kind === 'gridfs' && back.facts.key).toEqual(entry.facts.key);
});

test('pieces are of one size, hold every byte once, and of nothing there is one empty piece', async () => {
  const bytes = randomBytes(300_000);
  const sizes: number[] = [];
  const all: Uint8Array[] = [];
  for await (const piece of piecesOf(chunksOf(bytes, 7_001), 128_000)) {
    sizes.push(piece.byteLength);
    all.push(piece);
  }
  expect(sizes).toEqual([128_000, 128_000, 44_000]);
  expect(Buffer.concat(all).equals(bytes)).toBe(true);
  const none = [];
  for await (const piece of piecesOf(chunksOf(Buffer.alloc(0)), 10)) none.push(piece.byteLength);
  expect(none).toEqual([0]);
});

test('a file of any size is flat in memory: a consumer that takes nothing stops its source after a few parts', async () => {
  const key = newKey();
  const signer = newSigner();
  const held = Promise.withResolvers<void>();
  const writer = new ArchiveWriter({
    ...{ description: DESCRIPTION, key, publicKeys: signer.publicKeys, sign: signer.sign },
    onBytes: () => held.promise,
  });
  await writer.add(recordOf(child('root', 1, 1)));
  const part = randomBytes(MIB);
  let pulled = 0;
  const endless = async function* () {
    for (;;) {
      pulled += part.byteLength;
      yield part;
    }
  };
  const facts = { kind: 's3', store: 's', bucket: 'b', key: 'k', version: 'v', about: serialize({}) } as const;
  const adding = writer.addAttachment(facts, endless(), 0).catch((error: unknown) => error);
  let before = -1;
  while (pulled !== before) {
    before = pulled;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  expect(pulled).toBeLessThanOrEqual(4 * 8 * MIB);
  const givenUp = writer.abandon(new Error('enough'));
  held.resolve();
  await givenUp;
  expect(await adding).toMatchObject({ message: 'enough' });
});
