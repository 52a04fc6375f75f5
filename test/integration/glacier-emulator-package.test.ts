import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { CreateVaultCommand, GlacierClient } from '@aws-sdk/client-glacier';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { CREDENTIALS } from './glacier-emulator-process.ts';

const CHECKOUT = resolve(import.meta.dirname, '../..');
const SOURCE = join(CHECKOUT, 'infra/glacier-emulator');
const manifest = z.object({ dependencies: z.record(z.string(), z.string()), bin: z.record(z.string(), z.string()) });
const read = async (folder: string) => manifest.parse(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'glacier-emulator-package-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('its package names all that it imports from elsewhere, in the versions that are tested here', async () => {
  const imported = new Set<string>();
  for (const name of (await readdir(SOURCE)).filter((file) => file.endsWith('.ts'))) {
    const text = await readFile(join(SOURCE, name), 'utf8');
    for (const [, from = ''] of text.matchAll(/(?:from|import\() ?'([^'.][^']*)'/g)) {
      if (!from.startsWith('node:')) imported.add(from);
    }
  }
  const { dependencies } = await read(SOURCE);
  const { dependencies: tested } = await read(CHECKOUT);
  const expected = [...imported].toSorted().map((name) => [name, tested[name]]);
  expect(Object.entries(dependencies).toSorted()).toEqual(expected);
});

test('packed and installed, it runs without the checkout', async () => {
  const pack = join(CHECKOUT, 'scripts/pack-glacier-emulator.ts');
  const { stdout } = await execa(process.execPath, [pack, '--to', folder]);
  const home = join(folder, 'node_modules/glacier-emulator');
  await mkdir(home, { recursive: true });
  await execa('tar', ['xzf', stdout.trim(), '--strip-components=1', '--directory', home]);
  expect((await readdir(home)).toSorted()).toEqual(['LICENSE', 'README.md', 'dist', 'package.json']);
  const { dependencies, bin } = await read(home);
  for (const name of Object.keys(dependencies)) {
    await mkdir(join(folder, 'node_modules', name, '..'), { recursive: true });
    await symlink(join(CHECKOUT, 'node_modules', name), join(folder, 'node_modules', name));
  }
  const program = join(home, bin['glacier-emulator'] ?? '');
  expect(await readFile(program, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  const args = ['--port', '0', '--state', join(folder, 'state'), '--sns-endpoint', 'http://127.0.0.1:1'];
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'], cwd: folder });
  const ended = once(child, 'exit');
  const [line]: unknown[] = await once(createInterface({ input: child.stdout }), 'line');
  const endpoint = /http:\/\/127\.0\.0\.1:\d+$/.exec(String(line))?.[0] ?? '';
  const client = new GlacierClient({ endpoint, region: 'eu-west-1', credentials: CREDENTIALS });
  const created = await client.send(new CreateVaultCommand({ accountId: '-', vaultName: 'packed' }));
  expect(created.location).toBe('/012345678901/vaults/packed');
  client.destroy();
  child.kill('SIGTERM');
  expect((await ended)[0]).toBe(0);
});
