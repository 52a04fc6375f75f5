/** A mail server on loopback that keeps what it gets, decoded. */
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer } from 'smtp-server';

export interface Mail {
  readonly to: readonly string[];
  readonly mail: Email;
}

export class MailServer {
  readonly mails: Mail[] = [];
  /** Not null: every recipient is answered with it. */
  refuseWith: number | null = null;
  readonly #server: SMTPServer;
  url = '';

  private constructor() {
    this.#server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      onRcptTo: (_address, _session, done) => {
        if (this.refuseWith === null) return done();
        done(Object.assign(new Error('not here'), { responseCode: this.refuseWith }));
      },
      onData: (stream, session, done) => {
        void text(stream)
          .then((raw) => PostalMime.parse(raw))
          .then((mail) => {
            this.mails.push({ to: session.envelope.rcptTo.map(({ address }) => address), mail });
            done();
          }, done);
      },
    });
    // A client that is cut off is part of the tests.
    this.#server.on('error', () => undefined);
  }

  static async start(): Promise<MailServer> {
    const server = new MailServer();
    const listener = server.#server.listen(0, '127.0.0.1');
    if (!listener.listening) await once(listener, 'listening');
    const address = listener.address();
    if (address === null || typeof address === 'string') throw new Error('the mail server has no port');
    server.url = `smtp://127.0.0.1:${address.port}`;
    return server;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
