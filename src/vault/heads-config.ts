/** `audit.heads` in moraine.yaml: where heads of the audit chain are published. */
import { z } from 'zod';
import { isLoopback } from './vault-config.ts';

export const headsAddressSchema = z.strictObject({
  bucket: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'the name of a bucket')
    .meta({ description: 'With Object Lock, made by a person; best in another account.' }),
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'an AWS region such as eu-west-1'),
  prefix: z
    .string()
    .regex(/^([A-Za-z0-9!_.*'()-]+\/)*[A-Za-z0-9!_.*'()-]*$/, 'a prefix such as audit/moraine')
    .default('moraine/audit-heads')
    .meta({ description: 'Of the heads of all installations; each has a folder of its own below it.' }),
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  credentials: z.strictObject({ accessKeyId: z.string().min(1), secretAccessKey: z.string().min(1) }).optional(),
});

export type HeadsAddress = z.output<typeof headsAddressSchema>;

/** Credentials stand in the file for an endpoint on this machine only. */
export function mayHaveCredentials({ credentials, endpoint }: HeadsAddress): boolean {
  return credentials === undefined || (endpoint !== undefined && isLoopback(endpoint));
}

/** Of one installation's heads: ends with `/`. */
export function headsPrefix({ prefix }: HeadsAddress, installation: string): string {
  return [...prefix.split('/').filter((part) => part !== ''), installation].map((part) => `${part}/`).join('');
}
