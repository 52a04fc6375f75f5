/** Files that hang on records, seen through the questions that the lifecycle asks: S3 objects and GridFS files alike. */
import type { AttachmentFacts } from '../archive/attachment-index.ts';
import type { UnitAttachment } from '../ledger/unit-pages.ts';
import type { ClearingWarrant } from '../ledger/warrants.ts';
import type { DatasetFinding, DatasetShape } from './port.ts';

/** A file as it is now. */
export type FoundAttachment = Omit<UnitAttachment, 'root' | 'ordinal'> & {
  /** What the archive says of it. */
  readonly facts: AttachmentFacts;
};

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
  isSame(attachment: Omit<UnitAttachment, 'root' | 'ordinal'>): Promise<boolean>;
  /** Deletes exactly this version of it. Idempotent; one that changed stays. The warrant is looked at right before. */
  remove(
    attachment: Omit<UnitAttachment, 'root' | 'ordinal'>,
    warrant: ClearingWarrant,
  ): Promise<'deleted' | 'changed' | 'locked'>;
  /** Puts a file of an archive back where it was, unless one is there. Returns whether it was new. */
  putBack(facts: AttachmentFacts, bytes: AsyncIterable<Uint8Array>): Promise<'inserted' | 'existing'>;
  /** What speaks against the places that the dataset's rules name. */
  inspect(dataset: DatasetShape): Promise<readonly DatasetFinding[]>;
}
