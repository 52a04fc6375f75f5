/** What keeps other people's web pages, networks and hands away from the console. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBoard } from '../../jobs/board.ts';
import { Outages } from '../../jobs/outages.ts';
import { openQueues } from '../../jobs/queues.ts';
import { DaemonRedis } from '../../jobs/redis.ts';
import { isLoopbackHost, isOurHost } from '../../src/console/guard.ts';
import type { RunningConsole } from '../../src/console/server.ts';
import { silentLog } from '../../src/log.ts';
import { ask } from '../browser/ask.ts';
import { type ConsoleWorld, openConsoleWorld } from '../browser/console-world.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: ConsoleWorld;
let url: string;
beforeAll(async () => {
  world = await openConsoleWorld(names, { isSeeded: false });
  ({ url } = await world.start());
});
afterAll(() => world.close());

const PATHS = [
  '/',
  '/archives',
  '/api/overview',
  '/metrics',
  '/healthz',
  '/assets/console.css',
  '/queues/board/',
  '/nope',
];

describe('Host', () => {
  it.each(PATHS)('%s: a name that was pointed at this machine (DNS rebinding) is refused', async (path) => {
    const { port } = new URL(url);
    for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', 'localhost.evil.example']) {
      const { status, text } = await ask(url, path, { headers: { host } });
      expect([400, 403], host).toContain(status);
      expect(text).not.toContain('Moraine');
    }
  });

  it.each(['localhost', '127.0.0.1', '[::1]', 'LOCALHOST'])(
    '%s, with our port or that of a tunnel, is ours',
    async (name) => {
      for (const host of [name, `${name}:9999`]) expect((await ask(url, '/', { headers: { host } })).status).toBe(200);
    },
  );

  it('the configured host is ours; on all addresses any address is, and no name', () => {
    expect(isOurHost('console.internal:8080', 'console.internal')).toBe(true);
    expect(isOurHost('other.internal', 'console.internal')).toBe(false);
    expect(isOurHost('10.1.2.3:80', '0.0.0.0')).toBe(true);
    expect(isOurHost('[fd00::1]:80', '::')).toBe(true);
    expect(isOurHost('evil.example', '0.0.0.0')).toBe(false);
    expect(isOurHost('10.1.2.3', '127.0.0.1')).toBe(false);
    for (const wrong of [undefined, '', 'a b', 'x@localhost', 'localhost/', 'localhost:port'])
      expect(isOurHost(wrong, '127.0.0.1'), String(wrong)).toBe(false);
  });

  it.each([
    ['127.0.0.1', true],
    ['127.8.8.8', true],
    ['::1', true],
    ['[::1]', true],
    ['localhost', true],
    ['0.0.0.0', false],
    ['10.0.0.1', false],
    ['127.0.0.1.evil.example', false],
    ['localhost.evil.example', false],
  ])('%s is this machine: %s', (host, expected) => expect(isLoopbackHost(host)).toBe(expected));
});

describe('where it listens', () => {
  it.each(['0.0.0.0', '::', '10.0.0.1', 'console.internal'])(
    '%s by option only: refused, and says what to do',
    async (host) => {
      const error = await world.start({ host, withQueues: false }).catch((reason) => reason);
      expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
      expect(error.hint).toContain('moraine.yaml');
    },
  );

  it('a host that moraine.yaml names: it listens, and warns that there is no login', async () => {
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (_ids: unknown, text: string) => void warnings.push(text) };
    const config = { ...world.config, console: { ...world.config.console, host: '0.0.0.0' } };
    const open = await world.start({ config, log, withQueues: false });
    expect(warnings.join()).toContain('no login');
    const onLoopback = open.url.replace('0.0.0.0', '127.0.0.1');
    expect((await ask(onLoopback, '/healthz')).status).toBe(200);
    expect((await ask(onLoopback, '/healthz', { headers: { host: 'evil.example' } })).status).toBe(403);
  });

  it('a port that is taken: CONFIG_INVALID', async () => {
    const port = Number(new URL(url).port);
    await expect(world.start({ port, withQueues: false })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('methods', () => {
  it.each(PATHS)('%s: nothing but reading is answered', async (path) => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const headers = { origin: new URL(url).origin, 'sec-fetch-site': 'same-origin' };
      const { status } = await ask(url, path, { method, headers });
      expect(status, `${method} ${path}`).toBe(405);
    }
  });
});

describe('headers', () => {
  it.each([...PATHS, '/archives/unknown', '/api/archives/unknown'])(
    '%s: no foreign script, no frame, no referrer, nothing kept',
    async (path) => {
      const { headers } = await ask(url, path);
      const csp = String(headers['content-security-policy']);
      expect(csp).toContain("default-src 'none'");
      expect(csp).toContain("frame-ancestors 'none'");
      expect(csp).toMatch(/script-src 'self'(;|$)/);
      expect(csp.includes("'unsafe-inline'")).toBe(path.startsWith('/queues/board'));
      expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
      expect(headers['access-control-allow-origin']).toBeUndefined();
      if (!path.startsWith('/assets/')) expect(headers['cache-control']).toBe('no-store');
    },
  );

  it('text from an address is shown as text', async () => {
    const { text } = await ask(url, `/archives?owner=${encodeURIComponent('"><script>alert(1)</script>')}`);
    expect(text).not.toContain('<script>alert');
    expect(text).toContain('&lt;script&gt;');
  });
});

describe('queue dashboard', () => {
  const PAUSE = '/queues/board/api/queues/sweep/pause';
  const seen = async () => {
    const redis = new DaemonRedis(stackUrls().redis, new Outages(silentLog));
    try {
      return await openQueues(redis, names.prefix).sweep.isPaused();
    } finally {
      redis.cut();
    }
  };
  const ownPage = (base: string) => ({ origin: new URL(base).origin, 'sec-fetch-site': 'same-origin' });

  it('shows its queues, and asks no other host for anything', async () => {
    const page = await ask(url, '/queues/board/');
    expect(page.status).toBe(200);
    expect(page.text).not.toMatch(/(src|href)="https?:/);
    const { text } = await ask(url, '/queues/board/api/queues');
    for (const queue of ['sweep', 'archive', 'clear', 'purge', 'reconcile', 'retrieve']) expect(text).toContain(queue);
  });

  it('read-only: pausing a queue is refused, also from our own page, and the queue goes on', async () => {
    const { status } = await ask(url, PAUSE, { method: 'PUT', headers: ownPage(url) });
    expect(status).toBe(405);
    expect(await seen()).toBe(false);
  });

  it('read-only without our guard: bull-board refuses, too', async () => {
    const board = openBoard({ url: stackUrls().redis, prefix: names.prefix, isWritable: false, log: silentLog });
    expect(board.adapters.every(({ readOnlyMode }) => readOnlyMode)).toBe(true);
    board.close();
  });

  describe('writable', () => {
    let writable: ConsoleWorld;
    let console_: RunningConsole;
    beforeAll(async () => {
      writable = await openConsoleWorld(names, { isSeeded: false, name: 'writable', bullBoardWritable: true });
      console_ = await writable.start();
    });
    afterAll(() => writable.close());

    it.each([
      ['a foreign page', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
      ['a page on another port of this machine', { 'sec-fetch-site': 'same-site', origin: 'http://127.0.0.1:1' }],
      ['an old browser on a foreign page', { origin: 'https://evil.example' }],
      ['a sandboxed frame', { origin: 'null' }],
      ['nobody knows where', {}],
    ])('a change from %s is refused, and the queue goes on', async (_, headers) => {
      expect((await ask(console_.url, PAUSE, { method: 'PUT', headers })).status).toBe(403);
      expect(await seen()).toBe(false);
    });

    it('a change from our own page is made; the rest of the console still only reads', async () => {
      const headers = ownPage(console_.url);
      expect((await ask(console_.url, PAUSE, { method: 'PUT', headers })).status).toBe(200);
      expect(await seen()).toBe(true);
      expect((await ask(console_.url, PAUSE.replace('pause', 'resume'), { method: 'PUT', headers })).status).toBe(200);
      expect(await seen()).toBe(false);
      expect((await ask(console_.url, '/archives', { method: 'POST', headers })).status).toBe(405);
    });
  });
});
