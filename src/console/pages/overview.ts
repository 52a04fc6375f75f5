/** The first page: is everything in order, where is everything, what comes next. */
import { type ArchiveState, UNCLEARED_STATES } from '../../ledger/states.ts';
import type { Attention } from '../data/attention.ts';
import type { Overview } from '../data/overview.ts';
import { ago, bytes, count, counted, day, relative, span } from '../format.ts';
import { type Html, html } from '../html.ts';
import { archiveLink, empty, facts, hint as hintOf, type Page, panel, table } from '../layout.ts';
import { outcomesBar } from './outcomes.ts';
import { queueTable } from './queues.ts';
import { runTable } from './runs.ts';

export function overviewPage(overview: Overview, now: Date): Page {
  return {
    title: 'Overview',
    section: '/',
    isLive: true,
    body: html`${attention(overview)}
${life(overview)}
<div class="columns">
${panel('Records by outcome', outcomesBar(overview.outcomes))}
${panel('Figures', figures(overview, now))}
</div>
<div class="columns uneven">
${panel('Next purges', duePurges(overview, now), overview.duePurgeCount > 0 && counted(overview.duePurgeCount, 'archive'))}
${panel('Oldest record due in the source', oldestRecords(overview, now))}
</div>
${panel('Recent runs', runTable(overview.runs, now))}
${panel('Queues', queueTable(overview.queues), html`<a href="/queues">Queue dashboard</a>`)}`,
  };
}

function attention({ attention, oldestRecords, states }: Overview): Html {
  if (attention.length === 0) {
    // Without a policy nothing is looked after, and before the source has answered nobody knows whether anything is late.
    if (oldestRecords === null) {
      return verdict('info', 'Nothing needs a person so far', html`The source is still being asked what is due in it.`);
    }
    if (oldestRecords.length === 0 && states.every(({ archives }) => archives === 0)) {
      return verdict(
        'info',
        'No policy is in force yet',
        html`Put one into force: ${hintOf('moraine policy publish')}`,
      );
    }
    return verdict('good', 'Everything is in order', html`No alarm, nothing overdue, nothing in quarantine.`);
  }
  const isAlarm = attention.some(({ level }) => level === 'alarm');
  const title = `${counted(attention.length, 'thing')} ${attention.length === 1 ? 'needs' : 'need'} a person`;
  return html`<section class="verdict ${isAlarm ? 'bad' : 'warn'}" aria-label="Verdict"><h2>${title}</h2>
<ul>${attention.map(attentionItem)}</ul></section>`;
}

function verdict(kind: 'good' | 'info', title: string, text: Html): Html {
  return html`<section class="verdict ${kind}" aria-label="Verdict"><h2>${title}</h2><p>${text}</p></section>`;
}

function attentionItem({ level, text, hint, page }: Attention): Html {
  return html`<li><span class="badge ${level === 'alarm' ? 'bad' : 'warn'}">${level}</span> <span>${text}${page !== null && html` <a href="${page}">Show</a>`}</span> ${hintOf(hint)}</li>
`;
}

const MEANINGS: Readonly<Record<ArchiveState, string>> = {
  planned: 'What it will hold is written down. Nothing is in the vault.',
  storing: 'On its way to the vault.',
  stored: 'The vault acknowledged the whole file.',
  verified: 'The copy is proved. The originals may be deleted.',
  cleared: 'Every original has an outcome. The vault holds the copy.',
  purging: 'Due and claimed for purge.',
  purged: 'The vault deleted the file, the key is destroyed.',
  confirmed: 'An inventory no longer lists it. The certificate is signed.',
  abandoned: 'Nothing was left to take.',
  quarantined: 'Cannot be handled; kept until a person decides.',
};

const PHASES: readonly { readonly title: string; readonly note: string; readonly states: readonly ArchiveState[] }[] = [
  { title: 'Being archived', note: 'the originals are still in place', states: UNCLEARED_STATES },
  { title: 'Archived', note: 'originals deleted', states: ['cleared'] },
  { title: 'Destruction', note: 'only the evidence stays', states: ['purging', 'purged', 'confirmed'] },
];

