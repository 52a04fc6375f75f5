import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as glacier from '@aws-sdk/client-glacier';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmulatorProcess } from './glacier-emulator-process.ts';

const MIB = 1024 * 1024;
const accountId = '-';
let emulator: EmulatorProcess;
let client: glacier.GlacierClient;

beforeAll(async () => {
  emulator = await EmulatorProcess.start('--linger-seconds', '0');
  client = emulator.client();
});

afterAll(async () => {
  client.destroy();
  expect(await emulator.stop()).toBe(0);
});

let vaultCount = 0;
async function newVault(): Promise<string> {
  vaultCount += 1;
  const vaultName = `vault_${vaultCount}.x-y`;
  await client.send(new glacier.CreateVaultCommand({ accountId, vaultName }));
  return vaultName;
}

async function upload(vaultName: string, body: Buffer, archiveDescription?: string): Promise<string> {
  const input = { accountId, vaultName, body, ...(archiveDescription === undefined ? {} : { archiveDescription }) };
  const { archiveId = '' } = await client.send(new glacier.UploadArchiveCommand(input));
  return archiveId;
}

function partOf(vaultName: string, uploadId: string, start: number, body: Buffer) {
  const range = `bytes ${start}-${start + body.byteLength - 1}/*`;
  return new glacier.UploadMultipartPartCommand({ accountId, vaultName, uploadId, range, body });
}

async function startUpload(vaultName: string, partSize = MIB, archiveDescription = 'in parts'): Promise<string> {
  const { uploadId = '' } = await client.send(
    new glacier.InitiateMultipartUploadCommand({
      accountId,
      vaultName,
      partSize: String(partSize),
      archiveDescription,
    }),
  );
  return uploadId;
}

function complete(vaultName: string, uploadId: string, body: Buffer, archiveSize = body.byteLength) {
  const checksum = treeHash(body);
  return client.send(
    new glacier.CompleteMultipartUploadCommand({
      accountId,
      vaultName,
      uploadId,
      archiveSize: String(archiveSize),
      checksum,
    }),
  );
}

async function startJob(vaultName: string, jobParameters: glacier.JobParameters): Promise<string> {
  const { jobId = '' } = await client.send(new glacier.InitiateJobCommand({ accountId, vaultName, jobParameters }));
  return jobId;
}

async function output(vaultName: string, jobId: string, range?: string) {
  const reply = await client.send(
    new glacier.GetJobOutputCommand({ accountId, vaultName, jobId, ...(range === undefined ? {} : { range }) }),
  );
  const bytes = Buffer.from((await reply.body?.transformToByteArray()) ?? []);
  return { bytes, status: reply.status, checksum: reply.checksum, contentRange: reply.contentRange };
}

const describeJob = (vaultName: string, jobId: string) =>
  client.send(new glacier.DescribeJobCommand({ accountId, vaultName, jobId }));
const describeVault = (vaultName: string) => client.send(new glacier.DescribeVaultCommand({ accountId, vaultName }));

/** Straight from the definition, independent of the emulator's code. */
function treeHash(bytes: Buffer): string {
  const sha = (data: Buffer) => createHash('sha256').update(data).digest();
  const up = (level: Buffer[]): Buffer => {
    if (level.length === 1) return level[0]!;
    const next: Buffer[] = [];
    for (let i = 0; i < level.length; i += 2) {
      next.push(i + 1 < level.length ? sha(Buffer.concat([level[i]!, level[i + 1]!])) : level[i]!);
    }
    return up(next);
  };
  const leaves: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += MIB) leaves.push(sha(bytes.subarray(at, at + MIB)));
  return up(leaves).toString('hex');
}

/** What the call was refused with. A call that succeeds fails the test. */
async function refusal(call: Promise<unknown>): Promise<{ name: string; message: string; status: number | undefined }> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof glacier.GlacierServiceException)) throw error;
    return { name: error.name, message: error.message, status: error.$metadata.httpStatusCode };
  }
  throw new Error('the call was not refused');
}

const invalid = (message: string) => ({ name: 'InvalidParameterValueException', message, status: 400 });
const missing = (message: string) => ({ name: 'ResourceNotFoundException', message, status: 404 });
const arn = (vaultName: string) => `arn:aws:glacier:eu-west-1:012345678901:vaults/${vaultName}`;

