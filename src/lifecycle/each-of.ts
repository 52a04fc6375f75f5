/** Several partitions, archives or disposals at once: one that fails never stops the others. */
import pMap from 'p-map';
import { isMoraineError } from '../errors.ts';
import { type CustomerId, id, type OwnerId } from '../ids.ts';
import { assertNotStopped, type Context } from './context.ts';
import { describe, type Met } from './run-problems.ts';

/** Partitions worked on at once in one process: each holds two upload parts and a few segments in memory. */
export const PARTITIONS_AT_ONCE = 4;

/** Works on several at once; collects what fails and goes on with the others. Only being told to stop ends it. */
export async function eachOf<
  T extends { readonly owner: OwnerId; readonly customer: CustomerId; readonly _id?: string },
>(context: Context, items: readonly T[], met: Met, work: (item: T) => Promise<void>): Promise<void> {
  // Ends only when all have ended: a process that exits before the others gave up their leases leaves them to end by time.
  let stopped: unknown = null;
  await pMap(
    items,
    async (item) => {
      if (stopped !== null) return;
      try {
        assertNotStopped(context);
        await work(item);
      } catch (error) {
        if (isMoraineError(error, 'WORK_STOPPED')) {
          stopped = error;
          return;
        }
        if (isMoraineError(error, 'LEASE_HELD')) return;
        if (isMoraineError(error, 'PAUSED')) {
          met.paused.add(String(error.ids['pauses']));
          return;
        }
        const { owner, customer, _id } = item;
        met.problems.push({
          owner,
          customer,
          ...(_id === undefined ? {} : { archive: id.archive(_id) }),
          ...describe(error),
        });
        context.log.error({ owner, customer, archive: _id, code: describe(error).code }, describe(error).text);
      }
    },
    { concurrency: PARTITIONS_AT_ONCE },
  );
  if (stopped !== null) throw stopped;
}
