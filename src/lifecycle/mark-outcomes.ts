/**
 * What the outcomes of a page mean for the records that stay: a third change in a row becomes `quarantined`; a record
 * that the guard refused three times goes into quarantine; a deleted or treated record's marks go.
 */
import type { ArchiveId, CustomerId, Namespace, OwnerId } from '../ids.ts';
import type { RecordOutcome } from '../ledger/archive-document.ts';
import { countChanged, forgetMarks, hasMarks } from '../ledger/record-marks.ts';
import type { RosterRecord } from '../ledger/rosters.ts';
import type { Context } from './context.ts';
import { quarantineRecord } from './quarantine-record.ts';
import { markScope } from './read-marks.ts';

export interface OutcomeScope {
  readonly archive: ArchiveId;
  readonly namespace: Namespace;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly policy: string;
}

/** Returns the outcomes as they are to be settled. */
export async function markOutcomes(
  context: Context,
  of: OutcomeScope,
  roster: readonly RosterRecord[],
  outcomes: readonly RecordOutcome[],
): Promise<readonly RecordOutcome[]> {
  const scope = await markScope(context, of.namespace, of.owner, of.customer);
  const keys = roster.map((record) => context.source.keyOf(record.id));
  const keysWith = (wanted: RecordOutcome) => keys.filter((_, at) => outcomes[at] === wanted);
  const done = [...keysWith('deleted'), ...keysWith('treated')];
  if (done.length > 0 && (await hasMarks(context.store, scope.partition)))
    await forgetMarks(context.store, scope, done);
  const changed = keysWith('changed');
  const changedTooOften =
    changed.length === 0 ? new Set<string>() : new Set(await countChanged(context.store, scope, of.archive, changed));
  const settled: RecordOutcome[] = [];
  for (const [at, outcome] of outcomes.entries()) {
    const record = { idBytes: roster[at]?.id ?? new Uint8Array(), key: keys[at] ?? '' };
    if (outcome === 'changed' && changedTooOften.has(record.key)) {
      await quarantineRecord(context, quarantineScope(of), record, 'changed-three-times');
      settled.push('quarantined');
    } else {
      if (outcome === 'quarantined') await quarantineRecord(context, quarantineScope(of), record, 'guard-refused');
      settled.push(outcome);
    }
  }
  return settled;
}

function quarantineScope({ namespace, owner, customer, policy }: OutcomeScope) {
  return { namespace, owner, customer, policy };
}
