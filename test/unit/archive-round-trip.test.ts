import { Binary, ObjectId, serialize } from 'bson';
import { describe, expect, test } from 'vitest';
import { splitDocuments } from '../../src/archive/documents.ts';
import { inspectArchive } from '../../src/archive/inspect.ts';
import { memberRange, readMember } from '../../src/archive/reader.ts';
import { TreeHasher, treeHash } from '../../src/archive/tree-hash.ts';
import { ArchiveWriter } from '../../src/archive/writer.ts';
import { chatFile, restore } from './archive-expectations.ts';
import {
  chats,
  chunksOf,
  DESCRIPTION,
  extremes,
  newKey,
  newSigner,
  recordOf,
  TOTALS,
  writeSample,
} from './archive-samples.ts';

const LARGEST_BYTES = 16 * 1024 * 1024;

function largest(): Uint8Array {
  const overhead = serialize({ _id: 1, b: new Binary(Buffer.alloc(0)) }).byteLength;
  return serialize({ _id: 1, b: new Binary(Buffer.alloc(LARGEST_BYTES - overhead, 'not quite random')) });
}

describe('round trip', () => {
  test.each([
    ['nothing', () => []],
    ['one record', () => [serialize({ _id: 1 })]],
    ['every BSON type and every extreme', extremes],
    ['a document of 16 MiB between small ones', () => [...chats(3), largest(), ...chats(3)]],
    ['more records than an index page holds', () => [...chats(30_000, 10)]],
  ])('%s: byte for byte, in order, and a full inspection finds nothing', async (_, make) => {
    const raws = [...make()];
    const archive = await writeSample(raws);
    const back = await restore(archive, archive.file);
    expect(back.length).toBe(raws.length);
    expect(Buffer.concat(back).equals(Buffer.concat(raws))).toBe(true);
    const { key, signer, written, description } = archive;
    const verified = await inspectArchive(chunksOf(archive.file, 512), {
      verify: signer.verify,
      expected: description,
      key,
    });
    expect(verified.sha256).toBe(written.manifestSha256);
    expect(verified.manifest).toMatchObject({
      ...DESCRIPTION,
      keyName: key.keyName,
      records: raws.length,
      plainBytes: raws.reduce((total, raw) => total + raw.byteLength, 0),
      merkleRoot: written.merkleRoot,
      due: { first: '2033-01-01T00:00:00.000Z', last: '2033-01-30T00:00:00.000Z' },
      auditHead: TOTALS.auditHead,
    });
  });

  test('what the writer reports is what the file is', async () => {
    const { file, written } = await chatFile();
    expect(written.bytes).toBe(file.byteLength);
    expect(written.treeHash).toBe(treeHash(file));
    expect(written.members.filter((member) => member.kind === 'segment')).toHaveLength(written.segments);
    for (const member of written.members) {
      expect(file.subarray(member.offset - 512, member.offset).toString('latin1')).toContain(
        member.name.split('/').at(-1),
      );
    }
  });

  test('one record comes back out of a range of whole MiB', async () => {
    const raws = [...chats(4_000, 900)];
    const key = newKey();
    const { signer, writer, chunks } = open({ key });
    const places = [];
    for (const raw of raws) places.push(await writer.add(recordOf(raw)));
    const written = await writer.finish(TOTALS);
    const file = Buffer.concat(chunks);
    expect(signer.publicKeys).toHaveLength(1);
    for (const wanted of [0, 1_999, 3_999]) {
      const place = places[wanted]!;
      const member = written.members.find((candidate) => candidate.segment === place.segment)!;
      const { start, end } = memberRange(member, file.byteLength);
      expect(start % (1024 * 1024)).toBe(0);
      const plain = await readMember({ start, bytes: file.subarray(start, end) }, member, DESCRIPTION, key);
      const record = plain.subarray(place.offset, place.offset + raws[wanted]!.byteLength);
      expect(Buffer.compare(record, raws[wanted]!)).toBe(0);
      expect([...splitDocuments(plain)][place.ordinal - member.firstOrdinal]).toEqual(record);
    }
  });

  test('a range with a flipped byte in the member is refused, one beside it does not matter', async () => {
    const { file, written, key } = await chatFile();
    const member = written.members.find((candidate) => candidate.segment === 1)!;
    const read = async () => await readMember({ start: 0, bytes: file }, member, DESCRIPTION, key);
    file[member.offset - 1]! ^= 1;
    await read();
    file[member.offset + 5]! ^= 1;
    await expect(read()).rejects.toMatchObject({ code: 'ARCHIVE_CORRUPT', ids: { member: member.name } });
  });

  test('the clear part of the file holds nothing of the records', async () => {
    const secret = 'someone@example.org';
    const records = Array.from({ length: 50 }, (_, i) =>
      serialize({ _id: `${secret}-${i}`, email: secret, at: new ObjectId() }),
    );
    const { file, written } = await writeSample(records);
    expect(file.includes('someone')).toBe(false);
    // Nor anything that would confirm a guess: the SHA-256 of a record.
    for (const record of records)
      expect(file.includes(Buffer.from(recordOf(record).sha256).toString('hex'))).toBe(false);
    expect(file.includes(written.merkleRoot)).toBe(true);
  });
});

