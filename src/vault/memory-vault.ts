/**
 * A vault in memory, for tests and the simulation. It obeys the rules of Amazon Glacier:
 *
 * - it keeps raw bytes and computes their tree hash itself;
 * - an upload that rests for a day is dropped, and one that was completed a day ago is not known any more;
 * - the dates of its replies and inventories have whole seconds;
 * - an inventory exists about once a day from the vault's creation, and is a picture of that moment;
 * - jobs take hours by the vault's own clock, their output ends a day after it was ready, also when the archive is gone;
 * - 1,000 vaults, names with an owner's and a customer's tags, archive ids that nobody can guess.
 *
 * It forbids more than Glacier does: an upload whose intent is not for that vault, parts of another size than announced,
 * a second completion with other totals, a delete without a claim that is good at that moment, an id that was never here.
 *
 * The faults that it may inject (`failNext`) are those of `memory-faults.ts`.
 */
import { randomUUID } from 'node:crypto';
import { MIB, treeHash as treeHashOf } from '../archive/tree-hash.ts';
import type { Clock } from '../clock.ts';
import type { Environment } from '../environment.ts';
import { MoraineError } from '../errors.ts';
import { type CustomerId, id, type OwnerId, type VaultKey } from '../ids.ts';
import type { AbandonedUpload, PurgeClaim } from '../ledger/warrants.ts';
import { describeIntent, readIntent } from './intent.ts';
import { type MemoryFault, MemoryFaults, type MemoryOperation } from './memory-faults.ts';
import { assertIntent, deleteArchive, entryOf, lockArchive, type MemoryVaultOptions } from './memory-vault-guards.ts';
import {
  completeMemoryUpload,
  endOfSecond,
  type MemoryArchive,
  MemoryVaultRecord,
  notFound,
  putPart,
  startOfSecond,
} from './memory-vault-record.ts';
import { ensureMemoryVault, foundMemoryVaults, inspectMemoryVault, VAULTS_MAX } from './memory-vault-tags.ts';
import { defaultVaultPrefix, vaultName } from './naming.ts';
import { assertPartBytes, assertReadRange, assertRetrievalRange } from './part-size.ts';
import type {
  AcceptedDelete,
  ByteRange,
  FoundVault,
  Inventory,
  JobState,
  Layout,
  OpenUpload,
  StoredArchive,
  Tier,
  UploadHandle,
  UploadIntent,
  VaultGuards,
  VaultLocation,
  VaultPort,
} from './port.ts';
import { estimateRetrieval } from './prices.ts';

const HOUR_MS = 3_600_000;
const INVENTORY_JOB_MS = 4 * HOUR_MS;
const TIER_MS: Readonly<Record<Tier, number>> = { expedited: HOUR_MS / 12, standard: 5 * HOUR_MS, bulk: 12 * HOUR_MS };

export class MemoryVault implements VaultPort {
  readonly backend = 'memory';
  readonly smallestPartBytes = MIB;
  readonly guards: VaultGuards;
  readonly #key: VaultKey;
  readonly #clock: Clock;
  readonly #environment: Environment;
  #vaults = new Map<string, MemoryVaultRecord>();
  readonly #faults = new MemoryFaults();
  #deletes = 0;
  #advancedMs = 0;

  constructor(options: MemoryVaultOptions) {
    this.guards = options.guards ?? { holds: false, lock: null };
    this.#environment = options.environment ?? 'sandbox';
    this.#key = options.key ?? id.vaultKey('memory');
    this.#clock = options.clock;
  }

