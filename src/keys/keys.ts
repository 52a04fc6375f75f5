/**
 * The keys as the daemon has them: it makes archive keys, wraps them for administrators, destroys them, signs and
 * computes HMACs. It cannot open an archive: everything that takes an identity is in `administrator.ts`, which neither
 * `jobs/` nor `src/console/` may import (promise 8).
 */
import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Environment } from '../environment.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, AttemptId, CustomerId, OwnerId } from '../ids.ts';
import { archiveKeyOf, freshArchiveKey } from './archive-key.ts';
import { type HmacKey, KEY_COLLECTIONS, KEY_DOCUMENT_VERSION } from './documents.ts';
import { KeyStore, type KeyStores } from './key-store.ts';
import type { KmsWrapped, KmsWrapping } from './kms.ts';
import type { ArchiveKey, KeysPort, WrappedKey } from './port.ts';
import { proofsOfAdministrators } from './proofs.ts';
import { type Administrator, assessAdministrators, distinctRecipients, wrapFor } from './recipients.ts';
import { SigningKeys } from './signing.ts';

export interface KeysOptions {
  /** The key store, and the second one that must acknowledge too, where there is one. */
  readonly stores: KeyStores;
  readonly clock: Clock;
  readonly environment: Environment;
  /** The owner's administrators in moraine.yaml; empty for an owner that it does not name. */
  readonly administratorsOf: (owner: OwnerId) => readonly Administrator[];
  /** The text of `signingKey: FILE`. */
  readonly signingKeyPem?: string | undefined;
  readonly backupMaxAge?: string | undefined;
  /** The key of KMS that wraps an owner's archive keys; null: it has none. Absent: nobody has. */
  readonly kmsOf?: ((owner: OwnerId) => KmsWrapping | null) | undefined;
  /** All that `kmsOf` may answer. */
  readonly wrappingKeys?: readonly KmsWrapping[] | undefined;
  /** Id of the installation, which KMS binds keys to. */
  readonly installation?: string | undefined;
  /** ISO 8601: how long a proof of possession counts. Absent: for good. */
  readonly proofEvery?: string | undefined;
}

export interface Keys extends KeysPort {
  /** For opening an archive: from whichever store has the entry. Throws KEY_MISSING or KEY_DESTROYED. */
  findWrappedKey(attempt: AttemptId): Promise<WrappedKey>;
  /** True when the key store is a restored backup: it lacks the destruction of one of the newest purged or abandoned attempts of the ledger. */
  isBehind(newestEnded: readonly AttemptId[]): Promise<boolean>;
  /** Destroys the keys of all attempts that the ledger says are purged or abandoned, before a restored key store is used. Idempotent. */
  replayPurges(ended: Iterable<AttemptId> | AsyncIterable<AttemptId>): Promise<ReplayCounts>;
  /** Copies what one of the two stores lacks from the other; destruction wins. After a second store was added or one was restored. */
  alignStores(): Promise<{ readonly copied: number; readonly destroyed: number }>;
}

export interface ReplayCounts {
  readonly looked: number;
  readonly destroyed: number;
}

const HMAC_KEY_BYTES = 32;

