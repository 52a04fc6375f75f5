/**
 * Restore into a folder that mongorestore and bsondump read: `DIR/<database>/<collection>.bson` with its
 * `<collection>.metadata.json`, as mongodump lays them out, also for children; attachments as
 * `DIR/attachments/<archive>/00000000`, and what each of them was as a line of `DIR/attachments.jsonl`. Everything is written
 * beside DIR and takes its name only when all of it is whole, so a folder of that name never holds half a restore; what a
 * killed one left beside it goes with the next.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename as renameFolder, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { EJSON } from 'bson';
import type { AttachmentEntry } from '../archive/attachment-index.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, Namespace } from '../ids.ts';
import { type ArchiveDocument, collectionOfArchive } from '../ledger/archive-document.ts';
import type { RestoreTarget } from '../lifecycle/restore.ts';
import type { CollectionFacts } from '../source/collection-facts.ts';
import type { RenameNamespace } from './rename-namespaces.ts';

export interface RestoreFolder {
  /** Of one archive after the other. It is finished and discarded with the folder. */
  target(archive: ArchiveDocument): Promise<RestoreTarget>;
  /** The file with the records of an archive, below the folder's own name. */
  fileOf(archive: ArchiveDocument): string;
  finish(): Promise<void>;
  discard(): Promise<void>;
}

export interface FolderOptions {
  readonly rename?: RenameNamespace;
  /** Options and indexes of the collection where the records came from; null: nothing is known of it. */
  readonly factsOf: (namespace: Namespace) => Promise<CollectionFacts | null>;
}

/** Throws RESTORE_TARGET_NOT_EMPTY before anything is read or written. */
export async function openRestoreFolder(
  folder: string,
  { rename = (namespace) => namespace, factsOf }: FolderOptions,
): Promise<RestoreFolder> {
  const directory = resolve(folder);
  await assertEmpty(directory);
  await removeLeftBehind(directory);
  const temporary = `${directory}${PARTIAL}${hostname()}-${process.pid}`;
  const handles = new Map<string, FileHandle>();
  const handleOf = async (path: string) => {
    const known = handles.get(path);
    if (known !== undefined) return known;
    const file = join(temporary, path);
    await mkdir(dirname(file), { recursive: true });
    const handle = await open(file, 'wx');
    handles.set(path, handle);
    return handle;
  };
  const collectionFile = async (collection: Namespace) => {
    const renamed = rename(collection);
    const path = dumpPath(renamed);
    if (!handles.has(path)) {
      const metadata = await handleOf(`${path.slice(0, -'.bson'.length)}.metadata.json`);
      await writeAll(metadata, [metadataOf(renamed, await factsOf(collection))]);
    }
    return await handleOf(path);
  };
  const writeTo = async (collection: Namespace, records: readonly Uint8Array[]) => {
    await writeAll(await collectionFile(collection), records);
    return { inserted: records.length, existing: 0 };
  };
  const closeAll = async () => {
    for (const [path, handle] of handles) {
      await handle.sync();
      await handle.close();
      handles.delete(path);
    }
  };
  const writeAttachment = async (
    archive: ArchiveId,
    entry: AttachmentEntry,
    parts: AsyncIterable<Uint8Array>,
  ): Promise<'inserted'> => {
    const name = join('attachments', archive, String(entry.ordinal).padStart(8, '0'));
    await mkdir(join(temporary, dirname(name)), { recursive: true });
    const file = await open(join(temporary, name), 'wx');
    try {
      for await (const part of parts) await writeAll(file, [part]);
      await file.sync();
    } finally {
      await file.close();
    }
    const line = JSON.stringify({ archive, ...lineOf(entry, name) });
    await writeAll(await handleOf('attachments.jsonl'), [Buffer.from(`${line}\n`)]);
    return 'inserted';
  };
  return {
    target: async (archive) => {
      const namespace = collectionOfArchive(archive);
      // Also of an archive whose copies are all void there is a file.
      await collectionFile(namespace);
      return {
        write: (records) => writeTo(namespace, records),
        unit: { write: writeTo, attachment: (entry, parts) => writeAttachment(archive._id, entry, parts) },
        finish: async () => undefined,
        discard: async () => undefined,
      };
    },
    fileOf: (archive) => dumpPath(rename(collectionOfArchive(archive))),
    finish: async () => {
      await closeAll();
      await assertEmpty(directory);
      await renameFolder(temporary, directory);
    },
    discard: async () => {
      // It may be closed already, when the renaming failed.
      await closeAll().catch(() => undefined);
      await rm(temporary, { recursive: true, force: true });
    },
  };
}

