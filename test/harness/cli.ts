/** The real command line as a child process, in a folder of its own, on the local stack under the test file's own names. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa, type ResultPromise } from 'execa';
import { type Document, MongoClient } from 'mongodb';
import { newIdentity } from '../../src/keys/identity-file.ts';
import { EmulatorProcess } from '../integration/glacier-emulator-process.ts';
import { stackUrls, type TestNames } from './stack.ts';

const CHECKOUT = resolve(import.meta.dirname, '../..');
const NODE = join(CHECKOUT, 'node_modules/.bin/node');
const ENTRY = join(CHECKOUT, 'src/cli/moraine.ts');

export interface Reply {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The one JSON document on stdout. */
  readonly json: unknown;
}

/** Runs `moraine` in a folder. Nobody is at the terminal. */
export async function moraineIn(folder: string, ...args: readonly string[]): Promise<Reply> {
  const { exitCode, stdout, stderr } = await startMoraine(folder, args);
  return {
    exitCode: exitCode ?? -1,
    stdout,
    stderr,
    get json(): unknown {
      return JSON.parse(stdout);
    },
  };
}

export function startMoraine(folder: string, args: readonly string[]) {
  return execa(NODE, [ENTRY, ...args], { cwd: folder, reject: false, stdin: 'ignore', timeout: 60_000 });
}

export type Running = ResultPromise;

export interface CliWorld {
  readonly folder: string;
  readonly emulator: EmulatorProcess;
  readonly client: MongoClient;
  /** Files of administrators' identities; the second is of nobody that moraine.yaml names. */
  readonly identity: string;
  readonly otherIdentity: string;
  /** Of the identity. */
  readonly recipient: string;
  collection(name: string): ReturnType<ReturnType<MongoClient['db']>['collection']>;
  /** `database.collection` for a policy. */
  namespace(name: string): string;
  moraine(...args: readonly string[]): Promise<Reply>;
  start(...args: readonly string[]): ReturnType<typeof startMoraine>;
  writePolicy(name: string, text: string): void;
  /** Other values for moraine.yaml; the file is written anew. */
  configure(changes: Partial<ConfigFields>): void;
  close(): Promise<void>;
}

interface ConfigFields {
  readonly environment: string;
  readonly mongodb: string;
  readonly ledger: string;
  readonly owners: string;
  /** Of the MongoDB server; empty: not declared. */
  readonly region: string;
  /** More entries of `vaults`, a line each. */
  readonly vaults: string;
  /** More lines of moraine.yaml. */
  readonly more: string;
}

export async function openCliWorld(names: TestNames): Promise<CliWorld> {
  const urls = stackUrls();
  const emulator = await EmulatorProcess.start();
  const client = await new MongoClient(urls.mongodb).connect();
  const folder = mkdtempSync(join(tmpdir(), 'moraine-cli-'));
  mkdirSync(join(folder, 'policies'));
  const mine = await newIdentity({ now: new Date() });
  const others = await newIdentity({ now: new Date() });
  writeFileSync(join(folder, 'alice.key'), mine.file);
  writeFileSync(join(folder, 'bob.key'), others.file);
  const configure = (changes: Partial<ConfigFields>) => {
    const fields: ConfigFields = {
      environment: 'sandbox',
      mongodb: urls.mongodb,
      ledger: `${names.database}_ledger`,
      owners: `{ acme: { administrators: [{ name: alice, recipient: ${mine.recipient} }] } }`,
      region: '',
      vaults: '',
      more: '',
      ...changes,
    };
    writeFileSync(
      join(folder, 'moraine.yaml'),
      `environment: ${fields.environment}
mongodb: { url: "${fields.mongodb}", ledger: ${fields.ledger}${fields.region === '' ? '' : `, region: ${fields.region}`} }
redis: { url: "${urls.redis}" }
vaults:
  cold: { backend: glacier, region: eu-west-1, account: "-", endpoint: "${emulator.endpoint}", prefix: ${names.vaultPrefix} }
${fields.vaults}
owners: ${fields.owners}
policies: ["policies/*.yaml"]
${fields.more}
`,
    );
  };
  configure({});
  return {
    folder,
    emulator,
    client,
    identity: join(folder, 'alice.key'),
    otherIdentity: join(folder, 'bob.key'),
    recipient: mine.recipient,
    collection: (name) => client.db(`${names.database}_data`).collection<Document>(name),
    namespace: (name) => `${names.database}_data.${name}`,
    moraine: (...args) => moraineIn(folder, ...args),
    start: (...args) => startMoraine(folder, args),
    writePolicy: (name, text) => writeFileSync(join(folder, 'policies', `${name}.yaml`), text),
    configure,
    close: async () => {
      await client.close();
      await emulator.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
