/** A world of its own to break: servers that may be killed, a folder with moraine.yaml, an application, a witness. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { MongoClient } from 'mongodb';
import type { StackUrls } from '../../infra/local-stack/index.ts';
import { Application } from './application.ts';
import { type EndState, readEndState } from './checker/end-state.ts';
import { Witness } from './checker/witness.ts';
import { DATASETS, OWNERS, policyYaml } from './datasets.ts';
import { Journal } from './journal.ts';
import { type Ended, Processes } from './processes.ts';
import { randomOf } from './random.ts';
import { type FaultyServers, startServers } from './servers.ts';

export interface WorldNames {
  /** Databases begin with it. */
  readonly database: string;
  readonly vaultPrefix: string;
}

export interface FaultyWorld {
  readonly seed: number;
  readonly folder: string;
  /** Of the source. */
  readonly database: string;
  readonly ledgerDatabase: string;
  readonly servers: FaultyServers;
  /** The emulator's folder. */
  readonly vaultState: string;
  readonly processes: Processes;
  readonly journal: Journal;
  readonly application: Application;
  readonly witness: Witness;
  /** Past all faults, for those who only look. */
  readonly client: MongoClient;
  moraine(...args: readonly string[]): Promise<Ended>;
  /** `POST /_emulator/<path>`; nothing where the emulator is away. */
  emulator(path: string, body: unknown): Promise<void>;
  endState(): Promise<EndState>;
  close(options: { readonly keep: boolean }): Promise<void>;
}

/** Customers of each owner whom the application writes about. */
export const CUSTOMERS = ['north', 'south', 'west'] as const;

export async function openFaultyWorld(shared: StackUrls, names: WorldNames, seed: number): Promise<FaultyWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'moraine-faults-'));
  const servers = await startServers(join(folder, 'servers'), shared);
  const database = `${names.database}_data`;
  const ledgerDatabase = `${names.database}_ledger`;
  const identity = await generateIdentity();
  writeFolder(folder, { servers, names, ledgerDatabase, database, recipient: await identityToRecipient(identity) });
  const client = await new MongoClient(shared.mongodb).connect();
  const journal = new Journal(join(folder, 'journal.jsonl'));
  const vaultState = join(folder, 'servers/data/glacier');
  const witness = new Witness({ state: vaultState, folder: join(folder, 'witness'), client, ledger: ledgerDatabase });
  const random = randomOf(seed, 'application');
  const application = new Application(servers.mongodb.url, { database, journal, random, customers: CUSTOMERS });
  const processes = new Processes(folder);
  await application.prepare(DATASETS);
  witness.start();
  const published = await processes.run(['policy', 'publish', '--yes']);
  if (published.code !== 0) throw new Error(`the policies were not published: ${published.stderr}${published.stdout}`);
  return {
    ...{ seed, folder, database, ledgerDatabase, servers, vaultState },
    ...{ processes, journal, application, witness, client },
    moraine: (...args) => processes.run(args),
    emulator: (path, body) => tellEmulator(servers.glacier.url, path, body),
    endState: async () => {
      await witness.look();
      const { entries } = journal;
      const where = { client, database, ledgerDatabase, vaultState, identity };
      return await readEndState({ ...where, datasets: DATASETS, journal: entries, witness });
    },
    close: async ({ keep }) => {
      await processes.killAll();
      await application.close();
      await witness.stop().catch(() => undefined);
      await Promise.all([servers.mongodb.stop(), servers.redis.stop(), servers.glacier.stop()]);
      if (!keep) {
        for (const name of [database, ledgerDatabase]) await client.db(name).dropDatabase();
        rmSync(folder, { recursive: true, force: true });
      }
      await client.close();
    },
  };
}

function writeFolder(
  folder: string,
  of: {
    readonly servers: FaultyServers;
    readonly names: WorldNames;
    readonly ledgerDatabase: string;
    readonly database: string;
    readonly recipient: string;
  },
): void {
  const { servers, names, ledgerDatabase, database, recipient } = of;
  const owners = OWNERS.map((owner) => `  ${owner}: { administrators: [{ name: alice, recipient: ${recipient} }] }`);
  mkdirSync(join(folder, 'policies'));
  for (const dataset of DATASETS) {
    writeFileSync(join(folder, 'policies', `${dataset.policy}.yaml`), policyYaml(dataset, database));
  }
  writeFileSync(
    join(folder, 'moraine.yaml'),
    [
      'environment: sandbox',
      `mongodb: { url: "${servers.mongodb.url}", ledger: ${ledgerDatabase} }`,
      `redis: { url: "${servers.redis.url}" }`,
      'vaults:',
      `  cold: { backend: glacier, region: eu-west-1, account: "-", endpoint: "${servers.glacier.url}", prefix: ${names.vaultPrefix} }`,
      'owners:',
      ...owners,
      'policies: ["policies/*.yaml"]',
      '',
    ].join('\n'),
  );
}

async function tellEmulator(url: string, path: string, body: unknown): Promise<void> {
  const method = body === null ? 'DELETE' : 'POST';
  try {
    const reply = await fetch(`${url}/_emulator/${path}`, {
      method,
      ...(body === null ? {} : { body: JSON.stringify(body) }),
    });
    await reply.arrayBuffer();
  } catch {
    // It was killed: the next word reaches it.
  }
}
