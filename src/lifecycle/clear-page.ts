/**
 * Deleting one page of records from the source: the most dangerous function of Moraine.
 *
 * Promise 2: what is deleted equals what was archived. The order, and why:
 *  1. Announce and look (a hold that is being placed is seen, or sees us).
 *  2. Read the page again, raw, on the primary. Other bytes: `changed`. Missing: `gone`, or `deleted` when an earlier
 *     try intended it (its worker crashed after the delete).
 *  3. Write the intent: which records are present. Only now may a delete go out.
 *  4. Delete with the guard: whoever changed a record after step 2 saves it; a command frozen past `until` does nothing.
 *  5. Read back by id. Absent: `deleted`. Other bytes: `changed`. The same bytes: try again. Where the deadline had
 *     passed, that says nothing about the record; where it had not, the guard refused it, and after MAX_TRIES refusals
 *     that nobody can explain the record is quarantined.
 *  6. Settle the outcomes.
 * A crash anywhere leaves a page without outcomes that the next worker takes up at step 1. Counts of the delete command
 * decide nothing.
 */
import { hash } from 'node:crypto';
import { MoraineError } from '../errors.ts';
import type { RecordOutcome } from '../ledger/archive-document.ts';
import type { PageState } from '../ledger/clearing.ts';
import type { RosterRecord } from '../ledger/rosters.ts';
import type { ClearingWarrant } from '../ledger/warrants.ts';
import type { DatasetShape, RawRecord } from '../source/port.ts';
import type { Context } from './context.ts';

/** How often the guard may refuse the same bytes before the record is quarantined (design 4). */
export const MAX_TRIES = 3;
/** Deletes of one page that may miss their deadline, all within one claim. A server that slow, or that far ahead of the ledger's clock, needs a person. */
export const MAX_ROUNDS = 20;

/** What a page belongs to: an archive, or a batch of expired records. */
export interface ClearingSubject {
  readonly shape: DatasetShape;
  /** Announces and looks; a warrant to delete until its end, or the holds that forbid it. */
  askWarrant(): Promise<{ readonly warrant: ClearingWarrant } | { readonly holds: readonly string[] }>;
  /** Writes which records were seen present, before the delete goes out. */
  writeIntent(page: number, present: readonly number[]): Promise<unknown>;
  /** Settles the page and returns the outcomes as settled: a third `changed` in a row becomes `quarantined`. */
  settle(
    page: number,
    roster: readonly RosterRecord[],
    outcomes: readonly RecordOutcome[],
  ): Promise<readonly RecordOutcome[]>;
}

/** Deletes what may be deleted of a page and settles it. Returns the outcomes in the order of the roster. */
export async function clearPage(
  context: Context,
  subject: ClearingSubject,
  page: number,
  roster: readonly RosterRecord[],
  state: PageState,
): Promise<readonly RecordOutcome[]> {
  if (state.outcomes !== null) return state.outcomes;
  const outcomes = new Array<RecordOutcome | null>(roster.length).fill(null);
  const intended = new Set(state.intended);
  let refusals = 0;
  let deadline: Date | null = null;
  for (let round = 0; ; round++) {
    const permit = await subject.askWarrant();
    const present = await look(context, subject.shape, roster, outcomes, intended);
    if (present.length === 0) break;
    if ('holds' in permit) {
      for (const { at } of present) outcomes[at] = 'held';
      break;
    }
    if (deadline !== null && (await context.source.serverTime()) < deadline) refusals += 1;
    if (refusals >= MAX_TRIES) {
      for (const { at } of present) outcomes[at] = 'quarantined';
      break;
    }
    if (round >= MAX_ROUNDS) throw tooSlow(subject.shape);
    await subject.writeIntent(
      page,
      present.map(({ at }) => at),
    );
    for (const { at } of present) intended.add(at);
    deadline = permit.warrant.until;
    await context.source.deleteGuarded(
      subject.shape,
      present.map(({ record }) => record),
      permit.warrant,
    );
  }
  const settled = outcomes.map((outcome, at) => outcome ?? unsettled(at));
  return await subject.settle(page, roster, settled);
}

interface PresentRecord {
  readonly at: number;
  readonly record: RawRecord;
}

/** Reads the records without an outcome again; gives outcomes to those that are absent or changed and returns those that still are what was archived. */
async function look(
  context: Context,
  shape: DatasetShape,
  roster: readonly RosterRecord[],
  outcomes: (RecordOutcome | null)[],
  intended: ReadonlySet<number>,
): Promise<readonly PresentRecord[]> {
  const open = roster.flatMap((record, at) => (outcomes[at] === null ? [{ record, at }] : []));
  const found = await context.source.readByIds(
    shape.namespace,
    open.map(({ record }) => record.id),
  );
  const present: PresentRecord[] = [];
  for (const { record, at } of open) {
    const now = found.get(context.source.keyOf(record.id));
    if (now === undefined) outcomes[at] = intended.has(at) ? 'deleted' : 'gone';
    else if (isSame(record.sha256, now.raw)) present.push({ at, record: now });
    else outcomes[at] = 'changed';
  }
  return present;
}

function isSame(sha256: Uint8Array, raw: Uint8Array): boolean {
  return hash('sha256', raw, 'buffer').equals(sha256);
}

function tooSlow({ namespace }: DatasetShape): MoraineError {
  return new MoraineError(
    'MONGODB_UNAVAILABLE',
    `The server of ${namespace} let no guarded delete end in time, ${MAX_ROUNDS} times in a row: it is too slow, or its clock is ahead of the ledger's.`,
    { changed: 'What was deleted is in the ledger; the rest stays and is tried again.', ids: { namespace } },
  );
}

function unsettled(at: number): never {
  throw new MoraineError('INTERNAL', `Record ${at} of the page was left without an outcome.`);
}
