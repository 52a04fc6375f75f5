/**
 * A service that makes its inventories once a day, and only of vaults in which something changed, may never make one that
 * is later than what one wants to know. An inventory that is read long enough after that was asked for a day after it at
 * least, and is the newest that there is: had anything changed in the vault since, there would be a newer one.
 */

/** An inventory's output is kept for a day, and its job takes hours: one read after this was asked for a day after the event. */
const LONG_ENOUGH_MS = 3 * 24 * 3_600_000;

/** Is what an inventory that is read now lists as true as one that is dated after `event`, whatever its own date is? */
export function outlives(event: Date, now: Date): boolean {
  return now.getTime() - event.getTime() >= LONG_ENOUGH_MS;
}
