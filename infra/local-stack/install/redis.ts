import { existsSync } from 'node:fs';
import { symlink } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { aptInstall } from './apt.ts';
import { type Step, stepDir } from './step.ts';

/** Debian ships Redis as one program that acts by the name it is called with; this one is in redis-tools. */
const DEBIAN_PROGRAM = '/usr/bin/redis-check-rdb';

/**
 * Redis. Only Debian's `redis-tools` is installed, not `redis-server`: the latter would also start a service of the
 * machine on port 6379.
 */
export const redis: Step = {
  name: 'redis',
  title: 'Redis (apt-get install redis-tools)',
  usually: 'a few seconds',
  recipe: 'redis-server on the PATH, else redis-tools of Debian',
  async make(directory, log) {
    let program = onPath('redis-server');
    if (program === null) {
      await aptInstall(['redis-tools'], log);
      program = DEBIAN_PROGRAM;
    }
    await symlink(program, join(directory, 'redis-server'));
  },
};

export function redisProgram(): string {
  return join(stepDir(redis), 'redis-server');
}

function onPath(program: string): string | null {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  return directories.map((directory) => join(directory, program)).find((path) => existsSync(path)) ?? null;
}