describe('vaults', () => {
  test('create (twice is once), describe, delete (twice is once)', async () => {
    const vaultName = await newVault();
    const again = await client.send(new glacier.CreateVaultCommand({ accountId: '012345678901', vaultName }));
    expect(again.$metadata.httpStatusCode).toBe(201);
    expect(again.location).toBe(`/012345678901/vaults/${vaultName}`);
    const described = await describeVault(vaultName);
    expect(described).toMatchObject({ VaultName: vaultName, VaultARN: arn(vaultName), NumberOfArchives: 0 });
    expect(described.LastInventoryDate ?? null).toBeNull();
    for (let i = 0; i < 2; i += 1) {
      const deleted = await client.send(new glacier.DeleteVaultCommand({ accountId, vaultName }));
      expect(deleted.$metadata.httpStatusCode).toBe(204);
    }
    expect(await refusal(describeVault(vaultName))).toEqual(missing(`Vault not found for ARN: ${arn(vaultName)}`));
  });

  test('names: 255 characters are allowed, others refused', async () => {
    const longest = 'n'.repeat(255);
    await client.send(new glacier.CreateVaultCommand({ accountId, vaultName: longest }));
    expect((await describeVault(longest)).VaultName).toBe(longest);
    await client.send(new glacier.DeleteVaultCommand({ accountId, vaultName: longest }));
    for (const vaultName of ['n'.repeat(256), 'a b', 'a:b', 'é']) {
      const refused = await refusal(client.send(new glacier.CreateVaultCommand({ accountId, vaultName })));
      expect(refused).toEqual(invalid(`Invalid vault name: ${vaultName}`));
    }
  });

  test('another account is refused', async () => {
    const refused = await refusal(client.send(new glacier.ListVaultsCommand({ accountId: '999999999999' })));
    expect(refused).toMatchObject({ name: 'AccessDeniedException', status: 403 });
  });

  test('regions are apart; listing comes in pages of ten; the thousandth vault is the last', async () => {
    const other = emulator.client({ region: 'us-west-2' });
    const names = Array.from({ length: 1000 }, (_, i) => `v${String(i).padStart(4, '0')}`);
    for (let i = 0; i < names.length; i += 50) {
      await Promise.all(
        names.slice(i, i + 50).map((vaultName) => other.send(new glacier.CreateVaultCommand({ accountId, vaultName }))),
      );
    }
    const refused = await refusal(other.send(new glacier.CreateVaultCommand({ accountId, vaultName: 'one-too-many' })));
    expect(refused).toMatchObject({ name: 'LimitExceededException', status: 400 });
    const first = await other.send(new glacier.ListVaultsCommand({ accountId }));
    expect(first.VaultList).toHaveLength(10);
    const seen: unknown[] = [];
    for await (const page of glacier.paginateListVaults({ client: other }, { accountId })) {
      seen.push(...(page.VaultList ?? []).map(({ VaultName }) => VaultName));
    }
    expect(seen).toEqual(names);
    const older = await other.send(new glacier.ListVaultsCommand({ accountId, limit: 1000 }));
    expect(older.VaultList).toHaveLength(10);
    for (const limit of [0, 1001]) {
      expect(await refusal(other.send(new glacier.ListVaultsCommand({ accountId, limit })))).toMatchObject({
        name: 'InvalidParameterValueException',
      });
    }
    expect((await refusal(describeVault('v0000'))).name).toBe('ResourceNotFoundException');
    other.destroy();
  });

  test('tags: add, replace, remove; at most ten', async () => {
    const vaultName = await newVault();
    const add = (Tags: Record<string, string>) =>
      client.send(new glacier.AddTagsToVaultCommand({ accountId, vaultName, Tags }));
    const list = async () => (await client.send(new glacier.ListTagsForVaultCommand({ accountId, vaultName }))).Tags;
    expect(await list()).toEqual({});
    await add({ owner: 'acme', customer: 'Zoë & co'.replace(' & ', ' + ') });
    await add({ owner: 'umbra', empty: '' });
    expect(await list()).toEqual({ owner: 'umbra', customer: 'Zoë + co', empty: '' });
    await client.send(
      new glacier.RemoveTagsFromVaultCommand({ accountId, vaultName, TagKeys: ['empty', 'never there'] }),
    );
    const eight = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`k${i}`, 'v']));
    await add(eight);
    expect((await refusal(add({ eleventh: 'x' }))).name).toBe('LimitExceededException');
    expect((await refusal(add({ 'aws:x': 'x' }))).name).toBe('InvalidParameterValueException');
    expect(await list()).toEqual({ owner: 'umbra', customer: 'Zoë + co', ...eight });
  });

  test('deleting waits for an inventory that shows the vault empty', async () => {
    const vaultName = await newVault();
    const remove = () => client.send(new glacier.DeleteVaultCommand({ accountId, vaultName }));
    const refused = invalid(`Vault not empty or recently written to: ${arn(vaultName)}`);
    const archiveId = await upload(vaultName, Buffer.from('x'));
    expect(await refusal(remove())).toEqual(refused);
    await emulator.advance('P1D');
    expect(await refusal(remove())).toEqual(refused);
    await client.send(new glacier.DeleteArchiveCommand({ accountId, vaultName, archiveId }));
    expect(await refusal(remove())).toEqual(refused);
    await emulator.advance('P1D');
    await remove();
    expect((await refusal(describeVault(vaultName))).name).toBe('ResourceNotFoundException');
  });
});

