/**
 * What is known of clearing, a roster page at a time: the intent (which records were seen present just before the
 * delete) and the outcomes. A page whose worker crashed is settled from its intent in the same way by whoever comes
 * next: a record that the intent lists and that is absent now was deleted by us, and one that is to be treated and has
 * the bytes that the intent names was treated by us.
 */

import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { WorkerId } from '../ids.ts';
import { type ArchiveDocument, type Outcomes, RECORD_OUTCOMES, type RecordOutcome } from './archive-document.ts';
import type { ArchiveLease } from './archives.ts';
import {
  ANNOUNCEMENT_MS,
  type AnnouncedScope,
  type Announcement,
  announceAndLook,
  isFresh,
  withdraw,
} from './in-flight.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { ClearingWarrant, type DisposalOrder, type Lease, VerifiedArchive } from './warrants.ts';

interface ClearingPage extends LedgerDocument {
  /** The archive, or the disposal, that the page belongs to. */
  readonly archive: string;
  readonly page: number;
  /** Indexes within the page of the records that were seen present and unchanged before a delete or replace was sent. */
  readonly intended: readonly number[];
  /** Where records are treated in place: the SHA-256 of what is to stand there, 32 bytes for each of `intended`, in its order. */
  readonly treated?: Uint8Array;
  /** How many commands were sent for the page so far. */
  readonly tries: number;
  /** One letter a record, see OUTCOME_LETTERS; null until the page is settled. */
  readonly outcomes: string | null;
}

const OUTCOME_LETTERS: Readonly<Record<RecordOutcome, string>> = {
  deleted: 'd',
  treated: 't',
  changed: 'c',
  held: 'h',
  gone: 'g',
  quarantined: 'q',
};

export const CLEARING_INDEXES: readonly LedgerIndex[] = [{ collection: 'clearingPages', keys: { archive: 1 } }];

export function clearingPages(store: Store): StoreCollection<ClearingPage> {
  return store.collection<ClearingPage>('clearingPages');
}

/** The lease under which pages are cleared: of an archive or of a disposal. */
export interface ClearingLease extends Lease {
  readonly subject: string;
  keep(): Promise<void>;
}

export interface PageState {
  readonly intended: ReadonlySet<number>;
  /** SHA-256 of what an intended record is to become, where records are treated in place. */
  readonly treated: ReadonlyMap<number, Uint8Array>;
  readonly tries: number;
  readonly outcomes: readonly RecordOutcome[] | null;
}

function pageId(archive: string, page: number): string {
  return `${archive}:${String(page).padStart(6, '0')}`;
}

export async function readPageState(store: Store, archive: string, page: number): Promise<PageState> {
  const document = await clearingPages(store).get(pageId(archive, page));
  return {
    intended: new Set(document?.intended ?? []),
    treated: document === null ? new Map() : treatedOf(document),
    tries: document?.tries ?? 0,
    outcomes: document?.outcomes == null ? null : [...document.outcomes].map(outcomeOf),
  };
}

/**
 * Writes, before the command goes out, which records were seen present (and what each is to become, where they are treated);
 * adds to what an earlier try intended. Returns the number of this try, from 1.
 */
export async function writePageIntent(
  store: Store,
  lease: ClearingLease,
  page: number,
  present: readonly number[],
  treated: ReadonlyMap<number, Uint8Array> = new Map(),
): Promise<number> {
  lease.assertHeld();
  const archive = lease.subject;
  const _id = pageId(archive, page);
  const first = { _id, v: 1, archive, page, tries: 1, outcomes: null, ...intentOf(present, treated) };
  if ((await clearingPages(store).insert(first)) === 'inserted') return 1;
  const found = await clearingPages(store).get(_id);
  if (found === null || found.outcomes !== null) throw anotherWorker(archive);
  const intent = intentOf([...found.intended, ...present], new Map([...treatedOf(found), ...treated]));
  const replaced = await clearingPages(store).replace({ ...found, ...intent, tries: found.tries + 1 });
  if (replaced === null) throw anotherWorker(archive);
  return replaced.tries;
}

const SHA256_BYTES = 32;

function intentOf(
  present: readonly number[],
  treated: ReadonlyMap<number, Uint8Array>,
): Pick<ClearingPage, 'intended' | 'treated'> {
  const intended = [...new Set(present)].sort((a, b) => a - b);
  if (treated.size === 0) return { intended };
  const hashes = Buffer.alloc(intended.length * SHA256_BYTES);
  for (const [at, record] of intended.entries()) hashes.set(treated.get(record) ?? [], at * SHA256_BYTES);
  return { intended, treated: Uint8Array.from(hashes) };
}

function treatedOf({ intended, treated }: ClearingPage): ReadonlyMap<number, Uint8Array> {
  if (treated === undefined) return new Map();
  return new Map(
    intended.map((record, at) => [record, treated.subarray(at * SHA256_BYTES, (at + 1) * SHA256_BYTES)] as const),
  );
}

export async function settlePage(
  store: Store,
  lease: ClearingLease,
  page: number,
  outcomes: readonly RecordOutcome[],
): Promise<void> {
  lease.assertHeld();
  const archive = lease.subject;
  const _id = pageId(archive, page);
  const letters = outcomes.map((outcome) => OUTCOME_LETTERS[outcome]).join('');
  const found = await clearingPages(store).get(_id);
  if (found === null) {
    // Whoever slept since the look would leave a page of an archive that others have cleared and closed.
    lease.assertHeld();
    const inserted = await clearingPages(store).insert({
      _id,
      v: 1,
      archive,
      page,
      intended: [],
      tries: 0,
      outcomes: letters,
    });
    if (inserted === 'duplicate') throw anotherWorker(archive);
    return;
  }
  if (found.outcomes !== null) throw anotherWorker(archive);
  if ((await clearingPages(store).replace({ ...found, outcomes: letters })) === null) throw anotherWorker(archive);
}

