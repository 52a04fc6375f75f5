/**
 * The source: the customers' own data, seen through the questions that the lifecycle asks of it. Documents travel as
 * the BSON bytes that the server sent.
 */
import type { CustomerId, Namespace, OwnerId } from '../ids.ts';
import type { ClearingWarrant } from '../ledger/warrants.ts';
import type { LookUpPort } from './look-up-port.ts';
import type { RecordValues } from './record-value.ts';
import type { AttachmentShape, ChildName, ChildRecord, ChildShape, ChildWeight, Party } from './unit-shape.ts';

export type {
  AttachedFile,
  AttachmentProblem,
  AttachmentsPort,
  FoundAttachment,
} from './attachments-port.ts';
export type { PlainValue, RecordValue, RecordValues } from './record-value.ts';
export type { AttachmentShape, ChildName, ChildRecord, ChildShape, ChildWeight, Party } from './unit-shape.ts';

/** A value from a field of the record (dotted path), or the same value for all records. */
export type FieldOrValue = { readonly field: string } | { readonly value: string };

/** How a dataset names what a record belongs to and when its period began. Comes from the policy. */
export interface DatasetShape {
  readonly namespace: Namespace;
  readonly owner: FieldOrValue;
  readonly customer: FieldOrValue;
  /** The field that the scan is ordered by: a date field, an ObjectId field, or a field with the record's own expiry date. */
  readonly trigger: { readonly field: string; readonly kind: 'date' | 'objectId' };
  /** Optional guard field: `{ _id, version }` replaces the whole document in the guarded delete. */
  readonly version?: string;
  /** Facet name -> field. */
  readonly facets: Readonly<Record<string, string>>;
  /** What hangs on a record; absent: nothing does. */
  readonly children?: readonly ChildShape[];
  readonly attachments?: readonly AttachmentShape[];
  /** Where look-ups find their documents, and by which field; absent: there are none. */
  readonly lookUps?: readonly { readonly collection: Namespace; readonly key: string }[];
  /** Further fields that decisions look at (dotted paths); absent: none. */
  readonly values?: readonly string[];
  /** Records may carry the marker of a treatment; absent: nobody looks for one. */
  readonly isMarked?: true;
}

/** One customer of one owner in one dataset. */
export interface Partition {
  readonly dataset: DatasetShape;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
}

/** A place in the order `(trigger, _id)`: the bytes of a BSON document `{ t: trigger value, i: _id }`. */
export type Position = Uint8Array;

/** One record as the server sent it. `raw` is a copy; a small one shares a slab of 64 KiB with its neighbours. */
export interface RawRecord {
  readonly raw: Uint8Array;
  /** BSON type byte and value bytes of `_id`. */
  readonly idBytes: Uint8Array;
  /**
   * Text that is the same for two `_id`s exactly when MongoDB's unique index holds them equal (1, 1.0 and int64 1 are
   * one key). Holds the plaintext id: never log it, never store it where the copy's end does not remove it.
   */
  readonly key: string;
}

/** What a record says about itself, as ids and instants. */
export interface RecordFacts {
  readonly owner: OwnerId | null;
  readonly customer: CustomerId | null;
  /** Milliseconds since 1970 UTC of the trigger value (for an expiry field: of that date). */
  readonly trigger: number | null;
  /** What the fields of `DatasetShape.values` hold, by field. Absent when there are none. */
  readonly values?: RecordValues;
  /** Id of the treatment whose marker it carries; null: none. Absent where nobody looks for one. */
  readonly treated?: string | null;
  /** Which of owner, customer and trigger cannot be used. Empty when all can; `fitness` judges the rest of the bytes. */
  readonly unfit: readonly UnfitReason[];
}

export type UnfitReason =
  | 'owner-unusable'
  | 'customer-unusable'
  | 'trigger-unusable'
  | 'not-canonical'
  | 'too-large'
  | 'not-treatable';

export interface PartitionSummary {
  readonly records: number;
  readonly bytes: number;
  /** Trigger (ms) of the oldest and newest record, null when there is none. */
  readonly oldest: number | null;
  readonly newest: number | null;
}

