import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as glacier from '@aws-sdk/client-glacier';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmulatorProcess } from './glacier-emulator-process.ts';

const accountId = '-';
const OWNER = '012345678901';
const ANN = `arn:aws:iam::${OWNER}:user/ann`;
const BEN = `arn:aws:iam::${OWNER}:user/archivists/ben`;
const FOREIGN = 'arn:aws:iam::999988887777:user/cyd';

let emulator: EmulatorProcess;
let client: glacier.GlacierClient;
let ann: glacier.GlacierClient;
let ben: glacier.GlacierClient;
let cyd: glacier.GlacierClient;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'glacier-emulator-users-'));
  const users = join(folder, 'users.json');
  const mayRead = { Effect: 'Allow', Action: ['glacier:List*', 'glacier:Describe*', 'glacier:Get*'], Resource: '*' };
  await writeFile(
    users,
    JSON.stringify([
      { arn: ANN, accessKeyId: 'ann', secretAccessKey: 'a' },
      {
        arn: BEN,
        accessKeyId: 'ben',
        secretAccessKey: 'b',
        policy: { Version: '2012-10-17', Statement: [mayRead] },
      },
      { arn: FOREIGN, accessKeyId: 'cyd', secretAccessKey: 'c' },
    ]),
  );
  emulator = await EmulatorProcess.start('--linger-seconds', '0', '--users', users);
  client = emulator.client();
  ann = emulator.client({ accessKeyId: 'ann', secretAccessKey: 'a' });
  ben = emulator.client({ accessKeyId: 'ben', secretAccessKey: 'b' });
  cyd = emulator.client({ accessKeyId: 'cyd', secretAccessKey: 'c' });
});

afterAll(async () => {
  for (const each of [client, ann, ben, cyd]) each.destroy();
  expect(await emulator.stop()).toBe(0);
  await rm(folder, { recursive: true });
});

let vaultCount = 0;
async function newVault(): Promise<string> {
  vaultCount += 1;
  const vaultName = `policies-${vaultCount}`;
  await client.send(new glacier.CreateVaultCommand({ accountId, vaultName }));
  return vaultName;
}

const arn = (vaultName: string) => `arn:aws:glacier:eu-west-1:${OWNER}:vaults/${vaultName}`;

async function upload(vaultName: string, as = client): Promise<string> {
  const input = { accountId: OWNER, vaultName, body: Buffer.from('an archive') };
  return (await as.send(new glacier.UploadArchiveCommand(input))).archiveId ?? '';
}

const remove = (vaultName: string, archiveId: string, as = client) =>
  as.send(new glacier.DeleteArchiveCommand({ accountId: OWNER, vaultName, archiveId }));

type Statement = Record<string, unknown>;

function policyOf(vaultName: string, ...statements: Statement[]): string {
  const whole = statements.map((statement) => ({ Principal: '*', Resource: arn(vaultName), ...statement }));
  return JSON.stringify({ Version: '2012-10-17', Statement: whole });
}

const setAccess = (vaultName: string, ...statements: Statement[]) =>
  client.send(
    new glacier.SetVaultAccessPolicyCommand({
      accountId,
      vaultName,
      policy: { Policy: policyOf(vaultName, ...statements) },
    }),
  );

async function lock(vaultName: string, ...statements: Statement[]): Promise<string> {
  const policy = { Policy: policyOf(vaultName, ...statements) };
  return (await client.send(new glacier.InitiateVaultLockCommand({ accountId, vaultName, policy }))).lockId ?? '';
}

const completeLock = (vaultName: string, lockId: string) =>
  client.send(new glacier.CompleteVaultLockCommand({ accountId, vaultName, lockId }));
const abortLock = (vaultName: string) => client.send(new glacier.AbortVaultLockCommand({ accountId, vaultName }));
const getLock = (vaultName: string) => client.send(new glacier.GetVaultLockCommand({ accountId, vaultName }));
const getAccess = (vaultName: string) => client.send(new glacier.GetVaultAccessPolicyCommand({ accountId, vaultName }));
const tag = (vaultName: string, Tags: Record<string, string>) =>
  client.send(new glacier.AddTagsToVaultCommand({ accountId, vaultName, Tags }));

