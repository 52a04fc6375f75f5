/** Exceptions: longer or shorter for some, with who stands for it. */
import type { ExceptionRow, ExceptionStanding, ExceptionsView } from '../data/exceptions.ts';
import { count, counted, day, relative } from '../format.ts';
import { type Content, type Html, html } from '../html.ts';
import { empty, type Page, prose, table } from '../layout.ts';
import { words } from './policies.ts';

const ASK =
  'moraine exception request <policy> --longer "5 years" --customer <customer> --until <date> --reason "<why>"';

export function exceptionsPage(view: ExceptionsView, now: Date): Page {
  const { exceptions, isAll, over, isCut } = view;
  return {
    title: 'Exceptions',
    section: '/exceptions',
    lead: 'Longer or shorter than a policy says, for an owner, a customer, or records with a value. Without the approval of another person one does nothing.',
    body: html`${(isAll || over > 0) && filter(isAll, over)}
${exceptions.length === 0 ? nothing(over) : list(exceptions, now)}
${isCut && html`<p class="muted">${prose('Only the newest are shown; `moraine exception list --all` has every one.')}</p>`}`,
  };
}

function filter(isAll: boolean, over: number): Html {
  return html`<form class="filters" method="get" action="/exceptions">
<div class="field"><label for="filter-show">Show</label><select id="filter-show" name="show">
<option value="">asked for or in force</option>
<option value="all"${isAll && html` selected`}>all, those that are over too (${count(over)})</option></select></div>
<div class="actions"><button type="submit">Filter</button>${isAll && html` <a href="/exceptions">Clear</a>`}</div>
</form>`;
}

function nothing(over: number): Html {
  return empty(
    over === 0
      ? 'No exception was ever asked for. To ask for one:'
      : html`No exception is asked for or in force. <a href="/exceptions?show=all">Show those that are over</a>, or ask for one:`,
    ASK,
  );
}

function list(exceptions: readonly ExceptionRow[], now: Date): Html {
  return html`<div class="panel flush">${table<ExceptionRow>(
    'Exceptions, the newest first',
    [
      {
        title: 'Exception',
        cell: ({ id, reason }) => html`<code class="long">${id}</code> <span class="muted long">${reason}</span>`,
      },
      { title: 'State', cell: (row) => standing(row) },
      {
        title: 'Says',
        cell: (row) =>
          html`<div><strong>${row.effect}</strong> than policy ${row.policy}: ${words(row.active)}</div><div class="long">for ${scope(row)}</div>`,
      },
      { title: 'When', cell: (row) => when(row, now) },
      {
        title: 'Asked by',
        cell: ({ requestedBy, requestedAt }) =>
          html`<span class="long">${requestedBy}</span> <span class="muted">${day(requestedAt)}</span>`,
      },
      { title: 'Approved by', cell: (row) => approved(row) },
    ],
    exceptions,
  )}</div>`;
}

const BADGES: Readonly<Record<ExceptionStanding, readonly [kind: string, text: string]>> = {
  waits: ['warn', 'waits for approval'],
  later: ['info', 'not yet'],
  grace: ['info', 'in its grace'],
  'in force': ['good', 'in force'],
  over: ['', 'over'],
  withdrawn: ['', 'withdrawn'],
};

function standing(row: ExceptionRow): Html {
  const [kind, text] = BADGES[row.standing];
  const why =
    row.endedBy === null
      ? ''
      : html` <span class="muted">by ${row.endedBy}${row.endReason !== null && `: ${row.endReason}`}</span>`;
  return html`<span class="badge ${kind}">${text}</span>${why}`;
}

function scope({ owner, customer, values }: ExceptionRow): Content {
  const parts: Content[] = [];
  if (owner !== null) parts.push(html`owner <strong>${owner}</strong>`);
  if (customer !== null) parts.push(html`customer <strong>${customer}</strong>`);
  if (values !== null) parts.push(html`${counted(values.count, 'value')} of <code>${values.field}</code>`);
  if (parts.length === 0) return 'all records of the policy';
  return parts.flatMap((part, i) => (i === 0 ? [part] : [', ', part]));
}

function approved({ grantedBy, grantedAt, approval, state }: ExceptionRow): Content {
  if (grantedAt !== null)
    return html`<span class="long">${grantedBy.join(', ')}</span> <span class="muted">${day(grantedAt)}</span>`;
  if (state === 'withdrawn' || approval === null) return html`<span class="muted">nobody</span>`;
  return html`<code class="command">moraine approve show ${approval}</code>`;
}

function when({ effect, from, until, endedAt, bitesAt }: ExceptionRow, now: Date): Html {
  const end = endedAt === null ? day(until, 'somebody ends it') : html`${day(endedAt)}, when it was ended`;
  const bites =
    bitesAt === null
      ? 'nothing before its approval and the grace'
      : html`nothing before ${day(bitesAt)}, ${relative(bitesAt, now)}`;
  return html`<div>from ${day(from, 'its approval')}</div><div>until ${end}</div>${effect === 'shorter' && html`<div class="muted">${bites}</div>`}`;
}
