#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { createEmulator } from './server.ts';
import { DEFAULT_MOST_VAULTS } from './vaults.ts';

const USAGE = `usage: node infra/glacier-emulator/main.ts --port N --state DIR [options]

  --port N              port to listen on; 0 takes a free one
  --state DIR           folder for everything that is kept
  --host ADDRESS        default 127.0.0.1
  --access-key KEY      default EMULATOR_ACCESS_KEY, then "moraine"
  --secret SECRET       default EMULATOR_SECRET_KEY, then "moraine-local"
  --linger-seconds N    real time that outputs and resting uploads stay after they expired by the clock; default 60
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
  const areNumbers = isPort && lingerSeconds >= 0 && Number.isInteger(mostVaults) && mostVaults > 0;
  if (!areNumbers || values.state === undefined) {
    console.error(USAGE);
    process.exitCode = 2;
    return;
  }
  const server = await createEmulator({
    state: values.state,
    credentials: { accessKeyId: values['access-key'], secretAccessKey: values.secret },
    lingerMs: lingerSeconds * 1000,
    mostVaults,
  });
  const address = await server.listen({ host: values.host, port });
  console.log(`glacier emulator: listening on ${address}`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void server.close());
  }
}
