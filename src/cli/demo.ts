/** `moraine demo`: the whole life on the local stack, with sample data. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../clock.ts';
import { acting, EXIT, newCommand } from './command.ts';

interface DemoOptions {
  readonly dir?: string;
}

export function demoCommand(): Command {
  return newCommand('demo', {
    description: [
      'Tell the whole life of an archive on the local stack, with sample data in databases of its own: archive, verify,',
      'delete, retrieve, restore, purge, certificates. Starts the stack where it does not run. Takes about a minute.',
    ].join('\n'),
    examples: [
      ['moraine demo', 'the story, from the first record to the last certificate'],
      ['moraine demo --dir /tmp/demo', "with moraine.yaml and the administrators' identities in that folder"],
    ],
  })
    .option('--dir <folder>', 'where to write moraine.yaml, policies and identities; an earlier demo in it is replaced')
    .action(
      acting<DemoOptions>(async (_session, _args, options) => {
        const { tellStory } = await import('../demo/story.ts');
        await tellStory({ clock: systemClock, directory: options.dir ?? join(homedir(), '.moraine-demo') });
        return EXIT.done;
      }),
    );
}
