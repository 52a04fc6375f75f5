/** What became of archived records, as a bar and in numbers that add up. */
import { type Outcomes, RECORD_OUTCOMES } from '../../ledger/archive-document.ts';
import { count } from '../format.ts';
import { type Html, html } from '../html.ts';
import { empty } from '../layout.ts';

const KINDS = [...RECORD_OUTCOMES, 'pending'] as const;

const MEANINGS: Readonly<Record<(typeof KINDS)[number], string>> = {
  deleted: 'deleted from the source; the vault has the copy',
  treated: 'stays, with fields removed or replaced; the vault has the whole copy',
  changed: 'changed in between: stays, its copy is void',
  held: 'under a legal hold: stays',
  gone: 'was missing before we tried',
  quarantined: 'could not be handled: stays',
  pending: 'no outcome yet',
};

const BAR_WIDTH = 1_000;
const BAR_HEIGHT = 18;

export function outcomesBar(outcomes: Outcomes): Html {
  if (outcomes.archived === 0) return empty('No record was archived yet.');
  let x = 0;
  const parts = KINDS.map((kind) => {
    const width = ((outcomes[kind] ?? 0) / outcomes.archived) * BAR_WIDTH;
    const part = { kind, x, width, records: outcomes[kind] ?? 0 };
    x += width;
    return part;
  });
  const sum = KINDS.reduce((total, kind) => total + (outcomes[kind] ?? 0), 0);
  const text = parts.filter(({ records }) => records > 0).map(({ kind, records }) => `${count(records)} ${kind}`);
  return html`<svg class="bar" viewBox="0 0 ${BAR_WIDTH} ${BAR_HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${text.join(', ')}">${parts.map(
    (part) =>
      part.width > 0 &&
      html`<rect class="fill-${part.kind}" x="${part.x.toFixed(2)}" y="0" width="${part.width.toFixed(2)}" height="${BAR_HEIGHT}"/>`,
  )}</svg>
<ul class="legend">${parts.map(
    ({ kind, records }) =>
      html`<li class="${records === 0 ? 'none' : ''}"><span class="swatch swatch-${kind}"></span><strong>${count(records)}</strong> <span>${kind}</span> <span class="muted">${MEANINGS[kind]}</span></li>
`,
  )}</ul>
<p class="balance ${sum === outcomes.archived ? 'good-text' : 'bad-text'}">${
    sum === outcomes.archived
      ? html`They add up: ${count(outcomes.archived)} archived.`
      : html`They do not add up: ${count(outcomes.archived)} archived, ${count(sum)} with an outcome or pending. Run <code>moraine reconcile</code>.`
  }</p>`;
}
