/** What a page must have for people who do not see it as we do. Runs inside the page; returns what is wrong with it. */
import type { Page } from 'playwright-core';

/** WCAG 2.2 AA: text, and large or bold text. */
const CONTRAST = { normal: 4.5, large: 3 } as const;

/** One line per problem; empty for a page in order. */
export async function accessibilityProblems(page: Page): Promise<readonly string[]> {
  // Text for the page, not a function: it uses what only a browser has, which this checkout's types do not know.
  const problems: unknown = await page.evaluate(`(${IN_PAGE})(${JSON.stringify(CONTRAST)})`);
  if (!Array.isArray(problems)) throw new Error('The look at the page failed.');
  return problems.map(String);
}

const IN_PAGE = `(contrast) => {
  const problems = [];
  const say = (what, element) => problems.push(what + ': ' + element.outerHTML.slice(0, 120));
  if (document.documentElement.lang === '') problems.push('the page has no language');
  if (document.title === '') problems.push('the page has no title');
  if (document.querySelectorAll('main').length !== 1) problems.push('the page has not exactly one main');
  if (document.querySelectorAll('h1').length !== 1) problems.push('the page has not exactly one h1');
  let level = 0;
  for (const heading of document.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
    const next = Number(heading.tagName.slice(1));
    if (next > level + 1) say('a heading skips a level', heading);
    level = next;
    if (heading.textContent.trim() === '') say('a heading is empty', heading);
  }
  for (const field of document.querySelectorAll('input, select, textarea')) if (field.labels.length === 0) say('a field has no label', field);
  for (const link of document.querySelectorAll('a, button')) {
    if (link.textContent.trim() === '' && !link.getAttribute('aria-label')) say('a link has no text', link);
  }
  for (const image of document.querySelectorAll('img')) if (!image.hasAttribute('alt')) say('an image has no alt', image);
  for (const picture of document.querySelectorAll('svg')) {
    if (!picture.getAttribute('aria-label') && picture.getAttribute('aria-hidden') !== 'true') say('a picture has no label', picture);
  }
  for (const table of document.querySelectorAll('table')) {
    if (!table.caption) say('a table has no caption', table);
    for (const head of table.querySelectorAll('th')) if (!head.scope) say('a table head has no scope', head);
  }
  const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
  for (const id of new Set(ids)) if (ids.filter((each) => each === id).length > 1) problems.push('an id is there twice: ' + id);

  const channels = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((value) => value / 255).map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = getComputedStyle(each).backgroundColor;
      const alpha = channels(color)[3] ?? 1;
      if (alpha === 1) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (walker.currentNode.textContent.trim() === '' || element.getClientRects().length === 0) continue;
    const style = getComputedStyle(element);
    if (style.visibility === 'hidden') continue;
    const [light, dark] = [luminance(style.color), luminance(ground(element))].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (isLarge ? contrast.large : contrast.normal)) say('contrast ' + ratio.toFixed(2), element);
  }
  return problems;
}`;
