/**
 * Certificates of destruction: written once, never changed or removed. The body is kept as the very text that was
 * signed, so that the signature can be checked in twenty years over the same bytes.
 */
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, CustomerId, OwnerId } from '../ids.ts';
import type { LedgerIndex } from './indexes.ts';
import type { Filter, FindOptions, LedgerDocument, Store, StoreCollection } from './store.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export interface CertificateDocument extends LedgerDocument {
  /** Null for records that were deleted without an archive (a backlog that was past its archive period too). */
  readonly archive: ArchiveId | null;
  readonly policy: string;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  /** Canonical JSON, as signed (UTF-8). */
  readonly body: string;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
  readonly keyId: string;
  readonly issuedAt: Date;
}

const CERTIFICATES = 'certificates';

export const CERTIFICATES_INDEXES: readonly LedgerIndex[] = [
  { collection: CERTIFICATES, keys: { archive: 1 } },
  { collection: CERTIFICATES, keys: { owner: 1, customer: 1, issuedAt: 1 } },
  { collection: CERTIFICATES, keys: { issuedAt: 1, _id: 1 } },
];

/**
 * Writes a certificate and returns the one that stands under this id: after a crash that is the first one, whose
 * body may name an earlier instant. The id follows from what it certifies (`<archive>`), so that one fact gets one.
 */
export async function keepCertificate(
  store: Store,
  clock: Clock,
  certificate: Omit<CertificateDocument, '_id' | 'v' | 'rev' | 'issuedAt'> & { readonly id: string },
): Promise<CertificateDocument> {
  const { id, ...facts } = certificate;
  await certificates(store).insert({ _id: id, v: LEDGER_VERSION, ...facts, issuedAt: clock.now() });
  const standing = await getCertificate(store, id);
  if (standing === null || standing.archive !== facts.archive || standing.owner !== facts.owner) {
    throw new MoraineError('INTERNAL', `Certificate ${id} is about something else.`, { ids: { certificate: id } });
  }
  return standing;
}

export async function getCertificate(store: Store, id: string): Promise<CertificateDocument | null> {
  return await certificates(store).get(id);
}

/** By owner, customer, archive or policy; oldest first unless the options say otherwise. */
export function findCertificates(
  store: Store,
  by: Partial<Pick<CertificateDocument, 'archive' | 'owner' | 'customer' | 'policy'>> = {},
  options: FindOptions = {},
): AsyncIterable<CertificateDocument> {
  const filter: Filter = by;
  return certificates(store).find(filter, { sort: { issuedAt: 1, _id: 1 }, ...options });
}

function certificates(store: Store): StoreCollection<CertificateDocument> {
  return readableCollection<CertificateDocument>(store, CERTIFICATES);
}
