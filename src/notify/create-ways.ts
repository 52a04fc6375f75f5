/** The ways of `notify:` in moraine.yaml. Opens no connection. */
import type { Clock } from '../clock.ts';
import type { OwnerId } from '../ids.ts';
import type { WayConfig } from './notify-config.ts';
import { isMailAddress } from './notify-config.ts';
import type { NotifyWay } from './port.ts';
import { SesWay } from './ses.ts';
import { SmtpWay } from './smtp.ts';
import { SnsWay } from './sns.ts';
import { WebhookWay } from './webhook.ts';

export interface WayParts {
  readonly clock: Clock;
  /** `owners.<o>.contact` of moraine.yaml. */
  contactOf(owner: OwnerId): string | null;
}

export function createWay(name: string, config: WayConfig, { clock, contactOf }: WayParts): NotifyWay {
  const reaches = (owner: OwnerId) => config.owners === undefined || config.owners.includes(owner);
  const mailTo = (owner: OwnerId) => {
    const contact = reaches(owner) ? contactOf(owner) : null;
    return contact !== null && isMailAddress(contact) ? contact : null;
  };
  switch (config.kind) {
    case 'smtp':
      return new SmtpWay({ name, url: config.url, from: config.from, mailTo });
    case 'ses':
      return new SesWay({ name, region: config.region, endpoint: config.endpoint, from: config.from, mailTo });
    case 'sns':
      return new SnsWay({ name, region: config.region, endpoint: config.endpoint, topic: config.topic, reaches });
    case 'webhook':
      return new WebhookWay({ name, url: config.url, secret: config.secret, reaches }, clock);
  }
}
