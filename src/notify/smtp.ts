/** Mail by a server of our own choice. */
import { createTransport } from 'nodemailer';
import { MoraineError } from '../errors.ts';
import type { OwnerId } from '../ids.ts';
import { isLoopback } from '../vault/vault-config.ts';
import { messageOf } from './message.ts';
import type { NotifyWay } from './port.ts';
import type { Telling } from './telling.ts';

/** All of them together are far below SENDING_LASTS_MS of src/ledger/notifications.ts. */
const CONNECT_TIMEOUT_MS = 10_000;
const GREETING_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 30_000;

export interface SmtpSettings {
  readonly name: string;
  readonly url: string;
  readonly from: string;
  mailTo(owner: OwnerId): string | null;
}

export class SmtpWay implements NotifyWay {
  readonly kind = 'smtp';
  readonly name: string;
  readonly #settings: SmtpSettings;
  readonly #transport: ReturnType<typeof transportTo>;

  constructor(settings: SmtpSettings) {
    this.name = settings.name;
    this.#settings = settings;
    this.#transport = transportTo(settings.url);
  }

  addressOf(owner: OwnerId): string | null {
    return this.#settings.mailTo(owner);
  }

  async send(telling: Telling): Promise<{ readonly messageId: string }> {
    const { from, name } = this.#settings;
    const to = this.addressOf(telling.owner);
    if (to === null) throw new MoraineError('NOTICE_REFUSED', `Way ${name} has no mail address of the owner.`);
    const { subject, text, html } = messageOf(telling);
    // The same at each try, so that a mailbox may show a second copy as the first.
    const messageId = `<${telling.id}@${from.slice(from.indexOf('@') + 1)}>`;
    try {
      await this.#transport.sendMail({
        from,
        to,
        subject,
        text,
        html,
        messageId,
        headers: { 'Auto-Submitted': 'auto-generated', 'X-Moraine-Notification': telling.id },
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      return { messageId };
    } catch (error) {
      throw translate(name, error);
    }
  }

  async close(): Promise<void> {
    this.#transport.close();
  }
}

function transportTo(url: string) {
  const { protocol, hostname, port, username, password } = new URL(url);
  const secure = protocol === 'smtps:';
  return createTransport({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (secure ? 465 : 587) : Number(port),
    secure,
    // Without TLS on this machine only.
    requireTLS: !secure && !isLoopback(url),
    ...(username === '' ? {} : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: GREETING_TIMEOUT_MS,
    socketTimeout: IDLE_TIMEOUT_MS,
  });
}

/** Replies of 5xx are final (RFC 5321, 4.2.1). The server's text may quote the address, so it stays out. */
function translate(way: string, error: unknown): MoraineError {
  const reply = numberIn(error, 'responseCode');
  const code = textIn(error, 'code');
  const isFinal = (reply !== null && reply >= 500) || (reply === null && (code === 'EAUTH' || code === 'EENVELOPE'));
  const said = [code, reply].filter((part) => part !== null).join(' ');
  return isFinal
    ? new MoraineError('NOTICE_REFUSED', `Way ${way}: the mail server refused the message (${said}).`, { cause: error })
    : new MoraineError('NOTICE_UNAVAILABLE', `Way ${way}: the mail server did not take the message (${said}).`, {
        cause: error,
      });
}

function numberIn(error: unknown, name: string): number | null {
  const value = propertyOf(error, name);
  return typeof value === 'number' ? value : null;
}

function textIn(error: unknown, name: string): string | null {
  const value = propertyOf(error, name);
  return typeof value === 'string' ? value : null;
}

function propertyOf(error: unknown, name: string): unknown {
  return typeof error === 'object' && error !== null ? Object.entries(error).find(([key]) => key === name)?.[1] : null;
}
