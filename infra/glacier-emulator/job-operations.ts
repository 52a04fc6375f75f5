import { z } from 'zod';
import { readSegments } from './body.ts';
import { type Call, optionalHeader, pathParameter, type Reply, vaultOf } from './call.ts';
import {
  archiveNotFound,
  invalidParameter,
  inventoryNotFound,
  jobNotFound,
  missingParameter,
  notImplemented,
  outputNotAvailable,
  serialization,
} from './errors.ts';
import { ACCOUNT, newJobId } from './identifiers.ts';
import { lastInventory, renderInventory } from './inventory.ts';
import { checkDescription, page, readCount } from './limits.ts';
import type { ArchiveRecord, ArchiveRetrieval, InventoryRetrieval, JobRecord } from './records.ts';
import { MIB, rangeTreeHash, splitLeaves } from './tree-hash.ts';
import type { Vault } from './vault.ts';

/** Retrieval of archives and inventories: jobs that take their time. */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** The longest that the service's documentation calls typical. */
const DELAY_MS = { Expedited: 5 * MINUTE_MS, Standard: 5 * HOUR_MS, Bulk: 12 * HOUR_MS };
const INVENTORY_DELAY_MS = 4 * HOUR_MS;
/** From here on an expedited retrieval is not a matter of minutes. */
const LARGE_BYTES = 250_000_000;
const JOBS_A_PAGE = 50;

const parametersSchema = z.object({
  Type: z.string().nullish(),
  ArchiveId: z.string().nullish(),
  Description: z.string().nullish(),
  Format: z.string().nullish(),
  RetrievalByteRange: z.string().nullish(),
  SNSTopic: z.string().nullish(),
  Tier: z.string().nullish(),
  InventoryRetrievalParameters: z
    .object({
      StartDate: z.string().nullish(),
      EndDate: z.string().nullish(),
      Limit: z.string().nullish(),
      Marker: z.string().nullish(),
    })
    .nullish(),
});
type Parameters = z.output<typeof parametersSchema>;
const tierSchema = z.enum(['Expedited', 'Standard', 'Bulk']);
const formatSchema = z.enum(['JSON', 'CSV']);

export async function initiateJob(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const parsed = parametersSchema.safeParse(call.json);
  if (!parsed.success) throw serialization('The body does not have the form of job parameters');
  const parameters = parsed.data;
  if (parameters.SNSTopic != null) throw notImplemented('A notification by SNS');
  const job = await vault.addJob((nowMs) => {
    switch (parameters.Type) {
      case 'archive-retrieval':
        return archiveRetrieval(vault, parameters, nowMs);
      case 'inventory-retrieval':
        return inventoryRetrieval(vault, parameters, nowMs);
      case null:
      case undefined:
        throw missingParameter('Type');
      default:
        throw invalidParameter(`Invalid job type: ${parameters.Type}`);
    }
  });
  return {
    status: 202,
    headers: {
      location: `/${ACCOUNT}/vaults/${vault.record.name}/jobs/${job.id}`,
      'x-amz-job-id': job.id,
    },
  };
}

export async function listJobs(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const nowMs = call.clock.nowMs();
  const statusCode = call.query.get('statuscode');
  if (statusCode !== null && !['InProgress', 'Succeeded', 'Failed'].includes(statusCode)) {
    throw invalidParameter(`The job status code is not valid: ${statusCode}`);
  }
  const completed = call.query.get('completed');
  if (completed !== null && completed !== 'true' && completed !== 'false') {
    throw invalidParameter(`The value of completed is not valid: ${completed}`);
  }
  const jobs = [...vault.jobs.values()]
    .filter((job) => {
      const status = statusOf(vault, job, nowMs);
      return (
        (statusCode === null || status === statusCode) &&
        (completed === null || (status !== 'InProgress') === (completed === 'true'))
      );
    })
    .sort((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1));
  const { items, marker } = page(jobs, call.query, JOBS_A_PAGE, (job) => job.id);
  return { status: 200, body: { JobList: items.map((job) => describe(vault, job, nowMs)), Marker: marker } };
}

export async function describeJob(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  return { status: 200, body: describe(vault, jobOf(call, vault), call.clock.nowMs()) };
}

