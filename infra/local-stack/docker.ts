import { join } from 'node:path';
import { recipeHash } from './install/step.ts';
import { CHECKOUT, logFile, stackFiles } from './places.ts';
import { pickPorts } from './ports.ts';
import { output, run } from './run.ts';
import { loopbackUrl, type Progress, type ServiceName, type ServiceUrls } from './services.ts';

const QUERY_MS = 10_000;

/** True when there is a Docker daemon that answers, with the compose command. */
export async function dockerAnswers(): Promise<boolean> {
  if ((await output('docker', ['info', '--format', '{{.ServerVersion}}'], QUERY_MS)) === null) return false;
  return (await output('docker', ['compose', 'version'], QUERY_MS)) !== null;
}

/** Starts the containers of these services and waits until they are healthy. What runs already is left alone. */
export async function composeUp(
  stackDir: string,
  services: readonly ServiceName[],
  before: ServiceUrls,
  progress: Progress,
): Promise<ServiceUrls> {
  progress('Starting the local stack in Docker (the first time it pulls about 1.5 GB of images)');
  // A port that a container of ours holds is not free, and right all the same.
  const fresh = services.filter((service) => before[service] === undefined);
  const ports = await pickPorts(stackFiles(stackDir).ports, fresh);
  const urls: ServiceUrls = {};
  for (const service of services) urls[service] = before[service] ?? loopbackUrl(service, ports.get(service) ?? 0);
  const up = composeArgs(CHECKOUT, stackDir, ['up', '--detach', '--build', '--wait', ...services]);
  await run({ file: 'docker', args: up, env: portVariables(urls) }, logFile(stackDir, 'docker'));
  return urls;
}

/** Stops the containers and keeps their volumes. */
export async function composeDown(checkout: string, stackDir: string): Promise<void> {
  await run({ file: 'docker', args: composeArgs(checkout, stackDir, ['down']) }, logFile(stackDir, 'docker'));
}

function composeArgs(checkout: string, stackDir: string, rest: readonly string[]): string[] {
  const project = `moraine-${recipeHash(stackDir)}`;
  return ['compose', '--project-name', project, '--file', join(checkout, 'docker-compose.yml'), ...rest];
}

function portVariables(urls: ServiceUrls): Record<string, string> {
  return Object.fromEntries(
    Object.entries(urls).map(([service, url]) => [`MORAINE_${service.toUpperCase()}_PORT`, new URL(url).port]),
  );
}
