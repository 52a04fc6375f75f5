/** Certificates of destruction: what was destroyed, by which rule, how it was proved, numbered, signed and kept for ever. */
import { canonicalJson, type Json } from '../canonical-json.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { auditHead } from '../ledger/audit.ts';
import { type CertificateDocument, keepCertificate } from '../ledger/certificates.ts';
import type { DisposalDocument } from '../ledger/disposals.ts';
import { type Facts, factsOfDisposal, factsOfPurge } from './certificate-facts.ts';
import type { Context } from './context.ts';

export const CERTIFICATE_FORMAT = 'moraine-certificate';

/** Signs and keeps the certificate of a purged archive that a later inventory no longer lists. Idempotent by archive. */
export async function certifyPurge(
  context: Context,
  archive: ArchiveDocument,
  inventoryDate: Date,
): Promise<CertificateDocument> {
  const facts = await factsOfPurge(context, archive, inventoryDate);
  return await certify(context, archive, { ...facts, archive: archive._id });
}

/** Signs and keeps the certificate of records that were deleted or treated without an archive. Idempotent by disposal. */
export async function certifyDisposal(
  context: Context,
  disposal: DisposalDocument,
  done: Parameters<typeof factsOfDisposal>[2],
): Promise<CertificateDocument> {
  const facts = await factsOfDisposal(context, disposal, done);
  return await certify(context, disposal, { ...facts, archive: null });
}

export interface CertifiedSubject {
  readonly _id: string;
  readonly owner: ArchiveDocument['owner'];
  readonly customer: ArchiveDocument['customer'];
  readonly namespace: ArchiveDocument['namespace'];
  readonly policy: string;
  readonly policyVersion: string;
}

/** Numbers a body, signs it and keeps it under the id of what it certifies. */
export async function certify(
  context: Context,
  subject: CertifiedSubject,
  facts: Facts & { readonly archive: ArchiveDocument['_id'] | null },
): Promise<CertificateDocument> {
  const { environment, id: installation } = context.installation;
  const { _id, owner, customer, policy, policyVersion } = subject;
  const about = { id: _id, archive: facts.archive, policy, owner, customer };
  return await keepCertificate(context.store, context.clock, about, async (number) => {
    const head = await auditHead(context.store);
    const text: Record<string, Json> = {
      format: CERTIFICATE_FORMAT,
      version: 1,
      number,
      id: _id,
      installation,
      environment,
      ...(environment === 'sandbox'
        ? { note: 'Made in a sandbox, where time may be moved. It proves nothing about real data.' }
        : {}),
      owner,
      customer,
      dataset: subject.namespace,
      policy,
      policyVersion,
      issuedAt: context.clock.now().toISOString(),
      asOf: context.asOf?.toISOString() ?? null,
      audit: head === null ? null : { seq: head.seq, hash: head.hash },
      ...facts,
    };
    const body = canonicalJson(text);
    const signature = await context.keys.sign(Buffer.from(body, 'utf8'));
    return { body, signature: signature.bytes, keyId: signature.keyId };
  });
}

/** Checks the signature of a certificate over the very text that was signed. Throws CERTIFICATE_INVALID. */
export async function verifyCertificate(
  context: Pick<Context, 'keys'>,
  certificate: CertificateDocument,
): Promise<void> {
  const signature = { keyId: certificate.keyId, bytes: certificate.signature };
  const isSigned = await context.keys.verify(Buffer.from(certificate.body, 'utf8'), signature);
  if (isSigned && isAbout(certificate)) return;
  const why = isSigned
    ? 'The ledger gives certificate ID another number or name.'
    : 'The signature of certificate ID does not hold.';
  throw new MoraineError('CERTIFICATE_INVALID', why.replace('ID', certificate._id), {
    ids: { certificate: certificate._id },
  });
}

/** What lists show stands beside the signed text, and is not signed: it must say the same. */
function isAbout({ _id, number, owner, customer, body }: CertificateDocument): boolean {
  const text: unknown = JSON.parse(body);
  if (typeof text !== 'object' || text === null) return false;
  const said = new Map(Object.entries(text));
  const beside = { id: _id, number, owner, customer };
  return Object.entries(beside).every(([name, value]) => said.get(name) === value);
}
