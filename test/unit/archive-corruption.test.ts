/** Everything that can happen to an archive file: always found, the member named, and nothing of it passed on. */
import { hash } from 'node:crypto';
import { serialize } from 'bson';
import { beforeAll, describe, expect, test } from 'vitest';
import { memberBytes } from '../../src/archive/container.ts';
import { inspectArchive } from '../../src/archive/inspect.ts';
import {
  decodeManifest,
  encodeManifest,
  encodeSignature,
  type Manifest,
  type Member,
} from '../../src/archive/manifest.ts';
import { readRecords } from '../../src/archive/reader.ts';
import { sealMember } from '../../src/archive/seal.ts';
import { id } from '../../src/ids.ts';
import { findings, restore } from './archive-expectations.ts';
import { chats, chunksOf, newKey, newSigner, packFile, type TestArchive, writeSample } from './archive-samples.ts';

let archive: TestArchive;
let members: readonly Member[];

beforeAll(async () => {
  archive = await writeSample(chats(3_000, 900));
  members = archive.written.members;
});

/** A copy of the file with one bit changed. */
function flipped(at: number): Buffer {
  const file = Buffer.from(archive.file);
  file.writeUInt8(file.readUInt8(at) ^ 4, at);
  return file;
}

/** The members of the file, to be packed again in another way. */
function contents(of: TestArchive = archive): Map<string, Uint8Array> {
  return new Map(
    of.written.members.map(({ name, offset, length }) => [name, of.file.subarray(offset, offset + length)]),
  );
}

/** Packed again with a manifest that was corrected to fit and signed with our key: what an insider, or our own bug, could do. */
async function resigned(
  parts: ReadonlyMap<string, Uint8Array>,
  edit: (manifest: Manifest) => Manifest = (m) => m,
): Promise<Buffer> {
  const manifest = decodeManifest(contents().get('manifest.json')!);
  let at = 0;
  const listed = [...parts].flatMap(([name, data]) => {
    const known = manifest.members.find((member) => member.name === name);
    const offset = at + 512;
    at += memberBytes(data.byteLength);
    return known === undefined
      ? []
      : [{ ...known, offset, length: data.byteLength, sha256: hash('sha256', data, 'hex') }];
  });
  const bytes = encodeManifest(edit({ ...manifest, members: listed }));
  const whole = new Map(parts).set('manifest.json', bytes);
  return await packFile(whole.set('manifest.sig', encodeSignature(await archive.signer.sign(bytes))));
}

const [first, second] = [0, 1].map((n) => `segments/support.chats/0000000${n}.bson.zst.esdk`) as [string, string];

async function expectFound(file: Uint8Array, member: string, what: string | RegExp): Promise<void> {
  const { withoutKey, withKey } = await findings(archive, file);
  expect(withoutKey).toMatchObject({
    code: 'ARCHIVE_CORRUPT',
    message: expect.stringMatching(what),
    ids: { member: expect.stringContaining(member) },
  });
  expect(withKey).toMatchObject({ code: 'ARCHIVE_CORRUPT', ids: { member: expect.stringContaining(member) } });
}

describe('the file', () => {
  test('untouched: nothing is found', async () => {
    expect(await findings(archive, archive.file)).toEqual({ withoutKey: null, withKey: null });
  });

  test('cut anywhere: in each header, in the data, in the padding, between members, in the end marker', async () => {
    for (const { name, offset, length } of members) {
      const cutHeader = archive.file.subarray(0, offset - 1);
      await expectFound(cutHeader, 'header after', /the file ends at byte/);
      for (const at of [offset, offset + 1, offset + length - 1]) {
        await expectFound(archive.file.subarray(0, at), name, /the file ends at byte/);
      }
    }
    for (const cut of [1, 511, 512, 513, 1024]) {
      await expectFound(archive.file.subarray(0, archive.file.byteLength - cut), 'the', /the file ends at byte/);
    }
    await expectFound(Buffer.alloc(0), 'the beginning of the file', /ends at byte 0/);
  });

  test('a bit flipped in the header, data or padding of each member', async () => {
    for (const { name, offset, length } of members) {
      for (const at of [offset - 512, offset - 300, offset - 1]) {
        await expectFound(flipped(at), 'header after', /damaged/);
      }
      const damaged = flipped(offset + (length >> 1));
      const blamed = name === 'manifest.sig' ? 'manifest' : name;
      await expectFound(damaged, blamed, /SHA-256|signed|JSON|base64|signature|Invalid/);
      if (length % 512 > 0) {
        await expectFound(flipped(offset + length), name, /padding/);
      }
    }
    const last = archive.file.byteLength - 1;
    await expectFound(flipped(last), 'the end of the file', /not zero/);
  });

  test('not a tar file, or more bytes after its end', async () => {
    await expectFound(Buffer.alloc(10_000, 'x'), 'the beginning of the file', /damaged, or not one that Moraine wrote/);
    await expectFound(Buffer.concat([archive.file, Buffer.alloc(512)]), 'the end of the file', /more bytes follow/);
  });
});

