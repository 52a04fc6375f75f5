/** Tells the demo on a terminal: chapters, sentences, and the real commands with what they print. */
import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { promisify, styleText } from 'node:util';
import { MoraineError } from '../errors.ts';

const ENTRY = join(import.meta.dirname, '../cli/moraine.ts');
/** A JSON document of a few hundred archives. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

export class Narrator {
  readonly #config: string;
  #chapter = 0;

  constructor(config: string) {
    this.#config = config;
  }

  chapter(title: string): void {
    this.#chapter += 1;
    console.log(`\n${styleText(['bold', 'cyan'], `${this.#chapter}. ${title}`)}`);
  }

  say(...lines: readonly string[]): void {
    for (const line of lines) console.log(`   ${line}`);
  }

  good(line: string): void {
    console.log(`   ${styleText('green', '✓')} ${line}`);
  }

  /** Runs a command as a person would and shows what it prints. Throws when it ends with another code than those allowed. */
  async command(args: readonly string[], allowed: readonly number[] = [0]): Promise<void> {
    this.#show(args);
    const child = spawn(process.execPath, [ENTRY, ...args, '--config', this.#config], { stdio: 'inherit' });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', resolve);
    });
    if (code === null || !allowed.includes(code)) throw failed(args, code);
  }

  /** Runs a command with --json and returns its document; shows the command only. */
  async ask(args: readonly string[], allowed: readonly number[] = [0]): Promise<unknown> {
    this.#show(args);
    try {
      const options = { maxBuffer: MAX_OUTPUT_BYTES };
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [ENTRY, ...args, '--json', '--config', this.#config],
        options,
      );
      return JSON.parse(stdout);
    } catch (error) {
      if (hasOutput(error) && allowed.includes(error.code)) return JSON.parse(error.stdout);
      throw failed(args, hasOutput(error) ? error.code : null, hasOutput(error) ? error.stdout : String(error));
    }
  }

  #show(args: readonly string[]): void {
    console.log(`   ${styleText('yellow', `$ moraine ${args.join(' ')}`)}`);
  }
}

function hasOutput(error: unknown): error is { readonly code: number; readonly stdout: string } {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'number' &&
    'stdout' in error
  );
}

function failed(args: readonly string[], code: number | null, output = ''): MoraineError {
  return new MoraineError(
    'INTERNAL',
    `The demo stopped: \`moraine ${args.join(' ')}\` ended with ${code ?? 'a signal'}. ${output}`,
    {
      changed: 'What the demo did so far is in databases of its own; the next demo removes it.',
      hint: 'Read the message above; `moraine stack down` and another try start afresh.',
    },
  );
}
