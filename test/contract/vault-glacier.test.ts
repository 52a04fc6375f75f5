import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AddTagsToVaultCommand,
  CreateVaultCommand,
  GlacierClient,
  ListTagsForVaultCommand,
  UploadArchiveCommand,
} from '@aws-sdk/client-glacier';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEmulator } from '../../infra/glacier-emulator/server.ts';
import { MIB } from '../../src/archive/tree-hash.ts';
import { systemClock } from '../../src/clock.ts';
import type { Environment } from '../../src/environment.ts';
import { isMoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import { createVault } from '../../src/vault/create-vault.ts';
import { GLACIER_ACTIONS } from '../../src/vault/glacier-actions.ts';
import type { VaultLocation, VaultPort } from '../../src/vault/port.ts';
import { vaultConfigSchema } from '../../src/vault/vault-config.ts';
import { RecordedCalls } from './vault-calls.ts';
import { vaultContract } from './vault-contract.ts';
import { vaultGuardsContract } from './vault-guards-contract.ts';
import {
  bytesOf,
  type FaultyCall,
  finish,
  freshIntent,
  inventoryAfter,
  listed,
  retrieveWhole,
  store,
} from './vault-world.ts';

/** An emulator of this file's own: other files' jumps in time would end our retrievals. */
const credentials = { accessKeyId: 'moraine', secretAccessKey: 'moraine-local' };
let server: FastifyInstance;
let state: string;
let endpoint: string;

beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), 'moraine-vault-contract-'));
  server = await createEmulator({ state, credentials, lingerMs: 0, mostVaults: 1000 });
  endpoint = await server.listen({ host: '127.0.0.1', port: 0 });
});

afterAll(async () => {
  await server.close();
  await rm(state, { recursive: true });
});

const OPERATIONS: Readonly<Record<FaultyCall, string>> = {
  storeWhole: 'UploadArchive',
  beginUpload: 'InitiateMultipartUpload',
  sendPart: 'UploadMultipartPart',
  completeUpload: 'CompleteMultipartUpload',
  deleteArchive: 'DeleteArchive',
  requestRetrieval: 'InitiateJob',
  retrievalState: 'DescribeJob',
};

function vaultAt(address: string, environment: Environment = 'sandbox'): VaultPort {
  const config = vaultConfigSchema.parse({ backend: 'glacier', region: 'eu-west-1', endpoint: address });
  const deps = { clock: systemClock, environment, onCall: recorded.onCall };
  return recorded.of(createVault(id.vaultKey('cold'), config, deps));
}

const recorded = new RecordedCalls();

async function emulator(path: string, body: unknown): Promise<void> {
  const reply = await fetch(`${endpoint}/_emulator/${path}`, { method: 'POST', body: JSON.stringify(body) });
  if (!reply.ok) throw new Error(`${path}: ${await reply.text()}`);
}

const fault = (location: VaultLocation, operation: string, kind: string, times: number) =>
  emulator('faults', { match: { operation, vault: location.name }, fault: kind, times });

const advance = (hours: number) => emulator('clock', { advance: `PT${Math.ceil(hours * 60)}M` });

function sdk(): GlacierClient {
  return new GlacierClient({ region: 'eu-west-1', endpoint, credentials });
}

async function world() {
  return {
    port: vaultAt(endpoint),
    production: vaultAt(endpoint, 'production'),
    plantVault: async ({ name: vaultName }: VaultLocation, tags: Readonly<Record<string, string>>) => {
      await sdk().send(new CreateVaultCommand({ accountId: '-', vaultName }));
      await sdk().send(new AddTagsToVaultCommand({ accountId: '-', vaultName, Tags: { ...tags } }));
    },
    tagsOf: async ({ name: vaultName }: VaultLocation) => {
      const { Tags = {} } = await sdk().send(new ListTagsForVaultCommand({ accountId: '-', vaultName }));
      return Tags;
    },
    nobody: vaultAt('http://127.0.0.1:1'),
    hasTime: true,
    outputOutlivesDelete: true,
    oneCopyServesAll: false,
    tries: {
      storeWhole: 1,
      beginUpload: 1,
      sendPart: 3,
      completeUpload: 3,
      deleteArchive: 1,
      requestRetrieval: 1,
      retrievalState: 3,
    },
    advanceTime: advance,
    plant: async (location: VaultLocation, bytes: Uint8Array, archiveDescription: string) => {
      const body = Buffer.from(bytes);
      await sdk().send(
        new UploadArchiveCommand({ accountId: '-', vaultName: location.name, archiveDescription, body }),
      );
    },
    fail: (location: VaultLocation, call: FaultyCall, kind: 'throttle' | 'lost-reply', times: number) =>
      fault(location, OPERATIONS[call], kind, times),
  };
}

