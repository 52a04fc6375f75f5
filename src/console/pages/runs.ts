/** Runs as a table. */
import type { RunView } from '../data/runs.ts';
import { ago, count, day, span } from '../format.ts';
import { type Html, html } from '../html.ts';
import { empty, table } from '../layout.ts';

const BADGES: Readonly<Record<RunView['state'], string>> = { running: 'info', done: 'good', failed: 'bad' };

export function runTable(runs: readonly RunView[], now: Date): Html {
  if (runs.length === 0)
    return empty('Nothing ran yet. See what a run would take, then run it:', 'moraine plan && moraine run');
  return table(
    'Recent runs',
    [
      { title: 'Command', cell: ({ command }) => html`<strong>${command}</strong>` },
      {
        title: 'Started',
        cell: ({ startedAt, asOf }) =>
          html`${ago(startedAt, now)}${asOf !== null && html` <span class="muted">as of ${day(asOf)}</span>`}`,
      },
      {
        title: 'Took',
        cell: ({ startedAt, endedAt }) =>
          endedAt === null ? '–' : html`<span class="nowrap">${took(endedAt.getTime() - startedAt.getTime())}</span>`,
      },
      { title: 'By', cell: ({ by }) => by },
      { title: 'Policies', cell: ({ policies }) => (policies.length === 0 ? 'all' : policies.join(', ')) },
      { title: 'Came to', cell: (run) => cameTo(run) },
      {
        title: 'State',
        cell: ({ state, error }) =>
          html`<span class="badge ${BADGES[state]}">${state}</span>${error !== null && html` <code>${error}</code>`}`,
      },
    ],
    runs,
  );
}

function took(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : span(ms);
}

function cameTo({ counts, state }: RunView): string {
  const parts = Object.entries(counts).map(([name, amount]) => `${count(amount)} ${name}`);
  return parts.length > 0 ? parts.join(', ') : state === 'done' ? 'nothing to do' : '–';
}
