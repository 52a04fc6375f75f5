/** One file into the Glacier emulator: by the product's vault port with 1, 4 and 16 parts in flight, and by the AWS CLI. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import pMap from 'p-map';
import { treeHash } from '../src/archive/tree-hash.ts';
import { id } from '../src/ids.ts';
import { vaultOf } from '../src/lifecycle/context.ts';
import type { UploadIntent, VaultLocation } from '../src/vault/port.ts';
import { pythonClients } from '../test/conformance/environment.ts';
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
  const byCli: number[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'bench-upload-'));
  try {
    const { aws } = await pythonClients();
    await writeFile(join(folder, 'file'), file);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [parts, measured] of rates) {
        const intent = intentFor(location, `${round}-${parts}`);
        measured.push(FILE_MIB / (await seconds(() => upload(intent, parts))));
      }
      byCli.push(FILE_MIB / (await seconds(() => uploadByCli(aws, folder, location, setting.urls.glacier))));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  return [
    `upload of ${FILE_MIB} MiB to the emulator in parts of ${PART_MIB} MiB, median of ${ROUNDS} rounds in turn`,
    `  ${'the AWS CLI, in one request'.padEnd(39)}${median(byCli).toFixed(0)} MiB/s`,
    ...[...rates].map(
      ([parts, measured]) =>
        `  ${`${parts} in flight`.padEnd(39)}${median(measured).toFixed(0)} MiB/s   ratio ${ratio(measured, byCli)}`,
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

/** The CLI has the service's own command for it, which sends a file whole; its start is part of the time. */
async function uploadByCli(
  aws: string,
  folder: string,
  { name, region }: VaultLocation,
  endpoint: string,
): Promise<void> {
  const args = ['--vault-name', name, '--account-id=-', '--body', join(folder, 'file')];
  await execa(aws, ['glacier', 'upload-archive', '--endpoint-url', endpoint, ...args], {
    env: {
      AWS_ACCESS_KEY_ID: 'moraine',
      AWS_SECRET_ACCESS_KEY: 'moraine-local',
      AWS_DEFAULT_REGION: region,
      AWS_CONFIG_FILE: join(folder, 'none'),
      AWS_SHARED_CREDENTIALS_FILE: join(folder, 'none'),
      AWS_PAGER: '',
    },
  });
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
