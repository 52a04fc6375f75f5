/** The folder that an export is written into, in memory: it stays with whoever exported when the process is gone. */
import { createHash } from 'node:crypto';
import { pagesIn } from '../../../src/cli/bson-file.ts';
import type {
  AttachmentLine,
  AttachmentSink,
  ExportFolder,
  ExportSink,
  ExportSubject,
} from '../../../src/lifecycle/export-customer.ts';
import {
  ATTACHMENTS_FOLDER,
  ATTACHMENTS_INDEX,
  decodeExportManifest,
  type ExportFile,
} from '../../../src/lifecycle/export-manifest.ts';
import type { WrittenExport } from '../../../src/lifecycle/verified-export.ts';
import type { SourceRecord } from '../judge/observations.ts';
import { idText } from './servers.ts';

/** What was handed over. */
export interface ReturnedExport extends ExportSubject {
  readonly export: string;
  readonly written: WrittenExport;
}

/** What a folder holds when it has its name. */
export interface FinishedFolder {
  readonly export: string;
  readonly manifestSha256: string;
  readonly written: WrittenExport;
  readonly records: readonly SourceRecord[];
  readonly archives: ReadonlyMap<string, readonly SourceRecord[]>;
}

/** `finished`: called when the folder gets its name, and not before. */
export function memoryFolder(finished: (folder: FinishedFolder) => Promise<void>): ExportFolder {
  const sinks: MemorySink[] = [];
  const indexes = new Map<string, readonly AttachmentLine[]>();
  return {
    formats: ['bson'],
    open: async (of) => {
      const sink = new MemorySink(of.archive, of.namespace);
      sinks.push(sink);
      return sink;
    },
    attachments: (archive) => attachmentsOf(`${archive ?? 'source'}/${ATTACHMENTS_FOLDER}`, indexes),
    discardArchive: async (archive) => {
      for (const sink of sinks) if (sink.archive === archive) sink.documents.length = 0;
    },
    finish: async (manifest, signature) => {
      const archives = new Map<string, readonly SourceRecord[]>();
      for (const { archive, records } of sinks)
        if (archive !== null) archives.set(archive, [...(archives.get(archive) ?? []), ...records]);
      await finished({
        export: decodeExportManifest(manifest).export,
        manifestSha256: sha256(manifest),
        written: writtenOf(sinks, indexes, manifest, signature),
        records: sinks.filter(({ archive }) => archive === null).flatMap(({ records }) => records),
        archives,
      });
    },
    discard: async () => undefined,
  };
}

class MemorySink implements ExportSink {
  readonly archive: string | null;
  readonly namespace: string;
  readonly documents: Uint8Array[] = [];

  constructor(archive: string | null, namespace: string) {
    this.archive = archive;
    this.namespace = namespace;
  }

  get path(): string {
    return `${this.archive ?? 'source'}/${this.namespace}.bson`;
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.documents);
  }

  get records(): readonly SourceRecord[] {
    return this.documents.map((bytes) => ({ namespace: this.namespace, id: idText(bytes), bytes }));
  }

  async write(documents: readonly Uint8Array[]): Promise<void> {
    this.documents.push(...documents.map((document) => Uint8Array.from(document)));
  }

  async close(): Promise<readonly ExportFile[]> {
    if (this.documents.length === 0) return [];
    const { path, bytes } = this;
    return [{ path, bytes: bytes.length, sha256: sha256(bytes), records: this.documents.length }];
  }

  async *readBack() {
    yield* pagesIn(chunksOf(this.bytes));
  }
}

/** Their bytes are read and counted; the index alone is a file of the manifest. */
function attachmentsOf(folder: string, indexes: Map<string, readonly AttachmentLine[]>): AttachmentSink {
  const lines: AttachmentLine[] = [];
  return {
    write: async (about, parts) => {
      let bytes = 0;
      for await (const part of parts) bytes += part.length;
      lines.push({ ...about, bytes });
      return { bytes };
    },
    close: async () => {
      if (lines.length === 0) return [];
      const index = Buffer.from(lines.map((line) => JSON.stringify(line)).join('\n'));
      const path = `${folder}/${ATTACHMENTS_INDEX}`;
      indexes.set(path, lines);
      return [{ path, bytes: index.length, sha256: sha256(index), records: lines.length }];
    },
  };
}

function writtenOf(
  sinks: readonly MemorySink[],
  indexes: ReadonlyMap<string, readonly AttachmentLine[]>,
  manifestBytes: Uint8Array,
  signature: Uint8Array,
): WrittenExport {
  const files = new Map(sinks.map((sink) => [sink.path, sink.bytes] as const));
  return {
    verify: async () => {
      const manifest = decodeExportManifest(manifestBytes);
      return { manifest, manifestBytes, manifestSha256: sha256(manifestBytes), signature, findings: [] };
    },
    documents: (path) => pagesIn(chunksOf(files.get(path) ?? new Uint8Array())),
    attachments: async function* (path) {
      for (const line of indexes.get(path) ?? []) yield line;
    },
  };
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
