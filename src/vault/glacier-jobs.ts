/** Jobs of Glacier: inventories and retrievals, which take hours, and their output. */
import {
  DescribeJobCommand,
  GetJobOutputCommand,
  type GlacierJobDescription,
  InitiateJobCommand,
  ListJobsCommand,
} from '@aws-sdk/client-glacier';
import { MIB, treeHash } from '../archive/tree-hash.ts';
import { MoraineError } from '../errors.ts';
import { addressOf, GLACIER_TIERS, type GlacierContext } from './glacier-context.ts';
import { required } from './glacier-uploads.ts';
import { hasInventory } from './glacier-vaults.ts';
import { readIntent } from './intent.ts';
import { type InventoryArchive, InventoryReader } from './inventory-json.ts';
import type { ByteRange, Inventory, InventoryEntry, JobState, Tier, VaultLocation } from './port.ts';
import { isServiceError, translateError, translating } from './translate-error.ts';

/**
 * Stands for the job that cannot be asked for yet: a vault has no inventory for about its first day, and the service
 * refuses. The state of this "job" is `pending` until there is an inventory and `gone` then, so that it is asked for.
 */
const FIRST_INVENTORY = 'first-inventory';

/** Amazon Glacier, "Downloading a job's output": kept for at least 24 hours after completion. */
const OUTPUT_KEPT_MS = 24 * 3_600_000;
/** The upper ends of what the service calls typical. */
const MINUTE_MS = 60_000;
const JOB_MS: Readonly<Record<string, number>> = {
  Expedited: 5 * MINUTE_MS,
  Standard: 300 * MINUTE_MS,
  Bulk: 720 * MINUTE_MS,
};
const INVENTORY_JOB_MS = 300 * MINUTE_MS;
const INVENTORY_CHUNK_BYTES = 4 * MIB;
/** The most that the service lists at once. */
const JOBS_A_PAGE = 50;

/** On the way back nothing is sent again by itself, as it is on the way out. */
const OTHER_BYTES_HINT = 'Run it again. If it happens again, `moraine retrieve cancel` and retrieve the archive anew.';

export async function requestInventory(context: GlacierContext, location: VaultLocation): Promise<string> {
  try {
    const reply = await context.client.send(
      new InitiateJobCommand({
        ...addressOf(location),
        jobParameters: { Type: 'inventory-retrieval', Format: 'JSON' },
      }),
    );
    return required(reply.jobId, 'a job id');
  } catch (error) {
    if (isServiceError(error, 'ResourceNotFoundException') && !(await hasInventory(context, location))) {
      return FIRST_INVENTORY;
    }
    throw translateError(error, { what: 'ask for an inventory', location, effect: null });
  }
}

export async function requestRetrieval(
  context: GlacierContext,
  location: VaultLocation,
  vaultArchiveId: string,
  tier: Tier,
  { range, mark }: { readonly range: ByteRange | null; readonly mark: string | undefined },
): Promise<string> {
  const reply = await translating(
    { what: 'ask for a retrieval', location, effect: 'A retrieval may have been asked for, which costs money.' },
    () =>
      context.once.send(
        new InitiateJobCommand({
          ...addressOf(location),
          jobParameters: {
            Type: 'archive-retrieval',
            ArchiveId: vaultArchiveId,
            Tier: GLACIER_TIERS[tier],
            ...(mark === undefined ? {} : { Description: mark }),
            ...(range === null ? {} : { RetrievalByteRange: `${range.start}-${range.end - 1}` }),
          },
        }),
      ),
  );
  return required(reply.jobId, 'a job id');
}

/** Looks through the vault's jobs; the service lists those of about the last day. A failed one is as good as none. */
export async function findRetrieval(
  context: GlacierContext,
  location: VaultLocation,
  vaultArchiveId: string,
  mark: string,
): Promise<string | null> {
  const asking = { what: 'list the jobs', location, effect: null };
  for (let marker: string | undefined; ; ) {
    const page: { readonly limit: number; readonly marker?: string } =
      marker === undefined ? { limit: JOBS_A_PAGE } : { limit: JOBS_A_PAGE, marker };
    const { JobList = [], Marker } = await translating(asking, () =>
      context.client.send(new ListJobsCommand({ ...addressOf(location), ...page })),
    );
    const found = JobList.find(
      (job) => job.JobDescription === mark && job.ArchiveId === vaultArchiveId && job.StatusCode !== 'Failed',
    );
    if (found !== undefined) return required(found.JobId, 'a job id');
    if (Marker == null || Marker === '') return null;
    marker = Marker;
  }
}