/** The life of an archive, with how many are where. */
function life(overview: Overview): Html {
  const figuresOf = (state: ArchiveState) => overview.states.find((figures) => figures.state === state);
  const step = (state: ArchiveState) => {
    const figures = figuresOf(state);
    const archives = figures?.archives ?? 0;
    return html`<li class="step${archives === 0 ? ' none' : ''}"><a href="/archives?state=${state}" title="${MEANINGS[state]}">
<span class="step-name">${state}</span><span class="step-count">${count(archives)}</span>
<span class="step-size">${counted(figures?.records ?? 0, 'record')}${figures !== undefined && figures.bytes > 0 && html`<br>${bytes(figures.bytes)}`}</span></a></li>
`;
  };
  const aside = (['quarantined', 'abandoned'] as const).map((state) => {
    const archives = figuresOf(state)?.archives ?? 0;
    return html`<a class="${archives > 0 && state === 'quarantined' ? 'warn-text' : 'muted'}" href="/archives?state=${state}" title="${MEANINGS[state]}">${count(archives)} ${state}</a>`;
  });
  const isEmpty = overview.states.every(({ archives }) => archives === 0);
  const picture = html`<div class="life">${PHASES.map(
    (
      { title, note, states },
      i,
    ) => html`<section class="phase phase-${i} steps-${states.length}"><h3>${title} <span class="muted">${note}</span></h3>
<ol>${states.map(step)}</ol></section>
`,
  )}</div>`;
  const hint = isEmpty && empty('No archive yet. Say what is due, then run it:', 'moraine plan && moraine run');
  return panel('Archives', html`${picture}${hint}`, aside);
}

function figures(overview: Overview, now: Date): Html {
  const { outcomes, recordBytes, vaultBytes, quarantine, holds, pauses, auditEntries, tookMs, at } = overview;
  const open = quarantine.records + quarantine.archives;
  return facts([
    ['Records archived', html`${count(outcomes.archived)} <span class="muted">(${bytes(recordBytes)} of BSON)</span>`],
    ['Deleted from the source', count(outcomes.deleted)],
    ['In vaults now', bytes(vaultBytes)],
    [
      'Quarantine',
      html`<a href="/quarantine">${counted(open, 'open entry', 'open entries')}</a>${quarantine.oldestAt !== null && html` <span class="muted">oldest ${relative(quarantine.oldestAt, now)}</span>`}`,
    ],
    ['Legal holds', count(holds)],
    ['Pauses', count(pauses.length)],
    ['Audit entries', html`<a href="/audit">${count(auditEntries)}</a>`],
    ['Ledger read', html`${ago(at, now)} <span class="muted">in ${Math.ceil(tookMs)} ms</span>`],
  ]);
}

function duePurges({ duePurges, overduePurges }: Overview, now: Date): Html {
  if (duePurges.length === 0) return empty('No archive is due for purge within 30 days.');
  const overdue = new Set(overduePurges.map(({ archive }) => archive));
  return table(
    'Archives due for purge within 30 days',
    [
      {
        title: 'Due',
        cell: ({ dueAt }) => html`${day(dueAt)} <span class="muted nowrap">${relative(dueAt, now)}</span>`,
      },
      { title: 'State', cell: ({ archive, dueAt }) => purgeBadge(overdue.has(archive), dueAt <= now) },
      { title: 'Archive', cell: ({ archive }) => archiveLink(archive) },
      { title: 'Whose', cell: ({ owner, customer }) => html`<span class="long">${owner} / ${customer}</span>` },
    ],
    duePurges,
  );
}

function purgeBadge(isOverdue: boolean, isDue: boolean): Html {
  if (isOverdue) return html`<span class="badge bad">overdue</span>`;
  return isDue ? html`<span class="badge warn">due</span>` : html`<span class="badge">soon</span>`;
}

function oldestRecords({ oldestRecords }: Overview, now: Date): Html {
  if (oldestRecords === null) return empty('The source is being asked. Load the page again in a moment.');
  if (oldestRecords.length === 0) return empty('No policy is in force. Put one into force:', 'moraine policy publish');
  return table(
    'The oldest record of each policy that is due and still in the source',
    [
      { title: 'Policy', cell: ({ policy }) => policy },
      {
        title: 'Due since',
        cell: ({ dueAt, problem }) =>
          problem === null ? day(dueAt, 'nothing is due') : html`<span class="warn-text">${problem.code}</span>`,
      },
      {
        title: 'State',
        cell: ({ dueAt, overdueFrom, overdueSeconds }) => {
          if (overdueSeconds === null) return html`<span class="badge warn">not readable</span>`;
          if (overdueSeconds > 0)
            return html`<span class="badge bad">overdue for ${span(overdueSeconds * 1_000)}</span>`;
          if (dueAt === null || overdueFrom === null) return html`<span class="badge good">in time</span>`;
          return html`<span class="badge good">in time</span> <span class="muted">overdue ${relative(overdueFrom, now)}</span>`;
        },
      },
    ],
    oldestRecords,
  );
}
