/**
 * Who may talk to the console, and what it tells browsers.
 *
 * There is no login in this version: whoever reaches the port reads everything on it. So it listens on loopback unless
 * moraine.yaml names another host, and these rules keep other people's web pages in a local browser from reaching it:
 * - Host: a page that points its own name at 127.0.0.1 (DNS rebinding) sends that name, and is refused.
 * - Method: nothing changes by GET, and nothing but GET is answered, except for the queue dashboard when it is writable.
 * - Origin: there a change must come from the console's own pages, for bull-board has no protection of its own.
 * - Headers: no scripts but ours, no frames around us, no address in a referrer.
 */
import { isIP } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { MoraineError } from '../errors.ts';

export const PAGE_CSP = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** bull-board styles its elements inline, and its page names a base. */
export const BOARD_CSP = [
  "default-src 'none'",
  "style-src 'self' 'unsafe-inline'",
  "script-src 'self'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'self'",
  "frame-ancestors 'none'",
].join('; ');

const LOOPBACK_NAME = /^(localhost|.+\.localhost)$/;
const WILDCARDS = ['0.0.0.0', '::'];
const READING = ['GET', 'HEAD'];

export function isLoopbackHost(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, '$1');
  return LOOPBACK_NAME.test(name) || (isIP(name) === 4 && name.startsWith('127.')) || name === '::1';
}

/**
 * Throws CONFIG_INVALID for a host that is not this machine's own, unless moraine.yaml names that very host: a flag is
 * too easily copied from somewhere to open the ledger to a network.
 */
export function assertMayListen(host: string, configuredHost: string): void {
  if (isLoopbackHost(host) || host === configuredHost) return;
  throw new MoraineError(
    'CONFIG_INVALID',
    `The console does not listen on ${host}: it has no login, and everyone who reaches it could read it.`,
    { hint: 'Say `console: { host: ... }` in moraine.yaml if the network around it is guarded.', ids: { host } },
  );
}

/** Whether a `Host` header names this console: a loopback name, the host that it listens on, or any address where it listens on all. */
export function isOurHost(header: string | undefined, listeningOn: string): boolean {
  const name = hostName(header);
  if (name === null) return false;
  if (isLoopbackHost(name) || name === listeningOn.toLowerCase()) return true;
  // Rebinding needs a name: who types an address means it.
  return WILDCARDS.includes(listeningOn) && isIP(name) !== 0;
}

export function refuseForeignHost(listeningOn: string) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    if (isOurHost(request.headers.host, listeningOn)) return undefined;
    return reply.code(403).type('text/plain').send('This host name is not the console’s.\n');
  };
}

export async function refuseChanges(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
  if (READING.includes(request.method)) return undefined;
  return reply.code(405).header('allow', 'GET, HEAD').type('text/plain').send('The console only reads.\n');
}

/** For the writable queue dashboard: a change counts only when one of our own pages asked for it. */
export async function refuseForeignChanges(
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply | undefined> {
  if (READING.includes(request.method) || isFromOurPage(request)) return undefined;
  return reply.code(403).type('text/plain').send('Changes come from the console’s own pages only.\n');
}

function isFromOurPage({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin';
  const { origin, host } = headers;
  // Neither header: not a browser of this decade, and nothing says where it comes from.
  if (origin === undefined || host === undefined || !URL.canParse(origin)) return false;
  return new URL(origin).host === host.toLowerCase();
}

export function setSecurityHeaders(csp: string) {
  return async (_request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    reply.headers({
      'content-security-policy': csp,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'permissions-policy': 'camera=(), geolocation=(), microphone=()',
      'cache-control': 'no-store',
    });
  };
}

/** The name without its port, lower case; null for what is no `Host` header. */
function hostName(header: string | undefined): string | null {
  if (header === undefined || !/^[\w.:[\]-]+$/.test(header) || !URL.canParse(`http://${header}/`)) return null;
  return new URL(`http://${header}/`).hostname.replace(/^\[(.*)\]$/, '$1');
}
