/** `moraine stack up|status|down`: the local stack. */
import type { Command } from 'commander';
import { ensureStack, type StackStatus, stackStatus, stopStack } from '../../infra/local-stack/index.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { table } from './output.ts';

export function stackCommand(): Command {
  return newCommand('stack', {
    description:
      'The local stack for a first look, the demo and the tests: MongoDB, Redis, Glacier and S3 on this machine.',
    examples: [
      ['moraine stack up', 'start it; the first time takes minutes'],
      ['moraine stack up --json', 'the URLs, for a script'],
    ],
  })
    .addCommand(
      newCommand('up', {
        description: 'Start what is missing and print the URLs.',
        examples: [['moraine stack up', '']],
      })
        .summary('start what is missing')
        .action(
          acting(async (session) => {
            const urls = await ensureStack({ progress: (line) => process.stderr.write(`${line}\n`) });
            session.output.result(urls, () => [
              table(
                ['service', 'url'],
                Object.entries(urls).map(([service, url]) => [service, url ?? '-']),
              ),
            ]);
            return EXIT.done;
          }),
        ),
    )
    .addCommand(
      newCommand('status', { description: 'Say what runs. Starts nothing.', examples: [['moraine stack status', '']] })
        .summary('what runs')
        .action(
          acting(async (session) => {
            const status = await stackStatus();
            session.output.result(
              { ...urlsOf(status), up: status.up, services: status.services, logs: status.logs },
              () => [
                status.up ? '✓ The local stack is up.' : '! The local stack is not up: `moraine stack up`.',
                ...(status.services.length === 0
                  ? []
                  : [
                      table(
                        ['service', 'url', 'answers', 'from'],
                        status.services.map(({ service, url, answers, from }) => [
                          service,
                          url,
                          answers ? 'yes' : 'no',
                          from,
                        ]),
                      ),
                    ]),
                `  dashboard ${status.dashboard ?? '-'}, logs ${status.logs}`,
              ],
            );
            return EXIT.done;
          }),
        ),
    )
    .addCommand(
      newCommand('down', {
        description: 'Stop the servers. Their data stays for the next time.',
        examples: [['moraine stack down', '']],
      })
        .summary('stop it')
        .action(
          acting(async (session) => {
            const stopped = await stopStack({ progress: (line) => process.stderr.write(`${line}\n`) });
            session.output.result({ stopped }, () => [stopped ? '✓ The local stack is down.' : 'Nothing ran.']);
            return EXIT.done;
          }),
        ),
    );
}

function urlsOf({ services, dashboard }: StackStatus) {
  const url = (name: string) => services.find(({ service }) => service === name)?.url ?? null;
  return { mongodb: url('mongodb'), redis: url('redis'), glacier: url('glacier'), s3: url('s3'), dashboard };
}
