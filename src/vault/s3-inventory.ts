/**
 * S3's inventory is a listing of all versions, for S3 lists at once what was written (it is strongly consistent since
 * 2020). Its date is the `Date` of the first page's reply: what was stored before it is listed, and what was deleted
 * before it is not.
 */
import {
  type DeleteMarkerEntry,
  HeadBucketCommand,
  HeadObjectCommand,
  type ObjectVersion as ListedVersion,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
} from '@aws-sdk/client-s3';
import pMap from 'p-map';
import { readMetadata, readObjectKey } from './intent.ts';
import type { Inventory, InventoryEntry, JobState, VaultLocation } from './port.ts';
import { archiveIdOf, type S3Context, wantsObjectLock } from './s3-context.ts';
import { httpStatus, translateError, translating } from './translate-error.ts';

/** The listing needs no job; its id carries nothing. */
const LISTING = 'listing';
/** A page has up to 1,000 versions, and each of ours needs a HEAD for its metadata. */
const HEADS_AT_ONCE = 16;

export function requestInventory(): Promise<string> {
  return Promise.resolve(LISTING);
}

export function inventoryState(context: S3Context, location: VaultLocation): Promise<JobState> {
  return translating({ what: 'look for the bucket', location, effect: null }, async () => {
    const reply = await context.client.send(new HeadBucketCommand({ Bucket: location.name }));
    return { state: 'ready', readyAt: context.dates.of(reply), expiresAt: null };
  });
}

export async function readInventory(context: S3Context, location: VaultLocation): Promise<Inventory> {
  const first = await listPage(context, location, null);
  return { inventoryDate: context.dates.of(first), entries: () => entriesFrom(context, location, first) };
}

async function* entriesFrom(
  context: S3Context,
  location: VaultLocation,
  first: ListObjectVersionsCommandOutput,
): AsyncGenerator<InventoryEntry> {
  let page = first;
  while (true) {
    const entries = await pMap(page.Versions ?? [], (version) => entryOf(context, location, version), {
      concurrency: HEADS_AT_ONCE,
    });
    for (const entry of entries) if (entry !== null) yield entry;
    for (const marker of page.DeleteMarkers ?? []) yield markerEntry(marker);
    if (page.IsTruncated !== true) return;
    page = await listPage(context, location, page);
  }
}

function listPage(context: S3Context, location: VaultLocation, after: ListObjectVersionsCommandOutput | null) {
  return translating({ what: 'list the bucket', location, effect: null }, () =>
    context.client.send(
      new ListObjectVersionsCommand({
        Bucket: location.name,
        Prefix: location.prefix,
        ...(after?.NextKeyMarker === undefined ? {} : { KeyMarker: after.NextKeyMarker }),
        ...(after?.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: after.NextVersionIdMarker }),
      }),
    ),
  );
}

/** Null for a version that was deleted while we looked at it. */
async function entryOf(
  context: S3Context,
  location: VaultLocation,
  version: ListedVersion,
): Promise<InventoryEntry | null> {
  const { Key: key = '', VersionId: versionId = '', Size: bytes = 0, LastModified: createdAt } = version;
  const entry = {
    vaultArchiveId: archiveIdOf({ key, versionId }),
    bytes,
    treeHash: null,
    createdAt: createdAt ?? new Date(0),
  };
  if (readObjectKey(location.prefix, key) === null) return { ...entry, intent: null, description: key };
  const found = await headOf(context, location, { key, versionId });
  return found === null ? null : { ...entry, ...found };
}

/** It hides the newest version from who names none. We name versions, so it keeps us from nothing; a person looks. */
function markerEntry({ Key: key = '', VersionId: versionId = '', LastModified: createdAt }: DeleteMarkerEntry) {
  const vaultArchiveId = archiveIdOf({ key, versionId });
  const nothing = { bytes: 0, treeHash: null, intent: null };
  return {
    ...nothing,
    vaultArchiveId,
    description: key,
    createdAt: createdAt ?? new Date(0),
    isDeleteMarker: true,
  } as const;
}

async function headOf(
  context: S3Context,
  location: VaultLocation,
  version: { readonly key: string; readonly versionId: string },
): Promise<Pick<InventoryEntry, 'intent' | 'description' | 'guard'> | null> {
  try {
    const head = await context.client.send(
      new HeadObjectCommand({ Bucket: location.name, Key: version.key, VersionId: version.versionId }),
    );
    const { Metadata, ObjectLockLegalHoldStatus: hold, ObjectLockRetainUntilDate: until } = head;
    return {
      intent: readMetadata(Metadata),
      description: Metadata?.['moraine-intent'] ?? version.key,
      ...(wantsObjectLock(context) ? { guard: { held: hold === 'ON', until: until ?? null } } : {}),
    };
  } catch (error) {
    if (error instanceof Error && httpStatus(error) === 404) return null;
    throw translateError(error, { what: 'read the metadata of an object', location, effect: null });
  }
}