describe('archives in one request', () => {
  test('ids, location and tree hash of the known vectors come back', async () => {
    const vaultName = await newVault();
    for (const [body, hash] of [
      [Buffer.alloc(MIB, 'a'), /^9bc1b2a2.*b360$/],
      [Buffer.alloc(4 * MIB, 'a'), /^9491cb2e.*b844$/],
      [Buffer.from('abc'.repeat(1_234_567)), /^5a245eddef1227623912286af0a6dd6f1a3cd67ad3d768c1490c2f8a0fafeca9$/],
    ] as const) {
      const reply = await client.send(new glacier.UploadArchiveCommand({ accountId, vaultName, body }));
      expect(reply.checksum).toMatch(hash);
      expect(reply.archiveId).toMatch(/^[A-Za-z0-9_-]{138}$/);
      expect(reply.location).toBe(`/012345678901/vaults/${vaultName}/archives/${reply.archiveId}`);
    }
  });

  test('a wrong tree hash, a wrong payload hash, an empty body and a bad description are refused, and nothing is kept', async () => {
    const vaultName = await newVault();
    const body = Buffer.from('hello');
    const wrong = 'ab'.repeat(32);
    const send = (input: Partial<glacier.UploadArchiveCommandInput>) =>
      client.send(new glacier.UploadArchiveCommand({ accountId, vaultName, body, ...input }));
    expect(await refusal(send({ checksum: wrong }))).toEqual(
      invalid(`Checksum mismatch: expected ${wrong}, computed ${treeHash(body)}`),
    );
    expect((await refusal(sendWithHeaders(send, { 'x-amz-content-sha256': wrong }))).message).toMatch(
      /^The value passed in as x-amz-content-sha256 does not match/,
    );
    expect((await refusal(send({ archiveDescription: 'x'.repeat(1025) }))).name).toBe('InvalidParameterValueException');
    expect((await refusal(send({ archiveDescription: 'café' }))).name).toBe('InvalidParameterValueException');
    const empty = sendWithHeaders((input) => send({ ...input, body: '' }), {
      'x-amz-content-sha256': createHash('sha256').digest('hex'),
      'x-amz-sha256-tree-hash': wrong,
    });
    expect(await refusal(empty)).toEqual(invalid('Invalid Content-Length: 0'));
    await emulator.advance('P1D');
    expect((await describeVault(vaultName)).LastInventoryDate ?? null).toBeNull();
    expect(await bodiesOf(emulator)).not.toContain('hello');
  });

  test('delete: again is no error, an id that never was is', async () => {
    const vaultName = await newVault();
    const archiveId = await upload(vaultName, Buffer.from('x'), 'd'.repeat(1024));
    for (let i = 0; i < 2; i += 1) {
      const reply = await client.send(new glacier.DeleteArchiveCommand({ accountId, vaultName, archiveId }));
      expect(reply.$metadata.httpStatusCode).toBe(204);
    }
    const never = 'n'.repeat(138);
    expect(
      await refusal(client.send(new glacier.DeleteArchiveCommand({ accountId, vaultName, archiveId: never }))),
    ).toEqual(missing(`The archive ID was not found: ${never}`));
  });

  test('an id of another vault is another mistake: to delete and to retrieve, also after a start', async () => {
    const vaultName = await newVault();
    const archiveId = await upload(await newVault(), Buffer.from('x'));
    const refused = invalid(`Invalid vault name: ${arn(vaultName)}`);
    const remove = () => client.send(new glacier.DeleteArchiveCommand({ accountId, vaultName, archiveId }));
    expect(await refusal(remove())).toEqual(refused);
    await emulator.killAndRestart();
    expect(await refusal(remove())).toEqual(refused);
    const retrieve = startJob(vaultName, { Type: 'archive-retrieval', ArchiveId: archiveId });
    expect(await refusal(retrieve)).toEqual(refused);
  });
});

