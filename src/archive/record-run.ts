/** The records of one collection in an archive while it is written: their segments, their index, their Merkle tree. */
import { encodeIndexEntry } from './index-pages.ts';
import { MerkleTree } from './merkle.ts';
import { type ClosedSegment, type Placement, SegmentBuilder } from './segments.ts';

export interface RunRecord {
  readonly raw: Uint8Array;
  /** BSON type byte and value bytes of `_id`. */
  readonly idBytes: Uint8Array;
  /** Of `raw`: 32 bytes. */
  readonly sha256: Uint8Array;
}

export class RecordRun {
  /** `database.collection` */
  readonly collection: string;
  readonly isChildren: boolean;
  readonly segments = new SegmentBuilder();
  readonly index = new SegmentBuilder();
  readonly #merkle = new MerkleTree();
  /** Index entries of the records in the segment that is being filled. */
  #waitingEntries: Uint8Array[] = [];
  records = 0;
  plainBytes = 0;
  segmentCount = 0;

  constructor(collection: string, isChildren: boolean) {
    this.collection = collection;
    this.isChildren = isChildren;
  }

  /** Copies the record. `closed` is the segment before it, with its entries, when the record did not fit there any more. */
  add(
    record: RunRecord,
    root?: number,
  ): { readonly placed: Placement; readonly closed: ClosedSegment | null; readonly entries: readonly Uint8Array[] } {
    const { idBytes, sha256, raw } = record;
    const { placed, closed } = this.segments.add(raw);
    // The segment that was closed holds the records before this one, and so do the entries that wait.
    const entries = closed === null ? [] : this.takeEntries();
    const { ordinal, segment, offset } = placed;
    const entry = { idBytes, ordinal, segment, offset, length: raw.byteLength, sha256 };
    this.#waitingEntries.push(encodeIndexEntry(root === undefined ? entry : { ...entry, root }));
    this.#merkle.add(sha256);
    this.records += 1;
    this.plainBytes += raw.byteLength;
    return { placed, closed, entries };
  }

  takeEntries(): readonly Uint8Array[] {
    const entries = this.#waitingEntries;
    this.#waitingEntries = [];
    return entries;
  }

  merkleRoot(): string {
    return this.#merkle.root();
  }
}
