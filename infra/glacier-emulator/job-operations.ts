import { unitsInForce } from './account-operations.ts';
import { checkVaultOfArchive } from './archive-operations.ts';
import { readSegments } from './body.ts';
import { type Call, optionalHeader, pathParameter, type Reply, vaultOf } from './call.ts';
import { insufficientCapacity, invalidParameter, jobNotFound, outputNotAvailable } from './errors.ts';
import { ACCOUNT } from './identifiers.ts';
import { renderInventory } from './inventory.ts';
import { describeJobRecord, retrieved, statusOf, treeHashOfRange } from './job-description.ts';
import { newJob, readJobParameters } from './job-parameters.ts';
import { page } from './limits.ts';
import type { ArchiveRetrieval, InventoryRetrieval, JobRecord } from './records.ts';
import { enforcePolicy, type Retrieval } from './retrieval-policy.ts';
import type { Vault } from './vault.ts';

/** Retrieval of archives and inventories: jobs that take their time. */

const JOBS_A_PAGE = 50;

export async function initiateJob(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const parameters = readJobParameters(call.json);
  if (parameters.Type === 'archive-retrieval' && parameters.ArchiveId != null) {
    await checkVaultOfArchive(call, vault, parameters.ArchiveId);
  }
  const add = (others: readonly Retrieval[]) =>
    vault.addJob((nowMs) => {
      const job = newJob(vault, parameters, nowMs);
      if (job.action === 'ArchiveRetrieval') accept(call, job, others, nowMs);
      return job;
    });
  const { retrievalPolicy } = call.accounts.get(call.region);
  const isFree = retrievalPolicy.strategy === 'None';
  const job = isFree ? await add([]) : await call.accounts.exclusively(async () => add(await retrievalsOf(call)));
  call.notifier.expect(vault, job);
  return {
    status: 202,
    headers: {
      location: `/${ACCOUNT}/vaults/${vault.record.name}/jobs/${job.id}`,
      'x-amz-job-id': job.id,
    },
  };
}

/** What is refused last, of a request that is right in itself: by the retrieval policy, or for want of capacity. */
function accept(call: Call, job: ArchiveRetrieval, others: readonly Retrieval[], nowMs: number): void {
  const { retrievalPolicy } = call.accounts.get(call.region);
  enforcePolicy(retrievalPolicy, job, others, { nowMs, freeTierBytes: call.freeTierBytes });
  if (job.tier !== 'Expedited' || unitsInForce(call).length > 0) return;
  if (call.lacksCapacity()) throw insufficientCapacity();
}

/** The retrievals of archives in all vaults of the region: what a retrieval policy counts. */
async function retrievalsOf(call: Call): Promise<Retrieval[]> {
  const retrievals: Retrieval[] = [];
  for (const vault of call.vaults.list(call.region)) {
    await vault.ready();
    for (const job of vault.jobs.values()) if (job.action === 'ArchiveRetrieval') retrievals.push(job);
  }
  return retrievals;
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
  return { status: 200, body: { JobList: items.map((job) => describeJobRecord(vault, job, nowMs)), Marker: marker } };
}

export async function describeJob(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  return { status: 200, body: describeJobRecord(vault, jobOf(call, vault), call.clock.nowMs()) };
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
  if (archive.description !== '') headers['x-amz-archive-description'] = archive.description;
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

function jobOf(call: Call, vault: Vault): JobRecord {
  const id = pathParameter(call, 'jobId');
  const job = vault.jobs.get(id);
  if (job === undefined) throw jobNotFound(id);
  return job;
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
