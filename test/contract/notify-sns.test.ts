import { setTimeout as wait } from 'node:timers/promises';
import {
  ConfirmSubscriptionCommand,
  CreateTopicCommand,
  DeleteTopicCommand,
  PublishCommand,
  SNSClient,
  SubscribeCommand,
} from '@aws-sdk/client-sns';
import { z } from 'zod';
import { awsOptions } from '../../src/notify/aws.ts';
import { SnsWay } from '../../src/notify/sns.ts';
import { until } from '../harness/daemons.ts';
import { Listening } from '../harness/listening.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';

import { notifyContract } from './notify-contract.ts';
import { OWNER } from './tellings.ts';

const names = testNames(import.meta.filename);
const OVERTAKEN_MS = 300;

/** What a subscriber gets by HTTP. */
const DELIVERY = z.object({
  Type: z.string(),
  Token: z.string().optional(),
  Subject: z.string().optional(),
  Message: z.string(),
  MessageAttributes: z.record(z.string(), z.object({ Value: z.string() })).optional(),
});

notifyContract('SNS', async () => {
  const { s3: endpoint } = stackUrls();
  const proxy = await TcpProxy.start(endpoint);
  const listening = await Listening.start();
  const client = new SNSClient(awsOptions({ region: 'eu-west-1', endpoint }));
  const deliveries = () => listening.requests.map(({ body }) => DELIVERY.parse(JSON.parse(body)));
  const subscribe = async (): Promise<string> => {
    const { TopicArn = '' } = await client.send(new CreateTopicCommand({ Name: names.vaultPrefix }));
    listening.requests.length = 0;
    await client.send(new SubscribeCommand({ TopicArn, Protocol: 'http', Endpoint: listening.url }));
    const asked = () => deliveries().find(({ Type }) => Type === 'SubscriptionConfirmation')?.Token;
    await until('the subscriber is asked', async () => asked() !== undefined);
    await client.send(new ConfirmSubscriptionCommand({ TopicArn, Token: asked() }));
    listening.requests.length = 0;
    return TopicArn;
  };
  const topic = await subscribe();
  let isDeleted = false;
  const reaches = (owner: string) => owner === OWNER;
  const way = new SnsWay({ name: 'topic', region: 'eu-west-1', endpoint: proxy.url, topic, reaches });
  return {
    way,
    // Deliveries take a moment: a last one that is known tells that those before are there.
    received: async () => {
      await client.send(new PublishCommand({ TopicArn: topic, Message: 'the last' }));
      await until('the last is there', async () => deliveries().some(({ Message }) => Message === 'the last'));
      // Deliveries go out in threads: on a busy machine the last may overtake one.
      await wait(OVERTAKEN_MS);
      const found = deliveries().filter(({ Message }) => Message !== 'the last');
      listening.requests.length = 0;
      return found.map(({ Subject = '', Message, MessageAttributes }) => ({
        subject: Subject,
        body: Message,
        notification: MessageAttributes?.['notification']?.Value ?? null,
        to: topic,
      }));
    },
    breakIt: async (how) => {
      isDeleted = how === 'refused';
      if (isDeleted) await client.send(new DeleteTopicCommand({ TopicArn: topic }));
      else proxy.cut();
    },
    mend: async () => {
      proxy.restore();
      if (isDeleted) await subscribe();
    },
    close: async () => {
      await client.send(new DeleteTopicCommand({ TopicArn: topic }));
      client.destroy();
      await way.close();
      await proxy.close();
      await listening.close();
    },
  };
});
