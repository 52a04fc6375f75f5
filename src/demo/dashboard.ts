/** Leaves a console running behind the demo. It ends with the local stack. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { MoraineError } from '../errors.ts';

export interface Dashboard {
  readonly url: string;
  readonly pid: number;
}

const ENTRY = join(import.meta.dirname, '../cli/moraine.ts');
/** A start takes one or two seconds; a busy machine ten. */
const START_MS = 30_000;

export async function startDashboard(config: string, logFile: string): Promise<Dashboard> {
  const log = openSync(logFile, 'a');
  const args = [ENTRY, 'console', '--config', config];
  const child: ChildProcessByStdio<null, Readable, null> = spawn(process.execPath, args, {
    detached: true,
    stdio: ['ignore', 'pipe', log],
  });
  const lines = createInterface({ input: child.stdout });
  const failed = (why: string) =>
    new MoraineError('STACK_FAILED', `The console did not start: ${why}. Its log: ${logFile}`);
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(failed('it said no address in time')), START_MS);
    lines.on('line', (line) => {
      const address = /https?:\/\/\S+/.exec(line)?.[0];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(failed(`it ended with ${code}`));
    });
  });
  lines.close();
  child.stdout.destroy();
  child.unref();
  if (child.pid === undefined) throw failed('it has no process');
  return { url, pid: child.pid };
}