describe('archives in parts', () => {
  test('out of order, at the same time, one part sent again: the last of each counts', async () => {
    const vaultName = await newVault();
    const body = randomBytes(5 * MIB + 12_345);
    const uploadId = await startUpload(vaultName, 2 * MIB, 'three parts');
    const starts = [4 * MIB, 0, 2 * MIB];
    await client.send(partOf(vaultName, uploadId, 2 * MIB, randomBytes(2 * MIB)));
    const replies = await Promise.all(
      starts.map((start) => client.send(partOf(vaultName, uploadId, start, body.subarray(start, start + 2 * MIB)))),
    );
    expect(replies.map(({ checksum }) => checksum)).toEqual(
      starts.map((start) => treeHash(body.subarray(start, start + 2 * MIB))),
    );
    const uploads = await client.send(new glacier.ListMultipartUploadsCommand({ accountId, vaultName }));
    expect(uploads.UploadsList).toMatchObject([{ MultipartUploadId: uploadId, ArchiveDescription: 'three parts' }]);
    const listed = await client.send(new glacier.ListPartsCommand({ accountId, vaultName, uploadId, limit: 2 }));
    expect(listed.Parts?.map(({ RangeInBytes }) => RangeInBytes)).toEqual(['0-2097151', '2097152-4194303']);
    const rest = await client.send(
      new glacier.ListPartsCommand({ accountId, vaultName, uploadId, marker: listed.Marker }),
    );
    expect(rest.Parts?.map(({ RangeInBytes }) => RangeInBytes)).toEqual([`4194304-${body.length - 1}`]);
    expect(rest.Marker ?? null).toBeNull();

    const done = await complete(vaultName, uploadId, body);
    expect(done.checksum).toBe(treeHash(body));
    expect((await complete(vaultName, uploadId, body)).archiveId).toBe(done.archiveId);
    expect((await refusal(client.send(new glacier.ListPartsCommand({ accountId, vaultName, uploadId })))).name).toBe(
      'ResourceNotFoundException',
    );
    const after = await client.send(new glacier.ListMultipartUploadsCommand({ accountId, vaultName }));
    expect(after.UploadsList).toEqual([]);

    const jobId = await startJob(vaultName, {
      Type: 'archive-retrieval',
      ArchiveId: done.archiveId,
      Tier: 'Expedited',
    });
    await emulator.advance('PT5M');
    expect((await output(vaultName, jobId)).bytes.equals(body)).toBe(true);
    const across = await output(vaultName, jobId, `bytes=${2 * MIB - 10}-${4 * MIB + 9}`);
    expect(across.bytes.equals(body.subarray(2 * MIB - 10, 4 * MIB + 10))).toBe(true);
  });

  test('part sizes', async () => {
    const vaultName = await newVault();
    for (const partSize of [0, 1, MIB / 2, 3 * MIB, 8192 * MIB]) {
      expect(await refusal(startUpload(vaultName, partSize))).toEqual(
        invalid(
          `Invalid part size: ${partSize}. Part size must not be null, must be a power of two and be between 1048576 and 4294967296 bytes.`,
        ),
      );
    }
    expect(await startUpload(vaultName, 4096 * MIB)).toHaveLength(92);
  });

  test('ranges: length, alignment, form and count of parts', async () => {
    const vaultName = await newVault();
    const uploadId = await startUpload(vaultName, MIB);
    const body = Buffer.alloc(10);
    const send = (range: string) =>
      client.send(new glacier.UploadMultipartPartCommand({ accountId, vaultName, uploadId, range, body }));
    expect(await refusal(send('bytes 0-10/*'))).toEqual(
      invalid('Content-Range: bytes 0-10/* is incompatible with Content-Length: 10'),
    );
    expect(await refusal(send('bytes 5-14/*'))).toMatchObject({ name: 'InvalidParameterValueException' });
    expect(await refusal(send('0-9'))).toEqual(invalid('Invalid Content-Range: 0-9'));
    const at = (part: number) => `bytes ${part * MIB}-${part * MIB + 9}/*`;
    expect(await refusal(send(at(10_000)))).toMatchObject({ name: 'InvalidParameterValueException' });
    expect((await send(at(9_999))).$metadata.httpStatusCode).toBe(204);
    const tooLong = partOf(vaultName, uploadId, 0, Buffer.alloc(MIB + 1));
    expect(await refusal(client.send(tooLong))).toMatchObject({ name: 'InvalidParameterValueException' });
  });

  test('completing checks size, gaps and tree hash; the upload stays open until it is right', async () => {
    const vaultName = await newVault();
    const body = randomBytes(3 * MIB);
    const uploadId = await startUpload(vaultName);
    await client.send(partOf(vaultName, uploadId, 0, body.subarray(0, MIB)));
    await client.send(partOf(vaultName, uploadId, 2 * MIB, body.subarray(2 * MIB)));
    expect(await refusal(complete(vaultName, uploadId, body))).toEqual(
      invalid('Missing content range: 1048576-2097151'),
    );
    await client.send(partOf(vaultName, uploadId, MIB, body.subarray(MIB, 2 * MIB - 1)));
    expect((await refusal(complete(vaultName, uploadId, body))).name).toBe('InvalidParameterValueException');
    await client.send(partOf(vaultName, uploadId, MIB, Buffer.alloc(MIB)));
    expect((await refusal(complete(vaultName, uploadId, body))).message).toMatch(/^Checksum mismatch: expected /);
    await client.send(partOf(vaultName, uploadId, MIB, body.subarray(MIB, 2 * MIB)));
    expect((await refusal(complete(vaultName, uploadId, body, body.length + 1))).name).toBe(
      'InvalidParameterValueException',
    );
    expect((await complete(vaultName, uploadId, body)).archiveId).toHaveLength(138);
  });

  test('a part with a wrong tree hash does not replace the one that was there', async () => {
    const vaultName = await newVault();
    const body = randomBytes(MIB);
    const uploadId = await startUpload(vaultName);
    await client.send(partOf(vaultName, uploadId, 0, body));
    const bad = new glacier.UploadMultipartPartCommand({
      ...partOf(vaultName, uploadId, 0, randomBytes(MIB)).input,
      checksum: 'ab'.repeat(32),
    });
    expect((await refusal(client.send(bad))).message).toMatch(/^Checksum mismatch/);
    await complete(vaultName, uploadId, body);
  });

  test('abort: again is no error, nothing more can be sent, a completed upload cannot be aborted', async () => {
    const vaultName = await newVault();
    const body = randomBytes(100);
    const uploadId = await startUpload(vaultName);
    const abort = (id: string) =>
      client.send(new glacier.AbortMultipartUploadCommand({ accountId, vaultName, uploadId: id }));
    await client.send(partOf(vaultName, uploadId, 0, body));
    await abort(uploadId);
    await abort(uploadId);
    const gone = missing(`The upload ID was not found: ${uploadId}`);
    expect(await refusal(client.send(partOf(vaultName, uploadId, 0, body)))).toEqual(gone);
    expect(await refusal(complete(vaultName, uploadId, body))).toEqual(gone);
    const second = await startUpload(vaultName);
    await client.send(partOf(vaultName, second, 0, body));
    await complete(vaultName, second, body);
    expect((await refusal(abort(second))).name).toBe('ResourceNotFoundException');
  });

  test('an upload that rests for a day is gone, one that got a part meanwhile is not', async () => {
    const vaultName = await newVault();
    const body = randomBytes(100);
    const resting = await startUpload(vaultName);
    const active = await startUpload(vaultName);
    await emulator.advance('PT23H');
    await client.send(partOf(vaultName, active, 0, body));
    await emulator.advance('PT1H');
    expect((await refusal(client.send(partOf(vaultName, resting, 0, body)))).name).toBe('ResourceNotFoundException');
    await complete(vaultName, active, body);
  });
});

