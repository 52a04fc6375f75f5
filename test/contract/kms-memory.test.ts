import { randomUUID } from 'node:crypto';
import { MemoryKms } from '../../src/keys/memory-kms.ts';
import { kmsContract } from './kms-contract.ts';

const A_WEEK_MS = 7 * 86_400_000;
const newArn = () => `arn:aws:kms:eu-west-1:123456789012:key/${randomUUID()}`;

kmsContract(
  'memory',
  async () => ({
    newKey: async () => {
      const kms = new MemoryKms(newArn());
      return {
        wrapping: kms,
        opening: kms,
        disable: async () => kms.become({ condition: 'disabled' }),
        enable: async () => kms.become({ condition: 'enabled' }),
        scheduleDeletion: async () =>
          kms.become({ condition: 'pending-deletion', deletedAt: new Date(Date.now() + A_WEEK_MS) }),
        cancelDeletion: async () => kms.become({ condition: 'disabled', deletedAt: null }),
        rotate: async () => kms.become({ isRotated: true }),
      };
    },
    missingKey: () => {
      const kms = new MemoryKms(newArn());
      kms.become({ condition: 'missing', isRotated: null });
      return kms;
    },
    close: async () => undefined,
  }),
  1_000,
);
