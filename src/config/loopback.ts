/**
 * A sandbox moves time, so it must not reach data that anybody else relies on: every address it has is on this machine
 * (design 4).
 */
import { wayAddress } from '../notify/notify-config.ts';
import { isLoopback } from '../vault/vault-config.ts';
import type { YamlProblem, YamlSource } from '../yaml-problems.ts';
import type { ConfigText } from './schema.ts';

/** One problem for each address that is not loopback; a vault without an endpoint is the real service. */
export function outsideLoopback(source: YamlSource, config: ConfigText): readonly YamlProblem[] {
  const problems: YamlProblem[] = [];
  const look = (path: readonly string[], isHere: boolean) => {
    if (!isHere) problems.push(source.problemAt(path, 'an address on this machine, for a sandbox', HINT));
  };
  look(['mongodb', 'url'], isLoopbackMongodb(config.mongodb.url));
  if (config.keys.url !== undefined) look(['keys', 'url'], isLoopbackMongodb(config.keys.url));
  if (config.keys.second) look(['keys', 'second', 'url'], isLoopbackMongodb(config.keys.second.url));
  if (config.keys.kms) look(['keys', 'kms', 'endpoint'], isHere(config.keys.kms));
  for (const [name, { kms }] of Object.entries(config.owners)) {
    if (kms) look(['owners', name, 'kms', 'endpoint'], isHere(kms));
  }
  if (config.redis) look(['redis', 'url'], isLoopback(config.redis.url));
  for (const [name, vault] of Object.entries(config.vaults)) {
    look(['vaults', name, 'endpoint'], isHere(vault));
    if (vault.roles) look(['vaults', name, 'roles', 'endpoint'], isHere(vault.roles));
  }
  for (const [name, store] of Object.entries(config.attachments)) {
    look(['attachments', name, 'endpoint'], isHere(store));
  }
  if (config.audit.heads) look(['audit', 'heads', 'endpoint'], isHere(config.audit.heads));
  for (const [name, way] of Object.entries(config.notify?.ways ?? {})) {
    const field = way.kind === 'smtp' || way.kind === 'webhook' ? 'url' : 'endpoint';
    const address = wayAddress(way);
    look(['notify', 'ways', name, field], address !== null && isLoopback(address));
  }
  return problems;
}

function isHere({ endpoint }: { readonly endpoint?: string | undefined }): boolean {
  return endpoint !== undefined && isLoopback(endpoint);
}

const HINT = 'Use the local stack (`moraine stack up`), or environment: non-production.';

/** Every host of the list must be on this machine. A name that DNS resolves (mongodb+srv) may be anywhere. */
export function isLoopbackMongodb(url: string): boolean {
  const hosts = /^mongodb:\/\/(?:[^/?#]*@)?([^/?#]+)/.exec(url)?.[1]?.split(',') ?? [];
  return hosts.length > 0 && hosts.every((host) => isLoopback(`tcp://${host}`) || /^%2F/i.test(host));
}
