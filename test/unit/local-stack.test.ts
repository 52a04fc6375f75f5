import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { emulatorCodeHash } from '../../infra/local-stack/emulator-code.ts';
import { isListening } from '../../infra/local-stack/health.ts';
import { ensureStep, type Step, stepDir } from '../../infra/local-stack/install/step.ts';
import { withLock } from '../../infra/local-stack/lock.ts';
import { isAlive, refOf } from '../../infra/local-stack/processes.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'moraine-unit-'));
  vi.stubEnv('MORAINE_CACHE', directory);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true, force: true });
});

const quiet = () => undefined;

/** Writes two files and fails between them while `fails` says so. */
function step(recipe: string, made: string[], fails: () => boolean): Step {
  return {
    name: 'thing',
    title: 'a thing',
    usually: 'no time',
    recipe,
    async make(into) {
      made.push(recipe);
      await writeFile(join(into, `first-${made.length}`), '');
      if (fails()) throw new Error('cut');
      await writeFile(join(into, 'second'), '');
    },
  };
}

test('step: cut half way: made again from an empty directory, then never again', async () => {
  const made: string[] = [];
  let fails = true;
  const thing = step('one', made, () => fails);
  await expect(ensureStep(thing, quiet)).rejects.toThrow('cut');
  fails = false;
  await ensureStep(thing, quiet);
  await ensureStep(thing, quiet);
  expect(made).toEqual(['one', 'one']);
  expect((await readdir(stepDir(thing))).sort()).toEqual(['complete', 'first-2', 'second']);
});

test('step: another recipe: made beside the old one, which stays', async () => {
  const made: string[] = [];
  const [one, two] = [step('one', made, () => false), step('two', made, () => false)];
  await ensureStep(one, quiet);
  await ensureStep(two, quiet);
  await ensureStep(one, quiet);
  expect(made).toEqual(['one', 'two']);
});

test('emulator code: a file that it imports changes: another hash; a file that it does not: the same', async () => {
  const emulator = join(directory, 'infra/glacier-emulator');
  await mkdir(join(directory, 'src'), { recursive: true });
  await mkdir(emulator, { recursive: true });
  await writeFile(join(emulator, 'main.ts'), "import { hash } from './hash.ts';\nhash();\n");
  await writeFile(join(emulator, 'hash.ts'), "export { hash } from '../../src/hash.ts';\n");
  await writeFile(join(directory, 'src/hash.ts'), 'export const hash = () => 1;\n');
  const before = emulatorCodeHash(directory);
  await writeFile(join(directory, 'src/other.ts'), 'export {};\n');
  expect(emulatorCodeHash(directory)).toBe(before);
  await writeFile(join(directory, 'src/hash.ts'), 'export const hash = () => 2;\n');
  expect(emulatorCodeHash(directory)).not.toBe(before);
});

test('lock: second caller waits until the first is done, also when the first fails', async () => {
  const path = join(directory, 'lock');
  const order: string[] = [];
  const release = Promise.withResolvers<void>();
  const first = withLock(path, quiet, async () => {
    order.push('first in');
    await release.promise;
    order.push('first out');
    throw new Error('failed');
  });
  const second = withLock(
    path,
    () => release.resolve(),
    async () => order.push('second in'),
  );
  await expect(first).rejects.toThrow('failed');
  await second;
  expect(order).toEqual(['first in', 'first out', 'second in']);
});

test('process: the same pid with another start time is another process', () => {
  const own = refOf(process.pid);
  expect(isAlive(own)).toBe(true);
  expect(isAlive({ ...own, startTicks: '1' })).toBe(false);
});

test('environment: the first host of any URL is asked, with its password and its other hosts passed over', async () => {
  const server = createServer();
  const port = await new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(address !== null && typeof address === 'object' ? address.port : 0);
    }),
  );
  try {
    expect(await isListening(`mongodb://me:p%40ss@127.0.0.1:${port},127.0.0.1:1/?replicaSet=rs0`)).toBe(true);
    expect(await isListening(`http://127.0.0.1:${port}/path`)).toBe(true);
    expect(await isListening(`mongodb://127.0.0.1:1,127.0.0.1:${port}`)).toBe(false);
    expect(await isListening('mongodb+srv://cluster.invalid/db')).toBe(false);
  } finally {
    server.close();
  }
});
