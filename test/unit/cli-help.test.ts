import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { commandsPage } from '../../scripts/commands-page.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { buildProgram } from '../../src/cli/program.ts';

test('docs/commands.md is what the commands say about themselves', async () => {
  const page = readFileSync(new URL('../../docs/commands.md', import.meta.url), 'utf8');
  expect(page, 'run scripts/write-commands-page.ts').toBe(await commandsPage());
});

test('every command has a description and examples, and every example is a command line of its own program', async () => {
  const program = await buildProgram(null);
  const everything = [...program.commands, ...program.commands.flatMap(({ commands }) => commands)];
  for (const command of everything) {
    expect(command.description(), command.name()).not.toBe('');
    let help = '';
    command.configureOutput({
      writeOut: (text) => {
        help += text;
      },
    });
    command.outputHelp();
    const examples = help.split('Examples:\n')[1]?.split('\n') ?? [];
    expect(examples.length, `examples of ${command.name()}`).toBeGreaterThan(0);
    for (const line of examples.filter((text) => text.trim() !== '')) {
      const [, first, second] = line.trim().split(/\s+/);
      const named = program.commands.find((each) => each.name() === first);
      expect(named, line).toBeDefined();
      const flags = [...line.matchAll(/ (--[A-Za-z-]+)/g)].map(([, flag]) => flag);
      const inner = named?.commands.find((each) => each.name() === second);
      const known = [program, named, inner].flatMap((each) => each?.options.map(({ long }) => long) ?? []);
      for (const flag of flags) expect(known, line).toContain(flag);
    }
  }
});

test('the help of the whole names every command, without loading them', async () => {
  const program = await buildProgram('');
  expect(program.commands.map((command) => command.name()).sort()).toEqual(COMMANDS.map(({ name }) => name).sort());
  for (const command of program.commands) expect(command.summary()).not.toBe('');
});
