/**
 * Least-privilege policies for an installation: each statement names the actions of one role and the vaults, buckets and
 * keys of moraine.yaml, nothing else. Pure.
 */
import { MoraineError } from '../errors.ts';
import type { OwnerId, VaultKey } from '../ids.ts';
import { allKmsKeys, type KmsKeys, kmsKeyOf } from '../keys/kms-config.ts';
import { bucketName, defaultVaultPrefix, escapeId } from '../vault/naming.ts';
import type { VaultConfig } from '../vault/vault-config.ts';
import { neverOf, ROLES, type RoleName, roleActions } from './roles.ts';

type Condition = Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;

export interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Condition;
}

export interface PolicyDocument {
  readonly Version: '2012-10-17';
  readonly Statement: readonly Statement[];
}

export interface IamInput {
  readonly installation: string;
  readonly vaults: ReadonlyMap<VaultKey, VaultConfig>;
  /** Those of moraine.yaml. */
  readonly owners: readonly OwnerId[];
  readonly kms: KmsKeys | undefined;
  /** Buckets are there already: the archiver needs no right to make them. */
  readonly bucketsExist: boolean;
}

export interface IamScope {
  readonly role: RoleName;
  /** Null: all; a reader has one. */
  readonly owner: OwnerId | null;
}

/** AWS takes this many characters without white space in a managed policy, and 10,240 in the inline ones of a role. */
export const MANAGED_POLICY_CHARACTERS = 6_144;

/** Throws USAGE for a reader of nobody, and for an owner that moraine.yaml does not name. */
export function rolePolicy(input: IamInput, { role, owner }: IamScope): PolicyDocument {
  if (role === 'reader' && owner === null) {
    throw new MoraineError('USAGE', 'A reader reads the archives of one owner: add --owner.');
  }
  if (owner !== null && !input.owners.includes(owner)) {
    throw new MoraineError('USAGE', `moraine.yaml names no owner ${owner}.`);
  }
  const owners = owner === null ? input.owners : [owner];
  const statements = [...input.vaults].flatMap(([key, vault]) => vaultStatements(input, role, owners, key, vault));
  return { Version: '2012-10-17', Statement: [...statements, ...keyStatements(input, role, owner)] };
}

function vaultStatements(
  input: IamInput,
  role: RoleName,
  owners: readonly OwnerId[],
  key: VaultKey,
  vault: VaultConfig,
): readonly Statement[] {
  const isS3 = vault.backend === 's3';
  const actions = roleActions(role, vault.backend, {
    lock: isS3 && vault.objectLock !== 'none',
    kms: isS3 && vault.encryption !== undefined,
    make: !isS3 || !input.bucketsExist,
  });
  const places = isS3 ? bucketArns(vault, input, owners) : vaultArns(vault, input, owners);
  const objects = places.map((arn) => `${arn}/*`);
  const sid = (what: string) => sidOf(role, key, what);
  const allow = (what: string, Action: readonly string[], Resource: readonly string[], condition: Condition = {}) =>
    Action.length === 0 || Resource.length === 0
      ? []
      : [{ Sid: sid(what), Effect: 'Allow' as const, Action, Resource, ...conditionOf(condition) }];
  const never = neverOf(role, vault.backend);
  return [
    // No resource can be named for what lists the account; S3 has no region in it, Glacier has.
    ...allow('Account', actions.account, ['*'], isS3 ? {} : { StringEquals: { 'aws:RequestedRegion': vault.region } }),
    ...allow('Vault', actions.vault, places),
    ...allow('Object', actions.object, objects),
    ...(isS3 && vault.encryption !== undefined
      ? allow('StorageKey', actions.storageKey, [vault.encryption.kms], {
          StringEquals: { 'kms:ViaService': `s3.${vault.region}.amazonaws.com` },
        })
      : []),
    ...(never.length === 0 || places.length === 0
      ? []
      : [
          {
            Sid: sid('Never'),
            Effect: 'Deny' as const,
            Action: never,
            Resource: isS3 ? [...places, ...objects] : places,
          },
        ]),
  ];
}

