import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { WebhookWay } from '../../src/notify/webhook.ts';
import { Listening } from '../harness/listening.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';
import { notifyContract } from './notify-contract.ts';
import { inForceTelling, OWNER } from './tellings.ts';

const SECRET = 'a secret of enough length';
const reaches = (owner: string) => owner === OWNER;

notifyContract('webhook', async () => {
  const server = await Listening.start();
  const proxy = await TcpProxy.start(server.url);
  const way = new WebhookWay({ name: 'hook', url: `${proxy.url}/told?key=1`, secret: SECRET, reaches }, systemClock);
  return {
    way,
    received: async () =>
      server.requests.splice(0).map(({ body, headers }) => {
        const { subject, text } = JSON.parse(body);
        const notification = headers['moraine-notification'];
        return { subject, body: text, notification: String(notification), to: proxy.url };
      }),
    breakIt: async (how) => {
      if (how === 'away') proxy.cut();
      else server.status = 410;
    },
    mend: async () => {
      proxy.restore();
      if (server.status !== 200) server.requests.length = 0;
      server.status = 200;
    },
    close: async () => {
      await way.close();
      await proxy.close();
      await server.close();
    },
  };
});

let server: Listening;
beforeAll(async () => {
  server = await Listening.start();
});
afterAll(() => server.close());
const hook = () => new WebhookWay({ name: 'hook', url: `${server.url}/x`, secret: SECRET, reaches }, systemClock);

test('the signature is the HMAC of time and body under the secret; another body has another', async () => {
  await hook().send(inForceTelling('n1'));
  const [request] = server.requests.splice(0);
  const [, seconds = '', given] =
    /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(request?.headers['moraine-signature'])) ?? [];
  const expected = (body: string) => createHmac('sha256', SECRET).update(`${seconds}.${body}`).digest('hex');
  expect(given).toBe(expected(request?.body ?? ''));
  expect(given).not.toBe(expected(`${request?.body} `));
  expect(Math.abs(Number(seconds) * 1_000 - Date.now())).toBeLessThan(60_000);
  expect(JSON.parse(request?.body ?? '')).toMatchObject({ id: 'n1', kind: 'in-force', owner: 'acme' });
});

test('a redirect is not followed, a busy server is asked three times, and the address tells no key', async () => {
  expect(hook().addressOf(OWNER)).toBe(server.url);
  server.status = 302;
  server.headers = { location: `${server.url}/elsewhere` };
  await expect(hook().send(inForceTelling('n2'))).rejects.toMatchObject({ code: 'NOTICE_REFUSED' });
  expect(server.requests.splice(0).map(({ path }) => path)).toEqual(['/x']);
  server.status = 503;
  server.headers = {};
  await expect(hook().send(inForceTelling('n3'))).rejects.toMatchObject({ code: 'NOTICE_UNAVAILABLE' });
  expect(server.requests.splice(0).map(({ headers }) => headers['moraine-notification'])).toEqual(['n3', 'n3', 'n3']);
  server.status = 200;
});
