import { z } from 'zod';
import { archiveNotFound, invalidParameter, inventoryNotFound, missingParameter, serialization } from './errors.ts';
import { newJobId } from './identifiers.ts';
import { lastInventory } from './inventory.ts';
import { checkDescription, readCount } from './limits.ts';
import { checkTopic } from './notification-operations.ts';
import type { ArchiveRecord, ArchiveRetrieval, InventoryRetrieval, JobRecord } from './records.ts';
import { MIB } from './tree-hash.ts';
import type { Vault } from './vault.ts';

/** What a job is asked to do: checked, and made into the record of the job. */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** The longest that the service's documentation calls typical. */
const DELAY_MS = { Expedited: 5 * MINUTE_MS, Standard: 5 * HOUR_MS, Bulk: 12 * HOUR_MS };
const INVENTORY_DELAY_MS = 4 * HOUR_MS;
/** From here on an expedited retrieval is not a matter of minutes. */
const LARGE_BYTES = 250_000_000;

/** A time in UTC to the second or finer, as the documentation writes it. */
const ISO_DATE = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})$/;

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
      // Older clients send a number.
      Limit: z.union([z.string(), z.number().transform(String)]).nullish(),
      Marker: z.string().nullish(),
    })
    .nullish(),
  SelectParameters: z.unknown().optional(),
  OutputLocation: z.unknown().optional(),
});
export type JobParameters = z.output<typeof parametersSchema>;
const tierSchema = z.enum(['Expedited', 'Standard', 'Bulk']);
const formatSchema = z.enum(['JSON', 'CSV']);

export function readJobParameters(json: unknown): JobParameters {
  const parsed = parametersSchema.safeParse(json);
  if (!parsed.success) throw serialization('The body does not have the form of job parameters');
  return parsed.data;
}

/** The job that these parameters ask for, as it would start now. */
export function newJob(vault: Vault, parameters: JobParameters, nowMs: number): JobRecord {
  if (parameters.SelectParameters != null || parameters.OutputLocation != null) {
    throw invalidParameter('SelectParameters and OutputLocation are for select jobs, which are not offered any more');
  }
  switch (parameters.Type) {
    case 'archive-retrieval':
      return archiveRetrieval(vault, parameters, nowMs);
    case 'inventory-retrieval':
      return inventoryRetrieval(vault, parameters, nowMs);
    case null:
    case undefined:
      throw missingParameter('Type');
    default:
      // Select too: the service does not offer it any more.
      throw invalidParameter(`Invalid job type: ${parameters.Type}`);
  }
}

function archiveRetrieval(vault: Vault, parameters: JobParameters, nowMs: number): ArchiveRetrieval {
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

function inventoryRetrieval(vault: Vault, parameters: JobParameters, nowMs: number): InventoryRetrieval {
  if (parameters.ArchiveId != null) throw invalidParameter('ArchiveId is for archive-retrieval jobs only');
  if (parameters.RetrievalByteRange != null) {
    throw invalidParameter('RetrievalByteRange is for archive-retrieval jobs only');
  }
  const format = formatSchema.safeParse(parameters.Format ?? 'JSON');
  if (!format.success) throw invalidParameter(`Invalid format: ${parameters.Format}`);
  const inventory = lastInventory(vault.record, vault.archives.values(), nowMs);
  if (inventory === null) throw inventoryNotFound(vault.arn);
  const filter = parameters.InventoryRetrievalParameters ?? {};
  const startDateMs = readDate('StartDate', filter.StartDate ?? null);
  const endDateMs = readDate('EndDate', filter.EndDate ?? null);
  if (startDateMs !== null && endDateMs !== null && startDateMs >= endDateMs) {
    throw invalidParameter(`StartDate must be before EndDate: ${filter.StartDate}, ${filter.EndDate}`);
  }
  return {
    ...jobBase(parameters, nowMs, INVENTORY_DELAY_MS),
    action: 'InventoryRetrieval',
    inventoryAtMs: inventory.atMs,
    format: format.data,
    startDateMs,
    endDateMs,
    limit: readLimit(filter.Limit ?? null),
    marker: readMarker(filter.Marker ?? null, inventory.archives),
  };
}

/** How long a retrieval takes by the clock. */
export function retrievalDelayMs(tier: keyof typeof DELAY_MS, archiveBytes: number): number {
  return tier === 'Expedited' && archiveBytes >= LARGE_BYTES ? DELAY_MS.Standard : DELAY_MS[tier];
}

const jobBase = (parameters: JobParameters, nowMs: number, delayMs: number) => ({
  id: newJobId(),
  description: parameters.Description == null ? null : checkDescription(parameters.Description),
  topic: parameters.SNSTopic == null ? null : checkTopic(parameters.SNSTopic),
  isAnnounced: false,
  createdAtMs: nowMs,
  completesAtMs: nowMs + delayMs,
});

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

function readDate(name: string, text: string | null): number | null {
  if (text === null) return null;
  const atMs = ISO_DATE.test(text) ? Date.parse(text) : Number.NaN;
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
