import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  allScopes,
  type IamInput,
  type IamScope,
  MANAGED_POLICY_CHARACTERS,
  rolePolicy,
} from '../../src/iam/policy.ts';
import { ROLE_NAMES, ROLES, type RoleName } from '../../src/iam/roles.ts';
import { terraformActions, terraformPolicies } from '../../src/iam/terraform.ts';
import { id } from '../../src/ids.ts';
import { GLACIER_ACTIONS } from '../../src/vault/glacier-actions.ts';
import { bucketName, vaultName } from '../../src/vault/naming.ts';
import { S3_ACTIONS } from '../../src/vault/s3-actions.ts';
import type { BackendActions } from '../../src/vault/vault-actions.ts';
import { type IamRequest, isAllowed } from '../harness/iam-matcher.ts';

const [ACME, BETA, ODD] = [id.owner('acme'), id.owner('beta'), id.owner(`a \${b}*`)];
const INSTALLATION = '0a1b2c3d4e5f';
const KEY = 'arn:aws:kms:eu-west-1:123456789012:key/all';
const BETA_KEY = 'arn:aws:kms:eu-west-1:123456789012:key/beta';
const STORAGE_KEY = 'arn:aws:kms:eu-west-1:123456789012:key/storage';
const input: IamInput = {
  installation: INSTALLATION,
  vaults: new Map([
    [id.vaultKey('cold'), { backend: 'glacier', region: 'eu-west-1', account: '123456789012', prefix: 'keep' }],
    [
      id.vaultKey('deep'),
      {
        backend: 's3',
        region: 'eu-west-1',
        bucket: 'keep-{owner}',
        storageClass: 'DEEP_ARCHIVE',
        objectLock: 'governance',
        encryption: { kms: STORAGE_KEY },
      },
    ],
  ]),
  owners: [ACME, BETA, ODD],
  kms: { default: { key: KEY }, owners: new Map([[BETA, { key: BETA_KEY }]]) },
  bucketsExist: false,
};
const of = (role: RoleName): IamScope => ({ role, owner: role === 'reader' ? ACME : null });
const policyOf = (role: RoleName, more: Partial<IamInput> = {}) => rolePolicy({ ...input, ...more }, of(role));

const vaultOf = (owner: typeof ACME) =>
  `arn:aws:glacier:eu-west-1:123456789012:vaults/${vaultName('keep', owner, id.customer('north'))}`;
const bucketOf = (owner: typeof ACME) => `arn:aws:s3:::${bucketName('keep-{owner}', INSTALLATION, owner)}`;
const objectOf = (owner: typeof ACME) => `${bucketOf(owner)}/north/20240601-1/20240601-2`;
const via = { 'kms:ViaService': 's3.eu-west-1.amazonaws.com' };
const contextOf = (owner: string, installation = INSTALLATION) => ({
  'kms:EncryptionContext:installation': installation,
  'kms:EncryptionContext:owner': owner,
});

/** A request of every call of a backend, with every action that it needs, against what is acme's. */
function requestsOf(name: 'glacier' | 's3', call: string): readonly IamRequest[] {
  const tables: Record<typeof name, BackendActions> = { glacier: GLACIER_ACTIONS, s3: S3_ACTIONS };
  const facts = tables[name].calls[call];
  if (facts === undefined) throw new Error(`no call ${call}`);
  const vault = name === 's3' ? bucketOf(ACME) : vaultOf(ACME);
  const resource = { account: '*', vault, object: objectOf(ACME) }[facts.scope];
  const context = { 'aws:RequestedRegion': 'eu-west-1' };
  return [
    ...[...facts.actions, ...(facts.withLock ?? [])].map((action) => ({ action, resource, context })),
    ...(facts.withKms ?? []).map((action) => ({ action, resource: STORAGE_KEY, context: via })),
  ];
}

