/**
 * Reads documents in the order of a key for as long as the work on them takes. A server ends a cursor after ten idle
 * minutes, so it is opened again, after the last key, before that. Not in pages with a limit: a compatible server that
 * sorts what it could read in order would sort everything again for each page.
 */
import type { Clock } from '../clock.ts';

/** Half of what servers wait: what is done with one document may take as long again. */
const REOPEN_MS = 5 * 60_000;

/** `open` gives what lies after a key, in its order; of several documents under one key some may be left out. */
export async function* longRead<T>(
  clock: Clock,
  open: (after: string) => AsyncIterable<T>,
  keyOf: (document: T) => string,
): AsyncGenerator<T> {
  for (let after = '', isRead = false; !isRead; ) {
    const openedAtMs = clock.monotonicMs();
    isRead = true;
    for await (const document of open(after)) {
      after = keyOf(document);
      yield document;
      if (clock.monotonicMs() - openedAtMs < REOPEN_MS) continue;
      isRead = false;
      break;
    }
  }
}
