/** The job queues: how many jobs are where. bull-board shows the jobs themselves. */
import { count } from '../format.ts';
import { type Html, html } from '../html.ts';
import { empty, type Page, panel, table } from '../layout.ts';
import { JOB_STATES, type QueueFigures } from '../queues.ts';

export const BOARD_PATH = '/queues/board';

export function queuesPage(queues: readonly QueueFigures[], isWritable: boolean): Page {
  const board = html`<p class="actions"><a class="button" href="${BOARD_PATH}/">Open the queue dashboard</a></p>
<p class="muted">${
    isWritable
      ? html`Jobs can be changed there: <code>console.bullBoardWritable</code> is on.`
      : html`It only reads. <code>console: { bullBoardWritable: true }</code> in moraine.yaml lets it change jobs.`
  }</p>`;
  return {
    title: 'Queues',
    section: '/queues',
    isLive: true,
    lead: 'What the daemon works on. Redis can be lost at any time: the ledger is the truth, and lost jobs are put back.',
    body: panel('Jobs by queue', html`${queueTable(queues)}${queues.length > 0 && board}`),
  };
}

export function queueTable(queues: readonly QueueFigures[]): Html {
  if (queues.length === 0) {
    return empty(
      html`No queues: moraine.yaml names no Redis. Every act also runs in the foreground; the daemon needs <code>redis: { url: ... }</code>.`,
      'moraine worker',
    );
  }
  return table(
    'Jobs by queue and state',
    [
      {
        title: 'Queue',
        cell: ({ name, description, isPaused }) =>
          html`<strong>${name}</strong>${isPaused === true && html` <span class="badge warn">paused</span>`}${description !== '' && html` <span class="muted">${description}</span>`}`,
      },
      ...JOB_STATES.map((state) => ({
        title: state,
        isNumber: true,
        cell: ({ jobs }: QueueFigures) => jobCount(state, jobs?.[state] ?? null),
      })),
    ],
    queues,
  );
}

function jobCount(state: string, jobs: number | null): Html {
  if (jobs === null) return html`<span class="warn-text" title="Redis does not answer">?</span>`;
  if (jobs === 0) return html`<span class="muted zero">0</span>`;
  return state === 'failed' ? html`<span class="bad-text">${count(jobs)}</span>` : html`${count(jobs)}`;
}
