/**
 * Deleting one page of records from the source, or treating them in place: the most dangerous function of Moraine.
 *
 * Promise 2: what is deleted equals what was archived. The order, and why:
 *  1. Announce and look (a hold that is being placed is seen, or sees us).
 *  2. Read the page again, raw, on the primary. Other bytes: `changed`. Missing: `gone`, or `deleted` when an earlier
 *     try intended it (its worker crashed after the delete).
 *  3. Write the intent: which records are present, and the hash of what each is to become where they are treated. Only
 *     now may a command go out.
 *  4. Delete or replace with the guard: whoever changed a record after step 2 saves it; a command frozen past `until`
 *     does nothing.
 *  5. Read back by id. Absent: `deleted`. Other bytes: `changed`. The same bytes: try again. Where the deadline had
 *     passed, that says nothing about the record; where it had not, the guard refused it, and after MAX_TRIES refusals
 *     that nobody can explain the record is quarantined.
 *  6. Settle the outcomes.
 * A crash anywhere leaves a page without outcomes that the next worker takes up at step 1. Counts of the command decide
 * nothing.
 *
 * A record that is treated is never missing by our doing: absent is `gone`. The bytes that the intent names are `treated`.
 * So is an intended record that carries the marker of this treatment and was changed since: the application went on with
 * the treated record. To call that `changed` would make its archived copy void, the only one of what was removed.
 */
import { hash } from 'node:crypto';
import { MoraineError } from '../errors.ts';
import type { RecordOutcome } from '../ledger/archive-document.ts';
import type { PageState } from '../ledger/clearing.ts';
import type { RosterRecord } from '../ledger/rosters.ts';
import type { ClearingWarrant } from '../ledger/warrants.ts';
import type { DatasetShape, RawRecord, Replacement, Treatment } from '../source/port.ts';
import type { Context } from './context.ts';

/** How often the guard may refuse the same bytes before the record is quarantined (design 4). */
export const MAX_TRIES = 3;
/** Commands for one page that may miss their deadline, all within one claim. A server that slow, or that far ahead of the ledger's clock, needs a person. */
export const MAX_ROUNDS = 20;

/** What a page belongs to: an archive, or a disposal. */
export interface ClearingSubject {
  readonly shape: DatasetShape;
  /** What is done to the records in place; null: they are deleted. */
  readonly treatment: Treatment | null;
  /** Places in a page of records that count as changed although they are the same: what hangs on them is not. Asked when the announcement is made. */
  changedUnits?(page: number): Promise<ReadonlySet<number>>;
  /** Announces and looks; a warrant to delete or replace until its end, or the holds that forbid it. */
  askWarrant(): Promise<{ readonly warrant: ClearingWarrant } | { readonly holds: readonly string[] }>;
  /** Writes which records were seen present, and the hashes of what they are to become, before the command goes out. */
  writeIntent(page: number, present: readonly number[], treated: ReadonlyMap<number, Uint8Array>): Promise<unknown>;
  /** Settles the page and returns the outcomes as settled: a third `changed` in a row becomes `quarantined`. */
  settle(
    page: number,
    roster: readonly RosterRecord[],
    outcomes: readonly RecordOutcome[],
  ): Promise<readonly RecordOutcome[]>;
}

/** Deletes, or treats, what may be of a page and settles it. Returns the outcomes in the order of the roster. */
export async function clearPage(
  context: Context,
  subject: ClearingSubject,
  page: number,
  roster: readonly RosterRecord[],
  state: PageState,
): Promise<readonly RecordOutcome[]> {
  if (state.outcomes !== null) return state.outcomes;
  const outcomes = new Array<RecordOutcome | null>(roster.length).fill(null);
  const intended = new Intended(state);
  let refusals = 0;
  let deadline: Date | null = null;
  for (let round = 0; ; round++) {
    const permit = await subject.askWarrant();
    const same = await look(context, subject, roster, outcomes, intended);
    const present = await withoutChangedUnits(subject, page, same, outcomes);
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
    const command = commandFor(context, subject, present, outcomes);
    if (command.taken.length === 0) break;
    await subject.writeIntent(page, command.taken, command.treated);
    intended.add(command);
    deadline = permit.warrant.until;
    await command.send(permit.warrant);
  }
  const settled = outcomes.map((outcome, at) => outcome ?? unsettled(at));
  return await subject.settle(page, roster, settled);
}

interface PresentRecord {
  readonly at: number;
  readonly record: RawRecord;
}

