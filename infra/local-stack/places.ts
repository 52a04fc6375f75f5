import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** The checkout that this code runs from: the emulator's code and docker-compose.yml are taken from here. */
export const CHECKOUT = resolve(import.meta.dirname, '../..');

/** Where programs and state live, outside the checkout, so that a clean clone starts in seconds. */
export function cacheDir(): string {
  return resolve(process.env['MORAINE_CACHE'] ?? join(homedir(), '.cache', 'moraine'));
}

/** The stack that everybody shares. Tests of the stack itself use directories of their own. */
export function sharedStackDir(): string {
  return join(cacheDir(), 'stack');
}

/** The files of one stack directory. */
export function stackFiles(stackDir: string) {
  return {
    state: join(stackDir, 'state.json'),
    ports: join(stackDir, 'ports.json'),
    dashboard: join(stackDir, 'dashboard.json'),
    heartbeat: join(stackDir, 'heartbeat'),
    wantedEmulator: join(stackDir, 'wanted-emulator.json'),
    lock: join(stackDir, 'lock'),
    logs: join(stackDir, 'logs'),
    data: join(stackDir, 'data'),
  };
}

export function logFile(stackDir: string, name: string): string {
  return join(stackFiles(stackDir).logs, `${name}.log`);
}
