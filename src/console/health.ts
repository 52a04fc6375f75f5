/** `/healthz`: the process answers. `/readyz`: what it needs answers too. */
import { redisAnswers } from './queues.ts';
import type { Sight } from './sight.ts';

export interface Readiness {
  readonly ready: boolean;
  readonly mongodb: 'ok' | 'away';
  /** `none`: this console was started without queues. */
  readonly redis: 'ok' | 'away' | 'none';
}

/** A probe wants its answer before its own patience ends, usually after some seconds. */
const MONGODB_PATIENCE_MS = 2_000;

export async function readReadiness(sight: Sight): Promise<Readiness> {
  const { context, queueAdapters } = sight;
  const [mongodb, redis] = await Promise.all([
    mongodbAnswers(sight),
    queueAdapters.length === 0 ? null : redisAnswers(context.clock, queueAdapters),
  ]);
  return {
    ready: mongodb && redis !== false,
    mongodb: mongodb ? 'ok' : 'away',
    redis: redis === null ? 'none' : redis ? 'ok' : 'away',
  };
}

async function mongodbAnswers({ context }: Sight): Promise<boolean> {
  const waiting = new AbortController();
  const timeout = context.clock.sleep(MONGODB_PATIENCE_MS, waiting.signal).then(
    () => false,
    () => false,
  );
  const answer = context.store.serverTime().then(
    () => true,
    () => false,
  );
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    waiting.abort();
  }
}
