/** Certificates of destruction: the newest, and one with the very text that was signed and whether its signature holds. */
import { type SignedCertificate, signedFile } from '../../certificate/signed-file.ts';
import { isMoraineError, MoraineError } from '../../errors.ts';
import { id } from '../../ids.ts';
import { type CertificateDocument, findCertificates, getCertificate } from '../../ledger/certificates.ts';
import { verifyCertificate } from '../../lifecycle/certificate.ts';
import type { Sight } from '../sight.ts';

export interface CertificateRow {
  readonly number: number;
  readonly id: string;
  readonly archive: string | null;
  readonly policy: string;
  readonly owner: string;
  readonly customer: string;
  readonly issuedAt: Date;
}

export interface CertificateView extends CertificateRow {
  /** Canonical JSON as it was signed. */
  readonly body: string;
  readonly keyId: string;
  /** Hex of the Ed25519 signature. */
  readonly signature: string;
  readonly isSignatureValid: boolean;
  /** As it is handed to others; null where its key is not known. */
  readonly file: SignedCertificate | null;
}

/** A person looks at the newest; `moraine certificate list` has them all. */
const CERTIFICATES_SHOWN = 200;

export async function readCertificates(
  sight: Sight,
  by: { readonly owner: string | null },
): Promise<readonly CertificateRow[]> {
  const rows: CertificateRow[] = [];
  const filter = by.owner === null ? {} : { owner: id.owner(by.owner) };
  const options = { sort: { issuedAt: -1, _id: 1 }, limit: CERTIFICATES_SHOWN } as const;
  for await (const certificate of findCertificates(sight.context.store, filter, options)) {
    rows.push(toRow(certificate));
  }
  return rows;
}

/** Throws ARCHIVE_UNKNOWN when there is no such certificate. */
export async function readCertificate(sight: Sight, certificateId: string): Promise<CertificateView> {
  const certificate = await getCertificate(sight.context.store, certificateId);
  if (certificate === null) {
    throw new MoraineError('ARCHIVE_UNKNOWN', `The ledger has no certificate ${certificateId}.`, {
      hint: 'Run `moraine certificate list`.',
      ids: { certificate: certificateId },
    });
  }
  const { body, keyId, signature } = certificate;
  const publicKey = (await sight.context.keys.publicKeys()).find((key) => key.keyId === keyId);
  return {
    ...toRow(certificate),
    body,
    keyId,
    signature: Buffer.from(signature).toString('hex'),
    isSignatureValid: await holds(sight, certificate),
    file: publicKey === undefined ? null : signedFile(certificate, publicKey.pem),
  };
}

async function holds(sight: Sight, certificate: CertificateDocument): Promise<boolean> {
  try {
    await verifyCertificate(sight.context, certificate);
    return true;
  } catch (error) {
    if (isMoraineError(error, 'CERTIFICATE_INVALID')) return false;
    throw error;
  }
}

function toRow(certificate: CertificateDocument): CertificateRow {
  const { _id, number, archive, policy, owner, customer, issuedAt } = certificate;
  return { number, id: _id, archive, policy, owner, customer, issuedAt };
}
