/**
 * The folder of an export: `<database>/<collection>.bson` with its `.metadata.json` as mongodump writes them, beside them
 * JSON lines, and what came out of archives under `moraine-archives/<archive>/` in the same way. Everything is written
 * beside the folder and takes its name only when it is whole; one that was cut is begun anew.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, Namespace } from '../ids.ts';
import type { AttachmentLine, AttachmentSink, ExportFolder, ExportSink } from '../lifecycle/export-customer.ts';
import {
  ATTACHMENTS_FOLDER,
  ATTACHMENTS_INDEX,
  EXPORT_MANIFEST,
  EXPORT_SIGNATURE,
  type ExportFile,
  type ExportFormat,
} from '../lifecycle/export-manifest.ts';
import { extendedJson } from '../source/extended-json.ts';
import type { RawRecord } from '../source/port.ts';
import { pagesIn } from './bson-file.ts';
import { assertEmpty, dumpPath, writeAll } from './restore-folder.ts';

/** What the export holds is the customer's: nobody else on this machine reads it. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
/** Characters of JSON lines in one write. */
const LINES_AT_ONCE = 1024 * 1024;
const ARCHIVES_FOLDER = 'moraine-archives';

/** Throws RESTORE_TARGET_NOT_EMPTY before anything is written. `mark` tells this export's temporary folder from others'. */
export async function exportFolder(
  folder: string,
  formats: readonly ExportFormat[],
  mark: string,
): Promise<ExportFolder> {
  const directory = resolve(folder);
  await assertEmpty(directory);
  await assertCanBeNamed(directory);
  const temporary = `${directory}.partial-${mark}`;
  await mkdir(temporary, { recursive: true, mode: FOLDER_MODE });
  const sinks: { readonly archive: ArchiveId | null; readonly sink: { discard(): Promise<void> } }[] = [];
  const kept = <T extends { discard(): Promise<void> }>(archive: ArchiveId | null, sink: T): T => {
    sinks.push({ archive, sink });
    return sink;
  };
  return {
    formats,
    open: async (of) => kept(of.archive, new FolderSink(temporary, of, formats)),
    attachments: (archive) => kept(archive, new AttachmentFolder(temporary, attachmentsPath(archive))),
    discardArchive: async (archive) => {
      for (const { archive: of, sink } of sinks) if (of === archive) await sink.discard();
      await rm(join(temporary, ARCHIVES_FOLDER, archive), { recursive: true, force: true });
    },
    finish: async (manifest, signature) => {
      await writeWhole(join(temporary, EXPORT_SIGNATURE), signature);
      await writeWhole(join(temporary, EXPORT_MANIFEST), manifest);
      await assertEmpty(directory);
      await rename(temporary, directory);
    },
    discard: async () => {
      for (const { sink } of sinks) await sink.discard();
      await rm(temporary, { recursive: true, force: true });
    },
  };
}

/** Folders of exports to this place that were cut: nobody goes on with them. */
export async function cutExports(folder: string): Promise<readonly string[]> {
  const directory = resolve(folder);
  const names = await readdir(dirname(directory)).catch(() => []);
  const prefix = `${basename(directory)}.partial-`;
  return names.filter((name) => name.startsWith(prefix)).map((name) => join(dirname(directory), name));
}

/** A folder cannot be given the name of a mounted disk. */
async function assertCanBeNamed(directory: string): Promise<void> {
  if (!existsSync(directory) || !existsSync(dirname(directory))) return;
  const [itself, parent] = await Promise.all([stat(directory), stat(dirname(directory))]);
  if (itself.dev === parent.dev) return;
  throw new MoraineError('USAGE', `${directory} is a disk of its own.`, { hint: 'Name a new folder on that disk.' });
}

/** Without the ending. With `/`, as the manifest has it. */
function pathOf({ archive, namespace }: Part): string {
  const path = dumpPath(namespace).replace(/\.bson$/, '');
  return archive === null ? path : `${ARCHIVES_FOLDER}/${archive}/${path}`;
}

function attachmentsPath(archive: ArchiveId | null): string {
  return archive === null ? ATTACHMENTS_FOLDER : `${ARCHIVES_FOLDER}/${archive}/${ATTACHMENTS_FOLDER}`;
}

type Part = Parameters<ExportFolder['open']>[0];

class FolderSink implements ExportSink {
  readonly #folder: string;
  readonly #path: string;
  readonly #of: Part;
  readonly #formats: readonly ExportFormat[];
  #bson: HashedFile | null = null;
  #lines: HashedFile | null = null;
  #records = 0;

  constructor(folder: string, of: Part, formats: readonly ExportFormat[]) {
    this.#folder = folder;
    this.#path = pathOf(of);
    this.#of = of;
    this.#formats = formats;
  }

