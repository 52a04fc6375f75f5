/**
 * Documents as one tree, written as Markdown and as HTML by libraries that escape for each: a name with `<`, `|` or a line
 * break in it is shown and does nothing.
 */
import type { ElementContent, Root as HtmlRoot } from 'hast';
import { toHtml } from 'hast-util-to-html';
import type { BlockContent, Heading, List, Paragraph, PhrasingContent, Root, RootContent, Table } from 'mdast';
import { gfmToMarkdown } from 'mdast-util-gfm';
import { toHast } from 'mdast-util-to-hast';
import { toMarkdown } from 'mdast-util-to-markdown';
import { PAGE_STYLE } from './page-style.ts';

export type Inline = string | PhrasingContent;

export function heading(depth: Heading['depth'], ...parts: readonly Inline[]): Heading {
  return { type: 'heading', depth, children: inline(parts) };
}

export function paragraph(...parts: readonly Inline[]): Paragraph {
  return { type: 'paragraph', children: inline(parts) };
}

export function strong(text: string): PhrasingContent {
  return { type: 'strong', children: inline([text]) };
}

export function code(text: string): PhrasingContent {
  return { type: 'inlineCode', value: shown(text) };
}

export function list(items: readonly (readonly Inline[])[]): List {
  return {
    type: 'list',
    ordered: false,
    spread: false,
    children: items.map((item) => ({ type: 'listItem', spread: false, children: [paragraph(...item)] })),
  };
}

/** The first row is the head. */
export function table(rows: readonly (readonly (readonly Inline[])[])[]): Table {
  return {
    type: 'table',
    children: rows.map((row) => ({
      type: 'tableRow',
      children: row.map((cell) => ({ type: 'tableCell', children: inline(cell) })),
    })),
  };
}

export function document(...content: readonly (RootContent | BlockContent)[]): Root {
  return { type: 'root', children: [...content] };
}

export function markdownOf(root: Root): string {
  return toMarkdown(root, {
    bullet: '-',
    emphasis: '_',
    extensions: [gfmToMarkdown({ tablePipeAlign: true })],
  });
}

/** A whole page without scripts, links or anything from elsewhere: it may be sent, printed and kept. */
export function htmlOf(root: Root, title: string): string {
  const body = toHast(root);
  const content: readonly ElementContent[] =
    body.type === 'root' ? withTimes(body.children.filter((node) => node.type !== 'doctype')) : [];
  const page: HtmlRoot = {
    type: 'root',
    children: [
      { type: 'doctype' },
      element('html', { lang: 'en' }, [
        element('head', {}, [
          element('meta', { charSet: 'utf-8' }),
          element('meta', { name: 'viewport', content: 'width=device-width, initial-scale=1' }),
          element('title', {}, [{ type: 'text', value: shown(title) }]),
          element('style', {}, [{ type: 'text', value: PAGE_STYLE }]),
        ]),
        element('body', {}, [element('main', {}, content)]),
      ]),
    ],
  };
  return `${toHtml(page)}\n`;
}

const DAY = /(\b\d{4}-\d{2}-\d{2}\b(?:T[\d:.]+Z)?)/;

/** Dates as `<time>`, so that no line ends within one. */
function withTimes(nodes: readonly ElementContent[]): ElementContent[] {
  return nodes.flatMap((node): ElementContent[] => {
    if (node.type === 'element') return [{ ...node, children: withTimes(node.children) }];
    if (node.type !== 'text') return [node];
    // Every second part is what the pattern found.
    return node.value.split(DAY).map((value, at) => {
      const text = { type: 'text', value } as const;
      return at % 2 === 1 ? element('time', {}, [text]) : text;
    });
  });
}

function element(
  tagName: string,
  properties: Readonly<Record<string, string>>,
  children: readonly ElementContent[] = [],
): ElementContent {
  return { type: 'element', tagName, properties: { ...properties }, children: [...children] };
}

function inline(parts: readonly Inline[]): PhrasingContent[] {
  return parts.map((part) => (typeof part === 'string' ? { type: 'text', value: shown(part) } : part));
}

/** Names come from the source: no line breaks, nothing invisible, nothing that turns the direction of the line. */
export function shown(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .replace(/\p{Cf}/gu, '\u{FFFD}')
    .toWellFormed();
}
