/** The console as people see it: in Chromium, light and dark, wide and narrow, with JavaScript and without. */
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startRun } from '../../src/ledger/runs.ts';
import { testNames } from '../harness/stack.ts';
import { accessibilityProblems } from './accessibility.ts';
import { CHROMIUM_INSTALL_MS, ensureChromium, type Look, openBrowser } from './chromium.ts';
import { type ConsoleWorld, openConsoleWorld } from './console-world.ts';

const names = testNames(import.meta.filename);
let world: ConsoleWorld;
let empty: ConsoleWorld;
let url: string;
let emptyUrl: string;
beforeAll(ensureChromium, CHROMIUM_INSTALL_MS);
beforeAll(async () => {
  world = await openConsoleWorld(names);
  empty = await openConsoleWorld(names, { isSeeded: false, name: 'empty' });
  ({ url } = await world.start());
  ({ url: emptyUrl } = await empty.start());
});
afterAll(async () => {
  await empty.close();
  await world.close();
});

const WIDE = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 740 };

/** Every page, with one archive in each kind of life. */
function paths(): readonly string[] {
  const [certificate = ''] = world.seeded.certificates;
  const ofState = (state: string) => world.seeded.archives.find((archive) => archive.state === state)?._id ?? '';
  const archives = ['planned', 'cleared', 'quarantined', 'purging'].map(ofState);
  return [
    ...SECTIONS,
    '/audit/verify',
    `/certificates/${certificate}`,
    ...[...archives, certificate].map((id) => `/archives/${id}`),
  ];
}
const SECTIONS = [
  '/',
  '/policies',
  '/exceptions',
  '/exceptions?show=all',
  '/archives',
  '/archives?state=cleared',
  '/vaults',
  '/quarantine',
  '/offboardings',
  '/certificates',
  '/audit',
  '/queues',
];

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A tab, and everything that went wrong in it. */
async function openTab(look: Look): Promise<{ readonly tab: Page; readonly troubles: string[] }> {
  const browser = await openBrowser(look);
  closing.push(browser.close);
  const tab = await browser.context.newPage();
  const troubles: string[] = [];
  tab.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) troubles.push(`${tab.url()}: ${message.text()}`);
  });
  tab.on('pageerror', (error) => troubles.push(`${tab.url()}: ${error.message}`));
  tab.on('requestfailed', (request) => troubles.push(`${request.url()}: ${request.failure()?.errorText}`));
  tab.on('request', (request) => {
    if (new URL(request.url()).hostname !== '127.0.0.1') troubles.push(`asked elsewhere: ${request.url()}`);
  });
  tab.on('response', (reply) => {
    if (reply.status() >= 400) troubles.push(`${reply.url()}: ${reply.status()}`);
  });
  return { tab, troubles };
}

const isWiderThanItsWindow = (tab: Page) =>
  tab.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');

describe('every page', () => {
  it.each([
    ['light, wide', { colorScheme: 'light', viewport: WIDE }],
    ['dark, wide', { colorScheme: 'dark', viewport: WIDE }],
    ['light, on a phone', { colorScheme: 'light', viewport: PHONE }],
    ['dark, on a phone, without JavaScript', { colorScheme: 'dark', viewport: PHONE, javaScriptEnabled: false }],
  ] as const)('%s: loads without an error, fits its window, and can be read', async (_, look) => {
    const { tab, troubles } = await openTab(look);
    for (const base of [url, emptyUrl]) {
      for (const path of base === url ? paths() : SECTIONS) {
        await tab.goto(new URL(path, base).href);
        expect(await tab.locator('h1').count(), path).toBe(1);
        expect(await isWiderThanItsWindow(tab), `${path} scrolls sideways`).toBe(false);
        expect(await accessibilityProblems(tab), path).toEqual([]);
      }
    }
    expect(troubles).toEqual([]);
  });

  it('follows the theme of the machine', async () => {
    const grounds: unknown[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      const { tab } = await openTab({ colorScheme, viewport: WIDE });
      await tab.goto(url);
      grounds.push(await tab.evaluate('getComputedStyle(document.body).backgroundColor'));
    }
    expect(grounds).toEqual(['rgb(244, 247, 248)', 'rgb(15, 23, 27)']);
  });

  it('is reached by keyboard: the first stop skips to the content', async () => {
    const { tab } = await openTab({ viewport: WIDE });
    await tab.goto(url);
    await tab.keyboard.press('Tab');
    expect(await tab.evaluate('document.activeElement.textContent')).toBe('Skip to content');
    await tab.keyboard.press('Enter');
    expect(new URL(tab.url()).hash).toBe('#main');
  });
});

