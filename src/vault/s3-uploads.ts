/**
 * Uploads to S3. Every write says `If-None-Match: *`: a key names an attempt, so what is already there can only be our
 * own earlier call, and it is adopted when attempt, size and checksum say so.
 */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListPartsCommand,
  type ListPartsCommandOutput,
  type Part,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { treeHash as treeHashOf } from '../archive/tree-hash.ts';
import { MoraineError } from '../errors.ts';
import { intentMetadata, objectKey, readObjectKey } from './intent.ts';
import type { OpenUpload, StoredArchive, UploadHandle, UploadIntent, VaultLocation } from './port.ts';
import { archiveIdOf, classAt, type S3Context, versionOf } from './s3-context.ts';
import { compositeSha256, partOf, type SentParts, sha256Base64, treeHashOfParts } from './s3-part-list.ts';
import { isServiceError, translateError, translating } from './translate-error.ts';
import { aborting, beginning, completing, listingUploads, sendingPart, storing } from './upload-calls.ts';

interface Totals {
  readonly bytes: number;
  readonly treeHash: string;
}

/** The key is there already. */
const EXISTS = 'PreconditionFailed';

export async function storeWhole(
  context: S3Context,
  location: VaultLocation,
  intent: UploadIntent,
  bytes: Uint8Array,
  treeHash: string,
): Promise<StoredArchive> {
  if (treeHashOf(bytes) !== treeHash) throw wrongChecksum(location, intent, 'The bytes are not those of the tree hash');
  const Key = objectKey(location.prefix, intent);
  const ChecksumSHA256 = sha256Base64(bytes);
  const total = { bytes: bytes.byteLength, treeHash };
  try {
    const reply = await context.client.send(
      new PutObjectCommand({
        Bucket: location.name,
        Key,
        Body: bytes,
        ChecksumSHA256,
        IfNoneMatch: '*',
        ...objectSettings(context, location, intent),
      }),
    );
    if (reply.ChecksumSHA256 !== ChecksumSHA256)
      throw wrongChecksum(location, intent, 'S3 acknowledged another checksum');
    assertEncrypted(context, location, reply);
    return {
      ...total,
      vaultArchiveId: archiveIdOf(versionOf(Key, reply.VersionId)),
      at: context.dates.latestOf(reply),
    };
  } catch (error) {
    if (isServiceError(error, EXISTS)) return adopt(context, location, intent, { ...total, sha256: ChecksumSHA256 });
    throw translateError(error, storing(intent, location));
  }
}

export async function beginUpload(
  context: S3Context,
  location: VaultLocation,
  intent: UploadIntent,
  partBytes: number,
): Promise<UploadHandle> {
  const Key = objectKey(location.prefix, intent);
  const reply = await translating(beginning(intent, location), () =>
    context.client.send(
      new CreateMultipartUploadCommand({
        Bucket: location.name,
        Key,
        ChecksumAlgorithm: 'SHA256',
        ChecksumType: 'COMPOSITE',
        ...objectSettings(context, location, intent),
      }),
    ),
  );
  if (reply.UploadId === undefined) throw new MoraineError('VAULT_REFUSED', 'S3 answered without an upload id.');
  assertEncrypted(context, location, reply);
  return { uploadId: uploadIdOf(Key, reply.UploadId), partBytes, intent };
}

export async function sendPart(
  context: S3Context,
  sent: SentParts,
  location: VaultLocation,
  upload: UploadHandle,
  index: number,
  bytes: Uint8Array,
): Promise<void> {
  const part = partOf(bytes);
  const reply = await translating(sendingPart(upload.intent, index, location), () =>
    context.client.send(
      new UploadPartCommand({
        Bucket: location.name,
        ...keyAndUpload(upload.uploadId),
        PartNumber: index + 1,
        Body: bytes,
        ChecksumSHA256: part.sha256,
      }),
    ),
  );
  if (reply.ChecksumSHA256 !== part.sha256) {
    throw wrongChecksum(location, upload.intent, `S3 acknowledged another checksum for part ${index}`);
  }
  sent.add(upload.uploadId, index, part);
}

