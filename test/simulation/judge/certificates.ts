/** Certificates in the end: numbered from 1 without a gap and none twice, about what they name, and without records in them. */
import type { Known } from './known.ts';
import type { Physical, RawDocument } from './observations.ts';
import type { Report } from './properties.ts';
import { asFields, asList, asNumber, asText, type Fields } from './values.ts';

export function judgeCertificates(known: Known, report: Report, physical: Physical): void {
  const certificates = physical.ledger('certificates');
  const numbers = certificates.map((each) => asNumber(each['number']) ?? Number.NaN).sort((a, b) => a - b);
  const wrong = numbers.findIndex((number, at) => number !== at + 1);
  if (wrong >= 0) report('certificate-number', `The certificates have the numbers ${numbers.join(', ')}.`);
  for (const certificate of certificates) {
    const text = asText(certificate['body']) ?? '{}';
    const body = asFields(JSON.parse(text));
    if (asNumber(body['number']) !== asNumber(certificate['number']) || asText(body['id']) !== certificate._id)
      report('certificate-number', `Certificate ${certificate._id} bears another number or id than its signed text.`);
    judgeCopies(known, report, certificate, body);
    // Owner and customer are names of businesses, and a record may be called the same.
    const told = new Set(textsIn({ ...body, owner: null, customer: null }));
    for (const { id } of known.records.values())
      if (told.has(id)) report('content-in-the-open', `Certificate ${certificate._id} names record ${id}.`);
  }
}

/** Of an archive: its one file, by the vault's own id and hash. */
function judgeCopies(known: Known, report: Report, certificate: RawDocument, body: Fields): void {
  const archive = known.archives.get(asText(certificate['archive']) ?? '');
  const stored = asFields(archive?.document?.['stored']);
  if (archive === undefined || asText(stored['vaultArchiveId']) === null) return;
  const copies = asList(body['copies']).map(asFields);
  const isNamed = copies.some(
    (copy) => copy['vaultArchiveId'] === stored['vaultArchiveId'] && copy['treeHash'] === stored['treeHash'],
  );
  if (!isNamed)
    report('certificate-number', `Certificate ${certificate._id} does not name the file of archive ${archive.id}.`);
}

/** All texts that are values: the names of members are the certificate's own words. */
function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}
