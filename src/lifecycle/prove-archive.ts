/**
 * Shows what an archive holds that came into the ledger from its vault, with an administrator's identity: its signed
 * manifest and its index are read by a retrieval of the end of the file, and every record of it is looked for in the
 * source. Then it is `cleared`:
 *
 * - absent from the source: `deleted`; the copy is the record;
 * - there with the same bytes: `held`; there with others: `changed`. The original counts, the copy is void, and what is
 *   due of it is planned anew. Where the policy treats records in place, other bytes mean `treated`: the copy is the only
 *   whole one.
 *
 * So whatever happened before the ledger was lost, each record has its original or a copy that counts, and nothing is
 * deleted from the source on the strength of this. What only the lost ledger knew stays lost: that a record was gone
 * before we came to delete it, facets (a hold on one covers the archive whole), dates of triggers (a hold on a range
 * covers it too).
 *
 * It runs in the administrator's process only. It may be cut anywhere and called again.
 */
import { hash } from 'node:crypto';
import { splitDocuments } from '../archive/documents.ts';
import { readFileEnd, type SignedManifest } from '../archive/file-end.ts';
import { decodeIndexEntry, type IndexEntry } from '../archive/index-pages.ts';
import type { Manifest } from '../archive/manifest.ts';
import { readMember } from '../archive/reader.ts';
import type { SealKey } from '../archive/seal.ts';
import { MIB } from '../archive/tree-hash.ts';
import { MoraineError } from '../errors.ts';
import { id, type Namespace } from '../ids.ts';
import type { WrappedKey } from '../keys/port.ts';
import {
  type ArchiveDocument,
  NO_OUTCOMES,
  type Outcomes,
  type RecordOutcome,
  type StoredFacts,
} from '../ledger/archive-document.ts';
import { claimArchive, moveArchive } from '../ledger/archives.ts';
import { attempts } from '../ledger/attempts.ts';
import { recordName } from '../ledger/child-index.ts';
import { archiveEntryId, closeQuarantine } from '../ledger/quarantine.ts';
import { getRetrieval, liveRetrievals, type RetrievalDocument, wantRetrievals } from '../ledger/retrievals.ts';
import {
  ROSTER_PAGE_RECORDS,
  type RosterRecord,
  removeExceptions,
  removeRostersOf,
  shrinkRoster,
  writeRosterPage,
} from '../ledger/rosters.ts';
import { update } from '../ledger/update.ts';
import { compile } from '../policy/compile.ts';
import type { Tier } from '../vault/port.ts';
import type { Context } from './context.ts';
import { pinnedPolicy } from './published.ts';
import { isReadable, outputOf } from './retrieval-output.ts';
import { askVault, endWithAudit, refreshRetrieval, retrievableFacts } from './retrieve.ts';

export type OpenKey = (wrapped: WrappedKey) => Promise<SealKey>;

export interface ProveOptions {
  readonly openKey: OpenKey;
  readonly tier: Tier;
  readonly by: string;
}

export type Proof =
  | { readonly state: 'waiting'; readonly until: Date | null }
  | { readonly state: 'proven'; readonly outcomes: Outcomes };

/** Of most archives manifest and index fit into this; of one with long keys the rest is asked for then. */
const END_BYTES = 32 * MIB;

/** Throws ARCHIVE_CORRUPT, IDENTITY_WRONG, KEY_MISSING, POLICY_UNKNOWN; the archive stays as it is then. */
export async function proveArchive(context: Context, archive: ArchiveDocument, options: ProveOptions): Promise<Proof> {
  if (archive.attempt === null) throw new MoraineError('INTERNAL', `Archive ${archive._id} has no attempt.`);
  // First, for it costs nothing: an identity that opens nothing asks the vault for nothing.
  const key = await options.openKey(await context.keys.readBack(archive.attempt));
  const retrieval = await endOfFile(context, archive, options.tier, END_BYTES);
  if (!isReadable(retrieval)) return { state: 'waiting', until: retrieval.expectedAt };
  const { bytes: fileBytes } = retrievableFacts(archive);
  const start = retrieval.range?.start ?? 0;
  const end = { start, bytes: await wholeOutput(context, retrieval, fileBytes - start) };
  const signed = await readFileEnd(end.bytes, (bytes, signature) => context.keys.verify(bytes, signature));
  const needed = signed === null ? start - END_BYTES : firstIndexByte(signed.manifest);
  if (signed === null || needed < start) {
    if (start === 0) throw corruptFile(archive);
    await endWithAudit(context, retrieval, 'read');
    const more = await endOfFile(context, archive, options.tier, fileBytes - Math.max(0, needed));
    return { state: 'waiting', until: more.expectedAt };
  }
  assertIsIt(context, archive, signed.manifest);
  const treats = await doesTreat(context, archive);
  const found = await readRoster(context, archive, signed.manifest, key, end, treats);
  const outcomes = await writeProven(context, archive, signed, found, options.by);
  await endWithAudit(context, retrieval, 'read');
  return { state: 'proven', outcomes };
}

