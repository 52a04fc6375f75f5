/** Archives in a table, with filters that are plain forms. */
import { ARCHIVE_STATES } from '../../ledger/states.ts';
import type { ArchiveFilter, ArchivePage } from '../data/archives.ts';
import { bytes, count, day, relative } from '../format.ts';
import { type Html, html } from '../html.ts';
import { archiveLink, empty, type Page, stateBadge, table } from '../layout.ts';

export function archivesPage(page: ArchivePage, now: Date): Page {
  const { archives, filter } = page;
  return {
    title: 'Archives',
    section: '/archives',
    lead: 'Each is one immutable file in a vault: records of one owner, one customer and one dataset.',
    body: html`${filters(page)}
${archives.length === 0 ? nothing(filter) : list(page, now)}
${pages(page)}`,
  };
}

function filters({ filter, choices }: ArchivePage): Html {
  return html`<form class="filters" method="get" action="/archives">
${select('state', 'State', filter.state, ARCHIVE_STATES, 'all but abandoned')}
${select('owner', 'Owner', filter.owner, choices.owners, 'all')}
${select('customer', 'Customer', filter.customer, choices.customers, 'all')}
${select('policy', 'Policy', filter.policy, choices.policies, 'all')}
<div class="actions"><button type="submit">Filter</button>${isFiltered(filter) && html` <a href="/archives">Clear</a>`}</div>
</form>`;
}

function select(name: string, label: string, chosen: string | null, options: readonly string[], all: string): Html {
  // A value that came by a link stays chosen although it is not among the choices.
  const values = chosen === null || options.includes(chosen) ? options : [chosen, ...options];
  return html`<div class="field"><label for="filter-${name}">${label}</label><select id="filter-${name}" name="${name}">
<option value="">${all}</option>${values.map(
    (value) => html`<option value="${value}"${value === chosen ? html` selected` : ''}>${value}</option>`,
  )}</select></div>
`;
}

function list({ archives }: ArchivePage, now: Date): Html {
  return html`<div class="panel flush">${table(
    'Archives',
    [
      { title: 'Archive', cell: ({ id }) => archiveLink(id) },
      { title: 'State', cell: ({ state }) => stateBadge(state) },
      { title: 'Owner', cell: ({ owner }) => owner },
      { title: 'Customer', cell: ({ customer }) => customer },
      { title: 'Policy', cell: ({ policy }) => policy },
      { title: 'Records', isNumber: true, cell: ({ records }) => count(records) },
      { title: 'Size', isNumber: true, cell: (row) => bytes(row.bytes) },
      {
        title: 'Purge date',
        cell: ({ dueAt }) =>
          html`${day(dueAt)}${dueAt !== null && html` <span class="muted">${relative(dueAt, now)}</span>`}`,
      },
    ],
    archives,
  )}</div>`;
}

function nothing(filter: ArchiveFilter): Html {
  return isFiltered(filter)
    ? empty(html`No archive fits these filters. <a href="/archives">Show all</a>`)
    : empty('No archive yet. See what a run would take, then run it:', 'moraine plan && moraine run');
}

function pages({ filter, next }: ArchivePage): Html {
  const { state, owner, customer, policy, after } = filter;
  const query = (extra: Record<string, string>) => {
    const given = Object.entries({ state, owner, customer, policy }).flatMap(([name, value]) =>
      value === null ? [] : [[name, value]],
    );
    return new URLSearchParams({ ...Object.fromEntries(given), ...extra }).toString();
  };
  if (after === null && next === null) return html``;
  return html`<nav class="pages" aria-label="More archives">${after !== null && html`<a class="button" href="/archives?${query({})}">Newest</a>`}${
    next !== null && html`<a class="button" rel="next" href="/archives?${query({ after: next })}">Older</a>`
  }</nav>`;
}

function isFiltered({ state, owner, customer, policy }: ArchiveFilter): boolean {
  return [state, owner, customer, policy].some((value) => value !== null);
}
