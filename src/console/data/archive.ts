/** One archive with all that the ledger says about it. Never its content: neither ids nor values of its records. */

import { id } from '../../ids.ts';
import type { ArchiveDocument } from '../../ledger/archive-document.ts';
import { getArchive } from '../../ledger/archives.ts';
import { type AuditEntry, auditEntries } from '../../ledger/audit.ts';
import { getCertificate } from '../../ledger/certificates.ts';
import { findRetrievals, type RetrievalDocument } from '../../ledger/retrievals.ts';
import type { Sight } from '../sight.ts';
import { type ArchiveRow, toRow } from './archives.ts';

export type RetrievalView = Pick<
  RetrievalDocument,
  'tier' | 'state' | 'requestedAt' | 'expectedAt' | 'readyAt' | 'expiresAt' | 'endedAt'
> & { readonly id: string };

export interface ArchiveView extends ArchiveRow {
  readonly policyVersion: string;
  readonly quarantine: { readonly from: string | null; readonly reason: string | null } | null;
  readonly location: Pick<ArchiveDocument['vault'], 'key' | 'backend' | 'account' | 'region' | 'name' | 'prefix'>;
  readonly verifyLevel: ArchiveDocument['verifyLevel'];
  readonly attempts: number;
  readonly changedAt: Date;
  readonly storedAt: Date | null;
  readonly verifiedAt: Date | null;
  readonly recordBytes: number | null;
  readonly triggers: { readonly from: Date; readonly to: Date } | null;
  readonly merkleRoot: string | null;
  readonly manifestSha256: string | null;
  readonly outcomes: ArchiveDocument['outcomes'];
  readonly purge: ArchiveDocument['purge'];
  readonly retrievals: readonly RetrievalView[];
  readonly timeline: readonly AuditEntry[];
  /** Id of its certificate of destruction. */
  readonly certificate: string | null;
}

/** The whole life of an archive is a few dozen entries; a storm of them is cut. */
const TIMELINE_ENTRIES = 500;

/** Throws ARCHIVE_UNKNOWN. */
export async function readArchive(sight: Sight, archiveId: string): Promise<ArchiveView> {
  const { store } = sight.context;
  const archive = await getArchive(store, id.archive(archiveId));
  const [retrievals, timeline, certificate] = await Promise.all([
    retrievalsOf(sight, archive),
    timelineOf(sight, archive),
    getCertificate(store, archive._id),
  ]);
  const { vault, stored } = archive;
  const { key, backend, account, region, name, prefix } = vault;
  return {
    ...toRow(archive),
    policyVersion: archive.policyVersion,
    quarantine:
      archive.state === 'quarantined' ? { from: archive.quarantinedFrom, reason: archive.quarantineReason } : null,
    location: { key, backend, account, region, name, prefix },
    verifyLevel: archive.verifyLevel,
    attempts: archive.attemptCount,
    changedAt: archive.changedAt,
    storedAt: stored?.at ?? null,
    verifiedAt: archive.verifiedAt,
    recordBytes: stored?.recordBytes ?? null,
    triggers: stored === null ? null : { from: stored.triggerFrom, to: stored.triggerTo },
    merkleRoot: stored?.merkleRoot ?? null,
    manifestSha256: stored?.manifestSha256 ?? null,
    outcomes: archive.outcomes,
    purge: archive.purge,
    retrievals,
    timeline,
    certificate: certificate?._id ?? null,
  };
}

async function retrievalsOf(sight: Sight, archive: ArchiveDocument): Promise<RetrievalView[]> {
  const views: RetrievalView[] = [];
  for await (const retrieval of findRetrievals(sight.context.store, { archive: archive._id })) {
    const { _id, tier, state, requestedAt, expectedAt, readyAt, expiresAt, endedAt } = retrieval;
    views.push({ id: _id, tier, state, requestedAt, expectedAt, readyAt, expiresAt, endedAt });
  }
  return views;
}

async function timelineOf(sight: Sight, archive: ArchiveDocument): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = [];
  const query = { subject: { archive: archive._id }, limit: TIMELINE_ENTRIES };
  for await (const entry of auditEntries(sight.context.store, query)) entries.push(entry);
  return entries;
}
