/** Connections to Redis: one that fails at once, for commands, and one that waits and comes back, for the daemon. */
import { Redis, type RedisOptions } from 'ioredis';
import { MoraineError } from '../src/errors.ts';
import { withoutCredentials } from '../src/without-credentials.ts';
import type { Outages } from './outages.ts';

const CONNECT_WITHIN_MS = 3_000;
/** Reconnecting begins at once and settles at one attempt every few seconds. */
const RECONNECT_STEP_MS = 200;
const RECONNECT_AT_MOST_MS = 3_000;

/** For the foreground. Throws REDIS_UNAVAILABLE at once, REDIS_EVICTS. End it with `disconnect()`. */
export async function connectRedis(url: string): Promise<Redis> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_WITHIN_MS,
    commandTimeout: CONNECT_WITHIN_MS,
    retryStrategy: () => null,
    // BullMQ takes no other value. Without a reconnect a command fails with its connection all the same.
    maxRetriesPerRequest: null,
  });
  let reason: unknown;
  redis.on('error', (error) => {
    reason ??= error;
  });
  try {
    await redis.connect();
    await assertKeepsJobs(redis);
    return redis;
  } catch (error) {
    redis.disconnect();
    if (error instanceof MoraineError) throw error;
    throw unavailable(url, reason ?? error);
  }
}

/**
 * For the daemon: reconnects for ever; commands wait meanwhile. Says once when Redis goes and once when it is back.
 *
 * Each worker makes a second connection for its blocking reads from this one. While Redis is away BullMQ cannot close
 * those, and they would keep the process alive, so they are remembered here and cut at the end.
 */
export class DaemonRedis extends Redis {
  readonly #duplicates = new Set<Redis>();

  constructor(url: string, outages: Outages) {
    super(url, {
      connectTimeout: CONNECT_WITHIN_MS,
      retryStrategy: (times) => Math.min(times * RECONNECT_STEP_MS, RECONNECT_AT_MOST_MS),
      maxRetriesPerRequest: null,
    });
    // `close` comes for every way to lose it, `error` only for some, with the address in its text.
    this.on('error', () => undefined);
    this.on('close', () => outages.began('redis', 'REDIS_UNAVAILABLE'));
    this.on('ready', () => outages.ended('redis'));
  }

  override duplicate(override?: Partial<RedisOptions>): Redis {
    const duplicate = super.duplicate(override);
    this.#duplicates.add(duplicate);
    duplicate.on('error', () => undefined);
    return duplicate;
  }

  /** Cuts every connection at once. An end on purpose is no outage. */
  cut(): void {
    this.removeAllListeners('close');
    for (const redis of [...this.#duplicates, this]) redis.disconnect();
  }
}

/** Jobs must not vanish. Throws REDIS_EVICTS when Redis would evict keys once its memory is full. */
export async function assertKeepsJobs(redis: Redis): Promise<void> {
  // INFO and not CONFIG GET: managed services refuse CONFIG.
  const policy = /^maxmemory_policy:(.*)$/m.exec(await redis.info('memory'))?.[1]?.trim();
  if (policy === 'noeviction') return;
  throw new MoraineError('REDIS_EVICTS', `Redis has maxmemory-policy ${policy ?? 'unknown'}: it may drop jobs.`);
}

function unavailable(url: string, cause: unknown): MoraineError {
  return new MoraineError('REDIS_UNAVAILABLE', `Redis at ${withoutCredentials(url)} cannot be reached.`, { cause });
}
