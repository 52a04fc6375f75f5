/** What every measurement runs in: the local stack, a database of its own, one policy, one administrator. */
import { randomBytes } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { ensureStack, type StackUrls } from '../infra/local-stack/index.ts';
import { type App, openApp } from '../src/app.ts';
import type { Config } from '../src/config.ts';
import { id } from '../src/ids.ts';
import { newIdentity } from '../src/keys/identity-file.ts';
import { DEFAULT_APPROVAL_RULES } from '../src/ledger/approval-document.ts';
import { PLACED_ANYWHERE } from '../src/lifecycle/placement.ts';
import { silentLog } from '../src/log.ts';
import type { Policy } from '../src/policy/policy.ts';
import { publishText } from '../test/harness/publish-policy.ts';

export interface Setting {
  readonly urls: StackUrls;
  readonly app: App;
  readonly client: MongoClient;
  readonly database: string;
  close(): Promise<void>;
}

/** Opens the setting under the given database names, or new ones. `drop` at the end removes them. */
export async function openSetting(name?: string): Promise<Setting> {
  const urls = await ensureStack({ progress: (line) => console.error(line) });
  const database = name ?? `bench_${randomBytes(4).toString('hex')}`;
  const { recipient } = await newIdentity({ now: new Date(), scryptLogN: 10 });
  const config: Config = {
    file: 'bench',
    directory: '.',
    environment: 'sandbox',
    mongodb: { url: urls.mongodb, ledger: `${database}_ledger` },
    redis: null,
    keys: { first: { url: urls.mongodb, database: `${database}_ledger` }, second: null, backupMaxAge: null },
    signingKeyPem: null,
    attachments: new Map(),
    restoreHosts: [],
    contacts: new Map(),
    vaults: new Map([
      [
        id.vaultKey('cold'),
        { backend: 'glacier', region: 'eu-west-1', account: '-', endpoint: urls.glacier, prefix: database },
      ],
    ]),
    owners: new Map([[id.owner('bench'), [{ name: 'bench', recipient, recovery: false }]]]),
    policies: [],
    approvals: DEFAULT_APPROVAL_RULES,
    placement: PLACED_ANYWHERE,
    notify: null,
    console: { host: '127.0.0.1', port: 0, bullBoardWritable: false },
  };
  const app = await openApp(config, { log: silentLog, actor: 'person:bench' });
  const client = await new MongoClient(urls.mongodb).connect();
  return {
    urls,
    app,
    client,
    database,
    close: async () => {
      await client.close();
      await app.close();
    },
  };
}

export async function dropSetting(setting: Setting): Promise<void> {
  await setting.client.db(setting.database).dropDatabase();
  await setting.client.db(`${setting.database}_ledger`).dropDatabase();
  await fetch(`${setting.urls.glacier}/_emulator/vaults?prefix=${setting.database}`, { method: 'DELETE' });
}

/** Publishes the policy under which everything in the collection is due. */
export async function publishFor(
  setting: Setting,
  collection: string,
  guard: 'document' | 'version' = 'document',
): Promise<Policy> {
  const text = `
policy: ${collection}
zone: UTC
dataset:
  collection: ${setting.database}.${collection}
  owner: { value: bench }
  customer: { field: tenant }
${guard === 'version' ? '  version: { field: updatedAt }\n' : ''}trigger: { field: createdAt }
active: 2 years
then: archive
archive: { for: 70 years, vault: cold, verify: checksum, dueWindow: 40 years }
limits: { records: 100000000, share: 1.0 }
`;
  return publishText(setting.app.store, setting.app.context().clock, text);
}
