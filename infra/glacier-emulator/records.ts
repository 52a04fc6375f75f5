import { z } from 'zod';

/**
 * What is kept on disk, one JSON file each. Times are milliseconds of the emulator's clock since the epoch.
 */

export const notificationEvents = ['ArchiveRetrievalCompleted', 'InventoryRetrievalCompleted'] as const;

export const vaultSchema = z.object({
  name: z.string(),
  region: z.string(),
  createdAtMs: z.number(),
  tags: z.record(z.string(), z.string()),
  /** The policy as its author wrote it: JSON text, checked when it came. */
  accessPolicy: z.string().nullable().default(null),
  lock: z
    .object({
      id: z.string(),
      policy: z.string(),
      createdAtMs: z.number(),
      /** Null while the lock is in progress: its day runs, and it can be aborted. */
      lockedAtMs: z.number().nullable(),
    })
    .nullable()
    .default(null),
  notifications: z
    .object({ topic: z.string(), events: z.array(z.enum(notificationEvents)), setAtMs: z.number() })
    .nullable()
    .default(null),
  /** Some job of this vault names a topic of its own: its jobs are looked at when time passes. */
  hasJobTopics: z.boolean().default(false),
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
  /** The topic that the job itself named. */
  topic: z.string().nullable().default(null),
  /** Every topic that wanted to know of the completion has been told, or none wanted to when it came. */
  isAnnounced: z.boolean().default(false),
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

/** What an account has in a region besides its vaults. */
export const regionSchema = z.object({
  retrievalPolicy: z.discriminatedUnion('strategy', [
    z.object({ strategy: z.literal('None') }),
    z.object({ strategy: z.literal('FreeTier') }),
    z.object({ strategy: z.literal('BytesPerHour'), bytesPerHour: z.number() }),
  ]),
  capacity: z.array(z.object({ id: z.string(), startMs: z.number(), expiresAtMs: z.number() })),
});
export type RegionRecord = z.output<typeof regionSchema>;
export type RetrievalPolicy = RegionRecord['retrievalPolicy'];
