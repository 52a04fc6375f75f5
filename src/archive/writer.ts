/**
 * Writes an archive file while its records arrive: flat in memory, in one pass, nothing on disk.
 *
 *     add(record) -> segment of 1 MiB -> zstd (thread pool) -> sealed -> opened again and compared -> onBytes
 *
 * Up to `PIPELINE_DEPTH` members are in the making at once, and leave in file order, one `onBytes` at a time. `add` waits
 * only while the pipeline is full, so the speed of the consumer is the speed of the producer.
 *
 * Invariants (promises 1, 8, 9, 11):
 * - No sealed member leaves before it was opened again in memory and gave exactly the bytes that went in.
 * - An index page leaves after the segments that it points into.
 * - The manifest lists every member before it; it is signed after the last of them has left.
 * - After the first failure nothing more leaves. The writer is then of no further use: the attempt is abandoned.
 */
import { hash } from 'node:crypto';
import { MoraineError } from '../errors.ts';
import type { ArchiveKey, Signature, SigningPublicKey } from '../keys/port.ts';
import { containerEnd, HEADER_BYTES, packMember } from './container.ts';
import { corrupt } from './corrupt.ts';
import { isOneDocument } from './documents.ts';
import { encodeIndexEntry } from './index-pages.ts';
import {
  type ArchiveDescription,
  encodeManifest,
  encodeSignature,
  MANIFEST_FORMAT,
  MANIFEST_VERSION,
  type Manifest,
  type Member,
} from './manifest.ts';
import { indexName, MANIFEST_NAME, README_NAME, SIGNATURE_NAME, segmentName } from './member-names.ts';
import { MerkleTree } from './merkle.ts';
import { readmeText } from './readme.ts';
import { openMember, sealMember } from './seal.ts';
import { type ClosedSegment, type Placement, SegmentBuilder } from './segments.ts';
import { TreeHasher } from './tree-hash.ts';

export { estimateFileBytes } from './size-estimate.ts';

/** Enough to keep the thread pool busy with the next members while one is sealed and one is sent; each costs about 3 MiB. */
const PIPELINE_DEPTH = 4;

export interface ArchiveWriterOptions {
  readonly description: ArchiveDescription;
  readonly key: Pick<ArchiveKey, 'keyName' | 'bytes'>;
  /** For README.txt. */
  readonly publicKeys: readonly SigningPublicKey[];
  readonly sign: (bytes: Uint8Array) => Promise<Signature>;
  /** Takes the file's next bytes; called one at a time, in order. The chunk belongs to the callee. */
  readonly onBytes: (chunk: Uint8Array) => Promise<void>;
}

export interface ArchiveRecord {
  readonly raw: Uint8Array;
  /** BSON type byte and value bytes of `_id`. */
  readonly idBytes: Uint8Array;
  /** Of `raw`: 32 bytes. */
  readonly sha256: Uint8Array;
}

/** What is known only when the last record is in. */
export interface ArchiveTotals {
  readonly sealedAt: Date;
  /** The purge dates of the first and the last record that comes due. */
  readonly dueFirst: Date;
  readonly dueLast: Date;
  /** The newest audit entry before the archive was finished. */
  readonly auditHead: { readonly seq: number; readonly hash: string } | null;
}

export interface WrittenArchive {
  /** Of the whole tar file. */
  readonly bytes: number;
  readonly treeHash: string;
  readonly records: number;
  readonly plainBytes: number;
  readonly segments: number;
  readonly merkleRoot: string;
  readonly manifestSha256: string;
  /** All members in file order, manifest.json and manifest.sig too. */
  readonly members: readonly Member[];
}

type MemberFacts = Pick<Member, 'name' | 'kind' | 'plainBytes' | 'records' | 'firstOrdinal' | 'segment'>;

export class ArchiveWriter {
  readonly #options: ArchiveWriterOptions;
  readonly #segments = new SegmentBuilder();
  readonly #index = new SegmentBuilder();
  readonly #merkle = new MerkleTree();
  readonly #treeHasher = new TreeHasher();
  readonly #members: Member[] = [];
  /** Index entries of the records in the segment that is being filled. */
  #waitingEntries: Uint8Array[] = [];
  /** Emissions that have not ended, oldest first. Each starts when the one before it has ended. */
  readonly #emissions: Promise<void>[] = [];
  #lastEmission: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;
  #records = 0;
  #plainBytes = 0;
  #segmentCount = 0;
  #phase: 'new' | 'open' | 'busy' | 'finished' = 'new';

