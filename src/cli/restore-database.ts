/** Restore into MongoDB: records, what hangs on them, and their files, under names of the same or of other namespaces. */
import { MoraineError } from '../errors.ts';
import type { Namespace } from '../ids.ts';
import { type ArchiveDocument, collectionOfArchive } from '../ledger/archive-document.ts';
import type { Context } from '../lifecycle/context.ts';
import type { RestoreTarget } from '../lifecycle/restore.ts';
import { type ConflictChoice, type PlacedDocuments, placeDocuments } from '../lifecycle/restore-conflicts.ts';
import type { AttachmentsPort, SourcePort } from '../source/port.ts';
import { type RenameNamespace, renameBucket } from './rename-namespaces.ts';

export interface DatabaseRestore {
  readonly attachments?: Pick<AttachmentsPort, 'putBack'> | undefined;
  readonly choice?: ConflictChoice;
  /** Field of the records that tells which of two is newer; null: none. */
  readonly version?: string | null;
  readonly rename?: RenameNamespace;
  readonly isPreview?: boolean;
}

export function databaseTarget(
  context: Context,
  into: SourcePort,
  archive: ArchiveDocument,
  exemptUntil: Date,
  how: DatabaseRestore = {},
): RestoreTarget {
  const { attachments = NO_ATTACHMENTS, choice = 'keep', version = null, isPreview = false } = how;
  const { rename = (namespace) => namespace } = how;
  const { owner, customer, policy } = archive;
  const of = { into, owner, customer, policy, choice, exemptUntil, isPreview };
  const place = (namespace: Namespace, field: string | null): PlacedDocuments => {
    return { ...of, namespace: rename(namespace), version: field };
  };
  const records = place(collectionOfArchive(archive), archive.addendumTo === undefined ? version : null);
  return {
    write: (documents) => placeDocuments(context, records, documents),
    unit: {
      // Exempt too, each for itself: one that is there before its root is must not be taken for one that was left behind.
      write: (collection, children) => placeDocuments(context, place(collection, null), children),
      attachment: async ({ facts }, parts) => {
        if (isPreview) return 'looked at';
        if (facts.kind === 's3') return await attachments.putBack(facts, parts);
        return await attachments.putBack({ ...facts, bucket: renameBucket(rename, facts.bucket) }, parts);
      },
    },
    finish: async () => undefined,
    // What was inserted is whole records; inserting them again does nothing.
    discard: async () => undefined,
  };
}

const NO_ATTACHMENTS: Pick<AttachmentsPort, 'putBack'> = {
  putBack: async () => {
    throw new MoraineError(
      'CONFIG_INVALID',
      'The archive holds attachments, and moraine.yaml names no store for them.',
    );
  },
};