const can = (policy: ReturnType<typeof policyOf>, name: 'glacier' | 's3', call: string) =>
  requestsOf(name, call).every((request) => isAllowed(policy, request));

/** Written by hand, from what each role is for: not from the tables that the policies are made of. */
const GLACIER: Readonly<Record<RoleName, string>> = {
  archiver:
    'ListVaults ListTagsForVault CreateVault AddTagsToVault DescribeVault UploadArchive InitiateMultipartUpload UploadMultipartPart CompleteMultipartUpload AbortMultipartUpload ListMultipartUploads',
  purger:
    'ListVaults ListTagsForVault DescribeVault InitiateJob DescribeJob GetJobOutput ListMultipartUploads AbortMultipartUpload DeleteArchive',
  reader: 'ListVaults ListTagsForVault InitiateJob ListJobs DescribeJob GetJobOutput',
  auditor: 'ListVaults ListTagsForVault DescribeVault ListJobs DescribeJob ListMultipartUploads',
};
const LOOKS =
  'ListBuckets HeadBucket GetBucketTagging GetPublicAccessBlock GetBucketVersioning GetObjectLockConfiguration GetBucketEncryption GetBucketOwnershipControls GetBucketPolicy GetBucketLifecycleConfiguration';
const S3: Readonly<Record<RoleName, string>> = {
  archiver: `${LOOKS} ListObjectVersions CreateBucket PutPublicAccessBlock PutBucketOwnershipControls PutBucketEncryption PutBucketVersioning PutBucketTagging PutObject CreateMultipartUpload UploadPart CompleteMultipartUpload ListParts AbortMultipartUpload ListMultipartUploads PutObjectRetention PutObjectLegalHold`,
  purger: `${LOOKS} ListObjectVersions HeadObject GetObject DeleteObject AbortMultipartUpload ListMultipartUploads`,
  reader: `${LOOKS} RestoreObject HeadObject GetObject`,
  auditor: `${LOOKS} ListObjectVersions ListMultipartUploads`,
};

describe.each(ROLE_NAMES)('the %s', (role) => {
  const policy = policyOf(role);

  test.each([
    ['glacier', GLACIER_ACTIONS, GLACIER[role]],
    ['s3', S3_ACTIONS, S3[role]],
  ] as const)('may make exactly its calls of %s', (name, table, wanted) => {
    const allowed = Object.keys(table.calls).filter((call) => can(policy, name, call));
    expect(allowed.sort()).toEqual(wanted.split(' ').sort());
  });

  test('may do nothing to a vault, bucket, object or key that is not of this installation, nor in another region', () => {
    const elsewhere = [
      vaultOf(ACME).replace('keep.', 'kept.'),
      vaultOf(ACME).replace('eu-west-1', 'eu-west-2'),
      vaultOf(ACME).replace('123456789012', '210987654321'),
      'arn:aws:s3:::keep',
      `${bucketOf(ACME)}-2`,
      `${bucketOf(ACME)}-2/north/a`,
      'arn:aws:kms:eu-west-1:123456789012:key/other',
    ];
    const actions = policy.Statement.flatMap(({ Effect, Action }) => (Effect === 'Allow' ? Action : []));
    const inAccount = new Set(['glacier:ListVaults', 's3:ListAllMyBuckets']);
    for (const action of actions.filter((each) => !inAccount.has(each))) {
      for (const resource of elsewhere) {
        const context = { ...via, ...contextOf('acme') };
        expect(isAllowed(policy, { action, resource, context }), `${action} ${resource}`).toBe(false);
      }
    }
  });

  test('names no action with a wildcard, and no resource that is everything but for what lists an account', () => {
    for (const { Effect, Action, Resource, Sid } of policy.Statement) {
      expect(Sid).toMatch(/^[A-Za-z0-9]+$/);
      expect(Action.filter((action) => action.includes('*'))).toEqual([]);
      if (Resource.includes('*'))
        expect({ Effect, Sid }).toMatchObject({ Effect: 'Allow', Sid: expect.stringMatching(/Account$/) });
    }
    expect(new Set(policy.Statement.map(({ Sid }) => Sid)).size).toBe(policy.Statement.length);
  });

  test('keeps its denials whatever else the same principal is allowed', () => {
    const everything = { Sid: 'All', Effect: 'Allow', Action: ['*'], Resource: ['*'] } as const;
    const wide = { ...policy, Statement: [...policy.Statement, everything] };
    for (const action of ROLES[role].never) {
      const resource = action.startsWith('glacier:') ? vaultOf(ACME) : objectOf(ACME);
      expect(isAllowed(wide, { action, resource }), action).toBe(false);
    }
    const opens = { action: 'kms:Decrypt', resource: KEY, context: contextOf('acme') };
    expect(isAllowed(wide, opens)).toBe(role === 'reader');
  });

  test('fits a managed policy for one vault and one owner', () => {
    for (const [key, vault] of input.vaults) {
      const one = rolePolicy({ ...input, owners: [ACME], vaults: new Map([[key, vault]]) }, of(role));
      expect(JSON.stringify(one).length).toBeLessThan(MANAGED_POLICY_CHARACTERS);
    }
  });
});

