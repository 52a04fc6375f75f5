/** A certificate as a page of its own: nothing is loaded, it prints on paper, and the signed text is in it. */
import { type CertificateBody, readBody } from './body.ts';
import { type Line, type SheetSection, sheetOf } from './sheet.ts';
import { SCRIPT_ID, type SignedCertificate } from './signed-file.ts';

export function certificatePage(
  signed: SignedCertificate,
  body: CertificateBody | null = readBody(signed.body),
): string {
  const { keyId, signature } = signed;
  if (body === null) return '';
  const { title, number, statement, warning, sections } = sheetOf(body);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(title)} ${escaped(number)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<p class="maker">Moraine</p>
<h1>${escaped(title)}</h1>
<p class="number">${escaped(number)}</p>
</header>
${warning === null ? '' : `<p class="warning" role="note"><strong>Not for evidence.</strong> ${escaped(warning)}</p>\n`}<p class="statement">${escaped(statement)}</p>
${sections.map(sectionHtml).join('\n')}
<section class="seal">
<h2>Signature</h2>
<dl>
${lineHtml({ label: 'Ed25519, by key', text: keyId, isExact: true })}
${lineHtml({ label: 'Signature', text: signature, isExact: true })}
</dl>
<p>The signed text is inside this file. To check it without the operator: <code>moraine certificate verify FILE --key KEY.pem</code>, with the public key of the id above as the operator has published it.</p>
</section>
</main>
<script type="application/json" id="${SCRIPT_ID}">${scriptSafe(JSON.stringify(signed))}</script>
</body>
</html>
`;
}

function sectionHtml({ title, lines }: SheetSection): string {
  return `<section>
<h2>${escaped(title)}</h2>
<dl>
${lines.map(lineHtml).join('\n')}
</dl>
</section>`;
}

function lineHtml({ label, text, isExact }: Line): string {
  const value = isExact === true ? `<code>${escaped(text)}</code>` : escaped(text);
  return `<div><dt>${escaped(label)}</dt><dd>${value}</dd></div>`;
}

/** JSON in a script block may not end it, nor begin a comment: the same JSON, spelled otherwise. */
function scriptSafe(json: string): string {
  return json.replaceAll('<', '\\u003c').replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

const STYLE = `
:root { color-scheme: light; --ink: #1b242b; --quiet: #55616b; --line: #d3dadf; --wash: #eef2f4; --accent: #1f5f7a; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--wash); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 52rem; margin: 2rem auto; padding: 3rem 3.5rem; background: #fff; border: 1px solid var(--line); outline: 1px solid var(--accent); outline-offset: -12px; }
header { display: grid; grid-template-columns: 1fr auto; align-items: end; gap: 0 1rem; padding-bottom: 1rem; border-bottom: 3px solid var(--accent); }
.maker { grid-column: 1 / -1; margin: 0; color: var(--accent); font-size: .8rem; font-weight: 600; letter-spacing: .18em; text-transform: uppercase; }
h1 { margin: .15rem 0 0; font: 600 1.9rem/1.15 Georgia, "Times New Roman", serif; text-wrap: balance; }
.number { margin: 0; font: 600 1.3rem/1.2 Georgia, "Times New Roman", serif; white-space: nowrap; font-variant-numeric: tabular-nums; }
.statement { margin: 1.5rem 0 .5rem; font: 1.1rem/1.55 Georgia, "Times New Roman", serif; text-wrap: pretty; }
.warning { margin: 1.25rem 0 0; padding: .6rem .9rem; border-left: 4px solid #a15c00; background: #fdf4e3; }
h2 { margin: 1.6rem 0 .35rem; color: var(--accent); font-size: .95rem; }
dl { margin: 0; }
dl > div { display: grid; grid-template-columns: 12rem 1fr; gap: 0 1rem; padding: .32rem 0; border-top: 1px solid var(--line); }
dt { color: var(--quiet); }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
code { font: .88em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.seal { margin-top: 1.75rem; padding: .25rem 1.1rem 1rem; border: 1px solid var(--line); background: #f8fafb; }
.seal h2 { margin-top: .9rem; }
.seal p { margin: .75rem 0 0; color: var(--quiet); font-size: .9rem; }
@media (max-width: 40rem) { main { margin: 0; padding: 1.5rem 1.25rem; border: 0; outline: 0; } header, dl > div { grid-template-columns: 1fr; } h1 { font-size: 1.5rem; } }
@page { size: A4; margin: 16mm 15mm; }
@media print {
  body { background: #fff; font-size: 9.5pt; }
  main { max-width: none; margin: 0; padding: 0; border: 0; outline: 0; }
  h2 { margin-top: 1.1em; break-after: avoid; }
  dl > div, .seal { break-inside: avoid; }
  dl > div { padding: .18rem 0; }
}
`;
