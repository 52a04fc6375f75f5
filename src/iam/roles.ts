/**
 * The four roles, as data: which methods of the vault port each act of theirs calls, and what it never may, whatever those
 * methods would like. Policies and Terraform are made from this and from the tables of calls beside the backends.
 *
 * What AWS cannot tell apart decides two things here. S3 gives an object's metadata only to who may read it
 * (s3:GetObject), and Glacier's InitiateJob and GetJobOutput are the same for an inventory and for an archive. So who
 * takes inventories could fetch what is stored, which is noise without a key; the archiver and the auditor, who need no
 * inventory, are denied both.
 */
import { GLACIER_ACTIONS } from '../vault/glacier-actions.ts';
import { S3_ACTIONS } from '../vault/s3-actions.ts';
import { actionsFor, type BackendActions, type VaultMethod } from '../vault/vault-actions.ts';

export const ROLE_NAMES = ['archiver', 'purger', 'reader', 'auditor'] as const;
export type RoleName = (typeof ROLE_NAMES)[number];
export type BackendName = 'glacier' | 's3';

export interface Role {
  /** One line, for policies and help. */
  readonly about: string;
  readonly methods: readonly VaultMethod[];
  /** Denied in so many words, so that no other policy of the same principal gives it. Actions with `*` at their end. */
  readonly never: readonly string[];
  /** On the keys of KMS that wrap archive keys. */
  readonly wrapping: readonly string[];
  /** Of these at least the first is bound to the encryption context. */
  readonly inContext: readonly string[];
}

const READS = [
  'glacier:GetJobOutput',
  'glacier:InitiateJob',
  's3:GetObject',
  's3:GetObjectVersion',
  's3:RestoreObject',
];
const WRITES = [
  'glacier:UploadArchive',
  'glacier:InitiateMultipartUpload',
  'glacier:UploadMultipartPart',
  'glacier:CompleteMultipartUpload',
  's3:PutObject',
];
const DELETES = [
  'glacier:DeleteArchive',
  'glacier:DeleteVault',
  's3:DeleteObject',
  's3:DeleteObjectVersion',
  's3:DeleteBucket',
  's3:PutLifecycleConfiguration',
];
/** Nobody's: they undo what a lock promises. */
const UNLOCKS = ['glacier:AbortVaultLock', 's3:BypassGovernanceRetention'];
/** Locks are the archiver's alone: who deletes must not lift what keeps it from that. */
const LOCKS = ['s3:PutObjectLegalHold', 's3:PutObjectRetention'];
const LOOK_AT_KEYS = ['kms:DescribeKey', 'kms:GetKeyRotationStatus'];

export const ROLES: Readonly<Record<RoleName, Role>> = {
  archiver: {
    about: 'may write archives and lock them; may neither read nor delete any',
    methods: [
      'serverTime',
      'ensure',
      'inspect',
      'vaultCount',
      'storeWhole',
      'beginUpload',
      'sendPart',
      'completeUpload',
      'abortUpload',
      'listUploads',
      'lockUntil',
      'mirrorHold',
    ],
    never: [...READS, ...DELETES, ...UNLOCKS],
    wrapping: LOOK_AT_KEYS,
    inContext: ['kms:GenerateDataKey'],
  },
  purger: {
    about: 'may take inventories, verify by them, and delete; may neither write nor open any archive',
    methods: [
      'serverTime',
      'inspect',
      'vaultCount',
      'foundVaults',
      'listUploads',
      'abortUpload',
      'requestInventory',
      'inventoryState',
      'readInventory',
      'deleteArchive',
      'deleteAbandoned',
    ],
    never: [...WRITES, ...UNLOCKS, ...LOCKS, 's3:RestoreObject', 's3:DeleteBucket', 'glacier:DeleteVault'],
    wrapping: [],
    inContext: [],
  },
  reader: {
    about: 'may retrieve, read and open the archives of one owner; may neither write nor delete any',
    methods: ['serverTime', 'inspect', 'requestRetrieval', 'findRetrieval', 'retrievalState', 'readRetrieval'],
    never: [...WRITES, ...DELETES, ...UNLOCKS, ...LOCKS],
    wrapping: [],
    inContext: ['kms:Decrypt'],
  },
  auditor: {
    about: 'may list vaults, archives, uploads, jobs, tags and settings; may neither read, write nor delete content',
    methods: ['serverTime', 'inspect', 'vaultCount', 'foundVaults', 'listUploads', 'findRetrieval', 'retrievalState'],
    never: [...READS, ...WRITES, ...DELETES, ...UNLOCKS, ...LOCKS],
    wrapping: LOOK_AT_KEYS,
    inContext: [],
  },
};

/** Beyond what Moraine calls: what an auditor asks in the console of AWS. */
const AUDITOR_ALSO: Readonly<Record<BackendName, readonly string[]>> = {
  glacier: ['glacier:DescribeVault', 'glacier:GetVaultAccessPolicy', 'glacier:GetVaultLock'],
  s3: ['s3:GetBucketLocation'],
};

export interface ScopedActions {
  readonly account: readonly string[];
  /** The vault, or the bucket. */
  readonly vault: readonly string[];
  readonly object: readonly string[];
  /** On the key of KMS that S3 encrypts the bucket with. */
  readonly storageKey: readonly string[];
}

export interface RoleOptions {
  /** Archives are locked until their date, or holds are mirrored. */
  readonly lock: boolean;
  /** S3 encrypts with a key of KMS. */
  readonly kms: boolean;
  /** Vaults or buckets are made by Moraine and not by a person. */
  readonly make: boolean;
}

const BACKENDS: Readonly<Record<BackendName, BackendActions>> = { glacier: GLACIER_ACTIONS, s3: S3_ACTIONS };

/** What a role may do at a backend, by what it may do it to. */
export function roleActions(role: RoleName, backend: BackendName, options: RoleOptions): ScopedActions {
  const { methods, never } = ROLES[role];
  const found = new Map(actionsFor(BACKENDS[backend], methods, options).map(({ scope, actions }) => [scope, actions]));
  const of = (scope: 'account' | 'vault' | 'object' | 'kms-key', more: readonly string[] = []) =>
    [...new Set([...(found.get(scope) ?? []), ...more])].filter((action) => !isIn(action, never)).sort();
  const object = of('object');
  return {
    account: of('account'),
    vault: of('vault', role === 'auditor' ? AUDITOR_ALSO[backend] : []),
    object,
    // Whoever neither reads nor writes objects asks nothing of the key that they are encrypted with.
    storageKey: object.some((action) => action === 's3:PutObject' || action === 's3:GetObject') ? of('kms-key') : [],
  };
}

/** Does an action match one of these, of which some end with `*`? */
export function isIn(action: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? action.startsWith(pattern.slice(0, -1)) : action === pattern,
  );
}

/** The denials of a role that concern a service. */
export function neverOf(role: RoleName, backend: BackendName): readonly string[] {
  return ROLES[role].never.filter((action) => action.startsWith(`${backend}:`)).sort();
}
