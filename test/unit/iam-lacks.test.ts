import { describe, expect, test } from 'vitest';
import { lackFindings } from '../../src/cli/check-account.ts';
import { accountLacks } from '../../src/iam/lacks.ts';
import { type IamInput, type PolicyDocument, rolePolicy } from '../../src/iam/policy.ts';
import { id } from '../../src/ids.ts';
import { type AccountPort, principalOf } from '../../src/vault/account.ts';
import type { VaultConfig } from '../../src/vault/vault-config.ts';
import { isAllowed } from '../harness/iam-matcher.ts';

const DAEMON = 'arn:aws:iam::123456789012:role/daemon';
const ARCHIVER = 'arn:aws:iam::123456789012:role/archiver';
const PURGER = 'arn:aws:iam::123456789012:role/purger';
const cold: VaultConfig = { backend: 'glacier', region: 'eu-west-1', account: '123456789012' };
const input: IamInput = {
  installation: '0a1b2c3d4e5f',
  vaults: new Map([[id.vaultKey('cold'), cold]]),
  owners: Array.from({ length: 25 }, (_, at) => id.owner(`owner-${at}`)),
  kms: { default: { key: 'arn:aws:kms:eu-west-1:123456789012:key/all' }, owners: new Map() },
  bucketsExist: false,
};
const archiver = rolePolicy(input, { role: 'archiver', owner: null });
const purger = rolePolicy(input, { role: 'purger', owner: null });
const allows = ({ Statement }: PolicyDocument) => Statement.filter(({ Effect }) => Effect === 'Allow');
/** As docs/iam.md says for one role with both policies: without the denials that the other needs. */
const both: PolicyDocument = { Version: '2012-10-17', Statement: [...allows(archiver), ...allows(purger)] };

/** IAM with these policies, by principal. */
function accountOf(policies: Readonly<Record<string, PolicyDocument>>): AccountPort {
  return {
    caller: async () => DAEMON,
    refused: async (principal, { actions, resources, context }) => {
      const policy = policies[principal] ?? { Version: '2012-10-17', Statement: [] };
      return actions.flatMap((action) =>
        resources.flatMap((resource) =>
          isAllowed(policy, { action, resource, context }) ? [] : [{ action, resource }],
        ),
      );
    },
  };
}

describe('accountLacks', () => {
  test('a daemon with both policies lacks nothing, and opens nothing', async () => {
    const lacks = await accountLacks(accountOf({ [DAEMON]: both }), input, [id.vaultKey('cold'), cold]);
    expect(lacks).toEqual([
      { role: 'archiver', principal: DAEMON, refused: [], opens: false },
      { role: 'purger', principal: DAEMON, refused: [], opens: false },
    ]);
    expect(lacks.flatMap((lack) => lackFindings('cold', lack)).map(({ level }) => level)).toEqual(['ok', 'ok']);
  });

  test('a policy from before an owner came: its vaults are named, for each action', async () => {
    const before = { ...input, owners: input.owners.slice(0, 24) };
    const policy = rolePolicy(before, { role: 'archiver', owner: null });
    const [lack] = await accountLacks(accountOf({ [DAEMON]: policy }), input, [id.vaultKey('cold'), cold]);
    expect(new Set(lack?.refused.map(({ resource }) => resource.split('vaults/')[1]))).toEqual(
      new Set(['0a1b2c3d.owner-24.moraine-check']),
    );
    expect(lack?.refused.map(({ action }) => action)).toContain('glacier:UploadArchive');
  });

  test('roles of the vault are asked about, each for its own, and the process for KMS', async () => {
    const vault = { ...cold, roles: { archive: ARCHIVER, purge: PURGER } };
    const keys: PolicyDocument = {
      Version: '2012-10-17',
      Statement: allows(archiver).filter(({ Action }) => Action.every((action) => action.startsWith('kms:'))),
    };
    const good = accountOf({ [DAEMON]: keys, [ARCHIVER]: archiver, [PURGER]: purger });
    expect((await accountLacks(good, input, [id.vaultKey('cold'), vault])).map(({ refused }) => refused)).toEqual([
      [],
      [],
    ]);
    const swapped = accountOf({ [DAEMON]: keys, [ARCHIVER]: purger, [PURGER]: archiver });
    const [a, b] = await accountLacks(swapped, input, [id.vaultKey('cold'), vault]);
    expect(a?.refused.map(({ action }) => action)).toContain('glacier:UploadArchive');
    expect(b?.refused.map(({ action }) => action)).toContain('glacier:DeleteArchive');
  });

  test('a principal that may do everything lacks nothing and is told that it opens archives', async () => {
    const all: PolicyDocument = {
      Version: '2012-10-17',
      Statement: [{ Sid: 'All', Effect: 'Allow', Action: ['*'], Resource: ['*'] }],
    };
    const lacks = await accountLacks(accountOf({ [DAEMON]: all }), input, [id.vaultKey('cold'), cold]);
    expect(lacks.map(({ refused, opens }) => [refused, opens])).toEqual([
      [[], true],
      [[], true],
    ]);
    const [finding] = lacks.flatMap((lack) => lackFindings('cold', lack));
    expect(finding).toMatchObject({ level: 'warning', text: expect.stringContaining('may decrypt archive keys') });
  });

  test('one that may do nothing: an error that names a few actions, counts the others and says what to type', async () => {
    const [lack] = await accountLacks(accountOf({}), input, [id.vaultKey('cold'), cold]);
    if (lack === undefined) throw new Error('no answer');
    const [finding] = lackFindings('cold', lack);
    expect(finding).toMatchObject({
      level: 'error',
      exit: 3,
      hint: expect.stringContaining('--role archiver --vault cold'),
    });
    expect(finding?.text).toMatch(/and \d+ more\.$/);
  });
});

test('principalOf: the role behind a session; a user and a role are themselves', () => {
  expect(principalOf('arn:aws:sts::123456789012:assumed-role/daemon/i-0abc')).toBe(DAEMON);
  for (const arn of [DAEMON, 'arn:aws:iam::123456789012:user/carol']) expect(principalOf(arn)).toBe(arn);
});
