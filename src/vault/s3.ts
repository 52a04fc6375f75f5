/** S3 with the Glacier storage classes: the port over `@aws-sdk/client-s3`. A bucket for each owner, a prefix for each customer. */
import { ListBucketsCommand } from '@aws-sdk/client-s3';
import { MIB } from '../archive/tree-hash.ts';
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { CustomerId, OwnerId } from '../ids.ts';
import type { AbandonedUpload, PurgeClaim } from '../ledger/warrants.ts';
import { dateHeader } from './aws-client.ts';
import { readObjectKey } from './intent.ts';
import { bucketName, customerPrefix, ownershipTags } from './naming.ts';
import { assertPartBytes, assertReadRange, assertRetrievalRange } from './part-size.ts';
import type {
  AcceptedDelete,
  ByteRange,
  StorageClass,
  Tier,
  UploadHandle,
  UploadIntent,
  VaultGuards,
  VaultLocation,
  VaultPort,
} from './port.ts';
import { estimateRetrieval, priceListOf } from './prices.ts';
import { ensureBucket, inspectBucket } from './s3-buckets.ts';
import { classAt, objectOf, type S3Context, type S3Settings, s3Context } from './s3-context.ts';
import { deleteVersions } from './s3-deletes.ts';
import { foundVaults } from './s3-found.ts';
import * as objectGuards from './s3-guards.ts';
import * as inventories from './s3-inventory.ts';
import { SentParts } from './s3-part-list.ts';
import * as retrievals from './s3-retrievals.ts';
import * as uploads from './s3-uploads.ts';
import { isServiceError, translateError } from './translate-error.ts';

export class S3Vault implements VaultPort {
  readonly backend = 's3';
  readonly smallestPartBytes = 8 * MIB;
  readonly guards: VaultGuards;
  readonly #context: S3Context;
  readonly #sent = new SentParts();
  /** Buckets that this process has looked at from all sides. */
  readonly #inspected = new Set<string>();

