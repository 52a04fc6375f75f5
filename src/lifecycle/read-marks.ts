/** Marks of records (exempt after a restore, in quarantine) as a scan needs them: nothing is asked where there are none. */
import type { CustomerId, Namespace, OwnerId } from '../ids.ts';
import { partitionId } from '../ledger/partitions.ts';
import { findMarks, hasMarks, type MarkScope } from '../ledger/record-marks.ts';
import type { RawRecord } from '../source/port.ts';
import type { Context } from './context.ts';

/** What `decide` takes of a record's marks. */
export interface DecisionMark {
  readonly exemptUntil: number | null;
  readonly quarantined: boolean;
}

export interface PartitionMarks {
  readonly isEmpty: boolean;
  /** The marks of a batch of records. */
  lookUp(batch: readonly RawRecord[]): Promise<(record: RawRecord) => DecisionMark>;
}

const UNMARKED: DecisionMark = { exemptUntil: null, quarantined: false };

export async function markScope(
  context: Context,
  namespace: Namespace,
  owner: OwnerId,
  customer: CustomerId,
): Promise<MarkScope> {
  return { namespace, partition: partitionId(namespace, owner, customer), hmac: await context.keys.hmacFor(owner) };
}

export async function marksOf(
  context: Context,
  partition: {
    readonly dataset: { readonly namespace: Namespace };
    readonly owner: OwnerId;
    readonly customer: CustomerId;
  },
): Promise<PartitionMarks> {
  const { namespace } = partition.dataset;
  if (!(await hasMarks(context.store, partitionId(namespace, partition.owner, partition.customer)))) {
    return { isEmpty: true, lookUp: async () => () => UNMARKED };
  }
  const scope = await markScope(context, namespace, partition.owner, partition.customer);
  return {
    isEmpty: false,
    lookUp: async (batch) => {
      const found = await findMarks(
        context.store,
        scope,
        batch.map(({ key }) => key),
      );
      return (record) => {
        const mark = found.get(record.key);
        return mark === undefined
          ? UNMARKED
          : { exemptUntil: mark.exemptUntil?.getTime() ?? null, quarantined: mark.quarantined };
      };
    },
  };
}
