/** One file into the Glacier emulator, by the product's vault port with 1, 4 and 16 parts in flight. */
import { randomBytes } from 'node:crypto';
import pMap from 'p-map';
import { treeHash } from '../src/archive/tree-hash.ts';
import { id } from '../src/ids.ts';
import { vaultOf } from '../src/lifecycle/context.ts';
import type { UploadIntent, VaultLocation } from '../src/vault/port.ts';
import { median, ratio, seconds } from './figures.ts';
import type { Setting } from './setting.ts';

const MIB = 1024 * 1024;
const FILE_MIB = 256;
const PART_MIB = 4;
const IN_FLIGHT = [1, 4, 16];
const ROUNDS = 3;

export async function measureUpload(setting: Setting): Promise<readonly string[]> {
  const context = setting.app.context();
  const vault = vaultOf(context, id.vaultKey('cold'));
  const location = vault.locate(setting.database, id.owner('bench'), id.customer('upload'));
  await vault.ensure(location);
  const file = randomBytes(FILE_MIB * MIB);
  const hash = treeHash(file);
  const rates = new Map(IN_FLIGHT.map((parts) => [parts, [] as number[]]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [parts, measured] of rates) {
      const intent = intentFor(location, `${round}-${parts}`);
      measured.push(FILE_MIB / (await seconds(() => upload(intent, parts))));
    }
  }
  const [one = []] = rates.values();
  return [
    `upload of ${FILE_MIB} MiB to the emulator in parts of ${PART_MIB} MiB, median of ${ROUNDS} rounds in turn`,
    ...[...rates].map(
      ([parts, measured]) =>
        `  ${`${parts} in flight`.padEnd(39)}${median(measured).toFixed(0)} MiB/s` +
        (parts === 1 ? '' : `   ratio ${ratio(measured, one)}`),
    ),
  ];

  async function upload(intent: UploadIntent, partsInFlight: number): Promise<void> {
    const handle = await vault.beginUpload(location, intent, PART_MIB * MIB);
    const parts = Array.from({ length: FILE_MIB / PART_MIB }, (_, index) => index);
    await pMap(
      parts,
      (index) =>
        vault.sendPart(location, handle, index, file.subarray(index * PART_MIB * MIB, (index + 1) * PART_MIB * MIB)),
      { concurrency: partsInFlight },
    );
    await vault.completeUpload(location, handle, { bytes: file.length, treeHash: hash });
  }
}

function intentFor(location: VaultLocation, name: string): UploadIntent {
  return {
    installation: location.installation,
    archive: id.archive(`bench-${name}`),
    attempt: id.attempt(`bench-${name}`),
    owner: location.owner,
    customer: location.customer,
    dataset: 'bench.upload',
    dueAt: '2096-01-01T00:00:00.000Z',
    policyVersion: id.policyVersion('00'.repeat(32)),
  };
}
