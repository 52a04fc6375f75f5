/** A record that is not taken because of what hangs on it. */
import type { ArchiveId, CustomerId, Namespace, OwnerId } from '../ids.ts';
import { countChanged } from '../ledger/record-marks.ts';
import type { RawRecord } from '../source/port.ts';
import type { Context } from './context.ts';
import { quarantineRecord } from './quarantine-record.ts';
import { markScope } from './read-marks.ts';
import type { PreparedUnit } from './unit-reader.ts';

export interface TakenFor {
  /** The archive, or the disposal: one that leaves the record again counts once. */
  readonly _id: ArchiveId;
  readonly namespace: Namespace;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly policy: string;
}

/**
 * A unit of which a child is held stays, and nothing is said of it. One that cannot be handled is quarantined at once; one that is not whole just now (a missing attachment) counts as
 * changed, and is quarantined at the third time in a row. Returns whether it was quarantined.
 */
export async function leaveUnit(
  context: Context,
  of: TakenFor,
  record: RawRecord,
  unit: Exclude<PreparedUnit, { readonly kind: 'whole' }>,
): Promise<boolean> {
  const { namespace, owner, customer, policy } = of;
  if (unit.kind === 'held') return false;
  if (unit.kind === 'changed') {
    const scope = await markScope(context, namespace, owner, customer);
    if ((await countChanged(context.store, scope, of._id, [record.key])).length === 0) return false;
  }
  await quarantineRecord(context, { namespace, owner, customer, policy }, record, unit.reason);
  return true;
}
