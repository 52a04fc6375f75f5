import { DeleteIdentityCommand, SESClient, VerifyEmailIdentityCommand } from '@aws-sdk/client-ses';
import { z } from 'zod';
import { awsOptions } from '../../src/notify/aws.ts';
import { SesWay } from '../../src/notify/ses.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';
import { notifyContract } from './notify-contract.ts';
import { OWNER } from './tellings.ts';

const names = testNames(import.meta.filename);

/** What LocalStack keeps of the mails that it was given. */
const SENT = z.object({
  messages: z.array(
    z.object({
      Id: z.string(),
      Destination: z.object({ ToAddresses: z.array(z.string()) }),
      Subject: z.string(),
      Body: z.object({ text_part: z.string() }),
    }),
  ),
});

notifyContract('SES', async () => {
  const { s3: endpoint } = stackUrls();
  const proxy = await TcpProxy.start(endpoint);
  const region = 'eu-west-1';
  const from = `${names.vaultPrefix}@example.com`;
  const client = new SESClient(awsOptions({ region, endpoint }));
  const verify = () => client.send(new VerifyEmailIdentityCommand({ EmailAddress: from }));
  await verify();
  const mailTo = (owner: string) => (owner === OWNER ? 'owner@acme.example' : null);
  const way = new SesWay({ name: 'ses', region, endpoint: proxy.url, from, mailTo });
  const mine = new URL(`/_aws/ses?email=${encodeURIComponent(from)}`, endpoint);
  return {
    way,
    received: async () => {
      const { messages } = SENT.parse(await (await fetch(mine)).json());
      for (const { Id } of messages) await fetch(new URL(`/_aws/ses?id=${Id}`, endpoint), { method: 'DELETE' });
      return messages.map(({ Destination, Subject, Body }) => ({
        subject: Subject,
        body: Body.text_part,
        notification: /Notification `(\w+)`/.exec(Body.text_part)?.[1] ?? null,
        to: Destination.ToAddresses.join(', '),
      }));
    },
    breakIt: async (how) => {
      if (how === 'away') proxy.cut();
      else await client.send(new DeleteIdentityCommand({ Identity: from }));
    },
    mend: async () => {
      proxy.restore();
      await verify();
    },
    close: async () => {
      await client.send(new DeleteIdentityCommand({ Identity: from }));
      client.destroy();
      await way.close();
      await proxy.close();
    },
  };
});
