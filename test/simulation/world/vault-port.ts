/** The vault of one process: uploads may arrive damaged or twice, answers of retrievals be somebody else's. */
import { MoraineError } from '../../../src/errors.ts';
import { PurgeClaim } from '../../../src/ledger/warrants.ts';
import type { VaultLocation, VaultPort } from '../../../src/vault/port.ts';
import type { Fault } from '../engine/calls.ts';
import type { SimulatedProcess } from '../engine/process.ts';
import { all, flipped } from './answers.ts';
import { fileOf, type Servers } from './servers.ts';

/** The lease was looked at when the command was sent; a server knows nothing of it. */
const SENT = { epoch: 0, assertHeld: () => undefined };

export function vaultPort(process: SimulatedProcess, servers: Servers): VaultPort {
  const real = servers.vault;
  const call = async <R>(name: string, whole: () => Promise<R>, broken?: (fault: Fault) => Promise<R>): Promise<R> =>
    (await process.call('vault', name, broken === undefined ? { whole } : { whole, broken })) as R;
  const fileIn = (location: VaultLocation, vaultArchiveId: string) => {
    const found = real.archivesIn(location).find((archive) => archive.vaultArchiveId === vaultArchiveId);
    return found === undefined ? null : fileOf(location.name, found);
  };
  /** Stores, and tells the judge of a file that was not there. */
  const storing = async <R extends { readonly vaultArchiveId: string }>(
    location: VaultLocation,
    act: () => Promise<R>,
  ) => {
    const before = new Set(real.archivesIn(location).map(({ vaultArchiveId }) => vaultArchiveId));
    const result = await act();
    const file = before.has(result.vaultArchiveId) ? null : fileIn(location, result.vaultArchiveId);
    if (file !== null) await servers.tell({ what: 'vault stored', by: process.name, file });
    return result;
  };
  const removing = async <R>(
    location: VaultLocation,
    vaultArchiveId: string,
    method: 'deleteArchive' | 'deleteAbandoned',
    act: () => Promise<R>,
  ) => {
    const file = fileIn(location, vaultArchiveId);
    const result = await act();
    if (file !== null && fileIn(location, vaultArchiveId) === null)
      await servers.tell({ what: 'vault removed', by: process.name, file, method });
    return result;
  };
  return {
    backend: real.backend,
    smallestPartBytes: real.smallestPartBytes,
    guards: real.guards,
    locate: (installation, owner, customer) => real.locate(installation, owner, customer),
    estimateRetrieval: (bytes, tier) => real.estimateRetrieval(bytes, tier),
    serverTime: () => call('serverTime', () => real.serverTime()),
    ensure: (location) => call('ensure', () => real.ensure(location)),
    foundVaults: () => real.foundVaults(),
    inspect: (location) => call('inspect', () => real.inspect(location)),
    lockUntil: (location, vaultArchiveId, until, options) =>
      call('lockUntil', () => real.lockUntil(location, vaultArchiveId, until, options)),
    mirrorHold: (location, vaultArchiveId, isHeld) =>
      call('mirrorHold', () => real.mirrorHold(location, vaultArchiveId, isHeld)),
    vaultCount: () => call('vaultCount', () => real.vaultCount()),
    storeWhole: (location, intent, bytes, treeHash) => {
      const sent = Uint8Array.from(bytes);
      const store = (file: Uint8Array) => storing(location, () => real.storeWhole(location, intent, file, treeHash));
      return call(
        'storeWhole',
        () => store(sent),
        async (fault) => {
          if (fault.kind === 'flipped') return await store(flipped(sent, sent.length >> 1));
          if (fault.kind === 'truncated') return await store(sent.subarray(0, sent.length >> 1));
          await store(sent);
          return await store(sent);
        },
      );
    },
    beginUpload: (location, intent, partBytes) =>
      call(
        'beginUpload',
        () => real.beginUpload(location, intent, partBytes),
        async () => {
          await real.beginUpload(location, intent, partBytes);
          return await real.beginUpload(location, intent, partBytes);
        },
      ),
    sendPart: (location, upload, index, bytes) => {
      const sent = Uint8Array.from(bytes);
      return call(
        'sendPart',
        () => real.sendPart(location, upload, index, sent),
        (fault) =>
          fault.kind === 'duplicate'
            ? real.sendPart(location, upload, index, sent)
            : Promise.reject(new MoraineError('VAULT_CHECKSUM', `Part ${index} arrived with other bytes.`)),
      );
    },
    completeUpload: (location, upload, total) =>
      call(
        'completeUpload',
        () => storing(location, () => real.completeUpload(location, upload, total)),
        async () => {
          await storing(location, () => real.completeUpload(location, upload, total));
          return await storing(location, () => real.completeUpload(location, upload, total));
        },
      ),
    abortUpload: (location, uploadId) => call('abortUpload', () => real.abortUpload(location, uploadId)),
    async *listUploads(location) {
      yield* await call('listUploads', () => all(real.listUploads(location)));
    },
    requestInventory: (location) => call('requestInventory', () => real.requestInventory(location)),
    inventoryState: (location, jobId) => call('inventoryState', () => real.inventoryState(location, jobId)),
    readInventory: (location, jobId) =>
      call('readInventory', async () => {
        const inventory = await real.readInventory(location, jobId);
        const entries = await all(inventory.entries());
        await servers.tell({
          what: 'inventory read',
          by: process.name,
          vault: location.name,
          inventoryAt: inventory.inventoryDate.getTime(),
          vaultArchiveIds: entries.map(({ vaultArchiveId }) => vaultArchiveId),
        });
        return inventory;
      }),
    requestRetrieval: (location, vaultArchiveId, tier, range, mark) =>
      call('requestRetrieval', () => real.requestRetrieval(location, vaultArchiveId, tier, range, mark)),
    findRetrieval: (location, vaultArchiveId, range, mark) =>
      call('findRetrieval', () => real.findRetrieval(location, vaultArchiveId, range, mark)),
    retrievalState: (location, jobId) => call('retrievalState', () => real.retrievalState(location, jobId)),
    readRetrieval: (location, jobId, range) =>
      call(
        'readRetrieval',
        () => real.readRetrieval(location, jobId, range),
        async (fault) => {
          const output = await real.readRetrieval(location, jobId, range);
          if (fault.kind === 'truncated') return output.subarray(0, output.length >> 1);
          if (fault.kind === 'flipped') return flipped(output, fault.ms % output.length);
          const other = [...real.files()].find(({ archive }) => archive.bytes.length >= range.end);
          return other === undefined ? output : other.archive.bytes.slice(range.start, range.end);
        },
      ),
    deleteArchive: (location, claim) => {
      claim.assertGood();
      const sent = PurgeClaim.issue(claim.archive, claim.vaultArchiveId, SENT, Number.POSITIVE_INFINITY, process.clock);
      const remove = () =>
        removing(location, claim.vaultArchiveId, 'deleteArchive', () => real.deleteArchive(location, sent));
      return call('deleteArchive', remove, async (fault) => {
        if (fault.kind === 'duplicate') {
          await remove();
          return await remove();
        }
        await servers.tell({ what: 'damage', kind: 'file stays after delete', id: claim.vaultArchiveId });
        return { at: real.now() };
      });
    },
    deleteAbandoned: (location, vaultArchiveId, proof) =>
      call('deleteAbandoned', () =>
        removing(location, vaultArchiveId, 'deleteAbandoned', () =>
          real.deleteAbandoned(location, vaultArchiveId, proof),
        ),
      ),
  };
}
