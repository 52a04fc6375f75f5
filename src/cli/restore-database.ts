/**
 * Restore into MongoDB: inserts what is missing and never overwrites. A restored record is due again at once, so its
 * exemption is written BEFORE the record: the other way round a run in between could archive and delete it.
 */
import { MoraineError } from '../errors.ts';
import { type ArchiveDocument, collectionOfArchive } from '../ledger/archive-document.ts';
import { exemptRecords } from '../ledger/record-marks.ts';
import type { Context } from '../lifecycle/context.ts';
import { markScope } from '../lifecycle/read-marks.ts';
import type { RestoreTarget } from '../lifecycle/restore.ts';
import type { AttachmentsPort, SourcePort } from '../source/port.ts';
import { idBytesOf } from '../source/raw-document.ts';

export async function databaseTarget(
  context: Context,
  into: SourcePort,
  archive: ArchiveDocument,
  exemptUntil: Date,
  attachments: Pick<AttachmentsPort, 'putBack'> = NO_ATTACHMENTS,
): Promise<RestoreTarget> {
  const { owner, customer } = archive;
  const namespace = collectionOfArchive(archive);
  const scope = await markScope(context, namespace, owner, customer);
  return {
    write: async (records) => {
      // A record that is there keeps its own marks: it may be in quarantine, or exempt for another reason.
      const there = await into.readByIds(namespace, records.map(idBytesOf));
      const keys = records.map((raw) => into.keyOf(idBytesOf(raw))).filter((key) => !there.has(key));
      await exemptRecords(context.store, scope, keys, exemptUntil);
      const { inserted, existing } = await into.insertMissing(namespace, records);
      return { inserted, existing: existing.length };
    },
    unit: {
      // Nothing takes a child without its root, and the root is exempt before it is there.
      write: async (collection, children) => {
        const { inserted, existing } = await into.insertMissing(collection, children);
        return { inserted, existing: existing.length };
      },
      attachment: async (entry, parts) => await attachments.putBack(entry.facts, parts),
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
