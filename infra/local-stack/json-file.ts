import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { z } from 'zod';

/** Replaces the file in one step: a reader sees the old content or the new, never a part. */
export function writeJsonFile(path: string, value: unknown): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(value, null, 2)}\n`);
  renameSync(temporary, path);
}

/** The file's content, or null when it is missing or is not what the schema says: then it is as good as missing. */
export function readJsonFile<T>(path: string, schema: z.ZodType<T>): T | null {
  try {
    const parsed = schema.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    // Missing, unreadable and half-written by an older version all mean the same: nothing is known.
    return null;
  }
}

export function removeFile(path: string): void {
  rmSync(path, { force: true });
}
