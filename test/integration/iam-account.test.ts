/** The dry probes of `moraine check` against IAM and STS of LocalStack, and `moraine iam` through the real command line. */
import { CreateRoleCommand, IAMClient, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type IamInput, rolePolicy } from '../../src/iam/policy.ts';
import { id } from '../../src/ids.ts';
import { AwsAccount } from '../../src/vault/account.ts';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { KMS_SETUP_MS, type KmsServer, startKms } from '../harness/kms-server.ts';
import { testNames } from '../harness/stack.ts';

const POLICY = `
policy: chats
zone: UTC
dataset: { collection: nowhere.chats, owner: { value: acme }, customer: { field: tenant } }
trigger: { field: createdAt }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: checksum }
limits: { records: 1000, share: 1.0 }
`;

let server: KmsServer;
let world: CliWorld;
let iam: IAMClient;
let account: AwsAccount;

beforeAll(async () => {
  [server, world] = await Promise.all([startKms('iam,sts'), openCliWorld(testNames(import.meta.filename))]);
  const credentials = { accessKeyId: 'person', secretAccessKey: 'person' };
  iam = new IAMClient({ region: 'eu-west-1', endpoint: server.endpoint, credentials });
  account = new AwsAccount('eu-west-1', server.endpoint);
}, KMS_SETUP_MS);
afterAll(async () => {
  account?.close();
  iam?.destroy();
  await Promise.all([server?.close(), world?.close()]);
});

test('STS says who we are; IAM says which of some calls a role may not make', async () => {
  expect(await account.caller()).toMatch(/^arn:aws:(iam|sts)::\d{12}:/);
  const input: IamInput = {
    installation: '0a1b2c3d4e5f',
    vaults: new Map([[id.vaultKey('cold'), { backend: 'glacier', region: 'eu-west-1', account: '123456789012' }]]),
    owners: [id.owner('acme')],
    kms: undefined,
    bucketsExist: false,
  };
  const trust = {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS: '*' }, Action: 'sts:AssumeRole' }],
  };
  const made = await iam.send(
    new CreateRoleCommand({ RoleName: 'archiver', AssumeRolePolicyDocument: JSON.stringify(trust) }),
  );
  const PolicyDocument = JSON.stringify(rolePolicy(input, { role: 'archiver', owner: null }));
  await iam.send(new PutRolePolicyCommand({ RoleName: 'archiver', PolicyName: 'archiver', PolicyDocument }));
  // LocalStack compares resources as text, so it is asked about the pattern itself; patterns are the unit tests'.
  const resource = 'arn:aws:glacier:eu-west-1:123456789012:vaults/0a1b2c3d.acme.*';
  const refused = await account.refused(made.Role?.Arn ?? '', {
    actions: ['glacier:UploadArchive', 'glacier:DeleteArchive'],
    resources: [resource],
    context: {},
  });
  expect(refused).toEqual([{ action: 'glacier:DeleteArchive', resource }]);
});

test('a principal that IAM does not know: refused, and not taken for one that lacks everything', async () => {
  const asked = account.refused('arn:aws:iam::000000000000:role/nobody', {
    actions: ['glacier:UploadArchive'],
    resources: ['*'],
    context: {},
  });
  await expect(asked).rejects.toMatchObject({ code: 'VAULT_REFUSED' });
});

test('moraine iam: one policy as AWS takes it, all of them by name, and Terraform', async () => {
  world.writePolicy('chats', POLICY);
  const one = await world.moraine('iam', '--role', 'reader', '--owner', 'acme');
  expect(one.exitCode, one.stdout + one.stderr).toBe(0);
  expect(JSON.parse(one.stdout)).toMatchObject({ Version: '2012-10-17', Statement: expect.any(Array) });
  expect((await world.moraine('iam', '--json')).json).toMatchObject({
    policies: [
      { name: 'moraine-archiver' },
      { name: 'moraine-purger' },
      { name: 'moraine-reader-acme', owner: 'acme' },
      { name: 'moraine-auditor' },
    ],
  });
  const terraform = await world.moraine('iam', '--format', 'terraform', '--vault', 'cold');
  expect(terraform.stdout.match(/^resource "aws_iam_policy"/gm)).toHaveLength(4);
  expect((await world.moraine('iam', '--role', 'reader')).exitCode).toBe(2);
  expect((await world.moraine('iam', '--vault', 'nothing')).exitCode).toBe(2);
});
