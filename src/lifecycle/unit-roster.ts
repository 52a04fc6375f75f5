/** Writes down what hangs on the records of a roster while they are sealed (or put into the pages of a disposal). */
import type { Namespace } from '../ids.ts';
import { ROSTER_PAGE_BYTES, ROSTER_PAGE_RECORDS } from '../ledger/rosters.ts';
import type { Store } from '../ledger/store.ts';
import { type UnitAttachment, type UnitChild, type UnitParent, writeUnitPage } from '../ledger/unit-pages.ts';

/** Attachments in one page: each is under 2 kB. */
const PAGE_ATTACHMENTS = 1_000;

interface OpenPage {
  readonly children: UnitChild[];
  bytes: number;
  readonly parents: UnitParent[];
}

export class UnitRoster {
  readonly #store: Store;
  readonly #of: { readonly archive: string; readonly attempt: string; readonly epoch: number };
  /** The roster page of the records that are being taken. */
  #page = 0;
  #number: number;
  readonly #open = new Map<Namespace, OpenPage>();
  #attachments: UnitAttachment[] = [];

  /** `firstNumber`: pages of the same attempt that are there already have lower ones. */
  constructor(
    store: Store,
    of: { readonly archive: string; readonly attempt: string; readonly epoch: number },
    firstNumber = 0,
  ) {
    this.#store = store;
    this.#of = of;
    this.#number = firstNumber;
  }

  /** What comes next hangs on a record of this roster page. */
  async atPage(page: number): Promise<void> {
    if (page === this.#page) return;
    await this.flush();
    this.#page = page;
  }

  /** `bytes`: the child's size; a page is read back as a whole when it is cleared. */
  async child(collection: Namespace, child: UnitChild, bytes: number): Promise<void> {
    const open = this.#openPage(collection);
    if (open.children.length > 0 && open.bytes + bytes > ROSTER_PAGE_BYTES) await this.#writeChildren(collection, open);
    open.children.push(child);
    open.bytes += bytes;
    if (open.children.length >= ROSTER_PAGE_RECORDS) await this.#writeChildren(collection, open);
  }

  /** Only where children do not name their root by its `_id`: that is in the roster. */
  parent(collection: Namespace, parent: UnitParent): void {
    this.#openPage(collection).parents.push(parent);
  }

  async attachment(attachment: UnitAttachment): Promise<void> {
    this.#attachments.push(attachment);
    if (this.#attachments.length >= PAGE_ATTACHMENTS) await this.#writeAttachments();
  }

  /** Resolves when all of it is in the ledger. */
  async flush(): Promise<void> {
    for (const [collection, open] of this.#open) {
      await this.#writeChildren(collection, open);
      const parents = open.parents.splice(0);
      if (parents.length > 0) await this.#write({ kind: 'parents', collection, parents });
    }
    await this.#writeAttachments();
  }

  #openPage(collection: Namespace): OpenPage {
    let open = this.#open.get(collection);
    if (open === undefined) {
      open = { children: [], bytes: 0, parents: [] };
      this.#open.set(collection, open);
    }
    return open;
  }

  async #writeChildren(collection: Namespace, open: OpenPage): Promise<void> {
    const children = open.children.splice(0);
    open.bytes = 0;
    if (children.length > 0) await this.#write({ kind: 'children', collection, children });
  }

  async #writeAttachments(): Promise<void> {
    const attachments = this.#attachments;
    this.#attachments = [];
    if (attachments.length > 0) await this.#write({ kind: 'attachments', attachments });
  }

  async #write(content: Parameters<typeof writeUnitPage>[3]): Promise<void> {
    await writeUnitPage(this.#store, this.#of, { page: this.#page, number: this.#number }, content);
    this.#number += 1;
  }
}
