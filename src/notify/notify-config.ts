/** `notify:` in moraine.yaml. */
import { z } from 'zod';
import { isLoopback } from '../vault/vault-config.ts';

const MAIL_ADDRESS = /^[^\s@<>,;:"()[\]\\]+@[^\s@<>,;:"()[\]\\]+$/;
const address = z.string().regex(MAIL_ADDRESS, 'one mail address such as retention@example.com');
const region = z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'an AWS region such as eu-west-1');
const endpoint = z.url({ protocol: /^https?$/ }).optional();
const owners = z
  .array(z.string().min(1))
  .min(1)
  .optional()
  .meta({ description: 'The owners that this way reaches; default: all.' });

/** Shorter ones can be guessed from one signed message. */
const SHORTEST_SECRET = 16;

const smtpWay = z.strictObject({
  kind: z.literal('smtp'),
  url: z
    .string()
    .regex(/^smtps?:\/\/[^/?#\s]+\/?$/, 'a mail server such as smtps://user:password@mail.example.com:465'),
  from: address,
  owners,
});

const sesWay = z.strictObject({ kind: z.literal('ses'), region, endpoint, from: address, owners });

const snsWay = z.strictObject({
  kind: z.literal('sns'),
  region,
  endpoint,
  topic: z.string().regex(/^arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[\w-]+(\.fifo)?$/, 'the ARN of an SNS topic'),
  owners,
});

const webhookWay = z.strictObject({
  kind: z.literal('webhook'),
  url: z
    .url({ protocol: /^https?$/ })
    .refine((url) => url.startsWith('https:') || isLoopback(url), 'an https address (http on this machine only)'),
  secret: z.string().min(SHORTEST_SECRET, `a secret of ${SHORTEST_SECRET} characters or more, such as \${NAME}`),
  owners,
});

const wayConfigSchema = z.discriminatedUnion('kind', [smtpWay, sesWay, snsWay, webhookWay]);

export const notifyConfigSchema = z.strictObject({
  ways: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and "-"'), wayConfigSchema)
    .refine((ways) => Object.keys(ways).length > 0, 'at least one way'),
  beforePurge: z
    .strictObject({
      days: z.int().min(1).max(365).meta({ description: 'So many days before.' }),
      records: z.int().min(1).meta({ description: 'Only when so many records or more of one owner will go.' }),
    })
    .optional()
    .meta({ description: 'Tell owners before a large purge; without it, they are not told.' }),
});

export type NotifyConfig = z.output<typeof notifyConfigSchema>;
export type WayConfig = z.output<typeof wayConfigSchema>;

/** A contact may be anything that people understand; mail goes to addresses only. */
export function isMailAddress(text: string): boolean {
  return MAIL_ADDRESS.test(text);
}

/** Where the way goes, as a URL, to be compared with loopback; null: the real AWS service. */
export function wayAddress(way: WayConfig): string | null {
  return way.kind === 'smtp' || way.kind === 'webhook' ? way.url : (way.endpoint ?? null);
}
