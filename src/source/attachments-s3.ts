/**
 * Attachments in S3, each by its version: what was archived is what is read and deleted, whatever stands under the key by
 * then. A record that names no version means the newest, so a newer one makes it another file. A bucket without versions
 * cannot say that, so an exclusive attachment there is refused.
 */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { deserialize, serialize } from 'bson';
import type { AttachmentFacts } from '../attachment-facts.ts';
import { MoraineError } from '../errors.ts';
import type { ClearingWarrant } from '../ledger/warrants.ts';
import { namedObjects } from './attachment-fields.ts';
import type { AttachmentStore } from './attachment-store.ts';
import type { AttachedFile, AttachmentProblem, FoundAttachment } from './attachments-port.ts';
import { deleteUntil } from './attachments-s3-delete.ts';
import type { DatasetFinding } from './port.ts';
import type { AttachmentShape } from './unit-shape.ts';

type S3Rule = Extract<AttachmentShape, { readonly kind: 's3' }>;
type S3Facts = Extract<AttachmentFacts, { readonly kind: 's3' }>;
type Place = Pick<AttachedFile, 'store' | 'bucket' | 'key' | 'version'>;

/** A server that is there accepts a connection at once. */
const CONNECT_TIMEOUT_MS = 3_000;
/** Nothing came on the connection for this long: it is dead. */
const IDLE_TIMEOUT_MS = 60_000;
const MOST_ATTEMPTS = 3;

export class S3Attachments {
  readonly #stores: ReadonlyMap<string, AttachmentStore>;
  readonly #clients = new Map<string, S3Client>();

  constructor(stores: ReadonlyMap<string, AttachmentStore>) {
    this.#stores = stores;
  }