describe('retrieval of archives', () => {
  test.each([
    ['Expedited', 'PT4M', 'PT1M'],
    ['Standard', 'PT4H59M', 'PT1M'],
    ['Bulk', 'PT11H59M', 'PT1M'],
  ])('%s takes its time, then the output is there for a day', async (Tier, almost, rest) => {
    const vaultName = await newVault();
    const body = randomBytes(5000);
    const ArchiveId = await upload(vaultName, body);
    const jobId = await startJob(vaultName, { Type: 'archive-retrieval', ArchiveId, Tier, Description: 'for Ann' });
    expect(jobId).toHaveLength(92);
    await emulator.advance(almost);
    expect(await describeJob(vaultName, jobId)).toMatchObject({
      Action: 'ArchiveRetrieval',
      ArchiveId,
      ArchiveSizeInBytes: 5000,
      ArchiveSHA256TreeHash: treeHash(body),
      Completed: false,
      JobDescription: 'for Ann',
      RetrievalByteRange: '0-4999',
      StatusCode: 'InProgress',
      Tier,
    });
    expect(await refusal(output(vaultName, jobId))).toEqual(
      invalid(`The job is not currently available for download: ${jobId}`),
    );
    await emulator.advance(rest);
    expect(await describeJob(vaultName, jobId)).toMatchObject({
      Completed: true,
      StatusCode: 'Succeeded',
      SHA256TreeHash: treeHash(body),
    });
    const got = await output(vaultName, jobId);
    expect(got).toMatchObject({ status: 200, checksum: treeHash(body) });
    expect(got.bytes.equals(body)).toBe(true);
    await emulator.advance('PT23H59M');
    expect((await output(vaultName, jobId)).bytes.equals(body)).toBe(true);
    await emulator.advance('PT1M');
    expect(await refusal(output(vaultName, jobId))).toEqual(missing(`The job ID was not found: ${jobId}`));
    expect((await refusal(describeJob(vaultName, jobId))).name).toBe('ResourceNotFoundException');
  });

  test('ranges: 206, and a tree hash only when both ranges are nodes of the tree', async () => {
    const vaultName = await newVault();
    const body = randomBytes(6 * MIB + MIB / 2);
    const ArchiveId = await upload(vaultName, body);
    const start = (RetrievalByteRange?: string) =>
      startJob(vaultName, {
        Type: 'archive-retrieval',
        ArchiveId,
        Tier: 'Expedited',
        ...(RetrievalByteRange === undefined ? {} : { RetrievalByteRange }),
      });
    const mib = (from: number, to: number) => `${from * MIB}-${Math.min(to * MIB, body.length) - 1}`;
    const whole = await start();
    const aligned = await start(mib(2, 4));
    const tail = await start(mib(4, 7));
    const unaligned = await start(mib(1, 3));
    await emulator.advance('PT5M');

    const check = async (jobId: string, offset: number, from: number, to: number, hasHash: boolean) => {
      const expected = body.subarray(offset + from, offset + to);
      const got = await output(vaultName, jobId, `bytes=${from}-${to - 1}`);
      expect(got.status).toBe(206);
      expect(got.bytes.equals(expected)).toBe(true);
      expect(got.checksum ?? null).toBe(hasHash ? treeHash(expected) : null);
      return got;
    };
    expect((await check(whole, 0, 0, 2 * MIB, true)).contentRange).toBe(`bytes 0-2097151/${body.length}`);
    await check(whole, 0, 2 * MIB, 4 * MIB, true);
    await check(whole, 0, 4 * MIB, body.length, true);
    await check(whole, 0, MIB, 3 * MIB, false);
    await check(whole, 0, 1, 100, false);
    await check(aligned, 2 * MIB, MIB, 2 * MIB, true);
    await check(aligned, 2 * MIB, 0, 5, false);
    await check(tail, 4 * MIB, 2 * MIB, 2 * MIB + MIB / 2, true);
    await check(unaligned, MIB, 0, MIB, false);

    expect((await describeJob(vaultName, aligned)).SHA256TreeHash).toBe(treeHash(body.subarray(2 * MIB, 4 * MIB)));
    expect((await describeJob(vaultName, unaligned)).SHA256TreeHash ?? null).toBeNull();
    expect((await output(vaultName, unaligned)).checksum ?? null).toBeNull();
    const lastBytes = await output(vaultName, whole, 'bytes=-7');
    expect(lastBytes.bytes.equals(body.subarray(-7))).toBe(true);
    expect((await refusal(output(vaultName, whole, `bytes=${body.length}-`))).name).toBe(
      'InvalidParameterValueException',
    );
    for (const range of ['0-1', `1-${MIB - 1}`, `0-${8 * MIB - 1}`, `${3 * MIB}-${2 * MIB - 1}`, 'all']) {
      expect((await refusal(start(range))).name).toBe('InvalidParameterValueException');
    }
  });

  test('deleted meanwhile: what was prepared can be had, what was not fails, a new job is refused', async () => {
    const vaultName = await newVault();
    const body = randomBytes(100);
    const ArchiveId = await upload(vaultName, body);
    const prepared = await startJob(vaultName, { Type: 'archive-retrieval', ArchiveId, Tier: 'Expedited' });
    await emulator.advance('PT5M');
    const waiting = await startJob(vaultName, { Type: 'archive-retrieval', ArchiveId });
    await client.send(new glacier.DeleteArchiveCommand({ accountId, vaultName, archiveId: ArchiveId }));
    expect(await refusal(startJob(vaultName, { Type: 'archive-retrieval', ArchiveId }))).toEqual(
      missing(`The archive ID was not found: ${ArchiveId}`),
    );
    await emulator.advance('PT5H');
    expect((await output(vaultName, prepared)).bytes.equals(body)).toBe(true);
    expect(await describeJob(vaultName, waiting)).toMatchObject({ Completed: true, StatusCode: 'Failed' });
    expect((await refusal(output(vaultName, waiting))).name).toBe('InvalidParameterValueException');
    await emulator.advance('P1D');
    expect((await refusal(output(vaultName, prepared))).name).toBe('ResourceNotFoundException');
    expect(await bodiesOf(emulator)).not.toContain(body.toString('latin1'));
  });

  test('lists: by status, in pages', async () => {
    const vaultName = await newVault();
    const ArchiveId = await upload(vaultName, Buffer.from('x'));
    const early = await startJob(vaultName, { Type: 'archive-retrieval', ArchiveId, Tier: 'Expedited' });
    await emulator.advance('PT5M');
    const late: string[] = [];
    for (let i = 0; i < 3; i += 1) late.push(await startJob(vaultName, { Type: 'archive-retrieval', ArchiveId }));
    const list = async (input: Partial<glacier.ListJobsCommandInput>) => {
      const ids: unknown[] = [];
      for await (const page of glacier.paginateListJobs({ client }, { accountId, vaultName, ...input })) {
        ids.push(...(page.JobList ?? []).map(({ JobId }) => JobId));
      }
      return ids;
    };
    expect(new Set(await list({ limit: 2 }))).toEqual(new Set([early, ...late]));
    expect(await list({ completed: 'true' })).toEqual([early]);
    expect(new Set(await list({ statuscode: 'InProgress' }))).toEqual(new Set(late));
    expect(await refusal(list({ statuscode: 'finished' }))).toEqual(
      invalid('The job status code is not valid: finished'),
    );
  });

  test('bad parameters', async () => {
    const vaultName = await newVault();
    const ArchiveId = await upload(vaultName, Buffer.from('x'));
    for (const [parameters, name] of [
      [{}, 'MissingParameterValueException'],
      [{ Type: 'archive-retrieval' }, 'MissingParameterValueException'],
      [{ Type: 'select', ArchiveId }, 'InvalidParameterValueException'],
      [{ Type: 'archive-retrieval', ArchiveId, Tier: 'Now' }, 'InvalidParameterValueException'],
      [{ Type: 'archive-retrieval', ArchiveId, Format: 'JSON' }, 'InvalidParameterValueException'],
      [{ Type: 'inventory-retrieval', ArchiveId }, 'InvalidParameterValueException'],
      [{ Type: 'archive-retrieval', ArchiveId, SNSTopic: 'arn:aws:sns:x' }, 'InvalidParameterValueException'],
    ] as const) {
      expect((await refusal(startJob(vaultName, parameters))).name).toBe(name);
    }
  });
});

