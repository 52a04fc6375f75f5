/**
 * A vault: where one owner's and one customer's archives live. One port, two backends (`glacier`, `s3`) and an
 * in-memory fake, all under one contract suite (`test/contract/vault-contract.ts`).
 *
 * Every call may throw MoraineError with VAULT_UNAVAILABLE (retry), VAULT_THROTTLED (later), VAULT_REFUSED,
 * VAULT_NOT_FOUND, VAULT_CHECKSUM or VAULT_OUTCOME_UNKNOWN (the effect may have happened). Adapters translate by error
 * code or type, never by message text. Adapters retry nothing except what the AWS SDK retries by itself.
 */
import type { Environment } from '../environment.ts';
import type { ArchiveId, AttemptId, CustomerId, OwnerId, PolicyVersion, VaultKey } from '../ids.ts';
import type { AbandonedUpload, PurgeClaim } from '../ledger/warrants.ts';

/** Where an archive lives. Endpoints and credentials come from the configuration of `key`. */
export interface VaultLocation {
  readonly key: VaultKey;
  readonly backend: 'glacier' | 's3' | 'memory';
  readonly account: string;
  readonly region: string;
  /** Glacier: the vault's name. S3: the bucket. */
  readonly name: string;
  /** S3: the key prefix of the customer, ends with `/`. Glacier: empty. */
  readonly prefix: string;
  /** Whose vault it is, as its tags say: `ensure` compares them. */
  readonly installation: string;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  /** S3 only: the class that archives planned for this place are stored in. Absent: that of the vault's entry. */
  readonly storageClass?: StorageClass;
}

export const STORAGE_CLASSES = ['GLACIER_IR', 'GLACIER', 'DEEP_ARCHIVE'] as const;
export type StorageClass = (typeof STORAGE_CLASSES)[number];

/** What the service itself does to keep an archive, beside the ledger. It never stands in for the ledger's own rules. */
export interface VaultGuards {
  /** A legal hold can be put on an archive: the service refuses to delete it. */
  readonly holds: boolean;
  /** An archive can be locked until a date. `compliance`: nobody can make that date earlier. null: it cannot be locked. */
  readonly lock: 'governance' | 'compliance' | null;
}

/** Something about a vault or bucket that is not as it must be (`error`: nothing is stored there), or should be. */
export interface LayoutFinding {
  readonly level: 'error' | 'warning';
  readonly text: string;
  readonly hint: string;
}

export interface Layout {
  /** False: it is made before the first write. */
  readonly exists: boolean;
  readonly findings: readonly LayoutFinding[];
}

/** What is written beside the bytes so that an upload can be found again: the archive's description in Glacier, key and metadata in S3. Instants as ISO 8601. */
export interface UploadIntent {
  readonly installation: string;
  readonly archive: ArchiveId;
  readonly attempt: AttemptId;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly dataset: string;
  readonly dueAt: string;
  readonly policyVersion: PolicyVersion;
}

/** A multipart upload in progress. Plain data: it is kept in the ledger. */
export interface UploadHandle {
  readonly uploadId: string;
  readonly partBytes: number;
  readonly intent: UploadIntent;
}

/** What the service acknowledged. */
export interface StoredArchive {
  /** Glacier: the archive id. S3: `key?versionId=…`. */
  readonly vaultArchiveId: string;
  /** SHA-256 tree hash (hex) of the whole file as acknowledged by the service (for S3: the tree hash that we computed, after the service's own checksum was found equal to ours). */
  readonly treeHash: string;
  readonly bytes: number;
  /** The end of the second in the `Date` header of the reply: the last moment at which it can have been stored. */
  readonly at: Date;
}

export interface InventoryEntry {
  readonly vaultArchiveId: string;
  /** The parsed intent; null when the description is not one of ours. */
  readonly intent: UploadIntent | null;
  readonly description: string;
  readonly bytes: number;
  readonly treeHash: string | null;
  readonly createdAt: Date;
  /** What of the service's own keeps it; absent where that is not known. */
  readonly guard?: { readonly held: boolean; readonly until: Date | null };
  /** S3: no file, but the mark of a delete that named no version. It hides the newest version of this key from who names none. */
  readonly isDeleteMarker?: true;
}

/** A finished inventory. It proves something about an event only when `inventoryDate` is after the Date header of the reply to that event. */
export interface Inventory {
  readonly inventoryDate: Date;
  entries(): AsyncIterable<InventoryEntry>;
}

export type JobState =
  | { readonly state: 'pending'; readonly expectedAt: Date | null }
  | { readonly state: 'ready'; readonly readyAt: Date; readonly expiresAt: Date | null }
  | { readonly state: 'gone' };

export type Tier = 'expedited' | 'standard' | 'bulk';

export interface RetrievalEstimate {
  readonly tier: Tier;
  /** Typical upper bound until the output is there. */
  readonly hours: number;
  /** US dollars at the list price of us-east-1, and where that price is from. */
  readonly dollars: number;
  readonly priceSource: string;
}

/** Part of an archive file; both multiples of 1 MiB except that the end may be the file's end. `end` is exclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface OpenUpload {
  readonly uploadId: string;
  /** What can be seen of the intent while an upload is open (S3 shows the key only); null when it is not one of ours. */
  readonly intent: Pick<UploadIntent, 'archive' | 'attempt'> | null;
  readonly createdAt: Date;
}

export interface AcceptedDelete {
  /** The end of the second in the Date header of the reply. */
  readonly at: Date;
  /** By which the service knows the request, where its reply says so: for certificates. */
  readonly requestId?: string;
}

/** A vault, or a customer's part of a bucket, that a Moraine tagged. */
export interface FoundVault {
  readonly name: string;
  readonly installation: string;
  /** Null: tagged by a Moraine that wrote none. */
  readonly environment: Environment | null;
  /** Null where the names are so long that tags and names hold hashes of them. */
  readonly location: VaultLocation | null;
}

