import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { pipeline, type Readable } from 'node:stream';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { authorize, contextOf } from './authorization.ts';
import { ChunkDecoder, STREAMING_PAYLOAD } from './aws-chunked.ts';
import { UNSIGNED_PAYLOAD } from './body.ts';
import { CallCounts } from './call-counts.ts';
import { EmulatorClock } from './clock.ts';
import { addControlRoutes } from './control.ts';
import {
  accessDenied,
  GlacierError,
  invalidParameter,
  missingParameter,
  serviceUnavailable,
  throttled,
} from './errors.ts';
import { Faults } from './faults.ts';
import { ACCOUNT, vaultArn } from './identifiers.ts';
import { checkVaultName } from './limits.ts';
import { Notifier } from './notifier.ts';
import { actions, type Operation, operations } from './operations.ts';
import { parseJson, readPayload } from './payload.ts';
import { readVaultPolicy } from './policy-document.ts';
import { accountOwner, type Credentials, type Principal } from './principals.ts';
import { RegionAccounts } from './region-accounts.ts';
import { cut, send, sendError } from './replies.ts';
import { FREE_TIER_BYTES_A_DAY } from './retrieval-policy.ts';
import { type ChunkSeed, SignatureVerifier } from './signature.ts';
import { snsPublisher } from './sns.ts';
import { Vaults } from './vaults.ts';

const API_VERSION = '2012-06-01';
/** Vault names have up to 255 characters, archive ids 138; more is let through to get the service's own answer. */
const LONGEST_PATH_PARAMETER = 1024;

export type EmulatorOptions = {
  /** Folder for everything that is kept. One emulator at a time may use it. */
  state: string;
  /** Those of the account's owner. */
  credentials: Credentials;
  /** Who else may call. */
  users?: readonly Principal[];
  /** How long outputs, resting uploads and locks in progress stay in real time after they expired by the clock. */
  lingerMs: number;
  /** How many vaults there may be in a region. */
  mostVaults: number;
  /** What the FreeTier retrieval policy lets through on a day. */
  freeTierBytes?: number;
  /** The SNS that is told of completed jobs; without it, what would be told can be read from the emulator. */
  snsEndpoint?: string | null;
};

