/**
 * Export: everything that is kept of one customer of one owner, given out as it came. The source's records are read
 * first and the archives listed after them: a record that is archived meanwhile is in one of the two, never in none.
 * When all is written, everything is looked at once more, so that what changed meanwhile is told. Reads only.
 */
import { createHash, hash } from 'node:crypto';
import { encodeSignature } from '../archive/manifest.ts';
import { MoraineError } from '../errors.ts';
import { type ArchiveId, type CustomerId, type Namespace, type OwnerId, partyId } from '../ids.ts';
import type { ArchiveKey, WrappedKey } from '../keys/port.ts';
import { findArchives } from '../ledger/archives.ts';
import { auditHead } from '../ledger/audit.ts';
import { policyVersion, toShape } from '../policy/policy.ts';
import type { DatasetShape, Partition, RawRecord } from '../source/port.ts';
import { assertNotStopped, type Context } from './context.ts';
import { exportArchive } from './export-archive.ts';
import {
  type ExportedArchive,
  type ExportedCollection,
  type ExportFile,
  type ExportFormat,
  encodeExportManifest,
} from './export-manifest.ts';
import { type ReadCollection, SourceReading } from './export-source.ts';
import { policiesToRun } from './published.ts';

/** The documents of one collection, in every format of the export. */
export interface ExportSink {
  /** In order; may be called any number of times. */
  write(documents: readonly Uint8Array[]): Promise<void>;
  /** Nothing more comes. Returns the files, with their hashes; none where nothing was written. */
  close(): Promise<readonly ExportFile[]>;
  /** After `close`: what was written, in order, at most 1,000 documents at a time. */
  readBack(): AsyncIterable<readonly RawRecord[]>;
}

/** What is known of a file that hangs on a record, as a line of the index has it. */
export type AttachmentLine = Readonly<Record<string, string | number | null>>;

export interface AttachmentSink {
  /** Writes one file as it streams, and its line. */
  write(about: AttachmentLine, parts: AsyncIterable<Uint8Array>): Promise<{ readonly bytes: number }>;
  /** Nothing more comes. The index alone is returned: it has the hash of every file. */
  close(): Promise<readonly ExportFile[]>;
}

/** Where an export goes. Until `finish` nothing has the name that was asked for. */
export interface ExportFolder {
  readonly formats: readonly ExportFormat[];
  /** A collection of the source, or the part of one that an archive holds. */
  open(of: { readonly archive: ArchiveId | null; readonly namespace: Namespace }): Promise<ExportSink>;
  /** Files that hang on records of the source, or of an archive. */
  attachments(archive: ArchiveId | null): AttachmentSink;
  /** Removes what was written of an archive that turned out to be damaged. */
  discardArchive(archive: ArchiveId): Promise<void>;
  /** Everything is written: puts manifest and signature beside it and gives it its name. */
  finish(manifest: Uint8Array, signature: Uint8Array): Promise<void>;
  discard(): Promise<void>;
}

export interface ExportSubject {
  readonly owner: OwnerId;
  readonly customer: CustomerId;
}

/** Unwraps an archive key with an administrator's identity; it runs in the administrator's process only. */
export type OpenKey = (wrapped: WrappedKey) => Promise<ArchiveKey>;

export interface ExportReport extends ExportSubject {
  readonly export: string;
  readonly collections: readonly ExportedCollection[];
  readonly archives: readonly ExportedArchive[];
  readonly files: readonly ExportFile[];
  /** Of manifest.json. */
  readonly manifestSha256: string;
}

/** Every trigger that there is. */
export const EVER = Number.MAX_VALUE;

/** Writes everything of the customer into the folder. Throws CUSTOMER_UNKNOWN where there is nothing. */
export async function exportCustomer(
  context: Context,
  subject: ExportSubject,
  folder: ExportFolder,
  openKey: OpenKey | null,
): Promise<ExportReport> {
  const id = context.newId();
  const startedAt = context.clock.now();
  const named = { owner: subject.owner, customer: subject.customer, export: id };
  const entry = { act: 'customer export', subject: named } as const;
  await context.audit.append([
    { ...entry, phase: 'intent', details: { formats: [...folder.formats], withIdentity: openKey !== null } },
  ]);
  const read = await readSource(context, subject, folder);
  const archives: { readonly told: ExportedArchive; readonly files: readonly ExportFile[] }[] = [];
  for await (const archive of findArchives(context.store, { ...subject, state: { $ne: 'abandoned' } })) {
    assertNotStopped(context);
    const exported = await exportArchive(context, archive, folder, openKey);
    if (exported !== null) archives.push(exported);
  }
  if (read.length === 0 && archives.length === 0) throw customerUnknown(subject);
  const collections: ExportedCollection[] = [];
  for (const one of read) collections.push(await lookAgain(context, one));
  const files = distinct([...read.flatMap((one) => one.files), ...archives.flatMap((one) => one.files)]);
  const head = await auditHead(context.store);
  const manifest = encodeExportManifest({
    installation: context.installation.id,
    environment: context.installation.environment,
    export: id,
    ...subject,
    formats: [...folder.formats],
    startedAt: startedAt.toISOString(),
    endedAt: context.clock.now().toISOString(),
    audit: head === null ? null : { seq: head.seq, hash: head.hash },
    collections,
    archives: archives.map(({ told }) => told),
    files: [...files],
  });
  const signature = encodeSignature(await context.keys.sign(manifest));
  await folder.finish(manifest, signature);
  const report = {
    ...subject,
    export: id,
    collections,
    archives: archives.map(({ told }) => told),
    files,
    manifestSha256: hash('sha256', manifest, 'hex'),
  };
  await context.audit.append([{ ...entry, phase: 'outcome', details: figuresOf(report) }]);
  return report;
}

