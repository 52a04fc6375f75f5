import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { logFile, stackFiles } from '../places.ts';
import { httpAnswers } from '../probes.ts';
import type { Server } from './server.ts';

/** The service's own limit of 1,000 would be reached: all tests and demos of a machine share this one. */
const MOST_VAULTS = 100_000;

/** The emulator of one checkout. Its vaults stay on disk, so it can be restarted whenever its code changes. */
export function glacierEmulator(stackDir: string, port: number, checkout: string): Server {
  const state = join(stackFiles(stackDir).data, 'glacier');
  return {
    name: 'glacier',
    service: 'glacier',
    port,
    log: logFile(stackDir, 'glacier'),
    readyWithinMs: 20_000,
    stopSignal: 'SIGTERM',
    command: {
      file: process.execPath,
      args: [
        join(checkout, 'infra/glacier-emulator/main.ts'),
        ...['--port', String(port)],
        ...['--state', state],
        ...['--most-vaults', String(MOST_VAULTS)],
      ],
      cwd: checkout,
    },
    async prepare() {
      await mkdir(state, { recursive: true });
    },
    isReady: () => httpAnswers(`http://127.0.0.1:${port}/_emulator/health`),
  };
}
