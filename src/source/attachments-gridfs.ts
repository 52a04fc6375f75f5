/**
 * GridFS files: a document in `<bucket>.files` and the bytes in `<bucket>.chunks` (MongoDB's GridFS specification). Files do
 * not change: a new content is a new file. The file's document is what is compared, and goes first under its guard; without
 * it its chunks are nobody's.
 */
import { hash } from 'node:crypto';
import { type Document, type Filter, type MongoClient, ObjectId } from 'mongodb';
import type { AttachmentFacts } from '../attachment-facts.ts';
import { MoraineError } from '../errors.ts';
import { id, type Namespace } from '../ids.ts';
import type { ClearingWarrant } from '../ledger/warrants.ts';
import { namedFiles } from './attachment-fields.ts';
import type { AttachedFile, FoundAttachment } from './attachments-port.ts';
import { asBuffer, BsonType, fieldPath, findPath, readInt32 } from './bson-walk.ts';
import { asking, translateMongoError } from './driver-errors.ts';
import { decodeTyped } from './guard-document.ts';
import { collectionOf, isBytes, splitNamespace } from './mongo-query.ts';
import { readByIds } from './mongo-read.ts';
import { deleteGuarded, insertMissing } from './mongo-write.ts';
import type { DatasetFinding, DatasetShape, RawRecord } from './port.ts';
import type { AttachmentShape } from './unit-shape.ts';

type GridFsRule = Extract<AttachmentShape, { readonly kind: 'gridfs' }>;
type GridFsFacts = Extract<AttachmentFacts, { readonly kind: 'gridfs' }>;

/** Guarded deletes of a file's document that may miss their deadline. */
const MOST_TRIES = 3;
const DEFAULT_CHUNK_BYTES = 255 * 1024;
const LENGTH = fieldPath('length');
const CHUNK_SIZE = fieldPath('chunkSize');
const DATA = fieldPath('data');
const NUMBER = fieldPath('n');
/** Length and subtype in front of binary data. */
const BINARY_HEAD_BYTES = 5;

export class GridFsAttachments {
  readonly #client: MongoClient;

  constructor(client: MongoClient) {
    this.#client = client;
  }

  /** Null where one is missing. */
  async find(rule: GridFsRule, dataset: DatasetShape, raw: Uint8Array): Promise<readonly FoundAttachment[] | null> {
    const bucket = `${splitNamespace(dataset.namespace).database}.${rule.bucket}`;
    const found: FoundAttachment[] = [];
    for (const key of namedFiles(rule.file, raw)) {
      const file = await this.#file(bucket, key);
      if (file === null) return null;
      found.push({
        kind: 'gridfs',
        store: '',
        bucket,
        key: Buffer.from(key).toString('hex'),
        version: null,
        stamp: stampOf(file),
        bytes: numberAt(file.raw, LENGTH) ?? 0,
        exclusive: rule.exclusive,
        facts: { kind: 'gridfs', bucket, key, about: file.raw },
      });
    }
    return found;
  }

