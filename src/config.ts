/**
 * moraine.yaml, read once at start. The only reader of the environment: everything else gets what it needs from here.
 *
 * No secret is ever shown: messages quote the file (`${NAME}`, not its value), and addresses without credentials.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { outsideLoopback } from './config/loopback.ts';
import { findPolicyFiles } from './config/policy-files.ts';
import { type ConfigText, configKeysAt, configSchema } from './config/schema.ts';
import type { Environment } from './environment.ts';
import { isMoraineError, MoraineError } from './errors.ts';
import { id, type OwnerId, type VaultKey } from './ids.ts';
import { type KmsKeys, kmsKeyOf, regionOfKey } from './keys/kms-config.ts';
import type { Administrator } from './keys/recipients.ts';
import { readSigningKey } from './keys/signing.ts';
import type { ApprovalRules } from './ledger/approval-document.ts';
import type { Placement } from './lifecycle/placement.ts';
import type { NotifyConfig } from './notify/notify-config.ts';
import type { PolicyFile } from './policy/load.ts';
import { addPeriod, periodOf } from './policy/period.ts';
import type { AttachmentStore } from './source/attachment-store.ts';
import type { HeadsAddress } from './vault/heads-config.ts';
import type { VaultConfig } from './vault/vault-config.ts';
import { checkYaml, problemsError, readYaml, type YamlProblem, type YamlSource } from './yaml-problems.ts';

export interface DatabaseAddress {
  readonly url: string;
  readonly database: string;
}

export interface RetrievalsConfig {
  /** Absolute; null: finished retrievals stay in the vault until they are read. */
  readonly folder: string | null;
  readonly keepMs: number;
  readonly inFlight: number;
}

export interface Config {
  /** As it was named, for messages. */
  readonly file: string;
  /** Absolute: what paths in the file are relative to. */
  readonly directory: string;
  readonly environment: Environment;
  /** Server of the ledger, and of the datasets. */
  readonly mongodb: { readonly url: string; readonly ledger: string };
  /** Null: no daemon and no queue here. */
  readonly redis: { readonly url: string } | null;
  readonly keys: {
    readonly first: DatabaseAddress;
    readonly second: DatabaseAddress | null;
    /** ISO 8601. */
    readonly backupMaxAge: string | null;
    /** ISO 8601: how long an administrator's proof of possession counts. Absent: for good. */
    readonly proofEvery?: string;
  };
  /** Keys of KMS; absent: none. */
  readonly kms?: KmsKeys;
  /** Text of `signingKey: FILE`, an Ed25519 private key. */
  readonly signingKeyPem: string | null;
  readonly vaults: ReadonlyMap<VaultKey, VaultConfig>;
  /** Stores of S3 objects that hang on records, by name. */
  readonly attachments: ReadonlyMap<string, AttachmentStore>;
  /** Where a non-production installation may restore to, beside its own server. */
  readonly restoreHosts: readonly string[];
  /** By owner id (`src/ids.ts`). */
  readonly owners: ReadonlyMap<OwnerId, readonly Administrator[]>;
  /** Who looks at what is in quarantine and whom mail goes to, where moraine.yaml says so. */
  readonly contacts: ReadonlyMap<OwnerId, string>;
  /** Found, not understood: `src/policy` parses them. */
  readonly policies: readonly PolicyFile[];
  readonly approvals: ApprovalRules;
  readonly placement: Placement;
  /** Null: owners are not told. */
  readonly notify: NotifyConfig | null;
  /** Absent, null: heads of the audit chain are published nowhere. */
  readonly auditHeads?: AuditHeadsConfig | null;
  /** Absent: nothing is fetched, and the defaults hold. */
  readonly retrievals?: RetrievalsConfig;
  /** How often each vault is to have a successful drill (ISO 8601). */
  readonly drills?: { readonly every: string };
  readonly console: { readonly host: string; readonly port: number; readonly bullBoardWritable: boolean };
}

export interface AuditHeadsConfig extends HeadsAddress {
  /** ISO 8601. */
  readonly retain: string;
  readonly lateAfterMs: number;
}

const DEFAULT_CONFIG_FILE = 'moraine.yaml';

/**
 * Reads and checks the file. Throws CONFIG_INVALID with every problem, one line each, and ENVIRONMENT_MISMATCH for a
 * sandbox with an address that is not on this machine.
 */
