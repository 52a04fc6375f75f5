/**
 * A key of AWS KMS as a way to open archives, beside age recipients or instead of them.
 *
 * Promise 8 again: the daemon asks for a data key (it comes in the clear, and wrapped), uses it while the upload lasts and
 * forgets it. What it keeps is the wrapped one, and only an administrator, under credentials of their own that may
 * `kms:Decrypt`, gets the key back. So the two halves are two ports: {@link KmsWrapping} is the daemon's,
 * {@link KmsOpening} (`kms-opening.ts`, which neither `jobs/` nor the console may load) the administrator's.
 *
 * What would break it:
 * - One role that has both halves. `moraine iam` prints them apart, and `moraine check` says when the daemon's has both.
 * - An entry of the key store that was swapped for another's. Its encryption context is part of what KMS authenticates,
 *   and it must say what the entry says: {@link assertContextOf}.
 */
import { MoraineError } from '../errors.ts';
import type { ArchiveId, AttemptId, OwnerId } from '../ids.ts';

/**
 * What a data key is bound to. KMS refuses to decrypt with another context, policies can ask for its values
 * (`kms:EncryptionContext:owner`), and CloudTrail writes it in the clear with every call.
 */
export interface KmsContext {
  readonly installation: string;
  readonly owner: string;
  readonly customer: string;
  readonly archive: string;
  readonly attempt: string;
}

/** An archive key as KMS wrapped it, in an entry of the key store. */
export interface KmsWrapped {
  /** ARN of the key that wrapped it, as KMS answered. */
  readonly key: string;
  readonly ciphertext: Uint8Array;
  readonly context: KmsContext;
}

export interface KmsDataKey {
  /** 32 bytes, in the clear: for whoever overwrites them after use. */
  readonly plaintext: Uint8Array;
  readonly wrapped: KmsWrapped;
}

/** `unusable`: KMS names another state (creating, importing, its key store is away). */
export type KmsKeyCondition = 'enabled' | 'disabled' | 'pending-deletion' | 'unusable' | 'missing';

export interface KmsKeyState {
  readonly condition: KmsKeyCondition;
  /** When KMS destroys it; null where nobody asked for that. */
  readonly deletedAt: Date | null;
  /** Null: it could not be asked (the role may not), or this kind of key does not rotate. */
  readonly isRotated: boolean | null;
}

/** The daemon's half: it makes keys that it cannot open again. */
export interface KmsWrapping {
  /** ARN, as moraine.yaml names it. */
  readonly key: string;
  /** Throws KMS_REFUSED for a key that is disabled, on its way out or not ours to use, KMS_UNAVAILABLE. */
  generateDataKey(context: KmsContext): Promise<KmsDataKey>;
  /** Throws KMS_REFUSED where this role may not ask, KMS_UNAVAILABLE. */
  describeKey(): Promise<KmsKeyState>;
}

/** The administrator's half. */
export interface KmsOpening {
  /** Throws KEY_MISSING where it is not what KMS wrapped in this context, KMS_REFUSED, KMS_UNAVAILABLE. */
  decrypt(wrapped: KmsWrapped): Promise<Uint8Array>;
}

/** Throws KEY_MISSING for a wrapped key that was made for another archive than the entry that it stands in. */
export function assertContextOf(
  entry: { readonly owner: OwnerId; readonly archive: ArchiveId; readonly attempt: AttemptId },
  { context }: KmsWrapped,
): void {
  if (context.owner === entry.owner && context.archive === entry.archive && context.attempt === entry.attempt) return;
  throw new MoraineError(
    'KEY_MISSING',
    `The entry of archive ${entry.archive} in the key store holds a key of KMS that was made for another one.`,
    { ids: { archive: entry.archive, attempt: entry.attempt } },
  );
}

/** What a person should know of a key, most urgent first; empty: it is in order. */
export function kmsKeyFaults({ condition, deletedAt, isRotated }: KmsKeyState): readonly KmsKeyFault[] {
  const faults: KmsKeyFault[] = [];
  const until = deletedAt === null ? '' : ` on ${deletedAt.toISOString().slice(0, 10)}`;
  if (condition === 'pending-deletion') {
    faults.push({ text: `is scheduled for deletion${until}: what only it opens is lost then`, isAlarm: true });
  } else if (condition === 'missing') {
    faults.push({ text: 'is not there: what only it opens is lost', isAlarm: true });
  } else if (condition === 'disabled') {
    faults.push({ text: 'is disabled: nothing is archived with it, and nothing opens', isAlarm: true });
  } else if (condition === 'unusable') {
    faults.push({ text: 'cannot be used now: KMS names neither enabled nor disabled as its state', isAlarm: true });
  }
  if (isRotated === false)
    faults.push({ text: 'does not rotate: KMS makes no new material each year', isAlarm: false });
  return faults;
}

export interface KmsKeyFault {
  /** Follows the name of the key. */
  readonly text: string;
  /** False: a finding of `moraine check` and no more. */
  readonly isAlarm: boolean;
}
