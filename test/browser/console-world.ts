/** A console on a seeded ledger, for the tests of the console. Everything under the names of the test file. */
import { MongoClient } from 'mongodb';
import { openBoard } from '../../jobs/board.ts';
import { type App, openApp } from '../../src/app.ts';
import type { Config } from '../../src/config.ts';
import { type ConsoleOptions, type RunningConsole, startConsole } from '../../src/console/server.ts';
import { id } from '../../src/ids.ts';
import { DEFAULT_APPROVAL_RULES } from '../../src/ledger/approval-document.ts';
import type { ActLog } from '../../src/lifecycle/context.ts';
import { PLACED_ANYWHERE } from '../../src/lifecycle/placement.ts';
import { silentLog } from '../../src/log.ts';
import { stackUrls, type TestNames } from '../harness/stack.ts';
import { type SeededLedger, seedLedger } from './seeded-ledger.ts';
import { seedSource } from './seeded-source.ts';

export interface ConsoleWorld {
  readonly app: App;
  readonly config: Config;
  readonly seeded: SeededLedger;
  /** When it was seeded. */
  readonly now: Date;
  readonly client: MongoClient;
  /** The ledger's own database, for what a person with access to it may do. */
  readonly ledger: string;
  /** Starts a console; closed with the world. */
  start(options?: Partial<ConsoleOptions> & { readonly withQueues?: boolean }): Promise<RunningConsole>;
  close(): Promise<void>;
}

export interface ConsoleWorldOptions {
  /** False: a ledger in which nothing was done yet. */
  readonly isSeeded?: boolean;
  readonly mongodb?: string;
  readonly redis?: string;
  readonly bullBoardWritable?: boolean;
  /** Several worlds of one file have a ledger each. */
  readonly name?: string;
  readonly log?: ActLog;
}

const EMPTY: SeededLedger = { policies: [], archives: [], certificates: [], secrets: [] };

export async function openConsoleWorld(names: TestNames, options: ConsoleWorldOptions = {}): Promise<ConsoleWorld> {
  const urls = stackUrls();
  const { isSeeded = true, mongodb = urls.mongodb, redis = urls.redis, name = 'ledger', log = silentLog } = options;
  const ledger = `${names.database}_${name}`;
  const config: Config = {
    file: 'moraine.yaml',
    directory: '.',
    environment: 'sandbox',
    mongodb: { url: mongodb, ledger },
    redis: { url: redis },
    keys: { first: { url: mongodb, database: ledger }, second: null, backupMaxAge: null },
    signingKeyPem: null,
    attachments: new Map(),
    restoreHosts: [],
    contacts: new Map(),
    vaults: new Map([
      [
        id.vaultKey('cold'),
        { backend: 'glacier', region: 'eu-west-1', account: '-', endpoint: urls.glacier, prefix: names.vaultPrefix },
      ],
    ]),
    owners: new Map(),
    policies: [],
    approvals: DEFAULT_APPROVAL_RULES,
    placement: PLACED_ANYWHERE,
    notify: null,
    console: { host: '127.0.0.1', port: 0, bullBoardWritable: options.bullBoardWritable ?? false },
  };
  const app = await openApp(config, { log, actor: 'person:test' });
  const client = await new MongoClient(urls.mongodb).connect();
  const now = new Date();
  const database = `${names.database}_data`;
  if (isSeeded) await seedSource(client.db(database), now);
  const seeded = isSeeded ? await seedLedger(app, database, now) : EMPTY;
  const closing: (() => unknown)[] = [];
  return {
    app,
    config,
    seeded,
    now,
    client,
    ledger,
    start: async ({ withQueues = true, ...more } = {}) => {
      const { console: settings } = config;
      const board = withQueues
        ? openBoard({ url: redis, prefix: names.prefix, isWritable: settings.bullBoardWritable, log })
        : null;
      if (board !== null) closing.push(() => board.close());
      const running = await startConsole({ app, config, log, queues: board?.adapters ?? [], ...more });
      closing.push(() => running.close());
      return running;
    },
    close: async () => {
      for (const close of closing.toReversed()) await close();
      await client.close();
      await app.close();
    },
  };
}
