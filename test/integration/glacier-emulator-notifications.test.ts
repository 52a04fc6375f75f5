import * as glacier from '@aws-sdk/client-glacier';
import {
  ConfirmSubscriptionCommand,
  CreateTopicCommand,
  DeleteTopicCommand,
  SNSClient,
  SubscribeCommand,
} from '@aws-sdk/client-sns';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { until } from '../harness/daemons.ts';
import { Listening } from '../harness/listening.ts';
import { stackUrls, testNames } from '../harness/stack.ts';
import { TcpProxy } from '../harness/tcp-proxy.ts';
import { EmulatorProcess } from './glacier-emulator-process.ts';

const accountId = '-';
const names = testNames(import.meta.filename);
const DELIVERY = z.object({
  Type: z.string(),
  Token: z.string().optional(),
  Message: z.string(),
  TopicArn: z.string(),
});

let sns: SNSClient;
let subscriber: Listening;
let topic: string;
let other: string;
let emulator: EmulatorProcess;
let client: glacier.GlacierClient;

const deliveries = () => subscriber.requests.map(({ body }) => DELIVERY.parse(JSON.parse(body)));

async function newTopic(name: string): Promise<string> {
  const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: `${names.vaultPrefix}-${name}` }));
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'http', Endpoint: subscriber.url }));
  const asked = () => deliveries().find((one) => one.TopicArn === TopicArn && one.Token !== undefined)?.Token;
  await until('the subscriber is asked', async () => asked() !== undefined);
  await sns.send(new ConfirmSubscriptionCommand({ TopicArn, Token: asked() }));
  return TopicArn;
}

beforeAll(async () => {
  sns = new SNSClient({
    endpoint: stackUrls().s3,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 's' },
  });
  subscriber = await Listening.start();
  topic = await newTopic('vault');
  other = await newTopic('job');
});
afterEach(async () => {
  client.destroy();
  await emulator.stop();
});
afterAll(async () => {
  for (const TopicArn of [topic, other]) await sns.send(new DeleteTopicCommand({ TopicArn }));
  sns.destroy();
  await subscriber.close();
});

async function begin(endpoint = stackUrls().s3): Promise<void> {
  emulator = await EmulatorProcess.start('--linger-seconds', '0', '--sns-endpoint', endpoint);
  client = emulator.client();
  subscriber.requests.length = 0;
}

async function newVault(vaultName: string): Promise<string> {
  await client.send(new glacier.CreateVaultCommand({ accountId, vaultName }));
  const body = Buffer.from('told of');
  return (await client.send(new glacier.UploadArchiveCommand({ accountId, vaultName, body }))).archiveId ?? '';
}

const setNotifications = (vaultName: string, Events: string[], SNSTopic = topic) =>
  client.send(
    new glacier.SetVaultNotificationsCommand({ accountId, vaultName, vaultNotificationConfig: { SNSTopic, Events } }),
  );
const getNotifications = (vaultName: string) =>
  client.send(new glacier.GetVaultNotificationsCommand({ accountId, vaultName }));
async function start(vaultName: string, jobParameters: glacier.JobParameters): Promise<string> {
  return (await client.send(new glacier.InitiateJobCommand({ accountId, vaultName, jobParameters }))).jobId ?? '';
}
const expedited = (ArchiveId: string, SNSTopic?: string) => ({
  Type: 'archive-retrieval',
  ArchiveId,
  Tier: 'Expedited',
  ...(SNSTopic === undefined ? {} : { SNSTopic }),
});

const MESSAGE = z.object({ JobId: z.string(), StatusCode: z.string() });

/** Who was told of which job, in the order of arrival. */
function told(): { topic: string; jobId: string; status: string }[] {
  return deliveries()
    .filter(({ Type }) => Type === 'Notification')
    .map(({ TopicArn, Message }) => {
      const { JobId, StatusCode } = MESSAGE.parse(JSON.parse(Message));
      return { topic: TopicArn, jobId: JobId, status: StatusCode };
    });
}

const untilTold = (jobId: string, by = topic) =>
  until(`${by} is told`, async () => told().some((one) => one.jobId === jobId && one.topic === by));

async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof glacier.GlacierServiceException) return `${error.name}: ${error.message}`;
    throw error;
  }
  throw new Error('the call was not refused');
}

describe('configuration', () => {
  test('set, get, replace, delete (twice is once), kept over a kill', async () => {
    await begin();
    await newVault('v');
    const arn = 'arn:aws:glacier:eu-west-1:012345678901:vaults/v';
    expect(await refusal(getNotifications('v'))).toBe(
      `ResourceNotFoundException: No notification configuration is set for vault: ${arn}`,
    );
    await setNotifications('v', ['InventoryRetrievalCompleted']);
    await setNotifications('v', ['ArchiveRetrievalCompleted', 'InventoryRetrievalCompleted']);
    await emulator.killAndRestart();
    expect((await getNotifications('v')).vaultNotificationConfig).toEqual({
      SNSTopic: topic,
      Events: ['ArchiveRetrievalCompleted', 'InventoryRetrievalCompleted'],
    });
    expect(await refusal(setNotifications('v', ['VaultDeleted']))).toMatch(/^InvalidParameterValueException/);
    expect(await refusal(setNotifications('v', []))).toMatch(/^MissingParameterValueException/);
    expect(await refusal(setNotifications('v', ['ArchiveRetrievalCompleted'], 'topic'))).toBe(
      'InvalidParameterValueException: Invalid SNS topic ARN: topic',
    );
    for (let i = 0; i < 2; i += 1) {
      await client.send(new glacier.DeleteVaultNotificationsCommand({ accountId, vaultName: 'v' }));
    }
    expect(await refusal(getNotifications('v'))).toMatch(/^ResourceNotFoundException/);
  });
});

