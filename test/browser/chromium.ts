/**
 * A real Chromium, headless. Debian's own is used; where it is missing it is installed once, as root, under a lock, so
 * that two test runs do not ask apt at the same time. Where it cannot be had the tests fail: a dashboard that nobody
 * has opened in a browser is not tested.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import { aptInstall } from '../../infra/local-stack/install/apt.ts';
import { withLock } from '../../infra/local-stack/lock.ts';
import { cacheDir } from '../../infra/local-stack/places.ts';

/** Debian's name first, then those of other distributions. */
const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];

/** Also keeps it from calling home: only the console is asked for anything. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface Look {
  readonly colorScheme?: 'light' | 'dark';
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly javaScriptEnabled?: boolean;
}

/** Opens a browser with a profile of its own; both are gone after `close`. */
export async function openBrowser(
  look: Look = {},
): Promise<{ readonly context: BrowserContext; close(): Promise<void> }> {
  const executablePath = await ensureChromium();
  const profile = mkdtempSync(join(tmpdir(), 'moraine-chromium-'));
  const context = await chromium.launchPersistentContext(profile, { executablePath, args: FLAGS, ...look });
  return {
    context,
    close: async () => {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/** For a hook of its own with this time, before the first test: the path of the program. */
export const CHROMIUM_INSTALL_MS = 600_000;

export async function ensureChromium(): Promise<string> {
  const found = onPath();
  if (found !== null) return found;
  const directory = join(cacheDir(), 'programs');
  mkdirSync(directory, { recursive: true });
  const say = () => console.log('Another process is installing Chromium: waiting for it');
  await withLock(join(directory, 'chromium.lock'), say, async () => {
    if (onPath() !== null) return;
    console.log('Chromium is missing: apt-get install chromium, usually a minute');
    await aptInstall(['chromium'], join(directory, 'chromium.log'));
  });
  const installed = onPath();
  if (installed === null) throw new Error('Chromium was installed and is not on the PATH.');
  return installed;
}

function onPath(): string | null {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  const paths = PROGRAMS.flatMap((program) => directories.map((directory) => join(directory, program)));
  return paths.find((path) => existsSync(path)) ?? null;
}
