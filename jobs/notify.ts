/** The repeated look at what owners have to be told: what `moraine notify send` does. */
import { notifyOwners } from '../src/lifecycle/notify.ts';
import type { Act } from './act.ts';

export const notify: Act<'notify'> = async ({ context }) => {
  const { found, sent, failed } = await notifyOwners(context);
  return { found, sent: sent.length, failed: failed.length };
};