/** The emulator as a server that is not listening yet. */
export async function createEmulator(options: EmulatorOptions): Promise<FastifyInstance> {
  await mkdir(options.state, { recursive: true });
  const clock = await EmulatorClock.open(options.state);
  const vaults = await Vaults.open(options.state, clock, options);
  const accounts = await RegionAccounts.open(options.state);
  const { credentials, users = [], freeTierBytes = FREE_TIER_BYTES_A_DAY, snsEndpoint = null } = options;
  const publish = snsEndpoint === null ? null : await snsPublisher(snsEndpoint, credentials);
  const notifier = new Notifier(vaults, clock, publish);
  const faults = new Faults();
  const counts = new CallCounts();
  const verifier = new SignatureVerifier([accountOwner(credentials), ...users]);
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
  server.addHook('onClose', () => notifier.end());
  server.addHook('onListen', async () => notifier.look());
  server.setErrorHandler((error, request, reply) => sendError(error, request, reply));
  server.setNotFoundHandler((request, reply) =>
    sendError(new GlacierError(404, 'UnknownOperationException', `${request.method} ${request.url}`), request, reply),
  );

  addControlRoutes(server, { clock, vaults, faults, notifier, counts });
  for (const [key, sharing] of Map.groupBy(operations, ({ method, path }) => `${method} ${path}`)) {
    const first = sharing[0];
    if (first === undefined) throw new Error(`no operation for ${key}`);
    server.route({ method: first.method, url: first.path, handler });
    async function handler(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
      const query = new URLSearchParams(request.url.split('?')[1] ?? '');
      const operation = chooseOperation(sharing, query);
      reply.raw.on('close', () => counts.add(operation.name, reply.raw.writableFinished ? reply.statusCode : 0));
      const params = paramsOf(request);
      if (request.headers['x-amz-glacier-version'] === undefined) throw missingParameter('API version');
      if (request.headers['x-amz-glacier-version'] !== API_VERSION) {
        throw invalidParameter(`Invalid API version: ${request.headers['x-amz-glacier-version']}`);
      }
      const { contentSha256, text } = await readPayload(request, operation);
      const { region, principal, seed } = verifier.verify({
        method: request.method,
        url: request.url,
        headers: request.headers,
        payloadHash: contentSha256,
      });
      const account = params['account'] === '-' ? principal.account : params['account'];
      if (account !== ACCOUNT) throw accessDenied(`User is not authorized to access account ${account}`);
      const vault = params['vault'];
      if (vault !== undefined) checkVaultName(vault);
      await checkAccess({ request, operation, region, principal, params });
      const fault = faults.take(operation.name, vault);
      if (fault === 'throttle') throw throttled();
      if (fault === 'error500') throw serviceUnavailable();
      if (fault === 'cut' && operation.name !== 'GetJobOutput') return cut(request, reply);
      const isChunked = contentSha256 === STREAMING_PAYLOAD && operation.body === 'stream';
      const answer = await operation.run({
        vaults,
        clock,
        accounts,
        notifier,
        actions,
        freeTierBytes,
        lacksCapacity: () => faults.takeNoCapacity(vault),
        region,
        params,
        query,
        headers: request.headers,
        // The signatures of the chunks cover the content in its place.
        contentSha256: isChunked ? UNSIGNED_PAYLOAD : contentSha256,
        body: isChunked ? decodeChunks(request.raw, seed) : request.raw,
        json: text === '' ? undefined : parseJson(text),
      });
      if (fault === 'lost-reply') return cut(request, reply);
      return send(reply, answer, fault);
    }
  }
  return server;

  /** Throws unless the principal may do this: by its own policy and by those of the vault. */
  async function checkAccess(asked: Asked): Promise<void> {
    const { request, operation, region, principal, params } = asked;
    const name = params['vault'];
    const vault = name === undefined ? null : vaults.find(region, name);
    await vault?.ready();
    const policies = [vault?.record.accessPolicy, vault?.lock?.policy].flatMap((policy) => policy ?? []);
    if (policies.length === 0 && principal.policy === null && principal.account === ACCOUNT) return;
    const arn = vaultArn(region, name ?? '*');
    const archive = params['archiveId'] === undefined ? undefined : vault?.archives.get(params['archiveId']);
    authorize({
      principal,
      action: `glacier:${operation.name}`,
      resource: operation.path.includes('/vaults') ? arn : accountArn(region, operation),
      owner: ACCOUNT,
      vaultPolicies: policies.map((policy) => readVaultPolicy(policy, arn, actions)),
      context: contextOf({
        principal,
        nowMs: clock.nowMs(),
        sourceIp: request.ip,
        userAgent: request.headers['user-agent'] ?? '',
        tags: vault?.record.tags ?? {},
        archiveCreatedAtMs: archive === undefined || archive.deletedAtMs !== null ? null : archive.createdAtMs,
      }),
    });
  }
}

/** The content of a body whose chunks are signed. When the connection ends early, so does the content. */
function decodeChunks(body: Readable, seed: ChunkSeed): Readable {
  return pipeline(body, new ChunkDecoder(seed), () => {});
}

/** What policies call that which is the account's own. */
function accountArn(region: string, { path }: Operation): string {
  return `arn:aws:glacier:${region}:${ACCOUNT}:${path.includes('/policies/') ? 'policies/retrieval-limit-policy' : ''}`;
}

type Asked = {
  request: FastifyRequest;
  operation: Operation;
  region: string;
  principal: Principal;
  params: Readonly<Record<string, string>>;
};

function chooseOperation(sharing: readonly Operation[], query: URLSearchParams): Operation {
  const operation = sharing.find(
    ({ queryOperation }) => queryOperation === undefined || queryOperation === query.get('operation'),
  );
  if (operation === undefined) throw invalidParameter(`Invalid operation: ${query.get('operation')}`);
  return operation;
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