describe('inventories', () => {
  const inventoryOf = async (vaultName: string, parameters: Partial<glacier.JobParameters> = {}) => {
    const jobId = await startJob(vaultName, { Type: 'inventory-retrieval', Format: 'JSON', ...parameters });
    await emulator.advance('PT4H');
    return { jobId, ...(await output(vaultName, jobId)) };
  };

  test('made once a day: what came or went since shows in the next one only', async () => {
    const vaultName = await newVault();
    const body = randomBytes(2 * MIB);
    const first = await upload(vaultName, body, 'first, "quoted"');
    expect(await refusal(startJob(vaultName, { Type: 'inventory-retrieval' }))).toEqual(
      missing(`The initial inventory has not been generated yet for vault: ${arn(vaultName)}`),
    );
    await emulator.advance('P1D');
    const second = await upload(vaultName, Buffer.from('second'));
    await client.send(new glacier.DeleteArchiveCommand({ accountId, vaultName, archiveId: first }));

    const jobId = await startJob(vaultName, { Type: 'inventory-retrieval' });
    await emulator.advance('PT3H59M');
    expect(await describeJob(vaultName, jobId)).toMatchObject({ StatusCode: 'InProgress', Completed: false });
    expect((await refusal(output(vaultName, jobId))).name).toBe('InvalidParameterValueException');
    await emulator.advance('PT1M');
    const stale = await output(vaultName, jobId);
    const described = await describeVault(vaultName);
    expect(described).toMatchObject({ NumberOfArchives: 1, SizeInBytes: body.length });
    expect(stale).toMatchObject({ status: 200, checksum: undefined });
    expect(JSON.parse(stale.bytes.toString())).toEqual({
      VaultARN: arn(vaultName),
      InventoryDate: described.LastInventoryDate?.replace('.000Z', 'Z'),
      ArchiveList: [
        {
          ArchiveId: first,
          ArchiveDescription: 'first, "quoted"',
          CreationDate: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
          Size: body.length,
          SHA256TreeHash: treeHash(body),
        },
      ],
    });
    expect(await describeJob(vaultName, jobId)).toMatchObject({
      Action: 'InventoryRetrieval',
      Completed: true,
      InventorySizeInBytes: stale.bytes.length,
    });

    await emulator.advance('P1D');
    const fresh = JSON.parse((await inventoryOf(vaultName)).bytes.toString());
    expect(fresh.ArchiveList.map((archive: { ArchiveId: string }) => archive.ArchiveId)).toEqual([second]);
    expect(Date.parse(fresh.InventoryDate)).toBe(Date.parse(described.LastInventoryDate ?? '') + 24 * 3_600_000);
  });

  test('an inventory dated after the Date header of a reply shows what the reply acknowledged', async () => {
    const vaultName = await newVault();
    const dates: string[] = [];
    client.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        const { response } = result;
        if (typeof response === 'object' && response !== null && 'headers' in response) {
          dates.push(String(new Headers(Object(response.headers)).get('date')));
        }
        return result;
      },
      { step: 'deserialize', name: 'dates', priority: 'low' },
    );
    await upload(vaultName, Buffer.from('x'));
    client.middlewareStack.remove('dates');
    const acknowledged = Date.parse(dates[0] ?? '');
    const { body } = await emulator.control('GET', 'clock');
    const now = Date.parse(JSON.parse(JSON.stringify(body)).now);
    expect(now - acknowledged).toBeLessThan(5000);
    expect(now - acknowledged).toBeGreaterThanOrEqual(0);
    await emulator.advance('P1D');
    const { bytes } = await inventoryOf(vaultName);
    const inventory = JSON.parse(bytes.toString());
    expect(Date.parse(inventory.InventoryDate)).toBeGreaterThan(acknowledged);
    expect(inventory.ArchiveList).toHaveLength(1);
  });

  test('limit and marker, dates, CSV, Range', async () => {
    const vaultName = await newVault();
    const ids: string[] = [];
    for (const description of ['a', 'b,"c"', 'd']) ids.push(await upload(vaultName, Buffer.from('x'), description));
    await emulator.advance('P1D');
    const page = await inventoryOf(vaultName, { InventoryRetrievalParameters: { Limit: '2' } });
    const listed = (bytes: Buffer): string[] =>
      JSON.parse(bytes.toString()).ArchiveList.map((archive: { ArchiveId: string }) => archive.ArchiveId);
    expect(listed(page.bytes)).toHaveLength(2);
    const Marker = (await describeJob(vaultName, page.jobId)).InventoryRetrievalParameters?.Marker;
    const rest = await inventoryOf(vaultName, { InventoryRetrievalParameters: { Limit: '2', Marker } });
    expect(new Set([...listed(page.bytes), ...listed(rest.bytes)])).toEqual(new Set(ids));
    expect((await describeJob(vaultName, rest.jobId)).InventoryRetrievalParameters?.Marker ?? null).toBeNull();
    const none = await inventoryOf(vaultName, { InventoryRetrievalParameters: { EndDate: '2001-01-01T00:00:00Z' } });
    expect(listed(none.bytes)).toEqual([]);
    const csv = await inventoryOf(vaultName, { Format: 'CSV' });
    expect(csv.bytes.toString()).toContain(`${ids[1]},"b,\\"c\\"",`);
    const part = await output(vaultName, csv.jobId, 'bytes=0-8');
    expect(part).toMatchObject({ status: 206, contentRange: `bytes 0-8/${csv.bytes.length}` });
    expect(part.bytes.toString()).toBe('ArchiveId');
  });
});