describe('wrapping keys of KMS', () => {
  const asks = (role: RoleName, action: string, context: Record<string, string> = {}, resource = KEY) =>
    isAllowed(policyOf(role), { action, resource, context });

  test('only the archiver makes data keys, of this installation and no other', () => {
    for (const role of ROLE_NAMES) {
      expect(asks(role, 'kms:GenerateDataKey', contextOf('acme')), role).toBe(role === 'archiver');
      expect(asks(role, 'kms:GenerateDataKey'), role).toBe(false);
      expect(asks(role, 'kms:GenerateDataKey', contextOf('acme', 'another')), role).toBe(false);
    }
    expect(asks('archiver', 'kms:GenerateDataKey', contextOf('beta'), BETA_KEY)).toBe(true);
  });

  test('only the reader opens, in the context of its owner, with the key of its owner', () => {
    for (const role of ROLE_NAMES) {
      expect(asks(role, 'kms:Decrypt', contextOf('acme')), role).toBe(role === 'reader');
      expect(asks(role, 'kms:Decrypt', contextOf('beta')), role).toBe(false);
      expect(asks(role, 'kms:Decrypt', contextOf('acme'), BETA_KEY), role).toBe(false);
      expect(asks(role, 'kms:Decrypt', contextOf('acme', 'another')), role).toBe(false);
      expect(asks(role, 'kms:Decrypt'), role).toBe(false);
    }
    const beta = rolePolicy(input, { role: 'reader', owner: BETA });
    expect(isAllowed(beta, { action: 'kms:Decrypt', resource: BETA_KEY, context: contextOf('beta') })).toBe(true);
    expect(isAllowed(beta, { action: 'kms:Decrypt', resource: KEY, context: contextOf('beta') })).toBe(false);
  });

  test('an owner whose name looks like a variable or a wildcard opens its own and no more', () => {
    const odd = rolePolicy(input, { role: 'reader', owner: ODD });
    const opens = (owner: string) =>
      isAllowed(odd, { action: 'kms:Decrypt', resource: KEY, context: contextOf(owner) });
    expect([opens(ODD), opens(`a \${b}x`), opens('acme')]).toEqual([true, false, false]);
    expect(isAllowed(odd, { action: 'glacier:InitiateJob', resource: vaultOf(ODD) })).toBe(true);
    expect(isAllowed(odd, { action: 'glacier:InitiateJob', resource: vaultOf(ACME) })).toBe(false);
  });

  test('archiver and auditor see the state of keys; nobody may change, disable or delete one', () => {
    for (const role of ROLE_NAMES) {
      const sees = role === 'archiver' || role === 'auditor';
      for (const action of ['kms:DescribeKey', 'kms:GetKeyRotationStatus']) expect(asks(role, action)).toBe(sees);
      for (const action of ['kms:ScheduleKeyDeletion', 'kms:DisableKey', 'kms:PutKeyPolicy', 'kms:CreateGrant']) {
        expect(asks(role, action, contextOf('acme'))).toBe(false);
      }
    }
  });

  test('a key that also encrypts the bucket lets the archiver decrypt for S3 only, never an archive key', () => {
    const vaults = new Map(
      [...input.vaults].map(([key, vault]) => [
        key,
        vault.backend === 's3' ? { ...vault, encryption: { kms: KEY } } : vault,
      ]),
    );
    const policy = policyOf('archiver', { vaults });
    const s3Context = { ...via, 'kms:EncryptionContext:aws:s3:arn': bucketOf(ACME) };
    expect(isAllowed(policy, { action: 'kms:Decrypt', resource: KEY, context: s3Context })).toBe(true);
    expect(isAllowed(policy, { action: 'kms:Decrypt', resource: KEY, context: { ...via, ...contextOf('acme') } })).toBe(
      false,
    );
  });
});

