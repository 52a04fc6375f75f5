/**
 * Deleting by version, so that nothing stays behind a delete marker. The key names one attempt of one archive: whatever
 * else lies under it (another version, a marker) is of that attempt, and goes too.
 *
 * The order: the others first, the archive's own version last. A lock on any of them stops it while the archive is whole.
 * Then a listing shows that neither version nor marker is left.
 */
import {
  DeleteObjectCommand,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
} from '@aws-sdk/client-s3';
import { MoraineError } from '../errors.ts';
import { requestIdOf } from './aws-client.ts';
import type { AcceptedDelete, VaultLocation } from './port.ts';
import { type ObjectVersion, objectOf, type S3Context } from './s3-context.ts';
import { deleting, translating } from './translate-error.ts';

/** @param assertGood Looks at the proof again, before each single request. */
export async function deleteVersions(
  context: S3Context,
  location: VaultLocation,
  vaultArchiveId: string,
  what: string,
  assertGood: () => void,
): Promise<AcceptedDelete> {
  const own = objectOf(vaultArchiveId);
  for (const other of await versionsOf(context, location, own.key)) {
    if (other.versionId === own.versionId) continue;
    assertGood();
    await deleteVersion(context, location, other, what);
  }
  assertGood();
  const accepted = await deleteVersion(context, location, own, what);
  const left = await versionsOf(context, location, own.key);
  if (left.length === 0) return accepted;
  throw new MoraineError('VAULT_OUTCOME_UNKNOWN', `Versions of ${what} came while it was deleted.`, {
    changed: `The version that the ledger knows of ${what} is deleted.`,
    ids: { vault: location.name },
  });
}

/** A version that is gone already is answered with 204 too. */
async function deleteVersion(
  context: S3Context,
  location: VaultLocation,
  { key, versionId }: ObjectVersion,
  what: string,
): Promise<AcceptedDelete> {
  const reply = await deleting(
    what,
    { location, effect: `The delete of ${what} may have happened.` },
    { code: 'AccessDenied', by: 'Object Lock or the access rights' },
    () => context.once.send(new DeleteObjectCommand({ Bucket: location.name, Key: key, VersionId: versionId })),
  );
  return { at: context.dates.latestOf(reply), ...requestIdOf(reply) };
}

/** Versions and markers under exactly this key. */
async function versionsOf(context: S3Context, location: VaultLocation, key: string): Promise<readonly ObjectVersion[]> {
  const found: ObjectVersion[] = [];
  let page: ListObjectVersionsCommandOutput | null = null;
  do {
    page = await listPage(context, location, key, page);
    for (const { Key, VersionId = '' } of [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])])
      if (Key === key) found.push({ key, versionId: VersionId });
  } while (page.IsTruncated === true);
  return found;
}

function listPage(
  { client }: S3Context,
  location: VaultLocation,
  key: string,
  after: ListObjectVersionsCommandOutput | null,
): Promise<ListObjectVersionsCommandOutput> {
  return translating({ what: 'list the versions of an object', location, effect: null }, () =>
    client.send(
      new ListObjectVersionsCommand({
        Bucket: location.name,
        Prefix: key,
        ...(after?.NextKeyMarker === undefined ? {} : { KeyMarker: after.NextKeyMarker }),
        ...(after?.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: after.NextVersionIdMarker }),
      }),
    ),
  );
}