export async function jobState(context: GlacierContext, location: VaultLocation, jobId: string): Promise<JobState> {
  if (jobId === FIRST_INVENTORY) {
    return (await hasInventory(context, location)) ? { state: 'gone' } : { state: 'pending', expectedAt: null };
  }
  const job = await describeJob(context, location, jobId);
  if (job === null || job.StatusCode === 'Failed') return { state: 'gone' };
  if (job.Completed !== true) {
    const takesMs = job.Tier === undefined ? INVENTORY_JOB_MS : JOB_MS[job.Tier];
    const created = new Date(required(job.CreationDate, 'a creation date')).getTime();
    return { state: 'pending', expectedAt: takesMs === undefined ? null : new Date(created + takesMs) };
  }
  const readyAt = new Date(required(job.CompletionDate, 'a completion date'));
  return { state: 'ready', readyAt, expiresAt: new Date(readyAt.getTime() + OUTPUT_KEPT_MS) };
}

/** The date is read at once; the entries come by ranges of the job's output whenever they are asked for, each time from the start. */
export async function readInventory(
  context: GlacierContext,
  location: VaultLocation,
  jobId: string,
): Promise<Inventory> {
  const job = await describeJob(context, location, jobId);
  const bytes = job?.InventorySizeInBytes;
  if (bytes === undefined || bytes === null) throw notReady(location, jobId);
  const reader = new InventoryReader();
  for await (const chunk of readChunks(context, location, jobId, bytes)) {
    reader.push(chunk);
    if (reader.inventoryDate !== null) break;
  }
  const inventoryDate = reader.inventoryDate;
  if (inventoryDate === null) throw new MoraineError('VAULT_REFUSED', 'The inventory that the vault sent has no date.');
  return { inventoryDate, entries: () => readEntries(context, location, jobId, bytes) };
}

export async function readRetrieval(
  context: GlacierContext,
  location: VaultLocation,
  jobId: string,
  range: ByteRange,
): Promise<Uint8Array> {
  const reading = { what: 'read a retrieval', location, effect: null };
  try {
    const reply = await context.client.send(
      new GetJobOutputCommand({ ...addressOf(location), jobId, range: `bytes=${range.start}-${range.end - 1}` }),
    );
    if (reply.body === undefined) throw new MoraineError('VAULT_REFUSED', 'The service answered without a body.');
    const bytes = await reply.body.transformToByteArray();
    if (bytes.byteLength !== range.end - range.start) {
      throw new MoraineError(
        'VAULT_CHECKSUM',
        `The vault sent ${bytes.byteLength} bytes of ${range.end - range.start}.`,
        { hint: OTHER_BYTES_HINT },
      );
    }
    if (reply.checksum !== undefined && reply.checksum !== treeHash(bytes)) {
      throw new MoraineError(
        'VAULT_CHECKSUM',
        `The vault sent other bytes ${range.start}-${range.end} than it stored.`,
        {
          hint: OTHER_BYTES_HINT,
          ids: { vault: location.name },
        },
      );
    }
    return bytes;
  } catch (error) {
    if (isServiceError(error, 'InvalidParameterValueException')) {
      const job = await describeJob(context, location, jobId);
      if (job !== null && job.Completed !== true) throw notReady(location, jobId);
    }
    throw translateError(error, reading);
  }
}

async function* readEntries(
  context: GlacierContext,
  location: VaultLocation,
  jobId: string,
  bytes: number,
): AsyncGenerator<InventoryEntry> {
  const reader = new InventoryReader();
  for await (const chunk of readChunks(context, location, jobId, bytes)) {
    for (const archive of reader.push(chunk)) yield entryOf(archive);
  }
  reader.end();
}

async function* readChunks(
  context: GlacierContext,
  location: VaultLocation,
  jobId: string,
  bytes: number,
): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes; start += INVENTORY_CHUNK_BYTES) {
    yield await readRetrieval(context, location, jobId, { start, end: Math.min(start + INVENTORY_CHUNK_BYTES, bytes) });
  }
}

function entryOf(archive: InventoryArchive): InventoryEntry {
  const description = archive.ArchiveDescription ?? '';
  return {
    vaultArchiveId: archive.ArchiveId,
    intent: readIntent(description),
    description,
    bytes: archive.Size,
    treeHash: archive.SHA256TreeHash ?? null,
    createdAt: new Date(archive.CreationDate),
  };
}

/** Null when the job is not known any more. */
async function describeJob(
  context: GlacierContext,
  location: VaultLocation,
  jobId: string,
): Promise<GlacierJobDescription | null> {
  try {
    return await context.client.send(new DescribeJobCommand({ ...addressOf(location), jobId }));
  } catch (error) {
    if (isServiceError(error, 'ResourceNotFoundException')) return null;
    throw translateError(error, { what: 'ask for the state of a job', location, effect: null });
  }
}

function notReady(location: VaultLocation, jobId: string): MoraineError {
  return new MoraineError('RETRIEVAL_NOT_READY', `The job has no output yet or any more in vault ${location.name}.`, {
    ids: { vault: location.name, job: jobId },
  });
}
