/** The folder of one demo: moraine.yaml, the example policies on databases of its own, and the administrators' identities. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import { newIdentity } from '../keys/identity-file.ts';

/** Everything that a demo makes begins with this: what an earlier one left is found by it, and nothing else is. */
export const DEMO_PREFIX = 'moraine_demo_';

export interface Workspace {
  readonly directory: string;
  readonly config: string;
  /** Names of this demo's databases, without the dot: `<prefix>support`. */
  readonly prefix: string;
  readonly ledger: string;
  identityOf(owner: string): string;
  readonly restored: string;
}

export interface WorkspaceInput {
  readonly directory: string;
  readonly run: string;
  readonly owners: readonly string[];
  readonly urls: { readonly mongodb: string; readonly redis: string; readonly glacier: string };
}

/** Empties the folder of an earlier demo and writes this one's. Throws USAGE for a folder that holds anything else. */
export async function makeWorkspace(clock: Clock, input: WorkspaceInput): Promise<Workspace> {
  const { directory, run, owners, urls } = input;
  const prefix = `${DEMO_PREFIX}${run}_`;
  emptyEarlierDemo(directory);
  mkdirSync(join(directory, 'identities'), { recursive: true, mode: 0o700 });
  const config = join(directory, 'moraine.yaml');
  // First of all, so that a demo that is cut leaves a folder that the next one knows.
  writeFileSync(config, FIRST_LINE);
  const ownerEntries: Record<string, unknown> = {};
  for (const owner of owners) {
    const { file, recipient } = await newIdentity({ now: clock.now() });
    writeFileSync(join(directory, 'identities', `${owner}.age`), file, { mode: 0o600 });
    ownerEntries[owner] = { administrators: [{ name: `records@${owner}.example`, recipient }] };
  }
  writeFileSync(
    config,
    `${FIRST_LINE}\n${stringify({
      environment: 'sandbox',
      mongodb: { url: urls.mongodb, ledger: `${prefix}ledger` },
      redis: { url: urls.redis },
      vaults: {
        cold: { backend: 'glacier', region: 'eu-west-1', account: '-', endpoint: urls.glacier, prefix: `demo-${run}` },
      },
      owners: ownerEntries,
      policies: ['policies/*.yaml'],
    })}`,
  );
  copyPolicies(join(directory, 'policies'), prefix);
  return {
    directory,
    config,
    prefix,
    ledger: `${prefix}ledger`,
    identityOf: (owner) => join(directory, 'identities', `${owner}.age`),
    restored: join(directory, 'restored'),
  };
}

const FIRST_LINE = '# Written by `moraine demo`. A sandbox: time may be moved, and everything is on this machine.';

/** A folder is emptied only if a demo wrote it: its moraine.yaml begins with our own words. */
function emptyEarlierDemo(directory: string): void {
  if (!existsSync(directory) || readdirSync(directory).length === 0) return;
  const config = join(directory, 'moraine.yaml');
  if (!existsSync(config) || !readFileSync(config, 'utf8').startsWith(FIRST_LINE)) {
    throw new MoraineError('USAGE', `The folder ${directory} holds files that no demo wrote; it is left as it is.`, {
      hint: 'Name an empty or new folder with --dir.',
    });
  }
  rmSync(directory, { recursive: true });
}

/** The example policies as they are, but for the database: the demo touches none that it did not make. */
function copyPolicies(target: string, prefix: string): void {
  const source = join(import.meta.dirname, '../../policies');
  cpSync(source, target, { recursive: true });
  for (const name of readdirSync(target).filter((file) => file.endsWith('.yaml'))) {
    const file = join(target, name);
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^(\s*collection: )/m, `$1${prefix}`));
  }
}
