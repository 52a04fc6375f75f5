/** Attachments of both kinds behind one port. */

import type { MongoClient } from 'mongodb';
import type { AttachmentFacts } from '../attachment-facts.ts';
import type { ClearingWarrant } from '../ledger/warrants.ts';
import type { AttachmentStore } from './attachment-store.ts';
import { GridFsAttachments } from './attachments-gridfs.ts';
import type { AttachedFile, AttachmentProblem, AttachmentsPort, FoundAttachment } from './attachments-port.ts';
import { S3Attachments } from './attachments-s3.ts';
import type { DatasetFinding, DatasetShape } from './port.ts';

export class Attachments implements AttachmentsPort {
  readonly #gridfs: GridFsAttachments;
  readonly #s3: S3Attachments;

  /** @param client Closed by whoever opened it. */
  constructor(client: MongoClient, stores: ReadonlyMap<string, AttachmentStore>) {
    this.#gridfs = new GridFsAttachments(client);
    this.#s3 = new S3Attachments(stores);
  }

  async find(
    dataset: DatasetShape,
    raw: Uint8Array,
  ): Promise<{ readonly found: readonly FoundAttachment[] } | { readonly problem: AttachmentProblem }> {
    const all: FoundAttachment[] = [];
    for (const rule of dataset.attachments ?? []) {
      if (rule.kind === 's3') {
        const answer = await this.#s3.find(rule, raw);
        if ('problem' in answer) return answer;
        all.push(...answer.found);
      } else {
        const found = await this.#gridfs.find(rule, dataset, raw);
        if (found === null) return { problem: 'attachment-missing' };
        all.push(...found);
      }
    }
    return { found: all };
  }

  read(found: FoundAttachment): AsyncIterable<Uint8Array> {
    return found.kind === 's3' ? this.#s3.read(found) : this.#gridfs.read(found);
  }

  async isSame(file: AttachedFile): Promise<boolean> {
    return file.kind === 's3' ? await this.#s3.isSame(file) : await this.#gridfs.isSame(file);
  }

  async remove(file: AttachedFile, warrant: ClearingWarrant): Promise<'deleted' | 'changed' | 'locked'> {
    return file.kind === 's3' ? await this.#s3.remove(file, warrant) : await this.#gridfs.remove(file, warrant);
  }

  async putBack(facts: AttachmentFacts, bytes: AsyncIterable<Uint8Array>): Promise<'inserted' | 'existing'> {
    return facts.kind === 's3' ? await this.#s3.putBack(facts, bytes) : await this.#gridfs.putBack(facts, bytes);
  }

  async inspect(dataset: DatasetShape): Promise<readonly DatasetFinding[]> {
    const findings: DatasetFinding[] = [];
    for (const rule of dataset.attachments ?? []) {
      findings.push(...(rule.kind === 's3' ? await this.#s3.inspect(rule) : await this.#gridfs.inspect(rule, dataset)));
    }
    return findings;
  }

  close(): void {
    this.#s3.close();
  }
}
