/** What was purged, and what says so: files, keys, due dates and certificates of destruction. */
import { createPublicKey, verify } from 'node:crypto';
import { z } from 'zod';
import type { EndState } from './end-state.ts';
import type { LedgerArchive, LedgerCertificate } from './ledger.ts';

const bodySchema = z.looseObject({
  archive: z.string().nullable(),
  owner: z.string(),
  customer: z.string(),
  records: z.record(z.string(), z.number()),
  merkleRoot: z.string(),
  dueAt: z.string().optional(),
  copies: z.array(
    z.looseObject({
      ...{ treeHash: z.string(), vaultArchiveId: z.string(), bytes: z.number() },
      deleted: z.looseObject({ acceptedAt: z.iso.datetime(), confirmedByInventoryOf: z.iso.datetime() }),
    }),
  ),
  audit: z.object({ seq: z.number(), hash: z.string() }).nullable(),
});
export type CertificateBody = z.output<typeof bodySchema>;

export function bodyOf({ body }: LedgerCertificate): CertificateBody {
  return bodySchema.parse(JSON.parse(body));
}

export function purgeProblems(state: EndState): readonly string[] {
  return state.ledger.archives.flatMap((archive) => {
    const isPurged = archive.state === 'purged' || archive.state === 'confirmed';
    return [...earlyProblems(state, archive), ...(isPurged ? destructionProblems(state, archive) : [])];
  });
}

/** Promise 4: the last of its records is due, by the dataset's own periods, before the vault was asked or the file went. */
function earlyProblems(state: EndState, archive: LedgerArchive): readonly string[] {
  const file = archive.stored === null ? undefined : state.contents.get(archive.stored.vaultArchiveId);
  const dataset = state.datasets.find(({ policy }) => policy === archive.policy);
  if (file?.opened == null || dataset === undefined) return [];
  const triggers = file.opened.records.map(({ trigger }) => trigger);
  const dueAt = Math.max(...triggers) + dataset.activeMs + dataset.archiveMs;
  const sealedAt = Date.parse(file.opened.manifest.sealedAt);
  const problems: string[] = [];
  if (Math.max(...triggers) + dataset.activeMs > sealedAt)
    problems.push(`${archive._id} holds a record that was not due`);
  if (archive.dueAt?.getTime() !== dueAt)
    problems.push(`${archive._id} has the purge date ${archive.dueAt?.toISOString()}`);
  const askedAt = archive.purge?.askedAt?.getTime();
  if (askedAt !== undefined && askedAt < dueAt) problems.push(`${archive._id} was purged before its due date`);
  const goneAt = state.deletedSeenAt.get(file.file.id);
  if (goneAt !== undefined && goneAt < dueAt) problems.push(`${archive._id} left its vault before its due date`);
  return problems;
}

function destructionProblems(state: EndState, archive: LedgerArchive): readonly string[] {
  const problems: string[] = [];
  const file = state.files.find(({ id }) => id === archive.stored?.vaultArchiveId);
  if (file !== undefined && !file.isDeleted) problems.push(`${archive._id} is ${archive.state}, and its file is there`);
  const key = state.ledger.keys.find(({ _id }) => _id === archive.attempt);
  if (key?.state !== 'destroyed') problems.push(`${archive._id} is ${archive.state}, and its key was not destroyed`);
  const certificates = state.ledger.certificates.filter((certificate) => certificate.archive === archive._id);
  if (archive.state === 'confirmed' && certificates.length !== 1) {
    problems.push(`${archive._id} is confirmed and has ${certificates.length} certificates`);
  }
  for (const certificate of certificates) problems.push(...certificateProblems(state, archive, certificate));
  return problems;
}

function certificateProblems(
  state: EndState,
  archive: LedgerArchive,
  certificate: LedgerCertificate,
): readonly string[] {
  const { stored } = archive;
  const body = bodyOf(certificate);
  const opened = stored === null ? null : state.contents.get(stored.vaultArchiveId)?.opened;
  const pem = state.ledger.publicKeys.find(({ _id }) => _id === certificate.keyId)?.pem;
  const isSigned =
    pem !== undefined && verify(null, Buffer.from(certificate.body), createPublicKey(pem), certificate.signature);
  const problems: string[] = [];
  const claim = (holds: boolean, what: string) => {
    if (!holds) problems.push(`certificate ${certificate._id}: ${what}`);
  };
  claim(isSigned, 'its signature does not hold');
  claim(body.owner === archive.owner && body.customer === archive.customer, 'it names another party');
  // Nothing is moved to another vault in these worlds: there was one copy.
  const [copy, ...more] = body.copies;
  claim(copy?.vaultArchiveId === stored?.vaultArchiveId && more.length === 0, 'it names another file');
  claim(sameCounts(body.records, archive.outcomes), 'its counts are not those of the archive');
  if (opened == null) return problems;
  claim(body.merkleRoot === opened.merkleRoot, 'its Merkle root is not that of the records');
  claim(copy?.treeHash === opened.treeHash, 'its tree hash is not that of the file');
  claim(body.records['archived'] === opened.records.length, 'it counts other records than the file held');
  return problems;
}

function sameCounts(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): boolean {
  return Object.entries(b).every(([name, value]) => a[name] === value);
}
