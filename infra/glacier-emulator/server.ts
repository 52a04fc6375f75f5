import { createHash, randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { checkPayload } from './body.ts';
import type { Reply } from './call.ts';
import { EmulatorClock } from './clock.ts';
import { addControlRoutes } from './control.ts';
import {
  accessDenied,
  GlacierError,
  invalidParameter,
  missingParameter,
  serialization,
  serviceUnavailable,
  throttled,
} from './errors.ts';
import { type FaultKind, Faults } from './faults.ts';
import { ACCOUNT } from './identifiers.ts';
import { checkVaultName } from './limits.ts';
import { type Operation, operations } from './operations.ts';
import { type Credentials, SignatureVerifier } from './signature.ts';
import { Vaults } from './vaults.ts';

const API_VERSION = '2012-06-01';
const EMPTY_SHA256 = createHash('sha256').digest('hex');
const LARGEST_JSON_BYTES = 1024 * 1024;
/** Vault names have up to 255 characters, archive ids 138; more is let through to get the service's own answer. */
const LONGEST_PATH_PARAMETER = 1024;

export type EmulatorOptions = {
  /** Folder for everything that is kept. One emulator at a time may use it. */
  state: string;
  credentials: Credentials;
  /** How long outputs and resting uploads stay in real time after they expired by the clock. */
  lingerMs: number;
  /** How many vaults there may be in a region. */
  mostVaults: number;
};

/** The emulator as a server that is not listening yet. */
export async function createEmulator(options: EmulatorOptions): Promise<FastifyInstance> {
  await mkdir(options.state, { recursive: true });
  const clock = await EmulatorClock.open(options.state);
  const vaults = await Vaults.open(options.state, clock, options);
  const faults = new Faults();
  const verifier = new SignatureVerifier(options.credentials);
  const server = Fastify({
    bodyLimit: Number.MAX_SAFE_INTEGER,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: LONGEST_PATH_PARAMETER },
  });

  // Bodies may have gigabytes: operations read them from the stream.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', (_request, payload, done) => done(null, payload));

  // The date is that of the reply, not of the request: whatever it acknowledges happened before.
  server.addHook('onSend', async (_request, reply) => {
    reply.header('date', new Date(clock.nowMs()).toUTCString());
    reply.header('x-amzn-requestid', randomBytes(35).toString('base64url'));
  });
  server.setErrorHandler((error, request, reply) => sendError(error, request, reply));
  server.setNotFoundHandler((request, reply) =>
    sendError(new GlacierError(404, 'UnknownOperationException', `${request.method} ${request.url}`), request, reply),
  );

  addControlRoutes(server, { clock, vaults, faults });
  for (const [key, sharing] of Map.groupBy(operations, ({ method, path }) => `${method} ${path}`)) {
    const first = sharing[0];
    if (first === undefined) throw new Error(`no operation for ${key}`);
    server.route({ method: first.method, url: first.path, handler });
    async function handler(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
      const query = new URLSearchParams(request.url.split('?')[1] ?? '');
      const operation = chooseOperation(sharing, query);
      const params = paramsOf(request);
      if (request.headers['x-amz-glacier-version'] === undefined) throw missingParameter('API version');
      if (request.headers['x-amz-glacier-version'] !== API_VERSION) {
        throw invalidParameter(`Invalid API version: ${request.headers['x-amz-glacier-version']}`);
      }
      const { contentSha256, text } = await readPayload(request, operation);
      const { region } = await verifier.verify({
        method: request.method,
        url: request.url,
        headers: request.headers,
        payloadHash: contentSha256,
      });
      if (params['account'] !== '-' && params['account'] !== ACCOUNT) {
        throw accessDenied(`User is not authorized to access account ${params['account']}`);
      }
      const vault = params['vault'];
      if (vault !== undefined) checkVaultName(vault);
      const fault = faults.take(operation.name, vault);
      if (fault === 'throttle') throw throttled();
      if (fault === 'error500') throw serviceUnavailable();
      if (fault === 'cut' && operation.name !== 'GetJobOutput') return cut(request, reply);
      const { headers } = request;
      const json = text === '' ? undefined : parseJson(text);
      const body = request.raw;
      const answer = await operation.run({ vaults, clock, region, params, query, headers, contentSha256, body, json });
      if (fault === 'lost-reply') return cut(request, reply);
      return send(reply, answer, fault);
    }
  }
  return server;
}

