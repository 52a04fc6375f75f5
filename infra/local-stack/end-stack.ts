import { composeDown } from './docker.ts';
import { removeFile } from './json-file.ts';
import { CHECKOUT, stackFiles } from './places.ts';
import { end } from './processes.ts';
import { readDashboard, readOwners, readState, removeState } from './state.ts';

const SUPERVISOR_GRACE_MS = 30_000;
const ORPHAN_GRACE_MS = 5000;

/**
 * Ends all that the state file names: the supervisor, which ends its servers, and whatever it left behind if it was
 * killed. A pid that belongs to another process by now is left alone. Callers hold the stack's lock.
 */
export async function endStack(stackDir: string): Promise<void> {
  const owners = readOwners(stackDir);
  if (owners) {
    const way = readState(stackDir)?.way;
    await end(owners.supervisor, { signal: 'SIGTERM', graceMs: SUPERVISOR_GRACE_MS, group: false });
    // What is left after the supervisor's own end, as it was written last: a server may have been started meanwhile.
    const left = readOwners(stackDir)?.servers ?? [];
    const options = { signal: 'SIGTERM', graceMs: ORPHAN_GRACE_MS, group: true } as const;
    await Promise.all(left.map((server) => end(server.process, options)));
    if (way === 'docker' && readState(stackDir)) await composeDown(CHECKOUT, stackDir);
  }
  const dashboard = readDashboard(stackDir);
  if (dashboard) await end(dashboard.process, { signal: 'SIGTERM', graceMs: ORPHAN_GRACE_MS, group: false });
  removeFile(stackFiles(stackDir).dashboard);
  removeState(stackDir);
}
