/**
 * Files that hang on records, as their services hold them: S3 objects with all their versions, and GridFS files with a
 * document and chunks. One instance outlives every process; what it forgets or remembers is what S3 and MongoDB do.
 */
import { createHash } from 'node:crypto';
import { BSON } from 'bson';
import type { AttachmentFacts } from '../../../src/attachment-facts.ts';
import type { Clock } from '../../../src/clock.ts';
import type { KeptFile } from '../judge/observations.ts';

/** Name of the store in moraine.yaml. */
export const STORE = 'files';

export interface ObjectVersion {
  readonly version: string;
  /** Null: a delete marker. */
  readonly bytes: Uint8Array | null;
  readonly etag: string;
}

export interface GridFile {
  /** The file's document; null: only its chunks are there. */
  about: Uint8Array | null;
  chunks: Uint8Array | null;
}

export class FileServer {
  readonly clock: Clock;
  /** The newest version last. */
  readonly #objects = new Map<string, ObjectVersion[]>();
  readonly #grid = new Map<string, GridFile>();
  /** How many versions each place has had. */
  readonly #count = new Map<string, number>();

  /** @param clock The database server's: what `until` of a guarded delete in GridFS is compared with. */
  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Everything that is there, and chunks that no document has. */
  kept(): KeptFile[] {
    const objects = [...this.#objects].flatMap(([place, versions]) =>
      versions.flatMap(({ version, bytes }) => (bytes === null ? [] : [{ ...objectAt(place), version, bytes }])),
    );
    const files = [...this.#grid].flatMap(([place, { about, chunks }]) =>
      chunks === null ? [] : [{ ...fileAt(place), bytes: chunks, isWhole: about !== null }],
    );
    return [...objects.map((each) => ({ kind: 's3' as const, ...each, isWhole: true })), ...files];
  }

  // S3

  putObject(bucket: string, key: string, bytes: Uint8Array): KeptFile {
    const version = this.#nextVersion(bucket, key);
    const etag = createHash('md5').update(bytes).digest('hex');
    this.#versionsOf(bucket, key).push({ version, bytes, etag });
    return { kind: 's3', bucket, key, version, bytes, isWhole: true };
  }

  /** As a delete without a version: what is there stays under its version, and a marker hides it. */
  hideObject(bucket: string, key: string): void {
    this.#versionsOf(bucket, key).push({ version: this.#nextVersion(bucket, key), bytes: null, etag: '' });
  }

  /** Null: no such version, or the newest is a marker. */
  object(bucket: string, key: string, version: string | null): ObjectVersion | null {
    const versions = this.#objects.get(`${bucket}\0${key}`) ?? [];
    const found = version === null ? versions.at(-1) : versions.find((each) => each.version === version);
    return found === undefined || found.bytes === null ? null : found;
  }

  versions(bucket: string, key: string): readonly ObjectVersion[] {
    return this.#objects.get(`${bucket}\0${key}`) ?? [];
  }

  /** Exactly this version. Null: it was not there. */
  removeObject(bucket: string, key: string, version: string): KeptFile | null {
    const versions = this.#versionsOf(bucket, key);
    const at = versions.findIndex((each) => each.version === version);
    const [found] = at < 0 ? [] : versions.splice(at, 1);
    if (found === undefined || found.bytes === null) return null;
    return { kind: 's3', bucket, key, version, bytes: found.bytes, isWhole: true };
  }

  // GridFS

  putFile(bucket: string, id: string, bytes: Uint8Array): KeptFile {
    const about = BSON.serialize({
      _id: id,
      length: bytes.length,
      chunkSize: 261_120,
      uploadDate: this.clock.now(),
      filename: createHash('sha256').update(bytes).digest('hex').slice(0, 8),
    });
    this.#grid.set(`${bucket}\0${id}`, { about, chunks: bytes });
    return { kind: 'gridfs', bucket, key: id, version: null, bytes, isWhole: true };
  }

  file(bucket: string, id: string): GridFile | null {
    return this.#grid.get(`${bucket}\0${id}`) ?? null;
  }

  setFile(bucket: string, id: string, file: GridFile): void {
    if (file.about === null && file.chunks === null) this.#grid.delete(`${bucket}\0${id}`);
    else this.#grid.set(`${bucket}\0${id}`, file);
  }

  #nextVersion(bucket: string, key: string): string {
    const place = `${bucket}\0${key}`;
    const count = (this.#count.get(place) ?? 0) + 1;
    this.#count.set(place, count);
    return `v${count}`;
  }

  #versionsOf(bucket: string, key: string): ObjectVersion[] {
    const known = this.#objects.get(`${bucket}\0${key}`);
    if (known !== undefined) return known;
    const fresh: ObjectVersion[] = [];
    this.#objects.set(`${bucket}\0${key}`, fresh);
    return fresh;
  }
}

function objectAt(place: string): { readonly bucket: string; readonly key: string } {
  const [bucket = '', key = ''] = place.split('\0');
  return { bucket, key };
}

function fileAt(place: string): { kind: 'gridfs'; bucket: string; key: string; version: null } {
  return { kind: 'gridfs', ...objectAt(place), version: null };
}

/** What an archive says of a file. */
export function fileOfFacts(facts: AttachmentFacts, bytes: Uint8Array): KeptFile {
  const key = facts.kind === 's3' ? facts.key : fileIdOf(Buffer.from(facts.key).toString('hex'));
  const version = facts.kind === 's3' ? facts.version : null;
  return { kind: facts.kind, bucket: facts.bucket, key, version, bytes, isWhole: true };
}

/** The `_id` of a GridFS file by its type byte and value bytes in hex, as ports name it. All are texts. */
export function fileIdOf(hex: string): string {
  return Buffer.from(hex, 'hex').subarray(5, -1).toString('utf8');
}
