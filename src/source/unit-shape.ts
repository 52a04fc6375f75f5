/** What hangs on a record: children in other collections, and files. Comes from the policy. */
import type { CustomerId, Namespace, OwnerId } from '../ids.ts';
import type { FieldOrValue, RawRecord } from './port.ts';

/** Documents of another collection that name their root in a field. */
export interface ChildShape {
  readonly collection: Namespace;
  /** Field of the child that names its root. */
  readonly key: string;
  /** Field of the root that the child's key equals. */
  readonly parent: string;
  /** Where a child says whose it is. */
  readonly owner?: FieldOrValue;
  readonly customer?: FieldOrValue;
  /** Guard field of the child. */
  readonly version?: string;
}

/** A file that hangs on a record. Deleted with it only where it is `exclusive`. */
export type AttachmentShape =
  | {
      readonly kind: 's3';
      readonly store: string;
      readonly bucket: FieldOrValue;
      readonly key: string;
      readonly version: string | null;
      readonly exclusive: boolean;
    }
  | {
      readonly kind: 'gridfs';
      readonly bucket: string;
      readonly file: string;
      readonly exclusive: boolean;
    };

/** A child, and the key (see `RawRecord.key`) of the value with which it names its root. */
export interface ChildRecord extends RawRecord {
  readonly parent: string;
}

/** A child by its names alone. */
export interface ChildName {
  /** BSON type byte and value bytes of `_id`. */
  readonly idBytes: Uint8Array;
  /** The same of what it names its root by; null when it names nobody. */
  readonly parent: Uint8Array | null;
  /** Perhaps no more than the fields that tell whose it is: for `SourcePort.isOfParty`. */
  readonly raw: Uint8Array;
}

/** How much hangs on one root. */
export interface ChildWeight {
  readonly records: number;
  readonly bytes: number;
}

export interface Party {
  readonly owner: OwnerId;
  readonly customer: CustomerId;
}
