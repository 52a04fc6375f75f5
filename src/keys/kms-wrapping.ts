/** The daemon's half of KMS: it asks for data keys, and how the key is. Nothing here can decrypt. */
import {
  DescribeKeyCommand,
  GenerateDataKeyCommand,
  GetKeyRotationStatusCommand,
  type KMSClient,
} from '@aws-sdk/client-kms';
import { isMoraineError, MoraineError } from '../errors.ts';
import { ARCHIVE_KEY_BYTES } from './archive-key.ts';
import type { KmsContext, KmsDataKey, KmsKeyCondition, KmsKeyState, KmsWrapping } from './kms.ts';
import { kmsClient, translatingKms } from './kms-client.ts';
import type { KmsConfig } from './kms-config.ts';

const CONDITIONS: Readonly<Record<string, KmsKeyCondition>> = {
  Enabled: 'enabled',
  Disabled: 'disabled',
  PendingDeletion: 'pending-deletion',
  PendingReplicaDeletion: 'pending-deletion',
};

export class AwsKmsWrapping implements KmsWrapping {
  readonly key: string;
  readonly #client: KMSClient;

  constructor(config: KmsConfig) {
    this.key = config.key;
    this.#client = kmsClient(config);
  }

  async generateDataKey(context: KmsContext): Promise<KmsDataKey> {
    const reply = await translatingKms('make an archive key', this.key, () =>
      this.#client.send(
        new GenerateDataKeyCommand({ KeyId: this.key, KeySpec: 'AES_256', EncryptionContext: { ...context } }),
      ),
    );
    const { Plaintext: plaintext, CiphertextBlob: ciphertext, KeyId: key } = reply;
    if (plaintext?.length !== ARCHIVE_KEY_BYTES || ciphertext === undefined || ciphertext.length === 0 || !key) {
      throw new MoraineError('KMS_REFUSED', `${this.key} answered without a data key of ${ARCHIVE_KEY_BYTES} bytes.`);
    }
    return {
      plaintext: Uint8Array.from(plaintext),
      wrapped: { key, ciphertext: Uint8Array.from(ciphertext), context },
    };
  }

  async describeKey(): Promise<KmsKeyState> {
    const KeyId = this.key;
    const reply = await translatingKms('look at the key', KeyId, () =>
      this.#client.send(new DescribeKeyCommand({ KeyId })).catch((error: unknown) => {
        if (error instanceof Error && error.name === 'NotFoundException') return null;
        throw error;
      }),
    );
    if (reply === null) return { condition: 'missing', deletedAt: null, isRotated: null };
    const metadata = reply.KeyMetadata;
    return {
      condition: CONDITIONS[metadata?.KeyState ?? ''] ?? 'unusable',
      deletedAt: metadata?.DeletionDate ?? null,
      isRotated: await this.#isRotated(),
    };
  }

  async #isRotated(): Promise<boolean | null> {
    try {
      const reply = await translatingKms('look at the rotation', this.key, () =>
        this.#client.send(new GetKeyRotationStatusCommand({ KeyId: this.key })),
      );
      return reply.KeyRotationEnabled ?? null;
    } catch (error) {
      // Not allowed, or a key of a kind or state that does not rotate: that it is unknown is no reason to fail the look.
      if (isMoraineError(error, 'KMS_REFUSED')) return null;
      throw error;
    }
  }

  close(): void {
    this.#client.destroy();
  }
}
