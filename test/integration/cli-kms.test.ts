/** An owner whose archives KMS alone opens: archived, watched, retrieved and restored through the real command line. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateKeyCommand, EnableKeyRotationCommand, KMSClient, ScheduleKeyDeletionCommand } from '@aws-sdk/client-kms';
import { BSON } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { KMS_SETUP_MS, type KmsServer, startKms } from '../harness/kms-server.ts';
import { testNames } from '../harness/stack.ts';

const AS_OF = ['--as-of', '2024-06-01'];
let world: CliWorld;
let kms: KmsServer;
let person: KMSClient;
let key = '';
let archive = '';

beforeAll(async () => {
  [world, kms] = await Promise.all([openCliWorld(testNames(import.meta.filename)), startKms()]);
  const credentials = { accessKeyId: 'person', secretAccessKey: 'person' };
  person = new KMSClient({ region: 'eu-west-1', endpoint: kms.endpoint, credentials });
  key = (await person.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? '';
  await person.send(new EnableKeyRotationCommand({ KeyId: key }));
  world.configure({
    owners: `{ acme: { administrators: [], kms: { key: "${key}", endpoint: "${kms.endpoint}", accounts: [carol] } } }`,
  });
  const chats = world.collection('chats');
  await chats.createIndex({ owner: 1, tenant: 1, createdAt: 1, _id: 1 });
  const record = { _id: 'chat-1', owner: 'acme', tenant: 'north', createdAt: new Date('2020-03-01T10:00:00Z') };
  await chats.insertOne(record as never);
  world.writePolicy(
    'chats',
    `
policy: chats
zone: UTC
dataset: { collection: ${world.namespace('chats')}, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: createdAt }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: checksum }
limits: { records: 1000, share: 1.0 }
`,
  );
}, KMS_SETUP_MS);
afterAll(async () => {
  person?.destroy();
  await kms?.close();
  await world?.close();
});

test('check says that the key is in order, and that nothing else opens', async () => {
  const { stdout, exitCode } = await world.moraine('check');
  expect(stdout).toContain(`Key ${key} is enabled and rotates.`);
  expect(stdout).toContain('has a key of KMS and no recipient');
  expect(exitCode).toBe(0);
});

test('run archives; an identity opens nothing, --kms gives the record back', async () => {
  expect((await world.moraine('policy', 'publish', '--yes', ...AS_OF)).exitCode).toBe(0);
  const run = await world.moraine('run', '--flush', '--json', ...AS_OF);
  expect(run.exitCode, run.stdout).toBe(0);
  const [listed] = (await world.moraine('archives', '--json')).json as unknown as readonly { readonly id: string }[];
  archive = listed?.id ?? '';
  expect(await world.collection('chats').countDocuments()).toBe(0);

  expect((await world.moraine('retrieve', archive, '--yes', '--by', 'mallory')).exitCode).not.toBe(0);
  const asked = await world.moraine('retrieve', archive, '--yes', '--by', 'carol', '--json');
  expect(asked.json).toMatchObject({ archive, state: 'requested' });
  await world.emulator.advance('PT6H');
  await world.moraine('retrieve', 'list');
  const neither = await world.moraine('restore', archive, '--out', 'neither', '--json');
  expect(neither.json).toMatchObject({ error: { code: 'USAGE' } });
  const identity = await world.moraine('restore', archive, '--identity', world.identity, '--out', 'wrong', '--json');
  expect(identity.json).toMatchObject({ error: { code: 'IDENTITY_WRONG', hint: expect.stringContaining('--kms') } });
  const restored = await world.moraine('restore', archive, '--kms', '--out', 'restored', '--json');
  expect(restored.json).toMatchObject({ archive, file: expect.any(String) });
  const { file } = restored.json as unknown as { readonly file: string };
  expect(BSON.deserialize(readFileSync(join(world.folder, file)))).toMatchObject({ _id: 'chat-1', tenant: 'north' });
});

test('a key that is scheduled for deletion: check says until when and asks for a person; nothing is archived, the record stays', async () => {
  await person.send(new ScheduleKeyDeletionCommand({ KeyId: key, PendingWindowInDays: 7 }));
  const check = await world.moraine('check');
  expect(check.stdout).toContain(`Key ${key} is scheduled for deletion on 2`);
  expect(check.exitCode).toBe(3);
  const chats = world.collection('chats');
  const record = { _id: 'chat-2', owner: 'acme', tenant: 'north', createdAt: new Date('2020-03-02T10:00:00Z') };
  await chats.insertOne(record as never);
  const run = await world.moraine('run', '--flush', '--json', ...AS_OF);
  expect(run.stdout).toContain('KMS_REFUSED');
  expect(run.exitCode).not.toBe(0);
  expect(await chats.countDocuments()).toBe(1);
  const restored = await world.moraine('restore', archive, '--kms', '--out', 'again', '--json');
  expect(restored.exitCode).not.toBe(0);
});
