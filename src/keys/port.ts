/** Archive keys, signing key and HMAC keys, as the lifecycle sees them. No function here takes or returns an identity. */
import type { ArchiveId, AttemptId, CustomerId, OwnerId } from '../ids.ts';
import type { KmsWrapped, KmsWrapping } from './kms.ts';

export { type KmsKeyFault, type KmsKeyState, type KmsWrapping, kmsKeyFaults } from './kms.ts';

/** A fresh 256-bit archive key in memory. `forget()` overwrites it; reading it afterwards throws. */
export interface ArchiveKey {
  readonly keyName: string;
  bytes(): Uint8Array;
  forget(): void;
}

/** A wrapped archive key as the key store holds it. */
export interface WrappedKey {
  readonly attempt: AttemptId;
  readonly archive: ArchiveId;
  readonly owner: OwnerId;
  /** age file (binary) for all recipients; empty where there are none. */
  readonly wrapped: Uint8Array;
  /** The same key as KMS wrapped it, where its owner has a key of KMS. */
  readonly kms?: KmsWrapped | undefined;
  readonly recipients: readonly string[];
}

export interface Signature {
  readonly keyId: string;
  /** Ed25519 signature, 64 bytes. */
  readonly bytes: Uint8Array;
}

export interface SigningPublicKey {
  readonly keyId: string;
  /** SPKI PEM. */
  readonly pem: string;
  readonly validFrom: Date;
  readonly validTo: Date | null;
}

/** What is known of one administrator's identity: when it last opened a challenge, and until when that counts. */
export interface AdministratorProof {
  readonly name: string;
  readonly recipient: string;
  readonly recovery: boolean;
  readonly provenAt: Date | null;
  /** Null: it was never proven, or proofs count for good. */
  readonly endsAt: Date | null;
  /** Production counts `unproven` and `ended` as nobody. */
  readonly state: 'unproven' | 'proven' | 'ends-soon' | 'ended';
}

export interface KeysPort {
  /** Throws OWNER_WITHOUT_ADMINISTRATOR where the owner's administrators do not suffice for the environment; returns warnings otherwise (one unproven recipient in a sandbox). */
  assertRecipients(owner: OwnerId): Promise<readonly string[]>;
  /** The owner's administrators of moraine.yaml, and their proofs; absent where none are kept. */
  proofsOf?(owner: OwnerId): Promise<readonly AdministratorProof[]>;
  /** Makes a key, wraps it for the owner's administrators and stores it with majority (and in the second store, where there is one) before it returns. */
  createArchiveKey(
    owner: OwnerId,
    archive: ArchiveId,
    attempt: AttemptId,
    /** For KMS, which binds the key to it. */
    customer?: CustomerId,
  ): Promise<ArchiveKey>;
  /** The keys of KMS that moraine.yaml names; none where absent. */
  readonly wrappingKeys?: readonly KmsWrapping[];
  /** Reads the entry back with majority concern from every store. Throws KEY_MISSING or KEY_DESTROYED. */
  readBack(attempt: AttemptId): Promise<WrappedKey>;
  /** Idempotent. Removes the wrapped key everywhere; leaves a tombstone without key material. Returns when. */
  destroy(attempt: AttemptId): Promise<Date>;
  /** True when a key store lacks the destruction of one of these attempts: it is a restored backup. Absent where none can be. */
  isBehind?(ended: readonly AttemptId[]): Promise<boolean>;
  /** HMAC-SHA-256 under the owner's HMAC key, made at first use. The function is synchronous once the key is loaded. */
  hmacFor(owner: OwnerId): Promise<(data: string | Uint8Array) => Uint8Array>;
  sign(bytes: Uint8Array): Promise<Signature>;
  verify(bytes: Uint8Array, signature: Signature): Promise<boolean>;
  publicKeys(): Promise<readonly SigningPublicKey[]>;
  /** ISO 8601 duration that backups of the key store live at most, for the certificate's "final on"; null when none is configured. */
  readonly backupMaxAge: string | null;
}
