/** One vault of the fake: what it holds, what it held, and its jobs. */
import { hash, randomBytes } from 'node:crypto';
import { MIB, treeHash as treeHashOf } from '../archive/tree-hash.ts';
import { MoraineError } from '../errors.ts';
import { describeIntent } from './intent.ts';
import type { ByteRange, JobState, UploadIntent, VaultLocation } from './port.ts';

export interface MemoryArchive {
  readonly vaultArchiveId: string;
  readonly bytes: Uint8Array;
  readonly treeHash: string;
  readonly description: string;
  readonly storedAt: Date;
  /** Kept after the delete: earlier inventories and finished retrievals still show it. */
  deletedAt: Date | null;
  /** A legal hold of the service. */
  held: boolean;
  /** The service deletes it no earlier. */
  lockedUntil: Date | null;
}

export interface MemoryUpload {
  readonly intent: UploadIntent;
  readonly partBytes: number;
  readonly parts: Map<number, Uint8Array>;
  readonly createdAt: Date;
  completed: MemoryArchive | null;
  /** Of the begin, the last part, or the completion. */
  lastActivityAt: Date;
}

export type MemoryJob =
  | { readonly kind: 'inventory'; readonly readyAt: Date; readonly inventoryAt: Date | null }
  | {
      readonly kind: 'retrieval';
      readonly readyAt: Date;
      readonly archive: MemoryArchive;
      readonly range: ByteRange | null;
      readonly mark?: string | undefined;
    };

const DAY_MS = 24 * 3_600_000;
/** Of a job's output, from the moment that it was ready. */
const OUTPUT_KEPT_MS = DAY_MS;
/** Glacier drops an upload that rests for a day, and forgets one that was completed a day ago. */
const UPLOAD_KEPT_MS = DAY_MS;
/** Amazon Glacier, "Multipart upload quick facts". */
const PARTS_MAX = 10_000;
/** Amazon Glacier's archive ids have 138 characters of base64url, which is 103 bytes and a half. */
const ARCHIVE_ID_CHARACTERS = 138;

export class MemoryVaultRecord {
  readonly name: string;
  tags: Readonly<Record<string, string>>;
  readonly #uploads = new Map<string, MemoryUpload>();
  readonly #jobs = new Map<string, MemoryJob>();
  /** Without the installation, whose id is another one in each life. */
  readonly #whose: readonly string[];
  readonly #createdAt: Date;
  readonly #archives = new Map<string, MemoryArchive>();

  constructor({ key, name, owner, customer }: VaultLocation, tags: Readonly<Record<string, string>>, createdAt: Date) {
    this.name = name;
    this.#whose = [key, owner, customer];
    this.tags = tags;
    this.#createdAt = createdAt;
  }

  store(bytes: Uint8Array, description: string, now: Date): MemoryArchive {
    const archive: MemoryArchive = {
      vaultArchiveId: this.#nextId(),
      bytes: Uint8Array.from(bytes),
      treeHash: treeHashOf(bytes),
      description,
      storedAt: now,
      deletedAt: null,
      held: false,
      lockedUntil: null,
    };
    this.#archives.set(archive.vaultArchiveId, archive);
    return archive;
  }

  /** Like the service's ids to look at, and the same each time: lists are in their order, and simulated lives are lived again. */
  #nextId(): string {
    const name = [...this.#whose, this.#createdAt.getTime(), this.#archives.size].join('\u0000');
    return [0, 1]
      .map((half) => hash('sha512', `${half}${name}`, 'base64url'))
      .join('')
      .slice(0, ARCHIVE_ID_CHARACTERS);
  }

  addJob(job: MemoryJob): string {
    const jobId = randomBytes(16).toString('base64url');
    this.#jobs.set(jobId, job);
    return jobId;
  }

  addRetrieval(
    vaultArchiveId: string,
    of: { readonly readyAt: Date; readonly range: ByteRange | null; readonly mark: string | undefined },
  ): string {
    const archive = this.archive(vaultArchiveId);
    const bytes = archive.bytes.byteLength;
    const { range } = of;
    if (range !== null && (range.end > bytes || (range.end % MIB !== 0 && range.end !== bytes))) {
      throw new MoraineError('VAULT_REFUSED', `The range ${range.start}-${range.end} is not one of ${bytes} bytes.`);
    }
    return this.addJob({ kind: 'retrieval', archive, ...of });
  }

  findRetrieval(vaultArchiveId: string, mark: string, now: Date): string | null {
    for (const [jobId, job] of this.#jobs) {
      const isIt = job.kind === 'retrieval' && job.mark === mark && job.archive.vaultArchiveId === vaultArchiveId;
      if (isIt && this.jobState(jobId, now).state !== 'gone') return jobId;
    }
    return null;
  }

  jobState(jobId: string, now: Date): JobState {
    const job = this.#jobs.get(jobId);
    if (job === undefined) return { state: 'gone' };
    if (job.kind === 'inventory' && job.inventoryAt === null) {
      // Asked for before there was any: to be asked for again once there is one.
      return this.lastInventoryAt(now) === null ? { state: 'pending', expectedAt: null } : { state: 'gone' };
    }
    const nowMs = now.getTime();
    const readyMs = job.readyAt.getTime();
    if (nowMs < readyMs) return { state: 'pending', expectedAt: job.readyAt };
    if (job.kind === 'retrieval' && job.archive.deletedAt !== null && job.archive.deletedAt.getTime() < readyMs) {
      return { state: 'gone' };
    }
    if (nowMs >= readyMs + OUTPUT_KEPT_MS) return { state: 'gone' };
    return { state: 'ready', readyAt: job.readyAt, expiresAt: new Date(readyMs + OUTPUT_KEPT_MS) };
  }

