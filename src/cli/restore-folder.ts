/**
 * Restore into a folder: `DIR/<database>/<collection>.bson`, as mongodump lays it out. Everything is written beside DIR
 * and takes its name only when it is whole, so a folder of that name never holds half an archive.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { MoraineError } from '../errors.ts';
import type { Namespace } from '../ids.ts';
import type { RestoreTarget } from '../lifecycle/restore.ts';

/** Throws RESTORE_TARGET_NOT_EMPTY before anything is read or written. `mark` tells this restore's temporary folder from others'. */
export async function folderTarget(folder: string, namespace: Namespace, mark: string): Promise<RestoreTarget> {
  const directory = resolve(folder);
  await assertEmpty(directory);
  const temporary = `${directory}.partial-${mark}`;
  const file = join(temporary, dumpPath(namespace));
  await mkdir(dirname(file), { recursive: true });
  const handle = await open(file, 'wx');
  return {
    write: async (records) => {
      await writeAll(handle, records);
      return { inserted: records.length, existing: 0 };
    },
    finish: async () => {
      await handle.sync();
      await handle.close();
      await assertEmpty(directory);
      await rename(temporary, directory);
    },
    discard: async () => {
      // It may be closed already, when the renaming failed.
      await handle.close().catch(() => undefined);
      await rm(temporary, { recursive: true, force: true });
    },
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