/** Does nothing yet: keys are made at first use. Prepare the stores with `KEY_INDEXES` before. */
export function createKeys(options: KeysOptions): Keys {
  const store = new KeyStore(options.stores, options.clock);
  const signing = new SigningKeys(store, {
    environment: options.environment,
    signingKeyPem: options.signingKeyPem,
  });
  const hmacKeys = new Map<OwnerId, Promise<Uint8Array>>();

  const kmsOf = (owner: OwnerId) => options.kmsOf?.(owner) ?? null;
  const proofsOf = (owner: OwnerId) =>
    proofsOfAdministrators(store, options.administratorsOf(owner), options.proofEvery ?? null);
  const assertRecipients = async (owner: OwnerId) => {
    const proofs = new Map((await proofsOf(owner)).map((proof) => [proof.recipient, proof]));
    const isProven = (recipient: string) => {
      const proof = proofs.get(recipient);
      if (proof === undefined || proof.state === 'unproven') return false;
      if (proof.endsAt === null || proof.state === 'proven') return true;
      return { endsAt: proof.endsAt, hasEnded: proof.state === 'ended' };
    };
    const hasKms = kmsOf(owner) !== null;
    return assessAdministrators(owner, options.administratorsOf(owner), options.environment, isProven, hasKms);
  };

  return {
    backupMaxAge: options.backupMaxAge ?? null,
    assertRecipients,
    proofsOf,
    wrappingKeys: options.wrappingKeys ?? [],
    createArchiveKey: async (owner, archive, attempt, customer): Promise<ArchiveKey> => {
      await assertRecipients(owner);
      const recipients = distinctRecipients(options.administratorsOf(owner));
      const { key, kms } = await newKey(kmsOf(owner), options.installation, { owner, archive, attempt, customer });
      try {
        const wrapped = recipients.length === 0 ? new Uint8Array() : await wrapFor(recipients, key.bytes());
        await store.putArchiveKey({ attempt, archive, owner, wrapped, kms, recipients });
        return key;
      } catch (error) {
        key.forget();
        throw error;
      }
    },
    readBack: (attempt) => store.readArchiveKey(attempt),
    findWrappedKey: (attempt) => store.findArchiveKey(attempt),
    destroy: (attempt) => store.destroyArchiveKey(attempt),
    hmacFor: async (owner) => {
      let loading = hmacKeys.get(owner);
      if (loading === undefined) {
        loading = loadHmacKey(store, owner);
        hmacKeys.set(owner, loading);
        loading.catch(() => hmacKeys.delete(owner));
      }
      // A key object, not bytes: made ready once, it costs a fifth for each record.
      const key = createSecretKey(await loading);
      return (data) => createHmac('sha256', key).update(data).digest();
    },
    sign: (bytes) => signing.sign(bytes),
    verify: (bytes, signature) => signing.verify(bytes, signature),
    publicKeys: () => signing.publicKeys(),
    isBehind: async (newestEnded) => !(await store.areDestroyed(newestEnded)),
    replayPurges: async (ended) => {
      let looked = 0;
      let destroyed = 0;
      for await (const attempt of ended) {
        looked += 1;
        if (await store.areDestroyed([attempt])) continue;
        await store.destroyArchiveKey(attempt);
        destroyed += 1;
      }
      return { looked, destroyed };
    },
    alignStores: () => store.align(),
  };
}

/** With a key of KMS, KMS makes it; what comes in the clear is the archive key itself and is forgotten as such. */
async function newKey(
  kms: KmsWrapping | null,
  installation: string | undefined,
  of: {
    readonly owner: OwnerId;
    readonly archive: ArchiveId;
    readonly attempt: AttemptId;
    readonly customer: CustomerId | undefined;
  },
): Promise<{ readonly key: ArchiveKey; readonly kms: KmsWrapped | undefined }> {
  const { owner, archive, attempt, customer } = of;
  if (kms === null) return { key: freshArchiveKey(attempt), kms: undefined };
  if (installation === undefined || customer === undefined) {
    throw new MoraineError(
      'INTERNAL',
      `The key of archive ${archive} cannot be bound to its installation and customer.`,
    );
  }
  const made = await kms.generateDataKey({ installation, owner, customer, archive, attempt });
  return { key: archiveKeyOf(attempt, made.plaintext), kms: made.wrapped };
}

async function loadHmacKey(store: KeyStore, owner: OwnerId): Promise<Uint8Array> {
  const { key } = await store.singleton<HmacKey>(
    KEY_COLLECTIONS.hmacKeys,
    owner,
    () => ({
      _id: owner,
      v: KEY_DOCUMENT_VERSION,
      key: Uint8Array.from(randomBytes(HMAC_KEY_BYTES)),
      createdAt: store.now(),
    }),
    (a, b) => Buffer.from(a.key).equals(b.key),
  );
  if (key.length !== HMAC_KEY_BYTES) {
    throw new MoraineError('KEY_MISSING', `The HMAC key of owner ${owner} in the key store is damaged.`, {
      ids: { owner },
    });
  }
  return key;
}
