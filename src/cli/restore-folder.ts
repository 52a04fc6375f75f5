/**
 * Restore into a folder: `DIR/<database>/<collection>.bson`, as mongodump lays it out, also for children; attachments as
 * `DIR/attachments/00000000`, and what each of them was as a line of `DIR/attachments.jsonl`. Everything is written beside
 * DIR and takes its name only when it is whole, so a folder of that name never holds half an archive.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { AttachmentEntry } from '../archive/attachment-index.ts';
import { MoraineError } from '../errors.ts';
import type { Namespace } from '../ids.ts';
import type { RestoreTarget } from '../lifecycle/restore.ts';

/** Throws RESTORE_TARGET_NOT_EMPTY before anything is read or written. `mark` tells this restore's temporary folder from others'. */
export async function folderTarget(folder: string, namespace: Namespace, mark: string): Promise<RestoreTarget> {
  const directory = resolve(folder);
  await assertEmpty(directory);
  const temporary = `${directory}.partial-${mark}`;
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
  const writeTo = async (collection: Namespace, records: readonly Uint8Array[]) => {
    await writeAll(await handleOf(dumpPath(collection)), records);
    return { inserted: records.length, existing: 0 };
  };
  const closeAll = async () => {
    for (const [path, handle] of handles) {
      await handle.sync();
      await handle.close();
      handles.delete(path);
    }
  };
  // Also of an archive whose copies are all void there is a file.
  await handleOf(dumpPath(namespace));
  return {
    write: (records) => writeTo(namespace, records),
    unit: {
      write: writeTo,
      attachment: async (entry, parts) => {
        const name = join('attachments', String(entry.ordinal).padStart(8, '0'));
        await mkdir(join(temporary, 'attachments'), { recursive: true });
        const file = await open(join(temporary, name), 'wx');
        try {
          for await (const part of parts) await writeAll(file, [part]);
          await file.sync();
        } finally {
          await file.close();
        }
        await writeAll(await handleOf('attachments.jsonl'), [Buffer.from(`${JSON.stringify(lineOf(entry, name))}\n`)]);
        return 'inserted';
      },
    },
    finish: async () => {
      await closeAll();
      await assertEmpty(directory);
      await rename(temporary, directory);
    },
    discard: async () => {
      // It may be closed already, when the renaming failed.
      await closeAll().catch(() => undefined);
      await rm(temporary, { recursive: true, force: true });
    },
  };
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
