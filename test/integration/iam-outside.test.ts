/** Our policies and Terraform, judged by programs that nobody here wrote. No Terraform is at hand: its syntax is parsed. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { allScopes, type IamInput, rolePolicy, scopeName } from '../../src/iam/policy.ts';
import { ROLE_NAMES } from '../../src/iam/roles.ts';
import { terraformPolicies } from '../../src/iam/terraform.ts';
import { id } from '../../src/ids.ts';
import { PYTHON_SETUP_MS, pythonEnvironment } from '../python/environment.ts';

const MODULE = join(import.meta.dirname, '..', '..', 'infra', 'terraform');
const PYTHON = join(import.meta.dirname, '..', 'python');

const answerSchema = z.object({
  findings: z.record(z.string(), z.array(z.tuple([z.string(), z.string()]))),
  hcl: z.record(z.string(), z.record(z.string(), z.unknown())),
});

const input: IamInput = {
  installation: '0a1b2c3d4e5f',
  vaults: new Map([
    [id.vaultKey('cold'), { backend: 'glacier', region: 'eu-west-1', account: '123456789012' }],
    [
      id.vaultKey('deep'),
      {
        backend: 's3',
        region: 'eu-west-1',
        bucket: 'keep-{owner}',
        storageClass: 'DEEP_ARCHIVE',
        objectLock: 'governance',
        encryption: { kms: 'arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab' },
      },
    ],
  ]),
  owners: [id.owner('acme'), id.owner(`odd \${owner}`)],
  kms: {
    default: { key: 'arn:aws:kms:eu-west-1:123456789012:key/0987dcba-09fe-87dc-65ba-ab0987654321' },
    owners: new Map(),
  },
  bucketsExist: false,
};
const policies = allScopes(input).map((scope) => ({ scope, document: rolePolicy(input, scope) }));
const files = readdirSync(MODULE).filter((file) => file.endsWith('.tf'));

let answer: z.output<typeof answerSchema>;

beforeAll(async () => {
  const python = await pythonEnvironment('iam', 'parliament and a parser of HCL', join(PYTHON, 'iam-requirements.txt'));
  const { stdout, stderr, status } = spawnSync(python, [join(PYTHON, 'check_iam.py')], {
    encoding: 'utf8',
    input: JSON.stringify({
      policies: {
        ...Object.fromEntries(policies.map(({ scope, document }) => [scopeName(scope), JSON.stringify(document)])),
        // That it finds something at all.
        wrong: JSON.stringify({
          Version: '2012-10-17',
          Statement: [{ Effect: 'Allow', Action: ['glacier:ReadEverything'], Resource: ['*'] }],
        }),
      },
      hcl: {
        ...Object.fromEntries(files.map((file) => [file, readFileSync(join(MODULE, file), 'utf8')])),
        'policies.tf': terraformPolicies(policies),
      },
    }),
  });
  expect(status, stderr).toBe(0);
  answer = answerSchema.parse(JSON.parse(stdout));
}, PYTHON_SETUP_MS);

describe('parliament', () => {
  test('knows an action that is none', () => {
    expect(answer.findings['wrong']).toEqual([['UNKNOWN_ACTION', expect.anything()]]);
  });
  test.each(policies.map(({ scope }) => scopeName(scope)))('%s: nothing to say', (name) => {
    expect(answer.findings[name]).toEqual([]);
  });
});

describe('the parser of HCL', () => {
  test('reads the module, and what it makes', () => {
    const resources = files.flatMap((file) => labelsOf(answer.hcl[file]?.['resource']));
    expect(resources.sort()).toEqual([
      'aws_glacier_vault.customer',
      'aws_iam_role.reader',
      'aws_iam_role.role',
      'aws_iam_role_policy.reader',
      'aws_iam_role_policy.shared',
      'aws_kms_alias.archives',
      'aws_kms_key.archives',
      'aws_s3_bucket.owner',
      'aws_s3_bucket_lifecycle_configuration.owner',
      'aws_s3_bucket_ownership_controls.owner',
      'aws_s3_bucket_policy.owner',
      'aws_s3_bucket_public_access_block.owner',
      'aws_s3_bucket_server_side_encryption_configuration.owner',
      'aws_s3_bucket_versioning.owner',
    ]);
  });
  test('every variable that the module names is declared, and used', () => {
    const text = files.map((file) => readFileSync(join(MODULE, file), 'utf8')).join('\n');
    const used = new Set([...text.matchAll(/\bvar\.(\w+)/g)].map(([, name]) => name));
    const declared = new Set([...text.matchAll(/^variable "(\w+)"/gm)].map(([, name]) => name));
    expect([...used].sort()).toEqual([...declared].sort());
    const locals = new Set([...text.matchAll(/\blocal\.(\w+)/g)].map(([, name]) => name));
    for (const name of locals) expect(text, name).toMatch(new RegExp(`^  ${name}\\s+= `, 'm'));
  });
  test('reads what `moraine iam --format terraform` prints', () => {
    expect(labelsOf(answer.hcl['policies.tf']?.['resource']).sort()).toEqual(
      policies.map(({ scope }) => `aws_iam_policy.${scopeName(scope)}`).sort(),
    );
  });
  test('every list of actions of the roles is used in a policy of the module', () => {
    const roles = readFileSync(join(MODULE, 'roles.tf'), 'utf8');
    for (const list of ['account', 'vault', 'never'])
      expect(roles).toContain(`local.actions.glacier[each.value.role].${list}`);
    for (const list of ['account', 'vault', 'object', 'never', 'storage_key'])
      expect(roles).toContain(`local.actions.s3[each.value.role].${list}`);
    for (const list of ['in_context', 'look'])
      expect(roles).toContain(`local.actions.wrapping[each.value.role].${list}`);
    expect(ROLE_NAMES).toHaveLength(4);
  });
});

function labelsOf(blocks: unknown): string[] {
  const plain = z.array(z.record(z.string(), z.record(z.string(), z.unknown()))).parse(blocks ?? []);
  return plain.flatMap((block) =>
    Object.entries(block).flatMap(([type, names]) =>
      Object.keys(names).map((name) => `${type}.${name}`.replaceAll('"', '')),
    ),
  );
}
