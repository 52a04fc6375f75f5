/** Records of a page of which an attachment is missing or another one now: they count as changed, and nothing of them goes. */
import pMap from 'p-map';
import { unitPagesOf } from '../ledger/unit-pages.ts';
import type { UnitScope } from './cleared-roots.ts';
import type { Context } from './context.ts';
import { attachmentsOf } from './unit-reader.ts';

/** Questions to the stores at once. */
const AT_ONCE = 8;

/** Places in the roster page. `first`: the ordinal of its first record. */
export async function changedAttachments(
  context: Context,
  { shape, attempt }: Pick<UnitScope, 'shape' | 'attempt'>,
  page: number,
  first: number,
): Promise<ReadonlySet<number>> {
  const changed = new Set<number>();
  if ((shape.attachments ?? []).length === 0) return changed;
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
