/**
 * Object Lock on single archives: the date until which S3 deletes none, and legal holds. Both are set when the ledger
 * says that this version is the archive, never with the upload: an upload whose attempt is abandoned could not be removed
 * for years, and the purge date is exact only when the file is sealed.
 */
import { PutObjectLegalHoldCommand, PutObjectRetentionCommand } from '@aws-sdk/client-s3';
import { MoraineError } from '../errors.ts';
import type { VaultGuards, VaultLocation } from './port.ts';
import { objectOf, type S3Context, wantsObjectLock } from './s3-context.ts';
import { isServiceError, translateError } from './translate-error.ts';

export function guardsOf(context: S3Context): VaultGuards {
  const { objectLock } = context.settings;
  const lock = objectLock === 'governance' || objectLock === 'compliance' ? objectLock : null;
  return { holds: wantsObjectLock(context), lock };
}

export async function lockUntil(
  context: S3Context,
  location: VaultLocation,
  vaultArchiveId: string,
  until: Date,
  mayShorten: boolean,
): Promise<void> {
  const { lock } = guardsOf(context);
  const isPast = until.getTime() <= context.clock.now().getTime();
  const isShortening = mayShorten && lock === 'governance';
  // S3 refuses a lock that ends in the past; what is due already needs none.
  if (lock === null || (isPast && !isShortening)) return;
  const { key, versionId } = objectOf(vaultArchiveId);
  const Mode = lock === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE';
  await orVeto(isPast ? 'unlock it' : `lock it until ${until.toISOString()}`, location, () =>
    context.client.send(
      new PutObjectRetentionCommand({
        Bucket: location.name,
        Key: key,
        VersionId: versionId,
        // An empty one ends it.
        Retention: isPast ? {} : { Mode, RetainUntilDate: wholeSeconds(until) },
        ...(isShortening ? { BypassGovernanceRetention: true } : {}),
      }),
    ),
  );
}

export async function mirrorHold(
  context: S3Context,
  location: VaultLocation,
  vaultArchiveId: string,
  isHeld: boolean,
): Promise<void> {
  if (!guardsOf(context).holds) return;
  const { key, versionId } = objectOf(vaultArchiveId);
  await orVeto(isHeld ? 'put a legal hold on it' : 'take the legal hold off it', location, () =>
    context.client.send(
      new PutObjectLegalHoldCommand({
        Bucket: location.name,
        Key: key,
        VersionId: versionId,
        LegalHold: { Status: isHeld ? 'ON' : 'OFF' },
      }),
    ),
  );
}

/** The service knows seconds, and a lock must not outlast the date that it is for. */
function wholeSeconds(until: Date): Date {
  return new Date(Math.floor(until.getTime() / 1_000) * 1_000);
}

async function orVeto(what: string, location: VaultLocation, call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (isServiceError(error, 'AccessDenied')) {
      throw new MoraineError('VAULT_VETO', `Object Lock or the access rights refuse to ${what}.`, {
        cause: error,
        ids: { vault: location.name },
      });
    }
    throw translateError(error, { what, location, effect: null });
  }
}