describe('the stored file', () => {
  test('its size and tree hash are held against what the vault acknowledged', async () => {
    const { bytes, treeHash } = archive.written;
    const inspect = async (expected: object) =>
      await inspectArchive(chunksOf(archive.file), {
        verify: archive.signer.verify,
        expected: { ...archive.description, ...expected },
      });
    expect((await inspect({ bytes, treeHash })).manifest.archive).toBe(archive.description.archive);
    const other = 'ab'.repeat(32);
    await expect(inspect({ bytes, treeHash: other })).rejects.toMatchObject({
      code: 'ARCHIVE_CORRUPT',
      message: `the file: its tree hash is ${treeHash}, where the vault acknowledged ${other}`,
    });
    await expect(inspect({ bytes: bytes + 1 })).rejects.toMatchObject({
      code: 'ARCHIVE_CORRUPT',
      message: `the file: it has ${bytes} bytes, where ${bytes + 1} were stored`,
    });
  });

  test('the same archive sealed and signed once more: whole in itself, but not what was stored', async () => {
    const { key, signer, description } = archive;
    const again = await writeSample(chats(3_000, 900), { key, signer });
    expect(await findings(archive, again.file)).toEqual({ withoutKey: null, withKey: null });
    const expected = { ...description, treeHash: archive.written.treeHash };
    await expect(inspectArchive(chunksOf(again.file), { verify: signer.verify, expected })).rejects.toMatchObject({
      ids: { member: 'the file' },
    });
  });
});

describe('members', () => {
  test('two swapped, under their own names or each under the other’s', async () => {
    const parts = contents();
    const order = [...parts.keys()];
    const [i, j] = [order.indexOf(first), order.indexOf(second)];
    [order[i], order[j]] = [order[j]!, order[i]!];
    await expectFound(await packFile(order.map((name) => [name, parts.get(name)!])), first, 'stands in its place');
    const swapped = new Map(parts).set(first, parts.get(second)!).set(second, parts.get(first)!);
    await expectFound(await packFile(swapped), first, `it holds the bytes of ${second}`);
  });

  test('one left out, one twice, one that is not listed', async () => {
    const parts = contents();
    for (const { name } of members) {
      const left = new Map(parts);
      left.delete(name);
      await expectFound(await packFile(left), name, /ends without it|stands in its place/);
    }
    const [all, extra] = [[...parts], ['extra', Buffer.from('x')] as const];
    await expectFound(await packFile([...all, extra]), 'extra', 'does not list it');
    await expectFound(await packFile([...all.slice(0, 2), all[1]!, ...all.slice(2)]), second, 'stands in its place');
  });

  test('one of another archive, sealed with the same key, in its place', async () => {
    const { key, signer } = archive;
    const other = await writeSample(chats(3_000, 900), {
      key,
      signer,
      description: { archive: id.archive('archive-2') },
    });
    const parts = contents().set(first, contents(other).get(first)!);
    await expectFound(await packFile(parts), first, 'SHA-256');
    // And with a manifest that was made to fit: without the key nothing is wrong, with it the context tells.
    const fitted = await resigned(parts);
    const { withoutKey, withKey } = await findings(archive, fitted);
    expect(withoutKey).toBeNull();
    expect(withKey).toMatchObject({
      code: 'ARCHIVE_CORRUPT',
      message: `${first}: it was sealed for archive archive-2, not archive-1`,
    });
    await expect(restore(archive, fitted)).rejects.toMatchObject({ ids: { member: first, archive: 'archive-1' } });
  });

  test('swapped, and the manifest made to fit: the member’s own context tells', async () => {
    const parts = contents();
    const fitted = await resigned(new Map(parts).set(first, parts.get(second)!).set(second, parts.get(first)!));
    expect((await findings(archive, fitted)).withKey).toMatchObject({ ids: { member: first } });
    await expect(restore(archive, fitted)).rejects.toMatchObject({
      message: `${first}: it was sealed for member ${second}, not ${first}`,
    });
  });

  test('a segment with other records, rightly sealed and signed: index, counts and Merkle root tell', async () => {
    const { installation, owner, customer, archive: archiveId } = archive.description;
    const context = { installation, owner, customer, archive: archiveId, member: first };
    const raws = [...chats(2, 100)];
    const sealed = await sealMember(Buffer.concat(raws), context, archive.key);
    const fitted = await resigned(contents().set(first, sealed));
    expect((await findings(archive, fitted)).withKey).toMatchObject({ code: 'ARCHIVE_CORRUPT' });
    await expect(restore(archive, fitted)).rejects.toMatchObject({
      message: expect.stringContaining('it holds 2 documents'),
    });
    const torn = await resigned(contents().set(first, await sealMember(Buffer.from('no BSON'), context, archive.key)));
    await expect(restore(archive, torn)).rejects.toMatchObject({ message: expect.stringContaining('not BSON') });
  });
});

