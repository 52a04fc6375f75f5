import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 100;

/** SQLite's own code for "another connection has the lock". */
const SQLITE_BUSY = 5;

/**
 * Runs `work` while no other process holds the lock of that path. The lock is SQLite's (an advisory lock of the
 * kernel), so it goes with its process: a killed holder leaves nothing behind that somebody would have to judge stale.
 */
export async function withLock<T>(path: string, onWait: () => void, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true });
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    let told = false;
    while (!tryLock(database)) {
      if (!told) onWait();
      told = true;
      await sleep(POLL_MS);
    }
    return await work();
  } finally {
    database.close();
  }
}

function tryLock(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
