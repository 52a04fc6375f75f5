import { rm } from 'node:fs/promises';
import { storeBody } from './body.ts';
import { type Call, optionalHeader, pathParameter, type Reply, requiredHeader, vaultOf } from './call.ts';
import { archiveOfAnotherVault, checksumMismatch, invalidParameter, missingParameter } from './errors.ts';
import { ACCOUNT, newArchiveId } from './identifiers.ts';
import { checkDescription, LARGEST_SINGLE_UPLOAD_BYTES, readCount } from './limits.ts';
import type { ArchiveRecord } from './records.ts';
import { treeHashOf } from './tree-hash.ts';
import type { Vault } from './vault.ts';

/** Archives in a single request. */

export async function uploadArchive(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const description = checkDescription(optionalHeader(call, 'x-amz-archive-description') ?? '');
  const expected = requiredHeader(call, 'x-amz-sha256-tree-hash');
  const bytes = contentLength(call);
  if (bytes > LARGEST_SINGLE_UPLOAD_BYTES) {
    throw invalidParameter(
      `Invalid Content-Length: ${bytes}. At most ${LARGEST_SINGLE_UPLOAD_BYTES} bytes are allowed.`,
    );
  }
  const { file, path } = vault.newBody();
  const stored = await storeBody(call.body, path, call.contentSha256);
  try {
    const treeHash = treeHashOf(stored.leaves);
    if (treeHash !== expected) throw checksumMismatch(expected, treeHash);
    const archive = await vault.addArchive({
      id: newArchiveId(),
      description,
      bytes: stored.bytes,
      treeHash,
      leaves: Buffer.concat(stored.leaves).toString('base64'),
      segments: [{ file, bytes: stored.bytes }],
    });
    return archiveCreated(vault.record.name, archive);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

export async function deleteArchive(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const id = pathParameter(call, 'archiveId');
  await checkVaultOfArchive(call, vault, id);
  await vault.deleteArchive(id);
  return { status: 204 };
}

/** An id that another vault of the region gave out is another mistake than one that nobody did. */
export async function checkVaultOfArchive(call: Call, vault: Vault, archiveId: string): Promise<void> {
  if (vault.archives.has(archiveId)) return;
  if (await call.vaults.know(call.region, archiveId)) throw archiveOfAnotherVault(vault.arn);
}

export function archiveCreated(vaultName: string, archive: ArchiveRecord): Reply {
  return {
    status: 201,
    headers: {
      location: `/${ACCOUNT}/vaults/${vaultName}/archives/${archive.id}`,
      'x-amz-archive-id': archive.id,
      'x-amz-sha256-tree-hash': archive.treeHash,
    },
  };
}

/** The length that the client declares; a body of zero bytes is not allowed. */
export function contentLength(call: Call): number {
  // Of a body in chunks the length on the wire says nothing: it counts the chunks' headers too.
  const text = optionalHeader(call, 'x-amz-decoded-content-length') ?? optionalHeader(call, 'content-length');
  if (text === undefined) throw missingParameter('Content-Length');
  const bytes = readCount(text);
  if (bytes === null || bytes < 1) throw invalidParameter(`Invalid Content-Length: ${text}`);
  return bytes;
}
