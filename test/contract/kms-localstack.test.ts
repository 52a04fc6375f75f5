import { randomUUID } from 'node:crypto';
import {
  CancelKeyDeletionCommand,
  CreateKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EnableKeyRotationCommand,
  KMSClient,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { AwsKmsOpening } from '../../src/keys/kms-opening.ts';
import { AwsKmsWrapping } from '../../src/keys/kms-wrapping.ts';
import { KMS_SETUP_MS, startKms } from '../harness/kms-server.ts';
import { kmsContract } from './kms-contract.ts';

const SHORTEST_WINDOW_DAYS = 7;

kmsContract(
  'LocalStack',
  async () => {
    const server = await startKms();
    const { endpoint } = server;
    const credentials = { accessKeyId: 'person', secretAccessKey: 'person' };
    const person = new KMSClient({ region: 'eu-west-1', endpoint, credentials });
    return {
      newKey: async () => {
        const { KeyMetadata } = await person.send(new CreateKeyCommand({}));
        const KeyId = KeyMetadata?.Arn ?? '';
        return {
          wrapping: new AwsKmsWrapping({ key: KeyId, endpoint }),
          opening: new AwsKmsOpening(() => endpoint),
          disable: async () => void (await person.send(new DisableKeyCommand({ KeyId }))),
          enable: async () => void (await person.send(new EnableKeyCommand({ KeyId }))),
          scheduleDeletion: async () => {
            const PendingWindowInDays = SHORTEST_WINDOW_DAYS;
            await person.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays }));
          },
          cancelDeletion: async () => void (await person.send(new CancelKeyDeletionCommand({ KeyId }))),
          rotate: async () => void (await person.send(new EnableKeyRotationCommand({ KeyId }))),
        };
      },
      missingKey: () => new AwsKmsWrapping({ key: `arn:aws:kms:eu-west-1:000000000000:key/${randomUUID()}`, endpoint }),
      close: async () => {
        person.destroy();
        await server.close();
      },
    };
  },
  KMS_SETUP_MS,
);
