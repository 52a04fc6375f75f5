/** Simulated lives of tickets with comments break no promise, and break one as soon as a bug is planted. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { FAMILY_BUGS } from './family/bugs.ts';

const PRELOAD = new URL('./family/preload.ts', import.meta.url).href;
const HUNT = fileURLToPath(new URL('./family/hunt.ts', import.meta.url));
/** A busy machine takes some seconds for a life. */
const TIMEOUT_MS = 240_000;
const LIVES = 60;

const execute = promisify(execFile);

async function hunt(
  bug: string,
): Promise<{ lives: number; violations: readonly { property: string; text: string }[] }> {
  const args = ['--import', PRELOAD, HUNT, bug, '1', String(LIVES)];
  const { stdout } = await execute(process.execPath, args, { timeout: TIMEOUT_MS });
  return JSON.parse(stdout);
}

describe('tickets with comments', { timeout: TIMEOUT_MS }, () => {
  test(`${LIVES} lives without a bug break nothing`, async () => {
    expect(await hunt('none')).toEqual({ lives: LIVES, violations: [] });
  });

  test.each(FAMILY_BUGS)('$name: caught', async ({ name, caughtBy }) => {
    const { violations, lives } = await hunt(name);
    const properties = violations.map(({ property }) => property);
    expect(
      properties.some((property) => caughtBy.some((each) => each === property)),
      `${lives}: ${properties}`,
    ).toBe(true);
  });
});