  async find(
    rule: S3Rule,
    raw: Uint8Array,
  ): Promise<{ readonly found: readonly FoundAttachment[] } | { readonly problem: AttachmentProblem }> {
    const named = namedObjects(rule, raw);
    if (named === null || !this.#stores.has(rule.store)) return { problem: 'attachment-unusable' };
    const found: FoundAttachment[] = [];
    for (const object of named) {
      const head = await this.#head({ ...object, store: rule.store });
      if (head === null) return { problem: 'attachment-missing' };
      const version = object.version ?? versionOf(head);
      if (version === null && rule.exclusive) return { problem: 'attachment-unusable' };
      const about = serialize({ contentType: head.ContentType ?? null, metadata: head.Metadata ?? {} });
      const place = { store: rule.store, bucket: object.bucket, key: object.key, version };
      found.push({
        kind: 's3',
        ...place,
        ...(object.version === null ? { isNewest: true } : {}),
        stamp: stampOf(head),
        bytes: head.ContentLength ?? 0,
        exclusive: rule.exclusive,
        facts: { kind: 's3', ...place, about },
      });
    }
    return { found };
  }

  async *read(found: FoundAttachment): AsyncGenerator<Uint8Array> {
    const reply = await this.#asking(found, (client) => client.send(new GetObjectCommand(placeOf(found))));
    if (reply === null || stampOf(reply) !== found.stamp) throw changed(found);
    const body: unknown = reply.Body;
    if (!isByteStream(body)) throw unavailable(found, undefined);
    let bytes = 0;
    try {
      for await (const chunk of body) {
        bytes += chunk.length;
        yield chunk;
      }
    } catch (cause) {
      throw cause instanceof MoraineError ? cause : unavailable(found, cause);
    }
    if (bytes !== found.bytes) throw changed(found);
  }

  async isSame(file: AttachedFile): Promise<boolean> {
    if (file.isNewest !== true) return hasStamp(await this.#head(file), file.stamp);
    const newest = await this.#head({ ...file, version: null });
    return hasStamp(newest, file.stamp) && newest !== null && versionOf(newest) === file.version;
  }

  async remove(file: AttachedFile, warrant: ClearingWarrant): Promise<'deleted' | 'locked'> {
    if (file.version === null) {
      throw new MoraineError('INTERNAL', 'An attachment without a version was to be deleted.', {
        ids: { store: file.store, bucket: file.bucket },
      });
    }
    warrant.assertGood('delete');
    const version = { Bucket: file.bucket, Key: file.key, VersionId: file.version };
    const { answer, cause } = await deleteUntil(this.#client(file.store), version, warrant.until);
    if (answer === 'deleted') return 'deleted';
    // Where it went before and only the reply was lost, services differ in what they say to the second try.
    if (answer === 'missing' || (await this.#head(file)) === null) return 'deleted';
    // Object Lock says so; missing rights do too, and a person finds either by the report.
    if (answer === 'denied') return 'locked';
    throw answer === 'too-late' ? tooLate(file) : unavailable(file, cause);
  }

  async putBack(facts: S3Facts, bytes: AsyncIterable<Uint8Array>): Promise<'inserted' | 'existing'> {
    const place = { store: facts.store, bucket: facts.bucket, key: facts.key, version: null };
    // The version that was archived never comes back as such; whatever stands there now stays.
    if ((await this.#head(place)) !== null) return 'existing';
    const target = { Bucket: facts.bucket, Key: facts.key, ...headersOf(facts.about) };
    const pieces = bytes[Symbol.asyncIterator]();
    const first = await pieces.next();
    const second = first.done === true ? first : await pieces.next();
    try {
      const client = this.#client(facts.store);
      if (second.done === true) {
        const Body = first.done === true ? new Uint8Array() : first.value;
        await client.send(new PutObjectCommand({ ...target, Body, IfNoneMatch: '*' }));
      } else await sendParts(client, target, [first.value ?? new Uint8Array(), second.value], pieces);
      return 'inserted';
    } catch (error) {
      if (error instanceof S3ServiceException && error.name === 'PreconditionFailed') return 'existing';
      throw unavailable(place, error);
    }
  }

  async inspect(rule: S3Rule): Promise<readonly DatasetFinding[]> {
    if (!this.#stores.has(rule.store)) {
      const text = `moraine.yaml has no store ${rule.store} under attachments.`;
      return [{ level: 'error', code: 'DATASET_UNFIT', text }];
    }
    if (!('value' in rule.bucket) || !rule.exclusive) return [];
    const bucket = rule.bucket.value;
    const reply = await this.#asking({ store: rule.store, bucket, key: '', version: null }, (client) =>
      client.send(new GetBucketVersioningCommand({ Bucket: bucket })),
    );
    if (reply !== null && reply.Status === 'Enabled') return [];
    const text =
      reply === null
        ? `There is no bucket ${bucket} in ${rule.store}.`
        : `Bucket ${bucket} keeps no versions: attachments there cannot be deleted by version, and their records are quarantined.`;
    return [{ level: 'error', code: 'DATASET_UNFIT', text }];
  }

  close(): void {
    for (const client of this.#clients.values()) client.destroy();
    this.#clients.clear();
  }

  async #head(place: Place): Promise<HeadObjectCommandOutput | null> {
    return await this.#asking(place, (client) => client.send(new HeadObjectCommand(placeOf(place))));
  }

  /** Null: it is not there. */
  async #asking<T>(place: Place, ask: (client: S3Client) => Promise<T>): Promise<T | null> {
    try {
      return await ask(this.#client(place.store));
    } catch (error) {
      if (isMissing(error)) return null;
      throw unavailable(place, error);
    }
  }

  #client(name: string): S3Client {
    const known = this.#clients.get(name);
    if (known !== undefined) return known;
    const store = this.#stores.get(name);
    if (store === undefined) {
      throw new MoraineError('CONFIG_INVALID', `moraine.yaml has no store ${name} under attachments.`, {
        ids: { store: name },
      });
    }
    const client = new S3Client({
      region: store.region,
      ...(store.endpoint === undefined ? {} : { endpoint: store.endpoint }),
      ...(store.credentials === undefined ? {} : { credentials: { ...store.credentials } }),
      // An own endpoint has no names such as bucket.host: the bucket goes into the path.
      forcePathStyle: store.endpoint !== undefined,
      maxAttempts: MOST_ATTEMPTS,
      requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, socketTimeout: IDLE_TIMEOUT_MS },
    });
    this.#clients.set(name, client);
    return client;
  }
}

interface Target {
  readonly Bucket: string;
  readonly Key: string;
  readonly ContentType?: string;
  readonly Metadata?: Record<string, string>;
}

/** Pieces of an archive are 8 MiB, more than the least that a part may have. */
async function sendParts(
  client: S3Client,
  target: Target,
  begun: readonly Uint8Array[],
  pieces: AsyncIterator<Uint8Array>,
): Promise<void> {
  const { Bucket, Key } = target;
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(target));
  try {
    const Parts: { ETag: string | undefined; PartNumber: number }[] = [];
    const send = async (Body: Uint8Array) => {
      const PartNumber = Parts.length + 1;
      const { ETag } = await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
      Parts.push({ ETag, PartNumber });
    };
    for (const piece of begun) await send(piece);
    for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) await send(next.value);
    const MultipartUpload = { Parts };
    await client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload, IfNoneMatch: '*' }));
  } catch (error) {
    // The first error counts; what is left of the upload is for the bucket's own rules.
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(() => undefined);
    throw error;
  }
}

