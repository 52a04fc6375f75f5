import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as glacier from '@aws-sdk/client-glacier';
import { afterEach, describe, expect, test } from 'vitest';
import { LeafHasher, treeHashOf } from '../../infra/glacier-emulator/tree-hash.ts';
import { EmulatorProcess } from './glacier-emulator-process.ts';

const MIB = 1024 * 1024;
const accountId = '-';
const vaultName = 'vault';
let emulator: EmulatorProcess;
afterEach(() => emulator.stop());

function treeHash(bytes: Buffer): string {
  const hasher = new LeafHasher();
  hasher.update(bytes);
  return treeHashOf(hasher.leaves());
}

async function retrieve(client: glacier.GlacierClient, ArchiveId: string): Promise<Buffer> {
  const jobParameters = { Type: 'archive-retrieval', ArchiveId, Tier: 'Expedited' };
  const { jobId } = await client.send(new glacier.InitiateJobCommand({ accountId, vaultName, jobParameters }));
  await emulator.advance('PT5M');
  const reply = await client.send(new glacier.GetJobOutputCommand({ accountId, vaultName, jobId }));
  return Buffer.from((await reply.body?.transformToByteArray()) ?? []);
}

async function bodiesOf(): Promise<string[]> {
  const vaults = join(emulator.state, 'vaults', 'eu-west-1');
  const [vault = ''] = await readdir(vaults);
  return (await readdir(join(vaults, vault, 'bodies'))).map((name) => join(vaults, vault, 'bodies', name));
}

describe('killed and started again', () => {
  test('everything is as it was: clock, tags, archives, tombstones, parts, jobs', async () => {
    emulator = await EmulatorProcess.start();
    const client = emulator.client();
    await client.send(new glacier.CreateVaultCommand({ accountId, vaultName }));
    await client.send(new glacier.AddTagsToVaultCommand({ accountId, vaultName, Tags: { owner: 'acme' } }));
    const body = randomBytes(3 * MIB);
    const { archiveId = '' } = await client.send(new glacier.UploadArchiveCommand({ accountId, vaultName, body }));
    const deleted = await client.send(new glacier.UploadArchiveCommand({ accountId, vaultName, body }));
    await client.send(new glacier.DeleteArchiveCommand({ accountId, vaultName, archiveId: deleted.archiveId }));
    const { uploadId = '' } = await client.send(
      new glacier.InitiateMultipartUploadCommand({ accountId, vaultName, partSize: String(MIB) }),
    );
    const part = (start: number) =>
      client.send(
        new glacier.UploadMultipartPartCommand({
          accountId,
          vaultName,
          uploadId,
          range: `bytes ${start}-${start + MIB - 1}/*`,
          body: body.subarray(start, start + MIB),
        }),
      );
    await part(2 * MIB);
    await part(0);
    await emulator.advance('PT20H');
    const jobParameters = { Type: 'archive-retrieval', ArchiveId: archiveId };
    const { jobId = '' } = await client.send(new glacier.InitiateJobCommand({ accountId, vaultName, jobParameters }));

    await emulator.killAndRestart();

    const { Tags } = await client.send(new glacier.ListTagsForVaultCommand({ accountId, vaultName }));
    expect(Tags).toEqual({ owner: 'acme' });
    await client.send(new glacier.DeleteArchiveCommand({ accountId, vaultName, archiveId: deleted.archiveId }));
    await part(MIB);
    const checksum = treeHash(body);
    const complete = () =>
      client.send(
        new glacier.CompleteMultipartUploadCommand({
          accountId,
          vaultName,
          uploadId,
          archiveSize: String(body.length),
          checksum,
        }),
      );
    const completed = await complete();
    await emulator.killAndRestart();
    expect((await complete()).archiveId).toBe(completed.archiveId);
    await emulator.advance('PT5H');
    const output = await client.send(new glacier.GetJobOutputCommand({ accountId, vaultName, jobId }));
    expect(body.equals((await output.body?.transformToByteArray()) ?? Buffer.alloc(0))).toBe(true);
    expect(body.equals(await retrieve(client, completed.archiveId ?? ''))).toBe(true);
    const vault = await client.send(new glacier.DescribeVaultCommand({ accountId, vaultName }));
    // The one in a single request and the one in parts; not the deleted one.
    expect(vault).toMatchObject({ NumberOfArchives: 2, SizeInBytes: 2 * body.length });
  });

  test('in the middle of many uploads: what was acknowledged is there, whole; nothing else is left behind', async () => {
    emulator = await EmulatorProcess.start();
    const client = emulator.client();
    await client.send(new glacier.CreateVaultCommand({ accountId, vaultName }));
    const acknowledged = new Map<string, Buffer>();
    for (let round = 0; round < 4; round += 1) {
      let isKilled = false;
      const uploads = Array.from({ length: 8 }, async () => {
        while (!isKilled) {
          const body = randomBytes(1 + Math.floor(Math.random() * MIB));
          try {
            const reply = await client.send(new glacier.UploadArchiveCommand({ accountId, vaultName, body }));
            acknowledged.set(reply.archiveId ?? '', body);
          } catch (error) {
            if (!isKilled) throw error;
          }
        }
      });
      const enough = acknowledged.size + 20;
      while (acknowledged.size < enough) await new Promise((resolve) => setImmediate(resolve));
      isKilled = true;
      await emulator.killAndRestart();
      await Promise.all(uploads);
    }
    await emulator.advance('P1D');
    const jobParameters = { Type: 'inventory-retrieval' };
    const { jobId } = await client.send(new glacier.InitiateJobCommand({ accountId, vaultName, jobParameters }));
    await emulator.advance('PT4H');
    const output = await client.send(new glacier.GetJobOutputCommand({ accountId, vaultName, jobId }));
    const inventory = JSON.parse((await output.body?.transformToString()) ?? '');
    const listed = new Map<string, string>(
      inventory.ArchiveList.map((archive: { ArchiveId: string; SHA256TreeHash: string }) => [
        archive.ArchiveId,
        archive.SHA256TreeHash,
      ]),
    );
    for (const [id, body] of acknowledged) expect(listed.get(id)).toBe(treeHash(body));
    expect(await bodiesOf()).toHaveLength(listed.size);
    const [id = '', body] = [...acknowledged].at(-1) ?? [];
    expect(body?.equals(await retrieve(client, id))).toBe(true);
  });

  test('what no record names is removed', async () => {
    emulator = await EmulatorProcess.start();
    const client = emulator.client();
    await client.send(new glacier.CreateVaultCommand({ accountId, vaultName }));
    const body = randomBytes(100);
    const { archiveId = '' } = await client.send(new glacier.UploadArchiveCommand({ accountId, vaultName, body }));
    const [kept = ''] = await bodiesOf();
    await writeFile(join(kept, '..', 'half-a-body'), 'x');
    await writeFile(join(kept, '..', '..', 'archives', `${archiveId}.json.0123.tmp`), '{"id":');
    await emulator.killAndRestart();
    expect((await retrieve(client, archiveId)).equals(body)).toBe(true);
    expect(await bodiesOf()).toEqual([kept]);
    expect(await readdir(join(kept, '..', '..', 'archives'))).toEqual([`${archiveId}.json`]);
  });
});