  async write(documents: readonly Uint8Array[]): Promise<void> {
    if (documents.length === 0) return;
    this.#bson ??= await HashedFile.create(this.#folder, `${this.#path}.bson`);
    await this.#bson.write(documents);
    this.#records += documents.length;
    if (!this.#formats.includes('jsonl')) return;
    this.#lines ??= await HashedFile.create(this.#folder, `${this.#path}.jsonl`);
    // As text a page of large documents is several times its size: never all of it at once.
    let lines: string[] = [];
    let length = 0;
    for (const raw of documents) {
      const line = `${extendedJson(raw)}\n`;
      lines.push(line);
      length += line.length;
      if (length < LINES_AT_ONCE) continue;
      await this.#lines.write([Buffer.from(lines.join(''), 'utf8')]);
      lines = [];
      length = 0;
    }
    if (lines.length > 0) await this.#lines.write([Buffer.from(lines.join(''), 'utf8')]);
  }

  async close(): Promise<readonly ExportFile[]> {
    if (this.#bson === null) return [];
    const bson = await this.#bson.close(this.#records);
    const lines = this.#lines === null ? [] : [await this.#lines.close(this.#records)];
    if (!this.#formats.includes('bson')) {
      // What came out of an archive is not looked at again.
      if (this.#of.archive !== null) await this.#bson.discard();
      return lines;
    }
    const metadata = await HashedFile.create(this.#folder, `${this.#path}.metadata.json`);
    await metadata.write([Buffer.from(metadataText(this.#of.namespace), 'utf8')]);
    return [bson, await metadata.close(0), ...lines];
  }

  async *readBack(): AsyncGenerator<readonly RawRecord[]> {
    const file = join(this.#folder, `${this.#path}.bson`);
    if (this.#bson === null) return;
    yield* pagesIn(createReadStream(file));
    // Written to be looked at again only.
    if (!this.#formats.includes('bson')) await rm(file);
  }

  async discard(): Promise<void> {
    for (const file of [this.#bson, this.#lines]) await file?.discard();
    this.#bson = null;
    this.#lines = null;
  }
}

/** Files by their number, and an index that has a line for each. */
class AttachmentFolder implements AttachmentSink {
  readonly #folder: string;
  readonly #path: string;
  #index: HashedFile | null = null;
  #files = 0;

  constructor(folder: string, path: string) {
    this.#folder = folder;
    this.#path = path;
  }

  async write(about: AttachmentLine, parts: AsyncIterable<Uint8Array>): Promise<{ readonly bytes: number }> {
    this.#index ??= await HashedFile.create(this.#folder, `${this.#path}/${ATTACHMENTS_INDEX}`);
    const file = await HashedFile.create(this.#folder, `${this.#path}/${String(this.#files).padStart(8, '0')}`);
    this.#files += 1;
    try {
      for await (const part of parts) await file.write([part]);
    } catch (error) {
      await file.discard();
      throw error;
    }
    const { path, bytes, sha256 } = await file.close(1);
    const line = JSON.stringify({ file: basename(path), bytes, sha256, ...about });
    await this.#index.write([Buffer.from(`${line}\n`, 'utf8')]);
    return { bytes };
  }

  async close(): Promise<readonly ExportFile[]> {
    return this.#index === null ? [] : [await this.#index.close(this.#files)];
  }

  async discard(): Promise<void> {
    await this.#index?.discard();
  }
}

/** A file whose SHA-256 is made as it is written. */
class HashedFile {
  readonly #folder: string;
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #hash: Hash = createHash('sha256');
  #bytes = 0;

  private constructor(folder: string, path: string, handle: FileHandle) {
    this.#folder = folder;
    this.#path = path;
    this.#handle = handle;
  }

  static async create(folder: string, path: string): Promise<HashedFile> {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true, mode: FOLDER_MODE });
    return new HashedFile(folder, path, await open(file, 'wx', FILE_MODE));
  }

  async write(chunks: readonly Uint8Array[]): Promise<void> {
    for (const chunk of chunks) {
      this.#hash.update(chunk);
      this.#bytes += chunk.length;
    }
    await writeAll(this.#handle, chunks);
  }

  async close(records: number): Promise<ExportFile> {
    await this.#handle.sync();
    await this.#handle.close();
    return { path: this.#path, bytes: this.#bytes, sha256: this.#hash.digest('hex'), records };
  }

  async discard(): Promise<void> {
    // It may be closed already.
    await this.#handle.close().catch(() => undefined);
    await rm(join(this.#folder, this.#path), { force: true });
  }
}

/**
 * What mongorestore reads beside the documents. No index but that of `_id`: those of the source are its operator's, and
 * one that expires records would delete what was just restored.
 */
function metadataText(namespace: Namespace): string {
  const collectionName = namespace.slice(namespace.indexOf('.') + 1);
  const indexes = [{ v: { $numberInt: '2' }, key: { _id: { $numberInt: '1' } }, name: '_id_' }];
  return JSON.stringify({ options: {}, indexes, collectionName, type: 'collection' });
}

async function writeWhole(file: string, bytes: Uint8Array): Promise<void> {
  await writeFile(file, bytes, { flag: 'wx', mode: FILE_MODE, flush: true });
}
