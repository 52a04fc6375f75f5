/** The console: dashboard, API, metrics and queue dashboard in one server. It reads, and changes nothing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fastify, { type FastifyInstance } from 'fastify';
import type { App } from '../app.ts';
import type { Config } from '../config.ts';
import { errorClass, MoraineError } from '../errors.ts';
import type { ActLog } from '../lifecycle/context.ts';
import { createMetrics, type Metrics } from '../metrics.ts';
import { mountBoard } from './board.ts';
import {
  assertMayListen,
  isLoopbackHost,
  PAGE_CSP,
  refuseChanges,
  refuseForeignHost,
  setSecurityHeaders,
} from './guard.ts';
import { readReadiness } from './health.ts';
import { layout } from './layout.ts';
import { notFoundPage, problemPage } from './pages/problem.ts';
import { BOARD_PATH } from './pages/queues.ts';
import type { QueueAdapter } from './queues.ts';
import { frameOf, registerRoutes } from './routes.ts';
import { readSamples } from './samples.ts';
import { createSight, type Sight } from './sight.ts';

export interface ConsoleOptions {
  readonly app: App;
  readonly config: Config;
  readonly log: ActLog;
  /** As `jobs/board.ts` makes them; without any there is no queue dashboard. */
  readonly queues?: readonly QueueAdapter[];
  /** The daemon gives its own, whose counters say what it has done. */
  readonly metrics?: Metrics;
  /** Both default to those of moraine.yaml. Port 0 takes any that is free. */
  readonly port?: number;
  readonly host?: string;
}

export interface RunningConsole {
  readonly url: string;
  close(): Promise<void>;
}

/** Starts to listen. Throws CONFIG_INVALID for a host that it must not, or an address that cannot be had. */
export async function startConsole(options: ConsoleOptions): Promise<RunningConsole> {
  const { config, log } = options;
  const { host = config.console.host, port = config.console.port } = options;
  assertMayListen(host, config.console.host);
  if (!isLoopbackHost(host)) {
    log.warn({ host }, 'The console has no login in this version: everyone who reaches this address can read it.');
  }
  const server = await buildServer({ ...options, host });
  try {
    await server.listen({ host, port });
  } catch (cause) {
    await server.close();
    throw new MoraineError('CONFIG_INVALID', `The console cannot listen on ${host}, port ${port}.`, {
      cause,
      hint: 'Another program may have that port; port 0 takes any that is free.',
    });
  }
  return {
    url: urlOf(server, host),
    close: async () => {
      server.server.closeAllConnections();
      await server.close();
    },
  };
}

async function buildServer(options: ConsoleOptions & { readonly host: string }): Promise<FastifyInstance> {
  const { app, config, log, queues = [], host, metrics = createMetrics() } = options;
  const sight = createSight(app, config, queues);
  const server = fastify({
    logger: false,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: MAX_ID_LENGTH },
  });
  server.addHook('onRequest', refuseForeignHost(host));
  // Before the scopes below, so that whatever answers, also an error, carries them.
  server.addHook('onRequest', setSecurityHeaders(PAGE_CSP));
  // Scopes take over what handles errors when they are made.
  server.setNotFoundHandler({ preHandler: refuseChanges }, async (request, reply) => {
    reply.code(404);
    if (isForMachines(request.url)) return { error: { code: 'NOT_FOUND', message: 'There is no such address.' } };
    return reply.type(HTML).send(layout(frameOf(sight, sight.context.clock.now()), notFoundPage()));
  });
  server.setErrorHandler(async (error, request, reply) => {
    const problem = asMoraineError(error);
    const status = statusOf(problem);
    if (status >= 500) log.error({ code: problem.code }, `The console could not answer: ${problem.message}`);
    reply.code(status);
    const { code, message, hint } = problem;
    if (isForMachines(request.url)) return { error: { code, message, hint } };
    return reply.type(HTML).send(layout(frameOf(sight, sight.context.clock.now()), problemPage(problem)));
  });
  if (queues.length > 0) {
    await mountBoard(server, { path: BOARD_PATH, queues, isWritable: config.console.bullBoardWritable });
  }
  await server.register(async (scope) => {
    scope.addHook('onRequest', refuseChanges);
    registerRoutes(scope, sight);
    registerMachines(scope, sight, metrics);
    registerAssets(scope);
  });
  return server;
}

/** Ids of certificates and quarantine entries are longer than the router's usual 100 characters. */
const MAX_ID_LENGTH = 500;
const HTML = 'text/html; charset=utf-8';

function registerMachines(server: FastifyInstance, sight: Sight, metrics: Metrics): void {
  server.get('/metrics', async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.text(await readSamples(sight))),
  );
  server.get('/healthz', async () => ({ ok: true }));
  server.get('/readyz', async (_request, reply) => {
    const readiness = await readReadiness(sight);
    return reply.code(readiness.ready ? 200 : 503).send(readiness);
  });
}

const ASSETS: readonly (readonly [file: string, type: string])[] = [
  ['console.css', 'text/css; charset=utf-8'],
  ['console.js', 'text/javascript; charset=utf-8'],
  ['mark.svg', 'image/svg+xml'],
];

function registerAssets(server: FastifyInstance): void {
  for (const [file, type] of ASSETS) {
    const content = readFileSync(join(import.meta.dirname, 'assets', file));
    server.get(`/assets/${file}`, async (_request, reply) =>
      reply.type(type).header('cache-control', 'no-cache').send(content),
    );
  }
  server.get('/favicon.ico', async (_request, reply) => reply.redirect('/assets/mark.svg'));
}

function isForMachines(url: string): boolean {
  return url.startsWith('/api/') || url.startsWith('/metrics');
}

function asMoraineError(error: unknown): MoraineError {
  if (error instanceof MoraineError) return error;
  if (isClientError(error)) return new MoraineError('USAGE', 'The address is not one that the console knows.');
  return new MoraineError('INTERNAL', 'Something went wrong here; the log of the console says what.', { cause: error });
}

/** What Fastify itself refuses, such as a malformed address. */
function isClientError(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return false;
  return typeof error.statusCode === 'number' && error.statusCode < 500;
}

function statusOf(error: MoraineError): number {
  if (error.code === 'ARCHIVE_UNKNOWN') return 404;
  const kind = errorClass(error);
  if (kind === 'usage') return 400;
  return kind === 'retry' || kind === 'later' ? 503 : 500;
}

function urlOf(server: FastifyInstance, host: string): string {
  const address = server.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const name = host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${port}/`;
}
