/** Leaves a console running behind the demo. It ends with the local stack. */
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
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
  const child = spawn(process.execPath, [ENTRY, 'console', '--config', config], {
    detached: true,
    stdio: ['ignore', 'pipe', log],
  });
  const { stdout } = child;
  if (stdout === null) throw new MoraineError('INTERNAL', 'The console has no output to read its address from.');
  const lines = createInterface({ input: stdout });
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
  stdout.destroy();
  child.unref();
  if (child.pid === undefined) throw failed('it has no process');
  return { url, pid: child.pid };
}
