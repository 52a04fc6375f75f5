/** A daemon as a process of its own, which tests may kill. Its one argument is JSON: what `daemonOf` takes. */

import { startDaemon } from '../../jobs/daemon.ts';
import { openApp } from '../../src/app.ts';
import { silentLog } from '../../src/log.ts';

const { config, prefix, margins, schedules } = JSON.parse(process.argv[2] ?? '');
const given = { ...config, vaults: new Map(config.vaults), owners: new Map(config.owners) };
const app = await openApp(given, { log: silentLog, actor: 'worker:child' });
const daemon = await startDaemon({ config: given, app, log: silentLog, prefix, margins, schedules, concurrency: 1 });
process.once('SIGTERM', async () => {
  await daemon.close();
  await app.close();
});
console.log('started');
