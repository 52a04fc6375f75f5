/** Offboardings: customers that leave. */
import type { OffboardingRow } from '../data/offboardings.ts';
import { count, counted, day, shortHash } from '../format.ts';
import { type Content, type Html, html } from '../html.ts';
import { empty, type Page, table } from '../layout.ts';

export function offboardingsPage(offboardings: readonly OffboardingRow[]): Page {
  return {
    title: 'Offboardings',
    section: '/offboardings',
    lead: 'Customers that leave: everything was returned as an export, then all that the export holds is destroyed, with certificates.',
    body:
      offboardings.length === 0
        ? empty(
            'No customer was offboarded. Return everything, then destroy what was returned:',
            'moraine offboard <customer> --owner <owner> --export <folder> --reason "<why>"',
          )
        : list(offboardings),
  };
}

function list(offboardings: readonly OffboardingRow[]): Html {
  return html`<div class="panel flush">${table<OffboardingRow>(
    'Offboardings, the newest first',
    [
      {
        title: 'Customer',
        cell: ({ owner, customer, reason }) =>
          html`<div class="long"><strong>${customer}</strong> of ${owner}</div><div class="muted long">${reason}</div>`,
      },
      { title: 'Stage', cell: (row) => stage(row) },
      {
        title: 'Export returned',
        cell: ({ export: returned }) =>
          html`<code class="long">${returned.id}</code><div class="muted">manifest ${shortHash(returned.manifestSha256)}</div><div class="muted">with ${counted(returned.archives, 'archive')}</div>`,
      },
      { title: 'Destroyed, with certificates', cell: (row) => destroyed(row) },
      {
        title: 'Begun by',
        cell: ({ saidBy, approval, startedAt }) =>
          html`<div class="long">${saidBy}</div><div class="muted">${day(startedAt)}</div><div class="muted">approved: <code class="long">${approval}</code></div>`,
      },
    ],
    offboardings,
  )}</div>`;
}

const STAGES: Readonly<Record<OffboardingRow['state'], readonly [kind: string, text: string]>> = {
  open: ['warn', 'under way'],
  done: ['good', 'done'],
  superseded: ['', 'superseded'],
};

function stage({ state, endedAt, owner, customer }: OffboardingRow): Html {
  const [kind, text] = STAGES[state];
  const badge = html`<span class="badge ${kind}">${text}</span>`;
  if (state === 'done') return html`${badge} <span class="muted">${day(endedAt)}</span>`;
  if (state === 'superseded') return html`${badge} <span class="muted">another export goes on instead</span>`;
  return html`${badge} <span class="muted">goes on with the same export:</span> <code class="command">moraine offboard ${customer} --owner ${owner} --export &lt;folder&gt;</code>`;
}

function destroyed({ records, archives, certificates }: OffboardingRow): Html {
  const { destroyed: gone, all, notReturned } = archives;
  return html`<div>${counted(records.deleted, 'record')}${records.held > 0 && html`, ${count(records.held)} held`}, ${count(gone)} of ${counted(all, 'archive')}</div>${
    notReturned > 0 && html`<div class="muted">${count(notReturned)} not in the export, as was said</div>`
  }<div>${links(certificates)}</div>`;
}

const MOST_CERTIFICATES = 6;

function links(certificates: readonly string[]): Content {
  if (certificates.length === 0) return html`<span class="muted">no certificate yet</span>`;
  const shown = certificates.slice(0, MOST_CERTIFICATES);
  const more = certificates.length - shown.length;
  return html`<span class="muted">${certificates.length === 1 ? 'Certificate' : 'Certificates'}:</span> ${shown.map(
    (id) => html`<a class="mono long" href="/certificates/${encodeURIComponent(id)}">${id}</a> `,
  )}${more > 0 && html`<span class="muted">and ${count(more)} more</span>`}`;
}
