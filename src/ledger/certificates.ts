/**
 * Certificates of destruction: written once, never changed or removed. The body is kept as the very text that was
 * signed, so that the signature can be checked in twenty years over the same bytes.
 */
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, CustomerId, OwnerId } from '../ids.ts';
import type { LedgerIndex } from './indexes.ts';
import {
  type Filter,
  type FindOptions,
  type LedgerDocument,
  MAX_CLASHES,
  type Store,
  type StoreCollection,
} from './store.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export interface CertificateDocument extends LedgerDocument {
  /** From 1, without a gap, in the order in which they were kept. */
  readonly number: number;
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
  { collection: CERTIFICATES, keys: { number: 1 }, unique: true },
  { collection: CERTIFICATES, keys: { archive: 1 } },
  { collection: CERTIFICATES, keys: { owner: 1, customer: 1, issuedAt: 1 } },
  { collection: CERTIFICATES, keys: { issuedAt: 1, _id: 1 } },
];

/** What a certificate is about: the id follows from what it certifies (`<archive>`), so that one fact gets one. */
export interface CertificateSubject extends Pick<CertificateDocument, 'archive' | 'policy' | 'owner' | 'customer'> {
  readonly id: string;
}

/**
 * Writes a certificate and returns the one that stands under this id: after a crash that is the first one, whose body may
 * name an earlier instant.
 *
 * Its number is one more than the newest, and stands in the signed text. It is taken by the insert of the whole
 * certificate, with a unique index: of two workers that saw the same newest one is in, and the other writes its text anew
 * with the next number. A worker that is cut before the insert has taken none, and one that was frozen finds its number
 * taken. As no certificate is ever removed, the numbers have no gap.
 */
export async function keepCertificate(
  store: Store,
  clock: Clock,
  { id, ...about }: CertificateSubject,
  write: (number: number) => Promise<Pick<CertificateDocument, 'body' | 'signature' | 'keyId'>>,
): Promise<CertificateDocument> {
  for (let clash = 0; clash <= MAX_CLASHES; clash++) {
    const standing = await getCertificate(store, id);
    if (standing !== null) return sameAs(standing, about);
    const number = (await newestNumber(store)) + 1;
    const signed = await write(number);
    await certificates(store).insert({
      _id: id,
      v: LEDGER_VERSION,
      number,
      ...about,
      ...signed,
      issuedAt: clock.now(),
    });
  }
  throw new MoraineError('LEDGER_CONTENTION', `Others took the number of certificate ${id} ${MAX_CLASHES} times.`, {
    ids: { certificate: id },
  });
}

function sameAs(
  standing: CertificateDocument,
  { archive, owner }: Pick<CertificateDocument, 'archive' | 'owner'>,
): CertificateDocument {
  if (standing.archive === archive && standing.owner === owner) return standing;
  throw new MoraineError('INTERNAL', `Certificate ${standing._id} is about something else.`, {
    ids: { certificate: standing._id },
  });
}

/** 0: there is none. */
export async function newestNumber(store: Store): Promise<number> {
  const newest = { sort: { number: -1 }, limit: 1 } as const;
  for await (const { number } of certificates(store).find({ number: { $gte: 1 } }, newest)) return number;
  return 0;
}

export async function getCertificate(store: Store, id: string): Promise<CertificateDocument | null> {
  return await certificates(store).get(id);
}

/** By owner, customer, archive, policy or number; in the order of their numbers unless the options say otherwise. */
export function findCertificates(
  store: Store,
  by: Partial<Pick<CertificateDocument, 'archive' | 'owner' | 'customer' | 'policy' | 'number'>> = {},
  options: FindOptions = {},
): AsyncIterable<CertificateDocument> {
  const filter: Filter = by;
  return certificates(store).find(filter, { sort: { number: 1 }, ...options });
}

function certificates(store: Store): StoreCollection<CertificateDocument> {
  return readableCollection<CertificateDocument>(store, CERTIFICATES);
}
