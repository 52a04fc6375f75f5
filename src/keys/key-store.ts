/**
 * The key store: documents in one database, or in two that must both acknowledge.
 *
 * Promise: a key that was handed out is in every store; a key that was destroyed is in none. What would break them:
 * - A write that returns after one store only. Every write here goes to all stores, the second one first, and fails
 *   when one fails; what is left behind is an entry of an attempt that gets abandoned, and destroying covers it.
 * - A key stored after its attempt was destroyed (a frozen worker wakes up). Destroying leaves a tombstone even where
 *   no entry was, and an insert never replaces one.
 * - Two makers of a singleton (HMAC key, signing key) that win in different stores. The first store alone decides;
 *   the others get its copy, and a difference stops all use.
 */
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import { type AttemptId, id } from '../ids.ts';
import { type LedgerDocument, MAX_CLASHES, type Store, type StoreCollection } from '../ledger/store.ts';
import { update } from '../ledger/update.ts';
import { type ArchiveKeyEntry, KEY_COLLECTIONS, KEY_DOCUMENT_VERSION, type KeptKey } from './documents.ts';
import type { WrappedKey } from './port.ts';

/** The first is the one that decides; a second one is a copy that must acknowledge too. */
export type KeyStores = readonly [Store, ...Store[]];

export class KeyStore {
  readonly #stores: KeyStores;
  readonly #clock: Clock;

  constructor(stores: KeyStores, clock: Clock) {
    this.#stores = stores;
    this.#clock = clock;
  }

  now(): Date {
    return this.#clock.now();
  }

