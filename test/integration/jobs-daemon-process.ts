/** A daemon as a process of its own, which tests may kill. Its one argument is what `daemonOf` takes, as v8 writes it (a config has maps), in base64. */
import { deserialize } from 'node:v8';
import { startDaemon } from '../../jobs/daemon.ts';
import { openApp } from '../../src/app.ts';
import { silentLog } from '../../src/log.ts';

const { config, prefix, margins, schedules } = deserialize(Buffer.from(process.argv[2] ?? '', 'base64'));
const app = await openApp(config, { log: silentLog, actor: 'worker:child' });
const daemon = await startDaemon({ config, app, log: silentLog, prefix, margins, schedules, concurrency: 1 });
process.once('SIGTERM', async () => {
  await daemon.close();
  await app.close();
});
console.log('started');
