/**
 * Fetch: the output of a finished retrieval, sealed as it is, into the folder for retrievals, before the vault drops it.
 * Whole files are compared with the tree hash that the vault acknowledged, parts member by member with the hashes that
 * were noted at sealing; only then does the file get its name.
 */
import { createHash } from 'node:crypto';
import { TreeHasher } from '../archive/tree-hash.ts';
import { MoraineError } from '../errors.ts';
import { getArchive } from '../ledger/archives.ts';
import { attempts } from '../ledger/attempts.ts';
import { markFetched, type RetrievalDocument } from '../ledger/retrievals.ts';
import type { RetrievalFiles } from '../vault/retrieval-files.ts';
import { assertNotStopped, type Context } from './context.ts';
import { outOfVault } from './retrieval-output.ts';
import { retrievableFacts, tell } from './retrieve.ts';

/** Small enough that a lease is kept and a stop is heard while a large file comes in. */
const FETCH_BYTES = 8 * 1024 * 1024;

/** `beforeChunk` is called before every call of the vault and may throw. Throws ARCHIVE_CORRUPT for other bytes than were stored: then nothing is kept. */
export async function fetchRetrieval(
  context: Context,
  files: RetrievalFiles,
  retrieval: RetrievalDocument,
  beforeChunk: () => Promise<void>,
): Promise<RetrievalDocument> {
  const archive = await getArchive(context.store, retrieval.archive);
  const stored = retrievableFacts(archive);
  const bytes = retrieval.range === null ? stored.bytes : retrieval.range.end - retrieval.range.start;
  const checker =
    retrieval.range === null
      ? new WholeFile(stored.treeHash)
      : new Members(retrieval.range.start, await membersWithin(context, retrieval));
  async function* chunks() {
    for (let start = 0; start < bytes; start += FETCH_BYTES) {
      assertNotStopped(context);
      await beforeChunk();
      const chunk = await outOfVault(context, retrieval, { start, end: Math.min(bytes, start + FETCH_BYTES) });
      checker.update(chunk);
      yield chunk;
    }
  }
  await files.write(retrieval._id, chunks(), () => {
    if (checker.isRight()) return;
    throw new MoraineError(
      'ARCHIVE_CORRUPT',
      `What the vault sent for archive ${retrieval.archive} is not what was stored.`,
      { ids: { archive: retrieval.archive, retrieval: retrieval._id } },
    );
  });
  const fetchedAt = context.clock.now();
  const keepUntil = new Date(fetchedAt.getTime() + files.keepMs);
  await tell(context, retrieval, 'fetched', { bytes, keepUntil: keepUntil.toISOString() });
  return await markFetched(context.store, retrieval._id, { fetchedAt, keepUntil });
}

class WholeFile {
  readonly #hasher = new TreeHasher();
  readonly #treeHash: string;

  constructor(treeHash: string) {
    this.#treeHash = treeHash;
  }

  update(chunk: Uint8Array): void {
    this.#hasher.update(chunk);
  }

  /** Unknown after a rebuild from a vault that lists none: a restore compares the members with the signed manifest. */
  isRight(): boolean {
    return this.#treeHash === '' || this.#hasher.digest() === this.#treeHash;
  }
}

interface Place {
  readonly offset: number;
  readonly length: number;
  readonly sha256: string;
}

/** Members that lie whole in the part: at least the one that it is wanted for. */
class Members {
  readonly #places: readonly (Place & { readonly hash: ReturnType<typeof createHash> })[];
  #at: number;

  constructor(start: number, places: readonly Place[]) {
    this.#at = start;
    this.#places = places.map((place) => ({ ...place, hash: createHash('sha256') }));
  }

  update(chunk: Uint8Array): void {
    for (const { offset, length, hash } of this.#places) {
      const from = Math.max(0, offset - this.#at);
      const to = Math.min(chunk.length, offset + length - this.#at);
      if (from < to) hash.update(chunk.subarray(from, to));
    }
    this.#at += chunk.length;
  }

  isRight(): boolean {
    return this.#places.length > 0 && this.#places.every(({ hash, sha256 }) => hash.digest('hex') === sha256);
  }
}

async function membersWithin(context: Context, { archive, range }: RetrievalDocument): Promise<readonly Place[]> {
  const { attempt } = await getArchive(context.store, archive);
  const document = attempt === null ? null : await attempts(context.store).get(attempt);
  if (range === null) return [];
  return (document?.members ?? []).filter(
    ({ offset, length }) => offset >= range.start && offset + length <= range.end,
  );
}
