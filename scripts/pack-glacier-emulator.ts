/**
 * Makes the Glacier emulator into a package of its own: JavaScript, as Node strips no types below node_modules. Writes
 * `glacier-emulator-VERSION.tgz` into the folder that is named, by default the current one, and prints its path:
 * `npx --package ./glacier-emulator-VERSION.tgz glacier-emulator --port 8484 --state /tmp/glacier`.
 */
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { scriptArguments } from '../test/harness/script-arguments.ts';

const CHECKOUT = resolve(import.meta.dirname, '..');
const SOURCE = join(CHECKOUT, 'infra/glacier-emulator');
const packed = z.tuple([z.object({ filename: z.string() })]);

const { to } = scriptArguments(
  { to: { type: 'string', default: '.' } },
  'usage: npm run pack:glacier-emulator -- [--to FOLDER]',
);
const staging = await mkdtemp(join(tmpdir(), 'glacier-emulator-package-'));
try {
  await execa(join(CHECKOUT, 'node_modules/.bin/tsc'), ['--project', SOURCE, '--outDir', join(staging, 'dist')], {
    stdio: 'inherit',
  });
  for (const file of ['package.json', 'README.md']) await copyFile(join(SOURCE, file), join(staging, file));
  await copyFile(join(CHECKOUT, 'LICENSE'), join(staging, 'LICENSE'));
  const { stdout } = await execa('npm', ['pack', '--json', '--pack-destination', resolve(to)], { cwd: staging });
  const [{ filename }] = packed.parse(JSON.parse(stdout));
  console.log(join(resolve(to), filename));
} finally {
  await rm(staging, { recursive: true });
}