describe('completion', () => {
  test('the topic is told once, with what DescribeJob says; only of events that it wants', async () => {
    await begin();
    const archiveId = await newVault('v');
    await setNotifications('v', ['ArchiveRetrievalCompleted']);
    const early = await start('v', expedited(archiveId));
    await emulator.advance('PT4M');
    expect(told()).toEqual([]);
    await emulator.advance('PT1M');
    await untilTold(early);
    const { Message = '' } = deliveries().find(({ Type }) => Type === 'Notification') ?? {};
    const { $metadata, ...described } = await client.send(
      new glacier.DescribeJobCommand({ accountId, vaultName: 'v', jobId: early }),
    );
    expect($metadata.httpStatusCode).toBe(200);
    expect(JSON.parse(Message)).toMatchObject({ ...described, StatusCode: 'Succeeded', SNSTopic: null });
    await emulator.advance('P1D');
    await start('v', { Type: 'inventory-retrieval' });
    await emulator.advance('PT4H');
    const last = await start('v', expedited(archiveId));
    await emulator.advance('PT5M');
    await untilTold(last);
    expect(told().map(({ jobId }) => jobId)).toEqual([early, last]);
  });

  test('a job with a topic of its own tells both, and the same one once; a failed job is told too', async () => {
    await begin();
    const archiveId = await newVault('v');
    const alone = await start('v', expedited(archiveId, other));
    await setNotifications('v', ['ArchiveRetrievalCompleted']);
    const same = await start('v', expedited(archiveId, topic));
    const both = await start('v', expedited(archiveId, other));
    await client.send(new glacier.DeleteArchiveCommand({ accountId, vaultName: 'v', archiveId }));
    await emulator.advance('PT5M');
    for (const jobId of [alone, same, both]) await untilTold(jobId);
    await untilTold(alone, other);
    await untilTold(both, other);
    const seen = told().map((one) => `${one.jobId} ${one.topic} ${one.status}`);
    expect(seen.toSorted()).toEqual(
      [
        ...[alone, same, both].map((jobId) => `${jobId} ${topic} Failed`),
        ...[alone, both].map((jobId) => `${jobId} ${other} Failed`),
      ].toSorted(),
    );
  });

  test('jobs that completed before the vault had a topic are not told; without a move of the clock it is told in time', async () => {
    await begin();
    const archiveId = await newVault('v');
    await start('v', expedited(archiveId));
    await emulator.advance('PT5M');
    await setNotifications('v', ['ArchiveRetrievalCompleted']);
    const jobId = await start('v', expedited(archiveId));
    await emulator.advance('PT4M59S');
    await untilTold(jobId);
    expect(told()).toHaveLength(1);
  });

  test('killed before it could tell, SNS away, a jump over the day in which output is kept: it is told all the same', async () => {
    const proxy = await TcpProxy.start(stackUrls().s3);
    await begin(proxy.url);
    const archiveId = await newVault('v');
    const jobId = await start('v', expedited(archiveId, topic));
    proxy.cut();
    await emulator.advance('P2D');
    await emulator.killAndRestart();
    expect(told()).toEqual([]);
    proxy.restore();
    await untilTold(jobId);
    // Told, it goes as all that is more than a day old. Killed between telling and noting, it would be told again first.
    const describeJob = () => client.send(new glacier.DescribeJobCommand({ accountId, vaultName: 'v', jobId }));
    await until('it is gone', async () =>
      describeJob().then(
        () => false,
        (error) => error instanceof glacier.ResourceNotFoundException,
      ),
    );
    await emulator.killAndRestart();
    expect(await refusal(describeJob())).toMatch(/^ResourceNotFoundException/);
    await proxy.close();
  });

  test('without an SNS, what would be told can be read from the emulator', async () => {
    emulator = await EmulatorProcess.start('--linger-seconds', '0');
    client = emulator.client();
    const archiveId = await newVault('v');
    const jobId = await start('v', expedited(archiveId, other));
    await emulator.advance('PT5M');
    const list = z.object({ notifications: z.array(z.looseObject({})) });
    const notifications = async () => list.parse((await emulator.control('GET', 'notifications')).body).notifications;
    await until('it is noted', async () => (await notifications()).length > 0);
    expect(await notifications()).toMatchObject([{ jobId, topic: other, error: null }]);
  });
});
