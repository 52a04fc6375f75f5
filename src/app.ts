/** Builds the adapters from the configuration: the only place that does. Everything it opens, `close` closes. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { type Clock, systemClock } from './clock.ts';
import type { Config } from './config.ts';
import { MoraineError } from './errors.ts';
import { id, type Namespace, type OwnerId, type VaultKey, type WorkerId } from './ids.ts';
import { KEY_INDEXES } from './keys/documents.ts';
import { createKeys, type Keys } from './keys/keys.ts';
import { allKmsKeys, kmsKeyOf } from './keys/kms-config.ts';
import { AwsKmsWrapping } from './keys/kms-wrapping.ts';
import { AuditLog } from './ledger/audit.ts';
import { type InstallationDocument, openInstallation } from './ledger/installation.ts';
import { LEDGER_INDEXES } from './ledger/ledger-indexes.ts';
import { connectMongoStore, type MongoStore } from './ledger/mongo-store.ts';
import { DEFAULT_IN_FLIGHT } from './ledger/retrieval-orders.ts';
import type { Store } from './ledger/store.ts';
import type { ActLog, Context, Progress, RetrievalSettings } from './lifecycle/context.ts';
import type { HeadsSettings } from './lifecycle/publish-head.ts';
import { createWay } from './notify/create-ways.ts';
import type { Notifying } from './notify/port.ts';
import { Attachments } from './source/attachments.ts';
import { type CollectionFacts, collectionFacts } from './source/collection-facts.ts';
import { connectMongo } from './source/mongo-connect.ts';
import { MongoSource } from './source/mongo-source.ts';
import type { AttachmentsPort, SourcePort } from './source/port.ts';
import { productionLedgers } from './source/production-ledgers.ts';
import { dropScratch } from './source/scratch.ts';
import { createVault } from './vault/create-vault.ts';
import { headsPrefix } from './vault/heads-config.ts';
import { S3Heads } from './vault/heads-s3.ts';
import type { VaultPort } from './vault/port.ts';
import { RetrievalFolder } from './vault/retrieval-folder.ts';

export interface App {
  readonly config: Config;
  readonly installation: InstallationDocument;
  readonly keys: Keys;
  /** First the key store that is read, then the second one where there is one. */
  readonly keyStores: readonly [MongoStore] | readonly [MongoStore, MongoStore];
  readonly store: MongoStore;
  readonly source: SourcePort;
  /** Options and indexes of a collection of the source; null where there is none. */
  collectionFacts(namespace: Namespace): Promise<CollectionFacts | null>;
  /** What acts take. `by` says who: a person for commands, a worker for the daemon. */
  context(options?: ContextOptions): Context;
  close(): Promise<void>;
}

export interface ContextOptions {
  readonly asOf?: Date | null;
  readonly signal?: AbortSignal;
  readonly progress?: Progress;
}

export interface AppOptions {
  readonly log: ActLog;
  /** Who acts, for audit entries: `person:<name>` or `worker:<id>`. */
  readonly actor: string;
  readonly clock?: Clock;
  /** Looks at an opened ledger before anything is read from it: a rebuild says there whose it is. */
  readonly before?: (parts: {
    readonly store: Store;
    readonly clock: Clock;
    readonly vaults: ReadonlyMap<VaultKey, VaultPort>;
  }) => Promise<void>;
}

/** Connects to what the configuration names. Throws MONGODB_UNAVAILABLE at once where a server is away, and ENVIRONMENT_MISMATCH for a ledger of another environment. */
export async function openApp(config: Config, options: AppOptions): Promise<App> {
  const clock = options.clock ?? systemClock;
  const closing: (() => Promise<void>)[] = [];
  try {
    const store = await connectMongoStore({ url: config.mongodb.url, database: config.mongodb.ledger });
    closing.push(() => store.close());
    await store.ensureIndexes(LEDGER_INDEXES);
    const keyStores = await openKeyStores(config, store, closing);
    const client = await connectMongo({ url: config.mongodb.url, appName: 'moraine' });
    closing.push(() => client.close());
    const source = new MongoSource(client);
    const attachments = new Attachments(client, config.attachments);
    closing.push(async () => attachments.close());
    const vaults = new Map<Parameters<typeof createVault>[0], VaultPort>();
    for (const [key, entry] of config.vaults)
      vaults.set(key, createVault(key, entry, { clock, environment: config.environment }));
    const retrievals = openRetrievals(config);
    const notifying = openWays(config, clock, closing);
    await options.before?.({ store, clock, vaults });
    const installation = await openInstallation(store, clock, config.environment);
    const wrappingKeys = openKms(config, closing);
    const keys = createKeys({
      stores: keyStores,
      clock,
      environment: config.environment,
      administratorsOf: (owner) => config.owners.get(owner) ?? [],
      kmsOf: (owner) => wrappingKeys.get(kmsKeyOf(config.kms, owner)?.key ?? '') ?? null,
      wrappingKeys: [...wrappingKeys.values()],
      installation: installation.id,
      ...(config.signingKeyPem === null ? {} : { signingKeyPem: config.signingKeyPem }),
      ...(config.keys.backupMaxAge === null ? {} : { backupMaxAge: config.keys.backupMaxAge }),
      proofEvery: config.keys.proofEvery,
    });
    const heads = openHeads(config, installation.id);
    const worker = newWorkerId();
    const audits = new Map<string, AuditLog>();
    const auditFor = (asOf: Date | null): AuditLog => {
      const name = asOf?.toISOString() ?? '';
      const audit = audits.get(name) ?? new AuditLog(store, clock, { actor: options.actor, asOf });
      audits.set(name, audit);
      return audit;
    };
    return {
      config,
      installation,
      keys,
      keyStores,
      store,
      source,
      collectionFacts: (namespace) => collectionFacts(client, namespace),
      context: ({ asOf = null, signal, progress = {} } = {}) => {
        assertAsOfAllowed(config, asOf);
        return {
          clock,
          store,
          audit: auditFor(asOf),
          source,
          attachments,
          keys,
          vaults,
          owners: new Set(config.owners.keys()),
          installation: { id: installation.id, environment: installation.environment },
          worker,
          log: options.log,
          progress,
          newId: () => newId(clock),
          asOf,
          approvals: config.approvals,
          placement: config.placement,
          ...(heads === undefined ? {} : { heads }),
          notifying,
          retrievals,
          ...(config.drills === undefined ? {} : { drills: config.drills }),
          signal,
        };
      },
      close: async () => closeAll(closing),
    };
  } catch (error) {
    await closeAll(closing);
    throw error;
  }
}

