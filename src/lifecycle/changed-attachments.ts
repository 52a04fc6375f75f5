/** Records of a page of which an attachment is missing or another one now: they count as changed, and nothing of them goes. */
import pMap from 'p-map';
import { readRosterPage } from '../ledger/rosters.ts';
import { unitPagesOf } from '../ledger/unit-pages.ts';
import type { DatasetShape } from '../source/port.ts';
import type { Context } from './context.ts';
import { attachmentsOf } from './unit-reader.ts';

/** Questions to the stores at once. */
const AT_ONCE = 8;

/** Places in the roster page. `attempt`: or the disposal, whose pages these are. */
export async function changedAttachments(
  context: Context,
  attempt: string,
  shape: DatasetShape,
  page: number,
): Promise<ReadonlySet<number>> {
  const changed = new Set<number>();
  if ((shape.attachments ?? []).length === 0) return changed;
  let first = 0;
  for (let before = 0; before < page; before++) {
    first += (await readRosterPage(context.store, attempt, before))?.records.length ?? 0;
  }
  for await (const unit of unitPagesOf(context.store, attempt, page)) {
    if (unit.kind !== 'attachments') continue;
    await pMap(
      unit.attachments,
      async (attachment) => {
        if (!(await attachmentsOf(context).isSame(attachment))) changed.add(attachment.root - first);
      },
      { concurrency: AT_ONCE },
    );
  }
  return changed;
}