/** What is about to be done, and to which records of the page. */
interface Command {
  readonly taken: readonly number[];
  /** SHA-256 of what each is to become; empty for a delete. */
  readonly treated: ReadonlyMap<number, Uint8Array>;
  send(warrant: ClearingWarrant): Promise<unknown>;
}

function commandFor(
  { source }: Context,
  { shape, treatment }: ClearingSubject,
  present: readonly PresentRecord[],
  outcomes: (RecordOutcome | null)[],
): Command {
  if (treatment === null) {
    const records = present.map(({ record }) => record);
    return {
      taken: present.map(({ at }) => at),
      treated: new Map(),
      send: (warrant) => source.deleteGuarded(shape, records, warrant),
    };
  }
  const replacements: Replacement[] = [];
  const treated = new Map<number, Uint8Array>();
  for (const { at, record } of present) {
    const by = source.treated(shape, record.raw, treatment);
    if (by === null) {
      outcomes[at] = 'quarantined';
      continue;
    }
    replacements.push({ record, by });
    treated.set(at, hash('sha256', by, 'buffer'));
  }
  return {
    taken: [...treated.keys()],
    treated,
    send: (warrant) => source.replaceGuarded(shape, replacements, warrant),
  };
}

/** What was intended for the page so far, by this worker and by those before it. */
class Intended {
  readonly #records: Set<number>;
  readonly #treated: Map<number, Uint8Array>;

  constructor(state: PageState) {
    this.#records = new Set(state.intended);
    this.#treated = new Map(state.treated);
  }

  add({ taken, treated }: Command): void {
    for (const at of taken) this.#records.add(at);
    for (const [at, sha256] of treated) this.#treated.set(at, sha256);
  }

  has(at: number): boolean {
    return this.#records.has(at);
  }

  becomes(at: number): Uint8Array | null {
    return this.#treated.get(at) ?? null;
  }
}

/** Reads the records without an outcome again; gives outcomes to those that are absent, treated or changed and returns those that still are what was archived. */
async function look(
  context: Context,
  { shape, treatment }: ClearingSubject,
  roster: readonly RosterRecord[],
  outcomes: (RecordOutcome | null)[],
  intended: Intended,
): Promise<readonly PresentRecord[]> {
  const open = roster.flatMap((record, at) => (outcomes[at] === null ? [{ record, at }] : []));
  const found = await context.source.readByIds(
    shape.namespace,
    open.map(({ record }) => record.id),
  );
  const present: PresentRecord[] = [];
  for (const { record, at } of open) {
    const now = found.get(context.source.keyOf(record.id));
    if (now === undefined) outcomes[at] = treatment === null && intended.has(at) ? 'deleted' : 'gone';
    else if (isSame(record.sha256, now.raw)) present.push({ at, record: now });
    else outcomes[at] = isTreated(context, treatment, intended, at, now) ? 'treated' : 'changed';
  }
  return present;
}

/** What hangs on a record is looked at as late as the record itself: in between, whoever announces may have to wait. */
async function withoutChangedUnits(
  subject: ClearingSubject,
  page: number,
  present: readonly PresentRecord[],
  outcomes: (RecordOutcome | null)[],
): Promise<readonly PresentRecord[]> {
  if (present.length === 0 || subject.changedUnits === undefined) return present;
  const changed = await subject.changedUnits(page);
  for (const { at } of present) if (changed.has(at)) outcomes[at] = 'changed';
  return present.filter(({ at }) => !changed.has(at));
}

function isTreated(
  { source }: Context,
  treatment: Treatment | null,
  intended: Intended,
  at: number,
  { raw }: RawRecord,
): boolean {
  if (treatment === null || !intended.has(at)) return false;
  const becomes = intended.becomes(at);
  return (becomes !== null && isSame(becomes, raw)) || source.isMarkedBy(raw, treatment);
}

function isSame(sha256: Uint8Array, raw: Uint8Array): boolean {
  return hash('sha256', raw, 'buffer').equals(sha256);
}

function tooSlow({ namespace }: DatasetShape): MoraineError {
  return new MoraineError(
    'MONGODB_UNAVAILABLE',
    `The server of ${namespace} let no guarded command end in time, ${MAX_ROUNDS} times in a row: it is too slow, or its clock is ahead of the ledger's.`,
    { changed: 'What was done is in the ledger; the rest stays and is tried again.', ids: { namespace } },
  );
}

function unsettled(at: number): never {
  throw new MoraineError('INTERNAL', `Record ${at} of the page was left without an outcome.`);
}
