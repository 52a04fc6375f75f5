import { randomBytes } from 'node:crypto';
import * as glacier from '@aws-sdk/client-glacier';
import { afterEach, describe, expect, test } from 'vitest';
import { EmulatorProcess } from './glacier-emulator-process.ts';

const MIB = 1024 * 1024;
const accountId = '-';
let emulator: EmulatorProcess;
afterEach(() => emulator.stop());

async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof glacier.GlacierServiceException) return `${error.name}: ${error.message}`;
    throw error;
  }
  throw new Error('the call was not refused');
}

async function vaultWithArchive(client: glacier.GlacierClient, vaultName: string, bytes: number): Promise<string> {
  await client.send(new glacier.CreateVaultCommand({ accountId, vaultName }));
  const body = randomBytes(bytes);
  return (await client.send(new glacier.UploadArchiveCommand({ accountId, vaultName, body }))).archiveId ?? '';
}

const retrieve = (client: glacier.GlacierClient, vaultName: string, ArchiveId: string, more = {}) =>
  client.send(
    new glacier.InitiateJobCommand({
      accountId,
      vaultName,
      jobParameters: { Type: 'archive-retrieval', ArchiveId, ...more },
    }),
  );

const setPolicy = (client: glacier.GlacierClient, ...Rules: glacier.DataRetrievalRule[]) =>
  client.send(new glacier.SetDataRetrievalPolicyCommand({ accountId, Policy: { Rules } }));
const rulesOf = async (client: glacier.GlacierClient) =>
  (await client.send(new glacier.GetDataRetrievalPolicyCommand({ accountId }))).Policy?.Rules?.map((rule) => ({
    Strategy: rule.Strategy,
    ...(rule.BytesPerHour == null ? {} : { BytesPerHour: rule.BytesPerHour }),
  }));

const ENFORCED = 'PolicyEnforcedException: InitiateJob request denied by current data retrieval policy.';

describe('data retrieval policy', () => {
  test('no limit at first; one rule of three kinds, for each region, kept over a kill', async () => {
    emulator = await EmulatorProcess.start();
    const client = emulator.client();
    expect(await rulesOf(client)).toEqual([{ Strategy: 'None' }]);
    await setPolicy(client, { Strategy: 'BytesPerHour', BytesPerHour: 10_737_418_240 });
    await emulator.killAndRestart();
    expect(await rulesOf(client)).toEqual([{ Strategy: 'BytesPerHour', BytesPerHour: 10_737_418_240 }]);
    expect(await rulesOf(emulator.client({ region: 'us-west-2' }))).toEqual([{ Strategy: 'None' }]);
    for (const rules of [
      [],
      [{ Strategy: 'None' }, { Strategy: 'None' }],
      [{ Strategy: 'Some' }],
      [{ Strategy: 'FreeTier', BytesPerHour: 1 }],
      [{ Strategy: 'BytesPerHour', BytesPerHour: 0 }],
    ]) {
      expect(await refusal(setPolicy(client, ...rules))).toMatch(/^InvalidParameterValueException/);
    }
    expect(await refusal(setPolicy(client, { Strategy: 'BytesPerHour' }))).toMatch(/^MissingParameterValueException/);
    expect(await refusal(setPolicy(client, {}))).toMatch(/^MissingParameterValueException/);
    await setPolicy(client, { Strategy: 'FreeTier' });
    expect(await rulesOf(client)).toEqual([{ Strategy: 'FreeTier' }]);
  });

  test('bytes per hour: over all vaults, of Standard jobs in progress; they end, and there is room again', async () => {
    emulator = await EmulatorProcess.start('--linger-seconds', '0');
    const client = emulator.client();
    const archiveId = await vaultWithArchive(client, 'a', 4 * MIB);
    const other = await vaultWithArchive(client, 'b', 4 * MIB);
    // A Standard retrieval is counted with four hours: this is room for 8 MiB at a time.
    await setPolicy(client, { Strategy: 'BytesPerHour', BytesPerHour: 2 * MIB });
    await retrieve(client, 'a', archiveId);
    await retrieve(client, 'b', other);
    expect(await refusal(retrieve(client, 'a', archiveId))).toBe(ENFORCED);
    expect(await refusal(retrieve(client, 'a', archiveId, { RetrievalByteRange: `0-${MIB - 1}` }))).toBe(ENFORCED);
    await retrieve(client, 'a', archiveId, { Tier: 'Expedited' });
    await retrieve(client, 'a', archiveId, { Tier: 'Bulk' });
    expect(await refusal(retrieve(client, 'a', 'x'.repeat(138)))).toMatch(/^ResourceNotFoundException/);
    await emulator.advance('PT5H');
    const attempts = await Promise.allSettled(Array.from({ length: 6 }, () => retrieve(client, 'a', archiveId)));
    expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    await setPolicy(client, { Strategy: 'None' });
    await retrieve(client, 'a', archiveId);
  });

  test('free tier: what was accepted on a day counts against the allowance of that day', async () => {
    emulator = await EmulatorProcess.start('--linger-seconds', '0', '--free-tier-bytes', String(3 * MIB));
    await emulator.control('POST', 'clock', { set: '2090-05-05T06:00:00Z' });
    const client = emulator.client();
    const archiveId = await vaultWithArchive(client, 'a', 2 * MIB);
    await setPolicy(client, { Strategy: 'FreeTier' });
    await retrieve(client, 'a', archiveId);
    expect(await refusal(retrieve(client, 'a', archiveId))).toBe(ENFORCED);
    await retrieve(client, 'a', archiveId, { RetrievalByteRange: `0-${MIB - 1}` });
    await emulator.advance('PT17H');
    expect(await refusal(retrieve(client, 'a', archiveId))).toBe(ENFORCED);
    await emulator.advance('PT1H');
    await retrieve(client, 'a', archiveId);
  });
});

