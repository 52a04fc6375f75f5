import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { loadConfig } from '../../src/config.ts';
import { makeWorkspace } from '../../src/demo/workspace.ts';
import { policiesOf } from '../../src/policy/load.ts';

const folder = mkdtempSync(join(tmpdir(), 'moraine-demo-'));
afterAll(() => rmSync(folder, { recursive: true }));

const urls = { mongodb: 'mongodb://127.0.0.1:1/', redis: 'redis://127.0.0.1:2', glacier: 'http://127.0.0.1:3' };
const make = (directory: string) => makeWorkspace(systemClock, { directory, run: 'abc123', owners: ['acme'], urls });

test('what the demo writes is a configuration with policies on databases of its own', async () => {
  const { config } = await make(join(folder, 'fresh'));
  const loaded = loadConfig(config);
  expect(loaded.environment).toBe('sandbox');
  const collections = policiesOf(loaded.policies).map(({ policy }) => policy.dataset.collection);
  expect(collections.every((name) => name.startsWith('moraine_demo_abc123_'))).toBe(true);
  expect(collections).toHaveLength(4);
});

test('a second demo replaces the folder of the first', async () => {
  const directory = join(folder, 'twice');
  await make(directory);
  writeFileSync(join(directory, 'leftover'), 'of the first');
  await make(directory);
  expect(existsSync(join(directory, 'leftover'))).toBe(false);
});

test("a folder with somebody's files is refused and left as it is", async () => {
  const directory = mkdtempSync(join(folder, 'mine-'));
  const mine = join(directory, 'moraine.yaml');
  writeFileSync(mine, 'environment: production\n');
  await expect(make(directory)).rejects.toMatchObject({ code: 'USAGE' });
  expect(readFileSync(mine, 'utf8')).toBe('environment: production\n');
});
