import { statSync } from 'node:fs';
import { outsideConnections } from './connections.ts';
import { stackFiles } from './places.ts';
import { isAlive } from './processes.ts';
import { readDashboard } from './state.ts';

/** The stack stops after so long without a connection (design section 11). */
export const IDLE_MS = 30 * 60_000;

/** Remembers when the stack was last in use: by a connection from outside, or by a call of `ensureStack`. */
export class IdleWatch {
  readonly #stackDir: string;
  #lastUse = Date.now();

  constructor(stackDir: string) {
    this.#stackDir = stackDir;
  }

  /** Milliseconds since the last use that was seen. `servers` are the stack's own processes. */
  idleMs(ports: readonly number[], servers: readonly number[]): number {
    const dashboard = readDashboard(this.#stackDir);
    // A console that was left running holds connections of its own and must not keep the stack up by itself;
    // somebody who looks at it does.
    const console = dashboard && isAlive(dashboard.process) ? dashboard : null;
    const watched = console ? [...ports, Number(new URL(console.url).port)] : ports;
    const own = console ? [...servers, console.process.pid] : servers;
    const connections = outsideConnections(watched, own) ?? 0;
    this.#lastUse = Math.max(this.#lastUse, connections > 0 ? Date.now() : 0, this.#heartbeatMs());
    return Date.now() - this.#lastUse;
  }

  #heartbeatMs(): number {
    try {
      return statSync(stackFiles(this.#stackDir).heartbeat).mtimeMs;
    } catch {
      // Nobody has called since the directory was made.
      return 0;
    }
  }
}
