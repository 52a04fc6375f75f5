/** What decisions ask of the source besides a record itself: values at fields, and the documents that look-ups find. */
import type { Namespace } from '../ids.ts';
import type { DatasetFinding, RawRecord } from './port.ts';
import type { RecordValues } from './record-value.ts';

export interface LookUpPort {
  /** What these fields (dotted paths) of a document hold. Pure. */
  values(raw: Uint8Array, fields: readonly string[]): RecordValues;
  /** BSON type byte and value bytes at a field, to look up by; null: missing, null, a list or an object. Pure. */
  valueBytes(raw: Uint8Array, field: string): Uint8Array | null;
  /** What speaks against looking up by this field: the collection is away, or has no unique index on it. Reads only. */
  inspectLookUp(collection: Namespace, key: string): Promise<readonly DatasetFinding[]>;
  /**
   * Documents whose `key` is one of these values (at most 1,000), on the primary with majority, by `keyOf` the value.
   * @throws DATASET_UNFIT when two documents have the same.
   */
  readByKey(collection: Namespace, key: string, values: readonly Uint8Array[]): Promise<ReadonlyMap<string, RawRecord>>;
}
