// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${NAME} is what moraine.yaml takes from the environment.
/** `moraine init`: a configuration to begin with. */
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { stackStatus } from '../../infra/local-stack/index.ts';
import { systemClock } from '../clock.ts';
import { newIdentity } from '../keys/identity-file.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { newPassphrase } from './identity.ts';
import { PLAIN_MODE, SECRET_MODE, writeNewFile } from './new-file.ts';

interface InitOptions {
  readonly dir: string;
  readonly passphrase: boolean;
  readonly passphraseFile?: string;
}

const EXAMPLES = resolve(import.meta.dirname, '../../policies');
const EXAMPLE_POLICY = 'chats.yaml';
const POLICY_SCHEMA = 'policy.schema.json';

export function initCommand(): Command {
  return newCommand('init', {
    description: [
      "Write moraine.yaml for a sandbox, an example policy and an administrator's identity. Never overwrites a file.",
      'When the local stack runs, its addresses are written; else ${NAME}s that are read from the environment.',
    ].join('\n'),
    examples: [
      ['moraine init', 'into this folder'],
      ['moraine init --dir retention', 'into another one'],
    ],
  })
    .option('--dir <folder>', 'where to', '.')
    .option('--no-passphrase', 'write the identity in plain text')
    .option('--passphrase-file <file>', 'take its passphrase from the first line of a file')
    .action(
      acting<InitOptions>(async (session, _args, options) => {
        const files = {
          config: join(options.dir, 'moraine.yaml'),
          policy: join(options.dir, 'policies', EXAMPLE_POLICY),
          schema: join(options.dir, 'policies', POLICY_SCHEMA),
          identity: join(options.dir, 'administrator.key'),
        };
        // Looked at before anything is written, so that a second `init` changes nothing.
        for (const file of [files.config, files.policy, files.identity]) {
          if (existsSync(file)) writeNewFile(file, '', PLAIN_MODE);
        }
        const asks = options.passphrase && (process.stdin.isTTY || options.passphraseFile !== undefined);
        const passphrase = asks ? await newPassphrase(session, options.passphraseFile) : undefined;
        const identity = await newIdentity({ now: systemClock.now(), passphrase });
        const addresses = await addressesNow();
        mkdirSync(join(options.dir, 'policies'), { recursive: true });
        writeNewFile(files.identity, identity.file, SECRET_MODE);
        copyFileSync(join(EXAMPLES, EXAMPLE_POLICY), files.policy);
        if (!existsSync(files.schema)) copyFileSync(join(EXAMPLES, POLICY_SCHEMA), files.schema);
        writeNewFile(files.config, configText(identity.recipient, addresses), PLAIN_MODE);
        const { recipient } = identity;
        const document = { ...files, recipient, passphrase: passphrase !== undefined, stack: addresses.isRunning };
        session.output.result(document, () => [
          `✓ ${files.config}: the configuration`,
          `✓ ${files.policy}: an example policy; change the collection and the fields to yours`,
          `✓ ${files.identity}: the administrator's identity${passphrase === undefined ? ', in plain text: for a sandbox only' : ''}`,
          ...(addresses.isRunning
            ? []
            : ['  The local stack does not run: `moraine stack up`, and set the variables that moraine.yaml names.']),
          `Next: moraine check${options.dir === '.' ? '' : ` --config ${files.config}`}`,
        ]);
        return EXIT.done;
      }),
    );
}

interface Addresses {
  readonly isRunning: boolean;
  readonly mongodb: string;
  readonly redis: string;
  readonly glacier: string;
}

async function addressesNow(): Promise<Addresses> {
  const { up, services } = await stackStatus();
  const url = (name: string) => services.find(({ service }) => service === name)?.url;
  const [mongodb, redis, glacier] = [url('mongodb'), url('redis'), url('glacier')];
  if (up && mongodb !== undefined && redis !== undefined && glacier !== undefined)
    return { isRunning: true, mongodb, redis, glacier };
  return {
    isRunning: false,
    mongodb: '${MORAINE_MONGODB_URL}',
    redis: '${MORAINE_REDIS_URL}',
    glacier: '${MORAINE_GLACIER_ENDPOINT}',
  };
}

function configText(recipient: string, { mongodb, redis, glacier }: Addresses): string {
  return `# Moraine's configuration; docs/configuration.md explains every field. \${NAME} is read from the environment.

environment: sandbox # demos and first looks: addresses on this machine only, and time may be moved with --as-of
mongodb: { url: ${quoted(mongodb)}, ledger: moraine }
redis: { url: ${quoted(redis)} }

vaults:
  cold:
    backend: glacier
    region: eu-west-1
    account: "-"
    endpoint: ${quoted(glacier)}

owners:
  acme: # the values of the owner field in your records
    administrators:
      - { name: administrator, recipient: ${recipient} }

policies: [policies/*.yaml]
`;
}

function quoted(text: string): string {
  return text.startsWith('$') ? text : JSON.stringify(text);
}
