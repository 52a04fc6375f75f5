/** Policies in force: what they say in words, and what they came to. */

import { overdueMs } from '../../lifecycle/oldest-records.ts';
import type { FieldChange } from '../../policy/difference.ts';
import { isoPeriod, parsePeriod, periodWords } from '../../policy/period.ts';
import { scheduleWords, triggerWords } from '../../policy/words.ts';
import type { ComingVersion, PolicyView } from '../data/policies.ts';
import { ago, bytes, count, counted, day, instant, relative, shortHash, span } from '../format.ts';
import { type Content, type Html, html } from '../html.ts';
import { empty, facts, type Page, panel, prose, table } from '../layout.ts';

export function policiesPage(policies: readonly PolicyView[], now: Date): Page {
  return {
    title: 'Policies',
    section: '/policies',
    lead: 'The retention schedules in force. A run uses what was published, whatever the files say meanwhile.',
    body:
      policies.length === 0
        ? empty('No policy is in force. Check the files, then put them into force:', 'moraine policy publish')
        : policies.map((policy) => policyPanel(policy, now)),
  };
}

function policyPanel(view: PolicyView, now: Date): Html {
  const { policy, figures } = view;
  const aside = html`version ${shortHash(view.version)}`;
  return panel(
    html`${view.name} <span class="muted">${policy.dataset.collection}</span>`,
    html`<p class="rule">${rule(view)}</p>
<div class="columns">
${facts([
  [
    'In force',
    html`${instant(view.inForceSince)}${view.publishedBy !== null && html` <span class="muted">by ${view.publishedBy}, ${counted(view.versions, 'version')}</span>`}`,
  ],
  ['Schedule', schedule(view, now)],
  ['Last good run', ago(view.lastGoodRun, now, 'none yet')],
  ['Oldest record due', oldest(view, now)],
  ['Owner and customer', html`${party(policy.dataset.owner)} and ${party(policy.dataset.customer)}`],
  ['Trigger', html`<code>${triggerWords(policy.trigger)}</code>${policy.trigger.kind === 'objectId' && ' (its time)'}`],
])}
${facts([
  ...archiveFacts(policy.archive),
  ['Grace', words(policy.grace)],
  ['Blast caps', caps(view)],
  [
    'Records archived',
    html`${count(figures?.outcomes.archived ?? 0)} <span class="muted">${count(figures?.outcomes.deleted ?? 0)} deleted from the source</span>`,
  ],
  [
    'Next purge',
    figures?.nextPurge
      ? html`${day(figures.nextPurge)} <span class="muted">${relative(figures.nextPurge, now)}</span>`
      : '–',
  ],
])}
</div>
${view.coming !== null && coming(view.coming, now)}
${customers(view)}`,
    aside,
  );
}

/** What was published and waits for its instant. */
function coming({ version, publishedBy, publishedAt, approval, from, changes }: ComingVersion, now: Date): Html {
  return html`<section class="coming"><h3>Changes ${relative(from, now)}</h3>
<p>Version ${shortHash(version)} is in force from ${instant(from)} on. <span class="muted">Published by ${publishedBy}, ${instant(publishedAt)}${approval !== null && html`, approved: <code class="long">${approval}</code>`}</span></p>
${table<FieldChange>(
  'What it changes',
  [
    { title: 'Field', cell: ({ field }) => html`<code class="long">${field}</code>` },
    { title: 'In force', cell: ({ old }) => value(old) },
    { title: 'Then', cell: ({ next }) => value(next) },
  ],
  changes,
)}</section>`;
}

function value(text: string | null): Content {
  return text === null ? html`<span class="muted">not there</span>` : text;
}

function archiveFacts(archive: PolicyView['policy']['archive']): [string, Content][] {
  if (archive === null) return [];
  return [
    ['Vault', html`${archive.vault} <span class="muted">verified by ${archive.verify}</span>`],
    ['Due window, longest wait', `${words(archive.dueWindow)}, ${words(archive.maxWait)}`],
  ];
}

/** The schedule as a sentence. */
function rule({ policy }: PolicyView): Content {
  if (
    typeof policy.active !== 'string' ||
    typeof policy.archive?.for !== 'string' ||
    policy.treat !== undefined ||
    policy.dispositions !== undefined
  ) {
    return scheduleWords(policy);
  }
  return html`A record stays for <strong>${words(policy.active)}</strong>, then its copy stays in the archive for <strong>${words(policy.archive.for)}</strong>, then it is destroyed.`;
}

function schedule({ policy, nextRun }: PolicyView, now: Date): Html {
  if (policy.schedule === null || nextRun === null) return html`by hand: <code>moraine run ${policy.name}</code>`;
  return html`<code>${policy.schedule}</code> <span class="muted">${policy.zone}, next ${relative(nextRun, now)}</span>`;
}

function oldest({ oldestRecord }: PolicyView, now: Date): Html {
  if (oldestRecord === null) return html`<span class="muted">being asked</span>`;
  const { problem, dueAt } = oldestRecord;
  if (problem !== null)
    return html`<span class="warn-text">${problem.code}</span> <span class="muted">${prose(problem.hint)}</span>`;
  if (dueAt === null) return html`nothing is due`;
  const lateMs = overdueMs(oldestRecord, now) ?? 0;
  return html`since ${day(dueAt)}${lateMs > 0 && html` <span class="badge bad">overdue for ${span(lateMs)}</span>`}`;
}

function party(from: { readonly field: string } | { readonly value: string }): Html {
  return 'field' in from ? html`field <code>${from.field}</code>` : html`always <strong>${from.value}</strong>`;
}

function caps({ policy }: PolicyView): Html {
  const { records, share } = policy.limits;
  if (records === null || share === null) return html`<span class="warn-text">missing: it starts nothing</span>`;
  return html`${counted(records, 'record')} or ${(share * 100).toFixed(share < 0.01 ? 2 : 0)} % of the collection in one run`;
}

const MOST_CUSTOMERS = 12;

function customers({ name, figures }: PolicyView): Html {
  const all = figures?.customers ?? [];
  if (all.length === 0) return html`<p class="muted">No archive of it is in a vault.</p>`;
  const shown = all.toSorted((a, b) => b.archives - a.archives).slice(0, MOST_CUSTOMERS);
  const inVaults = Object.values(figures?.vaultBytes ?? {}).reduce((sum, size) => sum + size, 0);
  return html`<h3>In vaults <span class="muted">${bytes(inVaults)} of ${counted(all.length, 'customer')}</span></h3><ul class="chips">${shown.map(
    ({ owner, customer, archives }) =>
      html`<li><a href="/archives?${new URLSearchParams({ policy: name, owner, customer }).toString()}">${owner} / ${customer} <span class="muted">${count(archives)}</span></a></li>`,
  )}${all.length > MOST_CUSTOMERS && html`<li class="muted">and <a href="/vaults">${count(all.length - MOST_CUSTOMERS)} more</a></li>`}</ul>`;
}

/** "2 years" for P2Y. */
export function words(iso: string): string {
  const period = parsePeriod(iso);
  return period === null ? iso : periodWords(period) || isoPeriod(period);
}