export async function completeUpload(
  context: S3Context,
  sent: SentParts,
  location: VaultLocation,
  upload: UploadHandle,
  total: Totals,
): Promise<StoredArchive> {
  const { intent } = upload;
  const count = Math.ceil(total.bytes / upload.partBytes);
  const ours = sent.all(upload.uploadId, count);
  if (ours !== null && treeHashOfParts(ours) !== total.treeHash) {
    throw wrongChecksum(location, intent, 'The parts that were sent are not those of the tree hash');
  }
  const ourSha256 = ours === null ? null : compositeSha256(ours.map((part) => part.sha256));
  const { Key, UploadId } = keyAndUpload(upload.uploadId);
  try {
    const parts = await listParts(context, location, { Key, UploadId });
    assertWhole(parts, upload, total, location);
    const sha256 = compositeSha256(parts.map((part) => part.ChecksumSHA256 ?? ''));
    if (ourSha256 !== null && sha256 !== ourSha256)
      throw wrongChecksum(location, intent, 'S3 has other parts than we sent');
    const reply = await context.client.send(
      new CompleteMultipartUploadCommand({
        Bucket: location.name,
        Key,
        UploadId,
        IfNoneMatch: '*',
        ChecksumType: 'COMPOSITE',
        MpuObjectSize: total.bytes,
        MultipartUpload: {
          Parts: parts.map(({ PartNumber, ETag, ChecksumSHA256 }) => ({ PartNumber, ETag, ChecksumSHA256 })),
        },
      }),
    );
    // Some answers of encrypted buckets leave it out: what is stored says it.
    if (reply.ChecksumSHA256 === undefined) return await adopt(context, location, intent, { ...total, sha256 });
    if (reply.ChecksumSHA256 !== sha256) throw wrongChecksum(location, intent, 'S3 acknowledged another checksum');
    assertEncrypted(context, location, reply);
    return {
      ...total,
      vaultArchiveId: archiveIdOf(versionOf(Key, reply.VersionId)),
      at: context.dates.latestOf(reply),
    };
  } catch (error) {
    // Completed before, and the reply was lost: the key names this attempt, so the object can only be its own.
    if (isServiceError(error, EXISTS, 'NoSuchUpload')) {
      return adopt(context, location, intent, { ...total, sha256: ourSha256 });
    }
    throw translateError(error, completing(intent, location));
  }
}

export async function abortUpload(context: S3Context, location: VaultLocation, uploadId: string): Promise<void> {
  try {
    await context.client.send(new AbortMultipartUploadCommand({ Bucket: location.name, ...keyAndUpload(uploadId) }));
  } catch (error) {
    // Gone is what we want: aborted before, or completed.
    if (isServiceError(error, 'NoSuchUpload')) return;
    throw translateError(error, aborting(location));
  }
}

export async function* listUploads(context: S3Context, location: VaultLocation): AsyncGenerator<OpenUpload> {
  let page: ListMultipartUploadsCommandOutput | null = null;
  do {
    page = await listUploadPage(context, location, page);
    for (const { Key = '', UploadId = '', Initiated } of page.Uploads ?? []) {
      yield {
        uploadId: uploadIdOf(Key, UploadId),
        intent: readObjectKey(location.prefix, Key),
        createdAt: Initiated ?? context.dates.of(page),
      };
    }
  } while (page.IsTruncated === true);
}

function listUploadPage(
  context: S3Context,
  location: VaultLocation,
  after: ListMultipartUploadsCommandOutput | null,
): Promise<ListMultipartUploadsCommandOutput> {
  return translating(listingUploads(location), () =>
    context.client.send(
      new ListMultipartUploadsCommand({
        Bucket: location.name,
        Prefix: location.prefix,
        ...(after?.NextKeyMarker === undefined ? {} : { KeyMarker: after.NextKeyMarker }),
        ...(after?.NextUploadIdMarker === undefined ? {} : { UploadIdMarker: after.NextUploadIdMarker }),
      }),
    ),
  );
}