/** Instants in ms; a record belongs to the range when from <= trigger < before. */
export interface TriggerRange {
  readonly from?: number;
  readonly before: number;
}

export interface DatasetFinding {
  readonly level: 'error' | 'warning';
  readonly code: 'INDEX_MISSING' | 'DATASET_UNFIT' | 'COLLECTION_MISSING' | 'INDEX_WITHOUT_ID';
  readonly text: string;
  /** A command for the mongo shell that mends it, where there is one. */
  readonly remedy?: string;
}

export interface DatasetReport {
  readonly findings: readonly DatasetFinding[];
  /** The index that serves the scan, or null. */
  readonly index: string | null;
  /** What the server's `explain` says about the scan, as it came. */
  readonly explain: unknown;
  /** Documents in the collection (estimated count). */
  readonly documents: number;
}

/** What becomes of a field: removed, overwritten with a fixed value of its type, or replaced by a pseudonym. */
export interface FieldTreatment {
  /** Dotted path; arrays on the way count with every element. */
  readonly field: string;
  readonly how: 'anonymise' | 'redact' | 'pseudonymise';
}

/** How records are treated in place. The same treatment makes the same bytes of the same record, always. */
export interface Treatment {
  readonly fields: readonly FieldTreatment[];
  /** The policy version that asks for it, for the marker. */
  readonly version: string;
  /** Names the fields and what becomes of them: the same under two versions that ask for the same. */
  readonly id: string;
  /** For the marker. */
  readonly at: Date;
  /** Keyed for one owner, for pseudonyms alone. */
  readonly hmac: (data: string) => Uint8Array;
}

/** A record as it was read, and what is to stand in its place. */
export interface Replacement {
  readonly record: RawRecord;
  readonly by: Uint8Array;
}

/** What guarded replaces came to. Which records were replaced is asked afterwards with `readByIds`: the count alone proves nothing. */
export interface GuardedReplace {
  readonly replacedCount: number;
}

/** What a guarded delete command came to. Which records went is asked afterwards with `readByKeys`: the count alone proves nothing. */
export interface GuardedDelete {
  readonly deletedCount: number;
}

