import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { decodeManifest } from '../../src/archive/manifest.ts';
import { PYTHON_OPENER } from '../../src/archive/readme.ts';
import { chats, writeSample } from './archive-samples.ts';
import { unitFile } from './archive-unit-sample.ts';

const page = readFileSync('docs/archive-format.md', 'utf8');

/** The first column of all tables. */
const explained = new Set([...page.matchAll(/^\| `([A-Za-z0-9.]+)` /gm)].map((match) => match[1]));

test('docs/archive-format.md explains every field of a manifest, and of its members, index entries and signature', async () => {
  const { file, written } = await writeSample(chats(1));
  const member = written.members.find((candidate) => candidate.name === 'manifest.json')!;
  const manifest = decodeManifest(file.subarray(member.offset, member.offset + member.length));
  const indexFields = ['_id', 'key', 'ordinal', 'segment', 'offset', 'length', 'sha256'];
  const fields = [...Object.keys(manifest), ...Object.keys(manifest.members[0]!), ...indexFields.slice(1)];
  expect(fields.filter((field) => !explained.has(field))).toEqual([]);
  for (const field of ['keyId', 'algorithm', 'signature', '_id', ...Object.keys(manifest.due)])
    expect(page).toContain(`\`${field}\``);
});

test('it explains also what only archives with children and attachments have', async () => {
  const { archive } = await unitFile();
  const member = archive.written.members.find((candidate) => candidate.name === 'manifest.json')!;
  const manifest = decodeManifest(archive.file.subarray(member.offset, member.offset + member.length));
  const fields = [
    ...Object.keys(manifest),
    ...manifest.members.flatMap((listed) => Object.keys(listed)),
    ...['root', 'kind', 'store', 'bucket', 'key', 'version', 'about', 'bytes', 'parts', 'addendumTo'],
  ];
  expect(fields.filter((field) => !explained.has(field))).toEqual([]);
  for (const totals of [manifest.children![0]!, manifest.attachments!])
    for (const field of Object.keys(totals)) expect(page).toContain(`\`${field}\``);
  for (const { kind } of manifest.members) expect(page).toContain(`\`${kind}\``);
});

test('docs/archive-format.md and README.txt have the same opener, of about twenty lines', () => {
  expect(page).toContain(PYTHON_OPENER);
  expect(PYTHON_OPENER.split('\n').length).toBeLessThanOrEqual(22);
});
