/**
 * What an administrator does on their own machine, in the CLI: open an archive's key, prove a recipient, wrap an
 * owner's keys again. Everything here takes an identity, so neither `jobs/` nor `src/console/` may import this file:
 * no identity ever reaches the daemon or the console (promise 8).
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { OwnerId } from '../ids.ts';
import { update } from '../ledger/update.ts';
import { ARCHIVE_KEY_BYTES, archiveKeyOf } from './archive-key.ts';
import { type Challenge, KEY_COLLECTIONS, KEY_DOCUMENT_VERSION, type KeptKey } from './documents.ts';
import type { AdministratorIdentity } from './identity-file.ts';
import { KeyStore, type KeyStores } from './key-store.ts';
import type { ArchiveKey, KeysPort, WrappedKey } from './port.ts';
import { type Administrator, distinctRecipients, nameRecipients, recipientDigest, wrapFor } from './recipients.ts';

export {
  AdministratorIdentity,
  isPassphraseProtected,
  newIdentity,
  openIdentity,
} from './identity-file.ts';

/**
 * The archive key, for a restore. Throws IDENTITY_WRONG naming those whose identity would open it (`administrators`
 * gives the names), KEY_MISSING when the wrapped key is damaged.
 */
export async function unwrapArchiveKey(
  wrapped: WrappedKey,
  identity: AdministratorIdentity,
  administrators: readonly Administrator[] = [],
): Promise<ArchiveKey> {
  if (wrapped.recipients.length === 0) throw onlyKmsOpens(wrapped);
  const bytes = await openWrapped(wrapped, identity);
  if (bytes === null) throw identityWrong(wrapped, identity, administrators);
  return archiveKeyOf(wrapped.attempt, bytes);
}

export interface Proof {
  readonly recipient: string;
  readonly provenAt: Date;
  /** It was proven before: the date is the new one. */
  readonly isRepeated: boolean;
  /** When it was proven before; null: this is the first time. */
  readonly before: Date | null;
}

/**
 * Decrypts the challenge for the identity's recipient (made now if there is none) and records in every key store that
 * it could. `designated` are all recipients of moraine.yaml: an identity of none of them is IDENTITY_WRONG, for proving
 * it would help nobody and hide a typing error.
 */
export async function proveRecipient(
  stores: KeyStores,
  clock: Clock,
  identity: AdministratorIdentity,
  designated: readonly Administrator[],
): Promise<Proof> {
  if (!designated.some((each) => each.recipient === identity.recipient)) {
    throw new MoraineError(
      'IDENTITY_WRONG',
      `This identity's recipient ${identity.recipient} is not one of moraine.yaml: ${nameRecipients(distinctRecipients(designated), designated) || 'it names none'}.`,
      { hint: 'Put the recipient under its owner in moraine.yaml, or use the identity of one that is there.' },
    );
  }
  const store = new KeyStore(stores, clock);
  const digest = recipientDigest(identity.recipient);
  const answer = Uint8Array.from(randomBytes(CHALLENGE_BYTES));
  const fresh: Omit<Challenge, 'rev'> = {
    _id: digest,
    v: KEY_DOCUMENT_VERSION,
    recipient: identity.recipient,
    challenge: await wrapFor([identity.recipient], answer),
    answerSha256: sha256(answer),
    provenAt: null,
  };
  const challenge = await store.singleton<Challenge>(
    KEY_COLLECTIONS.challenges,
    digest,
    () => fresh,
    (a, b) => a.answerSha256 === b.answerSha256,
  );
  const opened = await identity.open(challenge.challenge);
  if (opened === null || sha256(opened) !== challenge.answerSha256) {
    throw new MoraineError('IDENTITY_WRONG', 'The identity does not open the challenge for its recipient.');
  }
  const before = challenge.provenAt;
  const provenAt = store.now();
  for (const collection of store.all<Challenge>(KEY_COLLECTIONS.challenges)) {
    // Of two who prove at once the later date stays.
    await update(collection, digest, (each) =>
      each.provenAt === null || each.provenAt < provenAt ? { ...each, provenAt } : null,
    );
  }
  return { recipient: identity.recipient, provenAt, isRepeated: before !== null, before };
}

export interface RewrapOptions {
  readonly stores: KeyStores;
  readonly clock: Clock;
  /** `assertRecipients` of the same configuration: nothing is wrapped for administrators who do not suffice. */
  readonly keys: Pick<KeysPort, 'assertRecipients' | 'proofsOf'>;
  readonly owner: OwnerId;
  /** The owner's administrators in moraine.yaml now. */
  readonly administrators: readonly Administrator[];
  readonly identity: AdministratorIdentity;
  readonly signal?: AbortSignal;
  /** Called after each page with the counts so far. */
  readonly onProgress?: (counts: RewrapCounts) => void;
}

export interface RewrapCounts {
  readonly looked: number;
  readonly rewrapped: number;
  /** Were wrapped for exactly the present recipients already, in every store. */
  readonly unchanged: number;
  /** Destroyed while we worked. */
  readonly destroyed: number;
  /** This identity does not open them, or they are damaged; left as they are. */
  readonly unopened: number;
  /** Wrapped again in one store and not in the other, which lacks them: run the alignment of the stores. */
  readonly missing: number;
  /** Archives of some of those that were not opened, for a person to look at. */
  readonly unopenedArchives: readonly string[];
}

/** Entries read at once: a page of keys is small, and a cut loses at most one page of progress. */
const REWRAP_PAGE = 200;
const CHALLENGE_BYTES = 32;
/** As many as a person looks at; the count says how many there are. */
const MOST_UNOPENED_NAMED = 20;

