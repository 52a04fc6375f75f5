/** Mail by Amazon SES. */
import { SESClient, SendEmailCommand } from '@aws-sdk/client-ses';
import { MoraineError } from '../errors.ts';
import type { OwnerId } from '../ids.ts';
import { type AwsAddress, awsOptions, translateAws } from './aws.ts';
import { messageOf } from './message.ts';
import type { NotifyWay } from './port.ts';
import type { Telling } from './telling.ts';

export interface SesSettings extends AwsAddress {
  readonly name: string;
  readonly from: string;
  mailTo(owner: OwnerId): string | null;
}

export class SesWay implements NotifyWay {
  readonly kind = 'ses';
  readonly name: string;
  readonly #settings: SesSettings;
  readonly #client: SESClient;

  constructor(settings: SesSettings) {
    this.name = settings.name;
    this.#settings = settings;
    this.#client = new SESClient(awsOptions(settings));
  }

  addressOf(owner: OwnerId): string | null {
    return this.#settings.mailTo(owner);
  }

  async send(telling: Telling, signal?: AbortSignal): Promise<{ readonly messageId: string }> {
    const { name, from } = this.#settings;
    const to = this.addressOf(telling.owner);
    if (to === null) throw new MoraineError('NOTICE_REFUSED', `Way ${name} has no mail address of the owner.`);
    const { subject, text, html } = messageOf(telling);
    const part = (data: string) => ({ Data: data, Charset: 'UTF-8' });
    const command = new SendEmailCommand({
      Source: from,
      Destination: { ToAddresses: [to] },
      Message: { Subject: part(subject), Body: { Text: part(text), Html: part(html) } },
      Tags: [{ Name: 'moraine-notification', Value: telling.id }],
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
