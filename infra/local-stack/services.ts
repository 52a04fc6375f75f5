/** What the local stack offers. Each service is reached by one URL, whichever way it was started. */
export const SERVICES = ['mongodb', 'redis', 'glacier', 's3'] as const;

export type ServiceName = (typeof SERVICES)[number];

/** The URLs of some of the services: those that were asked for and are up. */
export type ServiceUrls = Partial<Record<ServiceName, string>>;

export interface StackUrls extends Record<ServiceName, string> {
  /** Where the console runs that `registerDashboard` announced, null while there is none. */
  readonly dashboard: string | null;
}

/** Takes one line for the person who waits: what is being done and how long it usually takes. */
export type Progress = (line: string) => void;

/** The environment's own URLs: first of the three ways to a stack (design section 11). */
const URL_VARIABLES: Record<ServiceName, string> = {
  mongodb: 'MORAINE_MONGODB_URL',
  redis: 'MORAINE_REDIS_URL',
  glacier: 'MORAINE_GLACIER_ENDPOINT',
  s3: 'MORAINE_S3_ENDPOINT',
};

export function urlsFromEnvironment(services: readonly ServiceName[]): ServiceUrls {
  const urls: ServiceUrls = {};
  for (const service of services) {
    const url = process.env[URL_VARIABLES[service]];
    if (url) urls[service] = url;
  }
  return urls;
}

/** The URL of a server of ours on a port of 127.0.0.1. */
export function loopbackUrl(service: ServiceName, port: number): string {
  switch (service) {
    case 'mongodb':
      return `mongodb://127.0.0.1:${port}/?directConnection=true`;
    case 'redis':
      return `redis://127.0.0.1:${port}`;
    case 'glacier':
    case 's3':
      return `http://127.0.0.1:${port}`;
  }
}
