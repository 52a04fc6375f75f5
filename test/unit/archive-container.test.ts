import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract, type Pack, pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packMember } from '../../src/archive/container.ts';
import { readMembers } from '../../src/archive/container-reader.ts';
import { escapeCollection, segmentName } from '../../src/archive/member-names.ts';
import { chatFile } from './archive-expectations.ts';
import { chunksOf, packFile, writeSample } from './archive-samples.ts';

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

/** What every header of ours says. */
const FIXED = { mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) };
type Header = Parameters<Pack['entry']>[0];

/** A member as tar-stream makes it, with whatever header. */
async function foreignMember(header: Header, data: string): Promise<Buffer> {
  const tar = pack();
  tar.entry(header, data);
  tar.finalize();
  return Buffer.concat(await piecesOf(tar)).subarray(0, -1024);
}

/** A header that may say anything of what follows it. */
async function headerOf(header: Header): Promise<Buffer> {
  const tar = pack();
  tar.entry(header);
  const [first] = await piecesOf(tar, 1);
  return Buffer.from(first!);
}

async function piecesOf(tar: Pack, count = Number.POSITIVE_INFINITY): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  for await (const piece of tar) {
    if (piece instanceof Uint8Array) pieces.push(piece);
    if (pieces.length >= count) break;
  }
  return pieces;
}

