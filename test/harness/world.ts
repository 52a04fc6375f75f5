/**
 * A world for tests on real servers: MongoDB, a Glacier emulator with a clock of its own, LocalStack for S3, and the
 * app that moraine.yaml would build, under names of the test file's own.
 */
import { randomBytes } from 'node:crypto';
import { type Document, MongoClient } from 'mongodb';
import { type App, openApp } from '../../src/app.ts';
import type { Config } from '../../src/config.ts';
import { id } from '../../src/ids.ts';
import { type AdministratorIdentity, unwrapArchiveKey } from '../../src/keys/administrator.ts';
import { newIdentity, openIdentity } from '../../src/keys/identity-file.ts';
import { DEFAULT_APPROVAL_RULES } from '../../src/ledger/approval-document.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { PLACED_ANYWHERE } from '../../src/lifecycle/placement.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { type PolicyRun, type RunOptions, runPolicy } from '../../src/lifecycle/run-policy.ts';
import { silentLog } from '../../src/log.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { EmulatorProcess } from '../integration/glacier-emulator-process.ts';
import { publishText } from './publish-policy.ts';
import { stackUrls, type TestNames } from './stack.ts';

export interface World {
  readonly app: App;
  readonly config: Config;
  readonly client: MongoClient;
  readonly emulator: EmulatorProcess;
  readonly identity: AdministratorIdentity;
  /** Recipient of the identity above. */
  readonly recipient: string;
  /** A context in which it is `asOf` for what is due. */
  at(asOf: string): Context;
  /** Publishes a policy from its YAML text and returns it. */
  publish(yaml: string): Promise<Policy>;
  run(asOf: string, policy: Policy, options?: Partial<RunOptions>): Promise<PolicyRun>;
  /** Inserts documents into `<database of the test>_<database>.<collection>`, with the index that the policy needs. */
  collection(name: string): ReturnType<ReturnType<MongoClient['db']>['collection']>;
  openKey: Parameters<typeof import('../../src/lifecycle/restore.ts').restoreArchive>[2];
  /** Moves the vault's clock a day at a time and reconciles until no vault waits for an inventory. */
  untilInventoriesAreTaken(
    context: Context,
  ): Promise<{ readonly verified: readonly string[]; readonly confirmed: readonly string[] }>;
  close(): Promise<void>;
}

/** An inventory comes once a day, and a job that began before it gives the one of the day before. */
const MOST_DAYS = 6;

export interface WorldOptions {
  readonly owners?: readonly string[];
  readonly environment?: Config['environment'];
}

export async function openWorld(names: TestNames, options: WorldOptions = {}): Promise<World> {
  const urls = stackUrls();
  const emulator = await EmulatorProcess.start();
  const { file, recipient } = await newIdentity({ now: new Date(), scryptLogN: 10 });
  const identity = await openIdentity(Buffer.from(file));
  const administrators = [{ name: 'alice', recipient, recovery: false }];
  const ledger = `${names.database}_ledger`;
  const config: Config = {
    file: 'moraine.yaml',
    directory: '.',
    environment: options.environment ?? 'sandbox',
    mongodb: { url: urls.mongodb, ledger },
    redis: { url: urls.redis },
    keys: { first: { url: urls.mongodb, database: ledger }, second: null, backupMaxAge: 'P30D' },
    signingKeyPem: null,
    attachments: new Map(),
    restoreHosts: [],
    contacts: new Map(),
    vaults: new Map([
      [
        id.vaultKey('cold'),
        {
          backend: 'glacier' as const,
          region: 'eu-west-1',
          account: '-',
          endpoint: emulator.endpoint,
          prefix: names.vaultPrefix,
        },
      ],
      [
        id.vaultKey('deep'),
        {
          backend: 's3' as const,
          region: 'us-east-1',
          endpoint: urls.s3,
          bucket: `${names.vaultPrefix}-{owner}`.slice(0, 50),
          storageClass: 'DEEP_ARCHIVE' as const,
          objectLock: 'none' as const,
        },
      ],
      [
        id.vaultKey('locked'),
        {
          backend: 's3' as const,
          region: 'us-east-1',
          endpoint: urls.s3,
          bucket: `${names.vaultPrefix}-l-{owner}`.slice(0, 50),
          storageClass: 'DEEP_ARCHIVE' as const,
          objectLock: 'compliance' as const,
        },
      ],
    ]),
    owners: new Map((options.owners ?? ['acme']).map((owner) => [id.owner(owner), administrators])),
    policies: [],
    approvals: DEFAULT_APPROVAL_RULES,
    placement: PLACED_ANYWHERE,
    notify: null,
    console: { host: '127.0.0.1', port: 0, bullBoardWritable: false },
  };
  const app = await openApp(config, { log: silentLog, actor: 'person:test' });
  const client = await new MongoClient(urls.mongodb).connect();
  return {
    app,
    config,
    client,
    emulator,
    identity,
    recipient,
    at: (asOf) => app.context({ asOf: new Date(asOf) }),
    publish: (yaml) => publishText(app.store, app.context().clock, yaml),
    run: (asOf, policy, run = {}) =>
      runPolicy(app.context({ asOf: new Date(asOf) }), policy, { flush: true, expired: null, ...run }),
    collection: (name) => client.db(`${names.database}_data`).collection<Document>(name),
    openKey: (wrapped) => unwrapArchiveKey(wrapped, identity),
    untilInventoriesAreTaken: async (context) => {
      const verified: string[] = [];
      const confirmed: string[] = [];
      for (let day = 0; day < MOST_DAYS; day++) {
        const report = await reconcile(context, { all: false, source: false });
        verified.push(...report.verified);
        confirmed.push(...report.confirmed);
        if (!report.vaults.some(({ state }) => state === 'waiting')) return { verified, confirmed };
        await emulator.advance('P1D');
      }
      throw new Error('The inventories did not come.');
    },
    close: async () => {
      await client.close();
      await app.close();
      await emulator.stop();
    },
  };
}

/** Text that nobody can compress, for records of a given size. */
export function noise(bytes: number): string {
  return randomBytes(Math.ceil(bytes / 2))
    .toString('hex')
    .slice(0, bytes);
}
