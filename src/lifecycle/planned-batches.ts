/** The records that an archive may take, in batches: a range of the source, or what a pass over it has put down for this archive. */
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { plannedRecords } from '../ledger/planned-records.ts';
import { comparePositions } from '../source/bson-order.ts';
import type { Partition, RawRecord } from '../source/port.ts';
import type { Context } from './context.ts';

/** As they are in the source now. What is in no archive of this plan, for it came or moved since, is not among them. */
export async function* plannedBatches(
  context: Context,
  archive: ArchiveDocument,
  partition: Partition,
): AsyncGenerator<readonly RawRecord[]> {
  const { source, store } = context;
  const { after, bound, before, pass } = archive.plan;
  if (pass === undefined) {
    yield* source.scan(partition, { after, upTo: bound, before }, context.signal);
    return;
  }
  for await (const ids of plannedRecords(store, archive._id)) {
    const found = await source.readByIds(partition.dataset.namespace, ids);
    const batch = ids.flatMap((idBytes) => found.get(source.keyOf(idBytes)) ?? []);
    yield batch.filter((record) => isWhereItWas(context, archive, partition, record));
  }
}

/**
 * A record that moved since, by another owner, customer or trigger, may be in another archive with the bytes that it has
 * now: each plan owns the positions between its bounds, and what was put down for this one counts within them only.
 */
function isWhereItWas(
  { source }: Context,
  { owner, customer, plan: { after, bound, before } }: ArchiveDocument,
  { dataset }: Partition,
  { raw }: RawRecord,
): boolean {
  const facts = source.facts(dataset, raw);
  if (facts.unfit.length > 0 || facts.owner !== owner || facts.customer !== customer) return false;
  if (facts.trigger === null || facts.trigger >= before) return false;
  const position = source.position(dataset, raw);
  if (after !== null && comparePositions(position, after) <= 0) return false;
  return bound === null || comparePositions(position, bound) <= 0;
}