async function namesIn(stream: AsyncIterable<Uint8Array>): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of readMembers(stream)) names.push(name);
  return names;
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
    const file = await packFile(members);
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
    writeFileSync(path, await packFile(members));
    const listed = execFileSync('tar', ['tf', path], { encoding: 'utf8' }).trim().split('\n');
    expect(listed).toEqual(members.map(([name]) => name));
    execFileSync('tar', ['xf', path, '-C', folder]);
    for (const [name, data] of members) expect(readFileSync(join(folder, name))).toEqual(data);

    const seen: string[] = [];
    const stream = extract();
    stream.end(await packFile(members));
    for await (const entry of stream) {
      seen.push(entry.header.name);
      entry.resume();
    }
    expect(seen).toEqual(members.map(([name]) => name));
  });

  test('a header of more than the largest member is refused before memory is taken', async () => {
    const header = await headerOf({ ...FIXED, name: 'index/0', size: 65 * 1024 * 1024 });
    let taken = 0;
    async function* endless() {
      for (yield header; ; taken += 1) yield Buffer.alloc(512);
    }
    await expect(namesIn(endless())).rejects.toMatchObject({
      code: 'ARCHIVE_CORRUPT',
      message: expect.stringMatching(/^index\/0: .* more than any member has/),
    });
    expect(taken).toBeLessThan(3);
  });

  test('what follows the end, or a stream that goes on for ever after it, is refused and the stream let go', async () => {
    const file = await packFile([['a', Buffer.from('a')]]);
    let closed = false;
    async function* endless() {
      try {
        yield file;
        for (;;) yield Buffer.alloc(512);
      } finally {
        closed = true;
      }
    }
    await expect(namesIn(endless())).rejects.toMatchObject({ message: expect.stringContaining('more bytes follow') });
    expect(closed).toBe(true);
  });

  test('every bit of every header, padding and end marker counts, whatever the chunks', async () => {
    const members = [
      ['a', Buffer.from('a')],
      ['none', Buffer.alloc(0)],
      [`segments/${'x'.repeat(140)}/b`, Buffer.alloc(515, 66)],
    ] as const;
    const file = await packFile(members);
    const data = (await read(file)).map((member) => [member.offset, member.offset + member.data.byteLength] as const);
    for (let at = 0; at < file.byteLength; at++) {
      if (data.some(([from, to]) => at >= from && at < to)) continue;
      const flipped = Buffer.from(file);
      flipped.writeUInt8(file.readUInt8(at) ^ (1 << (at % 8)), at);
      await expect(read(flipped, at % 2 === 0 ? 700 : 100_000), `byte ${at}`).rejects.toMatchObject({
        code: 'ARCHIVE_CORRUPT',
      });
    }
  });

  test('cut at any byte, or with any number of zeros after its end, it is refused', async () => {
    const file = await packFile([
      ['a', Buffer.from('a')],
      ['b', Buffer.alloc(512, 66)],
    ]);
    for (let length = 0; length < file.byteLength; length++) {
      await expect(read(file.subarray(0, length), 600), `cut at ${length}`).rejects.toMatchObject({
        message: expect.stringContaining(`the file ends at byte ${length}`),
      });
    }
    for (const more of [1, 511, 512, 513, 9_216]) {
      await expect(read(Buffer.concat([file, Buffer.alloc(more)]), 600)).rejects.toMatchObject({
        message: expect.stringContaining(`more bytes follow after byte ${file.byteLength}`),
      });
    }
  });

  test('what tar can hold and our writer never makes is refused: owners, times, links, folders, pax, gaps', async () => {
    const plain = { ...FIXED, name: 'b' };
    expect(await foreignMember(plain, 'b')).toEqual(Buffer.concat(await packMember('b', Buffer.from('b'))));
    const foreign = {
      mode: await foreignMember({ ...plain, mode: 0o600 }, 'b'),
      user: await foreignMember({ ...plain, uid: 1 }, 'b'),
      userName: await foreignMember({ ...plain, uname: 'root' }, 'b'),
      group: await foreignMember({ ...plain, gid: 1 }, 'b'),
      time: await foreignMember({ ...plain, mtime: new Date(1_000) }, 'b'),
      link: await foreignMember({ ...plain, type: 'link', linkname: 'a' }, ''),
      symlink: await foreignMember({ ...plain, type: 'symlink', linkname: '/etc/passwd' }, ''),
      folder: await foreignMember({ ...plain, type: 'directory' }, ''),
      folderWithSize: await headerOf({ ...plain, type: 'directory', size: 5 }),
      folderByName: await foreignMember({ ...plain, name: 'b/', type: 'file' }, 'b'),
      contiguous: await foreignMember({ ...plain, type: 'contiguous-file' }, 'b'),
      pax: await foreignMember({ ...plain, pax: { comment: 'x' } }, 'b'),
      longName: await foreignMember({ ...plain, name: 'x'.repeat(300) }, 'b'),
      space: await foreignMember({ ...plain, name: 'b b' }, 'b'),
      gap: Buffer.concat([Buffer.alloc(512), await foreignMember(plain, 'b')]),
      end: Buffer.concat([Buffer.alloc(1024), await foreignMember(plain, 'b')]),
    };
    const first = Buffer.concat(await packMember('a', Buffer.from('a')));
    for (const [what, member] of Object.entries(foreign)) {
      const file = Buffer.concat([first, member, Buffer.alloc(1024)]);
      const seen: string[] = [];
      const reading = async () => {
        for await (const { name } of readMembers(chunksOf(file))) seen.push(name);
      };
      await expect(reading(), what).rejects.toMatchObject({
        code: 'ARCHIVE_CORRUPT',
        message: expect.stringContaining('the header after a: it is damaged'),
      });
      expect(seen, what).toEqual(['a']);
    }
  });

  test('a name that no plain header takes is refused by the writer', async () => {
    const folder = 'x'.repeat(155);
    await expect(packMember(`${folder}/${'y'.repeat(100)}`, Buffer.alloc(1))).resolves.toHaveLength(3);
    for (const name of ['', 'a b', 'ø', 'a/', 'x'.repeat(101), `${folder}x/y`, `${folder}/${'y'.repeat(101)}`]) {
      await expect(packMember(name, Buffer.alloc(1)), name).rejects.toThrow(RangeError);
    }
  });

  test('a reader that stops, and a source that fails: no more is asked of the stream, and its own error comes through', async () => {
    const file = await packFile(NAMES.map((name, i) => [segmentName(name, i), Buffer.alloc(20_000)] as const));
    const failure = new Error('the vault is down');
    for (const fault of ['reader', 'source']) {
      let given = 0;
      let closed = false;
      async function* source() {
        try {
          for await (const chunk of chunksOf(file, 10_000)) {
            if (fault === 'source' && given === 4) throw failure;
            given += 1;
            yield chunk;
          }
        } finally {
          closed = true;
        }
      }
      const reading = async () => {
        for await (const _ of readMembers(source())) if (fault === 'reader') return 'stopped';
        return 'all';
      };
      if (fault === 'reader') expect(await reading()).toBe('stopped');
      else await expect(reading()).rejects.toBe(failure);
      // A member of 20,000 bytes ends in the third chunk: nothing was read ahead.
      expect(given).toBe(fault === 'reader' ? 3 : 4);
      expect(closed).toBe(true);
    }
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
