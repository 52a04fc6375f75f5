/**
 * A certificate as a PDF: standard fonts, text that can be searched and read aloud, the signed JSON attached. The same
 * certificate gives the same bytes, so that whoever verifies a file can tell whether its page shows what was signed.
 */
import PDFDocument from 'pdfkit';
import { MoraineError } from '../errors.ts';
import { type CertificateBody, readBody } from './body.ts';
import { type Line, type SheetSection, sheetOf } from './sheet.ts';
import { EMBEDDED_NAME, type SignedCertificate, signedJson } from './signed-file.ts';

type Pdf = InstanceType<typeof PDFDocument>;

/** Points. A4. */
const MARGIN = 56;
const WIDTH = 595.28 - 2 * MARGIN;
const HEIGHT = 841.89;
const LABEL_WIDTH = 128;
const FOOTER_ROOM = 34;
const INK = '#1b242b';
const QUIET = '#55616b';
const LINE = '#d3dadf';
const ACCENT = '#1f5f7a';

export async function certificatePdf(
  signed: SignedCertificate,
  body: CertificateBody | null = readBody(signed.body),
): Promise<Buffer> {
  if (body === null) throw new MoraineError('INTERNAL', `Certificate ${signed.id} cannot be read.`);
  const { title, number, statement, warning, sections } = sheetOf(body);
  const issuedAt = new Date(body.issuedAt);
  const pdf = new PDFDocument({
    size: 'A4',
    margins: { top: MARGIN, left: MARGIN, right: MARGIN, bottom: MARGIN + FOOTER_ROOM },
    bufferPages: true,
    // What is attached is found again without a PDF library, and the file is small in any case.
    compress: false,
    pdfVersion: '1.7',
    lang: 'en',
    displayTitle: true,
    info: {
      Title: `${title} ${printable(number)}`,
      Author: `Moraine, installation ${printable(body.installation)}`,
      Subject: printable(`${body.what}: ${body.id}`),
      CreationDate: issuedAt,
      ModDate: issuedAt,
    },
  });
  const written = collect(pdf);
  pdf.file(Buffer.from(signedJson(signed), 'utf8'), {
    name: EMBEDDED_NAME,
    type: 'application/json',
    description: 'The signed text, its signature and the id of the key',
    creationDate: issuedAt,
    modifiedDate: issuedAt,
  });
  heading(pdf, title, number);
  if (warning !== null) note(pdf, `Not for evidence. ${warning}`);
  pdf.moveDown(0.8).font('Times-Roman').fontSize(12.5).fillColor(INK);
  pdf.text(printable(statement), MARGIN, pdf.y, { width: WIDTH, lineGap: 2 });
  for (const each of sections) section(pdf, each);
  section(pdf, {
    title: 'Signature',
    lines: [
      { label: 'Ed25519, by key', text: signed.keyId, isExact: true },
      { label: 'Signature', text: signed.signature, isExact: true },
    ],
  });
  pdf.moveDown(0.6).font('Helvetica').fontSize(8.5).fillColor(QUIET);
  pdf.text(HOW_TO_CHECK, MARGIN, pdf.y, { width: WIDTH });
  footers(pdf, `${title} ${number}, installation ${body.installation}`);
  pdf.end();
  return await written;
}

const HOW_TO_CHECK =
  'The signed text is attached to this file. To check it without the operator: moraine certificate verify FILE --key KEY.pem, with the public key of the id above as the operator has published it.';

function heading(pdf: Pdf, title: string, number: string): void {
  pdf.font('Helvetica-Bold').fontSize(8.5).fillColor(ACCENT);
  pdf.text('MORAINE', MARGIN, MARGIN, { characterSpacing: 2 });
  const top = pdf.y + 4;
  pdf
    .font('Times-Bold')
    .fontSize(23)
    .fillColor(INK)
    .text(title, MARGIN, top, { width: WIDTH - 110 });
  const end = pdf.y;
  pdf.fontSize(16).text(printable(number), MARGIN + WIDTH - 110, top + 6, { width: 110, align: 'right' });
  rule(pdf, end + 4, ACCENT, 2);
  pdf.x = MARGIN;
  pdf.y = end + 10;
}