/** What KMS is asked with the wrapping keys: a writer makes data keys, a reader opens those of one owner. */
function keyStatements(input: IamInput, role: RoleName, owner: OwnerId | null): readonly Statement[] {
  const { wrapping, inContext } = ROLES[role];
  const used = owner === null ? null : kmsKeyOf(input.kms, owner);
  const keys = owner === null ? allKmsKeys(input.kms) : used === null ? [] : [used];
  const Resource = keys.map(({ key }) => key);
  if (Resource.length === 0) return [];
  const context: Condition = {
    StringEquals: {
      'kms:EncryptionContext:installation': literal(input.installation),
      ...(owner === null ? {} : { 'kms:EncryptionContext:owner': literal(owner) }),
    },
  };
  const statements: Statement[] = [];
  if (inContext.length > 0) {
    const Sid = sidOf(role, null, 'ArchiveKeys');
    statements.push({ Sid, Effect: 'Allow', Action: [...inContext], Resource, Condition: context });
  }
  if (wrapping.length > 0) {
    statements.push({ Sid: sidOf(role, null, 'LookAtKeys'), Effect: 'Allow', Action: [...wrapping], Resource });
  }
  if (role === 'reader') return statements;
  // Archive keys have a context with their installation; what S3 asks for its own objects has none.
  const Condition: Condition = { Null: { 'kms:EncryptionContext:installation': 'false' } };
  statements.push({
    Sid: sidOf(role, null, 'NeverOpens'),
    Effect: 'Deny',
    Action: ['kms:Decrypt'],
    Resource,
    Condition,
  });
  return statements;
}

type GlacierConfig = Extract<VaultConfig, { readonly backend: 'glacier' }>;
type S3Config = Extract<VaultConfig, { readonly backend: 's3' }>;

/** Names that are cut to the service's length are cut behind this many characters at the least (`src/vault/naming.ts`). */
const UNCUT_CHARACTERS = 189;

function vaultArns(vault: GlacierConfig, { installation }: IamInput, owners: readonly OwnerId[]): readonly string[] {
  const prefix = vault.prefix ?? defaultVaultPrefix(installation);
  // `-` is the account of the credentials: the policy is of that account too, and reaches no other.
  const account = vault.account === '-' ? '*' : vault.account;
  return owners.map((owner) => {
    const stem = `${prefix}.${escapeId(owner)}.`.slice(0, UNCUT_CHARACTERS);
    return `arn:${partitionOf(vault.region)}:glacier:${vault.region}:${account}:vaults/${stem}*`;
  });
}

function bucketArns(vault: S3Config, { installation }: IamInput, owners: readonly OwnerId[]): readonly string[] {
  return owners.map(
    (owner) => `arn:${partitionOf(vault.region)}:s3:::${bucketName(vault.bucket, installation, owner)}`,
  );
}

export function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn';
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
}

/** In the value of a condition `${…}` is a variable; `*` and `?` are themselves there. */
function literal(text: string): string {
  return text.replaceAll('$', '$' + '{$}');
}

function conditionOf(condition: Condition): { readonly Condition?: Condition } {
  return Object.keys(condition).length === 0 ? {} : { Condition: condition };
}

/** Letters and digits only. */
function sidOf(role: RoleName, vault: VaultKey | null, what: string): string {
  const words = ['moraine', role, ...(vault === null ? [] : vault.split('-')), what];
  return words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

/** Every role that there is to make: readers of each owner, the others for all. */
export function allScopes(input: IamInput): readonly IamScope[] {
  return [
    { role: 'archiver', owner: null },
    { role: 'purger', owner: null },
    ...input.owners.map((owner): IamScope => ({ role: 'reader', owner })),
    { role: 'auditor', owner: null },
  ];
}

export function scopeName({ role, owner }: IamScope): string {
  return owner === null ? `moraine-${role}` : `moraine-${role}-${escapeId(owner)}`;
}
