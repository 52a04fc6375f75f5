import type { Publish } from './notifier.ts';
import type { Credentials } from './principals.ts';

/** Publishes to the SNS at `endpoint`, in the region that the topic's ARN names. */
export async function snsPublisher(endpoint: string, credentials: Credentials): Promise<Publish> {
  // Most emulators run without: the client is loaded when it is wanted.
  const { PublishCommand, SNSClient } = await import('@aws-sdk/client-sns');
  const clients = new Map<string, InstanceType<typeof SNSClient>>();
  return async (topic, message) => {
    const region = topic.split(':')[3] ?? '';
    let client = clients.get(region);
    if (client === undefined) {
      client = new SNSClient({ endpoint, region, credentials, maxAttempts: 1 });
      clients.set(region, client);
    }
    await client.send(new PublishCommand({ TopicArn: topic, Message: message }));
  };
}
