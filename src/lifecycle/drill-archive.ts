/**
 * One archive of a drill: read as a restore reads it (whole file, members, index, manifest, signature), restored into a
 * scratch database, read back from there and compared document by document, and its Merkle root, counts and keys with
 * what the ledger has. Attachments are hashed as they come out and go nowhere.
 */
import { createHash } from 'node:crypto';
import { idBytesOf } from '../archive/index-pages.ts';
import type { VerifiedManifest } from '../archive/inspect.ts';
import { errorClass, isMoraineError, MoraineError } from '../errors.ts';
import { type ArchiveId, id, type Namespace } from '../ids.ts';
import { type ArchiveDocument, collectionOfArchive } from '../ledger/archive-document.ts';
import { getArchive } from '../ledger/archives.ts';
import { childName } from '../ledger/child-index.ts';
import { segmentsOf } from '../ledger/record-index.ts';
import type { SourcePort } from '../source/port.ts';
import type { Context } from './context.ts';
import type { OpenKey } from './export-customer.ts';
import { type RestoreReport, type RestoreTarget, restoreArchive } from './restore.ts';

/** Where a drill restores to: a database of its own. */
export interface Scratch {
  readonly into: SourcePort;
  readonly database: string;
  drop(): Promise<void>;
}

export type DrillOutcome =
  | { readonly outcome: 'passed'; readonly report: RestoreReport }
  | { readonly outcome: 'failed'; readonly text: string };

/** Keys that are looked for in the ledger's index, spread over the archive: each is a read. */
const KEYS_LOOKED_FOR = 100;

/** Throws what only time mends: a vault or a server that cannot be asked now, RETRIEVAL_NOT_READY. */
export async function drillArchive(
  context: Context,
  archive: ArchiveId,
  openKey: OpenKey,
  scratch: Scratch,
  keepsRetrieval: boolean,
): Promise<DrillOutcome> {
  // What a drill that was killed left there.
  await scratch.drop();
  try {
    const document = await getArchive(context.store, archive);
    const target = new ComparingTarget(context, document, scratch);
    const onVerified = (verified: VerifiedManifest) => assertSameAsLedger(document, verified);
    const report = await restoreArchive(context, archive, openKey, target, 'drill', { keepsRetrieval, onVerified });
    assertCounts(document, report);
    return { outcome: 'passed', report };
  } catch (error) {
    if (!isFinding(error)) throw error;
    return { outcome: 'failed', text: error.message };
  } finally {
    await scratch.drop();
  }
}

/** Does it say something about the archive, and not about the moment? */
function isFinding(error: unknown): error is MoraineError {
  return (
    errorClass(error) === 'quarantine' ||
    isMoraineError(error, 'IDENTITY_WRONG') ||
    isMoraineError(error, 'KEY_MISSING')
  );
}

class ComparingTarget implements RestoreTarget {
  readonly #context: Context;
  readonly #archive: ArchiveDocument;
  readonly #scratch: Scratch;
  readonly unit = {
    write: (collection: Namespace, documents: readonly Uint8Array[]) => this.#compare(collection, documents),
    attachment: async (
      { ordinal, sha256, bytes }: { readonly ordinal: number; readonly sha256: Uint8Array; readonly bytes: number },
      parts: AsyncIterable<Uint8Array>,
    ): Promise<'inserted'> => {
      const hash = createHash('sha256');
      let length = 0;
      for await (const part of parts) {
        hash.update(part);
        length += part.byteLength;
      }
      if (length !== bytes || !hash.digest().equals(sha256))
        throw this.#differs(`attachment ${ordinal} is not what its index says`);
      return 'inserted';
    },
  };

  constructor(context: Context, archive: ArchiveDocument, scratch: Scratch) {
    this.#context = context;
    this.#archive = archive;
    this.#scratch = scratch;
  }

  async write(documents: readonly Uint8Array[]) {
    await this.#findKeys(documents);
    return await this.#compare(collectionOfArchive(this.#archive), documents);
  }

  async finish() {}
  async discard() {}

  /** Into the scratch database, back out of it, and byte for byte the same. */
  async #compare(namespace: Namespace, documents: readonly Uint8Array[]) {
    const { into, database } = this.#scratch;
    const place = id.namespace(`${database}.${namespace}`);
    const { inserted } = await into.insertMissing(place, documents);
    const found = await into.readByIds(place, documents.map(idBytesOf));
    let differing = documents.length - inserted;
    for (const raw of documents) {
      const back = found.get(into.keyOf(idBytesOf(raw)));
      if (back === undefined || Buffer.compare(back.raw, raw) !== 0) differing += 1;
    }
    if (differing > 0) throw this.#differs(`${differing} documents of ${namespace} came back otherwise than they went`);
    return { inserted, existing: 0 };
  }

  /** Whoever looks for a record in the ledger must find this archive. */
  async #findKeys(documents: readonly Uint8Array[]): Promise<void> {
    const { _id, stored, owner, collection, rosterShrunk } = this.#archive;
    if (stored === null || !rosterShrunk) return;
    const hmac = await this.#context.keys.hmacFor(owner);
    const step = Math.max(1, Math.ceil(stored.records / KEYS_LOOKED_FOR));
    for (let at = 0; at < documents.length; at += step) {
      const raw = documents[at];
      if (raw === undefined) continue;
      const key = this.#context.source.keyOf(idBytesOf(raw));
      const names = collection === undefined ? [key] : [key, childName(collection, key)];
      const found = await Promise.all(
        names.map((name) => segmentsOf(this.#context.store, _id, stored.records, hmac(name))),
      );
      if (found.every((segments) => segments.length === 0))
        throw this.#differs('a record of it is not in the index of the ledger');
    }
  }

  #differs(what: string): MoraineError {
    return differs(this.#archive._id, what);
  }
}

function assertSameAsLedger({ _id, stored }: ArchiveDocument, { manifest }: VerifiedManifest): void {
  if (stored === null) throw differs(_id, 'the ledger does not say what was stored');
  if (manifest.merkleRoot !== stored.merkleRoot) throw differs(_id, "its Merkle root is not the ledger's");
  if (manifest.records !== stored.records) {
    throw differs(_id, `it holds ${manifest.records} records, where the ledger says ${stored.records}`);
  }
}

function assertCounts({ _id, outcomes }: ArchiveDocument, report: RestoreReport): void {
  const good = outcomes.deleted + outcomes.treated;
  if (report.inserted === good) return;
  throw differs(_id, `${report.inserted} of its records came back, where ${good} were deleted`);
}

function differs(archive: ArchiveId, what: string): MoraineError {
  return new MoraineError('ARCHIVE_CORRUPT', `Archive ${archive}: ${what}.`, { ids: { archive } });
}