  constructor(settings: S3Settings, clock: Clock) {
    this.#context = s3Context(settings, clock);
    this.guards = objectGuards.guardsOf(this.#context);
  }

  locate(installation: string, owner: OwnerId, customer: CustomerId, storageClass?: StorageClass): VaultLocation {
    const { key, region, bucketTemplate } = this.#context.settings;
    const name = bucketName(bucketTemplate, installation, owner);
    const place = { key, backend: this.backend, account: '-', region, name, prefix: customerPrefix(customer) } as const;
    return { ...place, installation, owner, customer, storageClass: storageClass ?? classAt(this.#context, undefined) };
  }

  async serverTime(): Promise<Date> {
    const { client, dates } = this.#context;
    try {
      return dates.of(await client.send(new ListBucketsCommand({ MaxBuckets: 1 })));
    } catch (error) {
      // Who may not list buckets is told the time all the same.
      const date = error instanceof Error && '$response' in error ? dateHeader(error.$response) : null;
      if (date !== null && isServiceError(error, 'AccessDenied')) return date;
      throw translateError(error, { what: 'ask for the time', location: null, effect: null });
    }
  }

  async ensure(location: VaultLocation): Promise<void> {
    await ensureBucket(this.#context, location, this.#wantedTags(location), this.#inspected);
  }

  inspect(location: VaultLocation) {
    return inspectBucket(this.#context, location, this.#wantedTags(location));
  }

  /** The bucket is its owner's; customers have prefixes in it, so no tag names one. */
  #wantedTags(location: VaultLocation) {
    return { owner: ownershipTags({ ...location, customer: null }), environment: this.#context.settings.environment };
  }

  foundVaults() {
    return foundVaults(this.#context, this.backend);
  }

  vaultCount(): Promise<null> {
    return Promise.resolve(null);
  }

  storeWhole(location: VaultLocation, intent: UploadIntent, bytes: Uint8Array, treeHash: string) {
    return uploads.storeWhole(this.#context, location, intent, bytes, treeHash);
  }

  async beginUpload(location: VaultLocation, intent: UploadIntent, partBytes: number) {
    assertPartBytes(partBytes, this.smallestPartBytes);
    return uploads.beginUpload(this.#context, location, intent, partBytes);
  }

  sendPart(location: VaultLocation, upload: UploadHandle, index: number, bytes: Uint8Array) {
    return uploads.sendPart(this.#context, this.#sent, location, upload, index, bytes);
  }

  completeUpload(
    location: VaultLocation,
    upload: UploadHandle,
    total: { readonly bytes: number; readonly treeHash: string },
  ) {
    return uploads.completeUpload(this.#context, this.#sent, location, upload, total);
  }

  async abortUpload(location: VaultLocation, uploadId: string): Promise<void> {
    this.#sent.forget(uploadId);
    await uploads.abortUpload(this.#context, location, uploadId);
  }

  listUploads(location: VaultLocation) {
    return uploads.listUploads(this.#context, location);
  }

  requestInventory(_location: VaultLocation): Promise<string> {
    return inventories.requestInventory();
  }

  inventoryState(location: VaultLocation, _jobId: string) {
    return inventories.inventoryState(this.#context, location);
  }

  readInventory(location: VaultLocation, _jobId: string) {
    return inventories.readInventory(this.#context, location);
  }

  lockUntil(location: VaultLocation, vaultArchiveId: string, until: Date, options = { mayShorten: false }) {
    return objectGuards.lockUntil(this.#context, location, vaultArchiveId, until, options.mayShorten);
  }

  mirrorHold(location: VaultLocation, vaultArchiveId: string, isHeld: boolean) {
    return objectGuards.mirrorHold(this.#context, location, vaultArchiveId, isHeld);
  }

  estimateRetrieval(bytes: number, tier: Tier, location?: VaultLocation) {
    return estimateRetrieval(priceListOf(classAt(this.#context, location)), bytes, tier);
  }

  async requestRetrieval(location: VaultLocation, vaultArchiveId: string, tier: Tier, range: ByteRange | null) {
    assertRetrievalRange(range);
    return retrievals.requestRetrieval(this.#context, location, vaultArchiveId, tier, range);
  }

  findRetrieval(location: VaultLocation, vaultArchiveId: string, range: ByteRange | null) {
    return retrievals.findRetrieval(this.#context, location, vaultArchiveId, range);
  }

  retrievalState(location: VaultLocation, jobId: string) {
    return retrievals.retrievalState(this.#context, location, jobId);
  }

  async readRetrieval(location: VaultLocation, jobId: string, range: ByteRange) {
    assertReadRange(range);
    return retrievals.readRetrieval(this.#context, location, jobId, range);
  }

  async deleteArchive(location: VaultLocation, claim: PurgeClaim): Promise<AcceptedDelete> {
    const named = readObjectKey(location.prefix, objectOf(claim.vaultArchiveId).key);
    if (named?.archive !== claim.archive) throw otherObject(claim.vaultArchiveId, `archive ${claim.archive}`);
    return deleteVersions(this.#context, location, claim.vaultArchiveId, `archive ${claim.archive}`, () =>
      claim.assertGood(),
    );
  }

  async deleteAbandoned(location: VaultLocation, vaultArchiveId: string, proof: AbandonedUpload): Promise<void> {
    const named = readObjectKey(location.prefix, objectOf(vaultArchiveId).key);
    if (!proof.isProof || named?.attempt !== proof.attempt)
      throw otherObject(vaultArchiveId, `attempt ${proof.attempt}`);
    const what = `the upload of attempt ${proof.attempt}`;
    // What is abandoned stays so: the proof does not age.
    await deleteVersions(this.#context, location, vaultArchiveId, what, () => undefined);
  }
}

/** The object's key says what it is; a proof for something else is a mistake of ours. */
function otherObject(vaultArchiveId: string, what: string): MoraineError {
  return new MoraineError('INTERNAL', `The object ${vaultArchiveId} is not ${what}: it was not deleted.`);
}
