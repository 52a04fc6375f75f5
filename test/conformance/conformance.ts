/**
 * `npm run conformance`: proves the Glacier emulator by clients that nobody here wrote. Prints each operation with the
 * clients that prove it; the last line is `N of 33 operations proven`. Ends with 1 when a proof failed or one is missing.
 */
import { ensureServices } from '../../infra/local-stack/index.ts';
import { scriptArguments } from '../harness/script-arguments.ts';
import { OPERATIONS, runClients } from './run-clients.ts';
import { outcomeOf } from './table.ts';

scriptArguments({}, 'usage: npm run conformance');
const { s3 = '' } = await ensureServices({ services: ['s3'], progress: (line) => console.log(line) });
const { lines, proven, failures } = outcomeOf(await runClients(s3));
console.log(lines.join('\n'));
process.exitCode = failures.length === 0 && proven === OPERATIONS.length ? 0 : 1;