/** A live retrieval of the end of the file, or a new one. */
async function endOfFile(
  context: Context,
  archive: ArchiveDocument,
  tier: Tier,
  wanted: number,
): Promise<RetrievalDocument> {
  const { vaultArchiveId, bytes } = retrievableFacts(archive);
  const start = Math.max(0, Math.floor((bytes - wanted) / MIB) * MIB);
  const live = (await liveRetrievals(context.store, archive._id)).filter(
    ({ range }) => range === null || (range.end === bytes && range.start <= start),
  );
  const [first] = live;
  if (first !== undefined) {
    const isUnasked = first.state === 'wanted' || first.state === 'asking';
    return await refreshRetrieval(context, isUnasked ? await askVault(context, first) : first);
  }
  const retrieval = context.newId();
  const range = start === 0 ? null : { start, end: bytes };
  const request = { id: retrieval, archive: archive._id, location: archive.vault, vaultArchiveId, tier, range };
  await wantRetrievals(context.store, context.clock, [request]);
  return await refreshRetrieval(context, await askVault(context, await getRetrieval(context.store, retrieval)));
}

async function wholeOutput(context: Context, retrieval: RetrievalDocument, bytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of outputOf(context, retrieval, bytes)) chunks.push(chunk);
  return Buffer.concat(chunks, bytes);
}

function indexPages({ members }: Manifest) {
  return members.filter(({ kind, collection }) => kind === 'index' && collection === undefined);
}

function firstIndexByte(manifest: Manifest): number {
  return Math.min(...indexPages(manifest).map(({ offset }) => offset), Number.MAX_SAFE_INTEGER);
}

function assertIsIt(context: Context, archive: ArchiveDocument, manifest: Manifest): void {
  const { installation, owner, customer, attempt, policyVersion } = manifest;
  const isIt =
    installation === context.installation.id &&
    manifest.archive === archive._id &&
    attempt === archive.attempt &&
    owner === archive.owner &&
    customer === archive.customer &&
    policyVersion === archive.policyVersion;
  if (!isIt) throw corruptFile(archive);
}

function corruptFile({ _id }: ArchiveDocument): MoraineError {
  return new MoraineError('ARCHIVE_CORRUPT', `The file in the vault is not archive ${_id}, as its description says.`, {
    ids: { archive: _id },
  });
}

async function doesTreat(context: Context, { policyVersion, owner, customer }: ArchiveDocument): Promise<boolean> {
  const policy = await pinnedPolicy(context.store, policyVersion);
  const { branches } = compile(policy, { exceptions: [], environment: 'production' }).of(owner, customer);
  return branches.some(({ treatment }) => treatment !== null);
}

/** Reads the index, a page of it in hand, looks for each record in the source, and leaves roster pages in the ledger. Returns the outcomes of each. */
async function readRoster(
  context: Context,
  archive: ArchiveDocument,
  manifest: Manifest,
  key: SealKey,
  end: { readonly start: number; readonly bytes: Uint8Array },
  treats: boolean,
): Promise<readonly (readonly RecordOutcome[])[]> {
  const { store } = context;
  const of = { archive: archive._id, attempt: archive.attempt ?? '', epoch: archive.epoch };
  // What a cut one has left.
  await removeRostersOf(store, archive._id);
  await removeExceptions(store, archive._id);
  const outcomes: (readonly RecordOutcome[])[] = [];
  for (const member of indexPages(manifest)) {
    const plain = await readMember(end, member, manifest, key);
    const entries = [...splitDocuments(plain)].map(decodeIndexEntry);
    for (let at = 0; at < entries.length; at += ROSTER_PAGE_RECORDS) {
      const page = entries.slice(at, at + ROSTER_PAGE_RECORDS);
      const records = page.map(({ idBytes, sha256, segment }): RosterRecord => ({ id: idBytes, sha256, segment }));
      await writeRosterPage(store, of, outcomes.length, records);
      outcomes.push(await outcomesOf(context, id.namespace(manifest.dataset), page, treats));
    }
  }
  return outcomes;
}

