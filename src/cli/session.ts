/** One command at work: its global options, its output, what it opened, and the signal that stops it. */
import { userInfo } from 'node:os';
import { type App, type AppOptions, openApp } from '../app.ts';
import { type Config, loadConfig } from '../config.ts';
import { MoraineError } from '../errors.ts';
import type { ActLog, Context, Progress } from '../lifecycle/context.ts';
import { createLog, type LogLevel } from '../log.ts';
import { Output } from './output.ts';

/** Options that every command takes, before or after its name. */
export interface GlobalOptions {
  readonly config?: string;
  readonly json?: true;
  readonly asOf?: Date;
  readonly by?: string;
  readonly yes?: true;
  readonly logLevel?: LogLevel;
}

export class Session {
  readonly globals: GlobalOptions;
  readonly output: Output;
  /** Aborted by SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  readonly log: ActLog;
  readonly #closing: (() => Promise<void>)[] = [];
  #config: Config | null = null;

  constructor(globals: GlobalOptions, signal: AbortSignal) {
    this.globals = globals;
    this.signal = signal;
    this.output = new Output(globals.json === true);
    // A person reads the result and its problems; the same again as log lines would hide them.
    this.log = createLog(globals.logLevel ?? (this.output.isJson ? 'warn' : 'silent'));
  }

  /** moraine.yaml. Throws CONFIG_INVALID, and AS_OF_REFUSED before anything is connected to. */
  get config(): Config {
    this.#config ??= loadConfig(this.globals.config);
    const { environment } = this.#config;
    if (this.globals.asOf !== undefined && environment !== 'sandbox') {
      throw new MoraineError('AS_OF_REFUSED', `--as-of is refused: this environment is ${environment}.`);
    }
    return this.#config;
  }

  /** Who acts, for the audit chain and for approvals: the account that runs the command. Throws BY_REFUSED. */
  get actor(): string {
    const { by } = this.globals;
    if (by === undefined) return `person:${userInfo().username}`;
    const { environment } = this.config;
    if (environment !== 'sandbox') {
      throw new MoraineError('BY_REFUSED', `--by is refused: this environment is ${environment}.`);
    }
    return `person:${by}`;
  }

  /** Connects. What it opened is closed when the command ends. */
  async openApp(before?: AppOptions['before']): Promise<App> {
    const options = { log: this.log, actor: this.actor, ...(before === undefined ? {} : { before }) };
    const app = await openApp(this.config, options);
    this.atEnd(() => app.close());
    return app;
  }

  /** What acts take, with this command's `--as-of` and its signal. */
  contextOf(app: App, progress: Progress = {}): Context {
    return app.context({ asOf: this.globals.asOf ?? null, signal: this.signal, progress });
  }

  atEnd(close: () => Promise<void>): void {
    this.#closing.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closing.splice(0).toReversed()) await close();
  }
}
