import { z } from 'zod';
import { type Call, type Reply, vaultOf } from './call.ts';
import { invalidParameter, missingParameter, notificationsNotSet } from './errors.ts';
import { notificationEvents } from './records.ts';

/** Which topic a vault tells when its jobs complete. */

const bodySchema = z.object({ SNSTopic: z.string().nullish(), Events: z.array(z.string()).nullish() });
const eventsSchema = z.array(z.enum(notificationEvents));
const TOPIC = /^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$/;

export async function setVaultNotifications(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const body = bodySchema.safeParse(call.json);
  if (!body.success) throw missingParameter('SNSTopic');
  const { SNSTopic, Events } = body.data;
  if (SNSTopic == null) throw missingParameter('SNSTopic');
  if (Events == null || Events.length === 0) throw missingParameter('Events');
  const topic = checkTopic(SNSTopic);
  const events = eventsSchema.safeParse(Events);
  if (!events.success) throw invalidParameter(`Invalid notification events: ${Events.join(', ')}`);
  await vault.change((_record, nowMs) => ({
    notifications: { topic, events: [...new Set(events.data)], setAtMs: nowMs },
  }));
  return { status: 204 };
}

export async function getVaultNotifications(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const { notifications } = vault.record;
  if (notifications === null) throw notificationsNotSet(vault.arn);
  return { status: 200, body: { SNSTopic: notifications.topic, Events: notifications.events } };
}

/** Deleting again is no error. */
export async function deleteVaultNotifications(call: Call): Promise<Reply> {
  await (await vaultOf(call)).change(() => ({ notifications: null }));
  return { status: 204 };
}

/** Whether the topic exists is not asked: publishing tells. */
export function checkTopic(arn: string): string {
  if (!TOPIC.test(arn)) throw invalidParameter(`Invalid SNS topic ARN: ${arn}`);
  return arn;
}
