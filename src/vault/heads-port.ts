/**
 * A place for heads of the audit chain in which what is written once stays as it was, whoever asks: the witness that the
 * ledger cannot be its own. Numbers are names: under one number stands one head, for ever (as long as it is retained).
 *
 * Every call may throw MoraineError with VAULT_UNAVAILABLE (retry), VAULT_THROTTLED (later), VAULT_REFUSED or
 * VAULT_NOT_FOUND. One suite for all: `test/contract/heads-contract.ts`.
 */
export interface PublishedHead {
  /** From 1. */
  readonly number: number;
  /** What was written first under this number. */
  readonly bytes: Uint8Array;
  /** Something else was written above it, or it was marked as deleted: it is still there, and somebody has tried. */
  readonly isCovered: boolean;
}

export interface HeadsPlace {
  /** `s3://bucket/prefix` */
  readonly name: string;
  /** Throws AUDIT_HEADS_REFUSED where the place could lose or change what is written. */
  assertWriteOnce(): Promise<void>;
  /** `taken`: something stands under this number, and it stays. Not to be deleted or changed before `retainUntil`. */
  publish(number: number, bytes: Uint8Array, retainUntil: Date): Promise<'published' | 'taken'>;
  /** From this number on, in order; numbers that are not there are left out. */
  heads(from: number): AsyncIterable<PublishedHead>;
}

const DIGITS = 12;

/** Text order is number order. */
export function headFileName(number: number): string {
  return `${String(number).padStart(DIGITS, '0')}.json`;
}

/** Null for a file of another name. */
export function headNumber(fileName: string): number | null {
  const [, digits] = /^(\d{12})\.json$/.exec(fileName) ?? [];
  return digits === undefined || Number(digits) < 1 ? null : Number(digits);
}
