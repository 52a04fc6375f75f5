import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ferretdbProgram } from '../install/ferretdb.ts';
import { logFile, stackFiles } from '../places.ts';
import { mongodbAnswers } from '../probes.ts';
import type { Server } from './server.ts';

export function ferretdb(stackDir: string, port: number, postgresPort: number): Server {
  const state = join(stackFiles(stackDir).data, 'ferretdb');
  return {
    name: 'ferretdb',
    service: 'mongodb',
    port,
    log: logFile(stackDir, 'ferretdb'),
    readyWithinMs: 30_000,
    stopSignal: 'SIGTERM',
    command: {
      file: ferretdbProgram(),
      args: [
        `--postgresql-url=postgres://postgres@127.0.0.1:${postgresPort}/postgres`,
        `--listen-addr=127.0.0.1:${port}`,
        `--state-dir=${state}`,
        '--no-auth',
        '--debug-addr=-',
        '--telemetry=disable',
        '--log-level=WARN',
      ],
      env: { DO_NOT_TRACK: '1' },
    },
    async prepare() {
      await mkdir(state, { recursive: true });
    },
    isReady: () => mongodbAnswers('127.0.0.1', port),
  };
}