/** A writer whose chunks are kept. */
function open(options: { key?: ReturnType<typeof newKey>; onBytes?: (chunk: Uint8Array) => Promise<void> } = {}) {
  const chunks: Uint8Array[] = [];
  const signer = newSigner();
  const writer = new ArchiveWriter({
    description: DESCRIPTION,
    key: options.key ?? newKey(),
    publicKeys: signer.publicKeys,
    sign: signer.sign,
    onBytes: async (chunk) => {
      await options.onBytes?.(chunk);
      chunks.push(chunk);
    },
  });
  return { writer, chunks, signer };
}

describe('writer', () => {
  test('a consumer that takes nothing stops the producer after a few segments', async () => {
    let letGo = () => {};
    const blocked = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const { writer, chunks } = open({ onBytes: async () => await blocked });
    let added = 0;
    const producing = (async () => {
      for (const raw of chats(20_000, 1_000)) {
        await writer.add(recordOf(raw));
        added += 1;
      }
      return await writer.finish(TOTALS);
    })();
    await expect.poll(() => added).toBeGreaterThan(0);
    const before = await settled(() => added);
    expect(chunks).toHaveLength(0);
    expect(writer.plainBytes).toBeLessThan(8 * 1024 * 1024);
    letGo();
    const written = await producing;
    expect(before).toBeLessThan(20_000);
    expect(written.records).toBe(20_000);
  });

  test('bytes leave one call at a time and in order, however long each takes', async () => {
    let busy = 0;
    const hasher = new TreeHasher();
    const { writer } = open({
      onBytes: async (chunk) => {
        busy += 1;
        expect(busy).toBe(1);
        await new Promise((resolve) => setImmediate(resolve));
        hasher.update(chunk);
        busy -= 1;
      },
    });
    for (const raw of chats(6_000, 900)) await writer.add(recordOf(raw));
    const written = await writer.finish(TOTALS);
    expect(hasher.digest()).toBe(written.treeHash);
  });

  test('a consumer that fails: the next calls say so, and nothing more leaves', async () => {
    let calls = 0;
    const { writer } = open({
      onBytes: async () => {
        calls += 1;
        if (calls === 3) throw new Error('the vault is away');
      },
    });
    const producing = async () => {
      for (const raw of chats(20_000, 900)) await writer.add(recordOf(raw));
    };
    await expect(producing()).rejects.toThrow('the vault is away');
    await expect(writer.add(recordOf(serialize({ _id: 1 })))).rejects.toThrow('the vault is away');
    await expect(writer.finish(TOTALS)).rejects.toThrow('the vault is away');
    expect(calls).toBe(3);
  });

  test('an attempt that is given up: the call under way ends, nothing leaves after it', async () => {
    let calls = 0;
    let letGo = () => {};
    const blocked = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const { writer, chunks } = open({
      onBytes: async () => {
        calls += 1;
        await blocked;
      },
    });
    for (const raw of chats(3_000, 900)) await writer.add(recordOf(raw));
    const abandoned = writer.abandon(new Error('lease lost'));
    letGo();
    await abandoned;
    expect(chunks).toHaveLength(1);
    await expect(writer.add(recordOf(serialize({ _id: 1 })))).rejects.toThrow('lease lost');
    await expect(writer.finish(TOTALS)).rejects.toThrow('lease lost');
    expect(calls).toBe(1);
  });

  test('a segment that does not open again right after sealing never leaves', async () => {
    // What the key's memory gives differs each time it is asked, as after a fault.
    const faulty = { keyName: 'attempt-1', bytes: () => newKey().bytes() };
    const { writer, chunks } = open({ key: faulty });
    await writer.add(recordOf(serialize({ _id: 1 })));
    await expect(writer.finish(TOTALS)).rejects.toMatchObject({ code: 'ARCHIVE_CORRUPT' });
    expect(Buffer.concat(chunks).includes('00000000.bson')).toBe(false);
  });

  test('two calls at once, a call after the end, or bytes that are no document are our own mistakes', async () => {
    const { writer } = open({ onBytes: async () => await new Promise((resolve) => setImmediate(resolve)) });
    const large = recordOf(serialize({ _id: 1, b: new Binary(Buffer.alloc(900_000)) }));
    const adding = (async () => {
      for (let i = 0; i < 9; i++) await writer.add(large);
    })();
    await expect
      .poll(async () => await writer.add(large).catch((error: { code: string }) => error.code))
      .toBe('INTERNAL');
    await adding.catch(() => undefined);
    const second = open().writer;
    await second.finish(TOTALS);
    await expect(second.finish(TOTALS)).rejects.toMatchObject({ code: 'INTERNAL' });
    const third = open().writer;
    const torn = { ...large, raw: large.raw.subarray(0, 100) };
    await expect(third.add(torn)).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});

/** The value when it has not changed over many turns of the event loop. */
async function settled(value: () => number): Promise<number> {
  for (let same = 0, last = value(); ; last = value()) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    same = value() === last ? same + 1 : 0;
    if (same > 20) return last;
  }
}
