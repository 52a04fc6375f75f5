/** Uploads to Glacier. Every checksum that comes back is compared with ours: the SDK does not do that. */
import {
  AbortMultipartUploadCommand,
  type ArchiveCreationOutput,
  CompleteMultipartUploadCommand,
  InitiateMultipartUploadCommand,
  paginateListMultipartUploads,
  UploadArchiveCommand,
  UploadMultipartPartCommand,
} from '@aws-sdk/client-glacier';
import { treeHash as treeHashOf } from '../archive/tree-hash.ts';
import { MoraineError } from '../errors.ts';
import { addressOf, type GlacierContext } from './glacier-context.ts';
import { describeIntent, readIntent } from './intent.ts';
import type { OpenUpload, StoredArchive, UploadHandle, UploadIntent, VaultLocation } from './port.ts';
import { isServiceError, translateError, translating } from './translate-error.ts';
import { aborting, beginning, completing, listingUploads, sendingPart, storing } from './upload-calls.ts';

export async function storeWhole(
  context: GlacierContext,
  location: VaultLocation,
  intent: UploadIntent,
  bytes: Uint8Array,
  treeHash: string,
): Promise<StoredArchive> {
  const computed = treeHashOf(bytes);
  if (computed !== treeHash) throw wrongChecksum(location, intent, 'before it was sent', treeHash, computed);
  const reply = await translating(
    storing(intent, location),
    // Made twice, this call stores two archives: it is never retried.
    () =>
      context.once.send(
        new UploadArchiveCommand({
          ...addressOf(location),
          archiveDescription: describeIntent(intent),
          checksum: treeHash,
          body: bufferOf(bytes),
        }),
      ),
  );
  return stored(context, location, intent, reply, { bytes: bytes.byteLength, treeHash });
}

export async function beginUpload(
  context: GlacierContext,
  location: VaultLocation,
  intent: UploadIntent,
  partBytes: number,
): Promise<UploadHandle> {
  const reply = await translating(beginning(intent, location), () =>
    context.once.send(
      new InitiateMultipartUploadCommand({
        ...addressOf(location),
        archiveDescription: describeIntent(intent),
        partSize: String(partBytes),
      }),
    ),
  );
  return { uploadId: required(reply.uploadId, 'an upload id'), partBytes, intent };
}

/** A part that is sent again replaces the first, so the SDK may retry. */
export async function sendPart(
  context: GlacierContext,
  location: VaultLocation,
  upload: UploadHandle,
  index: number,
  bytes: Uint8Array,
): Promise<void> {
  const start = index * upload.partBytes;
  const checksum = treeHashOf(bytes);
  const reply = await translating(sendingPart(upload.intent, index, location), () =>
    context.client.send(
      new UploadMultipartPartCommand({
        ...addressOf(location),
        uploadId: upload.uploadId,
        range: `bytes ${start}-${start + bytes.byteLength - 1}/*`,
        checksum,
        body: bufferOf(bytes),
      }),
    ),
  );
  if (reply.checksum !== checksum) {
    throw wrongChecksum(location, upload.intent, `part ${index}`, checksum, String(reply.checksum));
  }
}

/** Completing again soon after returns the same archive id, so the SDK may retry and so may the caller. */
export async function completeUpload(
  context: GlacierContext,
  location: VaultLocation,
  upload: UploadHandle,
  total: { readonly bytes: number; readonly treeHash: string },
): Promise<StoredArchive> {
  const { intent } = upload;
  try {
    const reply = await context.client.send(
      new CompleteMultipartUploadCommand({
        ...addressOf(location),
        uploadId: upload.uploadId,
        archiveSize: String(total.bytes),
        checksum: total.treeHash,
      }),
    );
    return stored(context, location, intent, reply, total);
  } catch (error) {
    // The call has no other parameters: the service does not agree with size or tree hash, or a part is missing.
    if (isServiceError(error, 'InvalidParameterValueException')) {
      throw new MoraineError(
        'VAULT_CHECKSUM',
        `The parts of archive ${intent.archive} are not the file: ${error.message}`,
        {
          cause: error,
          ids: { archive: intent.archive, attempt: intent.attempt },
        },
      );
    }
    throw translateError(error, completing(intent, location));
  }
}

export async function abortUpload(context: GlacierContext, location: VaultLocation, uploadId: string): Promise<void> {
  try {
    await context.client.send(new AbortMultipartUploadCommand({ ...addressOf(location), uploadId }));
  } catch (error) {
    // Gone is what we want: aborted before, completed, or ended by the service after a day.
    if (isServiceError(error, 'ResourceNotFoundException')) return;
    throw translateError(error, aborting(location));
  }
}

export async function* listUploads(context: GlacierContext, location: VaultLocation): AsyncGenerator<OpenUpload> {
  const pages = paginateListMultipartUploads({ client: context.client }, addressOf(location));
  try {
    for await (const page of pages) {
      for (const upload of page.UploadsList ?? []) {
        yield {
          uploadId: required(upload.MultipartUploadId, 'an upload id'),
          intent: readIntent(upload.ArchiveDescription ?? ''),
          createdAt: new Date(required(upload.CreationDate, 'a creation date')),
        };
      }
    }
  } catch (error) {
    throw translateError(error, listingUploads(location));
  }
}

function stored(
  context: GlacierContext,
  location: VaultLocation,
  intent: UploadIntent,
  reply: ArchiveCreationOutput,
  total: { readonly bytes: number; readonly treeHash: string },
): StoredArchive {
  if (reply.checksum !== total.treeHash) {
    throw wrongChecksum(location, intent, 'the stored file', total.treeHash, String(reply.checksum));
  }
  return {
    vaultArchiveId: required(reply.archiveId, 'an archive id'),
    treeHash: total.treeHash,
    bytes: total.bytes,
    at: context.dates.latestOf(reply),
  };
}

/** The SDK retries Buffers only; this one shares the memory. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function wrongChecksum(location: VaultLocation, intent: UploadIntent, what: string, ours: string, theirs: string) {
  return new MoraineError(
    'VAULT_CHECKSUM',
    `Archive ${intent.archive} in vault ${location.name}: the checksum of ${what} is ${theirs}, not ${ours}.`,
    { ids: { archive: intent.archive, attempt: intent.attempt, vault: location.name } },
  );
}

export function required(value: string | undefined, what: string): string {
  if (value === undefined || value === '')
    throw new MoraineError('VAULT_REFUSED', `The service answered without ${what}.`);
  return value;
}