function note(pdf: Pdf, text: string): void {
  pdf.font('Helvetica').fontSize(9.5);
  const height = pdf.heightOfString(printable(text), { width: WIDTH - 20 }) + 12;
  pdf.rect(MARGIN, pdf.y, WIDTH, height).fill('#fdf4e3');
  pdf.rect(MARGIN, pdf.y, 3, height).fill('#a15c00');
  const top = pdf.y;
  pdf.fillColor(INK).text(printable(text), MARGIN + 12, top + 7, { width: WIDTH - 20 });
  pdf.y = top + height;
}

function section(pdf: Pdf, { title, lines }: SheetSection): void {
  // A heading stays with its first lines.
  ensureRoom(pdf, 64);
  pdf.moveDown(0.9).font('Helvetica-Bold').fontSize(10.5).fillColor(ACCENT).text(printable(title), MARGIN, pdf.y);
  pdf.y += 2;
  for (const each of lines) line(pdf, each);
}

function line(pdf: Pdf, { label, text, isExact }: Line): void {
  const font = isExact === true ? 'Courier' : 'Helvetica';
  const shown = isExact === true ? breakable(printable(text)) : printable(text);
  const width = WIDTH - LABEL_WIDTH;
  pdf.font(font).fontSize(isExact === true ? 8.5 : 9.5);
  const height = Math.max(pdf.heightOfString(shown, { width }), pdf.heightOfString('X')) + 5;
  ensureRoom(pdf, height);
  const top = pdf.y;
  rule(pdf, top, LINE, 0.5);
  pdf.font('Helvetica').fontSize(9.5).fillColor(QUIET);
  pdf.text(printable(label), MARGIN, top + 3.5, { width: LABEL_WIDTH - 8, lineBreak: false });
  pdf
    .font(font)
    .fontSize(isExact === true ? 8.5 : 9.5)
    .fillColor(INK);
  pdf.text(shown, MARGIN + LABEL_WIDTH, top + (isExact === true ? 4.2 : 3.5), { width });
  pdf.y = top + height;
}

function ensureRoom(pdf: Pdf, height: number): void {
  if (pdf.y + height > HEIGHT - MARGIN - FOOTER_ROOM) pdf.addPage();
}

function rule(pdf: Pdf, y: number, color: string, width: number): void {
  pdf
    .moveTo(MARGIN, y)
    .lineTo(MARGIN + WIDTH, y)
    .lineWidth(width)
    .strokeColor(color)
    .stroke();
}

function footers(pdf: Pdf, text: string): void {
  const { count } = pdf.bufferedPageRange();
  for (let page = 0; page < count; page++) {
    pdf.switchToPage(page);
    // Below the margin, where text would begin another page.
    pdf.page.margins.bottom = 0;
    pdf.font('Helvetica').fontSize(8).fillColor(QUIET);
    pdf.text(printable(text), MARGIN, HEIGHT - MARGIN, { width: WIDTH - 80, lineBreak: false });
    pdf.text(`page ${page + 1} of ${count}`, MARGIN + WIDTH - 80, HEIGHT - MARGIN, {
      width: 80,
      align: 'right',
      lineBreak: false,
    });
  }
}

/** What the standard fonts have is Windows-1252; any other character is told by its number, so that nothing is lost. */
function printable(text: string): string {
  return [...text].map((letter) => (IN_FONT.test(letter) ? letter : `[U+${hex(letter)}]`)).join('');
}

const IN_FONT = /^[\u0020-\u007e\u00a0-\u00ff\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u20ac]$/;

function hex(letter: string): string {
  return (letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
}

/** Characters of Courier at 8.5 points in a line. */
const EXACT_COLUMNS = 68;

/** A hash has no word at which a line could end. */
function breakable(text: string): string {
  return (text.match(new RegExp(`.{1,${EXACT_COLUMNS}}`, 'g')) ?? ['']).join('\n');
}

async function collect(pdf: Pdf): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of pdf) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