describe('provisioned capacity', () => {
  test('two units at most, each for a calendar month to the second, kept over a kill', async () => {
    emulator = await EmulatorProcess.start();
    await emulator.control('POST', 'clock', { set: '2090-01-31T10:00:00Z' });
    const client = emulator.client();
    const list = async () =>
      (await client.send(new glacier.ListProvisionedCapacityCommand({ accountId }))).ProvisionedCapacityList ?? [];
    const purchase = () => client.send(new glacier.PurchaseProvisionedCapacityCommand({ accountId }));
    expect(await list()).toEqual([]);
    const { capacityId } = await purchase();
    await purchase();
    expect(await refusal(purchase())).toMatch(/^LimitExceededException/);
    await emulator.killAndRestart();
    const [unit] = await list();
    expect(unit?.CapacityId).toBe(capacityId);
    expect(unit?.StartDate).toMatch(/^2090-01-31T10:00:/);
    expect(unit?.ExpirationDate).toMatch(/^2090-02-28T10:00:/);
    expect(await list()).toHaveLength(2);
    await emulator.control('POST', 'clock', { set: '2090-02-28T10:30:00Z' });
    expect(await list()).toEqual([]);
    await purchase();
    expect(await list()).toHaveLength(1);
  });

  test('no capacity for expedited retrievals, on demand: only those without a unit are refused', async () => {
    emulator = await EmulatorProcess.start();
    const client = emulator.client();
    const archiveId = await vaultWithArchive(client, 'a', 100);
    await emulator.fault('no-capacity', 'InitiateJob', 2);
    await retrieve(client, 'a', archiveId, { Tier: 'Standard' });
    expect(await refusal(retrieve(client, 'a', archiveId, { Tier: 'Expedited' }))).toBe(
      'InsufficientCapacityException: There is insufficient capacity to process this expedited request.',
    );
    await client.send(new glacier.PurchaseProvisionedCapacityCommand({ accountId }));
    await retrieve(client, 'a', archiveId, { Tier: 'Expedited' });
    expect(JSON.stringify((await emulator.control('GET', 'faults')).body)).toContain('"times":1');
  });
});
