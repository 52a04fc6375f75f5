/** `moraine restore <namespace> <id>`: one record, out of whatever part of its archive was retrieved. */
import { MoraineError } from '../errors.ts';
import { id, type OwnerId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { liveRetrievals } from '../ledger/retrievals.ts';
import type { Context } from '../lifecycle/context.ts';
import type { OpenKey } from '../lifecycle/export-customer.ts';
import { EVERYTHING, findHolding } from '../lifecycle/find.ts';
import type { RestoreTarget } from '../lifecycle/restore.ts';
import { type RecordReport, restoreRecord } from '../lifecycle/restore-record.ts';
import { endReadRetrievals } from '../lifecycle/restore-retrieval.ts';
import { idBytesOf } from '../source/raw-document.ts';
import { idBytesOfText } from './record-id.ts';

export interface RecordWork {
  readonly context: Context;
  readonly openerOf: (owner: OwnerId) => OpenKey;
  readonly kind: 'files' | 'database' | 'preview';
  /** Where it goes, for the archive that holds it. */
  readonly target: (archive: ArchiveDocument) => Promise<RestoreTarget>;
}

/**
 * Out of the first archive that holds a copy that is not void, newest first: that is what was deleted last. Throws
 * RETRIEVAL_NEEDED where none of those that may hold it was retrieved.
 */
export async function restoreRecordFrom(
  { context, openerOf, kind, target }: RecordWork,
  namespace: string,
  text: string,
): Promise<RecordReport> {
  const candidates = idBytesOfText(text);
  const keys = candidates.map((idBytes) => context.source.keyOf(idBytes));
  const isIt = (raw: Uint8Array) => keys.includes(context.source.keyOf(idBytesOf(raw)));
  const selection = { ...EVERYTHING, namespace: id.namespace(namespace), record: { candidates, rule: null } };
  const holding: ArchiveDocument[] = [];
  for await (const { archive } of findHolding(context, selection)) holding.push(archive);
  if (holding.length === 0) {
    throw new MoraineError('ARCHIVE_NOT_RETRIEVABLE', `No archive holds a record ${text} of ${namespace}.`, {
      hint: 'Look with `moraine explain`; a child comes back with the archive of its root.',
    });
  }
  let last: RecordReport | null = null;
  for (const archive of await retrieved(context, holding, `moraine retrieve ${namespace} ${text}`)) {
    last = await restoreRecord(context, archive._id, openerOf(archive.owner), await target(archive), kind, {
      candidates,
      isIt,
    });
    // A part is there for this record; the whole of an archive stays open for the others in it.
    if (last.isPart && kind !== 'preview') await endReadRetrievals(context, [last.retrieval]);
    if (last.outcome !== 'void' && last.outcome !== 'not there') return last;
  }
  if (last !== null) return last;
  throw new MoraineError('INTERNAL', 'No archive was read.');
}

/** Those with a retrieval that is open, newest first. */
async function retrieved(
  context: Context,
  holding: readonly ArchiveDocument[],
  command: string,
): Promise<readonly ArchiveDocument[]> {
  const open: ArchiveDocument[] = [];
  for (const archive of holding) {
    if ((await liveRetrievals(context.store, archive._id)).length > 0) open.push(archive);
  }
  if (open.length > 0) return open.toSorted((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
  throw new MoraineError('RETRIEVAL_NEEDED', 'No archive that may hold the record was retrieved.', {
    hint: `Run \`${command}\`.`,
    ids: { archives: holding.length },
  });
}

export function recordLines({ archive, segment, outcome, hasUnits }: RecordReport, where: string): readonly string[] {
  const from = `out of archive ${archive}${segment === null ? '' : `, segment ${segment}`}`;
  const what = {
    inserted: `✓ The record is in ${where}, ${from}.`,
    replaced: `✓ The record in ${where} was replaced, ${from}.`,
    existing: `✓ The record is in ${where} already and stays as it is (${from}).`,
    void: `✗ The copy is void: the record was not deleted with it (${from}).`,
    'not there': `✗ Archive ${archive} does not hold it: another record has the same keyed code.`,
  }[outcome];
  return [
    what,
    ...(hasUnits
      ? [`  What hangs on its records is in the archive: \`moraine restore ${archive}\` brings all of it.`]
      : []),
  ];
}
