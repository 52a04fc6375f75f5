/** Keeps a small record of a command that acted, for `status` and the dashboard. */
import type { Json } from '../canonical-json.ts';
import { MoraineError } from '../errors.ts';
import { endRun, type RunDocument, startRun } from '../ledger/runs.ts';
import type { Context } from '../lifecycle/context.ts';

export interface ActedRun<T> {
  readonly value: T;
  /** Counts and ids. */
  readonly totals: Json;
  /** Code of what went wrong without ending the command. */
  readonly error: string | null;
}

/** Runs the act between a beginning and an end in the ledger. */
export async function recordRun<T>(
  context: Context,
  run: Pick<RunDocument, 'command' | 'by' | 'policies'>,
  act: () => Promise<ActedRun<T>>,
): Promise<T> {
  const id = context.newId();
  await startRun(context.store, context.clock, { id, asOf: context.asOf, ...run });
  try {
    const { value, totals, error } = await act();
    await endRun(context.store, context.clock, id, { totals, error });
    return value;
  } catch (error) {
    const code = error instanceof MoraineError ? error.code : 'INTERNAL';
    // The first error counts: a ledger that cannot be written now leaves a run without an end, which `status` shows as such.
    await endRun(context.store, context.clock, id, { totals: null, error: code }).catch(() => undefined);
    throw error;
  }
}