describe('signatures and headers', () => {
  test('a wrong secret, an unknown key, no signature', async () => {
    const list = (as: glacier.GlacierClient) => refusal(as.send(new glacier.ListVaultsCommand({ accountId })));
    expect(await list(emulator.client({ secretAccessKey: 'wrong' }))).toMatchObject({
      name: 'InvalidSignatureException',
      status: 403,
    });
    expect(await list(emulator.client({ accessKeyId: 'nobody' }))).toMatchObject({
      name: 'UnrecognizedClientException',
      status: 400,
    });
    const unsigned = await fetch(`${emulator.endpoint}/-/vaults`, {
      headers: { 'x-amz-glacier-version': '2012-06-01' },
    });
    expect(unsigned.status).toBe(400);
    expect(await unsigned.json()).toMatchObject({ code: 'MissingAuthenticationTokenException', type: 'Client' });
  });

  test('no API version, an unknown one', async () => {
    const none = await fetch(`${emulator.endpoint}/-/vaults`);
    expect(await none.json()).toEqual({
      code: 'MissingParameterValueException',
      message: 'Required parameter missing: API version',
      type: 'Client',
    });
    const other = await fetch(`${emulator.endpoint}/-/vaults`, { headers: { 'x-amz-glacier-version': '2013-01-01' } });
    expect(await other.json()).toMatchObject({ code: 'InvalidParameterValueException' });
  });

  test('what is signed cannot be changed on the way', async () => {
    const vaultName = await newVault();
    const tampered = emulator.client();
    tampered.middlewareStack.add(
      (next) => (args) => {
        const { request } = args;
        if (typeof request === 'object' && request !== null && 'headers' in request) {
          Object.assign(Object(request.headers), { 'x-amz-archive-description': 'another' });
        }
        return next(args);
      },
      { step: 'finalizeRequest', priority: 'low' },
    );
    const input = { accountId, vaultName, body: Buffer.from('x'), archiveDescription: 'mine' };
    expect((await refusal(tampered.send(new glacier.UploadArchiveCommand(input)))).name).toBe(
      'InvalidSignatureException',
    );
  });
});

