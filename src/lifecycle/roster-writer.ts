/** Writes the roster of an attempt while its records are sealed: a page at a time, one page on its way. */

import type { ArchiveId, AttemptId } from '../ids.ts';
import { ROSTER_PAGE_BYTES, ROSTER_PAGE_RECORDS, type RosterRecord, writeRosterPage } from '../ledger/rosters.ts';
import type { Store } from '../ledger/store.ts';

export class RosterWriter {
  readonly #store: Store;
  readonly #of: { readonly archive: ArchiveId; readonly attempt: AttemptId; readonly epoch: number };
  #page: RosterRecord[] = [];
  #bytes = 0;
  #pages = 0;
  #underWay: Promise<void> = Promise.resolve();

  constructor(store: Store, of: { readonly archive: ArchiveId; readonly attempt: AttemptId; readonly epoch: number }) {
    this.#store = store;
    this.#of = of;
  }

  /** `bytes` is the record's size: a page is also read back as a whole, so large records make short pages. Returns the page. */
  async add(record: RosterRecord, bytes: number): Promise<number> {
    if (this.#page.length > 0 && this.#bytes + bytes > ROSTER_PAGE_BYTES) await this.#writePage();
    this.#page.push(record);
    this.#bytes += bytes;
    const page = this.#pages;
    if (this.#page.length >= ROSTER_PAGE_RECORDS) await this.#writePage();
    return page;
  }

  /** Resolves when every page is in the ledger. Returns how many there are. */
  async finish(): Promise<number> {
    if (this.#page.length > 0) await this.#writePage();
    await this.#underWay;
    return this.#pages;
  }

  /** For whoever gives the attempt up: when this resolves no page is on its way, so that none arrives after its roster was removed. */
  async settled(): Promise<void> {
    await this.#underWay.catch(() => undefined);
  }

  async #writePage(): Promise<void> {
    await this.#underWay;
    this.#underWay = writeRosterPage(this.#store, this.#of, this.#pages, this.#page);
    // A failure is thrown where the promise is awaited; this keeps Node from calling it unhandled before that.
    this.#underWay.catch(() => undefined);
    this.#pages += 1;
    this.#page = [];
    this.#bytes = 0;
  }
}