describe('the look at accessibility', () => {
  it.each([
    ['<h1>a</h1><h3>b</h3>', 'a heading skips a level'],
    ['<h1>a</h1><select></select>', 'a field has no label'],
    ['<h1>a</h1><a href="/"></a>', 'a link has no text'],
    ['<h1>a</h1><img src="data:,">', 'an image has no alt'],
    ['<h1>a</h1><table><tr><td>b</td></tr></table>', 'a table has no caption'],
    ['<h1>a</h1><p style="color: #999; background: #fff">b</p>', 'contrast 2.85'],
    ['<h1>a</h1><h1>b</h1>', 'the page has not exactly one h1'],
  ])('%s: %s', async (body, problem) => {
    const { tab } = await openTab({});
    const page = (main: string) => `<html lang="en"><title>t</title><body><main>${main}</main></body></html>`;
    await tab.setContent(page('<h1>a</h1>'));
    expect(await accessibilityProblems(tab)).toEqual([]);
    await tab.setContent(page(body));
    expect((await accessibilityProblems(tab)).join()).toContain(problem);
  });
});

describe('the way through', () => {
  it('from the picture of the life to one archive, its certificate and the download', async () => {
    const { tab, troubles } = await openTab({ viewport: WIDE });
    await tab.goto(url);
    await tab.locator('.step', { hasText: 'confirmed' }).getByRole('link').click();
    expect(await tab.locator('select[name=state]').inputValue()).toBe('confirmed');
    const [certificate = ''] = world.seeded.certificates;
    await tab.getByRole('link', { name: certificate }).first().click();
    expect(await tab.locator('.progress [aria-current=step]').textContent()).toBe('confirmed');
    expect(await tab.locator('.timeline li').count()).toBeGreaterThan(5);
    await tab.getByRole('link', { name: certificate }).click();
    expect(await tab.getByText('The signature holds').isVisible()).toBe(true);
    for (const format of ['json', 'html', 'pdf']) {
      const [download] = await Promise.all([
        tab.waitForEvent('download'),
        tab.getByRole('link', { name: `Download ${format.toUpperCase()}` }).click(),
      ]);
      expect(download.suggestedFilename()).toMatch(new RegExp(`^certificate-\\d{6}\\.${format}$`));
    }
    expect(troubles).toEqual([]);
  });

  it('filters: by owner and state, then cleared; the rows are those of the ledger', async () => {
    const { tab } = await openTab({ viewport: WIDE });
    await tab.goto(new URL('/archives', url).href);
    await tab.getByLabel('Owner').selectOption('acme');
    await tab.getByLabel('State').selectOption('purging');
    await tab.getByRole('button', { name: 'Filter' }).click();
    const wanted = world.seeded.archives.filter(({ owner, state }) => owner === 'acme' && state === 'purging');
    expect(await tab.locator('tbody tr').count()).toBe(wanted.length);
    for (const { _id } of wanted) expect(await tab.getByRole('link', { name: _id }).count()).toBe(1);
    await tab.getByRole('link', { name: 'Clear' }).click();
    expect(new URL(tab.url()).search).toBe('');
  });

  it('exceptions: what is asked for or in force, then those that are over too, and back', async () => {
    const { tab } = await openTab({ viewport: WIDE });
    await tab.goto(new URL('/exceptions', url).href);
    const rows = () => tab.locator('tbody tr').count();
    const current = await rows();
    expect(await tab.getByText('contract over').count()).toBe(0);
    await tab.getByLabel('Show').selectOption('all');
    await tab.getByRole('button', { name: 'Filter' }).click();
    expect(await rows()).toBeGreaterThan(current);
    expect(await tab.getByText('contract over').count()).toBe(1);
    await tab.getByRole('link', { name: 'Clear' }).click();
    expect(await rows()).toBe(current);
    await tab.goto(new URL('/exceptions', emptyUrl).href);
    expect(await tab.locator('code.command').textContent()).toContain('moraine exception request');
    expect(await tab.getByLabel('Show').count()).toBe(0);
  });

  it('a version that comes is told on its policy, with what is in force and what will be', async () => {
    const { tab } = await openTab({ viewport: WIDE });
    await tab.goto(new URL('/policies', url).href);
    expect(await tab.locator('.coming').count()).toBe(1);
    expect(await tab.locator('.coming tbody td').allInnerTexts()).toEqual(['active', '2 years', '1 year 6 months']);
  });

  it('an offboarding leads to what certifies it', async () => {
    const { tab } = await openTab({ viewport: WIDE });
    await tab.goto(new URL('/offboardings', url).href);
    expect(await tab.locator('tbody .badge').allInnerTexts()).toEqual(['under way', 'superseded', 'done']);
    await tab.locator('tbody a').first().click();
    expect(await tab.getByText('The signature holds').isVisible()).toBe(true);
    await tab.goto(new URL('/offboardings', emptyUrl).href);
    expect(await tab.locator('code.command').textContent()).toContain('moraine offboard');
  });

  it('pages: older and older to the last, and back to the newest', async () => {
    const { tab } = await openTab({ viewport: WIDE });
    await tab.goto(new URL('/archives', url).href);
    let rows = await tab.locator('tbody tr').count();
    while ((await tab.getByRole('link', { name: 'Older' }).count()) > 0) {
      await tab.getByRole('link', { name: 'Older' }).click();
      rows += await tab.locator('tbody tr').count();
    }
    expect(rows).toBe(world.seeded.archives.length);
    await tab.getByRole('link', { name: 'Newest' }).click();
    expect(await tab.getByRole('link', { name: 'Newest' }).count()).toBe(0);
  });

  it('audit: one click verifies the chain', async () => {
    const { tab } = await openTab({ viewport: WIDE });
    await tab.goto(new URL('/audit', url).href);
    await tab.getByRole('link', { name: 'Verify the whole chain' }).click();
    expect(await tab.getByText('The chain holds').isVisible()).toBe(true);
  });

  it('queues: the queue dashboard runs under its own policy, asks nobody else, and cannot change a queue', async () => {
    const { tab, troubles } = await openTab({ viewport: WIDE });
    await tab.goto(new URL('/queues', url).href);
    await tab.getByRole('link', { name: 'Open the queue dashboard' }).click();
    await tab.getByText('reconcile').first().waitFor();
    expect(troubles).toEqual([]);
    const status: unknown = await tab.evaluate(
      "fetch('/queues/board/api/queues/sweep/pause', { method: 'PUT' }).then((reply) => reply.status)",
    );
    expect(status).toBe(405);
  });
});

describe('live pages', () => {
  it('the overview shows a run that began meanwhile, by itself; not while somebody marks text on it', async () => {
    const { tab } = await openTab({ viewport: WIDE });
    await tab.clock.install();
    await tab.goto(emptyUrl);
    const { store } = empty.app;
    const { clock } = empty.app.context();
    await startRun(store, clock, { id: 'live', command: 'purge', by: 'person:live', asOf: null, policies: [] });
    await tab.evaluate('getSelection().selectAllChildren(document.querySelector("h1"))');
    await tab.clock.runFor(20_000);
    expect(await tab.getByText('person:live').count()).toBe(0);
    await tab.evaluate('getSelection().removeAllRanges()');
    await tab.clock.runFor(20_000);
    await tab.getByText('person:live').waitFor();
    expect(await tab.locator('h1').count()).toBe(1);
  });
});