  constructor(options: ArchiveWriterOptions) {
    this.#options = options;
  }

  /** Records so far. */
  get records(): number {
    return this.#records;
  }

  /** Bytes of BSON so far. */
  get plainBytes(): number {
    return this.#plainBytes;
  }

  /**
   * Takes one record; its bytes are copied. One call at a time. Rejects with the first failure of sealing, of the
   * comparison after it, or of `onBytes`.
   */
  async add(record: ArchiveRecord): Promise<Placement> {
    this.#enter();
    if (!isOneDocument(record.raw)) throw new MoraineError('INTERNAL', 'A record is not one BSON document.');
    const { placed, closed } = this.#segments.add(record.raw);
    // The segment that was closed holds the records before this one, and so do the entries that wait.
    if (closed !== null) await this.#putSegment(closed);
    const { idBytes, sha256, raw } = record;
    const { ordinal, segment, offset } = placed;
    this.#waitingEntries.push(encodeIndexEntry({ idBytes, ordinal, segment, offset, length: raw.byteLength, sha256 }));
    this.#merkle.add(record.sha256);
    this.#records += 1;
    this.#plainBytes += record.raw.byteLength;
    this.#phase = 'open';
    return placed;
  }

  /** Seals what is left, writes index, manifest and signature, and waits until `onBytes` has taken everything. */
  async finish(totals: ArchiveTotals): Promise<WrittenArchive> {
    this.#enter();
    const lastSegment = this.#segments.close();
    if (lastSegment !== null) await this.#putSegment(lastSegment);
    const lastPage = this.#index.close();
    if (lastPage !== null) await this.#putIndexPage(lastPage);
    await this.#lastEmission;
    const manifest = encodeManifest(this.#manifest(totals));
    await this.#putPlain(MANIFEST_NAME, 'manifest', manifest);
    const signature = encodeSignature(await this.#options.sign(manifest));
    await this.#putPlain(SIGNATURE_NAME, 'signature', signature);
    await this.#lastEmission;
    await this.#send(await containerEnd());
    this.#phase = 'finished';
    return {
      bytes: this.#treeHasher.bytes,
      treeHash: this.#treeHasher.digest(),
      records: this.#records,
      plainBytes: this.#plainBytes,
      segments: this.#segmentCount,
      merkleRoot: this.#merkle.root(),
      manifestSha256: hash('sha256', manifest, 'hex'),
      members: this.#members,
    };
  }

  /**
   * For whoever gives the attempt up for a reason of their own: nothing more leaves, and when this resolves no `onBytes`
   * is under way. Later calls of `add` and `finish` reject with `reason`.
   */
  async abandon(reason: unknown): Promise<void> {
    this.#failure ??= { error: reason };
    await this.#lastEmission.catch(() => undefined);
  }

  #enter(): void {
    if (this.#failure !== null) throw this.#failure.error;
    if (this.#phase === 'busy' || this.#phase === 'finished') {
      throw new MoraineError('INTERNAL', `An archive writer was called while it was ${this.#phase}.`);
    }
    if (this.#phase === 'new') this.#begin();
    this.#phase = 'busy';
  }

  #begin(): void {
    const { description, publicKeys } = this.#options;
    const readme = Buffer.from(readmeText(description, publicKeys), 'utf8');
    this.#emit(plainFacts(README_NAME, 'readme', readme), Promise.resolve(readme));
  }

  async #putSegment(closed: ClosedSegment): Promise<void> {
    const name = segmentName(this.#options.description.dataset, closed.segment);
    this.#segmentCount += 1;
    await this.#putSealed({ name, kind: 'segment', ...facts(closed), segment: closed.segment }, closed, this.#segments);
    const entries = this.#waitingEntries;
    this.#waitingEntries = [];
    for (const entry of entries) {
      const { closed: page } = this.#index.add(entry);
      if (page !== null) await this.#putIndexPage(page);
    }
  }

  async #putIndexPage(page: ClosedSegment): Promise<void> {
    const member = { name: indexName(page.segment), kind: 'index', ...facts(page), segment: null } as const;
    await this.#putSealed(member, page, this.#index);
  }

  async #putSealed(member: MemberFacts, page: ClosedSegment, builder: SegmentBuilder): Promise<void> {
    await this.#slot();
    const sealed = this.#seal(member.name, page.plain);
    this.#emit(member, sealed);
    // After a failure the page is not used again: zlib may still be reading it.
    sealed.then(
      () => builder.reuse(page),
      () => undefined,
    );
  }