/** Another MongoDB server, for a restore. Throws MONGODB_UNAVAILABLE and CONFIG_INVALID as {@link openApp} does. */
export async function openSource(
  url: string,
  config: Pick<Config, 'attachments'>,
): Promise<{
  readonly source: SourcePort;
  readonly attachments: AttachmentsPort;
  /** Databases there that hold a ledger of production. */
  productionLedgers(): Promise<readonly string[]>;
  /** The database of a drill, when it is over. */
  dropScratch(database: string): Promise<void>;
  close(): Promise<void>;
}> {
  const client = await connectMongo({ url, appName: 'moraine-restore' });
  // GridFS files go where the records go, S3 objects back to their own store.
  const attachments = new Attachments(client, config.attachments);
  const close = async () => {
    attachments.close();
    await client.close();
  };
  return {
    source: new MongoSource(client),
    attachments,
    productionLedgers: () => productionLedgers(client),
    dropScratch: (database) => dropScratch(client, database),
    close,
  };
}

function openRetrievals({ retrievals }: Config): RetrievalSettings {
  if (retrievals === undefined) return { files: null, inFlight: DEFAULT_IN_FLIGHT };
  const { folder, keepMs, inFlight } = retrievals;
  return { files: folder === null ? null : new RetrievalFolder({ folder, keepMs }), inFlight };
}

function openWays(config: Config, clock: Clock, closing: (() => Promise<void>)[]): Notifying {
  const parts = { clock, contactOf: (owner: OwnerId) => config.contacts.get(owner) ?? null };
  const ways = Object.entries(config.notify?.ways ?? {}).map(([name, entry]) => createWay(name, entry, parts));
  for (const way of ways) closing.push(() => way.close());
  return { ways, beforePurge: config.notify?.beforePurge ?? null };
}

/** By ARN. */
function openKms({ kms }: Config, closing: (() => Promise<void>)[]): ReadonlyMap<string, AwsKmsWrapping> {
  const opened = new Map(allKmsKeys(kms).map((entry) => [entry.key, new AwsKmsWrapping(entry)]));
  for (const wrapping of opened.values()) closing.push(async () => wrapping.close());
  return opened;
}

function openHeads({ auditHeads }: Config, installation: string): HeadsSettings | undefined {
  if (auditHeads == null) return undefined;
  const { bucket, region, endpoint, credentials, retain, lateAfterMs } = auditHeads;
  const prefix = headsPrefix(auditHeads, installation);
  return { place: new S3Heads({ bucket, prefix, region, endpoint, credentials }), retain, lateAfterMs };
}

async function openKeyStores(
  config: Config,
  ledger: MongoStore,
  closing: (() => Promise<void>)[],
): Promise<readonly [MongoStore] | readonly [MongoStore, MongoStore]> {
  const { first, second } = config.keys;
  const isLedger = first.url === config.mongodb.url && first.database === config.mongodb.ledger;
  const open = async (address: typeof first) => {
    const store = await connectMongoStore(address);
    closing.push(() => store.close());
    await store.ensureIndexes(KEY_INDEXES);
    return store;
  };
  if (isLedger) await ledger.ensureIndexes(KEY_INDEXES);
  const firstStore = isLedger ? ledger : await open(first);
  return second === null ? [firstStore] : [firstStore, await open(second)];
}

function assertAsOfAllowed(config: Config, asOf: Date | null): void {
  if (asOf === null || config.environment === 'sandbox') return;
  throw new MoraineError('AS_OF_REFUSED', `--as-of is refused: this environment is ${config.environment}.`);
}

function newWorkerId(): WorkerId {
  return id.worker(`${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`);
}

/** Date and 40 random bits: sorts by day, fits everywhere, and reads aloud. */
function newId(clock: Clock): string {
  const day = clock.now().toISOString().slice(0, 10).replaceAll('-', '');
  return `${day}-${randomBytes(5).toString('hex')}`;
}

async function closeAll(closing: readonly (() => Promise<void>)[]): Promise<void> {
  for (const close of closing.toReversed()) await close();
}