  /** The same service, as an installation of another environment uses it. */
  as(environment: Environment): MemoryVault {
    const other = new MemoryVault({ key: this.#key, clock: this.#clock, environment, guards: this.guards });
    other.#vaults = this.#vaults;
    return other;
  }

  /** Moves the vault's own time on; it never runs backward. */
  advance(hours: number): void {
    if (!(hours >= 0)) throw new MoraineError('INTERNAL', 'The time of a vault does not run backward.');
    this.#advancedMs += hours * HOUR_MS;
  }

  now(): Date {
    return new Date(this.#clock.now().getTime() + this.#advancedMs);
  }

  /** The next `times` calls of this operation meet this fault. */
  failNext(operation: MemoryOperation, fault: MemoryFault, times = 1): void {
    this.#faults.failNext(operation, fault, times);
  }

  /** What is stored there now, for assertions. */
  archivesIn(location: VaultLocation): readonly MemoryArchive[] {
    return this.#vaults.get(location.name)?.present() ?? [];
  }

  /** What all vaults store now, by vault name. For judges of simulations. */
  *files(): Generator<{ readonly vault: string; readonly archive: MemoryArchive }> {
    for (const [vault, record] of this.#vaults) for (const archive of record.present()) yield { vault, archive };
  }

  /** A vault or archive that somebody else put there, past all checks of ours. */
  plantVault(location: VaultLocation, tags: Readonly<Record<string, string>>): void {
    this.#vaults.set(location.name, new MemoryVaultRecord(location, tags, this.now()));
  }

  tagsOf(location: VaultLocation): Readonly<Record<string, string>> {
    return this.#vault(location).tags;
  }

  plantArchive(location: VaultLocation, bytes: Uint8Array, description: string): string {
    return this.#vault(location).store(bytes, description, this.now()).vaultArchiveId;
  }

  locate(installation: string, owner: OwnerId, customer: CustomerId): VaultLocation {
    const name = vaultName(defaultVaultPrefix(installation), owner, customer);
    return {
      key: this.#key,
      backend: this.backend,
      account: '-',
      region: 'memory',
      name,
      prefix: '',
      installation,
      owner,
      customer,
    };
  }

  serverTime(): Promise<Date> {
    return this.#faults.answer('serverTime', () => this.now());
  }

  ensure(location: VaultLocation): Promise<void> {
    return this.#faults.answer('ensure', () =>
      ensureMemoryVault(this.#vaults, location, this.#environment, this.now()),
    );
  }

  async *foundVaults(): AsyncGenerator<FoundVault> {
    yield* foundMemoryVaults(this.#key, this.#vaults);
  }

  inspect(location: VaultLocation): Promise<Layout> {
    return this.#faults.answer('inspect', () => inspectMemoryVault(this.#vaults, location, this.#environment));
  }

  vaultCount() {
    return this.#faults.answer('vaultCount', () => ({ used: this.#vaults.size, limit: VAULTS_MAX }));
  }

  storeWhole(
    location: VaultLocation,
    intent: UploadIntent,
    bytes: Uint8Array,
    treeHash: string,
  ): Promise<StoredArchive> {
    return this.#faults.answer('storeWhole', () => {
      const vault = this.#vault(location);
      assertIntent(location, intent);
      if (bytes.byteLength === 0) throw new MoraineError('VAULT_REFUSED', 'An archive of no bytes is not allowed.');
      if (treeHashOf(bytes) !== treeHash) throw new MoraineError('VAULT_CHECKSUM', 'The tree hash is of other bytes.');
      return this.#stored(vault.store(bytes, describeIntent(intent), this.now()));
    });
  }

  beginUpload(location: VaultLocation, intent: UploadIntent, partBytes: number): Promise<UploadHandle> {
    return this.#faults.answer('beginUpload', () => {
      assertPartBytes(partBytes, this.smallestPartBytes);
      assertIntent(location, intent);
      const vault = this.#vault(location);
      const uploadId = randomUUID();
      const upload = {
        intent,
        partBytes,
        parts: new Map<number, Uint8Array>(),
        createdAt: this.now(),
        completed: null,
        lastActivityAt: this.now(),
      };
      vault.addUpload(uploadId, upload);
      return { uploadId, partBytes, intent };
    });
  }

  sendPart(location: VaultLocation, upload: UploadHandle, index: number, bytes: Uint8Array): Promise<void> {
    return this.#faults.answer('sendPart', () => {
      const open = this.#vault(location).upload(upload.uploadId, this.now());
      putPart(open, index, bytes, this.now());
    });
  }

  completeUpload(
    location: VaultLocation,
    upload: UploadHandle,
    total: { readonly bytes: number; readonly treeHash: string },
  ): Promise<StoredArchive> {
    return this.#faults.answer('completeUpload', () => {
      return this.#stored(completeMemoryUpload(this.#vault(location), upload.uploadId, total, this.now()));
    });
  }

  abortUpload(location: VaultLocation, uploadId: string): Promise<void> {
    return this.#faults.answer('abortUpload', () => {
      const uploads = this.#vault(location).uploads(this.now());
      if (uploads.get(uploadId)?.completed === null) uploads.delete(uploadId);
    });
  }

  async *listUploads(location: VaultLocation): AsyncGenerator<OpenUpload> {
    const open = await this.#faults.answer('listUploads', () => [...this.#vault(location).uploads(this.now())]);
    for (const [uploadId, { intent, createdAt, completed }] of open) {
      if (completed === null) yield { uploadId, intent, createdAt };
    }
  }

  requestInventory(location: VaultLocation): Promise<string> {
    return this.#faults.answer('requestInventory', () => {
      const vault = this.#vault(location);
      const inventoryAt = vault.lastInventoryAt(this.now());
      return vault.addJob({ kind: 'inventory', readyAt: this.#later(INVENTORY_JOB_MS), inventoryAt });
    });
  }

  inventoryState(location: VaultLocation, jobId: string): Promise<JobState> {
    return this.#faults.answer('inventoryState', () => this.#vault(location).jobState(jobId, this.now()));
  }

  readInventory(location: VaultLocation, jobId: string): Promise<Inventory> {
    return this.#faults.answer('readInventory', () => {
      const vault = this.#vault(location);
      const job = vault.readyJob(jobId, this.now());
      if (job.kind !== 'inventory' || job.inventoryAt === null) throw notFound('inventory');
      const inventoryDate = startOfSecond(job.inventoryAt);
      const entries = vault.presentAt(job.inventoryAt).map((archive) => entryOf(archive, this.guards));
      return {
        inventoryDate,
        async *entries() {
          yield* entries;
        },
      };
    });
  }

  estimateRetrieval(bytes: number, tier: Tier) {
    return estimateRetrieval('glacier', bytes, tier);
  }

  requestRetrieval(...asked: Parameters<VaultPort['requestRetrieval']>): Promise<string> {
    const [location, vaultArchiveId, tier, range, mark] = asked;
    return this.#faults.answer('requestRetrieval', () => {
      assertRetrievalRange(range);
      return this.#vault(location).addRetrieval(vaultArchiveId, { readyAt: this.#later(TIER_MS[tier]), range, mark });
    });
  }

  findRetrieval(...asked: Parameters<VaultPort['findRetrieval']>): Promise<string | null> {
    const [location, vaultArchiveId, , mark] = asked;
    return this.#faults.answer('findRetrieval', () =>
      this.#vault(location).findRetrieval(vaultArchiveId, mark, this.now()),
    );
  }

  retrievalState(location: VaultLocation, jobId: string): Promise<JobState> {
    return this.#faults.answer('retrievalState', () => this.#vault(location).jobState(jobId, this.now()));
  }

  readRetrieval(location: VaultLocation, jobId: string, range: ByteRange): Promise<Uint8Array> {
    return this.#faults.answer('readRetrieval', () => {
      assertReadRange(range);
      const job = this.#vault(location).readyJob(jobId, this.now());
      if (job.kind !== 'retrieval') throw notFound('retrieval');
      const output = job.archive.bytes.subarray(job.range?.start, job.range?.end);
      if (range.end > output.byteLength) {
        throw new MoraineError('VAULT_CHECKSUM', `The output has ${output.byteLength} bytes, not ${range.end}.`);
      }
      return Uint8Array.from(output.subarray(range.start, range.end));
    });
  }

  lockUntil(...[location, vaultArchiveId, until, options]: Parameters<VaultPort['lockUntil']>): Promise<void> {
    return this.#faults.answer('lockUntil', () => {
      const archive = () => this.#vault(location).archive(vaultArchiveId);
      lockArchive(this.guards, archive, { until, now: this.now(), mayShorten: options?.mayShorten === true });
    });
  }

  mirrorHold(location: VaultLocation, vaultArchiveId: string, isHeld: boolean): Promise<void> {
    return this.#faults.answer('mirrorHold', () => {
      if (this.guards.holds) this.#vault(location).archive(vaultArchiveId).held = isHeld;
    });
  }

  deleteArchive(location: VaultLocation, claim: PurgeClaim): Promise<AcceptedDelete> {
    return this.#faults.answer('deleteArchive', () => {
      claim.assertGood();
      const archive = this.#vault(location).everStored(claim.vaultArchiveId);
      const intent = readIntent(archive.description);
      if (intent !== null && intent.archive !== claim.archive) {
        throw new MoraineError('INTERNAL', `The claim for archive ${claim.archive} names the bytes of another one.`);
      }
      deleteArchive(archive, this.now());
      this.#deletes += 1;
      return { at: endOfSecond(this.now()), requestId: `memory-${this.#deletes}` };
    });
  }

  deleteAbandoned(location: VaultLocation, vaultArchiveId: string, proof: AbandonedUpload): Promise<void> {
    return this.#faults.answer('deleteAbandoned', () => {
      const archive = this.#vault(location).everStored(vaultArchiveId);
      if (!proof.isProof || readIntent(archive.description)?.attempt !== proof.attempt) {
        throw new MoraineError('INTERNAL', `The archive is not what attempt ${proof.attempt} left behind.`);
      }
      deleteArchive(archive, this.now());
    });
  }

  #vault(location: VaultLocation): MemoryVaultRecord {
    const vault = this.#vaults.get(location.name);
    if (vault === undefined) throw notFound('vault');
    return vault;
  }

  #stored(archive: MemoryArchive): StoredArchive {
    return {
      vaultArchiveId: archive.vaultArchiveId,
      treeHash: archive.treeHash,
      bytes: archive.bytes.byteLength,
      at: endOfSecond(this.now()),
    };
  }

  #later(ms: number): Date {
    return new Date(this.now().getTime() + ms);
  }
}