const PARTIAL = '.partial-';

/** Folders of restores that were killed on this machine: whole records of people, which nobody would find. */
async function removeLeftBehind(directory: string): Promise<void> {
  const prefix = `${basename(directory)}${PARTIAL}${hostname()}-`;
  const names = await readdir(dirname(directory)).catch(() => []);
  for (const name of names) {
    const process_ = Number(name.slice(prefix.length));
    if (
      !name.startsWith(prefix) ||
      !Number.isSafeInteger(process_) ||
      (process_ !== process.pid && isAlive(process_))
    ) {
      continue;
    }
    await rm(join(dirname(directory), name), { recursive: true, force: true });
  }
}

function isAlive(process_: number): boolean {
  try {
    return process.kill(process_, 0);
  } catch (error) {
    // Somebody else's process is alive too.
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

/** As mongodump writes it: canonical Extended JSON. Without facts the index that every collection has. */
function metadataOf(namespace: Namespace, facts: CollectionFacts | null): Uint8Array {
  const collectionName = namespace.slice(namespace.indexOf('.') + 1);
  const { options, indexes } = facts ?? { options: {}, indexes: [{ v: 2, key: { _id: 1 }, name: '_id_' }] };
  return Buffer.from(EJSON.stringify({ options, indexes, collectionName, type: 'collection' }, { relaxed: false }));
}

/** What is needed to put a file back where it was. */
function lineOf({ facts, root, bytes, sha256 }: AttachmentEntry, file: string) {
  const { kind, bucket } = facts;
  const hex = (value: Uint8Array) => Buffer.from(value).toString('hex');
  return {
    ...{ file, root, kind, bucket },
    ...(facts.kind === 's3' ? { key: facts.key, version: facts.version } : { id: hex(facts.key) }),
    ...{ bytes, sha256: hex(sha256), about: hex(facts.about) },
  };
}

/** A file name holds 255 bytes; mongodump leaves room for its longest extension. */
const LONGEST_NAME = 238;
const KEPT_OF_LONG_NAME = 208;

/** `<database>/<collection>.bson`, with the collection's name escaped as mongodump does. */
export function dumpPath(namespace: Namespace): string {
  const dot = namespace.indexOf('.');
  return join(namespace.slice(0, dot), `${escapedName(namespace.slice(dot + 1))}.bson`);
}

/** A name as mongodump writes it in a file's name. */
export function escapedName(name: string): string {
  // Go's url.PathEscape leaves these of the reserved characters alone.
  const escaped = encodeURIComponent(name)
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/%(24|26|2B|3A|3D|40)/g, (code) => decodeURIComponent(code));
  return shortened(escaped, name);
}

function shortened(escaped: string, collection: string): string {
  if (escaped.length <= LONGEST_NAME) return escaped;
  return `${escaped.slice(0, KEPT_OF_LONG_NAME)}%24${createHash('sha1').update(collection).digest('base64url')}`;
}

/** Throws RESTORE_TARGET_NOT_EMPTY. */
export async function assertEmpty(directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  const names = await readdir(directory).catch(() => ['(no folder)']);
  if (names.length === 0) return;
  throw new MoraineError('RESTORE_TARGET_NOT_EMPTY', `${directory} holds files already.`, {
    ids: { folder: directory },
  });
}

/** A write may take less than it was given. */
export async function writeAll(handle: FileHandle, records: readonly Uint8Array[]): Promise<void> {
  const bytes = Buffer.concat(records);
  let at = 0;
  while (at < bytes.length) at += (await handle.write(bytes, at)).bytesWritten;
}
