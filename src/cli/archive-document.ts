/** An archive as JSON output and tables show it. */
import { type ArchiveDocument, collectionOfArchive } from '../ledger/archive-document.ts';
import { table } from './output.ts';
import { count, day, size } from './words.ts';

/** One entry of `archives` (design 10). `records` and `bytes` are those of the stored file; before that, the planned records. */
export function archiveListed(archive: ArchiveDocument) {
  return {
    id: archive._id,
    policy: archive.policy,
    owner: archive.owner,
    customer: archive.customer,
    dataset: archive.namespace,
    vault: archive.vault.name,
    vaultArchiveId: archive.stored?.vaultArchiveId ?? null,
    state: archive.state,
    records: archive.stored?.records ?? archive.plan.records,
    bytes: archive.stored?.bytes ?? 0,
    treeHash: archive.stored?.treeHash ?? null,
    dueAt: archive.dueAt,
    ...(archive.addendumTo === undefined
      ? {}
      : { addendumTo: archive.addendumTo, collection: collectionOfArchive(archive) }),
  };
}

export function archivesTable(archives: readonly ArchiveDocument[], most?: number): string {
  return table(
    ['archive', 'policy', 'owner', 'customer', 'state', 'records', 'size', 'purge due'],
    archives
      .map(archiveListed)
      .map((archive) => [
        archive.id,
        archive.policy,
        archive.owner,
        archive.customer,
        archive.state,
        count(archive.records),
        size(archive.bytes),
        day(archive.dueAt),
      ]),
    most,
  );
}
