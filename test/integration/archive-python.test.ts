/** Promise 11: an archive opens with stock libraries. The opener is Python and shares no code with the writer. */
import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Binary, serialize } from 'bson';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { idBytesOf } from '../../src/archive/index-pages.ts';
import { PYTHON_SETUP_MS, pythonWithLibraries } from '../python/environment.ts';
import { chats, extremes, newKey, newSigner, type TestArchive, writeSample } from '../unit/archive-samples.ts';
import { unitFile } from '../unit/archive-unit-sample.ts';

const execute = promisify(execFile);
const OPENER = join(import.meta.dirname, '../python/open_archive.py');
const OUTPUT_BYTES = 256 * 1024 * 1024;

let python: string;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moraine-python-'));
  python = await pythonWithLibraries();
}, PYTHON_SETUP_MS);

afterAll(async () => await rm(folder, { recursive: true, force: true }));

/** Writes archive, key and public key beside each other and runs a script on them. */
async function open(script: string, archive: TestArchive, pem = archive.signer.publicKeys[0]!.pem): Promise<string> {
  const [file, key, publicKey] = ['archive.tar', 'archive.key', 'public.pem'].map((name) => join(folder, name));
  await writeFile(file!, archive.file);
  await writeFile(key!, `${Buffer.from(archive.key.bytes()).toString('hex')}\n`);
  await writeFile(publicKey!, pem);
  const { stdout } = await execute(python, [script, file!, key!, publicKey!], { maxBuffer: OUTPUT_BYTES });
  return stdout;
}

describe('the opener in Python', () => {
  test('finds every record of every kind, byte for byte, and every key', async () => {
    const large = serialize({ _id: 'large', b: new Binary(Buffer.alloc(9_000_000, 'moraine')) });
    const raws = [...extremes(), ...chats(12_000, 200), large, ...chats(3)];
    const found: unknown = JSON.parse(await open(OPENER, await writeSample(raws)));
    expect(found).toEqual({
      archive: 'archive-1',
      manifestOk: true,
      records: raws.length,
      sha256: raws.map((raw) => hash('sha256', raw, 'hex')),
      keys: raws.map((raw) => Buffer.from(idBytesOf(raw)).toString('hex')),
      children: {},
      attachments: [],
    });
  });

  test('finds the children of each collection and every attachment, byte for byte', async () => {
    const { archive, roots, comments, votes, files } = await unitFile();
    const sha256 = (all: readonly Uint8Array[]) => all.map((bytes) => hash('sha256', bytes, 'hex'));
    const found: unknown = JSON.parse(await open(OPENER, archive));
    expect(found).toMatchObject({
      sha256: sha256(roots),
      children: { 'support.comments': sha256(comments), 'support.votes': sha256(votes) },
      attachments: sha256(files),
    });
  });

  test('opens an archive of no records', async () => {
    expect(JSON.parse(await open(OPENER, await writeSample([])))).toMatchObject({ records: 0, manifestOk: true });
  });

  test('refuses another public key, another archive key, and a flipped bit', async () => {
    const archive = await writeSample(chats(5));
    await expect(open(OPENER, archive, newSigner().publicKeys[0]!.pem)).rejects.toThrow('InvalidSignature');
    await expect(open(OPENER, { ...archive, key: newKey() })).rejects.toThrow('aws_encryption_sdk');
    const segment = archive.written.members.find((member) => member.kind === 'segment')!;
    archive.file.writeUInt8(archive.file.readUInt8(segment.offset + 5) ^ 1, segment.offset + 5);
    await expect(open(OPENER, archive)).rejects.toThrow(`${segment.name} has another SHA-256`);
  });
});

test('the short opener in README.txt prints every record', async () => {
  const archive = await writeSample(chats(40));
  const readme = archive.written.members[0]!;
  const text = archive.file.subarray(readme.offset, readme.offset + readme.length).toString('utf8');
  const lines = text.split('\n');
  const from = lines.findIndex((line) => line.startsWith('    import bson'));
  const to = lines.findIndex((line) => line.endsWith('print(record)'));
  const program = lines.slice(from, to + 1).map((line) => line.replace(/^ {4}/, ''));
  const script = join(folder, 'short.py');
  await writeFile(script, program.join('\n'));
  const printed = (await open(script, archive)).trim().split('\n');
  expect(printed).toHaveLength(40);
  for (const [i, line] of printed.entries()) expect(line).toContain(`person-${i}@example.org`);
});
