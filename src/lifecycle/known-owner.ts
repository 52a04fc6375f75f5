/** Nothing is done with records of an owner that moraine.yaml does not name: nobody could ever open their archives. */
import { MoraineError } from '../errors.ts';
import type { CustomerId, OwnerId } from '../ids.ts';
import type { Context } from './context.ts';

/** Throws OWNER_UNKNOWN. */
export function assertOwnerKnown(
  context: Context,
  { owner, customer }: { readonly owner: OwnerId; readonly customer: CustomerId },
): void {
  if (context.owners.has(owner)) return;
  throw new MoraineError(
    'OWNER_UNKNOWN',
    `Owner ${owner} (customer ${customer}) is not in moraine.yaml; its records stay where they are.`,
    {
      ids: { owner, customer },
    },
  );
}
