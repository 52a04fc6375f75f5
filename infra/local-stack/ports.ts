import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { z } from 'zod';
import { MoraineError } from '../../src/errors.ts';
import { readJsonFile, writeJsonFile } from './json-file.ts';

/** Below the range that Linux gives to outgoing connections, so that no client takes a port between look and bind. */
const LOWEST_PORT = 20_000;
const HIGHEST_PORT = 32_000;
const ATTEMPTS = 200;

const portsSchema = z.record(z.string(), z.number().int());

/** A free port for each name on 127.0.0.1: the one that it had last time where that is still free. */
export async function pickPorts(file: string, names: readonly string[]): Promise<Map<string, number>> {
  const before = readJsonFile(file, portsSchema) ?? {};
  const picked = new Map<string, number>();
  for (const name of names) {
    const last = before[name];
    const port = last !== undefined && (await isFree(last)) ? last : await freePort([...picked.values()]);
    picked.set(name, port);
  }
  writeJsonFile(file, { ...before, ...Object.fromEntries(picked) });
  return picked;
}

async function freePort(taken: readonly number[]): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT);
    if (!taken.includes(port) && (await isFree(port))) return port;
  }
  throw new MoraineError('STACK_FAILED', `No free port on 127.0.0.1 between ${LOWEST_PORT} and ${HIGHEST_PORT}.`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
