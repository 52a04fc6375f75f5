/**
 * An HTTP proxy on loopback in front of a server that has no faults of its own. A request that is to meet one:
 *
 * - `lost-reply`: reaches the server and takes effect; then the connection is cut instead of the reply.
 * - `throttle`: does not reach the server; the answer is S3's `SlowDown`.
 *
 * For servers that do not look at signatures, as the name of the host in them is the proxy's.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';

export type HttpFault = 'lost-reply' | 'throttle';

interface WaitingFault {
  readonly matches: (method: string, url: URL) => boolean;
  readonly fault: HttpFault;
  times: number;
}

const SLOW_DOWN =
  '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your rate.</Message></Error>';

export class FaultyHttp {
  readonly #target: URL;
  readonly #server: Server;
  #waiting: WaitingFault[] = [];
  url = '';

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer((incoming, reply) => this.#pass(incoming, reply));
  }

  static async start(target: string): Promise<FaultyHttp> {
    const proxy = new FaultyHttp(new URL(target));
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    const address = proxy.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
    proxy.url = `http://127.0.0.1:${address.port}`;
    return proxy;
  }

  /** The next `times` requests that match meet the fault. */
  failNext(matches: WaitingFault['matches'], fault: HttpFault, times: number): void {
    this.#waiting.push({ matches, fault, times });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #pass(incoming: IncomingMessage, reply: ServerResponse): void {
    const { method = 'GET', headers } = incoming;
    const url = new URL(incoming.url ?? '/', this.#target);
    const fault = this.#faultFor(method, url);
    if (fault === 'throttle') {
      incoming.resume();
      incoming.on('end', () => reply.writeHead(503, { 'content-type': 'application/xml' }).end(SLOW_DOWN));
      return;
    }
    const outgoing = request(url, { method, headers: { ...headers, host: this.#target.host } }, (answer) => {
      if (fault === null) {
        reply.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(reply);
        return;
      }
      // Read to its end: by then it has taken effect.
      answer.resume().on('end', () => incoming.socket.resetAndDestroy());
    });
    outgoing.on('error', () => reply.destroy());
    incoming.pipe(outgoing);
  }

  #faultFor(method: string, url: URL): HttpFault | null {
    const met = this.#waiting.find(({ matches }) => matches(method, url));
    if (met === undefined) return null;
    met.times -= 1;
    this.#waiting = this.#waiting.filter(({ times }) => times > 0);
    return met.fault;
  }
}