/**
 * Wraps every kept key of an owner for its present recipients, in every key store. Resumable: an entry that is wrapped
 * for them everywhere is left, so after a cut it is simply run again. Run it after the daemon has the new configuration,
 * or keys that the daemon makes meanwhile are wrapped for the old recipients. It takes no recipient away from copies made
 * before. Throws IDENTITY_WRONG where an identity that is none of the present recipients would hand the keys to
 * recipients of whom none was ever proven: nobody could say that what replaces the old wrapping opens.
 */
export async function rewrapForOwner(options: RewrapOptions): Promise<RewrapCounts> {
  const { owner, identity } = options;
  await options.keys.assertRecipients(owner);
  await assertSomebodyOpens(options);
  const store = new KeyStore(options.stores, options.clock);
  const recipients = distinctRecipients(options.administrators);
  const counts = { looked: 0, rewrapped: 0, unchanged: 0, destroyed: 0, unopened: 0, missing: 0 };
  const unopenedArchives: string[] = [];
  for await (const page of store.pagesOfOwner(owner, REWRAP_PAGE)) {
    for (const copies of page) {
      options.signal?.throwIfAborted();
      counts.looked += 1;
      if (copies.every((copy) => copy !== null && areSame(copy.recipients, recipients))) {
        counts.unchanged += 1;
        continue;
      }
      const entry = copies.find((copy) => copy !== null);
      const bytes = await openOneOf(copies, identity);
      if (bytes === null || entry == null) {
        counts.unopened += 1;
        if (entry != null && unopenedArchives.length < MOST_UNOPENED_NAMED) unopenedArchives.push(entry.archive);
        continue;
      }
      const wrapped = await wrapFor(recipients, bytes);
      await assertOpens(wrapped, bytes, recipients, identity);
      bytes.fill(0);
      const outcome = await store.replaceWrapping(entry._id, wrapped, recipients);
      counts[outcome === 'replaced' ? 'rewrapped' : outcome] += 1;
    }
    options.onProgress?.({ ...counts, unopenedArchives });
  }
  return { ...counts, unopenedArchives };
}

/** How many keys a re-wrapping of the owner will look at. */
export async function countKeysOf(stores: KeyStores, clock: Clock, owner: OwnerId): Promise<number> {
  return await new KeyStore(stores, clock).countOfOwner(owner);
}

/** The key out of whichever store's copy this identity opens: a cut may have left the copies wrapped differently. */
async function openOneOf(
  copies: readonly (KeptKey | null)[],
  identity: AdministratorIdentity,
): Promise<Uint8Array | null> {
  for (const copy of copies) {
    if (copy === null) continue;
    // Damaged: another copy may open, and where none does it is counted and left.
    const bytes = await identity.open(copy.wrapped).catch(() => null);
    if (bytes !== null && bytes.length === ARCHIVE_KEY_BYTES) return bytes;
  }
  return null;
}

async function assertSomebodyOpens({ keys, owner, administrators, identity }: RewrapOptions): Promise<void> {
  if (administrators.some(({ recipient }) => recipient === identity.recipient)) return;
  const proofs = (await keys.proofsOf?.(owner)) ?? [];
  if (proofs.some(({ provenAt }) => provenAt !== null)) return;
  throw new MoraineError(
    'IDENTITY_WRONG',
    `This identity is no administrator of ${owner} any more, and none of its present ones was ever proven: its keys are not handed to recipients whose identity perhaps nobody has.`,
    { hint: 'Let one of them run `moraine administrator prove --identity FILE` first.', ids: { owner } },
  );
}

/** Before the only wrapping of a key is replaced, the new one is opened, where this identity is among its recipients. */
async function assertOpens(
  wrapped: Uint8Array,
  bytes: Uint8Array,
  recipients: readonly string[],
  identity: AdministratorIdentity,
): Promise<void> {
  if (!recipients.includes(identity.recipient)) return;
  const opened = await identity.open(wrapped);
  if (opened === null || !Buffer.from(opened).equals(bytes)) {
    throw new MoraineError('INTERNAL', 'A new wrapping of an archive key does not open; the old one was left.');
  }
}

async function openWrapped(wrapped: WrappedKey, identity: AdministratorIdentity): Promise<Uint8Array | null> {
  let bytes: Uint8Array | null;
  try {
    bytes = await identity.open(wrapped.wrapped);
  } catch (cause) {
    throw damaged(wrapped, cause);
  }
  if (bytes !== null && bytes.length !== ARCHIVE_KEY_BYTES) throw damaged(wrapped, undefined);
  return bytes;
}

function identityWrong(
  wrapped: WrappedKey,
  identity: AdministratorIdentity,
  administrators: readonly Administrator[],
): MoraineError {
  const those = nameRecipients(wrapped.recipients, administrators);
  return new MoraineError(
    'IDENTITY_WRONG',
    `The identity of ${nameRecipients([identity.recipient], administrators)} does not open archive ${wrapped.archive}; one of these would: ${those}.`,
    { hint: `Use the identity of ${those}.`, ids: { archive: wrapped.archive, attempt: wrapped.attempt } },
  );
}

function onlyKmsOpens({ archive, attempt }: WrappedKey): MoraineError {
  return new MoraineError('IDENTITY_WRONG', `No identity opens archive ${archive}: its key was wrapped by KMS alone.`, {
    hint: "Use --kms, with AWS credentials that may decrypt with the owner's key.",
    ids: { archive, attempt },
  });
}

function damaged(wrapped: WrappedKey, cause: unknown): MoraineError {
  return new MoraineError('KEY_MISSING', `The key of archive ${wrapped.archive} in the key store is damaged.`, {
    cause,
    ids: { archive: wrapped.archive, attempt: wrapped.attempt },
  });
}

function areSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((each) => b.includes(each));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