async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof glacier.GlacierServiceException) return `${error.name}: ${error.message}`;
    throw error;
  }
  throw new Error('the call was not refused');
}

const young = {
  Effect: 'Deny',
  Action: 'glacier:DeleteArchive',
  Condition: { NumericLessThan: { 'glacier:ArchiveAgeInDays': '365' } },
};

describe('access policy', () => {
  test('set, get, replace, delete (twice is once)', async () => {
    const vaultName = await newVault();
    expect(await refusal(getAccess(vaultName))).toBe(
      `ResourceNotFoundException: No vault access policy is set for: ${arn(vaultName)}`,
    );
    const first = policyOf(vaultName, { Effect: 'Allow', Action: 'glacier:*' });
    const policy = { Policy: first };
    await client.send(new glacier.SetVaultAccessPolicyCommand({ accountId, vaultName, policy }));
    expect((await getAccess(vaultName)).policy?.Policy).toBe(first);
    await setAccess(vaultName, young);
    expect((await getAccess(vaultName)).policy?.Policy).toBe(policyOf(vaultName, young));
    for (let i = 0; i < 2; i += 1) {
      await client.send(new glacier.DeleteVaultAccessPolicyCommand({ accountId, vaultName }));
    }
    expect(await refusal(getAccess(vaultName))).toMatch(/^ResourceNotFoundException/);
  });

  test('a policy that could never take effect is refused', async () => {
    const vaultName = await newVault();
    const set = (Policy: string) =>
      client.send(new glacier.SetVaultAccessPolicyCommand({ accountId, vaultName, policy: { Policy } }));
    const allow = { Effect: 'Allow', Action: 'glacier:*' };
    for (const [policy, reason] of [
      ['not JSON', /it is not JSON/],
      ['{}', /Statement/],
      [policyOf(vaultName, { ...allow, Effect: 'ALLOW' }), /Effect/],
      [policyOf(vaultName, { ...allow, Principal: undefined }), /needs a Principal/],
      [policyOf(vaultName, { ...allow, Action: 's3:GetObject' }), /no action of the service matches s3:GetObject/],
      [policyOf(vaultName, { ...allow, Action: 'glacier:DeleteArchives' }), /no action/],
      [policyOf('another', allow), /is not the vault/],
      [policyOf(vaultName, { ...allow, Condition: { NumericBelow: { 'glacier:ArchiveAgeInDays': 1 } } }), /operator/],
      [policyOf(vaultName, { ...allow, Condition: { NumericEquals: { 'glacier:ArchiveSize': 1 } } }), /key/],
      [policyOf(vaultName, { ...allow, Sid: 'x'.repeat(20 * 1024) }), /more than 20480 bytes/],
    ] as const) {
      const refused = await refusal(set(policy));
      expect(refused).toMatch(
        /^InvalidParameterValueException: The specified vault access policy is invalid\. Provide a valid policy\. /,
      );
      expect(refused).toMatch(reason);
    }
    expect(await refusal(set(''))).toBe('MissingParameterValueException: Required parameter missing: Policy');
    expect(await refusal(getAccess(vaultName))).toMatch(/^ResourceNotFoundException/);
  });

  test('a Deny holds for whom it names, the owner too, and is told with action and vault', async () => {
    const vaultName = await newVault();
    const archiveId = await upload(vaultName, ann);
    await setAccess(vaultName, { Effect: 'Deny', Principal: { AWS: ANN }, Action: 'glacier:deletearchive' });
    expect(await refusal(remove(vaultName, archiveId, ann))).toBe(
      `AccessDeniedException: User: ${ANN} is not authorized to perform: glacier:DeleteArchive on resource: ` +
        `${arn(vaultName)} with an explicit deny in a resource-based policy`,
    );
    await upload(vaultName, ann);
    await remove(vaultName, archiveId);
    await setAccess(vaultName, { Effect: 'Deny', Principal: { AWS: [OWNER] }, Action: ['glacier:Upload*'] });
    for (const who of [client, ann]) expect(await refusal(upload(vaultName, who))).toMatch(/^AccessDeniedException/);
  });

  test("a user with a policy of its own: what that allows, and what the vault's adds", async () => {
    const vaultName = await newVault();
    await ben.send(new glacier.DescribeVaultCommand({ accountId, vaultName }));
    expect(await refusal(upload(vaultName, ben))).toBe(
      `AccessDeniedException: User: ${BEN} is not authorized to perform: glacier:UploadArchive on resource: ` +
        `${arn(vaultName)} because no identity-based policy allows the glacier:UploadArchive action`,
    );
    await setAccess(vaultName, { Effect: 'Allow', Principal: { AWS: BEN }, Action: 'glacier:UploadArchive' });
    const archiveId = await upload(vaultName, ben);
    expect(await refusal(remove(vaultName, archiveId, ben))).toMatch(/^AccessDeniedException/);
    expect((await ben.send(new glacier.ListVaultsCommand({ accountId }))).VaultList).not.toEqual([]);
    const purchase = new glacier.PurchaseProvisionedCapacityCommand({ accountId });
    expect(await refusal(ben.send(purchase))).toMatch(/^AccessDeniedException/);
    // The one thing of the account's own that is named: by the user's `Get*` on everything, not by its name.
    await ben.send(new glacier.GetDataRetrievalPolicyCommand({ accountId }));
    const set = new glacier.SetDataRetrievalPolicyCommand({ accountId, Policy: { Rules: [{ Strategy: 'None' }] } });
    expect(await refusal(ben.send(set))).toContain(
      'glacier:SetDataRetrievalPolicy on resource: arn:aws:glacier:eu-west-1:012345678901:policies/retrieval-limit-policy',
    );
  });

  test('another account: nothing but what the vault allows it, by the id of the account that owns it', async () => {
    const vaultName = await newVault();
    expect(await refusal(upload(vaultName, cyd))).toMatch(/because no resource-based policy allows/);
    await setAccess(vaultName, {
      Effect: 'Allow',
      Principal: { AWS: 'arn:aws:iam::999988887777:root' },
      Action: 'glacier:UploadArchive',
    });
    expect(await upload(vaultName, cyd)).toHaveLength(138);
    expect(await refusal(cyd.send(new glacier.DescribeVaultCommand({ accountId: OWNER, vaultName })))).toMatch(
      /^AccessDeniedException/,
    );
    expect(await refusal(cyd.send(new glacier.ListVaultsCommand({ accountId })))).toBe(
      'AccessDeniedException: User is not authorized to access account 999988887777',
    );
  });

  test('conditions on tags, time and address', async () => {
    const vaultName = await newVault();
    const held = { StringLike: { 'glacier:ResourceTag/LegalHold': ['true', ''] } };
    await setAccess(
      vaultName,
      { Effect: 'Deny', Action: 'glacier:DeleteArchive', Condition: held },
      {
        Effect: 'Deny',
        Action: 'glacier:UploadArchive',
        Condition: { DateLessThan: { 'aws:CurrentTime': '2001-01-01T00:00:00Z' } },
      },
      { Effect: 'Deny', Action: 'glacier:ListJobs', Condition: { IpAddress: { 'aws:SourceIp': '127.0.0.0/8' } } },
      { Effect: 'Deny', Action: 'glacier:ListParts', Condition: { NotIpAddress: { 'aws:SourceIp': '127.0.0.0/8' } } },
    );
    const archiveId = await upload(vaultName);
    await tag(vaultName, { LegalHold: 'true' });
    expect(await refusal(remove(vaultName, archiveId))).toMatch(/^AccessDeniedException/);
    await tag(vaultName, { LegalHold: '' });
    expect(await refusal(remove(vaultName, archiveId))).toMatch(/^AccessDeniedException/);
    await tag(vaultName, { LegalHold: 'released' });
    await remove(vaultName, archiveId);
    expect(await refusal(client.send(new glacier.ListJobsCommand({ accountId, vaultName })))).toMatch(/^AccessDenied/);
    expect(await refusal(client.send(new glacier.ListPartsCommand({ accountId, vaultName, uploadId: 'x' })))).toMatch(
      /^ResourceNotFoundException/,
    );
  });
});