describe('faults', () => {
  test('throttle and error500: nothing happened, and the SDK tries again by itself', async () => {
    const vaultName = await newVault();
    for (const [fault, name] of [
      ['throttle', 'ThrottlingException'],
      ['error500', 'ServiceUnavailableException'],
    ] as const) {
      await emulator.fault(fault, 'UploadArchive');
      expect((await refusal(upload(vaultName, Buffer.from('x')))).name).toBe(name);
      await emulator.fault(fault, 'UploadArchive');
      const patient = emulator.client({ maxAttempts: 3 });
      const input = { accountId, vaultName, body: Buffer.from('x') };
      expect((await patient.send(new glacier.UploadArchiveCommand(input))).$metadata.attempts).toBe(2);
    }
    await emulator.advance('P1D');
    expect((await describeVault(vaultName)).NumberOfArchives).toBe(2);
  });

  test('throttled in the middle of a large body: the SDK tries again by itself', async () => {
    const vaultName = await newVault();
    const body = randomBytes(24 * MIB);
    await emulator.fault('throttle', 'UploadArchive');
    const patient = emulator.client({ maxAttempts: 3 });
    const reply = await patient.send(new glacier.UploadArchiveCommand({ accountId, vaultName, body }));
    expect(reply).toMatchObject({ checksum: treeHash(body), $metadata: { attempts: 2 } });
    patient.destroy();
  });

  test('cut: no reply, no effect; lost-reply: no reply, but the effect', async () => {
    const vaultName = await newVault();
    await emulator.fault('cut', 'UploadArchive');
    await expect(upload(vaultName, Buffer.from('x'))).rejects.toThrow(/hang up|ECONNRESET|EPIPE/);
    await emulator.fault('lost-reply', 'UploadArchive');
    await expect(upload(vaultName, Buffer.from('x'))).rejects.toThrow(/hang up|ECONNRESET|EPIPE/);
    await emulator.advance('P1D');
    expect((await describeVault(vaultName)).NumberOfArchives).toBe(1);
  });

  test('output: corrupt differs from its headers, cut ends half way, then it is fine again', async () => {
    const vaultName = await newVault();
    const body = randomBytes(3 * MIB);
    const ArchiveId = await upload(vaultName, body);
    const jobId = await startJob(vaultName, { Type: 'archive-retrieval', ArchiveId, Tier: 'Expedited' });
    await emulator.advance('PT5M');
    await emulator.fault('corrupt-output', 'GetJobOutput');
    const corrupt = await output(vaultName, jobId);
    expect(corrupt.checksum).toBe(treeHash(body));
    expect(treeHash(corrupt.bytes)).not.toBe(treeHash(body));
    expect(corrupt.bytes.length).toBe(body.length);
    await emulator.fault('cut', 'GetJobOutput');
    await expect(output(vaultName, jobId)).rejects.toThrow(/aborted|terminated|ECONNRESET/);
    expect((await output(vaultName, jobId)).bytes.equals(body)).toBe(true);
  });

  test('cleared faults do not happen; a bad fault is refused', async () => {
    await emulator.fault('throttle', 'ListVaults', 5);
    expect((await emulator.control('DELETE', 'faults')).status).toBe(204);
    await client.send(new glacier.ListVaultsCommand({ accountId }));
    expect((await emulator.control('POST', 'faults', { fault: 'earthquake' })).status).toBe(400);
  });
});

test('control: health and clock; backwards and nonsense are refused', async () => {
  expect((await emulator.control('GET', 'health')).body).toMatchObject({ status: 'ok' });
  for (const body of [{ set: '2001-01-01T00:00:00Z' }, { advance: '-PT1H' }, { advance: 'soon' }, { go: 1 }, {}]) {
    expect((await emulator.control('POST', 'clock', body)).status).toBe(400);
  }
});

test('control: vaults are dropped by prefix, with all that they hold; others stay; a short prefix is refused', async () => {
  const [full, empty, other] = ['drop-me-full', 'drop-me-empty', 'dropped-never'];
  for (const vaultName of [full, empty, other]) {
    await client.send(new glacier.CreateVaultCommand({ accountId, vaultName }));
  }
  await upload(full, Buffer.from('dropped with its vault'));
  await upload(other, Buffer.from('stays'));
  await startUpload(full);
  for (const path of ['vaults', 'vaults?prefix=', 'vaults?prefix=dr', 'vaults?name=drop-me']) {
    expect((await emulator.control('DELETE', path)).status).toBe(400);
  }
  const reply = await emulator.control('DELETE', 'vaults?prefix=drop-me');
  expect(reply).toEqual({ status: 200, body: { dropped: 2 } });
  expect((await refusal(describeVault(full))).name).toBe('ResourceNotFoundException');
  expect((await refusal(describeVault(empty))).name).toBe('ResourceNotFoundException');
  expect((await describeVault(other)).VaultName).toBe(other);
  expect(await bodiesOf(emulator)).toContain('stays');
  expect(await bodiesOf(emulator)).not.toContain('dropped with its vault');
  expect((await emulator.control('DELETE', 'vaults?prefix=drop-me')).body).toEqual({ dropped: 0 });
});

/** Sends with these headers instead of the SDK's own; they are signed with the rest. */
function sendWithHeaders<T>(
  send: (input: Partial<glacier.UploadArchiveCommandInput>) => Promise<T>,
  headers: Record<string, string>,
): Promise<T> {
  client.middlewareStack.add(
    (next) => (args) => {
      const { request } = args;
      if (typeof request === 'object' && request !== null && 'headers' in request) {
        Object.assign(Object(request.headers), headers);
      }
      return next(args);
    },
    { step: 'build', name: 'headers', priority: 'low' },
  );
  return send({}).finally(() => client.middlewareStack.remove('headers'));
}

/** The content of every stored body, to prove that something is not kept. */
async function bodiesOf(of: EmulatorProcess): Promise<string[]> {
  const contents: string[] = [];
  const vaults = join(of.state, 'vaults', 'eu-west-1');
  for (const vault of await readdir(vaults)) {
    for (const file of await readdir(join(vaults, vault, 'bodies'))) {
      contents.push(await readFile(join(vaults, vault, 'bodies', file), 'latin1'));
    }
  }
  return contents;
}
