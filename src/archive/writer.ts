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
import { createHash, hash } from 'node:crypto';
import type { AttachmentFacts } from '../attachment-facts.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveKey, Signature, SigningPublicKey } from '../keys/port.ts';
import { encodeAttachmentEntry } from './attachment-index.ts';
import { containerEnd } from './container.ts';
import { corrupt } from './corrupt.ts';
import { isOneDocument } from './documents.ts';
import {
  type ArchiveDescription,
  type AttachmentTotals,
  type ChildrenTotals,
  encodeManifest,
  encodeSignature,
  MANIFEST_FORMAT,
  MANIFEST_VERSION,
  type Manifest,
  type Member,
} from './manifest.ts';
import {
  attachmentIndexName,
  attachmentName,
  indexName,
  MANIFEST_NAME,
  README_NAME,
  SIGNATURE_NAME,
  segmentName,
} from './member-names.ts';
import { type MemberFacts, MemberPipeline, plainFacts } from './member-pipeline.ts';
import { MerkleTree } from './merkle.ts';
import { piecesOf } from './pieces.ts';
import { readmeText } from './readme.ts';
import { RecordRun, type RunRecord } from './record-run.ts';
import { openMember, sealMember } from './seal.ts';
import { type ClosedSegment, type Placement, SegmentBuilder } from './segments.ts';
import { MIB } from './tree-hash.ts';

export { estimateFileBytes } from './size-estimate.ts';

/** Enough to keep the thread pool busy with the next members while one is sealed and one is sent; each costs about 3 MiB. */
const PIPELINE_DEPTH = 4;
/** Plain bytes of an attachment in one member; each in the making costs three times that, so only two are. */
export const ATTACHMENT_PART_BYTES = 8 * MIB;
const ATTACHMENT_DEPTH = 2;

export interface ArchiveWriterOptions {
  readonly description: ArchiveDescription;
  readonly key: Pick<ArchiveKey, 'keyName' | 'bytes'>;
  /** For README.txt. */
  readonly publicKeys: readonly SigningPublicKey[];
  readonly sign: (bytes: Uint8Array) => Promise<Signature>;
  /** Takes the file's next bytes; called one at a time, in order. The chunk belongs to the callee. */
  readonly onBytes: (chunk: Uint8Array) => Promise<void>;
}

export type ArchiveRecord = RunRecord;

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
  /** What hangs on the records, by collection. Empty where nothing does. */
  readonly children: readonly ChildrenTotals[];
  readonly attachments: AttachmentTotals | null;
  /** All members in file order, manifest.json and manifest.sig too. */
  readonly members: readonly Member[];
}

export class ArchiveWriter {
  readonly #options: ArchiveWriterOptions;
  readonly #roots: RecordRun;
  /** By collection, in the order in which the first child of each came. */
  readonly #children = new Map<string, RecordRun>();
  readonly #attachmentIndex = new SegmentBuilder();
  readonly #attachmentMerkle = new MerkleTree();
  #attachments = 0;
  #attachmentBytes = 0;
  readonly #pipeline: MemberPipeline;
  #phase: 'new' | 'open' | 'busy' | 'finished' = 'new';

  constructor(options: ArchiveWriterOptions) {
    this.#options = options;
    this.#pipeline = new MemberPipeline(options.onBytes);
    this.#roots = new RecordRun(options.description.dataset, false);
  }

  /** Records so far. */
  get records(): number {
    return this.#roots.records;
  }

  /** Bytes of BSON so far. */
  get plainBytes(): number {
    return this.#roots.plainBytes;
  }

  /**
   * Takes one record; its bytes are copied. One call at a time. Rejects with the first failure of sealing, of the
   * comparison after it, or of `onBytes`.
   */
  async add(record: ArchiveRecord): Promise<Placement> {
    this.#enter();
    const placed = await this.#addTo(this.#roots, record);
    this.#phase = 'open';
    return placed;
  }

  /** Takes a child of the record with the ordinal `root`, as {@link add} does. */
  async addChild(collection: string, child: ArchiveRecord, root: number): Promise<Placement> {
    this.#enter();
    let run = this.#children.get(collection);
    if (run === undefined) {
      run = new RecordRun(collection, true);
      this.#children.set(collection, run);
    }
    const placed = await this.#addTo(run, child, root);
    this.#phase = 'open';
    return placed;
  }

