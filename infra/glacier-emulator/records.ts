import { z } from 'zod';

/**
 * What is kept on disk, one JSON file each. Times are milliseconds of the emulator's clock since the epoch.
 */

export const vaultSchema = z.object({
  name: z.string(),
  region: z.string(),
  createdAtMs: z.number(),
  tags: z.record(z.string(), z.string()),
});
export type VaultRecord = z.output<typeof vaultSchema>;

/** A piece of an archive: a file in `bodies`. An archive of a multipart upload keeps its parts as they came. */
const segmentSchema = z.object({ file: z.string(), bytes: z.number() });
export type Segment = z.output<typeof segmentSchema>;

export const archiveSchema = z.object({
  id: z.string(),
  description: z.string(),
  bytes: z.number(),
  treeHash: z.string(),
  /** The leaves of the tree hash, 32 bytes each, in base64. */
  leaves: z.string(),
  segments: z.array(segmentSchema),
  createdAtMs: z.number(),
  /** A deleted archive stays as a tombstone: deleting it again is no error, and old inventories still list it. */
  deletedAtMs: z.number().nullable(),
});
export type ArchiveRecord = z.output<typeof archiveSchema>;

export const uploadSchema = z.object({
  id: z.string(),
  /**
   * Chosen when the upload starts, so that completing is ONE write, that of the archive: after a kill the upload is
   * either complete or as it was, and completing it again finds the same archive.
   */
  archiveId: z.string(),
  description: z.string(),
  partBytes: z.number(),
  createdAtMs: z.number(),
  abortedAtMs: z.number().nullable(),
});
export type UploadRecord = z.output<typeof uploadSchema>;

export const partSchema = z.object({
  start: z.number(),
  bytes: z.number(),
  treeHash: z.string(),
  leaves: z.string(),
  file: z.string(),
  uploadedAtMs: z.number(),
});
export type PartRecord = z.output<typeof partSchema>;

const jobCommon = {
  id: z.string(),
  description: z.string().nullable(),
  createdAtMs: z.number(),
  completesAtMs: z.number(),
};

export const jobSchema = z.discriminatedUnion('action', [
  z.object({
    ...jobCommon,
    action: z.literal('ArchiveRetrieval'),
    tier: z.enum(['Expedited', 'Standard', 'Bulk']),
    archiveId: z.string(),
    /** First and last byte of the archive that are retrieved. */
    start: z.number(),
    end: z.number(),
  }),
  z.object({
    ...jobCommon,
    action: z.literal('InventoryRetrieval'),
    /** The inventory that the job returns: the vault's last one when the job was initiated. */
    inventoryAtMs: z.number(),
    format: z.enum(['JSON', 'CSV']),
    startDateMs: z.number().nullable(),
    endDateMs: z.number().nullable(),
    limit: z.number().nullable(),
    marker: z.string().nullable(),
  }),
]);
export type JobRecord = z.output<typeof jobSchema>;
export type ArchiveRetrieval = Extract<JobRecord, { action: 'ArchiveRetrieval' }>;
export type InventoryRetrieval = Extract<JobRecord, { action: 'InventoryRetrieval' }>;
