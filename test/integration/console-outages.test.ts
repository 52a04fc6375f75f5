/** The console while MongoDB or Redis is away: it stays, says so, and shows what it can. */
import { afterEach, expect, it } from 'vitest';
import { QUEUE_NAMES } from '../../jobs/queues.ts';
import { ask, parseMetrics } from '../browser/ask.ts';
import { type ConsoleWorld, openConsoleWorld } from '../browser/console-world.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';

const names = testNames(import.meta.filename);
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function worldBehind(
  target: 'mongodb' | 'redis',
): Promise<{ world: ConsoleWorld; proxy: TcpProxy; url: string }> {
  const proxy = await TcpProxy.start(stackUrls()[target]);
  closing.push(async () => proxy.cut());
  const world = await openConsoleWorld(names, { isSeeded: false, name: target, [target]: proxy.url });
  closing.push(() => world.close());
  return { world, proxy, url: (await world.start()).url };
}

const metric = async (url: string, name: string) =>
  parseMetrics((await ask(url, '/metrics')).text)
    .filter((sample) => sample.name === name)
    .map(({ value }) => value);

it('MongoDB goes: alive but not ready, pages say what to do, metrics say that the ledger is down; back again, all goes on', async () => {
  const { proxy, url } = await worldBehind('mongodb');
  expect(JSON.parse((await ask(url, '/readyz')).text)).toEqual({ ready: true, mongodb: 'ok', redis: 'ok' });
  await proxy.cut();
  expect((await ask(url, '/healthz')).status).toBe(200);
  const readiness = await ask(url, '/readyz');
  expect(readiness.status).toBe(503);
  expect(JSON.parse(readiness.text)).toMatchObject({ ready: false, mongodb: 'away' });
  const page = await ask(url, '/archives');
  expect(page.status).toBe(503);
  expect(page.text).toContain('MONGODB_UNAVAILABLE');
  expect(page.text).toContain('Check mongodb.url');
  const reading = await ask(url, '/api/archives');
  expect(reading.status).toBe(503);
  expect(JSON.parse(reading.text)).toMatchObject({ error: { code: 'MONGODB_UNAVAILABLE' } });
  expect(await metric(url, 'moraine_ledger_up')).toEqual([0]);
  await proxy.restore();
  expect((await ask(url, '/archives')).status).toBe(200);
  expect(await metric(url, 'moraine_ledger_up')).toEqual([1]);
});

it('Redis goes: not ready, every page but its figures is there within seconds; back again, they are', async () => {
  const { proxy, url } = await worldBehind('redis');
  expect((await ask(url, '/readyz')).status).toBe(200);
  await proxy.cut();
  const startedMs = performance.now();
  expect(JSON.parse((await ask(url, '/readyz')).text)).toEqual({ ready: false, mongodb: 'ok', redis: 'away' });
  // What was read a moment ago is shown for a moment more.
  await expect.poll(() => metric(url, 'moraine_queue_up'), { timeout: 10_000 }).toEqual(QUEUE_NAMES.map(() => 0));
  const overview = await ask(url, '/');
  expect(overview.status).toBe(200);
  expect(overview.text).toContain('Redis does not answer');
  expect(performance.now() - startedMs).toBeLessThan(20_000);
  await proxy.restore();
  await expect.poll(() => metric(url, 'moraine_queue_up'), { timeout: 20_000 }).toEqual(QUEUE_NAMES.map(() => 1));
});

it('a console without Redis and on an empty ledger: every page is there and says what to do next', async () => {
  const world = await openConsoleWorld(names, { isSeeded: false, name: 'empty' });
  closing.push(() => world.close());
  const { url } = await world.start({ withQueues: false });
  expect(JSON.parse((await ask(url, '/readyz')).text)).toEqual({ ready: true, mongodb: 'ok', redis: 'none' });
  for (const [path, command] of [
    ['/', 'moraine policy publish'],
    ['/policies', 'moraine policy publish'],
    ['/archives', 'moraine plan'],
    ['/vaults', 'moraine run'],
    ['/quarantine', 'Nothing is in quarantine.'],
    ['/certificates', 'moraine purge'],
    ['/audit', 'moraine policy publish'],
    ['/queues', 'moraine worker'],
  ] as const) {
    const { status, text } = await ask(url, path);
    expect(status, path).toBe(200);
    expect(text, path).toContain(command);
  }
  expect((await ask(url, '/queues/board/')).status).toBe(404);
  expect((await ask(url, '/')).text).toContain('No policy is in force yet');
});
