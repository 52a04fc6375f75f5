import { rm } from 'node:fs/promises';
import { archiveCreated, contentLength } from './archive-operations.ts';
import { storeBody } from './body.ts';
import { type Call, optionalHeader, pathParameter, type Reply, requiredHeader, vaultOf } from './call.ts';
import { checksumMismatch, invalidParameter } from './errors.ts';
import { ACCOUNT, newArchiveId, newUploadId } from './identifiers.ts';
import { checkDescription, checkPartSize, MOST_PARTS, page, readCount } from './limits.ts';
import type { ArchiveRecord, PartRecord } from './records.ts';
import { splitLeaves, treeHashOf } from './tree-hash.ts';
import type { Upload } from './vault.ts';

/** Archives in parts. */

const ITEMS_A_PAGE = 50;
const CONTENT_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/\*$/;

export async function initiateMultipartUpload(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const partBytes = checkPartSize(optionalHeader(call, 'x-amz-part-size') ?? 'null');
  const description = checkDescription(optionalHeader(call, 'x-amz-archive-description') ?? '');
  const id = newUploadId();
  await vault.addUpload({ id, archiveId: newArchiveId(), description, partBytes });
  return {
    status: 201,
    headers: {
      location: `/${ACCOUNT}/vaults/${vault.record.name}/multipart-uploads/${id}`,
      'x-amz-multipart-upload-id': id,
    },
  };
}

export async function listMultipartUploads(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const open = [...vault.uploads.values()]
    .filter((upload) => vault.isOpen(upload))
    .sort((a, b) => a.record.createdAtMs - b.record.createdAtMs || (a.record.id < b.record.id ? -1 : 1));
  const { items, marker } = page(open, call.query, ITEMS_A_PAGE, (upload) => upload.record.id);
  return {
    status: 200,
    body: { Marker: marker, UploadsList: items.map((upload) => describe(upload, vault.arn)) },
  };
}

export async function uploadMultipartPart(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const uploadId = pathParameter(call, 'uploadId');
  const { partBytes } = vault.openUpload(uploadId).record;
  const expected = requiredHeader(call, 'x-amz-sha256-tree-hash');
  const start = checkRange(requiredHeader(call, 'content-range'), contentLength(call), partBytes);
  const { file, path } = vault.newBody();
  const stored = await storeBody(call.body, path, call.contentSha256);
  try {
    const treeHash = treeHashOf(stored.leaves);
    if (treeHash !== expected) throw checksumMismatch(expected, treeHash);
    const leaves = Buffer.concat(stored.leaves).toString('base64');
    await vault.addPart(uploadId, { start, bytes: stored.bytes, treeHash, leaves, file });
    return { status: 204, headers: { 'x-amz-sha256-tree-hash': treeHash } };
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

export async function completeMultipartUpload(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const uploadId = pathParameter(call, 'uploadId');
  const treeHash = requiredHeader(call, 'x-amz-sha256-tree-hash');
  const sizeText = requiredHeader(call, 'x-amz-archive-size');
  const bytes = readCount(sizeText);
  if (bytes === null) throw invalidParameter(`Invalid archive size: ${sizeText}`);
  const archive = await vault.completeUpload(uploadId, (upload) => assemble(upload, bytes, treeHash));
  return archiveCreated(vault.record.name, archive);
}

export async function listParts(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const upload = vault.openUpload(pathParameter(call, 'uploadId'));
  const { items, marker } = page(inOrder(upload), call.query, ITEMS_A_PAGE, (part) => String(part.start));
  return {
    status: 200,
    body: {
      ...describe(upload, vault.arn),
      Marker: marker,
      Parts: items.map((part) => ({ RangeInBytes: rangeOf(part), SHA256TreeHash: part.treeHash })),
    },
  };
}

export async function abortMultipartUpload(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  await vault.abortUpload(pathParameter(call, 'uploadId'));
  return { status: 204 };
}

/**
 * The parts as one archive. All but the last have the full size, nothing is missing in between, and size and tree hash
 * are those that the client expects. A part that was too short was accepted when it came: it shows here.
 */
function assemble(
  upload: Upload,
  expectedBytes: number,
  expectedTreeHash: string,
): Pick<ArchiveRecord, 'bytes' | 'treeHash' | 'leaves' | 'segments'> {
  const parts = inOrder(upload);
  let bytes = 0;
  for (const part of parts) {
    if (part.start !== bytes) throw invalidParameter(`Missing content range: ${bytes}-${part.start - 1}`);
    bytes += part.bytes;
  }
  if (bytes !== expectedBytes || bytes === 0) {
    throw invalidParameter(`Archive size mismatch: expected ${expectedBytes}, the uploaded parts have ${bytes} bytes`);
  }
  const leaves = Buffer.concat(parts.map((part) => Buffer.from(part.leaves, 'base64')));
  const treeHash = treeHashOf(splitLeaves(leaves));
  if (treeHash !== expectedTreeHash) throw checksumMismatch(expectedTreeHash, treeHash);
  const segments = parts.map((part) => ({ file: part.file, bytes: part.bytes }));
  return { bytes, treeHash, leaves: leaves.toString('base64'), segments };
}

/** Checks the range of a part and returns its first byte. */
function checkRange(range: string, length: number, partBytes: number): number {
  const match = CONTENT_RANGE.exec(range);
  if (match === null) throw invalidParameter(`Invalid Content-Range: ${range}`);
  const start = Number(match[1]);
  const end = Number(match[2]);
  if (end - start + 1 !== length) {
    throw invalidParameter(`Content-Range: ${range} is incompatible with Content-Length: ${length}`);
  }
  if (start % partBytes !== 0 || length > partBytes) {
    throw invalidParameter(`Content-Range: ${range} is incompatible with part size: ${partBytes}`);
  }
  if (start / partBytes >= MOST_PARTS) {
    throw invalidParameter(`Content-Range: ${range} is beyond the limit of ${MOST_PARTS} parts`);
  }
  return start;
}

const inOrder = (upload: Upload): PartRecord[] => [...upload.parts.values()].sort((a, b) => a.start - b.start);

const rangeOf = (part: PartRecord) => `${part.start}-${part.start + part.bytes - 1}`;

function describe({ record }: Upload, vaultArn: string): Record<string, unknown> {
  return {
    ArchiveDescription: record.description === '' ? null : record.description,
    CreationDate: new Date(record.createdAtMs).toISOString(),
    MultipartUploadId: record.id,
    PartSizeInBytes: record.partBytes,
    VaultARN: vaultArn,
  };
}
