/** The text of `docs/commands.md`: every command with its help, as the program prints it. A test compares the two. */
import type { Command } from 'commander';
import { buildProgram } from '../src/cli/program.ts';

/** Narrow enough for a page, and the same on every terminal. */
const HELP_WIDTH = 100;

const INTRODUCTION = `# Commands

\`moraine <command>\` does everything in the foreground, without a daemon or Redis. This page is written by
\`scripts/write-commands-page.ts\` from the help of the commands; a test compares them.

What a person sees is text; \`--json\` prints one JSON document on stdout instead, and nothing else there. Logs, progress
and questions go to stderr. A command that destroys, publishes or costs money asks first; where nobody is at a terminal
it stops with \`CONFIRMATION_NEEDED\` (exit code 3), and \`--yes\` confirms.

A command that fails says what happened, what was changed, whether it is tried again, and what to do next. With
\`--json\` that is \`{ "error": { code, class, message, changed, hint, retryAt, ids } }\`; \`docs/errors.md\` lists the
codes.

Ctrl-C asks a command to stop where that leaves nothing half done; the same command then goes on from there. A second
Ctrl-C does not wait.
`;

export async function commandsPage(): Promise<string> {
  const [whole, program] = [await buildProgram(''), await buildProgram(null)];
  return [INTRODUCTION, section(whole, 'moraine', 2), ...program.commands.flatMap((command) => sections(command))].join(
    '\n',
  );
}

function sections(command: Command): readonly string[] {
  const name = `moraine ${command.name()}`;
  const inner = command.commands.map((each) => section(each, `${name} ${each.name()}`, 3));
  return [section(command, name, 2), ...inner];
}

function section(command: Command, name: string, level: number): string {
  command.configureOutput({ getOutHelpWidth: () => HELP_WIDTH });
  let help = '';
  command.configureOutput({
    writeOut: (text) => {
      help += text;
    },
  });
  // The global options stand once, in the help of `moraine` itself.
  command.configureHelp({ showGlobalOptions: false });
  command.outputHelp();
  return `${'#'.repeat(level)} ${name}\n\n\`\`\`text\n${help.trimEnd()}\n\`\`\`\n`;
}
