/** The hourly publishing of the newest head of the audit chain: what `moraine audit publish` does. */
import { publishHead } from '../src/lifecycle/publish-head.ts';
import type { Act } from './act.ts';

const HOUR_MS = 3_600_000;
/** A run that was made up for, and its schedule a little later, are one head: nobody has published since this long before now. */
const NOT_TWICE_WITHIN_MS = HOUR_MS / 2;

export const audit: Act<'audit'> = async ({ context }) => {
  const unlessSince = new Date(context.clock.now().getTime() - NOT_TWICE_WITHIN_MS);
  const { state, head, place } = await publishHead(context, { unlessSince });
  return { state, number: head.number, seq: head.seq, place };
};
