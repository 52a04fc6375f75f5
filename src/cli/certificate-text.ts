/** A certificate as a records manager reads it. What is said here comes from the signed text alone. */
import type { CertificateDocument } from '../ledger/certificates.ts';
import { bodyOf, property } from './certificate-facts.ts';
import { count, size } from './words.ts';

type Row = readonly [label: string, value: string];

export function certificateText(certificate: CertificateDocument): readonly string[] {
  const body = bodyOf(certificate);
  const at = (...path: readonly string[]) => path.reduce<unknown>((value, name) => property(value, name), body);
  const text = (...path: readonly string[]) => {
    const value = at(...path);
    return typeof value === 'string' ? value : null;
  };
  const number = (...path: readonly string[]) => {
    const value = at(...path);
    return typeof value === 'number' ? value : 0;
  };
  const isPurge = text('archive') !== null;
  const rows: readonly (Row | null)[] = [
    ['Owner, customer', `${certificate.owner}, ${certificate.customer}`],
    ['Dataset', text('dataset') ?? ''],
    ['Policy', `${certificate.policy}, version ${text('policyVersion')?.slice(0, 12) ?? ''}`],
    isPurge ? ['Destroyed', archived(number)] : ['Destroyed', withoutArchive(number, at('fields'))],
    text('saidBy') === null
      ? null
      : [
          'Because',
          (text('what') ?? '').startsWith('expired records')
            ? `${text('saidBy')} said so: they were past their archive period too`
            : `${text('saidBy')} says so`,
        ],
    text('file', 'vault') === null
      ? null
      : ['File', `${size(number('file', 'bytes'))} in vault ${text('file', 'vault')}, stored ${text('storedAt')}`],
    text('verified', 'level') === null
      ? null
      : ['Verified', `by ${text('verified', 'level')}, ${text('verified', 'at')}`],
    text('dueAt') === null ? null : ['Due', text('dueAt') ?? ''],
    text('purge', 'vaultDeletedAt') === null ? null : ['Vault deleted it', text('purge', 'vaultDeletedAt') ?? ''],
    text('purge', 'keyDestroyedAt') === null ? null : ['Key destroyed', text('purge', 'keyDestroyedAt') ?? ''],
    text('purge', 'inventoryWithoutIt') === null
      ? null
      : ['Proved gone', `by the vault's inventory of ${text('purge', 'inventoryWithoutIt')}`],
    text('finalOn') === null ? null : ['Final on', `${text('finalOn')}, when backups of the key are gone too`],
    ['Merkle root', text('merkleRoot') ?? ''],
    ['Audit chain', `entry ${count(number('audit', 'seq'))}, ${text('audit', 'hash')?.slice(0, 16) ?? ''}…`],
    ['Issued', `${text('issuedAt')} by installation ${text('installation')}`],
    ['Signature', `Ed25519 by key ${certificate.keyId}`],
    text('note') === null ? null : ['Note', text('note') ?? ''],
  ];
  const shown = rows.filter((row) => row !== null);
  const width = Math.max(...shown.map(([label]) => label.length));
  return [
    `Certificate of destruction ${certificate._id}`,
    '',
    ...shown.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`),
    '',
    '--json prints the signed text and the signature.',
  ];
}

/** Of records that were treated in place: which fields, and how. */
function withoutArchive(number: (...path: readonly string[]) => number, fields: unknown): string {
  if (!Array.isArray(fields)) return `${count(number('records', 'deleted'))} records, deleted without an archive`;
  const treated = fields.map((field: unknown) => `${property(field, 'field')} (${property(field, 'how')})`);
  return `fields of ${count(number('records', 'treated'))} records, treated in place: ${treated.join(', ')}`;
}

/** The counts of promise 5, those that are zero left out. */
function archived(number: (...path: readonly string[]) => number): string {
  const stayed = ['treated', 'changed', 'held', 'gone', 'quarantined'].flatMap((outcome) => {
    const records = number('records', outcome);
    return records === 0 ? [] : [`${count(records)} ${outcome}`];
  });
  const total = `the archive of ${count(number('records', 'archived'))} records, ${count(number('records', 'deleted'))} of them deleted from the source`;
  return stayed.length === 0 ? total : `${total} (${stayed.join(', ')})`;
}
