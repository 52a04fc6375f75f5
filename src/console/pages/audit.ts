/** The audit chain: the newest entries, and a check of the whole. */
import type { AuditVerification, AuditView } from '../data/audit.ts';
import { count, counted, instant, shortHash } from '../format.ts';
import { html } from '../html.ts';
import { empty, type Page, panel } from '../layout.ts';
import { entryList } from './audit-entries.ts';

const LEAD = 'Every act leaves an entry: the intent before, the outcome after. Each holds the hash of the one before.';

export function auditPage({ head, entries }: AuditView): Page {
  if (head === null) {
    return {
      title: 'Audit',
      section: '/audit',
      lead: LEAD,
      body: empty('Nothing was done yet.', 'moraine policy publish'),
    };
  }
  return {
    title: 'Audit',
    section: '/audit',
    lead: LEAD,
    body: html`${panel(
      'The chain',
      html`<p>${counted(head.seq, 'entry', 'entries')}, the last at ${instant(head.at)}, hash ${shortHash(head.hash)}.</p>
<p class="actions"><a class="button" href="/audit/verify">Verify the whole chain</a></p>`,
    )}
${panel('Newest entries', entryList(entries, { withSubject: true }))}`,
  };
}

const REASONS: Readonly<Record<string, string>> = {
  missing: 'an entry is missing',
  changed: 'the entry was changed',
  'chain broken': 'the entry does not continue the one before',
  'not the remembered entry': 'a certificate remembers another entry here',
};

export function verificationPage(verification: AuditVerification): Page {
  const { ok, entries, firstBad, reason, at, tookMs, certificates } = verification;
  const how = html`<p>Checked ${instant(at)} in ${Math.ceil(tookMs)} ms, and compared with what ${counted(certificates, 'certificate')} remember.</p>`;
  return {
    title: 'Audit chain',
    section: '/audit',
    lead: LEAD,
    body: html`${
      ok
        ? html`<section class="verdict good"><h2>The chain holds</h2><p>${counted(entries, 'entry', 'entries')} from the first to the last.</p>${how}</section>`
        : html`<section class="verdict bad"><h2>The chain does not hold at entry ${count(firstBad ?? 0)}</h2><p>${REASONS[reason ?? ''] ?? 'unknown reason'}. Keep the ledger as it is and look at that entry.</p>${how}</section>`
    }
<p class="actions"><a class="button" href="/audit">Back to the entries</a></p>`,
  };
}
