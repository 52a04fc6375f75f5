/** `moraine audit publish`, and `audit verify --key`: heads of the chain in a place that nobody changes. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { MoraineError } from '../errors.ts';
import { readPublicKeys } from '../keys/public-keys.ts';
import { headsOf, publishHead } from '../lifecycle/publish-head.ts';
import { type HeadsVerdict, verifyHeads } from '../lifecycle/verify-heads.ts';
import { headNumber, type PublishedHead } from '../vault/heads-port.ts';
import { acting, EXIT, type ExitCode, newCommand, type Session } from './command.ts';
import { counted } from './words.ts';

export function publishCommand(): Command {
  return newCommand('publish', {
    description: [
      'Sign the newest head of the chain and publish it in the write-once place of `audit.heads`, as the daemon does every',
      'hour, also when nothing happened. Whoever has the heads needs not trust the ledger: `audit verify --key`.',
    ].join('\n'),
    examples: [['moraine audit publish', '']],
  })
    .summary('publish the newest head in a write-once place')
    .action(
      acting(async (session) => {
        const app = await session.openApp();
        const { head, place } = await publishHead(session.contextOf(app));
        session.output.result({ place, head }, () => [
          `✓ Head no. ${head.number} is published in ${place}: entry ${head.seq}, ${head.hash.slice(0, 16)}…`,
        ]);
        return EXIT.done;
      }),
    );
}

export interface HeadsOptions {
  readonly key?: string;
  readonly heads?: string;
}

export const KEY_OPTION = new Option(
  '--key <file>',
  'public keys (PEM) that came by another way: the heads must be signed by them',
);
export const HEADS_OPTION = new Option(
  '--heads <where>',
  'with --key: "s3" (the place of `audit.heads`), or a folder that they were downloaded to',
).default('s3');

/** A time without a head that is longer than this is told: one is due every hour. */
const SILENT_AFTER_MS = 2 * 3_600_000;

export async function verifyWithHeads(session: Session, keyFile: string, where: string): Promise<ExitCode> {
  const keys = readPublicKeys(readText(keyFile), keyFile);
  const app = await session.openApp();
  const context = session.contextOf(app);
  const heads = where === 's3' ? headsOf(context).place.heads(1) : headsInFolder(where);
  const verdict = await verifyHeads(app.store, heads, { keys, silentAfterMs: SILENT_AFTER_MS });
  session.output.result(verdict, () => textOf(verdict, where === 's3' ? headsOf(context).place.name : where));
  if (verdict.ok) return EXIT.done;
  const error = new MoraineError('AUDIT_HEADS_BROKEN', verdict.problems.join(' '));
  if (!session.output.isJson) throw error;
  session.log.error({ code: error.code }, error.message);
  return EXIT.person;
}

function textOf(verdict: HeadsVerdict, where: string): readonly string[] {
  const { first, newest, heads, keyIds, entriesSince, silences, chain, ok } = verdict;
  const told = silences.map(({ from, to }) => `! No head was published between ${from} and ${to}.`);
  if (!ok || newest === null || first === null) return told;
  return [
    `✓ ${counted(heads, 'head')} in ${where}, no. ${first.number} to ${newest.number}, of installation ${newest.installation}: each is signed by ${keyIds.join(', ')}, names the one before, and is in the chain of the ledger.`,
    `✓ Proved: entries 1 to ${newest.seq} are as they were at ${newest.at}, and so are certificates 1 to ${newest.certificates}.`,
    entriesSince === 0
      ? '  The chain ends there.'
      : `  The chain goes on after it with ${counted(entriesSince, 'entry', 'entries')}, to ${chain.entries}; they hang together, and no head proves them yet.`,
    ...told,
  ];
}

/** Files as they were downloaded, by the names that they have in the place; folders within are looked into. */
async function* headsInFolder(folder: string): AsyncIterable<PublishedHead> {
  const found = new Map<number, string>();
  for (const file of readFolder(folder)) {
    const number = headNumber(file.split(/[/\\]/).at(-1) ?? '');
    if (number === null) continue;
    if (found.has(number)) {
      throw new MoraineError('USAGE', `${folder} holds head no. ${number} twice: of two installations?`, {
        hint: 'Name the folder of one installation.',
      });
    }
    found.set(number, file);
  }
  for (const [number, file] of [...found].sort(([a], [b]) => a - b))
    yield { number, bytes: readFileSync(join(folder, file)), isCovered: false };
}

function readFolder(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' });
  } catch (cause) {
    throw new MoraineError('USAGE', `Folder ${folder} cannot be read.`, { cause, hint: 'Name "s3", or a folder.' });
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new MoraineError('USAGE', `${file} cannot be read.`, { cause, hint: 'Check its name.', ids: { file } });
  }
}