  async #putPlain(name: string, kind: Member['kind'], data: Uint8Array): Promise<void> {
    await this.#slot();
    this.#emit(plainFacts(name, kind, data), Promise.resolve(data));
  }

  /** Seals, then opens what was sealed as a reader would: the archive is verified before it is stored. */
  async #seal(name: string, plain: Uint8Array): Promise<Uint8Array> {
    const { key, description } = this.#options;
    const { installation, owner, customer, archive } = description;
    const context = { installation, owner, customer, archive, member: name };
    const sealed = await sealMember(plain, context, key);
    const opened = await openMember(sealed, context, key);
    if (Buffer.compare(opened, plain) !== 0) {
      throw corrupt(name, 'right after sealing it does not open to the bytes that went in', { ids: { archive } });
    }
    return sealed;
  }

  /** Waits until fewer than `PIPELINE_DEPTH` members are in the making. */
  async #slot(): Promise<void> {
    while (this.#emissions.length >= PIPELINE_DEPTH) await this.#emissions[0];
  }

  #emit(member: MemberFacts, data: Promise<Uint8Array>): void {
    const before = this.#lastEmission;
    // A later member may fail while an earlier one is still sent; its failure is met when its turn comes.
    data.catch(() => undefined);
    const emission = before
      .then(async () => {
        const bytes = await data;
        const pieces = await packMember(member.name, bytes);
        if (this.#failure !== null) throw this.#failure.error;
        await this.#emitNow(member, bytes, pieces);
      })
      .catch((error: unknown) => {
        this.#failure ??= { error };
        throw error;
      })
      .finally(() => {
        this.#emissions.shift();
      });
    // Whoever waits for a slot or for the end gets the error; so does every later call.
    emission.catch(() => undefined);
    this.#emissions.push(emission);
    this.#lastEmission = emission;
  }

  /** `pieces`: the member as it stands in the file. */
  async #emitNow(member: MemberFacts, data: Uint8Array, pieces: readonly Uint8Array[]): Promise<void> {
    this.#members.push({
      ...member,
      offset: this.#treeHasher.bytes + HEADER_BYTES,
      length: data.byteLength,
      sha256: hash('sha256', data, 'hex'),
    });
    await this.#send(Buffer.concat(pieces));
  }

  async #send(chunk: Uint8Array): Promise<void> {
    this.#treeHasher.update(chunk);
    await this.#options.onBytes(chunk);
  }

  #manifest(totals: ArchiveTotals): Manifest {
    const { installation, archive, attempt, owner, customer, dataset, policy, policyVersion } =
      this.#options.description;
    return {
      format: MANIFEST_FORMAT,
      version: MANIFEST_VERSION,
      ...{ installation, archive, attempt, owner, customer, dataset, policy, policyVersion },
      keyName: this.#options.key.keyName,
      sealedAt: totals.sealedAt.toISOString(),
      due: { first: totals.dueFirst.toISOString(), last: totals.dueLast.toISOString() },
      records: this.#records,
      plainBytes: this.#plainBytes,
      segments: this.#segmentCount,
      merkleRoot: this.#merkle.root(),
      auditHead: totals.auditHead,
      members: [...this.#members],
    };
  }
}

function facts(page: ClosedSegment): Pick<Member, 'plainBytes' | 'records' | 'firstOrdinal'> {
  return { plainBytes: page.plain.byteLength, records: page.records, firstOrdinal: page.firstOrdinal };
}

function plainFacts(name: string, kind: Member['kind'], data: Uint8Array): MemberFacts {
  return { name, kind, plainBytes: data.byteLength, records: 0, firstOrdinal: 0, segment: null };
}
