#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { actions } from './operations.ts';
import { readUsers } from './principals.ts';
import { FREE_TIER_BYTES_A_DAY } from './retrieval-policy.ts';
import { createEmulator } from './server.ts';
import { DEFAULT_MOST_VAULTS } from './vaults.ts';

const USAGE = `usage: glacier-emulator --port N --state DIR [options]

  --port N              port to listen on; 0 takes a free one
  --state DIR           folder for everything that is kept
  --host ADDRESS        default 127.0.0.1
  --access-key KEY      default EMULATOR_ACCESS_KEY, then "moraine"
  --secret SECRET       default EMULATOR_SECRET_KEY, then "moraine-local"
  --users FILE          more who may call: JSON [{ arn, accessKeyId, secretAccessKey, policy? }]
  --sns-endpoint URL    the SNS that is told of completed jobs; without it they are read from /_emulator/notifications
  --free-tier-bytes N   what the FreeTier retrieval policy lets through on a day; default ${FREE_TIER_BYTES_A_DAY}
  --linger-seconds N    real time that outputs, resting uploads and vault locks stay after they expired by the clock;
                        default 60
  --most-vaults N       how many vaults a region may have; default 1000, as the service has it`;

const DEFAULT_LINGER_SECONDS = 60;

await main().catch((error: unknown) => {
  console.error(`glacier emulator: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
});

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      state: { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
      'access-key': { type: 'string', default: process.env['EMULATOR_ACCESS_KEY'] ?? 'moraine' },
      secret: { type: 'string', default: process.env['EMULATOR_SECRET_KEY'] ?? 'moraine-local' },
      users: { type: 'string' },
      'sns-endpoint': { type: 'string' },
      'free-tier-bytes': { type: 'string', default: String(FREE_TIER_BYTES_A_DAY) },
      'linger-seconds': { type: 'string', default: String(DEFAULT_LINGER_SECONDS) },
      'most-vaults': { type: 'string', default: String(DEFAULT_MOST_VAULTS) },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return console.log(USAGE);
  const port = Number(values.port);
  const lingerSeconds = Number(values['linger-seconds']);
  const mostVaults = Number(values['most-vaults']);
  const isPort = values.port !== undefined && Number.isInteger(port) && port >= 0 && port <= 65_535;
  const freeTierBytes = Number(values['free-tier-bytes']);
  const areCounts = [mostVaults, freeTierBytes].every((count) => Number.isInteger(count) && count > 0);
  const snsEndpoint = values['sns-endpoint'] ?? null;
  const isEndpoint = snsEndpoint === null || URL.canParse(snsEndpoint);
  if (!isPort || !areCounts || !isEndpoint || !(lingerSeconds >= 0) || values.state === undefined) {
    console.error(USAGE);
    process.exitCode = 2;
    return;
  }
  const server = await createEmulator({
    state: values.state,
    credentials: { accessKeyId: values['access-key'], secretAccessKey: values.secret },
    users: values.users === undefined ? [] : await readUsers(values.users, actions),
    lingerMs: lingerSeconds * 1000,
    mostVaults,
    freeTierBytes,
    snsEndpoint,
  });
  const address = await server.listen({ host: values.host, port });
  console.log(`glacier emulator: listening on ${address}`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void server.close());
  }
}
