/** One entry of `attachments:` in moraine.yaml: where S3 objects that hang on records are. */
import { z } from 'zod';

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

export const attachmentStoreSchema = z
  .strictObject({
    region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'an AWS region such as eu-west-1'),
    endpoint: z.url({ protocol: /^https?$/ }).optional(),
    credentials: z.strictObject({ accessKeyId: z.string().min(1), secretAccessKey: z.string().min(1) }).optional(),
  })
  .superRefine((entry, context) => {
    if (entry.credentials === undefined) return;
    if (entry.endpoint !== undefined && LOOPBACK.test(new URL(entry.endpoint).hostname)) return;
    context.addIssue({
      code: 'custom',
      path: ['credentials'],
      message: 'none but for an endpoint on this machine; elsewhere use a role, a profile or the environment',
    });
  });

export type AttachmentStore = z.output<typeof attachmentStoreSchema>;