async function outcomesOf(
  context: Context,
  namespace: Namespace,
  page: readonly IndexEntry[],
  treats: boolean,
): Promise<readonly RecordOutcome[]> {
  const { source } = context;
  const present = await source.readByIds(
    namespace,
    page.map(({ idBytes }) => idBytes),
  );
  return page.map(({ idBytes, sha256 }) => {
    const record = present.get(source.keyOf(idBytes));
    if (record === undefined) return 'deleted';
    if (hash('sha256', record.raw, 'buffer').equals(sha256)) return 'held';
    return treats ? 'treated' : 'changed';
  });
}

async function writeProven(
  context: Context,
  archive: ArchiveDocument,
  signed: SignedManifest,
  pages: readonly (readonly RecordOutcome[])[],
  by: string,
): Promise<Outcomes> {
  const { store, source, keys } = context;
  const { manifest } = signed;
  const attempt = id.attempt(manifest.attempt);
  const isAddendum = manifest.addendumTo !== undefined;
  const collection = id.namespace(manifest.dataset);
  const outcomes = countsOf(pages);
  await shrinkRoster(store, {
    ...{ archive: archive._id, attempt, owner: archive.owner, customer: archive.customer, namespace: collection },
    ...{ records: manifest.records, pages: pages.length, hmac: await keys.hmacFor(archive.owner) },
    keyOf: (idBytes) => recordName(isAddendum ? { collection } : {}, source.keyOf(idBytes)),
    outcomes: async (page) => pages[page] ?? [],
  });
  await removeRostersOf(store, archive._id);
  const members = manifest.members.map(({ name, offset, length, sha256, segment }) => {
    return { name, offset, length, sha256, segment };
  });
  await update(attempts(store), attempt, (document) => ({ ...document, members }));
  const lease = await claimArchive(store, context.audit, archive._id, context);
  try {
    if (lease.document.state === 'cleared') return lease.document.outcomes;
    await moveArchive(context.audit, context.clock, lease, {
      to: 'cleared',
      set: {
        ...{ quarantinedFrom: null, quarantineReason: null, policy: manifest.policy, outcomes },
        stored: provenFacts(lease.document, signed, pages.length),
        dueAt: new Date(manifest.due.last),
        ...(isAddendum ? { collection, addendumTo: id.archive(manifest.addendumTo ?? '') } : { namespace: collection }),
      },
      details: { reason: 'shown by its manifest, its index and the source', by, ...outcomes },
    });
  } finally {
    await lease.giveUp();
  }
  const reason = 'its manifest and index were read, and each record was looked for in the source';
  await closeQuarantine(store, context.clock, archiveEntryId(archive._id), { who: by, reason });
  return outcomes;
}

function countsOf(pages: readonly (readonly RecordOutcome[])[]): Outcomes {
  const totals: Record<keyof Outcomes, number> = { ...NO_OUTCOMES };
  for (const page of pages) {
    for (const outcome of page) {
      totals[outcome] += 1;
      totals.archived += 1;
    }
  }
  return totals;
}

function provenFacts({ stored }: ArchiveDocument, { manifest, sha256 }: SignedManifest, pages: number): StoredFacts {
  if (stored === null) throw new MoraineError('INTERNAL', `Archive ${manifest.archive} was never stored.`);
  const { children = [], attachments } = manifest;
  const sum = (of: 'records' | 'plainBytes') => children.reduce((total, run) => total + run[of], 0);
  return {
    ...stored,
    ...{ records: manifest.records, recordBytes: manifest.plainBytes, merkleRoot: manifest.merkleRoot },
    ...{ manifestSha256: sha256, rosterPages: pages },
    ...(children.length === 0 ? {} : { children: sum('records'), childBytes: sum('plainBytes') }),
    ...(attachments === undefined ? {} : { attachments: attachments.files, attachmentBytes: attachments.bytes }),
  };
}