/** The object that is under the intent's key already: ours when attempt, size and checksum are. */
async function adopt(
  context: S3Context,
  location: VaultLocation,
  intent: UploadIntent,
  expected: Totals & { readonly sha256: string | null },
): Promise<StoredArchive> {
  const Key = objectKey(location.prefix, intent);
  const head = await translating({ what: `look for archive ${intent.archive}`, location, effect: null }, () =>
    context.client.send(new HeadObjectCommand({ Bucket: location.name, Key, ChecksumMode: 'ENABLED' })),
  );
  const isOurs =
    head.Metadata?.['moraine-attempt'] === intent.attempt &&
    head.ContentLength === expected.bytes &&
    (expected.sha256 === null || head.ChecksumSHA256 === expected.sha256);
  if (!isOurs) throw wrongChecksum(location, intent, 'The key holds another object');
  assertEncrypted(context, location, head);
  return {
    vaultArchiveId: archiveIdOf(versionOf(Key, head.VersionId)),
    treeHash: expected.treeHash,
    bytes: expected.bytes,
    at: context.dates.latestOf(head),
  };
}

async function listParts(
  context: S3Context,
  location: VaultLocation,
  upload: { readonly Key: string; readonly UploadId: string },
): Promise<Part[]> {
  const parts: Part[] = [];
  // Not the SDK's paginator: it asks on while there is a marker, and the last page has one too.
  for (let marker: string | undefined, isMore = true; isMore; ) {
    const page: ListPartsCommandOutput = await context.client.send(
      new ListPartsCommand({ Bucket: location.name, ...upload, PartNumberMarker: marker }),
    );
    parts.push(...(page.Parts ?? []));
    marker = page.NextPartNumberMarker;
    isMore = page.IsTruncated === true;
  }
  return parts;
}

/** S3 completes whatever parts it has, also with one missing in the middle: that they are the file is for us to see. */
function assertWhole(parts: readonly Part[], upload: UploadHandle, total: Totals, location: VaultLocation): void {
  const isWhole = parts.every((part, index) => {
    const bytes = Math.min(upload.partBytes, total.bytes - index * upload.partBytes);
    return part.PartNumber === index + 1 && part.Size === bytes && part.ChecksumSHA256 !== undefined;
  });
  const count = Math.ceil(total.bytes / upload.partBytes);
  if (!isWhole || parts.length !== count)
    throw wrongChecksum(location, upload.intent, 'A part is missing or has another size');
}

/** Which keys S3 encrypts with is said with each upload, whatever the bucket's default is. */
function objectSettings(context: S3Context, location: VaultLocation, intent: UploadIntent) {
  const { kmsKey } = context.settings;
  return {
    StorageClass: classAt(context, location),
    Metadata: intentMetadata(intent),
    ...(kmsKey === null
      ? { ServerSideEncryption: 'AES256' as const }
      : { ServerSideEncryption: 'aws:kms' as const, SSEKMSKeyId: kmsKey, BucketKeyEnabled: true }),
  };
}

/** An endpoint, or a bucket policy, that did otherwise than it was told. */
function assertEncrypted(
  { settings: { kmsKey } }: S3Context,
  location: VaultLocation,
  reply: { readonly ServerSideEncryption?: string | undefined; readonly SSEKMSKeyId?: string | undefined },
): void {
  const isAsTold =
    kmsKey === null
      ? reply.ServerSideEncryption === 'AES256'
      : reply.ServerSideEncryption === 'aws:kms' && reply.SSEKMSKeyId === kmsKey;
  if (isAsTold) return;
  throw new MoraineError('VAULT_REFUSED', `S3 encrypted otherwise than it was told in bucket ${location.name}.`, {
    changed: 'An object is stored; the attempt is abandoned and nothing was deleted.',
    hint: 'Compare `encryption` of the vault in moraine.yaml with the bucket and its policy.',
    ids: { vault: location.name },
  });
}

/** An upload is found by key and id together. */
const UPLOAD_MARK = '?uploadId=';

function uploadIdOf(key: string, id: string): string {
  return `${key}${UPLOAD_MARK}${id}`;
}

function keyAndUpload(uploadId: string): { readonly Key: string; readonly UploadId: string } {
  const at = uploadId.indexOf(UPLOAD_MARK);
  if (at < 0) throw new MoraineError('INTERNAL', 'An upload id of S3 has no key in it.');
  return { Key: uploadId.slice(0, at), UploadId: uploadId.slice(at + UPLOAD_MARK.length) };
}

function wrongChecksum(location: VaultLocation, intent: UploadIntent, why: string): MoraineError {
  return new MoraineError('VAULT_CHECKSUM', `${why} (archive ${intent.archive} in bucket ${location.name}).`, {
    ids: { archive: intent.archive, attempt: intent.attempt, vault: location.name },
  });
}
