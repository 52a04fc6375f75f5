/**
 * manifest.json of an export: what was read when, under which policies, and every file with its SHA-256. It is signed,
 * and holds ids and counts only.
 */
import { z } from 'zod';
import { MoraineError } from '../errors.ts';

export const EXPORT_MANIFEST = 'manifest.json';
export const EXPORT_SIGNATURE = 'manifest.sig';
const FORMAT = 'moraine-export';
/** Holds files by their number, and an index with a line for each, which stands for it in the manifest. */
export const ATTACHMENTS_FOLDER = 'moraine-attachments';
export const ATTACHMENTS_INDEX = 'index.jsonl';
export const EXPORT_FORMATS = ['bson', 'jsonl'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

const name = z.string().min(1);
const count = z.int().nonnegative();
const instant = z.iso.datetime();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const fileSchema = z.strictObject({
  /** Below the folder, with `/`. */
  path: name,
  bytes: count,
  sha256,
  records: count,
});

/** A line of the index of attachments: where the file is in the export, and where it was. */
const attachmentLineSchema = z
  .object({ file: name, bytes: count, sha256 })
  .catchall(z.union([z.string(), z.number(), z.null()]));

const collectionSchema = z.strictObject({
  policy: name,
  policyVersion: name,
  collection: name,
  /** Of what: the records themselves, or what hangs on them. */
  part: z.enum(['records', 'children', 'attachments']),
  records: count,
  bytes: count,
  /** Children of another owner or customer, and attachments that are missing: the export does not hold them. */
  leftOut: count,
  /** Since they were read, by a second look when everything was written. `came`: of records only. */
  whileItRan: z.strictObject({ changed: count, gone: count, came: count }),
  files: z.array(name),
});

/** Why the records of an archive are in the export or not. */
export const ARCHIVE_EXPORTS = [
  'exported',
  'damaged',
  'no identity',
  'other administrator',
  'not retrieved',
  'retrieval not ready',
  'in quarantine',
  'being cleared',
  'being purged',
  'not sealed',
] as const;

const archiveSchema = z.strictObject({
  archive: name,
  policy: name,
  policyVersion: name,
  collection: name,
  state: name,
  outcome: z.enum(ARCHIVE_EXPORTS),
  /** In the archive, and of them void: not exported. */
  records: count,
  void: count,
  files: z.array(name),
});

const manifestSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(1),
  installation: name,
  environment: name,
  export: name,
  owner: name,
  customer: name,
  formats: z.array(z.enum(EXPORT_FORMATS)),
  startedAt: instant,
  endedAt: instant,
  audit: z.strictObject({ seq: count, hash: name }).nullable(),
  collections: z.array(collectionSchema),
  archives: z.array(archiveSchema),
  files: z.array(fileSchema),
});

export type ExportFile = Readonly<z.infer<typeof fileSchema>>;
export type ExportedCollection = Readonly<z.infer<typeof collectionSchema>>;
export type ExportedArchive = Readonly<z.infer<typeof archiveSchema>>;
export type ExportManifest = Readonly<z.infer<typeof manifestSchema>>;

export function isAttachmentsIndex(path: string): boolean {
  return `/${path}`.endsWith(`/${ATTACHMENTS_FOLDER}/${ATTACHMENTS_INDEX}`);
}

/** A line of `index.jsonl`. Throws EXPORT_CORRUPT. */
export function decodeAttachmentLine(path: string, line: string): z.infer<typeof attachmentLineSchema> {
  try {
    return attachmentLineSchema.parse(JSON.parse(line));
  } catch (cause) {
    throw exportCorrupt(path, 'a line of it is not one of the index', cause);
  }
}

export function encodeExportManifest(manifest: Omit<ExportManifest, 'format' | 'version'>): Uint8Array {
  const value = manifestSchema.parse({ format: FORMAT, version: 1, ...manifest });
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`, 'utf8');
}

/** Throws EXPORT_CORRUPT. Says nothing about the signature. */
export function decodeExportManifest(bytes: Uint8Array): ExportManifest {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw exportCorrupt(EXPORT_MANIFEST, 'it is not JSON', cause);
  }
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw exportCorrupt(
    EXPORT_MANIFEST,
    `${issue?.path.join('.') || 'its form'}: ${issue?.message ?? 'not as expected'}`,
  );
}

export function exportCorrupt(file: string, why: string, cause?: unknown): MoraineError {
  return new MoraineError('EXPORT_CORRUPT', `${file} of the export: ${why}.`, {
    ids: { file },
    ...(cause === undefined ? {} : { cause }),
  });
}
