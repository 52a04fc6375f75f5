/** The proof that a stray may be removed from its vault: other people approved exactly this file, and nobody can open it any more. */
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { ApprovalProof } from './approval-decisions.ts';
import { attempts } from './attempts.ts';
import type { FindingDocument } from './findings.ts';
import type { Store } from './store.ts';
import { AbandonedUpload } from './warrants.ts';

/** Does the ledger know the attempt, as that of an archive of its own? Then its key is that archive's, and stays. */
export async function isAttemptOfLedger(store: Store, { listed }: FindingDocument): Promise<boolean> {
  const intent = listed?.intent ?? null;
  return intent !== null && (await attempts(store).get(intent.attempt)) !== null;
}

/** `keyDestroyedAt`: null where the key is another file's too. Throws INTERNAL for a finding without a description of ours. */
export async function proveDisposable(
  store: Store,
  clock: Clock,
  finding: FindingDocument,
  { approval }: Pick<ApprovalProof, 'approval'>,
  keyDestroyedAt: Date | null,
): Promise<AbandonedUpload> {
  const intent = finding.listed?.intent ?? null;
  if (intent === null || approval === '')
    throw new MoraineError('INTERNAL', `Stray ${finding._id} has no description, or nobody approved its end.`);
  if (keyDestroyedAt !== null) {
    const now = clock.now();
    // A second file of the same attempt, which comes late, is removed as what any abandoned attempt leaves.
    await attempts(store).insert({
      ...{ _id: intent.attempt, v: 1, archive: intent.archive, epoch: 0, state: 'abandoned' },
      ...{ location: finding.location, intent, partBytes: 0, uploadId: null, members: [] },
      ...{ keyDestroyedAt, cleanedUp: false, startedAt: now, endedAt: now },
      reason: `a person disposed of the stray (${approval})`,
    });
  }
  return AbandonedUpload.issue(intent.attempt);
}