test('a reader reaches the vaults and buckets of its owner and of no other', () => {
  const policy = policyOf('reader');
  for (const owner of [ACME, BETA]) {
    for (const [action, resource] of [
      ['glacier:GetJobOutput', vaultOf(owner)],
      ['s3:GetObjectVersion', objectOf(owner)],
      ['s3:RestoreObject', objectOf(owner)],
    ] as const) {
      expect(isAllowed(policy, { action, resource }), `${action} ${owner}`).toBe(owner === ACME);
    }
  }
});

test('buckets that are there already: no right to make or change one, and vaults of Glacier are still made', () => {
  const policy = policyOf('archiver', { bucketsExist: true });
  for (const call of ['CreateBucket', 'PutPublicAccessBlock', 'PutBucketVersioning', 'PutBucketEncryption']) {
    expect(can(policy, 's3', call), call).toBe(false);
  }
  expect(can(policy, 's3', 'PutObject')).toBe(true);
  expect(can(policy, 'glacier', 'CreateVault')).toBe(true);
});

test('without KMS and locks nothing of them is allowed', () => {
  const vaults = new Map([
    [
      id.vaultKey('deep'),
      {
        backend: 's3',
        region: 'eu-west-1',
        bucket: 'keep-{owner}',
        storageClass: 'GLACIER',
        objectLock: 'none',
      } as const,
    ],
  ]);
  for (const role of ROLE_NAMES) {
    const allowed = policyOf(role, { vaults, kms: undefined }).Statement.flatMap(({ Effect, Action }) =>
      Effect === 'Allow' ? Action : [],
    );
    expect(allowed.filter((action) => action.startsWith('kms:'))).toEqual([]);
  }
});

test('a reader of nobody, and of an owner that moraine.yaml does not name: refused', () => {
  expect(() => rolePolicy(input, { role: 'reader', owner: null })).toThrow(/--owner/);
  expect(() => rolePolicy(input, { role: 'purger', owner: id.owner('nobody') })).toThrow(/names no owner/);
});

test('every scope, as Terraform: one policy each, with the JSON of the document and no expression in it', () => {
  const policies = allScopes(input).map((scope) => ({ scope, document: rolePolicy(input, scope) }));
  const text = terraformPolicies(policies);
  expect(text.match(/^resource "aws_iam_policy"/gm)).toHaveLength(6);
  expect(text.replaceAll(/\$\$\{/g, '')).not.toMatch(/\$\{/);
});

test('infra/terraform/actions.tf is what the roles say (else: node scripts/write-terraform.ts)', () => {
  const written = readFileSync(new URL('../../infra/terraform/actions.tf', import.meta.url), 'utf8');
  expect(written).toBe(terraformActions());
});