function placeOf({ bucket, key, version }: Place) {
  return { Bucket: bucket, Key: key, ...(version === null ? {} : { VersionId: version }) };
}

function versionOf({ VersionId }: HeadObjectCommandOutput): string | null {
  return VersionId === undefined || VersionId === '' || VersionId === 'null' ? null : VersionId;
}

function hasStamp(head: HeadObjectCommandOutput | null, stamp: string): boolean {
  return head !== null && stampOf(head) === stamp;
}

function stampOf({
  ETag,
  ContentLength,
}: {
  readonly ETag?: string | undefined;
  readonly ContentLength?: number | undefined;
}) {
  return `${ETag ?? ''} ${ContentLength ?? 0}`;
}

function headersOf(about: Uint8Array): Pick<Target, 'ContentType' | 'Metadata'> {
  const { contentType, metadata } = deserialize(about);
  const entries = Object.entries(typeof metadata === 'object' && metadata !== null ? metadata : {});
  return {
    ...(typeof contentType === 'string' ? { ContentType: contentType } : {}),
    ...(entries.length === 0
      ? {}
      : { Metadata: Object.fromEntries(entries.map(([name, value]) => [name, String(value)])) }),
  };
}

function isMissing(error: unknown): boolean {
  if (!(error instanceof S3ServiceException)) return false;
  return error.$metadata.httpStatusCode === 404 || MISSING.has(error.name);
}

const MISSING = new Set(['NoSuchKey', 'NoSuchVersion', 'NoSuchBucket', 'NotFound', 'MethodNotAllowed']);

function isByteStream(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}

function changed({ store, bucket }: Place): MoraineError {
  const text = `An attachment in ${store}, bucket ${bucket}, was removed or changed while it was read.`;
  return new MoraineError('ATTACHMENT_CHANGED', text, { ids: { store, bucket } });
}

function tooLate({ store, bucket }: Place): MoraineError {
  const text = `Store ${store} refused to delete an attachment in bucket ${bucket}: the request came too late.`;
  return new MoraineError('ATTACHMENT_UNAVAILABLE', text, {
    hint: 'It is tried again. If it comes back each time, compare the clocks of the store and of the database.',
    ids: { store, bucket },
  });
}

function unavailable({ store, bucket }: Place, cause: unknown): MoraineError {
  const name = cause instanceof Error ? cause.name : 'no reason given';
  const text = `Store ${store} did not do what was asked for an attachment in bucket ${bucket}: ${name}.`;
  return new MoraineError('ATTACHMENT_UNAVAILABLE', text, { ids: { store, bucket }, cause });
}
