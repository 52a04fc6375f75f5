/** The part of an export that is read from the source: records, the children of each batch after it, and files that hang on them. */

import type { AttachmentFacts } from '../attachment-facts.ts';
import { isMoraineError } from '../errors.ts';
import type { Namespace } from '../ids.ts';
import type { Policy } from '../policy/policy.ts';
import type { ChildShape, Partition, RawRecord } from '../source/port.ts';
import { assertNotStopped, type Context } from './context.ts';
import {
  type AttachmentLine,
  type AttachmentSink,
  EVER,
  type ExportFolder,
  type ExportSink,
  withoutTrigger,
} from './export-customer.ts';
import type { ExportedCollection, ExportFile } from './export-manifest.ts';
import { attachmentsOf } from './unit-reader.ts';

export interface ReadCollection {
  readonly policy: Policy;
  readonly partition: Partition;
  readonly collection: Namespace;
  readonly part: ExportedCollection['part'];
  /** Null for attachments, which are no documents. */
  readonly sink: ExportSink | null;
  readonly records: number;
  /** Of the records: those with a trigger, which can be counted at the server. */
  readonly counted: number;
  readonly bytes: number;
  readonly leftOut: number;
  readonly files: readonly ExportFile[];
}

interface Tally {
  readonly policy: Policy;
  readonly partition: Partition;
  readonly collection: Namespace;
  readonly part: ExportedCollection['part'];
  records: number;
  counted: number;
  bytes: number;
  leftOut: number;
}

export class SourceReading {
  readonly #context: Context;
  readonly #folder: ExportFolder;
  /** One for a collection, whoever has records in it. */
  readonly #sinks = new Map<Namespace, ExportSink>();
  readonly #tallies: Tally[] = [];
  #attachments: AttachmentSink | null = null;

  constructor(context: Context, folder: ExportFolder) {
    this.#context = context;
    this.#folder = folder;
  }

  /** Every record of the partition, due or not, and what hangs on it. */
  async read(policy: Policy, partition: Partition): Promise<void> {
    const { dataset } = partition;
    const of = { policy, partition };
    const records = this.#tally({ ...of, collection: dataset.namespace, part: 'records' });
    const children = (dataset.children ?? []).map((child) => ({
      child,
      tally: this.#tally({ ...of, collection: child.collection, part: 'children' }),
    }));
    const files =
      dataset.attachments === undefined
        ? null
        : this.#tally({ ...of, collection: dataset.namespace, part: 'attachments' });
    const take = async (batch: readonly RawRecord[]) => {
      assertNotStopped(this.#context);
      await this.#write(records, batch);
      for (const { child, tally } of children) await this.#readChildren(partition, child, batch, tally);
      if (files !== null) await this.#readAttachments(partition, batch, files);
    };
    const range = { after: null, upTo: null, before: EVER };
    for await (const batch of this.#context.source.scan(partition, range, this.#context.signal)) await take(batch);
    records.counted = records.records;
    for await (const batch of withoutTrigger(this.#context, partition)) await take(batch);
  }

  /** Closes the files. What nothing was read of is left out. */
  async end(): Promise<readonly ReadCollection[]> {
    const files = new Map<Namespace, readonly ExportFile[]>();
    for (const [collection, sink] of this.#sinks) files.set(collection, await sink.close());
    const index = (await this.#attachments?.close()) ?? [];
    return this.#tallies.flatMap((tally) => {
      if (tally.records + tally.leftOut === 0) return [];
      if (tally.part === 'attachments') return [{ ...tally, sink: null, files: index }];
      return [{ ...tally, sink: this.#sinks.get(tally.collection) ?? null, files: files.get(tally.collection) ?? [] }];
    });
  }

  #tally(of: Pick<Tally, 'policy' | 'partition' | 'collection' | 'part'>): Tally {
    const tally = { ...of, records: 0, counted: 0, bytes: 0, leftOut: 0 };
    this.#tallies.push(tally);
    return tally;
  }

  async #write(tally: Tally, batch: readonly RawRecord[]): Promise<void> {
    if (batch.length === 0) return;
    let sink = this.#sinks.get(tally.collection);
    if (sink === undefined) {
      sink = await this.#folder.open({ archive: null, namespace: tally.collection });
      this.#sinks.set(tally.collection, sink);
    }
    await sink.write(batch.map(({ raw }) => raw));
    tally.records += batch.length;
    for (const { raw } of batch) tally.bytes += raw.length;
  }

  /** A child of another owner or customer is not given out with the root that it hangs on. */
  async #readChildren(
    { owner, customer }: Partition,
    child: ChildShape,
    roots: readonly RawRecord[],
    tally: Tally,
  ): Promise<void> {
    const { source } = this.#context;
    const parents = roots.flatMap(({ raw }) => source.parentOf(child, raw) ?? []);
    if (parents.length === 0) return;
    for await (const batch of source.children(child, parents)) {
      const theirs = batch.filter(({ raw }) => source.isOfParty(child, raw, { owner, customer }));
      tally.leftOut += batch.length - theirs.length;
      await this.#write(tally, theirs);
    }
  }

  async #readAttachments({ dataset }: Partition, roots: readonly RawRecord[], tally: Tally): Promise<void> {
    const attachments = attachmentsOf(this.#context);
    for (const { raw, key } of roots) {
      assertNotStopped(this.#context);
      const answer = await attachments.find(dataset, raw);
      if ('problem' in answer) {
        tally.leftOut += 1;
        continue;
      }
      for (const found of answer.found) {
        this.#attachments ??= this.#folder.attachments(null);
        const about = { record: key, ...attachmentLine(found.facts) };
        try {
          const { bytes } = await this.#attachments.write(about, attachments.read(found));
          tally.records += 1;
          tally.bytes += bytes;
        } catch (error) {
          if (!isMoraineError(error, 'ATTACHMENT_CHANGED')) throw error;
          tally.leftOut += 1;
        }
      }
    }
  }
}

/** What is needed to put a file back where it was. */
export function attachmentLine(facts: AttachmentFacts): AttachmentLine {
  const hex = (value: Uint8Array) => Buffer.from(value).toString('hex');
  const { kind, bucket, about } = facts;
  return {
    kind,
    bucket,
    ...(facts.kind === 's3' ? { store: facts.store, key: facts.key, version: facts.version } : { id: hex(facts.key) }),
    about: hex(about),
  };
}
