import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { redisProgram } from '../install/redis.ts';
import { logFile, stackFiles } from '../places.ts';
import { redisAnswers } from '../probes.ts';
import type { Server } from './server.ts';

export function redis(stackDir: string, port: number): Server {
  const directory = join(stackFiles(stackDir).data, 'redis');
  return {
    name: 'redis',
    service: 'redis',
    port,
    log: logFile(stackDir, 'redis'),
    readyWithinMs: 20_000,
    stopSignal: 'SIGTERM',
    command: {
      file: redisProgram(),
      args: [
        ...['--port', String(port)],
        ...['--bind', '127.0.0.1'],
        ...['--dir', directory],
        // BullMQ's jobs must never be evicted.
        ...['--maxmemory-policy', 'noeviction'],
        // Written on a clean stop, so that queues survive `stack down`.
        ...['--save', '3600 1'],
        ...['--appendonly', 'no'],
        ...['--databases', '16'],
      ],
    },
    async prepare() {
      await mkdir(directory, { recursive: true });
    },
    isReady: () => redisAnswers('127.0.0.1', port),
    // A dump that it cannot read: queues can be lost at any time (the ledger is the truth).
    repair: () => rm(join(directory, 'dump.rdb'), { force: true }),
  };
}
