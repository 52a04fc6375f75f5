/**
 * The other half of "announce, then look" (src/ledger/in-flight.ts): whoever has written a hold or a pause waits for what
 * was announced before. Later announcements need no waiting: whoever made them looks after the hold or pause was written.
 */
import { ANNOUNCEMENT_SKEW_MS } from '../ledger/holds.ts';
import { ANNOUNCEMENT_MS, announcementsUnder, hasEnded, type InFlightDocument } from '../ledger/in-flight.ts';
import { assertNotStopped, type Context } from './context.ts';

/** How often announcements are looked at again. */
const POLL_MS = 500;
/** Announcements end by themselves within this; twice as long is a ledger whose clock stands. */
const MOST_POLLS = (2 * (ANNOUNCEMENT_MS + ANNOUNCEMENT_SKEW_MS)) / POLL_MS;

type Covers = (entry: InFlightDocument) => boolean;

/** Waits until each is withdrawn or past its end by every clock that counts. False: they do not end. */
export async function waitForAnnounced(context: Context, covers: Covers): Promise<boolean> {
  let open = await stillOpen(context, await announcementsUnder(context.store, covers));
  for (let poll = 0; open.length > 0; poll++) {
    if (poll >= MOST_POLLS) return false;
    assertNotStopped(context);
    await context.clock.sleep(POLL_MS, context.signal);
    open = await stillOpen(context, open);
  }
  return true;
}

/** As {@link waitForAnnounced}, without waiting: false where that is needed. */
export async function isNothingAnnounced(context: Context, covers: Covers): Promise<boolean> {
  return (await stillOpen(context, await announcementsUnder(context.store, covers))).length === 0;
}

async function stillOpen(context: Context, entries: readonly InFlightDocument[]): Promise<readonly InFlightDocument[]> {
  const open: InFlightDocument[] = [];
  for (const entry of entries) if (!(await hasEnded(context.store, entry))) open.push(entry);
  return open;
}
