/**
 * Purging one archive of a customer who leaves before its date: the date is moved to now under the approval of the
 * offboarding, which names the archive, and it is a purge like any other from there on.
 */
import { isMoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import type { OffboardingDocument } from '../ledger/offboardings.ts';
import type { Context } from './context.ts';
import { reschedule } from './early-purge.ts';
import { purgeArchives } from './purge.ts';

/** Why it could not be purged now, or null. */
export async function purgeOffboarded(
  context: Context,
  { approval, saidBy, reason }: OffboardingDocument,
  archive: ArchiveId,
): Promise<string | null> {
  try {
    await reschedule(context, archive, { approval }, { by: saidBy, reason });
  } catch (error) {
    if (isMoraineError(error, 'VAULT_VETO')) return error.message;
    throw error;
  }
  const { held, waiting, failed } = await purgeArchives(context, [archive]);
  if (held.length > 0) return 'a hold covers it';
  const [problem] = [...waiting, ...failed];
  return problem?.reason ?? null;
}
