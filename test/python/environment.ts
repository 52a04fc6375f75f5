/**
 * Python environments, made once per set of pinned versions and kept in the cache beside the local stack's programs:
 * one with the stock libraries that docs/archive-format.md names, and others by a file of requirements.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { access, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withLock } from '../../infra/local-stack/lock.ts';
import { cacheDir } from '../../infra/local-stack/places.ts';
import { run } from '../../infra/local-stack/run.ts';

const REQUIREMENTS = join(import.meta.dirname, 'requirements.txt');

/** The first set-up downloads some 30 MB. */
export const PYTHON_SETUP_MS = 300_000;

/** The path of a Python that has everything in requirements.txt. Several processes may ask at once. */
export async function pythonWithLibraries(): Promise<string> {
  return pythonEnvironment('archive-opener', 'Python libraries for opening archives', REQUIREMENTS);
}

/** The same for another file of requirements; programs of its packages are beside the Python. */
export async function pythonEnvironment(name: string, title: string, requirements: string): Promise<string> {
  const versions = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 16);
  const directory = join(cacheDir(), 'python', `${name}-${versions}`);
  const stamp = join(directory, 'complete');
  const python = join(directory, 'bin', 'python');
  await withLock(
    `${directory}.lock`,
    () => undefined,
    async () => {
      if (await exists(stamp)) return;
      console.log(`Setting up ${title} (once)`);
      await rm(directory, { recursive: true, force: true });
      await mkdir(directory, { recursive: true });
      const log = `${directory}.log`;
      await run({ file: 'python3', args: ['-m', 'venv', directory] }, log);
      const options = ['--quiet', '--disable-pip-version-check', '--requirement', requirements];
      await run({ file: python, args: ['-m', 'pip', 'install', ...options] }, log);
      await writeFile(stamp, '');
    },
  );
  return python;
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
