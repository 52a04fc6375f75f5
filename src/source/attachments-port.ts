/** Files that hang on records, seen through the questions that the lifecycle asks: S3 objects and GridFS files alike. */
import type { AttachmentFacts } from '../attachment-facts.ts';
import type { ClearingWarrant } from '../ledger/warrants.ts';
import type { DatasetFinding, DatasetShape } from './port.ts';

/** One version of a file, and where it is: enough to ask whether it is the same, and to delete exactly it. */
export interface AttachedFile {
  readonly kind: 's3' | 'gridfs';
  /** Name under `attachments` in moraine.yaml; empty for GridFS. */
  readonly store: string;
  /** S3: the bucket. GridFS: `database.bucket`. */
  readonly bucket: string;
  /** S3: the key. GridFS: type byte and value bytes of the file's `_id`, in hex. */
  readonly key: string;
  readonly version: string | null;
  /** The record names no version: it means the newest, and one that is put over it makes it another file. */
  readonly isNewest?: true;
  /** Tells whether it is still the same: ETag and size, or the SHA-256 of the file's document. */
  readonly stamp: string;
  readonly bytes: number;
  readonly exclusive: boolean;
}

/** A file as it is now. */
export type FoundAttachment = AttachedFile & { readonly facts: AttachmentFacts };

export type AttachmentProblem = 'attachment-missing' | 'attachment-unusable';

export interface AttachmentsPort {
  /** The files that a record names, each as it is now; or what is wrong with one. A field that is missing or null names none. */
  find(
    dataset: DatasetShape,
    raw: Uint8Array,
  ): Promise<{ readonly found: readonly FoundAttachment[] } | { readonly problem: AttachmentProblem }>;
  /** Its bytes, as they stream. Throws ATTACHMENT_CHANGED where it is not the file any more that was found. */
  read(found: FoundAttachment): AsyncIterable<Uint8Array>;
  /** Whether it is there and the same. */
  isSame(attachment: AttachedFile): Promise<boolean>;
  /** Deletes exactly this version of it. Idempotent; one that changed stays. The warrant is looked at right before. */
  remove(attachment: AttachedFile, warrant: ClearingWarrant): Promise<'deleted' | 'changed' | 'locked'>;
  /** Puts a file of an archive back where it was, unless one is there. Returns whether it was new. */
  putBack(facts: AttachmentFacts, bytes: AsyncIterable<Uint8Array>): Promise<'inserted' | 'existing'>;
  /** What speaks against the places that the dataset's rules name. */
  inspect(dataset: DatasetShape): Promise<readonly DatasetFinding[]>;
}