export interface SourcePort extends LookUpPort {
  /** The source server's clock: a witness of time, and what `until` of a guarded delete is compared with. */
  serverTime(): Promise<Date>;
  /** Index, kind of collection and collation. Reads only. */
  inspect(dataset: DatasetShape): Promise<DatasetReport>;
  /** Every (owner, customer) with a usable trigger before `before`, found by index seeks, never by a scan. */
  partitions(dataset: DatasetShape, before: number): AsyncIterable<Partition>;
  /** Count, bytes and range of a partition's records in a range. Counts by trigger only. */
  summarise(partition: Partition, range: TriggerRange): Promise<PartitionSummary>;
  /**
   * Records of the partition in the order `(trigger, _id)`, in batches, strictly after `after` (when given) and up to
   * and including `upTo` (when given) and with trigger < `before`. Primary, majority. Unfit records are left out.
   */
  scan(
    partition: Partition,
    range: { readonly after: Position | null; readonly upTo: Position | null; readonly before: number },
    signal?: AbortSignal,
  ): AsyncIterable<readonly RawRecord[]>;
  /**
   * Records whose owner, customer or trigger cannot be used, by index ranges over the types that are not usable; with `of`
   * only those of this owner and customer, of which nothing but the trigger is not.
   */
  unfit(dataset: DatasetShape, of?: Party): AsyncIterable<readonly RawRecord[]>;
  /** Owner, customer and trigger of a record, from its bytes. Cheap and pure. */
  facts(dataset: DatasetShape, raw: Uint8Array): RecordFacts;
  /**
   * Why a record could not be guarded (`not-canonical`, `too-large`), or `null` when it can. Walks all its bytes; asked
   * once per record, before it is sealed. Pure.
   */
  fitness(dataset: DatasetShape, raw: Uint8Array): UnfitReason | null;
  /** Facet name -> normalised text values of a record (arrays give several). Pure. */
  facets(dataset: DatasetShape, raw: Uint8Array): Readonly<Record<string, readonly string[]>>;
  /** The position of a record in the order of the scan. Pure. */
  position(dataset: DatasetShape, raw: Uint8Array): Position;
  /** Documents with these `_id`s as they are now: primary, linearizable or majority. Absent ones are left out. Keyed by `RawRecord.key`. */
  readByIds(namespace: Namespace, idBytes: readonly Uint8Array[]): Promise<ReadonlyMap<string, RawRecord>>;
  /** The key (see RawRecord.key) for the bytes of an `_id`. Pure. */
  keyOf(idBytes: Uint8Array): string;
  /**
   * ONE guarded delete command per batch of at most 200 records and 8 MiB (a larger record alone). Each command deletes
   * exactly those of the documents that still equal the given bytes (or `{_id, version}`), and nothing once the server's
   * clock has passed the warrant's `until`. The warrant is looked at right before each command.
   */
  deleteGuarded(dataset: DatasetShape, records: readonly RawRecord[], warrant: ClearingWarrant): Promise<GuardedDelete>;
  /**
   * The document that a treatment makes of a record, or null when it cannot: its bytes do not add up, something that is
   * not a marker stands in the marker's place, or the two are too large for one statement. Pure.
   */
  treated(dataset: DatasetShape, raw: Uint8Array, treatment: Treatment): Uint8Array | null;
  /** Whether these bytes carry the marker of this treatment under this version, at whatever instant. Pure. */
  isMarkedBy(raw: Uint8Array, treatment: Treatment): boolean;
  /**
   * ONE command per batch of at most 200 records and 8 MiB of what is quoted (a larger record alone), each record under
   * the guard of `deleteGuarded`: it is replaced exactly when it still equals the bytes that were read, and not once the
   * server's clock has passed the warrant's `until`. A record that is not there is never made. One that the server will
   * not have replaced (a unique index, a schema, a shard key) stays as it is.
   */
  replaceGuarded(
    dataset: DatasetShape,
    replacements: readonly Replacement[],
    warrant: ClearingWarrant,
  ): Promise<GuardedReplace>;
  /** Type byte and value bytes of what the children of a root name it by; null when none can name it. Pure. */
  parentOf(child: ChildShape, root: Uint8Array): Uint8Array | null;
  /** Whether a child is of this owner and customer, where the rule says how it tells. Pure. */
  isOfParty(child: ChildShape, raw: Uint8Array, party: Party): boolean;
  /** Count and bytes of the children of these roots (`parentOf`), by `keyOf` of the same bytes; a root without any is left out. At most 1,000. */
  weighChildren(child: ChildShape, parents: readonly Uint8Array[]): Promise<ReadonlyMap<string, ChildWeight>>;
  /** The children of these roots as they are now, in batches and in no order: primary, majority. At most 1,000 roots. */
  children(child: ChildShape, parents: readonly Uint8Array[]): AsyncIterable<readonly ChildRecord[]>;
  /** Names of children in the order of `_id`, strictly after one, at most `limit`. Primary, majority. */
  childNames(child: ChildShape, after: Uint8Array | null, limit: number): AsyncIterable<readonly ChildName[]>;
  /** Which of these values (type byte and bytes, at most 1,000) a document has in this field, by `keyOf`: primary, majority. */
  rootsThere(namespace: Namespace, field: string, values: readonly Uint8Array[]): Promise<ReadonlySet<string>>;
  /** Inserts documents that are not there (by `_id`); never overwrites. Returns the keys that were there already. */
  insertMissing(
    namespace: Namespace,
    records: readonly Uint8Array[],
  ): Promise<{ readonly inserted: number; readonly existing: readonly string[] }>;
  /** One document by `_id`, given as text of the command line (JSON/EJSON or plain string), for `explain`. */
  findOne(namespace: Namespace, idText: string): Promise<RawRecord | null>;
}
