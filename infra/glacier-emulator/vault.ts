import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EmulatorClock } from './clock.ts';
import { archiveNotFound, uploadNotFound, vaultNotFound } from './errors.ts';
import { isFile, readJson, readJsonFolder, writeJson } from './files.ts';
import { newBodyName, vaultArn } from './identifiers.ts';
import { topicsOf } from './job-topics.ts';
import { Mutex } from './mutex.ts';
import {
  type ArchiveRecord,
  archiveSchema,
  type JobRecord,
  jobSchema,
  type PartRecord,
  partSchema,
  type UploadRecord,
  uploadSchema,
  type VaultRecord,
} from './records.ts';

/** Output can be had, an upload may rest, and a lock may be completed for this long by the clock. */
export const KEPT_MS = 24 * 60 * 60 * 1000;

export type Upload = { record: UploadRecord; parts: Map<number, PartRecord> };

/**
 * One vault on disk and in memory. Every change is one file that is replaced in one step; memory follows the disk.
 * Bodies are written first under a fresh name and count only when a record names them: what no record names is removed
 * when the vault is loaded. Records are loaded when the vault is first used, so that starting is quick.
 *
 *   vault.json  archives/ID.json  jobs/ID.json  uploads/ID/upload.json  uploads/ID/parts/START.json  bodies/NAME
 */
export class Vault {
  readonly #folder: string;
  readonly #clock: EmulatorClock;
  readonly #lingerMs: number;
  readonly #changes = new Mutex();
  #record: VaultRecord;
  #loaded: Promise<void> | null = null;
  #isGone = false;

  readonly archives = new Map<string, ArchiveRecord>();
  readonly uploads = new Map<string, Upload>();
  readonly jobs = new Map<string, JobRecord>();

  constructor(folder: string, record: VaultRecord, clock: EmulatorClock, lingerMs: number) {
    this.#folder = folder;
    this.#record = record;
    this.#clock = clock;
    this.#lingerMs = lingerMs;
  }

  get record(): VaultRecord {
    return this.#record;
  }