  async *read(found: FoundAttachment): AsyncGenerator<Uint8Array> {
    const cursor = collectionOf(this.#client, namespaceOf(found.bucket, 'chunks'))
      .find(ofFile(found), { raw: true, batchSize: CHUNKS_AT_ONCE, readPreference: 'primary' })
      .sort({ files_id: 1, n: 1 });
    let next = 0;
    let bytes = 0;
    try {
      for await (const chunk of cursor) {
        const data = isBytes(chunk) ? findPath(chunk, DATA) : null;
        if (data === null || data.type !== BsonType.binary || numberAt(data.raw, NUMBER) !== next) throw changed(found);
        const piece = data.raw.slice(data.start + BINARY_HEAD_BYTES, data.end);
        next += 1;
        bytes += piece.length;
        yield piece;
      }
    } catch (error) {
      throw translateMongoError(error, `read a file of ${found.bucket}`);
    } finally {
      await cursor.close().catch(() => undefined);
    }
    if (bytes !== found.bytes || !(await this.isSame(found))) throw changed(found);
  }

  async isSame(file: AttachedFile): Promise<boolean> {
    const now = await this.#file(file.bucket, keyBytes(file));
    return now !== null && stampOf(now) === file.stamp;
  }

  async remove(file: AttachedFile, warrant: ClearingWarrant): Promise<'deleted' | 'changed'> {
    const namespace = namespaceOf(file.bucket, 'files');
    for (let tries = 0; ; tries++) {
      const now = await this.#file(file.bucket, keyBytes(file));
      if (now === null) break;
      if (stampOf(now) !== file.stamp) return 'changed';
      if (tries >= MOST_TRIES) throw notInTime(file);
      await deleteGuarded(this.#client, filesDataset(namespace), [now], warrant);
    }
    const chunks = collectionOf(this.#client, namespaceOf(file.bucket, 'chunks'));
    const inTime = { $expr: { $cond: [{ $lt: ['$$NOW', warrant.until] }, true, false] } };
    warrant.assertGood('delete');
    await asking(`delete chunks of ${file.bucket}`, () =>
      chunks.deleteMany({ ...ofFile(file), ...inTime }, { writeConcern: { w: 'majority' } }),
    );
    const left = await asking(`count chunks of ${file.bucket}`, () =>
      chunks.countDocuments(ofFile(file), { limit: 1 }),
    );
    if (left > 0) throw notInTime(file);
    return 'deleted';
  }

  /** Chunks first: a file whose document is there is whole. */
  async putBack(facts: GridFsFacts, bytes: AsyncIterable<Uint8Array>): Promise<'inserted' | 'existing'> {
    if ((await this.#file(facts.bucket, facts.key)) !== null) return 'existing';
    const chunkBytes = numberAt(facts.about, CHUNK_SIZE) ?? DEFAULT_CHUNK_BYTES;
    const chunks = collectionOf(this.#client, namespaceOf(facts.bucket, 'chunks'));
    const filesId = decodeTyped(facts.key);
    let n = 0;
    const put = async (data: Uint8Array) => {
      const filter: Filter<Document> = { files_id: filesId, n };
      const chunk = { $set: { data: Buffer.from(data) }, $setOnInsert: { _id: new ObjectId() } };
      await asking(`insert chunks of ${facts.bucket}`, () => chunks.updateOne(filter, chunk, { upsert: true }));
      n += 1;
    };
    let rest = Buffer.alloc(0);
    for await (const piece of bytes) {
      rest = Buffer.concat([rest, piece]);
      let at = 0;
      for (; rest.length - at >= chunkBytes; at += chunkBytes) await put(rest.subarray(at, at + chunkBytes));
      rest = Buffer.from(rest.subarray(at));
    }
    if (rest.length > 0) await put(rest);
    const { inserted } = await insertMissing(this.#client, namespaceOf(facts.bucket, 'files'), [facts.about]);
    return inserted > 0 ? 'inserted' : 'existing';
  }

  async inspect(rule: GridFsRule, dataset: DatasetShape): Promise<readonly DatasetFinding[]> {
    const { database } = splitNamespace(dataset.namespace);
    const name = `${rule.bucket}.chunks`;
    const [kind] = await asking(`list ${name}`, () => this.#client.db(database).listCollections({ name }).toArray());
    if (kind === undefined) {
      const text = `There is no GridFS bucket ${database}.${rule.bucket} yet: no record has files there.`;
      return [{ level: 'warning', code: 'COLLECTION_MISSING', text }];
    }
    const indexes = await asking(`list the indexes of ${name}`, () =>
      this.#client.db(database).collection(name).indexes(),
    );
    if (indexes.some(({ key }) => Object.keys(key ?? {})[0] === 'files_id')) return [];
    return [
      {
        level: 'error',
        code: 'INDEX_MISSING',
        text: `${database}.${name} has no index that begins with files_id, so each file would be looked for in all of it.`,
        remedy: `db.getSiblingDB(${JSON.stringify(database)}).getCollection(${JSON.stringify(name)}).createIndex({ "files_id": 1, "n": 1 }, { unique: true })`,
      },
    ];
  }

  async #file(bucket: string, key: Uint8Array): Promise<RawRecord | null> {
    const found = await readByIds(this.#client, namespaceOf(bucket, 'files'), [key]);
    for (const record of found.values()) return record;
    return null;
  }
}

/** Each has 255 KiB: one reply holds some MiB. */
const CHUNKS_AT_ONCE = 16;

function namespaceOf(bucket: string, part: 'files' | 'chunks'): Namespace {
  return id.namespace(`${bucket}.${part}`);
}

function filesDataset(namespace: Namespace): DatasetShape {
  const nobody = { value: 'of-its-root' };
  return { namespace, owner: nobody, customer: nobody, trigger: { field: 'uploadDate', kind: 'date' }, facets: {} };
}

function keyBytes({ key }: AttachedFile): Uint8Array {
  return Buffer.from(key, 'hex');
}

function ofFile(file: AttachedFile): Filter<Document> {
  return { files_id: decodeTyped(keyBytes(file)) };
}

function stampOf({ raw }: RawRecord): string {
  return hash('sha256', raw, 'hex');
}

function numberAt(raw: Uint8Array, path: ReturnType<typeof fieldPath>): number | null {
  const found = findPath(raw, path);
  if (found === null) return null;
  if (found.type === BsonType.int32) return readInt32(raw, found.start);
  if (found.type === BsonType.int64) return Number(asBuffer(raw).readBigInt64LE(found.start));
  return found.type === BsonType.double ? asBuffer(raw).readDoubleLE(found.start) : null;
}

function changed({ bucket }: AttachedFile): MoraineError {
  const text = `A file of ${bucket} was removed or changed while it was read.`;
  return new MoraineError('ATTACHMENT_CHANGED', text, { ids: { bucket } });
}

function notInTime({ bucket }: AttachedFile): MoraineError {
  return new MoraineError('MONGODB_UNAVAILABLE', `A file of ${bucket} could not be deleted in time.`, {
    changed: 'Part of it may be deleted; the rest is deleted at the next try.',
    ids: { bucket },
  });
}
