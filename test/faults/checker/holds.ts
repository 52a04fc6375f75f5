/** Promise 3, from what the source and the vaults held when a hold was reported in force and when its release was asked for. */
import type { HeldRecord, HoldScope, HoldWindow, Write } from '../journal.ts';
import type { EndState } from './end-state.ts';
import type { ArchivedRecord } from './open-archive.ts';

export function holdProblems(state: EndState): readonly string[] {
  const windows = state.journal.filter((entry) => entry.kind === 'hold');
  const writes = state.journal.filter((entry) => entry.kind === 'write');
  return windows.flatMap((window) => [...recordProblems(window, writes), ...fileProblems(window, state)]);
}

/** Who left while it was held, and not by the application's own hand. */
function recordProblems(window: HoldWindow, writes: readonly Write[]): readonly string[] {
  const after = new Set(window.recordsAfter.map(nameOf));
  const during = writes.filter(({ endedAt, startedAt }) => endedAt >= window.from && startedAt <= window.to);
  return window.recordsBefore
    .filter((record) => {
      const own = during.filter((write) => nameOf(write) === nameOf(record));
      // A delete explains that it is missing; a change may have taken it out of what the hold covers.
      const isExplained = own.some(({ act, outcome }) => act !== 'insert' && outcome !== 'refused');
      if (isExplained) return false;
      // Deleted by us and inserted again by the application: the insert could not have succeeded otherwise.
      const wasInsertedAnew = own.some(
        ({ act, outcome, version }) => act === 'insert' && outcome === 'done' && version?.sha256 !== record.sha256,
      );
      return wasInsertedAnew || !after.has(nameOf(record));
    })
    .map((record) => `hold ${window.hold}: ${nameOf(record)} left the source while it was held`);
}

function fileProblems(window: HoldWindow, state: EndState): readonly string[] {
  const after = new Set(window.filesAfter);
  const archives = new Map(state.ledger.archives.map((archive) => [archive.stored?.vaultArchiveId, archive]));
  return window.filesBefore
    .filter((file) => {
      if (after.has(file)) return false;
      const archive = archives.get(file);
      const records = state.contents.get(file)?.opened?.records ?? [];
      if (archive === undefined || window.tooLate.includes(archive._id)) return false;
      return covers(window.scope, archive, records);
    })
    .map((file) => `hold ${window.hold}: the file ${file} left its vault while it was held`);
}

function covers(
  scope: HoldScope,
  archive: { readonly owner: string; readonly customer: string; readonly namespace: string },
  records: readonly ArchivedRecord[],
): boolean {
  const isParty =
    scope.owner === archive.owner &&
    (scope.customer ?? archive.customer) === archive.customer &&
    (scope.namespace ?? archive.namespace) === archive.namespace;
  if (!isParty) return false;
  if (scope.ids !== null) return records.some(({ id }) => scope.ids?.includes(id));
  if (scope.person !== null) return records.some(({ person }) => person === scope.person);
  return true;
}

function nameOf({ namespace, id }: Pick<HeldRecord, 'namespace' | 'id'>): string {
  return `${namespace} ${id}`;
}