export function loadConfig(
  file: string = DEFAULT_CONFIG_FILE,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Config {
  const source = readYaml(file, readConfigFile(file), (name) => environment[name]);
  const checked = checkYaml(source, configSchema, configKeysAt);
  if (!('value' in checked)) throw problemsError('CONFIG_INVALID', checked.problems);
  const config = checked.value;

  const directory = resolve(dirname(file));
  const policies = findPolicyFiles(source, config.policies);
  const signingKey = findSigningKey(source, config, directory);
  const keys = keyStores(source, config);
  const kms = findKmsKeys(source, config);
  const problems = [...keys.problems, ...kms.problems, ...signingKey.problems, ...policies.problems];
  if (problems.length > 0) throw problemsError('CONFIG_INVALID', problems);
  if (config.environment === 'sandbox') {
    const outside = outsideLoopback(source, config);
    if (outside.length > 0) throw problemsError('ENVIRONMENT_MISMATCH', outside);
  }

  return {
    file,
    directory,
    environment: config.environment,
    mongodb: config.mongodb,
    redis: config.redis ?? null,
    keys: {
      ...keys.stores,
      backupMaxAge: config.keys.backupMaxAge ?? null,
      proofEvery: config.keys.proofEvery,
    },
    kms: kms.keys,
    signingKeyPem: signingKey.pem,
    vaults: new Map(Object.entries(config.vaults).map(([name, vault]) => [id.vaultKey(name), vault])),
    attachments: new Map(Object.entries(config.attachments)),
    restoreHosts: config.restoreHosts,
    contacts: new Map(
      Object.entries(config.owners).flatMap(([name, { contact }]): [OwnerId, string][] =>
        contact === undefined ? [] : [[id.owner(name), contact]],
      ),
    ),
    owners: new Map(Object.entries(config.owners).map(([name, owner]) => [id.owner(name), owner.administrators])),
    policies: policies.files,
    approvals: approvalRules(config.approvals),
    placement: placementOf(config),
    notify: config.notify ?? null,
    auditHeads: auditHeadsOf(config.audit),
    retrievals: retrievalsConfig(config.retrievals, directory),
    drills: config.drills,
    console: config.console,
  };
}

function retrievalsConfig({ folder, keep, inFlight }: ConfigText['retrievals'], directory: string): RetrievalsConfig {
  return {
    folder: folder === undefined ? null : resolve(directory, folder),
    keepMs: addPeriod(0, periodOf(keep), 'UTC'),
    inFlight,
  };
}

function placementOf({ mongodb, keys, vaults, attachments, owners }: ConfigText): Placement {
  // A key store without a server of its own is where the ledger is.
  const first = keys.region ?? (keys.url === undefined ? mongodb.region : undefined);
  return {
    source: mongodb.region ?? null,
    keyStores: [
      { name: 'keys', region: first ?? null },
      ...(keys.second === undefined ? [] : [{ name: 'keys.second', region: keys.second.region ?? null }]),
    ],
    vaults: new Map(Object.entries(vaults).map(([name, vault]) => [id.vaultKey(name), vault.region])),
    attachments: new Map(Object.entries(attachments).map(([name, store]) => [name, store.region])),
    required: new Map(
      Object.entries(owners).flatMap(([name, { region }]): [OwnerId, readonly string[]][] =>
        region === undefined ? [] : [[id.owner(name), region]],
      ),
    ),
  };
}

function auditHeadsOf({ heads }: ConfigText['audit']): AuditHeadsConfig | null {
  if (heads === undefined) return null;
  const { lateAfter, ...address } = heads;
  return { ...address, lateAfterMs: addPeriod(0, periodOf(lateAfter), 'UTC') };
}

function approvalRules({ required, expire, people, purge }: ConfigText['approvals']): ApprovalRules {
  return {
    required: required ?? null,
    validMs: addPeriod(0, periodOf(expire), 'UTC'),
    people: people ?? [],
    purgeStages: purge?.stages ?? null,
  };
}

function readConfigFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new MoraineError('CONFIG_INVALID', `${file}: the file cannot be read.`, {
      cause,
      hint: 'Run `moraine init` to write one, or name another with --config.',
      ids: { file },
    });
  }
}

/** Where the key store is: without a URL of its own on the ledger's server, without a database in the ledger's. */
function keyStores(source: YamlSource, config: ConfigText) {
  const { url, database, second } = config.keys;
  const first: DatabaseAddress = {
    url: url ?? config.mongodb.url,
    database: database ?? config.mongodb.ledger,
  };
  const isSame = second?.url === first.url && second.database === first.database;
  return {
    stores: { first, second: second ?? null },
    problems: isSame ? [source.problemAt(['keys', 'second'], 'another database than that of the first key store')] : [],
  };
}

/** A key opens what it wraps, so it must be where its owner's data must be. */
function findKmsKeys(
  source: YamlSource,
  config: ConfigText,
): { readonly keys: KmsKeys; readonly problems: readonly YamlProblem[] } {
  const owners = Object.entries(config.owners);
  const keys: KmsKeys = {
    default: config.keys.kms ?? null,
    owners: new Map(owners.flatMap(([name, { kms }]) => (kms === undefined ? [] : [[id.owner(name), kms]]))),
  };
  const problems = owners.flatMap(([name, { kms, region }]) => {
    const used = kmsKeyOf(keys, id.owner(name));
    if (used === null || region === undefined || region.includes(regionOfKey(used.key))) return [];
    const path = kms === undefined ? ['owners', name, 'region'] : ['owners', name, 'kms', 'key'];
    return [source.problemAt(path, `a key of KMS in ${region.join(' or ')} for owner ${name}`)];
  });
  return { keys, problems };
}

function findSigningKey(
  source: YamlSource,
  config: ConfigText,
  directory: string,
): { readonly pem: string | null; readonly problems: readonly YamlProblem[] } {
  const problem = (expected: string, hint: string) => ({
    pem: null,
    problems: [source.problemAt(['signingKey'], expected, hint)],
  });
  if (config.signingKey === undefined) {
    if (config.environment !== 'production') return { pem: null, problems: [] };
    return problem('a file with an Ed25519 private key, in production', SIGNING_KEY_HINT);
  }
  let pem: string;
  try {
    pem = readFileSync(resolve(directory, config.signingKey), 'utf8');
  } catch {
    return problem('a file that can be read', SIGNING_KEY_HINT);
  }
  try {
    readSigningKey(pem);
    return { pem, problems: [] };
  } catch (error) {
    if (!isMoraineError(error, 'CONFIG_INVALID')) throw error;
    return problem('a file with an Ed25519 private key in PEM form', error.hint);
  }
}

const SIGNING_KEY_HINT = 'Make one with `openssl genpkey -algorithm ed25519 -out signing-key.pem`.';