function chooseOperation(sharing: readonly Operation[], query: URLSearchParams): Operation {
  const operation = sharing.find(
    ({ queryOperation }) => queryOperation === undefined || queryOperation === query.get('operation'),
  );
  if (operation === undefined) throw invalidParameter(`Invalid operation: ${query.get('operation')}`);
  return operation;
}

/**
 * The hash of the payload that the signature covers. Small bodies are read here. Those that are stored are hashed as
 * they arrive, so the client has to say beforehand what they hash to.
 */
async function readPayload(
  request: FastifyRequest,
  operation: Operation,
): Promise<{ contentSha256: string; text: string }> {
  const header = request.headers['x-amz-content-sha256'];
  const claimed = typeof header === 'string' ? header : undefined;
  if (operation.body === 'stream') {
    if (claimed === undefined) throw missingParameter('x-amz-content-sha256');
    return { contentSha256: claimed, text: '' };
  }
  if (operation.body === 'none') return { contentSha256: claimed ?? EMPTY_SHA256, text: '' };
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request.raw) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > LARGEST_JSON_BYTES) throw serialization(`The body has more than ${LARGEST_JSON_BYTES} bytes`);
  }
  const body = Buffer.concat(chunks);
  const computed = createHash('sha256').update(body).digest('hex');
  if (claimed !== undefined) checkPayload(claimed, computed);
  return { contentSha256: computed, text: body.toString('utf8') };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw serialization('The body is not valid JSON');
  }
}

/** The parameters of the path, decoded. */
function paramsOf(request: FastifyRequest): Record<string, string> {
  const params: Record<string, string> = {};
  const { params: raw } = request;
  if (typeof raw !== 'object' || raw === null) return params;
  for (const [name, value] of Object.entries(raw)) {
    if (typeof value === 'string') params[name] = value;
  }
  return params;
}

function send(reply: FastifyReply, answer: Reply, fault: FaultKind | null): FastifyReply {
  const { status, headers = {}, body } = answer;
  reply.status(status).headers(headers);
  if (body === undefined) return reply.send();
  if (!Buffer.isBuffer(body) && !(body instanceof Readable)) {
    return reply.type('application/json').send(JSON.stringify(body));
  }
  if (fault === 'corrupt-output') return reply.send(asStream(body).pipe(flipFirstByte()));
  if (fault === 'cut')
    return reply.send(asStream(body).pipe(endAfter(Math.floor(Number(headers['content-length']) / 2))));
  return reply.send(body);
}

/** Ends the connection without a reply. */
function cut(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.hijack();
  request.raw.socket.destroy();
  return reply;
}

const asStream = (body: Buffer | Readable) => (Buffer.isBuffer(body) ? Readable.from([body]) : body);

function flipFirstByte(): Transform {
  let isFirst = true;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const copy = Buffer.from(chunk);
      if (isFirst && copy.byteLength > 0) {
        copy[0] = copy[0]! ^ 0xff;
        isFirst = false;
      }
      done(null, copy);
    },
  });
}

/** Passes `bytes` on, then fails, which ends the connection. */
function endAfter(bytes: number): Transform {
  let left = bytes;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      this.push(chunk.subarray(0, left));
      left -= chunk.byteLength;
      if (left > 0) done();
      // The bytes that were passed on get a chance to leave first.
      else setTimeout(() => done(new Error('cut on purpose')), 20);
    },
  });
}

function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (!(error instanceof GlacierError)) {
    console.error(`glacier emulator: ${request.method} ${request.url} failed:`, error);
  }
  const known = error instanceof GlacierError ? error : serviceUnavailable();
  return reply
    .status(known.status)
    .type('application/json')
    .send(JSON.stringify({ code: known.code, message: known.message, type: known.type }));
}
