/** Whether a folder is the export that its manifest says: every file with its size and SHA-256, none missing, none added. Asks nobody. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import {
  decodeAttachmentLine,
  decodeExportManifest,
  EXPORT_MANIFEST,
  EXPORT_SIGNATURE,
  type ExportFile,
  type ExportManifest,
  exportCorrupt,
  isAttachmentsIndex,
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
    const problem = await problemOf(directory, there, file);
    if (problem !== null) findings.push({ path: file.path, problem });
    else if (isAttachmentsIndex(file.path)) {
      for await (const attachment of attachmentsIn(directory, file.path)) {
        signal?.throwIfAborted();
        listed.add(attachment.path);
        const wrong = await problemOf(directory, there, attachment);
        if (wrong !== null) findings.push({ path: attachment.path, problem: wrong });
      }
    }
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
    attachments: async function* (path) {
      const listed = files.find((file) => file.path === path);
      if (listed === undefined) throw exportCorrupt(path, 'its manifest does not list it');
      const hash = createHash('sha256');
      const lines = createInterface({
        input: Readable.from(hashing(createReadStream(join(directory, path)), hash)),
        crlfDelay: Number.POSITIVE_INFINITY,
      });
      for await (const line of lines) yield decodeAttachmentLine(path, line);
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

/** Only what the folder itself was seen to hold is opened, whatever a forged manifest names. */
async function problemOf(
  directory: string,
  there: ReadonlySet<string>,
  file: Pick<ExportFile, 'path' | 'bytes' | 'sha256'>,
): Promise<'missing' | 'changed' | null> {
  if (!there.has(file.path)) return 'missing';
  return (await isAsListed(join(directory, file.path), file)) ? null : 'changed';
}

/** The files that an index stands for. */
async function* attachmentsIn(
  directory: string,
  index: string,
): AsyncGenerator<Pick<ExportFile, 'path' | 'bytes' | 'sha256'>> {
  const lines = createInterface({
    input: createReadStream(join(directory, index)),
    crlfDelay: Number.POSITIVE_INFINITY,
  });
  for await (const line of lines) {
    const { file, bytes, sha256 } = decodeAttachmentLine(index, line);
    yield { path: `${dirname(index)}/${file}`, bytes, sha256 };
  }
}

async function filesBelow(directory: string): Promise<ReadonlySet<string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  return new Set(files.map((entry) => relative(directory, join(entry.parentPath, entry.name)).split(sep).join('/')));
}

async function isAsListed(file: string, { bytes, sha256 }: Pick<ExportFile, 'bytes' | 'sha256'>): Promise<boolean> {
  const hash = createHash('sha256');
  let seen = 0;
  for await (const chunk of createReadStream(file)) {
    hash.update(chunk);
    seen += chunk.length;
  }
  return seen === bytes && hash.digest('hex') === sha256;
}