describe('manifest and keys', () => {
  test('a manifest signed by another key, by our key’s name, or not at all', async () => {
    const parts = contents();
    const manifest = parts.get('manifest.json')!;
    for (const keyId of ['signing-1', 'signing-2']) {
      const forged = encodeSignature(await newSigner(keyId).sign(manifest));
      await expectFound(
        await packFile(parts.set('manifest.sig', forged)),
        'manifest.json',
        `not what the key ${keyId} signed`,
      );
    }
    await expectFound(await packFile(parts.set('manifest.sig', Buffer.from('{}'))), 'manifest.sig', 'keyId');
  });

  test('a manifest that was signed but contradicts itself', async () => {
    const edits: ((manifest: Manifest) => Manifest)[] = [
      (manifest) => ({ ...manifest, records: manifest.records + 1 }),
      (manifest) => ({ ...manifest, segments: 1 }),
      (manifest) => ({ ...manifest, plainBytes: 1 }),
      (manifest) => ({ ...manifest, members: manifest.members.filter((member) => member.kind !== 'index') }),
    ];
    for (const edit of edits) await expectFound(await resigned(contents(), edit), 'manifest.json', /figures|follow/);
  });

  test('a figure that only the records show: the Merkle root', async () => {
    const fitted = await resigned(contents(), (manifest) => ({ ...manifest, merkleRoot: 'ab'.repeat(32) }));
    expect((await findings(archive, fitted)).withKey).toMatchObject({
      message: expect.stringContaining('Merkle root'),
    });
  });

  test('a whole other archive in its place: the ids that the ledger expects tell', async () => {
    const { key, signer } = archive;
    const other = await writeSample([serialize({ _id: 1 })], {
      key,
      signer,
      description: { attempt: id.attempt('attempt-0') },
    });
    await expectFound(other.file, 'manifest.json', 'this is the archive of attempt attempt-0, not attempt-1');
  });

  test('another key, of the same or another name', async () => {
    const blamed = { 'attempt-1': first, 'attempt-2': 'manifest.json' };
    for (const [keyName, member] of Object.entries(blamed)) {
      const wrong = { ...archive, key: newKey(keyName) };
      const { withKey } = await findings(wrong, archive.file);
      expect(withKey).toMatchObject({
        code: 'ARCHIVE_CORRUPT',
        message: expect.stringContaining(keyName),
        ids: { member },
      });
      await expect(restore(wrong, archive.file)).rejects.toMatchObject({
        code: 'ARCHIVE_CORRUPT',
        message: expect.stringContaining(keyName),
        ids: { member: first },
      });
    }
  });
});

describe('the second pass', () => {
  test('a file that changed after it was verified: records before the change come, none of the changed member', async () => {
    const verified = await inspectArchive(chunksOf(archive.file), {
      verify: archive.signer.verify,
      expected: archive.description,
    });
    const listed = members.find((member) => member.name === second)!;
    const later = flipped(listed.offset + 9);
    let came = 0;
    const reading = async () => {
      for await (const record of readRecords(chunksOf(later), verified, archive.key)) {
        expect(record.segment).toBe(0);
        came += 1;
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: 'ARCHIVE_CORRUPT', ids: { member: second } });
    expect(came).toBe(listed.firstOrdinal);
  });

  test('another archive’s file, or one that ends early', async () => {
    const verified = await inspectArchive(chunksOf(archive.file), { verify: archive.signer.verify, expected: {} });
    const read = async (file: Uint8Array) => {
      for await (const _ of readRecords(chunksOf(file), verified, archive.key));
    };
    const other = await writeSample(chats(3_000, 900), { key: archive.key, signer: archive.signer });
    await expect(read(other.file)).rejects.toMatchObject({ ids: { member: first } });
    const parts = [...contents()];
    await expect(read(await packFile(parts.slice(0, 3)))).rejects.toMatchObject({
      message: expect.stringContaining('ends without it'),
    });
    const manifest = contents().set('manifest.json', Buffer.from('{}'));
    await expect(read(await packFile(manifest))).rejects.toMatchObject({ ids: { member: 'manifest.json' } });
  });
});
