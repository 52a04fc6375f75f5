/** The command line as a whole: global options, help, and errors of usage in our own form. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { MoraineError } from '../errors.ts';
import type { LogLevel } from '../log.ts';
import { COMMANDS, type CommandEntry } from './commands.ts';
import { EXIT, type ExitCode, exitCodeOf } from './exit-code.ts';
import { parseInstant } from './parse-instant.ts';
import { asMoraineError, errorDocument, errorText } from './render-error.ts';

/** Global options that take a value: the word after them names no command. */
const WITH_VALUE = ['--config', '--as-of', '--by', '--log-level'];
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const satisfies readonly LogLevel[];

/** Runs one command line, without the program's name. Sets the exit code and prints the error, if there is one. */
export async function main(args: readonly string[]): Promise<void> {
  try {
    const program = await buildProgram(nameIn(args));
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    process.exitCode = report(error, args.includes('--json'));
  }
}

/** The whole program with the named commands loaded; the others are there by name for the help. Null loads all. */
export async function buildProgram(loaded: string | null): Promise<Command> {
  const program = new Command('moraine')
    .description(
      'Retention for MongoDB: archive records into Glacier, prove the copy, delete the original, destroy the copy on time.',
    )
    .version(packageJson.version, '-V, --version', 'print the version')
    .addOption(new Option('--config <file>', 'configuration (default: moraine.yaml)'))
    .addOption(new Option('--json', 'print one JSON document; logs go to stderr'))
    .addOption(
      new Option('--as-of <instant>', 'what counts as now for what is due; in a sandbox only').argParser(parseInstant),
    )
    .addOption(
      new Option('--by <name>', 'who acts, instead of the account that runs it; in a sandbox only').argParser(
        personName,
      ),
    )
    .addOption(new Option('--yes', 'confirm what would be asked'))
    .addOption(new Option('--log-level <level>', 'log lines on stderr').choices(LOG_LEVELS))
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', EXIT_CODES);
  for (const entry of COMMANDS) program.addCommand(await commandOf(entry, loaded));
  for (const command of withSubcommands(program)) {
    command
      .helpOption('-h, --help', 'print this help')
      .configureHelp({ showGlobalOptions: command !== program })
      .exitOverride()
      .configureOutput({ outputError: () => undefined });
  }
  return program;
}

function personName(text: string): string {
  const name = text.trim();
  if (name !== '' && !name.includes(':')) return name;
  throw new InvalidArgumentError('Expected the name of a person, without ":".');
}

async function commandOf(entry: CommandEntry, loaded: string | null): Promise<Command> {
  const command = loaded === null || entry.name === loaded ? await entry.load() : new Command(entry.name);
  return command.summary(entry.summary).helpGroup(entry.group);
}

function withSubcommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** The first word that is no option: the command, or what `help` is asked about. */
function nameIn(args: readonly string[]): string {
  const words = args.filter((arg, at) => !arg.startsWith('-') && !WITH_VALUE.includes(args[at - 1] ?? ''));
  return (words[0] === 'help' ? words[1] : words[0]) ?? '';
}

function report(thrown: unknown, isJson: boolean): ExitCode {
  if (thrown instanceof CommanderError) {
    const isAnswer = ['commander.helpDisplayed', 'commander.version'].includes(thrown.code);
    if (isAnswer || (thrown.code === 'commander.help' && thrown.exitCode === 0)) return EXIT.done;
  }
  const error = thrown instanceof CommanderError ? usageError(thrown) : asMoraineError(thrown);
  if (isJson) process.stdout.write(`${JSON.stringify({ error: errorDocument(error) }, null, 2)}\n`);
  else process.stderr.write(`${errorText(error)}\n`);
  if (error.class === 'bug' && error.cause instanceof Error) process.stderr.write(`${error.cause.stack}\n`);
  return exitCodeOf(error);
}

function usageError(error: CommanderError): MoraineError {
  const text =
    error.code === 'commander.help'
      ? 'A command is missing; the help names them.'
      : error.message.replace(/^error: /, '');
  return new MoraineError('USAGE', text.charAt(0).toUpperCase() + text.slice(1));
}

const EXIT_CODES = `
Exit codes:
  0  done
  1  failed
  2  wrong usage, configuration or policy
  3  done, and this command met something new that needs a person`;
