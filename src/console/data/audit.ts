/** The newest entries of the audit chain, and whether the chain holds. */
import {
  type AuditEntry,
  type AuditHead,
  type AuditVerdict,
  auditEntries,
  auditHead,
  verifyAudit,
} from '../../ledger/audit.ts';
import { findCertificates } from '../../ledger/certificates.ts';
import type { Context } from '../../lifecycle/context.ts';
import type { Sight } from '../sight.ts';

export interface AuditView {
  readonly head: AuditHead | null;
  /** The newest first. */
  readonly entries: readonly AuditEntry[];
}

const ENTRIES_SHOWN = 100;

export async function readAudit(sight: Sight): Promise<AuditView> {
  const { store } = sight.context;
  const entries: AuditEntry[] = [];
  for await (const entry of auditEntries(store, { newestFirst: true, limit: ENTRIES_SHOWN })) entries.push(entry);
  return { head: await auditHead(store), entries };
}

export interface AuditVerification extends AuditVerdict {
  readonly at: Date;
  readonly tookMs: number;
  /** Certificates whose remembered place in the chain was compared with it. */
  readonly certificates: number;
}

/** Walks the whole chain and compares it with the heads that certificates remember. */
export async function readVerification(context: Pick<Context, 'store' | 'clock'>): Promise<AuditVerification> {
  const { store, clock } = context;
  const startedMs = clock.monotonicMs();
  const remembered: Pick<AuditHead, 'seq' | 'hash'>[] = [];
  for await (const { body } of findCertificates(store)) {
    const head = headOf(body);
    if (head !== null) remembered.push(head);
  }
  const verdict = await verifyAudit(store, remembered);
  const tookMs = clock.monotonicMs() - startedMs;
  return { ...verdict, at: clock.now(), tookMs, certificates: remembered.length };
}

function headOf(body: string): Pick<AuditHead, 'seq' | 'hash'> | null {
  const certificate: unknown = JSON.parse(body);
  if (typeof certificate !== 'object' || certificate === null || !('audit' in certificate)) return null;
  const { audit } = certificate;
  if (typeof audit !== 'object' || audit === null || !('seq' in audit) || !('hash' in audit)) return null;
  const { seq, hash } = audit;
  return typeof seq === 'number' && typeof hash === 'string' ? { seq, hash } : null;
}
