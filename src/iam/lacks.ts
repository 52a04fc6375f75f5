/**
 * What an account lacks, from dry probes: every action that the policies of `moraine iam` allow is asked of IAM for the
 * principal that makes those calls. And one that it should not have: to open what it archived.
 */
import type { OwnerId, VaultKey } from '../ids.ts';
import { allKmsKeys } from '../keys/kms-config.ts';
import type { AccountPort, RefusedCall } from '../vault/account.ts';
import type { VaultConfig } from '../vault/vault-config.ts';
import { type IamInput, rolePolicy, type Statement } from './policy.ts';
import type { RoleName } from './roles.ts';

export interface RoleLack {
  readonly role: RoleName;
  /** ARN. */
  readonly principal: string;
  readonly refused: readonly RefusedCall[];
  /** It may decrypt archive keys: then it opens what it writes or destroys. */
  readonly opens: boolean;
}

/** The daemon's two roles; readers are people, who ask for themselves. */
const DAEMON_ROLES = [
  ['archiver', 'archive'],
  ['purger', 'purge'],
] as const;

/** Probes go by a few owners' vaults at a time: IAM answers for each action with each. */
const OWNERS_AT_ONCE = 10;

/** Of one vault. Throws as the port does where IAM cannot be asked. */
export async function accountLacks(
  account: AccountPort,
  input: IamInput,
  [key, vault]: readonly [VaultKey, VaultConfig],
): Promise<readonly RoleLack[]> {
  const own = await account.caller();
  const lacks: RoleLack[] = [];
  for (const [role, act] of DAEMON_ROLES) {
    const principal = vault.roles?.[act] ?? own;
    const refused: RefusedCall[] = [];
    for (const owners of inGroups(input.owners)) {
      const document = rolePolicy({ ...input, owners, vaults: new Map([[key, vault]]) }, { role, owner: null });
      const asked = document.Statement.filter(({ Effect }) => Effect === 'Allow');
      // Calls of KMS for archive keys are the process's own.
      for (const statement of asked) {
        const isKey = statement.Sid.endsWith('ArchiveKeys') || statement.Sid.endsWith('LookAtKeys');
        refused.push(...(await account.refused(isKey ? own : principal, probeOf(statement))));
      }
    }
    lacks.push({ role, principal, refused: distinct(refused), opens: await opens(account, input, principal) });
  }
  return lacks;
}

async function opens(
  account: AccountPort,
  { installation, owners, kms }: IamInput,
  principal: string,
): Promise<boolean> {
  const resources = allKmsKeys(kms).map(({ key }) => key);
  const [owner] = owners;
  if (resources.length === 0 || owner === undefined) return false;
  const context = { 'kms:EncryptionContext:installation': installation, 'kms:EncryptionContext:owner': owner };
  const refused = await account.refused(principal, { actions: ['kms:Decrypt'], resources, context });
  return refused.length < resources.length;
}

/** A statement as calls: of each pattern one thing that it means. */
function probeOf({ Action, Resource, Condition = {} }: Statement) {
  const wanted = Object.entries(Condition['StringEquals'] ?? {});
  return {
    actions: Action,
    resources: Resource.map((pattern) => (pattern === '*' ? pattern : pattern.replace(/\*$/, 'moraine-check'))),
    context: Object.fromEntries(wanted.map(([key, value]) => [key, [value].flat()[0] ?? ''])),
  };
}

function* inGroups(owners: readonly OwnerId[]): Iterable<readonly OwnerId[]> {
  for (let at = 0; at < owners.length; at += OWNERS_AT_ONCE) yield owners.slice(at, at + OWNERS_AT_ONCE);
}

function distinct(calls: readonly RefusedCall[]): readonly RefusedCall[] {
  return [...new Map(calls.map((call) => [`${call.action} ${call.resource}`, call])).values()];
}
