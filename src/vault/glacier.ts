/** Amazon Glacier vaults: the port over `@aws-sdk/client-glacier`. One vault for each owner and customer. */
import { DeleteArchiveCommand, ListVaultsCommand } from '@aws-sdk/client-glacier';
import { MIB } from '../archive/tree-hash.ts';
import { MoraineError } from '../errors.ts';
import type { CustomerId, OwnerId } from '../ids.ts';
import type { AbandonedUpload, PurgeClaim } from '../ledger/warrants.ts';
import { requestIdOf } from './aws-client.ts';
import { addressOf, type GlacierContext, type GlacierSettings, glacierContext } from './glacier-context.ts';
import { foundVaults } from './glacier-found.ts';
import * as jobs from './glacier-jobs.ts';
import * as uploads from './glacier-uploads.ts';
import { countVaults, ensureVault, inspectVault } from './glacier-vaults.ts';
import { defaultVaultPrefix, ownershipTags, vaultName } from './naming.ts';
import { assertPartBytes, assertReadRange, assertRetrievalRange } from './part-size.ts';
import type { AcceptedDelete, ByteRange, Tier, UploadHandle, UploadIntent, VaultLocation, VaultPort } from './port.ts';
import { estimateRetrieval } from './prices.ts';
import { deleting, translating } from './translate-error.ts';

export class GlacierVault implements VaultPort {
  readonly backend = 'glacier';
  readonly smallestPartBytes = MIB;
  /** A vault lock is a policy of the whole vault: nothing is held or locked one by one. */
  readonly guards = { holds: false, lock: null } as const;
  readonly #context: GlacierContext;

  constructor(settings: GlacierSettings) {
    this.#context = glacierContext(settings);
  }

  locate(installation: string, owner: OwnerId, customer: CustomerId): VaultLocation {
    const { key, account, region, prefix } = this.#context.settings;
    const name = vaultName(prefix ?? defaultVaultPrefix(installation), owner, customer);
    return { key, backend: this.backend, account, region, name, prefix: '', installation, owner, customer };
  }

  async serverTime(): Promise<Date> {
    const { client, dates, settings } = this.#context;
    return translating({ what: 'ask for the time', location: null, effect: null }, async () =>
      dates.of(await client.send(new ListVaultsCommand({ accountId: settings.account, limit: 1 }))),
    );
  }

  ensure(location: VaultLocation): Promise<void> {
    const { environment } = this.#context.settings;
    return ensureVault(this.#context, location, { owner: ownershipTags(location), environment });
  }

  foundVaults() {
    return foundVaults(this.#context, this.backend);
  }

  inspect(location: VaultLocation) {
    const { environment } = this.#context.settings;
    return inspectVault(this.#context, location, { owner: ownershipTags(location), environment });
  }

  vaultCount() {
    return countVaults(this.#context);
  }

  storeWhole(location: VaultLocation, intent: UploadIntent, bytes: Uint8Array, treeHash: string) {
    return uploads.storeWhole(this.#context, location, intent, bytes, treeHash);
  }

  async beginUpload(location: VaultLocation, intent: UploadIntent, partBytes: number) {
    assertPartBytes(partBytes, this.smallestPartBytes);
    return uploads.beginUpload(this.#context, location, intent, partBytes);
  }

  sendPart(location: VaultLocation, upload: UploadHandle, index: number, bytes: Uint8Array) {
    return uploads.sendPart(this.#context, location, upload, index, bytes);
  }

  completeUpload(
    location: VaultLocation,
    upload: UploadHandle,
    total: { readonly bytes: number; readonly treeHash: string },
  ) {
    return uploads.completeUpload(this.#context, location, upload, total);
  }

  abortUpload(location: VaultLocation, uploadId: string) {
    return uploads.abortUpload(this.#context, location, uploadId);
  }

  listUploads(location: VaultLocation) {
    return uploads.listUploads(this.#context, location);
  }

  requestInventory(location: VaultLocation) {
    return jobs.requestInventory(this.#context, location);
  }

  inventoryState(location: VaultLocation, jobId: string) {
    return jobs.jobState(this.#context, location, jobId);
  }

  readInventory(location: VaultLocation, jobId: string) {
    return jobs.readInventory(this.#context, location, jobId);
  }

  estimateRetrieval(bytes: number, tier: Tier) {
    return estimateRetrieval('glacier', bytes, tier);
  }

  async requestRetrieval(
    location: VaultLocation,
    vaultArchiveId: string,
    tier: Tier,
    range: ByteRange | null,
    mark?: string,
  ) {
    assertRetrievalRange(range);
    return jobs.requestRetrieval(this.#context, location, vaultArchiveId, tier, { range, mark });
  }

  findRetrieval(location: VaultLocation, vaultArchiveId: string, _range: ByteRange | null, mark: string) {
    return jobs.findRetrieval(this.#context, location, vaultArchiveId, mark);
  }

  retrievalState(location: VaultLocation, jobId: string) {
    return jobs.jobState(this.#context, location, jobId);
  }

  async readRetrieval(location: VaultLocation, jobId: string, range: ByteRange) {
    assertReadRange(range);
    return jobs.readRetrieval(this.#context, location, jobId, range);
  }

  async lockUntil(): Promise<void> {}

  async mirrorHold(): Promise<void> {}

  async deleteArchive(location: VaultLocation, claim: PurgeClaim): Promise<AcceptedDelete> {
    claim.assertGood();
    return this.#delete(location, claim.vaultArchiveId, `archive ${claim.archive}`);
  }

  async deleteAbandoned(location: VaultLocation, vaultArchiveId: string, proof: AbandonedUpload): Promise<void> {
    if (!proof.isProof) throw new MoraineError('INTERNAL', 'An upload was to be removed without proof.');
    await this.#delete(location, vaultArchiveId, `the upload of attempt ${proof.attempt}`);
  }

  /** The service answers 204 for an archive that is gone already. One try only: the claim was looked at right before. */
  async #delete(location: VaultLocation, archiveId: string, what: string): Promise<AcceptedDelete> {
    const { once, dates } = this.#context;
    const reply = await deleting(
      what,
      { location, effect: `The delete of ${what} may have been accepted.` },
      { code: 'AccessDeniedException', by: 'A vault lock or the access rights' },
      () => once.send(new DeleteArchiveCommand({ ...addressOf(location), archiveId })),
    );
    return { at: dates.latestOf(reply), ...requestIdOf(reply) };
  }
}
