import { afterAll, beforeAll, expect, test } from 'vitest';
import { SmtpWay } from '../../src/notify/smtp.ts';
import { MailServer } from '../harness/mail-server.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';
import { notifyContract } from './notify-contract.ts';
import { inForceTelling, OWNER } from './tellings.ts';

const mailTo = (owner: string) => (owner === OWNER ? 'owner@acme.example' : null);

notifyContract('SMTP', async () => {
  const server = await MailServer.start();
  const proxy = await TcpProxy.start(server.url);
  const way = new SmtpWay({ name: 'mail', url: proxy.url, from: 'retention@example.com', mailTo });
  return {
    way,
    received: async () =>
      server.mails.splice(0).map(({ to, mail }) => ({
        subject: mail.subject ?? '',
        body: mail.text ?? '',
        notification: mail.headers.find(({ key }) => key === 'x-moraine-notification')?.value ?? null,
        to: to.join(', '),
      })),
    breakIt: async (how) => {
      if (how === 'away') proxy.cut();
      else server.refuseWith = 550;
    },
    mend: async () => {
      proxy.restore();
      server.refuseWith = null;
    },
    close: async () => {
      await way.close();
      await proxy.close();
      await server.close();
    },
  };
});

let server: MailServer;
beforeAll(async () => {
  server = await MailServer.start();
});
afterAll(() => server.close());

test('a mail has both forms, its id as Message-ID, and says that a machine wrote it', async () => {
  const way = new SmtpWay({ name: 'mail', url: server.url, from: 'retention@example.com', mailTo });
  expect(await way.send(inForceTelling('n9'))).toEqual({ messageId: '<n9@example.com>' });
  const [{ mail } = { mail: null }] = server.mails.splice(0);
  expect(mail?.messageId).toBe('<n9@example.com>');
  expect(mail?.from?.address).toBe('retention@example.com');
  expect(mail?.html).toContain('<table>');
  expect(mail?.headers.find(({ key }) => key === 'auto-submitted')?.value).toBe('auto-generated');
  await way.close();
});

test('a server that says "later" (4xx) may be tried again', async () => {
  const way = new SmtpWay({ name: 'mail', url: server.url, from: 'retention@example.com', mailTo });
  server.refuseWith = 451;
  await expect(way.send(inForceTelling('n9'))).rejects.toMatchObject({ code: 'NOTICE_UNAVAILABLE' });
  server.refuseWith = null;
  await way.close();
});
