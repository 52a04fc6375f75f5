import { randomBytes } from 'node:crypto';
import { access, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';

const TEMPORARY = '.tmp';

/** Enough to keep the disk busy, few enough for the limit on open files. */
const READ_AT_ONCE = 64;

/**
 * Replaces a JSON file in one step: a reader, or the next process after a kill, sees the old content or the new,
 * never a part of either.
 */
export async function writeJson(path: string, value: unknown): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}${TEMPORARY}`;
  const file = await open(temporary, 'wx');
  try {
    await file.writeFile(JSON.stringify(value));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

/** Reads a JSON file and checks its shape; null when there is none. */
export async function readJson<T extends z.ZodType>(path: string, schema: T): Promise<z.output<T> | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new Error(`the state file ${path} cannot be read`, { cause });
  }
}

/** Reads every JSON file of a folder, and removes the temporary files that a killed process left there. */
export async function readJsonFolder<T extends z.ZodType>(folder: string, schema: T): Promise<z.output<T>[]> {
  const values: z.output<T>[] = [];
  const names = await readdir(folder);
  for (let i = 0; i < names.length; i += READ_AT_ONCE) {
    const batch = names.slice(i, i + READ_AT_ONCE).map(async (name) => {
      const path = join(folder, name);
      if (name.endsWith(TEMPORARY)) {
        await rm(path, { force: true });
      } else if (name.endsWith('.json')) {
        const value = await readJson(path, schema);
        if (value !== null) values.push(value);
      }
    });
    await Promise.all(batch);
  }
  return values;
}

export async function isFile(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
