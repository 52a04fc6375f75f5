/** Finds the certificates that a command names: by id, or by number. */
import { type SignedCertificate, signedFile } from '../certificate/signed-file.ts';
import { MoraineError } from '../errors.ts';
import type { KeysPort } from '../keys/port.ts';
import { type CertificateDocument, findCertificates, getCertificate } from '../ledger/certificates.ts';
import type { Store } from '../ledger/store.ts';

export interface CertificateQuery {
  readonly owner?: string;
  readonly policy?: string;
}

export async function certificatesOf(
  store: Store,
  { owner, policy }: CertificateQuery,
): Promise<readonly CertificateDocument[]> {
  const found: CertificateDocument[] = [];
  for await (const certificate of findCertificates(store)) {
    const isWanted =
      (owner ?? certificate.owner) === certificate.owner && (policy ?? certificate.policy) === certificate.policy;
    if (isWanted) found.push(certificate);
  }
  return found;
}

/** Throws USAGE where there is none. */
export async function oneCertificate(store: Store, name: string): Promise<CertificateDocument> {
  const certificate = await getCertificate(store, name);
  if (certificate !== null) return certificate;
  if (/^\d{1,15}$/.test(name))
    for await (const numbered of findCertificates(store, { number: Number(name) })) return numbered;
  throw new MoraineError('USAGE', `There is no certificate ${name}.`, { hint: 'Run `moraine certificate list`.' });
}

/** As files, each with the public key that it names. Throws CERTIFICATE_INVALID for one by a key that nobody knows. */
export async function signedFiles(
  keys: Pick<KeysPort, 'publicKeys'>,
  certificates: readonly CertificateDocument[],
): Promise<readonly SignedCertificate[]> {
  const known = new Map((await keys.publicKeys()).map(({ keyId, pem }) => [keyId, pem]));
  return certificates.map((certificate) => {
    const pem = known.get(certificate.keyId);
    if (pem !== undefined) return signedFile(certificate, pem);
    throw new MoraineError('CERTIFICATE_INVALID', `The key store has no public key ${certificate.keyId}.`, {
      ids: { certificate: certificate._id },
    });
  });
}
