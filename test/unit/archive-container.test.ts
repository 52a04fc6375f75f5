import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { containerEnd, memberHeader, memberPadding, readMembers } from '../../src/archive/container.ts';
import { escapeCollection, segmentName } from '../../src/archive/member-names.ts';
import { chatFile } from './archive-expectations.ts';
import { chunksOf, writeSample } from './archive-samples.ts';

const folder = mkdtempSync(join(tmpdir(), 'moraine-archive-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Names that are hard to hold in a file system, a tar header or both. */
const NAMES = [
  'a.b',
  '.hidden',
  'db.a/b',
  'db.a b',
  'db.$weird%',
  'db.æøå😀',
  `db.${'x'.repeat(250)}`,
  `db.${'é'.repeat(100)}`,
];

function pack(members: readonly (readonly [string, Uint8Array])[]): Buffer {
  const parts = members.flatMap(([name, data]) => [
    memberHeader(name, data.byteLength),
    data,
    memberPadding(data.byteLength),
  ]);
  return Buffer.concat([...parts, containerEnd()]);
}

async function read(file: Uint8Array, chunkBytes?: number) {
  const members: { name: string; offset: number; data: Buffer }[] = [];
  for await (const member of readMembers(chunksOf(file, chunkBytes))) {
    members.push({ ...member, data: Buffer.from(member.data) });
  }
  return members;
}

describe('container', () => {
  test('every size and collection name comes back, whatever the chunks, with offsets that point at the data', async () => {
    const sizes = [0, 1, 511, 512, 513, 5_000];
    const members = NAMES.map((name, i) => [segmentName(name, i), Buffer.alloc(sizes[i % 6]!, i + 65)] as const);
    const file = pack(members);
    for (const chunkBytes of [1, 511, 512, 100_000]) {
      const found = await read(file, chunkBytes);
      expect(found.map(({ name, data }) => [name, data.toString()])).toEqual(
        members.map(([name, data]) => [name, data.toString()]),
      );
      for (const { offset, data } of found) expect(file.subarray(offset, offset + data.byteLength)).toEqual(data);
    }
  });

  test('collection names stay apart, and fit a plain header', () => {
    const folders = [...NAMES, 'db.a%2Fb', `db.${'x'.repeat(251)}`].map(escapeCollection);
    expect(new Set(folders).size).toBe(folders.length);
    for (const name of folders) expect(name).toMatch(/^[%A-Za-z0-9_-][%A-Za-z0-9_.~-]{0,145}$/);
  });

  test("the system's tar lists and extracts it, tar-stream reads it", async () => {
    const members = NAMES.map((name, i) => [segmentName(name, i), Buffer.from(`data ${i}`)] as const);
    const path = join(folder, 'plain.tar');
    writeFileSync(path, pack(members));
    const listed = execFileSync('tar', ['tf', path], { encoding: 'utf8' }).trim().split('\n');
    expect(listed).toEqual(members.map(([name]) => name));
    execFileSync('tar', ['xf', path, '-C', folder]);
    for (const [name, data] of members) expect(readFileSync(join(folder, name))).toEqual(data);

    const seen: string[] = [];
    const stream = extract();
    stream.end(pack(members));
    for await (const entry of stream) {
      seen.push(entry.header.name);
      entry.resume();
    }
    expect(seen).toEqual(members.map(([name]) => name));
  });

  test('a header of more than the largest member is refused before memory is taken', async () => {
    const file = Buffer.concat([memberHeader('index/0', 65 * 1024 * 1024), Buffer.alloc(512)]);
    await expect(read(file)).rejects.toMatchObject({
      code: 'ARCHIVE_CORRUPT',
      message: expect.stringContaining('index/0'),
    });
  });

  test('what follows the end, or a stream that goes on for ever after it, is refused and the stream let go', async () => {
    const file = pack([['a', Buffer.from('a')]]);
    let closed = false;
    async function* endless() {
      try {
        yield file;
        for (;;) yield Buffer.alloc(512);
      } finally {
        closed = true;
      }
    }
    const reading = async () => {
      for await (const _ of readMembers(endless()));
    };
    await expect(reading()).rejects.toMatchObject({ message: expect.stringContaining('more bytes follow') });
    expect(closed).toBe(true);
  });
});

describe('an archive file', () => {
  let file: Buffer;
  let names: string[];
  beforeAll(async () => {
    const sample = await chatFile();
    file = sample.file;
    names = sample.written.members.map((member) => member.name);
  });

  test('tar tf shows its members in order', () => {
    const path = join(folder, 'archive.tar');
    writeFileSync(path, file);
    const listed = execFileSync('tar', ['tf', path], { encoding: 'utf8' }).trim().split('\n');
    expect(listed).toEqual(names);
    expect(listed[0]).toBe('README.txt');
    expect(listed.slice(-2)).toEqual(['manifest.json', 'manifest.sig']);
  });

  test('of no records is whole, too', async () => {
    const empty = await writeSample([]);
    expect((await read(empty.file)).map((member) => member.name)).toEqual([
      'README.txt',
      'manifest.json',
      'manifest.sig',
    ]);
  });
});