export async function getJobOutput(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const job = jobOf(call, vault);
  if (statusOf(vault, job, call.clock.nowMs()) !== 'Succeeded') throw outputNotAvailable(job.id);
  return job.action === 'ArchiveRetrieval' ? archiveOutput(call, vault, job) : inventoryOutput(call, vault, job);
}

function archiveOutput(call: Call, vault: Vault, job: ArchiveRetrieval): Reply {
  const archive = retrieved(vault, job);
  const length = job.end - job.start + 1;
  const range = readRange(call, length);
  const start = job.start + (range?.start ?? 0);
  const end = job.start + (range?.end ?? length - 1);
  const headers: Record<string, string> = {
    ...rangeHeaders(range, length),
    'content-type': 'application/octet-stream',
    'content-length': String(end - start + 1),
  };
  const isAligned = treeHashOfRange(archive, job.start, job.end) !== null;
  const treeHash = isAligned ? treeHashOfRange(archive, start, end) : null;
  if (treeHash !== null) headers['x-amz-sha256-tree-hash'] = treeHash;
  const body = readSegments(vault.bodies, archive.segments, start, end);
  return { status: range === null ? 200 : 206, headers, body };
}

function inventoryOutput(call: Call, vault: Vault, job: InventoryRetrieval): Reply {
  const { body, contentType } = renderInventory(vault.record, vault.archives.values(), job);
  const range = readRange(call, body.byteLength);
  const part = range === null ? body : body.subarray(range.start, range.end + 1);
  const headers = {
    ...rangeHeaders(range, body.byteLength),
    'content-type': contentType,
    'content-length': String(part.byteLength),
  };
  return { status: range === null ? 200 : 206, headers, body: part };
}

function archiveRetrieval(vault: Vault, parameters: Parameters, nowMs: number): ArchiveRetrieval {
  const archiveId = parameters.ArchiveId;
  if (archiveId == null) throw missingParameter('ArchiveId');
  if (parameters.Format != null) throw invalidParameter('Format is for inventory-retrieval jobs only');
  if (parameters.InventoryRetrievalParameters != null) {
    throw invalidParameter('InventoryRetrievalParameters are for inventory-retrieval jobs only');
  }
  const archive = vault.archives.get(archiveId);
  if (archive === undefined || archive.deletedAtMs !== null) throw archiveNotFound(archiveId);
  const tier = tierSchema.safeParse(parameters.Tier ?? 'Standard');
  if (!tier.success) throw invalidParameter(`Invalid tier: ${parameters.Tier}`);
  const { start, end } = retrievalRange(parameters.RetrievalByteRange ?? null, archive.bytes);
  return {
    ...jobBase(parameters, nowMs, retrievalDelayMs(tier.data, archive.bytes)),
    action: 'ArchiveRetrieval',
    tier: tier.data,
    archiveId,
    start,
    end,
  };
}

function inventoryRetrieval(vault: Vault, parameters: Parameters, nowMs: number): InventoryRetrieval {
  if (parameters.ArchiveId != null) throw invalidParameter('ArchiveId is for archive-retrieval jobs only');
  if (parameters.RetrievalByteRange != null) {
    throw invalidParameter('RetrievalByteRange is for archive-retrieval jobs only');
  }
  const format = formatSchema.safeParse(parameters.Format ?? 'JSON');
  if (!format.success) throw invalidParameter(`Invalid format: ${parameters.Format}`);
  const inventory = lastInventory(vault.record, vault.archives.values(), nowMs);
  if (inventory === null) throw inventoryNotFound(vault.arn);
  const filter = parameters.InventoryRetrievalParameters ?? {};
  return {
    ...jobBase(parameters, nowMs, INVENTORY_DELAY_MS),
    action: 'InventoryRetrieval',
    inventoryAtMs: inventory.atMs,
    format: format.data,
    startDateMs: readDate('StartDate', filter.StartDate ?? null),
    endDateMs: readDate('EndDate', filter.EndDate ?? null),
    limit: readLimit(filter.Limit ?? null),
    marker: readMarker(filter.Marker ?? null, inventory.archives),
  };
}

/** How long a retrieval takes by the clock. */
export function retrievalDelayMs(tier: keyof typeof DELAY_MS, archiveBytes: number): number {
  return tier === 'Expedited' && archiveBytes >= LARGE_BYTES ? DELAY_MS.Standard : DELAY_MS[tier];
}

