/** Offboardings: which customer leaves, by which export that was returned, how far it is, and what certifies it. */
import { findArchives } from '../../ledger/archives.ts';
import { getCertificate } from '../../ledger/certificates.ts';
import { disposals } from '../../ledger/disposals.ts';
import { type OffboardingDocument, offboardingsOf, orderedBy } from '../../ledger/offboardings.ts';
import type { Store } from '../../ledger/store.ts';
import type { Sight } from '../sight.ts';

export interface OffboardingRow {
  readonly id: string;
  readonly owner: string;
  readonly customer: string;
  readonly state: OffboardingDocument['state'];
  readonly reason: string;
  readonly saidBy: string;
  readonly approval: string;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  readonly export: { readonly id: string; readonly manifestSha256: string; readonly archives: number };
  readonly records: { readonly deleted: number; readonly held: number };
  /** Of those that the export holds or that may go without. */
  readonly archives: { readonly destroyed: number; readonly all: number; readonly notReturned: number };
  /** The one of the whole first, then those of records, then those of archives. */
  readonly certificates: readonly string[];
}

/** A page is for people; who wants all of them asks the ledger. */
const OFFBOARDINGS_SHOWN = 100;

export async function readOffboardings({ context }: Sight): Promise<readonly OffboardingRow[]> {
  const rows: OffboardingRow[] = [];
  for await (const document of offboardingsOf(context.store, { limit: OFFBOARDINGS_SHOWN }))
    rows.push(await toRow(context.store, document));
  return rows;
}

async function toRow(store: Store, document: OffboardingDocument): Promise<OffboardingRow> {
  const { _id, owner, customer, state, reason, saidBy, approval, startedAt, endedAt } = document;
  const { exportedArchives, withoutArchives, manifestSha256 } = document;
  const records = { deleted: 0, held: 0 };
  const certificates = new Set<string>();
  if ((await getCertificate(store, _id)) !== null) certificates.add(_id);
  for await (const disposal of disposals(store).find({ kind: 'offboard', owner, customer })) {
    if (disposal.saidBy !== orderedBy(document)) continue;
    records.deleted += disposal.outcomes?.deleted ?? 0;
    records.held += disposal.outcomes?.held ?? 0;
    if ((await getCertificate(store, disposal._id)) !== null) certificates.add(disposal._id);
  }
  const all = [...exportedArchives, ...withoutArchives];
  let destroyed = 0;
  for await (const archive of findArchives(store, { _id: { $in: all } })) {
    if (archive.state === 'purged' || archive.state === 'confirmed') destroyed += 1;
    if (archive.purge?.certificate != null) certificates.add(archive.purge.certificate);
  }
  return {
    id: _id,
    ...{ owner, customer, state, reason, saidBy, approval, startedAt, endedAt },
    export: { id: document.export, manifestSha256, archives: exportedArchives.length },
    records,
    archives: { destroyed, all: all.length, notReturned: withoutArchives.length },
    certificates: [...certificates],
  };
}
