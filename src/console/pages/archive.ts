/** One archive: where it is in its life, what is proved about it, and everything that was done, from the audit chain. */
import { ARCHIVE_STATES } from '../../ledger/states.ts';
import type { ArchiveView, RetrievalView } from '../data/archive.ts';
import { bytes, count, day, instant, relative, shortHash } from '../format.ts';
import { type Html, html } from '../html.ts';
import { empty, facts, type Page, panel, stateBadge, table } from '../layout.ts';
import { entryList } from './audit-entries.ts';
import { outcomesBar } from './outcomes.ts';

export function archivePage(archive: ArchiveView, now: Date): Page {
  return {
    title: archive.id,
    section: '/archives',
    lead: html`${count(archive.records)} records of <strong>${archive.owner}</strong> / <strong>${archive.customer}</strong> from <code>${archive.dataset}</code>`,
    body: html`${progress(archive)}
${archive.quarantine !== null && html`<section class="verdict warn"><h2>In quarantine</h2><p>${archive.quarantine.reason ?? 'No reason was given.'} It was ${archive.quarantine.from ?? 'in no known state'} before.</p><p><code class="command">moraine quarantine show 'archive ${archive.id}'</code></p></section>`}
<div class="columns">
${panel('Facts', factsOf(archive, now), stateBadge(archive.state))}
${panel('Records by outcome', outcomesBar(archive.outcomes))}
</div>
<div class="columns">
${panel('Proof', proof(archive))}
${panel('Retrievals', retrievals(archive, now))}
</div>
${panel('Timeline', html`<p class="muted">From the audit chain, the oldest first.</p>${entryList(archive.timeline, { withSubject: false })}`)}`,
  };
}

const STEPS = ARCHIVE_STATES.filter((state) => state !== 'abandoned' && state !== 'quarantined');

/** The steps of the life with the one that it has reached. */
function progress({ state, quarantine }: ArchiveView): Html {
  if (state === 'abandoned') return empty('Abandoned: nothing was left to take when its turn came.');
  const reached = STEPS.findIndex((step) => step === (quarantine?.from ?? state));
  return html`<ol class="progress" aria-label="Life of the archive">${STEPS.map((step, i) => {
    const kind = i < reached ? 'done' : i === reached ? 'now' : 'ahead';
    return html`<li class="${kind}"${kind === 'now' ? html` aria-current="step"` : ''}>${step}</li>`;
  })}</ol>`;
}

function factsOf(archive: ArchiveView, now: Date): Html {
  const { location, triggers, dueAt, attempts } = archive;
  const isDestroyed = ['purged', 'confirmed'].includes(archive.state);
  return facts([
    [
      'Policy',
      html`<a href="/policies">${archive.policy}</a> <span class="muted">version ${shortHash(archive.policyVersion)}</span>`,
    ],
    [
      'Vault',
      html`${location.name}${location.prefix} <span class="muted">${location.backend}, ${location.region}, ${location.key} in moraine.yaml</span>`,
    ],
    ['File', archive.vaultArchiveId === null ? 'not stored yet' : bytes(archive.bytes)],
    [
      'Records',
      html`${count(archive.records)}${archive.recordBytes !== null && html` <span class="muted">${bytes(archive.recordBytes)} of BSON</span>`}`,
    ],
    triggers === null ? null : ['Triggers', html`${day(triggers.from)} to ${day(triggers.to)}`],
    ['Planned', instant(archive.createdAt)],
    ['Stored', instant(archive.storedAt, 'not yet')],
    [
      'Verified',
      html`${instant(archive.verifiedAt, 'not yet')} <span class="muted">level ${archive.verifyLevel}</span>`,
    ],
    [
      'Purge date',
      html`${day(dueAt, 'set when it is sealed')}${dueAt !== null && !isDestroyed && html` <span class="muted">${relative(dueAt, now)}</span>`}`,
    ],
    attempts > 1
      ? ['Attempts', html`${attempts} <span class="muted">earlier ones were abandoned, their keys destroyed</span>`]
      : null,
  ]);
}

function proof(archive: ArchiveView): Html {
  const { purge, certificate, treeHash } = archive;
  if (treeHash === null) return empty('Nothing is proved before the file is stored.');
  return facts([
    ['Tree hash', longHash(treeHash)],
    ['Merkle root of the records', archive.merkleRoot === null ? '–' : longHash(archive.merkleRoot)],
    ['Manifest', archive.manifestSha256 === null ? '–' : longHash(archive.manifestSha256)],
    ['At the vault', html`<code class="long">${archive.vaultArchiveId}</code>`],
    purge === null ? null : ['Purge claimed for', day(purge.claimedDueAt)],
    purge?.acceptedAt ? ['Vault deleted it', instant(purge.acceptedAt)] : null,
    purge?.keyDestroyedAt ? ['Key destroyed', instant(purge.keyDestroyedAt)] : null,
    purge?.confirmedByInventoryAt ? ['Inventory without it', instant(purge.confirmedByInventoryAt)] : null,
    certificate === null
      ? null
      : [
          'Certificate',
          html`<a class="mono" href="/certificates/${encodeURIComponent(certificate)}">${certificate}</a>`,
        ],
  ]);
}

function longHash(hash: string): Html {
  return html`<code class="long">${hash}</code>`;
}

function retrievals({ retrievals, id, state }: ArchiveView, now: Date): Html {
  if (retrievals.length > 0) {
    return table<RetrievalView>(
      'Retrievals',
      [
        { title: 'Asked', cell: ({ requestedAt }) => instant(requestedAt) },
        { title: 'Tier', cell: ({ tier }) => tier },
        { title: 'State', cell: ({ state: is }) => html`<span class="badge">${is}</span>` },
        {
          title: 'There',
          cell: ({ readyAt, expectedAt, expiresAt }) =>
            readyAt === null
              ? html`expected ${expectedAt === null ? 'soon' : relative(expectedAt, now)}`
              : html`${instant(readyAt)}${expiresAt !== null && html` <span class="muted">until ${instant(expiresAt)}</span>`}`,
        },
      ],
      retrievals,
    );
  }
  const canBe = ['stored', 'verified', 'cleared'].includes(state);
  return canBe
    ? empty('Nobody has asked for it. To read it, an administrator asks the vault:', `moraine retrieve ${id}`)
    : empty('Nobody has asked for it.');
}
