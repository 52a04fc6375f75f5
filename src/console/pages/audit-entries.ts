/** Entries of the audit chain, one line each with the details folded in. */
import type { AuditEntry } from '../../ledger/audit.ts';
import { count, day, instant } from '../format.ts';
import { type Html, html } from '../html.ts';
import { empty } from '../layout.ts';

export function entryList(entries: readonly AuditEntry[], options: { readonly withSubject: boolean }): Html {
  if (entries.length === 0) return empty('No entry.');
  return html`<ol class="timeline">${entries.map((entry) => entryItem(entry, options.withSubject))}</ol>`;
}

function entryItem(entry: AuditEntry, withSubject: boolean): Html {
  const details = Object.entries(entry.details).filter(([, value]) => value !== null);
  return html`<li class="${entry.phase}"><div class="entry-head"><strong>${entry.act}</strong>${entry.phase === 'intent' && html` <span class="badge">intent</span>`} ${instant(entry.at)} <span class="muted">by ${entry.actor}${entry.asOf !== null && html`, as of ${day(entry.asOf)}`}</span> <span class="seq" title="${entry.hash}">#${count(entry.seq)}</span></div>
${withSubject && html`<p class="entry-subject">${Object.entries(entry.subject).map(([name, value]) => subject(name, value))}</p>`}
${details.length > 0 && html`<p class="entry-details">${details.map(([name, value]) => html`<span><span class="muted">${name}</span> ${typeof value === 'string' ? value : JSON.stringify(value)}</span> `)}</p>`}</li>
`;
}

function subject(name: string, value: string): Html {
  const isArchive = name === 'archive';
  const text = isArchive ? html`<a class="mono" href="/archives/${encodeURIComponent(value)}">${value}</a>` : value;
  return html`<span><span class="muted">${name}</span> ${text}</span> `;
}