  /** Stores a new entry everywhere. Throws KEY_DESTROYED where the attempt is over; an attempt never gets two keys. */
  async putArchiveKey(key: WrappedKey): Promise<void> {
    const document: Omit<KeptKey, 'rev'> = {
      _id: key.attempt,
      v: KEY_DOCUMENT_VERSION,
      state: 'kept',
      archive: key.archive,
      owner: key.owner,
      wrapped: key.wrapped,
      ...(key.kms === undefined ? {} : { kms: key.kms }),
      recipients: key.recipients,
      createdAt: this.now(),
    };
    for (const store of [...this.#stores].reverse()) {
      if ((await archiveKeys(store).insert(document)) === 'inserted') continue;
      const there = await archiveKeys(store).get(key.attempt);
      if (there?.state === 'destroyed') throw destroyedError(key.attempt, there.destroyedAt);
      // A driver that lost a reply sends the insert again and meets its own document.
      if (there?.state !== 'kept' || !isSameKey(there, key)) {
        throw new MoraineError('INTERNAL', `Attempt ${key.attempt} asked for a second archive key.`, {
          ids: { attempt: key.attempt, archive: key.archive },
        });
      }
    }
  }

  /** The entry of the first store, after every store was seen to hold one. Throws KEY_MISSING or KEY_DESTROYED. */
  async readArchiveKey(attempt: AttemptId): Promise<WrappedKey> {
    const entries = await Promise.all(this.#stores.map((store) => archiveKeys(store).get(attempt)));
    for (const entry of entries) {
      if (entry?.state === 'destroyed') throw destroyedError(attempt, entry.destroyedAt);
    }
    const missing = entries.flatMap((entry, at) => (entry === null ? [storeName(at)] : []));
    const first = entries[0];
    if (missing.length > 0 || first?.state !== 'kept') {
      throw new MoraineError('KEY_MISSING', `The archive key of attempt ${attempt} is not in ${missing.join(', ')}.`, {
        ids: { attempt },
      });
    }
    return wrappedKey(first);
  }

  /** For opening an archive: the entry of any store that has it. Throws KEY_MISSING or KEY_DESTROYED. */
  async findArchiveKey(attempt: AttemptId): Promise<WrappedKey> {
    const entries = await Promise.all(this.#stores.map((store) => archiveKeys(store).get(attempt)));
    for (const entry of entries) {
      if (entry?.state === 'destroyed') throw destroyedError(attempt, entry.destroyedAt);
    }
    const found = entries.find((entry) => entry?.state === 'kept');
    if (found?.state === 'kept') return wrappedKey(found);
    throw new MoraineError('KEY_MISSING', `The archive key of attempt ${attempt} is in no key store.`, {
      ids: { attempt },
    });
  }

  /** Leaves a tombstone in every store. Idempotent; returns when the last store had it. */
  async destroyArchiveKey(attempt: AttemptId): Promise<Date> {
    let last = new Date(0);
    for (const store of this.#stores) {
      const at = await this.#destroyIn(store, attempt);
      if (at > last) last = at;
    }
    return last;
  }

  /** True when every store holds the tombstone of every one of these attempts. */
  async areDestroyed(attempts: readonly AttemptId[]): Promise<boolean> {
    for (const store of this.#stores) {
      for (const attempt of attempts) {
        if ((await archiveKeys(store).get(attempt))?.state !== 'destroyed') return false;
      }
    }
    return true;
  }

  async #destroyIn(store: Store, attempt: AttemptId): Promise<Date> {
    for (let clash = 0; clash < MAX_CLASHES; clash++) {
      const entry = await archiveKeys(store).get(attempt);
      if (entry?.state === 'destroyed') return entry.destroyedAt;
      const destroyedAt = this.now();
      const tombstone = {
        _id: attempt,
        v: KEY_DOCUMENT_VERSION,
        state: 'destroyed' as const,
        archive: entry?.archive ?? null,
        destroyedAt,
      };
      const isDone =
        entry === null
          ? (await archiveKeys(store).insert(tombstone)) === 'inserted'
          : (await archiveKeys(store).replace({ ...tombstone, rev: entry.rev })) !== null;
      if (isDone) return destroyedAt;
    }
    throw new MoraineError('LEDGER_CONTENTION', `The key of attempt ${attempt} could not be destroyed.`, {
      ids: { attempt },
    });
  }

  /**
   * The kept keys of an owner, each as the copies of the stores in their order; null: that store lacks it. One that any
   * store holds the tombstone of is left out: it is destroyed. Also what only the second store has.
   */
  async *pagesOfOwner(owner: string, limit: number): AsyncIterable<readonly (readonly (KeptKey | null)[])[]> {
    for (const [at, store] of this.#stores.entries()) {
      for (let after = ''; ; ) {
        const page: KeptKey[] = [];
        const filter = { owner, state: 'kept', _id: { $gt: after } };
        for await (const entry of archiveKeys(store).find(filter, { sort: { _id: 1 }, limit }))
          if (entry.state === 'kept') page.push(entry);
        const keys: (KeptKey | null)[][] = [];
        for (const entry of page) {
          after = entry._id;
          const copies = await this.#copiesOf(entry, at);
          if (copies !== null) keys.push(copies);
        }
        if (keys.length > 0) yield keys;
        if (page.length < limit) break;
      }
    }
  }

  /** Null: it is destroyed in one of the stores, or an earlier store has given it. */
  async #copiesOf(entry: KeptKey, foundAt: number): Promise<(KeptKey | null)[] | null> {
    const copies: (KeptKey | null)[] = [];
    for (const [at, store] of this.#stores.entries()) {
      const copy = at === foundAt ? entry : await archiveKeys(store).get(entry._id);
      if (copy?.state === 'destroyed' || (at < foundAt && copy !== null)) return null;
      copies.push(copy);
    }
    return copies;
  }

  /** How many keys of an owner are kept, in the store that has the most of them. */
  async countOfOwner(owner: string): Promise<number> {
    const counts = this.#stores.map((store) => archiveKeys(store).count({ owner, state: 'kept' }));
    return Math.max(...(await Promise.all(counts)));
  }

  /** Every owner of whom a key is kept, also those that moraine.yaml names no more. */
  async *owners(): AsyncIterable<string> {
    for (let after = ''; ; ) {
      let next: string | null = null;
      for (const store of this.#stores) {
        const options = { sort: { owner: 1 }, limit: 1 } as const;
        for await (const entry of archiveKeys(store).find({ owner: { $gt: after } }, options)) {
          if (entry.state === 'kept' && (next === null || entry.owner < next)) next = entry.owner;
        }
      }
      if (next === null) return;
      yield next;
      after = next;
    }
  }

  /** Puts another wrapping of the same key in place, in the first store last: a cut leaves the old one to be found. */
  async replaceWrapping(
    attempt: string,
    wrapped: Uint8Array,
    recipients: readonly string[],
  ): Promise<'replaced' | 'destroyed' | 'missing'> {
    let isMissing = false;
    for (const collection of this.all<ArchiveKeyEntry>(KEY_COLLECTIONS.archiveKeys)) {
      // Entries are never removed, only replaced by tombstones: what is there now is there at the update too.
      if ((await collection.get(attempt)) === null) {
        isMissing = true;
        continue;
      }
      const entry = await update(collection, attempt, (each) =>
        each.state === 'kept' ? { ...each, wrapped, recipients } : null,
      );
      if (entry.state === 'destroyed') return 'destroyed';
    }
    return isMissing ? 'missing' : 'replaced';
  }

  /**
   * The one document of this name, made at first use. Of two makers one wins, in the first store; both get its
   * document. Throws CONFIG_INVALID when the stores hold different ones: they belong to different installations.
   */
  async singleton<T extends LedgerDocument>(
    collection: string,
    name: string,
    make: () => Omit<T, 'rev'>,
    isSame: (a: T, b: T) => boolean,
  ): Promise<T> {
    const first = this.first<T>(collection);
    const others = this.all<T>(collection).slice(0, -1);
    let decided = await first.get(name);
    if (decided === null) {
      const copies = await Promise.all(others.map((other) => other.get(name)));
      const copy = copies.find((document) => document !== null);
      await first.insert(copy ? withoutRevision(copy) : make());
      decided = await first.get(name);
    }
    if (decided === null) throw new MoraineError('KEY_MISSING', `${collection}/${name} vanished from the key store.`);
    for (const other of others) {
      let copy = await other.get(name);
      if (copy === null) {
        await other.insert(withoutRevision(decided));
        copy = await other.get(name);
      }
      if (copy === null || !isSame(copy, decided)) throw differentError(collection, name);
    }
    return decided;
  }

  /** The first store's collection, for what is read only. */
  first<T extends LedgerDocument>(collection: string): StoreCollection<T> {
    return this.#stores[0].collection<T>(collection);
  }

  /** Every store's collection, the second one first: the order of writes. */
  all<T extends LedgerDocument>(collection: string): readonly StoreCollection<T>[] {
    return [...this.#stores].reverse().map((store) => store.collection<T>(collection));
  }

  /**
   * Copies archive keys and tombstones that a store lacks from the others: after a second store was added, or one was
   * restored from a backup. A tombstone always wins. Returns how many entries were written.
   */
  async align(): Promise<{ readonly copied: number; readonly destroyed: number }> {
    let copied = 0;
    let destroyed = 0;
    for (const from of this.#stores) {
      for await (const entry of archiveKeys(from).find({}, { sort: { _id: 1 } })) {
        for (const to of this.#stores) {
          if (to === from) continue;
          if (entry.state === 'destroyed') {
            const there = await archiveKeys(to).get(entry._id);
            if (there?.state === 'destroyed') continue;
            await this.#destroyIn(to, id.attempt(entry._id));
            destroyed += 1;
          } else if ((await archiveKeys(to).insert(withoutRevision(entry))) === 'inserted') {
            copied += 1;
          }
        }
      }
    }
    return { copied, destroyed };
  }
}

function archiveKeys(store: Store): StoreCollection<ArchiveKeyEntry> {
  return store.collection<ArchiveKeyEntry>(KEY_COLLECTIONS.archiveKeys);
}

function wrappedKey(entry: KeptKey): WrappedKey {
  return {
    attempt: id.attempt(entry._id),
    archive: id.archive(entry.archive),
    owner: id.owner(entry.owner),
    wrapped: entry.wrapped,
    ...(entry.kms === undefined ? {} : { kms: entry.kms }),
    recipients: entry.recipients,
  };
}

function withoutRevision<T extends LedgerDocument>(document: T): Omit<T, 'rev'> {
  const { rev: _rev, ...rest } = document;
  return rest;
}

/** Each wrapping is made once, with randomness of its own: two that are the same are one. */
function isSameKey(a: Pick<KeptKey, 'wrapped' | 'kms'>, b: Pick<WrappedKey, 'wrapped' | 'kms'>): boolean {
  const none = new Uint8Array();
  return (
    Buffer.from(a.wrapped).equals(b.wrapped) && Buffer.from(a.kms?.ciphertext ?? none).equals(b.kms?.ciphertext ?? none)
  );
}

function storeName(at: number): string {
  return at === 0 ? 'the key store' : 'the second key store';
}

function destroyedError(attempt: AttemptId, destroyedAt: Date): MoraineError {
  return new MoraineError(
    'KEY_DESTROYED',
    `The archive key of attempt ${attempt} was destroyed at ${destroyedAt.toISOString()}.`,
    { ids: { attempt } },
  );
}

function differentError(collection: string, name: string): MoraineError {
  return new MoraineError(
    'CONFIG_INVALID',
    `The two key stores hold different documents ${collection}/${name}: they belong to different installations.`,
    { hint: 'Correct `keys` in moraine.yaml; nothing is signed, sealed or destroyed until the stores agree.' },
  );
}
