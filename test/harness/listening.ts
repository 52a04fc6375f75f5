/** An HTTP server on loopback that keeps what it gets and answers what it is told to. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { text } from 'node:stream/consumers';

export interface Request {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export class Listening {
  /** Taken, as the answer below says, oldest first. */
  readonly requests: Request[] = [];
  status = 200;
  headers: Readonly<Record<string, string>> = {};
  readonly #server: Server;
  url = '';

  private constructor() {
    this.#server = createServer((incoming, reply) => {
      void text(incoming).then((body) => {
        this.requests.push({ path: incoming.url ?? '/', headers: incoming.headers, body });
        reply.writeHead(this.status, this.headers).end('thanks');
      });
    });
  }

  static async start(): Promise<Listening> {
    const listening = new Listening();
    listening.#server.listen(0, '127.0.0.1');
    await once(listening.#server, 'listening');
    const address = listening.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the server has no port');
    listening.url = `http://127.0.0.1:${address.port}`;
    return listening;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