/** Owners of which something of this customer is kept, in the source or in an archive. */
export async function ownersOfCustomer(context: Context, customer: CustomerId): Promise<readonly OwnerId[]> {
  const owners = new Set<OwnerId>();
  for await (const { owner } of findArchives(context.store, { customer, state: { $ne: 'abandoned' } }))
    owners.add(owner);
  for (const policy of await policiesToRun(context.store, null)) {
    const dataset = toShape(policy);
    for await (const partition of context.source.partitions(dataset, EVER))
      if (partition.customer === customer) owners.add(partition.owner);
  }
  return [...owners].sort();
}

async function readSource(
  context: Context,
  subject: ExportSubject,
  folder: ExportFolder,
): Promise<readonly ReadCollection[]> {
  const reading = new SourceReading(context, folder);
  for (const policy of await policiesToRun(context.store, null)) {
    const partition = partitionOf(toShape(policy), subject);
    if (partition !== null) await reading.read(policy, partition);
  }
  return await reading.end();
}

/** Null where the dataset belongs to another owner or customer as a whole. */
export function partitionOf(dataset: DatasetShape, { owner, customer }: ExportSubject): Partition | null {
  if ('value' in dataset.owner && partyId(dataset.owner.value) !== owner) return null;
  if ('value' in dataset.customer && partyId(dataset.customer.value) !== customer) return null;
  return { dataset, owner, customer };
}

/** Records of the owner and customer whose trigger cannot be used: no policy would ever find them, and they are theirs. */
export async function* withoutTrigger(
  { source }: Context,
  { dataset, owner, customer }: Partition,
): AsyncGenerator<readonly RawRecord[]> {
  yield* source.unfit(dataset, { owner, customer });
}

/** Compares what was written with what is there now. */
async function lookAgain(context: Context, read: ReadCollection): Promise<ExportedCollection> {
  const { policy, partition, collection, part, sink, records, counted, bytes, leftOut } = read;
  const told = {
    policy: policy.name,
    policyVersion: policyVersion(policy),
    collection,
    part,
    records,
    bytes,
    leftOut,
    files: read.files.map(({ path }) => path),
  };
  if (sink === null) return { ...told, whileItRan: { changed: 0, gone: 0, came: 0 } };
  let changed = 0;
  let gone = 0;
  for await (const batch of sink.readBack()) {
    assertNotStopped(context);
    const now = await context.source.readByIds(
      collection,
      batch.map(({ idBytes }) => idBytes),
    );
    for (const { key, raw } of batch) {
      const there = now.get(key);
      if (there === undefined) gone += 1;
      else if (!digest(there.raw).equals(digest(raw))) changed += 1;
    }
  }
  if (part !== 'records') return { ...told, whileItRan: { changed, gone, came: 0 } };
  const { records: there } = await context.source.summarise(partition, { before: EVER });
  return { ...told, whileItRan: { changed, gone, came: Math.max(0, there - (counted - gone)) } };
}

function digest(raw: Uint8Array): Buffer {
  return createHash('sha256').update(raw).digest();
}

/** Two policies may have children in one collection: its files are one. */
function distinct(files: readonly ExportFile[]): readonly ExportFile[] {
  return [...new Map(files.map((file) => [file.path, file])).values()];
}

function figuresOf({ collections, archives, files, manifestSha256 }: ExportReport) {
  const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);
  return {
    records: sum(collections.map((one) => one.records)),
    changed: sum(collections.map(({ whileItRan }) => whileItRan.changed + whileItRan.gone + whileItRan.came)),
    archives: archives.filter(({ outcome }) => outcome === 'exported').length,
    archivesLeftOut: archives.filter(({ outcome }) => outcome !== 'exported').length,
    bytes: sum(files.map((one) => one.bytes)),
    manifestSha256,
  };
}

function customerUnknown({ owner, customer }: ExportSubject): MoraineError {
  return new MoraineError('CUSTOMER_UNKNOWN', `Nothing is kept of customer ${customer} of owner ${owner}.`, {
    ids: { owner, customer },
  });
}
