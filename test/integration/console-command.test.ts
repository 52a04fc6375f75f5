/** `moraine console` as a process: it says where it is, serves, and ends when it is told to. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { QUEUE_NAMES } from '../../jobs/queues.ts';
import { ask, json } from '../browser/ask.ts';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { dropKeys } from '../harness/drop-names.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;
beforeAll(async () => {
  world = await openCliWorld(names);
  world.writePolicy(
    'calls',
    `policy: calls
zone: UTC
dataset: { collection: ${world.namespace('calls')}, owner: { value: acme }, customer: { field: tenant } }
trigger: { field: at }
active: 1 year
then: archive
archive: { for: 1 year, vault: cold, verify: checksum }
limits: { records: 1000, share: 1.0 }
`,
  );
  await world.collection('calls').createIndex({ tenant: 1, at: 1, _id: 1 });
  await world.collection('calls').insertOne({ tenant: 'south', at: new Date('2020-01-01') });
  expect((await world.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
});
afterAll(async () => {
  const ledger = world.client.db(`${names.database}_ledger`);
  const installation = await ledger.collection<{ _id: string; id: string }>('installation').findOne({});
  if (installation !== null) await dropKeys(stackUrls().redis, `moraine-${installation.id}`);
  await world.close();
});

it('prints its address, shows what the ledger holds, sees the queues, and ends at SIGTERM with 0 and its port free', async () => {
  const running = world.start('console', '--port', '0');
  const lines = createInterface({ input: running.stdout });
  const [line] = z.tuple([z.string()]).parse(await once(lines, 'line'));
  const url = /http:\/\/127\.0\.0\.1:\d+\//.exec(line)?.[0] ?? '';
  expect(line).toBe(`The dashboard is at ${url}`);
  const overview = z.object({
    oldestRecords: z.array(z.object({ policy: z.string(), overdueSeconds: z.number() })),
    queues: z.array(z.object({ name: z.string(), jobs: z.unknown() })),
  });
  const seen = overview.parse(await json(url, '/api/overview'));
  expect(seen.oldestRecords).toMatchObject([{ policy: 'calls' }]);
  expect(seen.oldestRecords[0]?.overdueSeconds).toBeGreaterThan(0);
  expect(seen.queues.length).toBe(QUEUE_NAMES.length);
  expect(seen.queues.every(({ jobs }) => jobs !== null)).toBe(true);
  expect(JSON.parse((await ask(url, '/readyz')).text)).toEqual({ ready: true, mongodb: 'ok', redis: 'ok' });
  // A reader that keeps its connection open must not hold the end up.
  const open = await fetch(url, { headers: { connection: 'keep-alive' } });
  await open.text();
  const startedMs = performance.now();
  running.kill('SIGTERM');
  const { exitCode } = await running;
  expect(exitCode).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(5_000);
  await expect(ask(url, '/healthz')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

it('--json: one document with the address', async () => {
  const running = world.start('console', '--json');
  const [chunk] = z.tuple([z.instanceof(Buffer)]).parse(await once(running.stdout, 'data'));
  const { url } = z.strictObject({ url: z.url() }).parse(JSON.parse(chunk.toString('utf8')));
  expect((await ask(url, '/healthz')).status).toBe(200);
  running.kill('SIGTERM');
  expect((await running).exitCode).toBe(0);
});

it('wrong ports, hosts of a network and another time: exit 2, nothing listens', async () => {
  for (const args of [
    ['--port', '70000'],
    ['--port', 'eighty'],
    ['--host', '0.0.0.0'],
    ['--as-of', '2030-01-01'],
  ]) {
    const { exitCode, stdout, stderr } = await world.moraine('console', ...args);
    expect(exitCode, args.join(' ')).toBe(2);
    expect(stdout).toBe('');
    const texts = { '--host': 'it has no login', '--as-of': '--as-of is refused', '--port': 'Expected a port' };
    expect(stderr).toContain(Object.entries(texts).find(([option]) => option === args[0])?.[1]);
  }
});
