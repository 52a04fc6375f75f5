/**
 * The proof that an export was written completely and is still what was written: every file with its SHA-256, under a
 * manifest that this installation signed. Nothing of a customer who leaves is destroyed without it.
 */
import { decodeSignature } from '../archive/manifest.ts';
import type { RawRecord } from '../source/port.ts';
import type { Context } from './context.ts';
import type { AttachmentLine, ExportSubject } from './export-customer.ts';
import {
  EXPORT_MANIFEST,
  EXPORT_SIGNATURE,
  type ExportManifest,
  exportCorrupt,
  isAttachmentsIndex,
} from './export-manifest.ts';

/** A folder that an export was written into. */
export interface WrittenExport {
  /** Reads every file. What is missing, changed or was added is in `findings`. Throws EXPORT_CORRUPT where there is no manifest. */
  verify(): Promise<{
    readonly manifest: ExportManifest;
    readonly manifestBytes: Uint8Array;
    readonly manifestSha256: string;
    readonly signature: Uint8Array;
    readonly findings: readonly { readonly path: string; readonly problem: string }[];
  }>;
  /**
   * The documents of a file, at most 1,000 at a time, in order. Throws EXPORT_CORRUPT at its end when the bytes that were
   * read are not those of the manifest: whoever acts on them waits for the end.
   */
  documents(path: string): AsyncIterable<readonly RawRecord[]>;
  /** The lines of an index of attachments, in order. Throws as `documents` does. */
  attachments(index: string): AsyncIterable<AttachmentLine>;
}

export class VerifiedExport {
  readonly manifest: ExportManifest;
  readonly manifestSha256: string;
  readonly #written: WrittenExport;

  private constructor(written: WrittenExport, manifest: ExportManifest, manifestSha256: string) {
    this.#written = written;
    this.manifest = manifest;
    this.manifestSha256 = manifestSha256;
  }

  /** Throws EXPORT_CORRUPT: a file is not what it was, the signature is not ours, or it is an export of somebody else. */
  static async of(context: Context, written: WrittenExport, subject: ExportSubject): Promise<VerifiedExport> {
    const { manifest, manifestBytes, manifestSha256, signature, findings } = await written.verify();
    const [finding] = findings;
    if (finding !== undefined) throw exportCorrupt(finding.path, `it is ${finding.problem}`);
    if (!(await context.keys.verify(manifestBytes, decodeSignature(signature)))) {
      throw exportCorrupt(EXPORT_MANIFEST, `it is not what ${EXPORT_SIGNATURE} signs`);
    }
    const { installation, owner, customer } = manifest;
    if (installation !== context.installation.id || owner !== subject.owner || customer !== subject.customer) {
      throw exportCorrupt(EXPORT_MANIFEST, `it is the export of customer ${customer} of owner ${owner}`);
    }
    return new VerifiedExport(written, manifest, manifestSha256);
  }

  /** See {@link WrittenExport}. Nothing for a collection that has no BSON file. */
  async *documents(files: readonly string[]): AsyncGenerator<readonly RawRecord[]> {
    for (const path of files) if (path.endsWith('.bson')) yield* this.#written.documents(path);
  }

  /** See {@link WrittenExport}. */
  async *attachments(files: readonly string[]): AsyncGenerator<AttachmentLine> {
    for (const path of files) if (isAttachmentsIndex(path)) yield* this.#written.attachments(path);
  }
}