  /**
   * Takes a file that hangs on the record with the ordinal `root`, as it streams: two members of it are in memory. What
   * `bytes` throws is thrown here, and the archive is then of no further use.
   */
  async addAttachment(
    facts: AttachmentFacts,
    bytes: AsyncIterable<Uint8Array>,
    root: number,
  ): Promise<{ readonly ordinal: number; readonly bytes: number; readonly sha256: Uint8Array }> {
    this.#enter();
    const ordinal = this.#attachments;
    const file = createHash('sha256');
    let total = 0;
    let parts = 0;
    for await (const piece of piecesOf(bytes, ATTACHMENT_PART_BYTES)) {
      file.update(piece);
      total += piece.byteLength;
      const name = attachmentName(ordinal, parts);
      await this.#pipeline.slot(ATTACHMENT_DEPTH);
      this.#pipeline.assertSound();
      const member = { name, kind: 'attachment', plainBytes: piece.byteLength, attachment: ordinal } as const;
      this.#pipeline.emit({ ...member, records: 0, firstOrdinal: 0, segment: null }, this.#seal(name, piece));
      parts += 1;
    }
    const sha256 = file.digest();
    this.#attachments += 1;
    this.#attachmentBytes += total;
    this.#attachmentMerkle.add(sha256);
    const entry = encodeAttachmentEntry({ ordinal, root, facts, bytes: total, parts, sha256 });
    const { closed } = this.#attachmentIndex.add(entry);
    if (closed !== null) await this.#putAttachmentPage(closed);
    this.#phase = 'open';
    return { ordinal, bytes: total, sha256 };
  }

  /** Seals what is left, writes index, manifest and signature, and waits until `onBytes` has taken everything. */
  async finish(totals: ArchiveTotals): Promise<WrittenArchive> {
    this.#enter();
    for (const run of [this.#roots, ...this.#children.values()]) {
      const lastSegment = run.segments.close();
      if (lastSegment !== null) await this.#putSegment(run, lastSegment, run.takeEntries());
      const lastPage = run.index.close();
      if (lastPage !== null) await this.#putIndexPage(run, lastPage);
    }
    const lastPage = this.#attachmentIndex.close();
    if (lastPage !== null) await this.#putAttachmentPage(lastPage);
    await this.#pipeline.flushed();
    const manifest = encodeManifest(this.#manifest(totals));
    await this.#putPlain(MANIFEST_NAME, 'manifest', manifest);
    const signature = encodeSignature(await this.#options.sign(manifest));
    await this.#putPlain(SIGNATURE_NAME, 'signature', signature);
    await this.#pipeline.flushed();
    await this.#pipeline.send(await containerEnd());
    this.#phase = 'finished';
    return {
      bytes: this.#pipeline.bytes,
      treeHash: this.#pipeline.treeHash(),
      records: this.#roots.records,
      plainBytes: this.#roots.plainBytes,
      segments: this.#roots.segmentCount,
      merkleRoot: this.#roots.merkleRoot(),
      manifestSha256: hash('sha256', manifest, 'hex'),
      children: this.#childrenTotals(),
      attachments: this.#attachmentTotals(),
      members: this.#pipeline.members,
    };
  }

  /**
   * For whoever gives the attempt up for a reason of their own: nothing more leaves, and when this resolves no `onBytes`
   * is under way. Later calls of `add` and `finish` reject with `reason`.
   */
  async abandon(reason: unknown): Promise<void> {
    await this.#pipeline.abandon(reason);
  }

  #enter(): void {
    this.#pipeline.assertSound();
    if (this.#phase === 'busy' || this.#phase === 'finished') {
      throw new MoraineError('INTERNAL', `An archive writer was called while it was ${this.#phase}.`);
    }
    if (this.#phase === 'new') this.#begin();
    this.#phase = 'busy';
  }

  #begin(): void {
    const { description, publicKeys } = this.#options;
    const readme = Buffer.from(readmeText(description, publicKeys), 'utf8');
    this.#pipeline.emit(plainFacts(README_NAME, 'readme', readme), Promise.resolve(readme));
  }

  async #addTo(run: RecordRun, record: ArchiveRecord, root?: number): Promise<Placement> {
    if (!isOneDocument(record.raw)) throw new MoraineError('INTERNAL', 'A record is not one BSON document.');
    const { placed, closed, entries } = run.add(record, root);
    if (closed !== null) await this.#putSegment(run, closed, entries);
    return placed;
  }

  async #putSegment(run: RecordRun, closed: ClosedSegment, entries: readonly Uint8Array[]): Promise<void> {
    const name = segmentName(run.collection, closed.segment);
    run.segmentCount += 1;
    const member = { name, kind: 'segment', ...facts(closed), segment: closed.segment, ...ofCollection(run) } as const;
    await this.#putSealed(member, closed, run.segments);
    for (const entry of entries) {
      const { closed: page } = run.index.add(entry);
      if (page !== null) await this.#putIndexPage(run, page);
    }
  }