describe('vault lock', () => {
  test('in progress: in force at once, to be seen, aborted and begun anew', async () => {
    const vaultName = await newVault();
    expect(await refusal(getLock(vaultName))).toMatch(/^ResourceNotFoundException/);
    await abortLock(vaultName);
    const archiveId = await upload(vaultName);
    const id = await lock(vaultName, young);
    expect(id).toMatch(/^[A-Za-z0-9_-]{24}$/);
    const { State, Policy, CreationDate, ExpirationDate } = await getLock(vaultName);
    expect({ State, Policy }).toEqual({ State: 'InProgress', Policy: policyOf(vaultName, young) });
    expect(Date.parse(ExpirationDate ?? '') - Date.parse(CreationDate ?? '')).toBe(24 * 3_600_000);
    expect(await refusal(lock(vaultName, young))).toMatch(/^AccessDeniedException/);
    expect(await refusal(remove(vaultName, archiveId))).toMatch(/^AccessDeniedException/);
    expect(await refusal(completeLock(vaultName, 'x'.repeat(24)))).toBe(
      `InvalidParameterValueException: The lock ID is not valid: ${'x'.repeat(24)}`,
    );
    await abortLock(vaultName);
    await abortLock(vaultName);
    await remove(vaultName, archiveId);
    expect(await lock(vaultName, young)).not.toBe(id);
  });

  test('not completed within 24 hours: gone, and so is its policy', async () => {
    const vaultName = await newVault();
    const archiveId = await upload(vaultName);
    const id = await lock(vaultName, young);
    await emulator.advance('PT23H59M');
    expect((await getLock(vaultName)).State).toBe('InProgress');
    await emulator.advance('PT1M');
    expect(await refusal(getLock(vaultName))).toMatch(/^ResourceNotFoundException/);
    expect(await refusal(completeLock(vaultName, id))).toMatch(/^ResourceNotFoundException/);
    await remove(vaultName, archiveId);
  });

  test('completed: for good, over kills and years; archives go when they are old enough', async () => {
    const vaultName = await newVault();
    const old = await upload(vaultName);
    const id = await lock(vaultName, young);
    await emulator.killAndRestart();
    await completeLock(vaultName, id);
    await completeLock(vaultName, id);
    await emulator.killAndRestart();
    expect(await getLock(vaultName)).toMatchObject({ State: 'Locked', Policy: policyOf(vaultName, young) });
    expect((await getLock(vaultName)).ExpirationDate ?? null).toBeNull();
    expect(await refusal(abortLock(vaultName))).toMatch(/^AccessDeniedException/);
    expect(await refusal(lock(vaultName, young))).toMatch(/^AccessDeniedException/);
    expect(await refusal(completeLock(vaultName, 'x'.repeat(24)))).toMatch(/^AccessDeniedException/);
    await emulator.advance('P364DT23H');
    const fresh = await upload(vaultName);
    expect(await refusal(remove(vaultName, old))).toMatch(/^AccessDeniedException/);
    await emulator.advance('PT1H');
    await remove(vaultName, old);
    expect(await refusal(remove(vaultName, fresh))).toMatch(/^AccessDeniedException/);
    await setAccess(vaultName, { Effect: 'Allow', Action: 'glacier:*' });
    expect(await refusal(remove(vaultName, fresh))).toMatch(/^AccessDeniedException/);
  });

  test('a lock on uploads and on a tag', async () => {
    const vaultName = await newVault();
    const closed = { 'glacier:ResourceTag/closed': 'yes' };
    await lock(vaultName, {
      Effect: 'Deny',
      Action: ['glacier:UploadArchive', 'glacier:InitiateMultipartUpload'],
      Condition: { StringEquals: closed },
    });
    await upload(vaultName);
    await tag(vaultName, { closed: 'yes' });
    expect(await refusal(upload(vaultName))).toMatch(/^AccessDeniedException/);
    const partSize = String(1024 * 1024);
    const initiate = new glacier.InitiateMultipartUploadCommand({ accountId, vaultName, partSize });
    expect(await refusal(client.send(initiate))).toMatch(/^AccessDeniedException/);
  });
});
