/** Fetched outputs of retrievals in a folder of the file system (0700), one file for each. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, opendir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MoraineError } from '../errors.ts';
import type { ByteRange } from './port.ts';
import type { RetrievalFiles } from './retrieval-files.ts';

const WHOLE = '.archive';
const PART = '.part';
/** The owner alone: what lies here is sealed, and still nobody else's. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

export class RetrievalFolder implements RetrievalFiles {
  readonly keepMs: number;
  readonly #folder: string;

  constructor(options: { readonly folder: string; readonly keepMs: number }) {
    this.#folder = options.folder;
    this.keepMs = options.keepMs;
  }

  async write(name: string, chunks: AsyncIterable<Uint8Array>, check: () => void): Promise<void> {
    const path = this.#path(name);
    await mkdir(this.#folder, { recursive: true, mode: FOLDER_MODE });
    // One that was there before may be open to others.
    await chmod(this.#folder, FOLDER_MODE);
    // A random part: two processes that fetch the same one never write into one file.
    const part = `${path}-${randomBytes(4).toString('hex')}${PART}`;
    try {
      const file = await open(part, 'wx', FILE_MODE);
      try {
        for await (const chunk of chunks) await file.writeFile(chunk);
        check();
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(part, path);
    } catch (error) {
      // What cannot be removed now is removed with the others that were cut.
      await rm(part, { force: true }).catch(() => undefined);
      throw error;
    }
    await syncFolder(this.#folder);
  }

  async read(name: string, { start, end }: ByteRange): Promise<Uint8Array | null> {
    const file = await open(this.#path(name), 'r').catch(nullWhenMissing);
    if (file === null) return null;
    try {
      const bytes = new Uint8Array(end - start);
      for (let at = 0; at < bytes.length; ) {
        const { bytesRead } = await file.read(bytes, at, bytes.length - at, start + at);
        if (bytesRead === 0)
          throw new MoraineError('ARCHIVE_CORRUPT', `The fetched file of retrieval ${name} is short.`);
        at += bytesRead;
      }
      return bytes;
    } finally {
      await file.close();
    }
  }

  async has(name: string): Promise<boolean> {
    return (await stat(this.#path(name)).catch(nullWhenMissing)) !== null;
  }

  async remove(name: string): Promise<void> {
    await rm(this.#path(name), { force: true });
  }

  async *names(cutBefore: Date): AsyncIterable<string> {
    const folder = await opendir(this.#folder).catch(nullWhenMissing);
    if (folder === null) return;
    for await (const { name } of folder) {
      if (name.endsWith(WHOLE)) yield name.slice(0, -WHOLE.length);
      if (!name.endsWith(PART)) continue;
      const path = join(this.#folder, name);
      const found = await stat(path).catch(nullWhenMissing);
      if (found !== null && found.mtime < cutBefore) await rm(path, { force: true });
    }
  }

  /** Ids of retrievals are letters, digits and hyphens: nothing else becomes part of a path. */
  #path(name: string): string {
    if (!/^[A-Za-z0-9-]+$/.test(name)) throw new MoraineError('INTERNAL', `"${name}" is no id of a retrieval.`);
    return join(this.#folder, `${name}${WHOLE}`);
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function nullWhenMissing(error: unknown): null {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
  throw error;
}
