import { execa } from 'execa';
import { describe, expect, test } from 'vitest';

describe('a script answers a wrong argument with its usage and exit code 2, and starts nothing', () => {
  test.each([
    ['test/simulation/cli.ts', '--sedes', '4'],
    ['test/simulation/cli.ts', '--seeds', '-4'],
    ['test/simulation/cli.ts', '--seeds', 'many'],
    ['test/soak/soak.ts', '--minutes', 'many'],
    ['test/soak/soak.ts', '--hours', '1'],
    ['scripts/mutate.ts', 'lifecicle'],
    ['scripts/acceptance.ts', '--schedules', 'help-desk'],
    ['scripts/acceptance.ts', '--schedule', 'help-desks'],
    ['scripts/acceptance.ts', 'help-desk'],
  ])('%s %s %s', async (script, ...args) => {
    const { exitCode, stderr, stdout } = await execa(process.execPath, [script, ...args], { reject: false });
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toContain('usage: npm run ');
    expect(stderr).not.toContain('    at ');
  });
});
