/**
 * Where records may go by restore. A server cannot prove what it is for: a ledger of production on it says so, and where that
 * lies on another server nothing there does. So what is not of production names where it restores to; every other place may be
 * production, and is refused before a connection is made.
 */

import { isLoopbackMongodb } from '../config/loopback.ts';
import type { Config } from '../config.ts';
import { MoraineError } from '../errors.ts';

const DEFAULT_PORT = '27017';

/** Throws ENVIRONMENT_MISMATCH. Production restores to wherever its person says. */
export function assertPlaceAllowed(
  config: Pick<Config, 'environment' | 'mongodb' | 'restoreHosts'>,
  into: string,
): void {
  if (config.environment === 'sandbox' && !isLoopbackMongodb(into))
    throw new MoraineError('ENVIRONMENT_MISMATCH', 'A sandbox restores to addresses on this machine only.');
  if (config.environment !== 'non-production') return;
  const known = new Set([...hostsOf(config.mongodb.url), ...config.restoreHosts.map(withPort)]);
  const hosts = hostsOf(into);
  const strange = hosts.filter((host) => !known.has(host));
  if (hosts.length > 0 && strange.length === 0) return;
  const named = strange.length === 0 ? 'the address' : strange.join(' and ');
  throw new MoraineError(
    'ENVIRONMENT_MISMATCH',
    `A non-production installation restores into servers that are known not to be of production, and ${named} is not.`,
    {
      hint: 'Add its hosts to `restoreHosts` in moraine.yaml if it is no server of production, or restore with --out.',
    },
  );
}

/** Records of a non-production installation never go where a ledger of production lies, whatever moraine.yaml says of the host. */
export function assertNoProductionLedger(ledgers: readonly string[]): void {
  if (ledgers.length === 0) return;
  throw new MoraineError(
    'ENVIRONMENT_MISMATCH',
    `That is a server of production: database ${ledgers[0]} there is the ledger of a production installation.`,
    { hint: 'Restore a non-production installation into a non-production server, or with --out into files.' },
  );
}

/** Hosts of an address, in lower case and with their port; none for what is no address of MongoDB. */
export function hostsOf(url: string): readonly string[] {
  const hosts = /^mongodb(?:\+srv)?:\/\/(?:[^/?#]*@)?([^/?#]+)/.exec(url)?.[1]?.split(',') ?? [];
  return hosts.map(withPort);
}

function withPort(host: string): string {
  const plain = host.toLowerCase();
  return /:\d+$/.test(plain) ? plain : `${plain}:${DEFAULT_PORT}`;
}