test('shared: another user who moves the clock by years takes away neither output nor upload; `expire` does', async () => {
  emulator = await EmulatorProcess.start('--linger-seconds', '600');
  const client = emulator.client();
  await client.send(new glacier.CreateVaultCommand({ accountId, vaultName }));
  const body = randomBytes(100);
  const { archiveId } = await client.send(new glacier.UploadArchiveCommand({ accountId, vaultName, body }));
  const { uploadId } = await client.send(
    new glacier.InitiateMultipartUploadCommand({ accountId, vaultName, partSize: String(MIB) }),
  );
  const jobParameters = { Type: 'archive-retrieval', ArchiveId: archiveId };
  const { jobId } = await client.send(new glacier.InitiateJobCommand({ accountId, vaultName, jobParameters }));
  await emulator.advance('P7Y');
  const output = () => client.send(new glacier.GetJobOutputCommand({ accountId, vaultName, jobId }));
  const parts = () => client.send(new glacier.ListPartsCommand({ accountId, vaultName, uploadId }));
  expect((await output()).checksum).toBe(treeHash(body));
  expect((await parts()).Parts).toEqual([]);
  expect((await emulator.control('POST', 'expire', { vault: vaultName })).status).toBe(204);
  await expect(output()).rejects.toThrow(`The job ID was not found: ${jobId}`);
  await expect(parts()).rejects.toThrow(`The upload ID was not found: ${uploadId}`);
});

test('credentials of its own; a wrong command line ends with 2', async () => {
  emulator = await EmulatorProcess.start('--access-key', 'key', '--secret', 'a secret');
  const list = (credentials: { accessKeyId?: string; secretAccessKey?: string }) =>
    emulator.client(credentials).send(new glacier.ListVaultsCommand({ accountId }));
  expect((await list({ accessKeyId: 'key', secretAccessKey: 'a secret' })).VaultList).toEqual([]);
  await expect(list({})).rejects.toThrow('The security token included in the request is invalid.');
  await expect(EmulatorProcess.start('--linger-seconds', 'soon')).rejects.toThrow('the emulator ended with 2');
});
