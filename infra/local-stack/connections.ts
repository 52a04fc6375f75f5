import { readFileSync, readlinkSync } from 'node:fs';
import { numericEntries, withDescendants } from './processes.ts';

const ESTABLISHED = '01';

/**
 * How many connections to these ports of this machine are held by somebody other than `own` and their children, who
 * talk to each other all the time. Null where the kernel has no /proc/net/tcp to ask.
 */
export function outsideConnections(ports: readonly number[], own: readonly number[]): number | null {
  const rows = [...tcpRows('/proc/net/tcp'), ...tcpRows('/proc/net/tcp6')];
  if (rows.length === 0) return null;
  const wanted = new Set(ports);
  const ownSockets = new Set([...withDescendants(own)].flatMap(socketInodes));
  return rows.filter((row) => row.established && wanted.has(row.remotePort) && !ownSockets.has(row.inode)).length;
}

interface TcpRow {
  readonly remotePort: number;
  readonly established: boolean;
  readonly inode: string;
}

/** The client's end of a connection names the server's port as its remote one; both ends are listed on loopback. */
function tcpRows(file: string): TcpRow[] {
  try {
    const lines = readFileSync(file, 'utf8').trim().split('\n').slice(1);
    return lines.map((line) => {
      const [, , remote, state, , , , , , inode] = line.trim().split(/\s+/);
      return {
        remotePort: Number.parseInt(remote?.split(':')[1] ?? '', 16),
        established: state === ESTABLISHED,
        inode: inode ?? '',
      };
    });
  } catch {
    // No such table on this system.
    return [];
  }
}

function socketInodes(pid: number): string[] {
  return numericEntries(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      // Closed since it was listed.
      return [];
    }
  });
}
