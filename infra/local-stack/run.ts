import { spawn } from 'node:child_process';
import { appendFileSync, closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { MoraineError } from '../../src/errors.ts';

const TAIL_LINES = 15;

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Runs a command to its end, its output in the log. Throws STACK_FAILED with the log's end when it fails. */
export async function run(command: Command, log: string): Promise<void> {
  mkdirSync(dirname(log), { recursive: true });
  appendFileSync(log, `\n$ ${command.file} ${command.args.join(' ')}\n`);
  const output = openSync(log, 'a');
  try {
    const outcome = await new Promise<string>((resolve) => {
      const child = spawn(command.file, command.args, {
        stdio: ['ignore', output, output],
        env: { ...process.env, ...command.env },
        ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
      });
      child.on('error', (error) => resolve(error.message));
      child.on('exit', (code, signal) => resolve(code === 0 ? '' : `ended with ${signal ?? code}`));
    });
    if (outcome) {
      throw new MoraineError('STACK_FAILED', `${command.file} ${outcome}; log: ${log}\n${tail(log)}`);
    }
  } finally {
    closeSync(output);
  }
}

/** What a short command prints, or null when it cannot be run, fails or takes longer than `timeoutMs`. */
export function output(file: string, args: readonly string[], timeoutMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'], timeout: timeoutMs });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    child.on('error', () => resolve(null));
    child.on('close', (code) => resolve(code === 0 ? text : null));
  });
}

/** The last lines of a log, indented for an error's text. */
export function tail(log: string): string {
  try {
    const lines = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-TAIL_LINES);
    return lines.map((line) => `    ${line}`).join('\n');
  } catch {
    return '    (no log)';
  }
}
