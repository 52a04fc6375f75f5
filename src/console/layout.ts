/** The frame of every page: where we are, what environment this is, and the way to the other pages. */
import { instant } from './format.ts';
import { type Content, type Html, html } from './html.ts';

export interface Frame {
  readonly environment: string;
  readonly installation: string;
  readonly now: Date;
}

export interface Page {
  /** Also the heading. */
  readonly title: string;
  /** Path of the page in the navigation that this one belongs to. */
  readonly section: string;
  /** One sentence under the heading. */
  readonly lead?: Content;
  readonly body: Content;
  /** The script loads it again from time to time. */
  readonly isLive?: boolean;
}

export const SECTIONS: readonly (readonly [path: string, title: string])[] = [
  ['/', 'Overview'],
  ['/policies', 'Policies'],
  ['/exceptions', 'Exceptions'],
  ['/archives', 'Archives'],
  ['/vaults', 'Vaults'],
  ['/quarantine', 'Quarantine'],
  ['/offboardings', 'Offboardings'],
  ['/certificates', 'Certificates'],
  ['/audit', 'Audit'],
  ['/queues', 'Queues'],
];

const ENVIRONMENT_NOTES: Readonly<Record<string, string>> = {
  sandbox: 'Demo or test: time may be moved, certificates prove nothing about real data.',
  'non-production': 'Real services, data that is not to outlive its use.',
  production: 'Real data.',
};

export function layout(frame: Frame, page: Page): string {
  const { environment, installation, now } = frame;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${page.title} · Moraine</title>
<link rel="icon" type="image/svg+xml" href="/assets/mark.svg">
<link rel="stylesheet" href="/assets/console.css">
<script src="/assets/console.js" defer></script>
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header class="side"><div class="rail">
<a class="brand" href="/"><img src="/assets/mark.svg" alt="" width="30" height="30"><span>Moraine</span></a>
<nav aria-label="Pages"><ul>${SECTIONS.map(
    ([path, title]) =>
      html`<li><a href="${path}"${path === page.section ? html` aria-current="page"` : ''}>${title}</a></li>`,
  )}</ul></nav>
<div class="where"><span class="badge env-${environment}" title="${ENVIRONMENT_NOTES[environment] ?? ''}">${environment}</span>
<span class="muted">Installation <code>${installation}</code></span></div>
</div></header>
<main id="main"${page.isLive ? html` data-live` : ''}>
<div class="heading"><h1>${page.title}</h1><p class="read muted">As of ${instant(now)}</p></div>
${page.lead !== undefined && html`<p class="lead">${page.lead}</p>`}
${page.body}
</main>
</body>
</html>
`.toString();
}

/** A table that becomes a list of cards on a narrow screen: each cell then says what it is. */
export interface Column<T> {
  readonly title: string;
  readonly cell: (row: T) => Content;
  readonly isNumber?: boolean;
}

export function table<T>(caption: string, columns: readonly Column<T>[], rows: readonly T[]): Html {
  const kind = (column: Column<T>) => (column.isNumber ? html` class="number"` : '');
  return html`<div class="scroll"><table>
<caption>${caption}</caption>
<thead><tr>${columns.map((column) => html`<th scope="col"${kind(column)}>${column.title}</th>`)}</tr></thead>
<tbody>${rows.map(
    (row) =>
      html`<tr>${columns.map((column) => html`<td data-title="${column.title}"${kind(column)}><div>${column.cell(row)}</div></td>`)}</tr>
`,
  )}</tbody>
</table></div>`;
}

/** What stands where there is nothing to show, with what to do about it. */
export function empty(text: Content, command?: string): Html {
  return html`<div class="empty"><p>${text}</p>${command !== undefined && html`<p><code class="command">${command}</code></p>`}</div>`;
}

export function panel(title: Content, body: Content, aside?: Content): Html {
  return html`<section class="panel"><div class="panel-head"><h2>${title}</h2>${aside !== undefined && html`<div class="aside">${aside}</div>`}</div>${body}</section>`;
}

/** Text with `commands` in it, as hints have them. */
export function prose(text: string): Html {
  const parts = text.split(/`([^`]+)`/);
  return html`${parts.map((part, i) => (i % 2 === 1 ? html`<code>${part}</code>` : part))}`;
}

/** What to do next: a command alone looks like one, anything else is a sentence. */
export function hint(text: string): Html {
  return /^moraine [^.`]+$/.test(text)
    ? html`<code class="command">${text}</code>`
    : html`<span class="muted">${prose(text)}</span>`;
}

/** Pairs of a name and a value. Null leaves a pair out. */
export function facts(pairs: readonly (readonly [name: string, value: Content] | null)[]): Html {
  return html`<dl class="facts">${pairs.map(
    (pair) => pair !== null && html`<div><dt>${pair[0]}</dt><dd>${pair[1]}</dd></div>`,
  )}</dl>`;
}

export function stateBadge(state: string): Html {
  return html`<span class="badge state state-${state}">${state}</span>`;
}

export function archiveLink(archive: string): Html {
  return html`<a class="mono" href="/archives/${encodeURIComponent(archive)}">${archive}</a>`;
}