  readyJob(jobId: string, now: Date): MemoryJob {
    const { state } = this.jobState(jobId, now);
    const job = this.#jobs.get(jobId);
    if (state === 'gone' || job === undefined) throw notFound('job');
    if (state === 'pending') throw new MoraineError('RETRIEVAL_NOT_READY', `Job ${jobId} has no output yet.`);
    return job;
  }

  present(): readonly MemoryArchive[] {
    return [...this.#archives.values()].filter((archive) => archive.deletedAt === null);
  }

  /** What an inventory of that moment lists. */
  presentAt(moment: Date): readonly MemoryArchive[] {
    const at = moment.getTime();
    return [...this.#archives.values()].filter(
      ({ storedAt, deletedAt }) => storedAt.getTime() <= at && (deletedAt === null || deletedAt.getTime() > at),
    );
  }

  /**
   * There is a slot every 24 hours from the vault's creation, and a new inventory is made at a slot only when archives
   * came or went since the one before; null until the first.
   */
  lastInventoryAt(now: Date): Date | null {
    const createdMs = this.#createdAt.getTime();
    const lastSlotMs = createdMs + Math.floor((now.getTime() - createdMs) / DAY_MS) * DAY_MS;
    const changes = [...this.#archives.values()].flatMap(({ storedAt, deletedAt }) => [storedAt, deletedAt]);
    const seen = changes.flatMap((at) => (at !== null && at.getTime() <= lastSlotMs ? [at.getTime()] : []));
    if (lastSlotMs === createdMs || seen.length === 0) return null;
    const newestMs = seen.reduce((a, b) => Math.max(a, b), createdMs + 1);
    return new Date(createdMs + Math.ceil((newestMs - createdMs) / DAY_MS) * DAY_MS);
  }

  addUpload(uploadId: string, upload: MemoryUpload): void {
    this.#uploads.set(uploadId, upload);
  }

  upload(uploadId: string, now: Date): MemoryUpload {
    const upload = this.uploads(now).get(uploadId);
    if (upload === undefined) throw notFound('upload');
    return upload;
  }

  /** Open ones and those completed lately, without what the service has dropped by then. */
  uploads(now: Date): Map<string, MemoryUpload> {
    for (const [uploadId, { lastActivityAt }] of this.#uploads) {
      if (now.getTime() >= lastActivityAt.getTime() + UPLOAD_KEPT_MS) this.#uploads.delete(uploadId);
    }
    return this.#uploads;
  }

  archive(vaultArchiveId: string): MemoryArchive {
    const archive = this.#archives.get(vaultArchiveId);
    if (archive === undefined || archive.deletedAt !== null) {
      throw notFound('archive');
    }
    return archive;
  }

  /** Also one that was deleted; one that was never here is a mistake of ours. */
  everStored(vaultArchiveId: string): MemoryArchive {
    const archive = this.#archives.get(vaultArchiveId);
    if (archive === undefined) throw new MoraineError('INTERNAL', `Archive ${vaultArchiveId} was never in this vault.`);
    return archive;
  }
}

/** Sends a part, or sends it again. */
export function putPart(upload: MemoryUpload, index: number, bytes: Uint8Array, now: Date): void {
  if (upload.completed !== null) throw notFound('upload');
  const isPart = Number.isInteger(index) && index >= 0 && index < PARTS_MAX;
  if (!isPart || bytes.byteLength === 0 || bytes.byteLength > upload.partBytes) {
    throw new MoraineError('VAULT_REFUSED', `Part ${index} of ${bytes.byteLength} bytes does not fit the upload.`);
  }
  upload.parts.set(index, Uint8Array.from(bytes));
  upload.lastActivityAt = now;
}

/** Completes an upload, or says again what it came to. */
export function completeMemoryUpload(
  vault: MemoryVaultRecord,
  uploadId: string,
  total: { readonly bytes: number; readonly treeHash: string },
  now: Date,
): MemoryArchive {
  const open = vault.upload(uploadId, now);
  if (open.completed !== null) {
    const isSame = open.completed.bytes.byteLength === total.bytes && open.completed.treeHash === total.treeHash;
    if (!isSame) throw new MoraineError('INTERNAL', 'An upload was completed a second time with other totals.');
    return open.completed;
  }
  const bytes = joinedParts(open);
  if (bytes === null || bytes.byteLength !== total.bytes || treeHashOf(bytes) !== total.treeHash) {
    throw new MoraineError('VAULT_CHECKSUM', `The parts of archive ${open.intent.archive} are not the file.`);
  }
  const archive = vault.store(bytes, describeIntent(open.intent), now);
  open.completed = archive;
  open.lastActivityAt = now;
  open.parts.clear();
  return archive;
}

/** The file that the parts of an upload make; null when one is missing, or one that is not the last is too short. */
function joinedParts({ parts, partBytes }: MemoryUpload): Uint8Array | null {
  const indexes = [...parts.keys()].sort((a, b) => a - b);
  const isWhole = indexes.every(
    (index, position) =>
      index === position && (position === indexes.length - 1 || parts.get(index)?.byteLength === partBytes),
  );
  return isWhole ? Buffer.concat(indexes.map((index) => parts.get(index) ?? new Uint8Array())) : null;
}

/** Date headers have whole seconds; the adapters take the end of that second. */
export function endOfSecond(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000 + 999);
}

export function startOfSecond(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}

export function notFound(what: string): MoraineError {
  return new MoraineError('VAULT_NOT_FOUND', `There is no such ${what}.`);
}