/** Adds up the settled pages. The total is exact at any moment: what has no outcome is pending. */
export async function countOutcomes(store: Store, archive: string, archived: number): Promise<Outcomes> {
  const counts: Record<RecordOutcome, number> = {
    deleted: 0,
    treated: 0,
    changed: 0,
    held: 0,
    gone: 0,
    quarantined: 0,
  };
  let settled = 0;
  for await (const page of clearingPages(store).find({ archive })) {
    for (const letter of page.outcomes ?? '') {
      counts[outcomeOf(letter)] += 1;
      settled += 1;
    }
  }
  return { archived, ...counts, pending: archived - settled };
}

/** Archives and disposals that have pages in the ledger. */
export async function withClearingPages(store: Store): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for await (const { archive } of clearingPages(store).find({})) found.add(archive);
  return found;
}

export async function removeClearingPages(store: Store, archive: string): Promise<void> {
  await clearingPages(store).removeMany({ archive });
}

/**
 * Establishes that an archive may be cleared at all: it is `verified` under this lease.
 */
export function proveVerified(lease: ArchiveLease): VerifiedArchive {
  const archive = lease.document;
  lease.assertHeld();
  if (archive.state !== 'verified' || archive.attempt === null || archive.verifiedAt === null) {
    throw new MoraineError(
      'INTERNAL',
      `Archive ${archive._id} is ${archive.state}, not verified; nothing may be deleted for it.`,
      {
        ids: { archive: archive._id },
      },
    );
  }
  return VerifiedArchive.issue(archive._id, archive.attempt);
}

/** An announcement, and until when the source lets be deleted under it. */
interface Permitted {
  readonly announcement: Announcement;
  /** By the source server's clock. */
  readonly until: Date;
}

/**
 * Announces the clearing of an archive and looks at the holds, again whenever the announcement runs low. Several pages
 * may ask at once. An announcement that ran low is not withdrawn before the end: another page may still delete under
 * it. A hold waits for it no longer than its `until`.
 *
 * The source enforces the end by its own clock, which may differ from the ledger's by as much as the witnesses allow. So
 * the warrant's end is counted in the source's time, asked for BEFORE the ledger's: whatever the two say, the source
 * refuses from an instant on that is no later than the end that the ledger was told.
 */
export class ClearingPermit {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #worker: WorkerId;
  readonly #lease: ClearingLease;
  readonly #scope: AnnouncedScope;
  readonly #sourceTime: () => Promise<Date>;
  readonly #made: Permitted[] = [];
  #asking: Promise<Permitted | { readonly holds: readonly string[] }> | null = null;

  constructor(
    by: {
      readonly store: Store;
      readonly clock: Clock;
      readonly worker: WorkerId;
      readonly sourceTime: () => Promise<Date>;
    },
    lease: ClearingLease,
    scope: AnnouncedScope,
  ) {
    this.#scope = scope;
    this.#store = by.store;
    this.#clock = by.clock;
    this.#worker = by.worker;
    this.#sourceTime = by.sourceTime;
    this.#lease = lease;
  }

  /** A warrant for the next command, or the ids of the holds that forbid it. Throws PAUSED. */
  async ask(
    basis: VerifiedArchive | DisposalOrder,
  ): Promise<{ readonly warrant: ClearingWarrant } | { readonly holds: readonly string[] }> {
    await this.#lease.keep();
    const newest = this.#made.at(-1);
    if (newest !== undefined && isFresh(this.#clock, newest.announcement)) {
      return { warrant: ClearingWarrant.issue(basis, this.#lease, newest.until) };
    }
    this.#asking ??= this.#announce();
    const answer = await this.#asking;
    if ('holds' in answer) return answer;
    return { warrant: ClearingWarrant.issue(basis, this.#lease, answer.until) };
  }

  async #announce(): Promise<Permitted | { readonly holds: readonly string[] }> {
    try {
      const until = new Date((await this.#sourceTime()).getTime() + ANNOUNCEMENT_MS);
      const look = await announceAndLook(this.#store, this.#clock, this.#worker, 'clear', this.#scope);
      if (look.held) return { holds: look.holds };
      const permitted = { announcement: look.announcement, until };
      this.#made.push(permitted);
      return permitted;
    } finally {
      this.#asking = null;
    }
  }

  /** Withdraws what was announced. Only when no page works under it any more. */
  async end(): Promise<void> {
    for (const { announcement } of this.#made.splice(0)) await withdraw(this.#store, announcement);
  }
}

export function scopeOf({ _id, policy, owner, customer, namespace }: ArchiveDocument): AnnouncedScope {
  return { policy, owner, customer, namespace, archive: _id };
}

function outcomeOf(letter: string): RecordOutcome {
  const outcome = RECORD_OUTCOMES.find((candidate) => OUTCOME_LETTERS[candidate] === letter);
  if (outcome === undefined) throw new MoraineError('INTERNAL', `Unknown record outcome ${letter} in the ledger.`);
  return outcome;
}

function anotherWorker(archive: string): MoraineError {
  return new MoraineError('LEASE_LOST', `Another worker settles pages of archive ${archive}.`, { ids: { archive } });
}
