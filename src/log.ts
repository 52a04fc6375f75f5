/** The only place that imports pino. Logs go to stderr as JSON lines: ids, counts, states and codes, never record content. */
import { pino } from 'pino';
import type { ActLog } from './lifecycle/context.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Fields that must never reach a log, whatever somebody passes: the last net, not the first. */
const REDACTED = ['password', 'passphrase', 'identity', 'secretAccessKey', 'credentials', 'raw', 'document', 'record'];

export function createLog(level: LogLevel): ActLog {
  return pino(
    { level, base: null, redact: { paths: REDACTED, censor: '[removed]' } },
    pino.destination({ dest: 2, sync: true }),
  );
}

export const silentLog: ActLog = { info: () => undefined, warn: () => undefined, error: () => undefined };
