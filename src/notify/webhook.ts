/**
 * A webhook: JSON, signed, by HTTPS.
 *
 *     moraine-notification: <id>                     the same at each try
 *     moraine-signature: t=<seconds>,v1=<hex>        HMAC-SHA-256 of `<seconds>.<body>` under the shared secret
 *
 * Redirects are not followed: what was signed for one host is not for another.
 */
import { createHmac } from 'node:crypto';
import pRetry from 'p-retry';
import { canonicalJson } from '../canonical-json.ts';
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { OwnerId } from '../ids.ts';
import { messageOf } from './message.ts';
import type { NotifyWay } from './port.ts';
import type { Telling } from './telling.ts';

/** One request. */
const TIMEOUT_MS = 15_000;
/** Quick ones, as the AWS SDK makes them; the ledger waits longer between its own. */
const QUICK_RETRIES = 2;
const QUICK_RETRY_MS = 500;
/** Those 4xx that say "later": Request Timeout, Too Early, Too Many Requests. */
const PASSING = new Set([408, 425, 429]);

export interface WebhookSettings {
  readonly name: string;
  readonly url: string;
  readonly secret: string;
  reaches(owner: OwnerId): boolean;
}

export class WebhookWay implements NotifyWay {
  readonly kind = 'webhook';
  readonly name: string;
  readonly #settings: WebhookSettings;
  readonly #clock: Clock;

  constructor(settings: WebhookSettings, clock: Clock) {
    this.name = settings.name;
    this.#settings = settings;
    this.#clock = clock;
  }

  /** The host: path and query of a webhook are often its key. */
  addressOf(owner: OwnerId): string | null {
    return this.#settings.reaches(owner) ? new URL(this.#settings.url).origin : null;
  }

  async send(telling: Telling, signal?: AbortSignal): Promise<{ readonly messageId: string }> {
    const { subject: _subject, ...message } = messageOf(telling);
    const body = canonicalJson({ ...jsonObject(message.json), text: message.text });
    await pRetry(() => this.#post(telling.id, body, signal), {
      retries: QUICK_RETRIES,
      minTimeout: QUICK_RETRY_MS,
      ...(signal === undefined ? {} : { signal }),
      shouldRetry: ({ error }) => error instanceof MoraineError && error.code === 'NOTICE_UNAVAILABLE',
    });
    return { messageId: telling.id };
  }

  async #post(id: string, body: string, signal: AbortSignal | undefined): Promise<void> {
    const { name, url, secret } = this.#settings;
    const seconds = Math.floor(this.#clock.now().getTime() / 1_000);
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    let status: number;
    try {
      const response = await fetch(url, {
        method: 'POST',
        redirect: 'manual',
        headers: {
          'content-type': 'application/json; charset=utf-8',
          'moraine-notification': id,
          'moraine-signature': `t=${seconds},v1=${signature(secret, seconds, body)}`,
        },
        body,
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
      status = response.status;
      // What it answers is of no use, and an unread body would keep the connection.
      await response.body?.cancel();
    } catch (error) {
      throw new MoraineError('NOTICE_UNAVAILABLE', `Way ${name}: the webhook did not answer.`, { cause: error });
    }
    if (status >= 200 && status < 300) return;
    const isFinal = status >= 300 && status < 500 && !PASSING.has(status);
    const code = isFinal ? 'NOTICE_REFUSED' : 'NOTICE_UNAVAILABLE';
    throw new MoraineError(code, `Way ${name}: the webhook answered ${status}.`);
  }

  async close(): Promise<void> {}
}

/** Hex HMAC-SHA-256 of `<seconds>.<body>`: whoever receives it computes the same and compares. */
export function signature(secret: string, seconds: number, body: string): string {
  return createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
}

function jsonObject(json: unknown): Record<string, unknown> {
  return typeof json === 'object' && json !== null ? { ...json } : {};
}