  get arn(): string {
    return vaultArn(this.#record.region, this.#record.name);
  }

  get bodies(): string {
    return join(this.#folder, 'bodies');
  }

  /** Makes the folders of a new vault. `vault.json` comes last: without it the vault does not exist. */
  async writeNew(): Promise<void> {
    for (const name of ['archives', 'bodies', 'jobs', 'uploads']) {
      await mkdir(join(this.#folder, name), { recursive: true });
    }
    await writeJson(join(this.#folder, 'vault.json'), this.#record);
  }

  /** Loads the records if that has not been done, and drops what has expired. */
  async ready(): Promise<void> {
    this.#loaded ??= this.#load();
    await this.#loaded;
    await this.expire(this.#lingerMs);
  }

  /** Nothing changes the vault after this; calls that were waiting for their turn find it gone. */
  close(isDeletable: () => boolean): Promise<boolean> {
    return this.#change(async () => {
      if (!isDeletable()) return false;
      this.#isGone = true;
      return true;
    });
  }

  /** Changes what the vault is, not what it holds: tags, policies, lock, notifications. */
  change(update: (record: VaultRecord, nowMs: number) => Partial<VaultRecord>): Promise<VaultRecord> {
    return this.#change(() => this.#putRecord({ ...this.#record, ...update(this.#record, this.#clock.nowMs()) }));
  }

  /** The vault's lock, if it has one that did not run out: 24 hours are given to complete it. */
  get lock(): VaultRecord['lock'] {
    const { lock } = this.#record;
    return lock === null || this.#isLockOver(lock, this.#lingerMs) ? null : lock;
  }

  /** A fresh place for a body that is about to arrive. */
  newBody(): { file: string; path: string } {
    const file = newBodyName();
    return { file, path: join(this.bodies, file) };
  }

  addArchive(archive: Omit<ArchiveRecord, 'createdAtMs' | 'deletedAtMs'>): Promise<ArchiveRecord> {
    return this.#change(() => this.#addArchive(archive));
  }

  /** Leaves a tombstone. The body goes too, unless a finished retrieval still offers it. */
  deleteArchive(id: string): Promise<void> {
    return this.#change(async () => {
      const archive = this.archives.get(id);
      if (archive === undefined) throw archiveNotFound(id);
      if (archive.deletedAtMs !== null) return;
      const deleted = { ...archive, deletedAtMs: this.#clock.nowMs() };
      await this.#putArchive(deleted);
      await this.#dropUnusedBody(deleted);
    });
  }

  /** Whether the archive is or was here. Asks the disk where the records are not loaded. */
  async knows(archiveId: string): Promise<boolean> {
    if (this.#loaded !== null) {
      await this.#loaded;
      return this.archives.has(archiveId);
    }
    return isFile(join(this.#folder, 'archives', `${archiveId}.json`));
  }

  addUpload(record: Omit<UploadRecord, 'createdAtMs' | 'abortedAtMs'>): Promise<void> {
    return this.#change(async () => {
      const upload = { ...record, createdAtMs: this.#clock.nowMs(), abortedAtMs: null };
      await mkdir(join(this.#uploadFolder(record.id), 'parts'), { recursive: true });
      await writeJson(join(this.#uploadFolder(record.id), 'upload.json'), upload);
      this.uploads.set(record.id, { record: upload, parts: new Map() });
    });
  }

  /** A part that was there before for the same range is replaced. */
  addPart(uploadId: string, part: Omit<PartRecord, 'uploadedAtMs'>): Promise<void> {
    return this.#change(async () => {
      const upload = this.openUpload(uploadId);
      const record = { ...part, uploadedAtMs: this.#clock.nowMs() };
      await writeJson(join(this.#uploadFolder(uploadId), 'parts', `${part.start}.json`), record);
      const before = upload.parts.get(part.start);
      upload.parts.set(part.start, record);
      if (before !== undefined) await this.#removeBody(before.file);
    });
  }

  /** Makes the archive out of the parts that `assemble` accepts; again the same archive when it is already made. */
  completeUpload(
    uploadId: string,
    assemble: (upload: Upload) => Pick<ArchiveRecord, 'bytes' | 'treeHash' | 'leaves' | 'segments'>,
  ): Promise<ArchiveRecord> {
    return this.#change(async () => {
      const upload = this.uploads.get(uploadId);
      if (upload === undefined || upload.record.abortedAtMs !== null) throw uploadNotFound(uploadId);
      const { archiveId, description } = upload.record;
      const made = this.archives.get(archiveId);
      if (made !== undefined) return made;
      const archive = await this.#addArchive({ id: archiveId, description, ...assemble(upload) });
      upload.parts.clear();
      return archive;
    });
  }

  abortUpload(uploadId: string): Promise<void> {
    return this.#change(async () => {
      const upload = this.uploads.get(uploadId);
      if (upload === undefined || this.archives.has(upload.record.archiveId)) throw uploadNotFound(uploadId);
      if (upload.record.abortedAtMs !== null) return;
      const record = { ...upload.record, abortedAtMs: this.#clock.nowMs() };
      await writeJson(join(this.#uploadFolder(uploadId), 'upload.json'), record);
      this.uploads.set(uploadId, { record, parts: new Map() });
      for (const part of upload.parts.values()) await this.#removeBody(part.file);
    });
  }

  /** The upload if it can still take parts. */
  openUpload(uploadId: string): Upload {
    const upload = this.uploads.get(uploadId);
    if (upload === undefined || !this.isOpen(upload)) throw uploadNotFound(uploadId);
    return upload;
  }

  isOpen({ record }: Upload): boolean {
    return record.abortedAtMs === null && !this.archives.has(record.archiveId);
  }

  addJob(makeJob: (nowMs: number) => JobRecord): Promise<JobRecord> {
    return this.#change(async () => {
      const job = makeJob(this.#clock.nowMs());
      // First: after a kill in between, the vault is looked at in vain; the other way round the job would be forgotten.
      if (job.topic !== null && !this.#record.hasJobTopics) {
        await this.#putRecord({ ...this.#record, hasJobTopics: true });
      }
      await this.#putJob(job);
      return job;
    });
  }

  /** Notes that whoever wanted to know of a job's completion has been told. */
  markAnnounced(id: string): Promise<void> {
    return this.#change(async () => {
      const job = this.jobs.get(id);
      if (job !== undefined) await this.#putJob({ ...job, isAnnounced: true });
    });
  }

  /** Drops outputs and resting uploads whose day is over by the clock, and `lingerMs` of real time with it. */
  async expire(lingerMs: number): Promise<void> {
    const isOver = (sinceMs: number) => this.#isDayOver(sinceMs, lingerMs);
    const { lock } = this.#record;
    if (lock !== null && this.#isLockOver(lock, lingerMs)) {
      await this.#change(async () => {
        if (this.#record.lock === lock) await this.#putRecord({ ...this.#record, lock: null });
      });
    }
    // What somebody is still to be told of stays until then, however far the clock jumped.
    const jobs = [...this.jobs.values()].filter(
      (job) => isOver(job.completesAtMs) && (job.isAnnounced || topicsOf(this.#record, job).length === 0),
    );
    const uploads = [...this.uploads.values()].filter((upload) => isOver(this.#lastActivity(upload)));
    if (jobs.length === 0 && uploads.length === 0) return;
    await this.#change(async () => {
      for (const job of jobs) {
        await rm(join(this.#folder, 'jobs', `${job.id}.json`), { force: true });
        this.jobs.delete(job.id);
        const archive = job.action === 'ArchiveRetrieval' ? this.archives.get(job.archiveId) : undefined;
        if (archive !== undefined && archive.deletedAtMs !== null) await this.#dropUnusedBody(archive);
      }
      for (const upload of uploads) {
        // A part that arrived while this waited its turn has begun a new day for the upload.
        if (!isOver(this.#lastActivity(upload))) continue;
        await rm(this.#uploadFolder(upload.record.id), { recursive: true, force: true });
        this.uploads.delete(upload.record.id);
        for (const part of upload.parts.values()) await this.#removeBody(part.file);
      }
    });
  }

  #isDayOver(sinceMs: number, lingerMs: number): boolean {
    return this.#clock.nowMs() >= sinceMs + KEPT_MS && Date.now() >= this.#clock.realTimeOf(sinceMs) + lingerMs;
  }

  #isLockOver(lock: NonNullable<VaultRecord['lock']>, lingerMs: number): boolean {
    return lock.lockedAtMs === null && this.#isDayOver(lock.createdAtMs, lingerMs);
  }

  async #putRecord(record: VaultRecord): Promise<VaultRecord> {
    await writeJson(join(this.#folder, 'vault.json'), record);
    this.#record = record;
    return record;
  }

  async #putJob(job: JobRecord): Promise<void> {
    await writeJson(join(this.#folder, 'jobs', `${job.id}.json`), job);
    this.jobs.set(job.id, job);
  }

  #lastActivity({ record, parts }: Upload): number {
    const completedAtMs = this.archives.get(record.archiveId)?.createdAtMs ?? 0;
    let lastMs = Math.max(record.createdAtMs, record.abortedAtMs ?? 0, completedAtMs);
    for (const part of parts.values()) lastMs = Math.max(lastMs, part.uploadedAtMs);
    return lastMs;
  }

  async #addArchive(archive: Omit<ArchiveRecord, 'createdAtMs' | 'deletedAtMs'>): Promise<ArchiveRecord> {
    const record = { ...archive, createdAtMs: this.#clock.nowMs(), deletedAtMs: null };
    await this.#putArchive(record);
    return record;
  }

  async #putArchive(archive: ArchiveRecord): Promise<void> {
    await writeJson(join(this.#folder, 'archives', `${archive.id}.json`), archive);
    this.archives.set(archive.id, archive);
  }

  async #dropUnusedBody(archive: ArchiveRecord): Promise<void> {
    const deletedAtMs = archive.deletedAtMs ?? Number.POSITIVE_INFINITY;
    for (const job of this.jobs.values()) {
      const isOffered = job.action === 'ArchiveRetrieval' && job.archiveId === archive.id;
      if (isOffered && job.completesAtMs <= deletedAtMs) return;
    }
    await this.#putArchive({ ...archive, leaves: '', segments: [] });
    for (const { file } of archive.segments) await this.#removeBody(file);
  }

  #removeBody(file: string): Promise<void> {
    return rm(join(this.bodies, file), { force: true });
  }

  #uploadFolder(id: string): string {
    return join(this.#folder, 'uploads', id);
  }

  #change<T>(work: () => Promise<T>): Promise<T> {
    return this.#changes.run(async () => {
      if (this.#isGone) throw vaultNotFound(this.arn);
      return work();
    });
  }

  async #load(): Promise<void> {
    const named = new Set<string>();
    for (const archive of await readJsonFolder(join(this.#folder, 'archives'), archiveSchema)) {
      this.archives.set(archive.id, archive);
      for (const { file } of archive.segments) named.add(file);
    }
    for (const job of await readJsonFolder(join(this.#folder, 'jobs'), jobSchema)) this.jobs.set(job.id, job);
    for (const id of await readdir(join(this.#folder, 'uploads'))) {
      const record = await readJson(join(this.#uploadFolder(id), 'upload.json'), uploadSchema);
      if (record === null) {
        await rm(this.#uploadFolder(id), { recursive: true, force: true });
        continue;
      }
      const upload: Upload = { record, parts: new Map() };
      this.uploads.set(id, upload);
      if (!this.isOpen(upload)) continue;
      for (const part of await readJsonFolder(join(this.#uploadFolder(id), 'parts'), partSchema)) {
        upload.parts.set(part.start, part);
        named.add(part.file);
      }
    }
    for (const file of await readdir(this.bodies)) {
      if (!named.has(file)) await this.#removeBody(file);
    }
  }
}
