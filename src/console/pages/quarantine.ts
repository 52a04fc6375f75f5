/** Quarantine: how many wait, why, and since when. Neither a record's `_id` nor its content is shown. */
import type { QuarantineRow, QuarantineView } from '../data/quarantine.ts';
import { ago, count, counted, span } from '../format.ts';
import { html } from '../html.ts';
import { archiveLink, empty, type Page, panel, table } from '../layout.ts';

export function quarantinePage(view: QuarantineView, now: Date): Page {
  const { records, archives, oldestAt, reasons, entries, entriesRead } = view;
  const total = records + archives;
  const lead =
    'Records and archives that cannot be handled. They are kept where they are and stop nothing else, until a person has dealt with them.';
  if (total === 0) {
    return { title: 'Quarantine', section: '/quarantine', lead, body: empty('Nothing is in quarantine.') };
  }
  return {
    title: 'Quarantine',
    section: '/quarantine',
    lead,
    body: html`<section class="verdict warn"><h2>${counted(records, 'record')} and ${counted(archives, 'archive')} wait</h2>
<p>${oldestAt !== null && html`The oldest for ${span(now.getTime() - oldestAt.getTime())}. `}To see one with what it needs: <code class="command">moraine quarantine show '&lt;entry&gt;'</code></p></section>
${panel(
  'By reason',
  table(
    'Open entries by policy and reason',
    [
      { title: 'Policy', cell: ({ policy }) => policy },
      { title: 'Reason', cell: ({ reason, text }) => html`<code>${reason}</code> <span class="muted">${text}</span>` },
      { title: 'Entries', isNumber: true, cell: (row) => count(row.entries) },
      { title: 'Oldest', cell: (row) => ago(row.oldestAt, now) },
    ],
    reasons,
  ),
  entriesRead < total && `of the ${count(entriesRead)} oldest`,
)}
${panel(
  'Entries',
  table<QuarantineRow>(
    'Open entries, the oldest first',
    [
      {
        title: 'Entry',
        cell: ({ id, archive }) => (archive === null ? html`<code class="long">${id}</code>` : archiveLink(archive)),
      },
      { title: 'Policy', cell: ({ policy }) => policy },
      { title: 'Owner', cell: ({ owner }) => owner ?? '–' },
      { title: 'Customer', cell: ({ customer }) => customer ?? '–' },
      { title: 'Reason', cell: ({ reason }) => html`<code>${reason}</code>` },
      { title: 'Since', cell: ({ firstSeenAt }) => ago(firstSeenAt, now) },
      { title: 'Seen', isNumber: true, cell: ({ timesSeen }) => count(timesSeen) },
    ],
    entries,
  ),
  entries.length < total && `the ${count(entries.length)} oldest of ${count(total)}`,
)}`,
  };
}
