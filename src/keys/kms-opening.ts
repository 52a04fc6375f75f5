/**
 * The administrator's half of KMS, on the administrator's machine and under the administrator's own AWS credentials.
 * It opens archives, so neither `jobs/` nor `src/console/` may load this file (promise 8).
 */
import { DecryptCommand } from '@aws-sdk/client-kms';
import { MoraineError } from '../errors.ts';
import { ARCHIVE_KEY_BYTES, archiveKeyOf } from './archive-key.ts';
import { assertContextOf, type KmsOpening, type KmsWrapped } from './kms.ts';
import { kmsClient, translatingKms } from './kms-client.ts';
import type { ArchiveKey, WrappedKey } from './port.ts';

/** Asks the key that wrapped it, in the region of its ARN. `endpointOf` names another address for a key, where moraine.yaml does. */
export class AwsKmsOpening implements KmsOpening {
  readonly #endpointOf: (key: string) => string | undefined;

  constructor(endpointOf: (key: string) => string | undefined) {
    this.#endpointOf = endpointOf;
  }

  async decrypt({ key, ciphertext, context }: KmsWrapped): Promise<Uint8Array> {
    const client = kmsClient({ key, endpoint: this.#endpointOf(key) });
    try {
      const reply = await translatingKms('open an archive key', key, () =>
        // The key is named: what another account wrapped for us to open is refused.
        client.send(new DecryptCommand({ KeyId: key, CiphertextBlob: ciphertext, EncryptionContext: { ...context } })),
      );
      return Uint8Array.from(reply.Plaintext ?? []);
    } finally {
      client.destroy();
    }
  }
}

/** The archive key, for a restore. Throws IDENTITY_WRONG where KMS did not wrap it, and as {@link KmsOpening} does. */
export async function openWithKms(wrapped: WrappedKey, opening: KmsOpening): Promise<ArchiveKey> {
  const { kms, archive, attempt } = wrapped;
  const ids = { archive, attempt };
  if (kms === undefined) {
    throw new MoraineError('IDENTITY_WRONG', `The key of archive ${archive} was not wrapped by KMS.`, {
      hint: 'Use --identity: it was made before its owner had a key of KMS.',
      ids,
    });
  }
  assertContextOf(wrapped, kms);
  const bytes = await opening.decrypt(kms);
  if (bytes.length !== ARCHIVE_KEY_BYTES) {
    throw new MoraineError('KEY_MISSING', `KMS opened the entry of archive ${archive} to something else than a key.`, {
      ids,
    });
  }
  return archiveKeyOf(attempt, bytes);
}
