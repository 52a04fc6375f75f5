/** The judge is judged: every planted bug is caught, by a property that says what is wrong, and without one nothing is reported. */
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import type { Hunt } from './planted/hunt.ts';
import { BUGS, UNARMED } from './planted/index.ts';
import { patched } from './planted/plant.ts';

const PRELOAD = new URL('./planted/preload.ts', import.meta.url).href;
const HUNT = fileURLToPath(new URL('./planted/hunt.ts', import.meta.url));
/** The loading of the product, some lives, and as much again for a busy machine. */
const TIMEOUT_MS = 120_000;
const CONTROL_PARTS = 4;

const execute = promisify(execFile);
/** What is compiled once is not compiled again by each of the processes; a patched text is another one. */
const cache = await mkdtemp(join(tmpdir(), 'moraine-planted-'));
afterAll(() => rmSync(cache, { recursive: true, force: true }));

/** A process of its own: a bug is planted while its modules load. */
async function hunt(...args: readonly string[]): Promise<Hunt> {
  const { stdout } = await execute(process.execPath, ['--import', PRELOAD, HUNT, ...args], {
    timeout: TIMEOUT_MS,
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
  });
  return JSON.parse(stdout);
}

describe('planted bugs', { concurrent: true, timeout: TIMEOUT_MS }, () => {
  test.each(BUGS)('$name (promise $promise): caught', async ({ name, caughtBy }) => {
    const { found, lives } = await hunt(name);
    expect(found, `nothing was found in ${lives} lives`).not.toBeNull();
    const properties = found?.violations.map(({ property }) => property);
    expect(
      properties?.some((property) => caughtBy.some((each) => each === property)),
      String(properties),
    ).toBe(true);
  });

  test.each(Array.from({ length: CONTROL_PARTS }, (_, part) => part))(
    'none, part %i: the same lives without a bug break no promise',
    async (part) => {
      const { found, lives } = await hunt('none', '1', String(part), String(CONTROL_PARTS));
      expect(found).toBeNull();
      expect(lives).toBeGreaterThan(0);
    },
  );

  test('a bug whose text is not there: the process fails before anything lives', async () => {
    await expect(hunt(UNARMED.name)).rejects.toThrow('A planted bug is not armed');
  });
});

test('a bug whose text is there twice is not planted', () => {
  const patch = { file: 'a.ts', find: 'let', replace: 'const' };
  expect(() => patched('a.ts', 'let a; let b;', [patch])).toThrow('is 2 times in a.ts');
  expect(patched('a.ts', 'let a;', [patch])).toBe('const a;');
});

test('at least 25 bugs are planted, over every promise that a simulated life can break, each under a name of its own', () => {
  expect(BUGS.length).toBeGreaterThanOrEqual(25);
  expect(new Set(BUGS.map(({ name }) => name)).size).toBe(BUGS.length);
  expect([...new Set(BUGS.map(({ promise }) => String(promise)))].sort()).toEqual(
    ['1', '10', '11', '12', '2', '3', '4', '5', '6', '7', '8', '9', 'end'].sort(),
  );
});
