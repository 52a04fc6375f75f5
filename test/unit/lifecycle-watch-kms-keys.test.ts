import { beforeEach, describe, expect, test } from 'vitest';
import { MoraineError } from '../../src/errors.ts';
import { MemoryKms } from '../../src/keys/memory-kms.ts';
import { openAlarms } from '../../src/ledger/alarms.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { watchKmsKeys } from '../../src/lifecycle/watch-kms-keys.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const arn = (name: string) => `arn:aws:kms:eu-west-1:123456789012:key/${name}`;

let world: MemoryWorld;
let [a, b]: readonly [MemoryKms, MemoryKms] = [new MemoryKms(arn('a')), new MemoryKms(arn('b'))];
let context: Context;

beforeEach(async () => {
  world = await MemoryWorld.open();
  [a, b] = [new MemoryKms(arn('a')), new MemoryKms(arn('b'))];
  const base = world.context();
  context = { ...base, keys: { ...base.keys, wrappingKeys: [a, b] } };
});

const alarms = async () => (await openAlarms(world.store)).map(({ code, subject, text }) => ({ code, subject, text }));

describe('watchKmsKeys', () => {
  test('keys in order, and one that does not rotate: no alarm', async () => {
    b.become({ isRotated: true });
    const looks = await watchKmsKeys(context);
    expect(looks.map(({ faults }) => faults.map(({ isAlarm }) => isAlarm))).toEqual([[false], []]);
    expect(await alarms()).toEqual([]);
  });

  test('a key scheduled for deletion: its alarm names it and the day, stops no work, and ends when it is cancelled', async () => {
    a.become({ condition: 'pending-deletion', deletedAt: new Date('2026-12-24T10:00:00Z') });
    await watchKmsKeys(context);
    await watchKmsKeys(context);
    expect(await alarms()).toEqual([
      { code: 'KMS_KEY_ENDANGERED', subject: a.key, text: expect.stringMatching(/key\/a is scheduled .* 2026-12-24/) },
    ]);
    a.become({ condition: 'disabled', deletedAt: null });
    await watchKmsKeys(context);
    expect(await alarms()).toEqual([
      { code: 'KMS_KEY_ENDANGERED', subject: a.key, text: expect.stringContaining('is disabled') },
    ]);
    a.become({ condition: 'enabled' });
    await watchKmsKeys(context);
    expect(await alarms()).toEqual([]);
  });

  test.each(['missing', 'unusable'] as const)('a key that is %s is an alarm', async (condition) => {
    b.become({ condition });
    await watchKmsKeys(context);
    expect(await alarms()).toMatchObject([{ subject: b.key }]);
  });

  test('KMS does not answer for one: its alarm stays as it was, and the other is looked at', async () => {
    a.become({ condition: 'disabled' });
    await watchKmsKeys(context);
    a.describeKey = async () => {
      throw new MoraineError('KMS_UNAVAILABLE', 'away');
    };
    b.become({ condition: 'disabled' });
    const looks = await watchKmsKeys(context);
    expect(looks[0]).toMatchObject({ unseen: { code: 'KMS_UNAVAILABLE' }, faults: [] });
    expect((await alarms()).map(({ subject }) => subject)).toEqual([a.key, b.key]);
  });
});
