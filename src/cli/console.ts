/** `moraine console`: the dashboard, until it is told to stop. It reads the ledger and changes nothing. */
import { type Command, InvalidArgumentError } from 'commander';
import { openBoard } from '../../jobs/board.ts';
import { queuePrefix } from '../../jobs/queues.ts';
import { startConsole } from '../console/server.ts';
import { MoraineError } from '../errors.ts';
import { createLog } from '../log.ts';
import { acting, EXIT, newCommand } from './command.ts';

interface ConsoleOptions {
  readonly port?: number;
  readonly host?: string;
}

const MAX_PORT = 65_535;

export function consoleCommand(): Command {
  return newCommand('console', {
    description: [
      'Serve the dashboard, its API under /api and the metrics under /metrics, until it is stopped. It only reads.',
      'There is no login in this version, so it listens on this machine alone unless moraine.yaml names another host.',
    ].join('\n'),
    examples: [
      ['moraine console', 'on the port of moraine.yaml, or any that is free'],
      ['moraine console --port 8080', 'on this port'],
      ['moraine console --json', 'prints { url } when it listens'],
    ],
  })
    .option('--port <number>', 'port to listen on; 0 takes any that is free', parsePort)
    .option('--host <address>', 'address to listen on; on other machines only what moraine.yaml names')
    .action(
      acting<ConsoleOptions>(async (session, _args, options) => {
        const { config, globals } = session;
        if (globals.asOf !== undefined) {
          throw new MoraineError('AS_OF_REFUSED', 'The console shows the ledger as it is now: --as-of is refused.', {
            hint: 'Leave --as-of away; `moraine plan --as-of` says what will be due.',
          });
        }
        // A person watches it: what goes wrong while it serves has no other way to be seen.
        const log = createLog(globals.logLevel ?? 'warn');
        const app = await session.openApp();
        const board =
          config.redis === null
            ? null
            : openBoard({
                url: config.redis.url,
                prefix: queuePrefix(app.installation.id),
                isWritable: config.console.bullBoardWritable,
                log,
              });
        if (board !== null) session.atEnd(async () => board.close());
        const console_ = await startConsole({ app, config, log, queues: board?.adapters ?? [], ...options });
        session.atEnd(() => console_.close());
        session.output.result({ url: console_.url }, () => [
          `The dashboard is at ${console_.url}`,
          'Metrics are under /metrics, the API under /api. Ctrl-C ends it.',
        ]);
        await untilAborted(session.signal);
        return EXIT.done;
      }),
    );
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= MAX_PORT) return port;
  throw new InvalidArgumentError(`Expected a port from 0 to ${MAX_PORT}.`);
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
