/** A topic of Amazon SNS: subscribers choose by the attributes `owner` and `kind`. */
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import type { OwnerId } from '../ids.ts';
import { type AwsAddress, awsOptions, translateAws } from './aws.ts';
import { messageOf } from './message.ts';
import type { NotifyWay } from './port.ts';
import type { Telling } from './telling.ts';

/** Amazon SNS API reference, Publish: ASCII without line breaks, fewer than 100 characters; the message at most 256 KiB. */
const LONGEST_SUBJECT = 99;
const LONGEST_MESSAGE_BYTES = 250 * 1024;

export interface SnsSettings extends AwsAddress {
  readonly name: string;
  readonly topic: string;
  reaches(owner: OwnerId): boolean;
}

export class SnsWay implements NotifyWay {
  readonly kind = 'sns';
  readonly name: string;
  readonly #settings: SnsSettings;
  readonly #client: SNSClient;

  constructor(settings: SnsSettings) {
    this.name = settings.name;
    this.#settings = settings;
    this.#client = new SNSClient(awsOptions(settings));
  }

  addressOf(owner: OwnerId): string | null {
    return this.#settings.reaches(owner) ? this.#settings.topic : null;
  }

  async send(telling: Telling, signal?: AbortSignal): Promise<{ readonly messageId: string }> {
    const { name, topic } = this.#settings;
    const { subject, text } = messageOf(telling);
    const attribute = (value: string) => ({ DataType: 'String', StringValue: value });
    const command = new PublishCommand({
      TopicArn: topic,
      Subject: subject.replace(/[^ -~]/g, '?').slice(0, LONGEST_SUBJECT),
      Message: withinLimit(text, telling.id),
      MessageAttributes: {
        notification: attribute(telling.id),
        owner: attribute(telling.owner),
        kind: attribute(telling.news.kind),
      },
      // A FIFO topic drops a second copy by itself.
      ...(topic.endsWith('.fifo') ? { MessageGroupId: 'moraine', MessageDeduplicationId: telling.id } : {}),
    });
    try {
      const { MessageId } = await this.#client.send(command, signal === undefined ? {} : { abortSignal: signal });
      return { messageId: MessageId ?? telling.id };
    } catch (error) {
      throw translateAws(name, error);
    }
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }
}

function withinLimit(text: string, id: string): string {
  if (Buffer.byteLength(text) <= LONGEST_MESSAGE_BYTES) return text;
  const kept = Buffer.from(text).subarray(0, LONGEST_MESSAGE_BYTES).toString('utf8');
  return `${kept}\n\nThe message is longer than a topic takes; see notification ${id}.\n`;
}
