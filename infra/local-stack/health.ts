import { httpAnswers, mongodbAnswers, redisAnswers } from './probes.ts';
import type { ServiceName } from './services.ts';

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
