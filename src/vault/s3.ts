/** S3 with the Glacier storage classes: the port over `@aws-sdk/client-s3`. A bucket for each owner, a prefix for each customer. */
import { DeleteObjectCommand, ListBucketsCommand } from '@aws-sdk/client-s3';
import { MIB } from '../archive/tree-hash.ts';
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { CustomerId, OwnerId } from '../ids.ts';
import type { AbandonedUpload, PurgeClaim } from '../ledger/warrants.ts';
import { dateHeader, requestIdOf } from './aws-client.ts';
import { readObjectKey } from './intent.ts';
import { bucketName, customerPrefix, ownershipTags } from './naming.ts';
import { assertPartBytes, assertReadRange, assertRetrievalRange } from './part-size.ts';
import type { AcceptedDelete, ByteRange, Tier, UploadHandle, UploadIntent, VaultLocation, VaultPort } from './port.ts';
import { estimateRetrieval } from './prices.ts';
import { ensureBucket } from './s3-buckets.ts';
import { objectOf, type S3Context, type S3Settings, s3Context } from './s3-context.ts';
import * as inventories from './s3-inventory.ts';
import { SentParts } from './s3-part-list.ts';
import * as retrievals from './s3-retrievals.ts';
import * as uploads from './s3-uploads.ts';
import { deleting, isServiceError, translateError } from './translate-error.ts';

export class S3Vault implements VaultPort {
  readonly backend = 's3';
  readonly smallestPartBytes = 8 * MIB;
  readonly #context: S3Context;
  readonly #sent = new SentParts();

  constructor(settings: S3Settings, clock: Clock) {
    this.#context = s3Context(settings, clock);
  }

  locate(installation: string, owner: OwnerId, customer: CustomerId): VaultLocation {
    const { key, region, bucketTemplate } = this.#context.settings;
    const name = bucketName(bucketTemplate, installation, owner);
    const prefix = customerPrefix(customer);
    return { key, backend: this.backend, account: '-', region, name, prefix, installation, owner, customer };
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

  /** The bucket is its owner's; customers have prefixes in it, so no tag names one. */
  ensure(location: VaultLocation): Promise<void> {
    const { environment } = this.#context.settings;
    return ensureBucket(this.#context, location, {
      owner: ownershipTags({ ...location, customer: null }),
      environment,
    });
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

  estimateRetrieval(bytes: number, tier: Tier) {
    return estimateRetrieval(retrievals.priceList(this.#context), bytes, tier);
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
    claim.assertGood();
    return this.#delete(location, claim.vaultArchiveId, `archive ${claim.archive}`);
  }

  async deleteAbandoned(location: VaultLocation, vaultArchiveId: string, proof: AbandonedUpload): Promise<void> {
    const named = readObjectKey(location.prefix, objectOf(vaultArchiveId).key);
    if (!proof.isProof || named?.attempt !== proof.attempt)
      throw otherObject(vaultArchiveId, `attempt ${proof.attempt}`);
    await this.#delete(location, vaultArchiveId, `the upload of attempt ${proof.attempt}`);
  }

  /** By version, so that nothing stays behind a delete marker. A version that is gone already is answered with 204 too. */
  async #delete(location: VaultLocation, vaultArchiveId: string, what: string): Promise<AcceptedDelete> {
    const { once, dates } = this.#context;
    const { key, versionId } = objectOf(vaultArchiveId);
    const reply = await deleting(
      what,
      { location, effect: `The delete of ${what} may have happened.` },
      { code: 'AccessDenied', by: 'Object Lock or the access rights' },
      () => once.send(new DeleteObjectCommand({ Bucket: location.name, Key: key, VersionId: versionId })),
    );
    return { at: dates.latestOf(reply), ...requestIdOf(reply) };
  }
}

/** The object's key says what it is; a proof for something else is a mistake of ours. */
function otherObject(vaultArchiveId: string, what: string): MoraineError {
  return new MoraineError('INTERNAL', `The object ${vaultArchiveId} is not ${what}: it was not deleted.`);
}
