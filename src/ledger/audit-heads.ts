/** Which head of the audit chain was published last, as the ledger remembers it. The place where it was is the truth. */
import type { Clock } from '../clock.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export interface NewestHead {
  readonly number: number;
  /** SHA-256 of its signed text: what the next one names. */
  readonly sha256: string;
  readonly at: Date;
  readonly seq: number;
  readonly place: string;
}

export interface AuditHeadsDocument extends LedgerDocument {
  /** Null: none was ever published. */
  readonly newest: NewestHead | null;
  /** Since when heads are wanted. */
  readonly since: Date;
}

const ID = 'newest';

function auditHeads(store: Store): StoreCollection<AuditHeadsDocument> {
  return readableCollection<AuditHeadsDocument>(store, 'auditHeads');
}

/** Null where none was ever wanted. */
export async function readNewestHead(store: Store): Promise<AuditHeadsDocument | null> {
  return await auditHeads(store).get(ID);
}

/** As {@link readNewestHead}; the first call says that they are wanted from now on. */
export async function wantHeads(store: Store, clock: Clock): Promise<AuditHeadsDocument> {
  const known = await auditHeads(store).get(ID);
  if (known !== null) return known;
  await auditHeads(store).insert({ _id: ID, v: LEDGER_VERSION, newest: null, since: clock.now() });
  return await update(auditHeads(store), ID, () => null);
}

/** A higher number stands: whoever published later may have written earlier. */
export async function rememberHead(store: Store, newest: NewestHead): Promise<void> {
  await update(auditHeads(store), ID, (known) =>
    (known.newest?.number ?? 0) >= newest.number ? null : { ...known, newest },
  );
}
