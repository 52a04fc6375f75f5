/** `moraine worker`: the daemon. Sweeps by the policies' schedules, purges, reconciles, and takes what `run --queue` hands it. */
import { hostname } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import { boardAdapters } from '../../jobs/board.ts';
import { type Daemon, type DaemonOptions, startDaemon } from '../../jobs/daemon.ts';
import { DEFAULT_CONCURRENCY, MARGINS } from '../../jobs/margins.ts';
import { Outages } from '../../jobs/outages.ts';
import { QUEUE_NAMES } from '../../jobs/queues.ts';
import { FIXED_SCHEDULES } from '../../jobs/schedules.ts';
import { type App, openApp } from '../app.ts';
import { systemClock } from '../clock.ts';
import { type ConsoleOptions, type RunningConsole, startConsole } from '../console/server.ts';
import { isMoraineError, MoraineError } from '../errors.ts';
import type { ActLog } from '../lifecycle/context.ts';
import { createLog } from '../log.ts';
import { createMetrics, type Metrics } from '../metrics.ts';
import { withoutCredentials } from '../without-credentials.ts';
import { acting, EXIT, newCommand, type Session } from './command.ts';

interface WorkerOptions {
  readonly concurrency: number;
  /** False with --no-console. */
  readonly console: boolean;
}

/** Whatever does not come to a stop is cut after this: a service manager's own patience should be longer. */
const EXIT_WITHIN_MS = MARGINS.giveBackWithinMs + 2 * MARGINS.closeWithinMs;

export function workerCommand(): Command {
  return newCommand('worker', {
    description: [
      'Run as a daemon: sweep each policy in force by its schedule, purge and reconcile every hour, follow retrievals,',
      'and do what `moraine run --queue` hands over. Several may run at once, on one machine or many.',
      'It waits for Redis, MongoDB and the vault to come back, and says so once. SIGTERM gives the work back and ends it',
      `within ${EXIT_WITHIN_MS / 1000} seconds; what was begun is carried on by the next worker.`,
    ].join('\n'),
    examples: [
      ['moraine worker', 'serve all queues'],
      ['moraine worker --concurrency 8', 'more archives at once, with more memory'],
      ['moraine worker --no-console', 'without the dashboard, as for the second on a machine'],
      ['moraine run --queue', 'hand a run to it, from another terminal'],
    ],
  })
    .option('--concurrency <n>', 'archives worked on at once', wholeNumber, DEFAULT_CONCURRENCY)
    .option('--no-console', 'do not serve the dashboard and the metrics')
    .action(
      acting<WorkerOptions>(async (session, _, options) => {
        const { concurrency } = options;
        const { config, globals, signal } = session;
        if (globals.asOf !== undefined) {
          throw new MoraineError('AS_OF_REFUSED', 'A daemon works by the real time: --as-of is refused.');
        }
        const log = createLog(globals.logLevel ?? 'info');
        const app = await openPatiently(session, log);
        const metrics = createMetrics();
        const { progress } = metrics;
        const daemon = await startDaemon({ config, app, log, signal, concurrency, progress });
        session.atEnd(() => daemon.close());
        const dashboard = options.console ? await openDashboard({ config, app, log, daemon, metrics }) : null;
        const address = withoutCredentials(config.redis?.url ?? '');
        const installation = app.installation.id;
        const url = dashboard?.url ?? null;
        const served = { installation, queues: QUEUE_NAMES, concurrency, redis: address, dashboard: url };
        log.info(served, 'The daemon serves its queues.');
        session.output.result(served, () => servedText(app, address, concurrency, url));
        await ended(signal);
        // The timer holds nothing up; it ends a process that a call which never returns would keep alive.
        setTimeout(() => process.exit(EXIT.done), EXIT_WITHIN_MS).unref();
        await Promise.all([dashboard?.close(), daemon.close()]);
        log.info({}, 'The daemon has stopped; its work was given back.');
        return EXIT.done;
      }),
    );
}

function servedText(app: App, redis: string, concurrency: number, url: string | null): readonly string[] {
  const isTelling = app.config.notify !== null;
  return [
    `Installation ${app.installation.id} (${app.installation.environment}), Redis at ${redis}`,
    `  sweep      each policy by its own schedule, and \`moraine run --queue\``,
    `  archive    ${concurrency} at once: plan, store, verify, clear`,
    '  clear      archives that an inventory has verified',
    `  purge      ${FIXED_SCHEDULES.purge} (UTC)`,
    `  reconcile  ${FIXED_SCHEDULES.reconcile} (UTC)`,
    `  retrieve   ${FIXED_SCHEDULES.retrieve} (UTC)`,
    ...(isTelling ? [`  notify     ${FIXED_SCHEDULES.notify} (UTC)`] : []),
    ...(url === null ? [] : [`The dashboard is at ${url}, metrics under /metrics.`]),
    'Logs go to stderr. Ctrl-C stops it.',
  ];
}

interface DashboardParts extends Pick<ConsoleOptions, 'app' | 'config' | 'log'> {
  readonly daemon: Daemon;
  readonly metrics: Metrics;
}

/** The dashboard beside the daemon. Without it (its port is taken by another worker) the daemon works all the same. */
async function openDashboard({ app, config, log, daemon, metrics }: DashboardParts): Promise<RunningConsole | null> {
  try {
    const queues = boardAdapters(daemon.queues, { isWritable: config.console.bullBoardWritable });
    return await startConsole({ app, config, log, queues, metrics });
  } catch (error) {
    if (!isMoraineError(error, 'CONFIG_INVALID')) throw error;
    log.warn({ code: error.code }, `The daemon runs without a dashboard. ${error.message} ${error.hint}`);
    return null;
  }
}

/** Connects, and waits for a MongoDB that is away. Every other error ends the command. */
async function openPatiently(session: Session, log: ActLog): Promise<App> {
  const outages = new Outages(log);
  const options = { log, actor: `worker:${hostname()}-${process.pid}` };
  for (;;) {
    try {
      const app = await openApp(session.config, options);
      session.atEnd(() => app.close());
      outages.ended('mongodb');
      return app;
    } catch (error) {
      if (!isMoraineError(error, 'MONGODB_UNAVAILABLE')) throw error;
      outages.began('mongodb', error.code);
      await systemClock.sleep(MARGINS.outageRetryMs, session.signal);
    }
  }
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function wholeNumber(text: string): NonNullable<DaemonOptions['concurrency']> {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new InvalidArgumentError('Expected a whole number of 1 or more.');
}
