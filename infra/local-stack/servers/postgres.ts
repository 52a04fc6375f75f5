import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { appendFile, chown, mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { inChroot } from '../install/chroot.ts';
import { documentdb, documentdbRoot } from '../install/documentdb.ts';
import { recipeHash } from '../install/step.ts';
import { logFile, stackFiles } from '../places.ts';
import { portAnswers } from '../probes.ts';
import { end, refOf } from '../processes.ts';
import { type Command, run } from '../run.ts';
import type { Server } from './server.ts';

const BIN = '/usr/lib/postgresql/18/bin';
const DATA = '/srv/moraine';
const ORPHAN_GRACE_MS = 10_000;

/**
 * The data is for tests: nothing waits for the disk, and a directory that is damaged by a power cut is made anew.
 * pg_cron runs the extension's index builds.
 */
const SETTINGS = `
shared_preload_libraries = 'pg_cron,pg_documentdb_core,pg_documentdb'
cron.database_name = 'postgres'
listen_addresses = '127.0.0.1'
unix_socket_directories = '${DATA}'
max_connections = 300
shared_buffers = 512MB
max_wal_size = 4GB
fsync = off
synchronous_commit = off
full_page_writes = off
`;

export function postgres(stackDir: string, port: number): Server {
  const name = `postgres-${recipeHash(documentdb.recipe + SETTINGS)}`;
  const data = join(stackFiles(stackDir).data, name);
  const log = logFile(stackDir, 'postgres');
  const inTree = (file: string, ...args: string[]): Command =>
    inChroot(
      documentdbRoot(),
      { file: `${BIN}/${file}`, args },
      { user: 'postgres:postgres', binds: { [DATA]: data } },
    );

  const initialise = async () => {
    await run({ file: 'rm', args: ['-rf', '--one-file-system', data] }, log);
    await mkdir(data, { recursive: true });
    const { uid, gid } = postgresUser();
    await chown(data, uid, gid);
    const access = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync'];
    await run(inTree('initdb', `--pgdata=${DATA}`, ...access), log);
    await appendFile(join(data, 'postgresql.conf'), SETTINGS);
  };

  return {
    name: 'postgres',
    service: null,
    port,
    log,
    readyWithinMs: 60_000,
    // Fast shutdown: sessions are ended, the data is left clean.
    stopSignal: 'SIGINT',
    command: inTree('postgres', '-D', DATA, '-p', String(port)),
    isReady: () => portAnswers('127.0.0.1', port),
    async prepare() {
      await removeOlderRecipes(data, log);
      await endOrphan(data);
      if (!existsSync(join(data, 'postgresql.conf'))) await initialise();
    },
    async complete() {
      const statement = 'CREATE EXTENSION IF NOT EXISTS documentdb CASCADE';
      await run(inTree('psql', '-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', '-qc', statement), log);
    },
    repair: initialise,
  };
}

/** The user and group of the tree's own `postgres`. */
function postgresUser(): { uid: number; gid: number } {
  const entry = readFileSync(join(documentdbRoot(), 'etc/passwd'), 'utf8')
    .split('\n')
    .find((line) => line.startsWith('postgres:'));
  const [, , uid, gid] = entry?.split(':') ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}

/** A postmaster that outlived its supervisor still owns the directory: end it before its lock is judged stale. */
async function endOrphan(data: string): Promise<void> {
  const lock = join(data, 'postmaster.pid');
  if (!existsSync(lock)) return;
  const pid = Number(readFileSync(lock, 'utf8').split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 1 || !commandLine(pid).includes(`${BIN}/postgres`)) return;
  await end(refOf(pid), { signal: 'SIGINT', graceMs: ORPHAN_GRACE_MS, group: false });
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    // No such process: the lock file is a leftover, which PostgreSQL itself cleans up.
    return '';
  }
}

async function removeOlderRecipes(data: string, log: string): Promise<void> {
  if (!existsSync(dirname(data))) return;
  const older = readdirSync(dirname(data)).filter((entry) => /^postgres-/.test(entry) && entry !== basename(data));
  for (const entry of older) {
    await run({ file: 'rm', args: ['-rf', '--one-file-system', join(dirname(data), entry)] }, log);
  }
}