vaultContract('glacier', world);

let places = 0;
vaultGuardsContract('glacier', { holds: false, lock: null }, async () => {
  const { port } = await world();
  return {
    port,
    place: async () => {
      places += 1;
      const location = port.locate('guards', id.owner('acme'), id.customer(`c${places}`));
      await port.ensure(location);
      return location;
    },
    now: () => systemClock.now(),
    entries: async (location, after) => await listed(await inventoryAfter(await world(), location, after)),
  };
});

describe('glacier', () => {
  let port: VaultPort;
  const place = (name: string) => port.locate('9e1c0000', id.owner(name), id.customer('a customer'));

  beforeAll(() => {
    port = vaultAt(endpoint);
  });

  test('output that was changed on the way: the checksum of the range says so, and asking again gives the bytes', async () => {
    const location = place('corrupt');
    await port.ensure(location);
    const bytes = bytesOf(2 * MIB, 1);
    const { stored } = await store(port, location, bytes);
    const jobId = await port.requestRetrieval(location, stored.vaultArchiveId, 'expedited', null);
    await advance(1);
    await fault(location, 'GetJobOutput', 'corrupt-output', 1);
    const whole = { start: 0, end: bytes.byteLength };
    await expect(port.readRetrieval(location, jobId, whole)).rejects.toSatisfy((e) =>
      isMoraineError(e, 'VAULT_CHECKSUM'),
    );
    expect(Buffer.compare(await port.readRetrieval(location, jobId, whole), bytes)).toBe(0);
  });

  test('output that is cut in the middle: unavailable, nothing half read', async () => {
    const location = place('cut');
    await port.ensure(location);
    const bytes = bytesOf(2 * MIB, 2);
    const { stored } = await store(port, location, bytes);
    const jobId = await port.requestRetrieval(location, stored.vaultArchiveId, 'standard', null);
    await finish(await world(), location, jobId);
    await fault(location, 'GetJobOutput', 'cut', 1);
    const reading = port.readRetrieval(location, jobId, { start: 0, end: bytes.byteLength });
    await expect(reading).rejects.toSatisfy((e) => isMoraineError(e, 'VAULT_UNAVAILABLE'));
  });

  test('a server error or a cut is ridden out by the SDK while it is short', async () => {
    const location = place('rough');
    await port.ensure(location);
    const upload = await port.beginUpload(location, freshIntent(location), MIB);
    await fault(location, 'UploadMultipartPart', 'error500', 1);
    await fault(location, 'UploadMultipartPart', 'cut', 1);
    await port.sendPart(location, upload, 0, bytesOf(100, 3));
    await port.abortUpload(location, upload.uploadId);
  });

  test('a vault without tags: taken over while it is empty, refused when it holds something', async () => {
    const [empty, full] = [place('untagged-empty'), place('untagged-full')];
    for (const { name } of [empty, full]) await sdk().send(new CreateVaultCommand({ accountId: '-', vaultName: name }));
    await port.ensure(empty);
    const { stored } = await store(port, empty, bytesOf(10, 4));
    expect(Buffer.compare(await retrieveWhole(await world(), empty, stored), bytesOf(10, 4))).toBe(0);
    await (await world()).plant(full, bytesOf(10, 5), 'theirs');
    await advance(30);
    const isNotOurs = (error: unknown) => isMoraineError(error, 'CHANGED_RESOURCE_NOT_OURS');
    await expect(port.ensure(full)).rejects.toSatisfy(isNotOurs);
  });

  test('an inventory of many pages of JSON comes whole', async () => {
    const location = place('many');
    await port.ensure(location);
    const ids = new Set<string>();
    for (let n = 1; n <= 120; n += 1) ids.add((await store(port, location, bytesOf(n, n))).stored.vaultArchiveId);
    const inventory = await inventoryAfter(await world(), location, await port.serverTime());
    const entries = await listed(inventory);
    expect(new Set(entries.map((entry) => entry.vaultArchiveId))).toEqual(ids);
    expect(entries.every((entry) => entry.intent?.owner === location.owner)).toBe(true);
  });

  test('wrong credentials: refused, with the code of the service', async () => {
    const config = vaultConfigSchema.parse({
      backend: 'glacier',
      region: 'eu-west-1',
      endpoint,
      credentials: { accessKeyId: 'somebody', secretAccessKey: 'else' },
    });
    const stranger = createVault(id.vaultKey('cold'), config, { clock: systemClock, environment: 'sandbox' });
    await expect(stranger.serverTime()).rejects.toSatisfy((e) => isMoraineError(e, 'VAULT_REFUSED'));
  });
});

test('what each method of the port sends is what the list of its calls and rights says', () => {
  recorded.expectAsListed(GLACIER_ACTIONS);
});
