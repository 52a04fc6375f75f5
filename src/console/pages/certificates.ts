/** Certificates of destruction. */
import type { CertificateRow, CertificateView } from '../data/certificates.ts';
import { instant } from '../format.ts';
import { type Content, type Html, html } from '../html.ts';
import { archiveLink, empty, facts, type Page, panel, table } from '../layout.ts';

const LEAD = 'What was destroyed, by which rule, and how it was proved: signed, and kept for ever.';

export function certificatesPage(certificates: readonly CertificateRow[]): Page {
  return {
    title: 'Certificates',
    section: '/certificates',
    lead: LEAD,
    body:
      certificates.length === 0
        ? empty(
            'No certificate yet. One is signed when an archive was purged and a later inventory no longer lists it:',
            'moraine purge && moraine reconcile',
          )
        : html`<div class="panel flush">${table<CertificateRow>(
            'Certificates of destruction, the newest first',
            [
              { title: 'No.', isNumber: true, cell: ({ number }) => number },
              {
                title: 'Certificate',
                cell: ({ id }) => html`<a class="mono" href="/certificates/${encodeURIComponent(id)}">${id}</a>`,
              },
              { title: 'Owner', cell: ({ owner }) => owner },
              { title: 'Customer', cell: ({ customer }) => customer },
              { title: 'Policy', cell: ({ policy }) => policy },
              {
                title: 'Of',
                cell: ({ archive }) => (archive === null ? 'records without an archive' : archiveLink(archive)),
              },
              { title: 'Issued', cell: ({ issuedAt }) => instant(issuedAt) },
            ],
            certificates,
          )}</div>`,
  };
}

export function certificatePage(certificate: CertificateView): Page {
  const { id, number, isSignatureValid, keyId, signature, body } = certificate;
  const json: unknown = JSON.parse(body);
  const verdict = isSignatureValid
    ? html`<section class="verdict good"><h2>The signature holds</h2><p>Ed25519, key <code>${keyId}</code>, over the very text that the download holds.</p></section>`
    : html`<section class="verdict bad"><h2>The signature does not hold</h2><p>Treat this certificate as forged until that is explained.</p><p><code class="command">moraine audit verify</code></p></section>`;
  return {
    title: `Certificate no. ${number}`,
    section: '/certificates',
    lead: html`Certificate of destruction for <strong>${certificate.owner}</strong> / <strong>${certificate.customer}</strong>, issued ${instant(certificate.issuedAt)}`,
    body: html`${verdict}
${panel('What it says', certified(json), downloads(id))}
${panel(
  'Signature',
  facts([
    ['Key', html`<code>${keyId}</code>`],
    ['Signature', html`<code class="long">${signature}</code>`],
    ['Check it yourself', html`<code class="command">moraine certificate verify ${id}</code>`],
  ]),
)}`,
  };
}

/** The same certificate to read, to print, and for machines: each can be checked by itself. */
function downloads(id: string): Html {
  const at = (format: string) => `/api/certificates/${encodeURIComponent(id)}/download?format=${format}`;
  return html`<a class="button" href="${at('pdf')}" download>Download PDF</a> <a class="button" href="${at('html')}" download>Download HTML</a> <a class="button" href="${at('json')}" download>Download JSON</a>`;
}

/** The fields of the certificate in their own words; nested ones as lists within. */
function certified(value: unknown): Html {
  if (typeof value !== 'object' || value === null) return html`${shown(value)}`;
  return facts(Object.entries(value).map(([name, field]) => [inWords(name), shown(field)] as const));
}

function shown(value: unknown): Content {
  if (value === null) return '–';
  if (typeof value === 'object') return certified(value);
  const text = String(value);
  return text.length > 40 && !text.includes(' ') ? html`<code class="long">${text}</code>` : text;
}

/** `vaultDeletedAt` -> "Vault deleted at"; the JSON has the exact names. */
function inWords(name: string): string {
  const words = name.replaceAll(/([a-z])([A-Z])/g, (_, end: string, start: string) => `${end} ${start.toLowerCase()}`);
  return words.charAt(0).toUpperCase() + words.slice(1);
}
