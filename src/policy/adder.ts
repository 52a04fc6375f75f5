/**
 * `addPeriod` for millions of records. The calendar's answer is `trigger + shift`, and the shift changes only at a few
 * instants: local midnights, changes of the zone's offset, and those instants whose END lands on a change of the
 * offset. So each UTC day of triggers is cut there into pieces, the calendar is asked once per piece, and every record
 * costs two comparisons and an addition. It equals `addPeriod` for every instant (a property test holds it to that).
 */
import { Temporal } from 'temporal-polyfill';
import { addPeriod, DAY_MS, exactTimeMs, MAX_INSTANT_MS, type Period } from './period.ts';

/** From an instant (ms) to the end of the period that begins there (ms). Fastest when called in the order of instants. */
export type PeriodAdder = (ms: number) => number;

/** Days whose pieces are kept: twenty years, and a few MB at most. */
const MAX_CACHED_DAYS = 8192;

/** Near the ends of time and for instants that are no whole ms nothing is cached: the calendar answers itself. */
const CACHED_WITHIN_MS = MAX_INSTANT_MS / 2;

/** An offset change moves wall-clock time by at most a day (Samoa left out 30 December 2011), so two days on either side see all that matter. */
const REACH_MS = 2 * DAY_MS;

const LOOK_FROM_EVERY_MS = 365 * DAY_MS;

interface Piece {
  readonly from: number;
  readonly before: number;
  readonly shiftMs: number;
}

const NOWHERE: Piece = { from: Number.POSITIVE_INFINITY, before: Number.NEGATIVE_INFINITY, shiftMs: 0 };

export function periodAdder(period: Period, zone: string): PeriodAdder {
  const offsets = new ZoneOffsets(zone);
  const days = new Map<number, readonly Piece[]>();
  let piece = NOWHERE;

  const seek = (ms: number): number => {
    if (!Number.isInteger(ms) || Math.abs(ms) > CACHED_WITHIN_MS) return addPeriod(ms, period, zone);
    const day = Math.floor(ms / DAY_MS);
    let pieces = days.get(day);
    if (pieces === undefined) {
      if (days.size >= MAX_CACHED_DAYS) days.clear();
      pieces = piecesOfDay(day * DAY_MS, period, zone, offsets);
      days.set(day, pieces);
    }
    piece = pieces.find((one) => ms >= one.from && ms < one.before) ?? NOWHERE;
    return piece === NOWHERE ? addPeriod(ms, period, zone) : ms + piece.shiftMs;
  };

  return (ms) => (ms >= piece.from && ms < piece.before && Number.isInteger(ms) ? ms + piece.shiftMs : seek(ms));
}

/** Cuts the UTC day that begins at `start`. A cut too many does no harm; the shift within a piece is the same everywhere. */
function piecesOfDay(start: number, period: Period, zone: string, offsets: ZoneOffsets): Piece[] {
  const end = start + DAY_MS;
  const sourceOffsets = new Set([offsets.at(start), offsets.at(end)]);
  const cuts = new Set<number>([start]);
  const cut = (ms: number) => {
    if (ms > start && ms < end) cuts.add(ms);
  };

  for (const change of offsets.changesBetween(start, end)) {
    cut(change.at);
    sourceOffsets.add(change.before).add(change.after);
  }
  for (const offset of sourceOffsets) cut(Math.ceil((start + offset) / DAY_MS) * DAY_MS - offset);

  // The wall-clock time at which the end's offset changes is the later of the two readings: in a gap the skipped times
  // still count with the offset before it, and of a time that happens twice the first is meant.
  const exactMs = exactTimeMs(period);
  const endOfFirst = addPeriod(start, period, zone) - exactMs;
  const endOfLast = addPeriod(end, period, zone) - exactMs;
  for (const change of offsets.changesBetween(endOfFirst - REACH_MS, endOfLast + REACH_MS)) {
    const wallClock = change.at + Math.max(change.before, change.after);
    for (const offset of sourceOffsets) {
      // The same time of day in this UTC day: the calendar part of a period moves whole days.
      cut(start + modulo(wallClock - offset - start, DAY_MS));
    }
  }

  const edges = [...cuts].sort((a, b) => a - b);
  return edges.map((from, at) => ({
    from,
    before: edges[at + 1] ?? end,
    shiftMs: addPeriod(from, period, zone) - from,
  }));
}

interface OffsetChange {
  readonly at: number;
  /** Offsets from UTC in ms: local time is UTC plus the offset. */
  readonly before: number;
  readonly after: number;
}

/** The offsets of a zone, remembered: the calendar is slow at finding changes, and each is asked for on many days. */
class ZoneOffsets {
  readonly #zone: string;
  readonly #next = new Map<number, number>();

  constructor(zone: string) {
    this.#zone = zone;
  }

  at(ms: number): number {
    return this.#zoned(ms).offsetNanoseconds / 1e6;
  }

  changesBetween(from: number, before: number): OffsetChange[] {
    const changes: OffsetChange[] = [];
    let at = this.#changeAfter(from - 1);
    while (at < before) {
      changes.push({ at, before: this.at(at - 1), after: this.at(at) });
      at = this.#changeAfter(at);
    }
    return changes;
  }

  /** The first change after `ms`; looked for from fixed instants a year apart, so that all days share the answers. */
  #changeAfter(ms: number): number {
    let at = Math.floor(ms / LOOK_FROM_EVERY_MS) * LOOK_FROM_EVERY_MS - 1;
    while (at <= ms) {
      let next = this.#next.get(at);
      if (next === undefined) {
        next = this.#zoned(at).getTimeZoneTransition('next')?.epochMilliseconds ?? Number.POSITIVE_INFINITY;
        if (this.#next.size >= MAX_CACHED_DAYS) this.#next.clear();
        this.#next.set(at, next);
      }
      at = next;
    }
    return at;
  }

  #zoned(ms: number): Temporal.ZonedDateTime {
    return Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(this.#zone);
  }
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
