/** `node infra/local-stack/main.ts up|status|down`: the stack without the product around it, for scripts and CI. */
import { ensureStack, stackStatus, stopStack } from './index.ts';

const usage = 'usage: node infra/local-stack/main.ts up|status|down\n';
const progress = (line: string) => void process.stderr.write(`${line}\n`);
const print = (value: unknown) => void process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);

switch (process.argv[2]) {
  case 'up':
    print(await ensureStack({ progress }));
    break;
  case 'status': {
    const status = await stackStatus();
    print(status);
    process.exitCode = status.up ? 0 : 1;
    break;
  }
  case 'down':
    progress((await stopStack({ progress })) ? 'The local stack is down.' : 'The local stack was not running.');
    break;
  default:
    process.stderr.write(usage);
    process.exitCode = 2;
}