const jobBase = (parameters: Parameters, nowMs: number, delayMs: number) => ({
  id: newJobId(),
  description: parameters.Description == null ? null : checkDescription(parameters.Description),
  createdAtMs: nowMs,
  completesAtMs: nowMs + delayMs,
});

function jobOf(call: Call, vault: Vault): JobRecord {
  const id = pathParameter(call, 'jobId');
  const job = vault.jobs.get(id);
  if (job === undefined) throw jobNotFound(id);
  return job;
}

/**
 * An archive that is deleted while a retrieval prepares it fails the job. (The service says that it may; the emulator
 * always takes the bad way.) Once prepared, the output stays.
 */
function statusOf(vault: Vault, job: JobRecord, nowMs: number): 'InProgress' | 'Succeeded' | 'Failed' {
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

function describe(vault: Vault, job: JobRecord, nowMs: number): Record<string, unknown> {
  const status = statusOf(vault, job, nowMs);
  const isCompleted = status !== 'InProgress';
  const common = {
    Action: job.action,
    Completed: isCompleted,
    CompletionDate: isCompleted ? new Date(job.completesAtMs).toISOString() : null,
    CreationDate: new Date(job.createdAtMs).toISOString(),
    JobDescription: job.description,
    JobId: job.id,
    SNSTopic: null,
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
function retrieved(vault: Vault, job: ArchiveRetrieval): ArchiveRecord {
  const archive = vault.archives.get(job.archiveId);
  if (archive === undefined) throw new Error(`job ${job.id} names an archive that was never here`);
  return archive;
}

function treeHashOfRange(archive: ArchiveRecord, start: number, end: number): string | null {
  if (start === 0 && end === archive.bytes - 1) return archive.treeHash;
  return rangeTreeHash(splitLeaves(Buffer.from(archive.leaves, 'base64')), archive.bytes, start, end);
}

function retrievalRange(text: string | null, archiveBytes: number): { start: number; end: number } {
  if (text === null) return { start: 0, end: archiveBytes - 1 };
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(text);
  if (match === null) throw invalidParameter(`Invalid retrieval byte range: ${text}`);
  const start = Number(match[1]);
  const end = Number(match[2]);
  const isAligned = start % MIB === 0 && ((end + 1) % MIB === 0 || end === archiveBytes - 1);
  if (start > end || end >= archiveBytes || !isAligned) {
    throw invalidParameter(
      `Invalid retrieval byte range: ${text}. It must be megabyte aligned and within the ${archiveBytes} bytes of the archive.`,
    );
  }
  return { start, end };
}

type Range = { start: number; end: number };

/** The Range header of a download, relative to the output; null when all of it is wanted. */
function readRange(call: Call, length: number): Range | null {
  const text = optionalHeader(call, 'range');
  if (text === undefined) return null;
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(text);
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) throw invalidParameter(`Invalid Range: ${text}`);
  const start = first === '' ? Math.max(0, length - Number(last)) : Number(first);
  const end = first === '' || last === '' ? length - 1 : Math.min(Number(last), length - 1);
  if (start > end) throw invalidParameter(`Invalid Range: ${text}. The output has ${length} bytes.`);
  return { start, end };
}

function rangeHeaders(range: Range | null, length: number): Record<string, string> {
  const headers: Record<string, string> = { 'accept-ranges': 'bytes' };
  if (range !== null) headers['content-range'] = `bytes ${range.start}-${range.end}/${length}`;
  return headers;
}

function readDate(name: string, text: string | null): number | null {
  if (text === null) return null;
  const atMs = Date.parse(text);
  if (Number.isNaN(atMs)) throw invalidParameter(`Invalid ${name}: ${text}`);
  return atMs;
}

function readLimit(text: string | null): number | null {
  if (text === null) return null;
  const limit = readCount(text);
  if (limit === null || limit < 1) throw invalidParameter(`Invalid limit: ${text}`);
  return limit;
}

function readMarker(marker: string | null, archives: readonly ArchiveRecord[]): string | null {
  if (marker !== null && !archives.some(({ id }) => id === marker)) throw invalidParameter(`Invalid marker: ${marker}`);
  return marker;
}
