/** The documents of the key store. None of them leaves it; only wrapped archive keys and public keys are shown. */
import type { LedgerIndex } from '../ledger/indexes.ts';
import type { LedgerDocument } from '../ledger/store.ts';
import type { KmsWrapped } from './kms.ts';

export const KEY_DOCUMENT_VERSION = 1;

/** An attempt's archive key, wrapped for administrators. `_id` is the attempt. */
export interface KeptKey extends LedgerDocument {
  readonly state: 'kept';
  readonly archive: string;
  readonly owner: string;
  /** age file (binary) that holds the 32 bytes of the key; empty where there are no recipients and KMS alone opens it. */
  readonly wrapped: Uint8Array;
  /** The same key as KMS wrapped it, where its owner has a key of KMS. */
  readonly kms?: KmsWrapped;
  readonly recipients: readonly string[];
  readonly createdAt: Date;
}

/** What stays of a destroyed key. It also keeps a frozen worker from storing a key for an attempt that is over. */
export interface DestroyedKey extends LedgerDocument {
  readonly state: 'destroyed';
  /** Null when the attempt was abandoned before its key was stored. */
  readonly archive: string | null;
  readonly destroyedAt: Date;
}

export type ArchiveKeyEntry = KeptKey | DestroyedKey;

/** `_id` is the owner. */
export interface HmacKey extends LedgerDocument {
  readonly key: Uint8Array;
  readonly createdAt: Date;
}

/** The signing key that Moraine made for itself. `_id` is `made`. With `signingKey: FILE` it is never made. */
export interface MadeSigningKey extends LedgerDocument {
  /** PKCS #8 PEM. */
  readonly privatePem: string;
  readonly createdAt: Date;
}

/** A public key that signed something once. `_id` is its key id. Never removed: old signatures must verify. */
export interface PublicSigningKey extends LedgerDocument {
  readonly pem: string;
  readonly validFrom: Date;
  /** Null while it is the key that signs. */
  readonly validTo: Date | null;
}

/** A challenge for a recipient. `_id` is `recipientDigest`: a post-quantum recipient is too long for an index. */
export interface Challenge extends LedgerDocument {
  readonly recipient: string;
  /** age file for this recipient alone. */
  readonly challenge: Uint8Array;
  /** SHA-256 (hex) of what the challenge holds. */
  readonly answerSha256: string;
  readonly provenAt: Date | null;
}

export const KEY_COLLECTIONS = {
  archiveKeys: 'archiveKeys',
  hmacKeys: 'hmacKeys',
  signingKeys: 'signingKeys',
  publicKeys: 'publicSigningKeys',
  challenges: 'challenges',
} as const;

/** For `ensureIndexes` of every key store: re-wrapping walks the kept keys of one owner. */
export const KEY_INDEXES: readonly LedgerIndex[] = [
  { collection: KEY_COLLECTIONS.archiveKeys, keys: { owner: 1, state: 1, _id: 1 } },
];
