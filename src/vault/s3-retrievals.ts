/**
 * Retrieval from the Glacier storage classes: the object is restored for a few days and then read as any other; one of
 * GLACIER_IR is read as it is. The job's
 * id is the object's version and the range that was asked for; S3 always restores the whole object.
 */
import { GetObjectCommand, HeadObjectCommand, RestoreObjectCommand, type Tier as S3Tier } from '@aws-sdk/client-s3';
import { MoraineError } from '../errors.ts';
import type { ByteRange, JobState, Tier, VaultLocation } from './port.ts';
import { hasTier, priceListOf } from './prices.ts';
import { classAt, objectOf, type S3Context } from './s3-context.ts';
import { httpStatus, isServiceError, translateError } from './translate-error.ts';

/** How long the restored copy stays: as long as Glacier keeps an output, and a day to spare for a slow download. */
const RESTORED_DAYS = 2;

/** Glacier Instant Retrieval: nothing to restore, it is read like any other object. */
const AT_ONCE = 'GLACIER_IR';

const S3_TIERS: Readonly<Record<Tier, S3Tier>> = { expedited: 'Expedited', standard: 'Standard', bulk: 'Bulk' };

export async function requestRetrieval(
  context: S3Context,
  location: VaultLocation,
  vaultArchiveId: string,
  tier: Tier,
  range: ByteRange | null,
): Promise<string> {
  const storageClass = classAt(context, location);
  if (!hasTier(priceListOf(storageClass), tier)) {
    throw new MoraineError('VAULT_REFUSED', `The storage class ${storageClass} has no tier ${tier}.`, {
      hint: 'Use --tier standard or --tier bulk.',
    });
  }
  const { key, versionId } = objectOf(vaultArchiveId);
  const jobId = jobIdOf(vaultArchiveId, range);
  if (storageClass === AT_ONCE && (await isReady(context, location, jobId))) return jobId;
  try {
    await context.client.send(
      new RestoreObjectCommand({
        Bucket: location.name,
        Key: key,
        VersionId: versionId,
        RestoreRequest: { Days: RESTORED_DAYS, GlacierJobParameters: { Tier: S3_TIERS[tier] } },
      }),
    );
  } catch (error) {
    // Asked for before and under way: the same copy serves this job.
    if (isServiceError(error, 'RestoreAlreadyInProgress')) return jobId;
    // What is in no class to restore from was moved to one that is read at once.
    if (isServiceError(error, 'InvalidObjectState') && (await isReady(context, location, jobId))) return jobId;
    throw translateError(error, { what: 'ask for a retrieval', location, effect: null });
  }
  return jobId;
}

/** S3 keeps no job: a restored copy, or one that is under way, serves whoever asked for it. */
export async function findRetrieval(
  context: S3Context,
  location: VaultLocation,
  vaultArchiveId: string,
  range: ByteRange | null,
): Promise<string | null> {
  const jobId = jobIdOf(vaultArchiveId, range);
  return (await retrievalState(context, location, jobId)).state === 'gone' ? null : jobId;
}

export async function retrievalState(context: S3Context, location: VaultLocation, jobId: string): Promise<JobState> {
  const { key, versionId } = jobOf(jobId);
  try {
    const head = await context.client.send(
      new HeadObjectCommand({ Bucket: location.name, Key: key, VersionId: versionId }),
    );
    if (head.StorageClass === AT_ONCE) return { state: 'ready', readyAt: context.dates.of(head), expiresAt: null };
    if (head.Restore === undefined) return { state: 'gone' };
    if (/ongoing-request="true"/.test(head.Restore)) return { state: 'pending', expectedAt: null };
    const expiry = /expiry-date="([^"]+)"/.exec(head.Restore)?.[1];
    return {
      state: 'ready',
      readyAt: context.dates.of(head),
      expiresAt: expiry === undefined ? null : new Date(expiry),
    };
  } catch (error) {
    if (error instanceof Error && httpStatus(error) === 404) return { state: 'gone' };
    throw translateError(error, { what: 'ask for the state of a retrieval', location, effect: null });
  }
}

export async function readRetrieval(
  context: S3Context,
  location: VaultLocation,
  jobId: string,
  range: ByteRange,
): Promise<Uint8Array> {
  const { key, versionId, offset } = jobOf(jobId);
  const first = offset + range.start;
  const last = offset + range.end - 1;
  try {
    const reply = await context.client.send(
      new GetObjectCommand({
        Bucket: location.name,
        Key: key,
        VersionId: versionId,
        Range: `bytes=${first}-${last}`,
        ChecksumMode: 'ENABLED',
      }),
    );
    if (reply.Body === undefined) throw new MoraineError('VAULT_REFUSED', 'S3 answered without a body.');
    const bytes = await reply.Body.transformToByteArray();
    if (bytes.byteLength !== range.end - range.start) {
      throw new MoraineError('VAULT_CHECKSUM', `S3 sent ${bytes.byteLength} bytes of ${range.end - range.start}.`);
    }
    return bytes;
  } catch (error) {
    if (isServiceError(error, 'InvalidObjectState')) {
      throw new MoraineError('RETRIEVAL_NOT_READY', 'The object is not restored yet, or not any more.', {
        cause: error,
        ids: { vault: location.name, job: jobId },
      });
    }
    throw translateError(error, { what: 'read a retrieval', location, effect: null });
  }
}

async function isReady(context: S3Context, location: VaultLocation, jobId: string): Promise<boolean> {
  return (await retrievalState(context, location, jobId)).state === 'ready';
}

const RANGE_MARK = '&bytes=';

function jobIdOf(vaultArchiveId: string, range: ByteRange | null): string {
  return range === null ? vaultArchiveId : `${vaultArchiveId}${RANGE_MARK}${range.start}-${range.end}`;
}

function jobOf(jobId: string): { readonly key: string; readonly versionId: string; readonly offset: number } {
  const at = jobId.lastIndexOf(RANGE_MARK);
  if (at < 0) return { ...objectOf(jobId), offset: 0 };
  return { ...objectOf(jobId.slice(0, at)), offset: Number.parseInt(jobId.slice(at + RANGE_MARK.length), 10) };
}
