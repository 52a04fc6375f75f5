/** What a certificate says inside its signed text. */
import type { Json } from '../canonical-json.ts';
import type { AuditHead } from '../ledger/audit.ts';
import { type CertificateDocument, findCertificates } from '../ledger/certificates.ts';
import type { Store } from '../ledger/store.ts';

/** The signed text as a value. */
export function bodyOf(certificate: CertificateDocument): Json {
  const body: Json = JSON.parse(certificate.body);
  return body;
}

/** The entry of the audit chain that the certificate remembers; null when it was signed before there was any. */
export function auditHeadOf(certificate: CertificateDocument): Pick<AuditHead, 'seq' | 'hash'> | null {
  const body: unknown = JSON.parse(certificate.body);
  const audit = property(body, 'audit');
  const seq = property(audit, 'seq');
  const hash = property(audit, 'hash');
  return typeof seq === 'number' && typeof hash === 'string' ? { seq, hash } : null;
}

/** What all certificates remember of the audit chain. */
export async function rememberedHeads(store: Store): Promise<readonly Pick<AuditHead, 'seq' | 'hash'>[]> {
  const heads: Pick<AuditHead, 'seq' | 'hash'>[] = [];
  for await (const certificate of findCertificates(store)) {
    const head = auditHeadOf(certificate);
    if (head !== null) heads.push(head);
  }
  return heads;
}

/** A property of a value that may be anything. */
export function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;
}