export interface VaultPort {
  readonly backend: VaultLocation['backend'];
  /** The smallest part of a multipart upload: 1 MiB for Glacier, 8 MiB for S3 (whose limit of 5 MiB is no power of two). */
  readonly smallestPartBytes: number;
  readonly guards: VaultGuards;
  /** The name and place for an owner's and customer's archives. Pure; see naming.ts. `storageClass`: another than the vault's own. */
  locate(installation: string, owner: OwnerId, customer: CustomerId, storageClass?: StorageClass): VaultLocation;
  /** The service's clock from the `Date` header of a cheap call: a witness of time. */
  serverTime(): Promise<Date>;
  /** Creates vault (or bucket) and tags where they are not there; does nothing when they are. Throws VAULT_LIMIT at the service's limit, CHANGED_RESOURCE_NOT_OURS when the tags name another owner, customer or installation, VAULT_OF_ANOTHER_ENVIRONMENT when they name another environment than ours. */
  ensure(location: VaultLocation): Promise<void>;
  /** What is wrong with the vault or bucket, all of it. Changes nothing. */
  inspect(location: VaultLocation): Promise<Layout>;
  /** All that a Moraine tagged, of whatever installation: how the vaults of a lost ledger are found. */
  foundVaults(): AsyncIterable<FoundVault>;
  /** How many vaults the account and region hold and may hold; null where there is no such limit. */
  vaultCount(): Promise<{ readonly used: number; readonly limit: number } | null>;
  /** Stores a small file in one call. `treeHash` is ours; a service that acknowledges another throws VAULT_CHECKSUM. */
  storeWhole(
    location: VaultLocation,
    intent: UploadIntent,
    bytes: Uint8Array,
    treeHash: string,
  ): Promise<StoredArchive>;
  /** `partBytes` is 2^n MiB, from {@link smallestPartBytes} up. */
  beginUpload(location: VaultLocation, intent: UploadIntent, partBytes: number): Promise<UploadHandle>;
  /** Sends part `index` (0-based). All parts but the last have `partBytes`. Sending a part again replaces it. */
  sendPart(location: VaultLocation, upload: UploadHandle, index: number, bytes: Uint8Array): Promise<void>;
  /** Completes. On an outcome that is not known it may be called again with the same arguments and finds what happened. VAULT_CHECKSUM: the parts are not this file, nothing was stored. */
  completeUpload(
    location: VaultLocation,
    upload: UploadHandle,
    total: { readonly bytes: number; readonly treeHash: string },
  ): Promise<StoredArchive>;
  /** Idempotent. */
  abortUpload(location: VaultLocation, uploadId: string): Promise<void>;
  /** Multipart uploads that are open in the vault. */
  listUploads(location: VaultLocation): AsyncIterable<OpenUpload>;
  /**
   * Asks for an inventory; returns a job id to poll. A vault that has none yet (about a day long) gives a job that is
   * `pending` without a date and then `gone`: whoever finds an inventory job `gone` asks for a new one.
   */
  requestInventory(location: VaultLocation): Promise<string>;
  inventoryState(location: VaultLocation, jobId: string): Promise<JobState>;
  readInventory(location: VaultLocation, jobId: string): Promise<Inventory>;
  /** `location`: of the archive, whose storage class has its own prices and times. */
  estimateRetrieval(bytes: number, tier: Tier, location?: VaultLocation): RetrievalEstimate;
  /** `mark` is written beside the job where the service can, for {@link findRetrieval}: at most 1,024 printable characters. */
  requestRetrieval(
    location: VaultLocation,
    vaultArchiveId: string,
    tier: Tier,
    range: ByteRange | null,
    mark?: string,
  ): Promise<string>;
  /** A job that was accepted although its reply was lost, by its mark; for S3, which keeps none: by its object. Null: there is none. */
  findRetrieval(
    location: VaultLocation,
    vaultArchiveId: string,
    range: ByteRange | null,
    mark: string,
  ): Promise<string | null>;
  retrievalState(location: VaultLocation, jobId: string): Promise<JobState>;
  /** Bytes [start, end) of the retrieval's output (offsets count from the start of the retrieved range). At most 64 MiB at once. RETRIEVAL_NOT_READY before it is ready, VAULT_NOT_FOUND when the output is gone. Verifies the service's checksum of the range where it sends one. */
  readRetrieval(location: VaultLocation, jobId: string, range: ByteRange): Promise<Uint8Array>;
  /**
   * Locks an archive until an instant, in whole seconds and never longer. Idempotent; does nothing where {@link guards}
   * has no lock, and for an instant that has passed. `mayShorten`: also to an earlier one than before, and for an instant
   * that has passed the lock ends now; in governance mode, by a role that may. Else, and in compliance mode always, an
   * earlier end is VAULT_VETO.
   */
  lockUntil(
    location: VaultLocation,
    vaultArchiveId: string,
    until: Date,
    options?: { readonly mayShorten: boolean },
  ): Promise<void>;
  /** Puts the service's own legal hold on an archive, or takes it off. Idempotent; does nothing where {@link guards} has none. */
  mirrorHold(location: VaultLocation, vaultArchiveId: string, isHeld: boolean): Promise<void>;
  /** Idempotent. Throws VAULT_VETO when a lock or a legal hold of the service refuses. S3: every version of the key goes. */
  deleteArchive(location: VaultLocation, claim: PurgeClaim): Promise<AcceptedDelete>;
  /** Removes a complete upload of an attempt that the ledger abandoned. */
  deleteAbandoned(location: VaultLocation, vaultArchiveId: string, proof: AbandonedUpload): Promise<void>;
}
