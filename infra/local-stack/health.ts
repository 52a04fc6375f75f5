import { setTimeout as sleep } from 'node:timers/promises';
import { httpAnswers, mongodbAnswers, portAnswers, redisAnswers } from './probes.ts';
import type { ServiceName } from './services.ts';

/** On a busy machine a healthy server may be slow to answer, and a restart would cost others their work. */
const PATIENCE_MS = 15_000;
const POLL_MS = 250;

/** True as soon as the service answers; false when it did not for so long that it has to be started again. */
export async function serviceAnswersInTime(service: ServiceName, url: string | undefined): Promise<boolean> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    if (await serviceAnswers(service, url)) return true;
    if (url === undefined || performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
}

/** Asks the service something that only a server in working order answers. */
export async function serviceAnswers(service: ServiceName, url: string | undefined): Promise<boolean> {
  if (url === undefined) return false;
  const { hostname, port } = new URL(url);
  switch (service) {
    case 'mongodb':
      return mongodbAnswers(hostname, Number(port));
    case 'redis':
      return redisAnswers(hostname, Number(port));
    case 's3':
      return httpAnswers(new URL('/_localstack/health', url).href);
    case 'glacier':
      return httpAnswers(new URL('/_emulator/health', url).href);
  }
}

/** The first host of a URL: MongoDB's may name several, which `URL` does not take. */
const FIRST_HOST = /^([a-z0-9+]+):\/\/(?:[^@/]*@)?(\[[^\]]+\]|[^:,/?]+)(?::(\d+))?/i;

const DEFAULT_PORTS: Record<string, number> = { mongodb: 27_017, redis: 6379, rediss: 6379, http: 80, https: 443 };

/**
 * Whether somebody listens at a URL that the environment gave: it may want TLS or a password, or be the real service,
 * so no more is asked. False also for `mongodb+srv`, whose hosts only the driver looks up.
 */
export async function isListening(url: string): Promise<boolean> {
  const [, scheme = '', host = '', port] = FIRST_HOST.exec(url) ?? [];
  const number = port === undefined ? DEFAULT_PORTS[scheme.toLowerCase()] : Number(port);
  return number !== undefined && (await portAnswers(host.replace(/^\[|\]$/g, ''), number));
}
