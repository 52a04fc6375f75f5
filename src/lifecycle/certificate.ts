/** Certificates of destruction: what was destroyed, by which rule, how it was proved, signed and kept for ever. */
import { Temporal } from 'temporal-polyfill';
import { canonicalJson } from '../canonical-json.ts';
import { MoraineError } from '../errors.ts';
import { type ArchiveDocument, collectionOfArchive } from '../ledger/archive-document.ts';
import { auditHead } from '../ledger/audit.ts';
import { type CertificateDocument, keepCertificate } from '../ledger/certificates.ts';
import { purgeOf } from '../ledger/purging.ts';
import type { Context } from './context.ts';

export const CERTIFICATE_FORMAT = 'moraine-certificate';

/** Signs and keeps the certificate of a purged archive that a later inventory no longer lists. Idempotent by archive. */
export async function certifyPurge(
  context: Context,
  archive: ArchiveDocument,
  inventoryDate: Date,
): Promise<CertificateDocument> {
  const { stored } = archive;
  const purge = purgeOf(archive);
  if (stored === null || purge.acceptedAt === null || purge.keyDestroyedAt === null) {
    throw new MoraineError('INTERNAL', `Archive ${archive._id} was not purged; it cannot be certified.`, {
      ids: { archive: archive._id },
    });
  }
  return await certify(context, archive, {
    what: 'archive purged',
    archive: archive._id,
    records: archive.outcomes,
    ...(stored.children === undefined ? {} : { children: stored.children }),
    ...(stored.attachments === undefined ? {} : { attachments: stored.attachments }),
    ...(archive.addendumTo === undefined
      ? {}
      : { addendumTo: archive.addendumTo, collection: collectionOfArchive(archive) }),
    merkleRoot: stored.merkleRoot,
    manifestSha256: stored.manifestSha256,
    file: {
      bytes: stored.bytes,
      treeHash: stored.treeHash,
      vault: archive.vault.name,
      region: archive.vault.region,
      vaultArchiveId: stored.vaultArchiveId,
    },
    triggers: { from: stored.triggerFrom.toISOString(), to: stored.triggerTo.toISOString() },
    storedAt: stored.at.toISOString(),
    verified: { level: archive.verifyLevel, at: archive.verifiedAt?.toISOString() ?? null },
    dueAt: purge.claimedDueAt.toISOString(),
    ...(archive.rescheduled === undefined
      ? {}
      : {
          rescheduled: archive.rescheduled.map(({ from, to, by, reason, approval, at }) => ({
            ...{ from: from.toISOString(), to: to.toISOString(), by, reason, approval, at: at.toISOString() },
          })),
        }),
    purge: {
      vaultDeletedAt: purge.acceptedAt.toISOString(),
      keyDestroyedAt: purge.keyDestroyedAt.toISOString(),
      inventoryWithoutIt: inventoryDate.toISOString(),
    },
    finalOn: finalOn(purge.keyDestroyedAt, context.keys.backupMaxAge),
  });
}

interface CertifiedSubject {
  readonly _id: string;
  readonly owner: ArchiveDocument['owner'];
  readonly customer: ArchiveDocument['customer'];
  readonly namespace: ArchiveDocument['namespace'];
  readonly policy: string;
  readonly policyVersion: string;
}

/** Signs a body and keeps it under the id of what it certifies. */
export async function certify(
  context: Context,
  subject: CertifiedSubject,
  facts: Readonly<Record<string, unknown>> & { readonly archive: ArchiveDocument['_id'] | null },
): Promise<CertificateDocument> {
  const { environment, id: installation } = context.installation;
  const head = await auditHead(context.store);
  const body = canonicalJson({
    format: CERTIFICATE_FORMAT,
    version: 1,
    id: subject._id,
    installation,
    environment,
    ...(environment === 'sandbox'
      ? { note: 'Made in a sandbox, where time may be moved. It proves nothing about real data.' }
      : {}),
    owner: subject.owner,
    customer: subject.customer,
    dataset: subject.namespace,
    policy: subject.policy,
    policyVersion: subject.policyVersion,
    issuedAt: context.clock.now().toISOString(),
    asOf: context.asOf?.toISOString() ?? null,
    audit: head === null ? null : { seq: head.seq, hash: head.hash },
    ...facts,
  });
  const signature = await context.keys.sign(Buffer.from(body, 'utf8'));
  return await keepCertificate(context.store, context.clock, {
    id: subject._id,
    archive: facts.archive,
    policy: subject.policy,
    owner: subject.owner,
    customer: subject.customer,
    body,
    signature: signature.bytes,
    keyId: signature.keyId,
  });
}

/** Backups of the key store may hold the key until they have reached their greatest age; null when none was declared. */
function finalOn(destroyedAt: Date, backupMaxAge: string | null): string | null {
  if (backupMaxAge === null) return null;
  const destroyed = Temporal.Instant.fromEpochMilliseconds(destroyedAt.getTime()).toZonedDateTimeISO('UTC');
  return destroyed.add(Temporal.Duration.from(backupMaxAge)).toInstant().toString();
}

/** Checks the signature of a certificate over the very text that was signed. Throws CERTIFICATE_INVALID. */
export async function verifyCertificate(
  context: Pick<Context, 'keys'>,
  certificate: CertificateDocument,
): Promise<void> {
  const signature = { keyId: certificate.keyId, bytes: certificate.signature };
  if (await context.keys.verify(Buffer.from(certificate.body, 'utf8'), signature)) return;
  throw new MoraineError('CERTIFICATE_INVALID', `The signature of certificate ${certificate._id} does not hold.`, {
    ids: { certificate: certificate._id },
  });
}