  async #putIndexPage(run: RecordRun, page: ClosedSegment): Promise<void> {
    const name = indexName(page.segment, run.isChildren ? run.collection : undefined);
    await this.#putSealed(
      { name, kind: 'index', ...facts(page), segment: null, ...ofCollection(run) },
      page,
      run.index,
    );
  }

  async #putAttachmentPage(page: ClosedSegment): Promise<void> {
    const member = { name: attachmentIndexName(page.segment), kind: 'attachmentIndex', segment: null } as const;
    await this.#putSealed({ ...member, ...facts(page) }, page, this.#attachmentIndex);
  }

  async #putSealed(member: MemberFacts, page: ClosedSegment, builder: SegmentBuilder): Promise<void> {
    await this.#pipeline.slot(PIPELINE_DEPTH);
    const sealed = this.#seal(member.name, page.plain);
    this.#pipeline.emit(member, sealed);
    // After a failure the page is not used again: zlib may still be reading it.
    sealed.then(
      () => builder.reuse(page),
      () => undefined,
    );
  }

  async #putPlain(name: string, kind: Member['kind'], data: Uint8Array): Promise<void> {
    await this.#pipeline.slot(PIPELINE_DEPTH);
    this.#pipeline.emit(plainFacts(name, kind, data), Promise.resolve(data));
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

  #manifest(totals: ArchiveTotals): Manifest {
    const { installation, archive, attempt, owner, customer, dataset, policy, policyVersion, addendumTo } =
      this.#options.description;
    const children = this.#childrenTotals();
    const attachments = this.#attachmentTotals();
    return {
      format: MANIFEST_FORMAT,
      version: MANIFEST_VERSION,
      ...{ installation, archive, attempt, owner, customer, dataset, policy, policyVersion },
      keyName: this.#options.key.keyName,
      sealedAt: totals.sealedAt.toISOString(),
      due: { first: totals.dueFirst.toISOString(), last: totals.dueLast.toISOString() },
      records: this.#roots.records,
      plainBytes: this.#roots.plainBytes,
      segments: this.#roots.segmentCount,
      merkleRoot: this.#roots.merkleRoot(),
      auditHead: totals.auditHead,
      ...(addendumTo === undefined ? {} : { addendumTo }),
      ...(children.length === 0 ? {} : { children }),
      ...(attachments === null ? {} : { attachments }),
      members: [...this.#pipeline.members],
    };
  }

  #childrenTotals(): ChildrenTotals[] {
    return [...this.#children.values()].map((run) => ({
      collection: run.collection,
      records: run.records,
      plainBytes: run.plainBytes,
      segments: run.segmentCount,
      merkleRoot: run.merkleRoot(),
    }));
  }

  #attachmentTotals(): AttachmentTotals | null {
    if (this.#attachments === 0) return null;
    const merkleRoot = this.#attachmentMerkle.root();
    return { files: this.#attachments, bytes: this.#attachmentBytes, merkleRoot };
  }
}

function ofCollection(run: RecordRun): Pick<Member, 'collection'> {
  return run.isChildren ? { collection: run.collection } : {};
}

function facts(page: ClosedSegment): Pick<Member, 'plainBytes' | 'records' | 'firstOrdinal'> {
  return { plainBytes: page.plain.byteLength, records: page.records, firstOrdinal: page.firstOrdinal };
}
