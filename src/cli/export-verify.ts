/** Whether a folder is the export that its manifest says: every file with its size and SHA-256, none missing, none added. Asks nobody. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import {
  decodeExportManifest,
  EXPORT_MANIFEST,
  EXPORT_SIGNATURE,
  type ExportFile,
  type ExportManifest,
  exportCorrupt,
} from '../lifecycle/export-manifest.ts';
import type { WrittenExport } from '../lifecycle/verified-export.ts';
import { pagesIn } from './bson-file.ts';

export interface ExportFinding {
  readonly path: string;
  readonly problem: 'missing' | 'changed' | 'not listed';
}

export interface ExportVerdict {
  readonly manifest: ExportManifest;
  /** As it stands in the file: what was signed. */
  readonly manifestBytes: Uint8Array;
  readonly manifestSha256: string;
  readonly findings: readonly ExportFinding[];
}

/** Reads every file once. Throws EXPORT_CORRUPT where there is no manifest to compare with. */
export async function verifyExport(folder: string, signal?: AbortSignal): Promise<ExportVerdict> {
  const directory = resolve(folder);
  const bytes = await readManifest(directory);
  const manifest = decodeExportManifest(bytes);
  const there = await filesBelow(directory);
  const findings: ExportFinding[] = [];
  const listed = new Set([EXPORT_MANIFEST, EXPORT_SIGNATURE]);
  if (!there.has(EXPORT_SIGNATURE)) findings.push({ path: EXPORT_SIGNATURE, problem: 'missing' });
  for (const file of manifest.files) {
    signal?.throwIfAborted();
    listed.add(file.path);
    // Only what the folder itself was seen to hold is opened, whatever a forged manifest names.
    if (!there.has(file.path)) findings.push({ path: file.path, problem: 'missing' });
    else if (!(await isAsListed(join(directory, file.path), file)))
      findings.push({ path: file.path, problem: 'changed' });
  }
  for (const path of there) if (!listed.has(path)) findings.push({ path, problem: 'not listed' });
  const manifestSha256 = createHash('sha256').update(bytes).digest('hex');
  return { manifest, manifestBytes: bytes, manifestSha256, findings };
}

/** The folder as the lifecycle takes it. */
export function writtenExport(folder: string, signal?: AbortSignal): WrittenExport {
  const directory = resolve(folder);
  let files: readonly ExportFile[] = [];
  return {
    verify: async () => {
      const verdict = await verifyExport(directory, signal);
      files = verdict.manifest.files;
      const isSigned = !verdict.findings.some(({ path }) => path === EXPORT_SIGNATURE);
      return {
        ...verdict,
        signature: isSigned ? await readFile(join(directory, EXPORT_SIGNATURE)) : new Uint8Array(),
      };
    },
    documents: async function* (path) {
      const listed = files.find((file) => file.path === path);
      if (listed === undefined) throw exportCorrupt(path, 'its manifest does not list it');
      const hash = createHash('sha256');
      yield* pagesIn(hashing(createReadStream(join(directory, path)), hash));
      if (hash.digest('hex') !== listed.sha256) throw exportCorrupt(path, 'it was changed while it was read');
    },
  };
}

async function* hashing(chunks: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

async function readManifest(directory: string): Promise<Uint8Array> {
  try {
    return await readFile(join(directory, EXPORT_MANIFEST));
  } catch (cause) {
    throw exportCorrupt(EXPORT_MANIFEST, `it cannot be read in ${directory}`, cause);
  }
}

async function filesBelow(directory: string): Promise<ReadonlySet<string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  return new Set(files.map((entry) => relative(directory, join(entry.parentPath, entry.name)).split(sep).join('/')));
}

async function isAsListed(file: string, { bytes, sha256 }: ExportFile): Promise<boolean> {
  const hash = createHash('sha256');
  let seen = 0;
  for await (const chunk of createReadStream(file)) {
    hash.update(chunk);
    seen += chunk.length;
  }
  return seen === bytes && hash.digest('hex') === sha256;
}
