import { renderInventory } from './inventory.ts';
import type { ArchiveRecord, ArchiveRetrieval, InventoryRetrieval, JobRecord } from './records.ts';
import { rangeTreeHash, splitLeaves } from './tree-hash.ts';
import type { Vault } from './vault.ts';

/** Where a job stands, and how that is told: by DescribeJob, ListJobs and notifications alike. */

/**
 * An archive that is deleted while a retrieval prepares it fails the job. (The service says that it may; the emulator
 * always takes the bad way.) Once prepared, the output stays.
 */
export function statusOf(vault: Vault, job: JobRecord, nowMs: number): 'InProgress' | 'Succeeded' | 'Failed' {
  if (nowMs < job.completesAtMs) return 'InProgress';
  if (job.action === 'InventoryRetrieval') return 'Succeeded';
  const { deletedAtMs } = retrieved(vault, job);
  return deletedAtMs === null || deletedAtMs >= job.completesAtMs ? 'Succeeded' : 'Failed';
}

const STATUS_MESSAGE = {
  InProgress: 'Operation in progress.',
  Succeeded: 'Succeeded',
  Failed: 'The archive was deleted before the retrieval was completed.',
};

/** As DescribeJob shows it, with the fields that the service leaves empty. */
export function describeJobRecord(vault: Vault, job: JobRecord, nowMs: number): Record<string, unknown> {
  const status = statusOf(vault, job, nowMs);
  const isCompleted = status !== 'InProgress';
  const common = {
    Action: job.action,
    Completed: isCompleted,
    CompletionDate: isCompleted ? new Date(job.completesAtMs).toISOString() : null,
    CreationDate: new Date(job.createdAtMs).toISOString(),
    JobDescription: job.description,
    JobId: job.id,
    JobOutputPath: null,
    OutputLocation: null,
    SNSTopic: job.topic,
    SelectParameters: null,
    StatusCode: status,
    StatusMessage: STATUS_MESSAGE[status],
    VaultARN: vault.arn,
  };
  return job.action === 'ArchiveRetrieval'
    ? { ...common, ...describeArchiveRetrieval(retrieved(vault, job), job, isCompleted) }
    : { ...common, ...describeInventoryRetrieval(vault, job, isCompleted) };
}

function describeArchiveRetrieval(archive: ArchiveRecord, job: ArchiveRetrieval, isCompleted: boolean) {
  const isWhole = job.start === 0 && job.end === archive.bytes - 1;
  const wholeTreeHash = isCompleted ? archive.treeHash : null;
  return {
    ArchiveId: archive.id,
    ArchiveSHA256TreeHash: archive.treeHash,
    ArchiveSizeInBytes: archive.bytes,
    InventoryRetrievalParameters: null,
    InventorySizeInBytes: null,
    RetrievalByteRange: `${job.start}-${job.end}`,
    SHA256TreeHash: isWhole ? wholeTreeHash : treeHashOfRange(archive, job.start, job.end),
    Tier: job.tier,
  };
}

function describeInventoryRetrieval(vault: Vault, job: InventoryRetrieval, isCompleted: boolean) {
  const output = isCompleted ? renderInventory(vault.record, vault.archives.values(), job) : null;
  return {
    ArchiveId: null,
    ArchiveSHA256TreeHash: null,
    ArchiveSizeInBytes: null,
    InventoryRetrievalParameters: {
      Format: job.format,
      StartDate: job.startDateMs === null ? null : new Date(job.startDateMs).toISOString(),
      EndDate: job.endDateMs === null ? null : new Date(job.endDateMs).toISOString(),
      Limit: job.limit === null ? null : String(job.limit),
      // What a client gives to the next job to go on; null when nothing is left.
      Marker: output === null ? job.marker : output.nextMarker,
    },
    InventorySizeInBytes: output?.body.byteLength ?? null,
    RetrievalByteRange: null,
    SHA256TreeHash: null,
    Tier: null,
  };
}

/** The record of a job's archive: deleted ones are kept as tombstones. */
export function retrieved(vault: Vault, job: ArchiveRetrieval): ArchiveRecord {
  const archive = vault.archives.get(job.archiveId);
  if (archive === undefined) throw new Error(`job ${job.id} names an archive that was never here`);
  return archive;
}

export function treeHashOfRange(archive: ArchiveRecord, start: number, end: number): string | null {
  if (start === 0 && end === archive.bytes - 1) return archive.treeHash;
  return rangeTreeHash(splitLeaves(Buffer.from(archive.leaves, 'base64')), archive.bytes, start, end);
}
