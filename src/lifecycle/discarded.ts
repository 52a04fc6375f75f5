/** What is thrown when something failed, and what it had begun was to be discarded. */
import { MoraineError } from '../errors.ts';

/** Errors that say that nothing could be discarded. */
const saying = new WeakSet<Error>();

/**
 * Discards, and returns what is to be thrown: the first error as it was. Where nothing can be discarded either, it is the first
 * error still, of the same code, that names the second: who reads it has to know why it failed and what is left behind.
 */
export async function discarded(first: unknown, discard: () => Promise<void>): Promise<unknown> {
  try {
    await discard();
    return first;
  } catch (second) {
    // Somebody below has tried and said it already.
    if (first instanceof Error && saying.has(first)) return first;
    const cause = new AggregateError([first, second]);
    const text = `${textOf(first)} What was begun could not be discarded: ${textOf(second)}`;
    const both = first instanceof MoraineError ? sameKind(first, text, cause) : new Error(text, { cause });
    saying.add(both);
    return both;
  }
}

function sameKind({ code, changed, hint, ids, retryAt }: MoraineError, text: string, cause: Error): MoraineError {
  return new MoraineError(code, text, { changed, hint, ids, cause, ...(retryAt === undefined ? {} : { retryAt }) });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
