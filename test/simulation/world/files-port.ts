/**
 * The attachments port of one process: as ports.ts, every call goes through the process, may meet a fault, and tells the
 * judge what it changed. It answers as the adapters of the product do (`src/source/attachments-s3.ts`, `-gridfs.ts`).
 */
import { createHash } from 'node:crypto';
import { BSON } from 'bson';
import { MoraineError } from '../../../src/errors.ts';
import type { ClearingWarrant } from '../../../src/ledger/warrants.ts';
import { namedFiles, namedObjects } from '../../../src/source/attachment-fields.ts';
import type {
  AttachedFile,
  AttachmentProblem,
  AttachmentShape,
  AttachmentsPort,
  DatasetShape,
  FoundAttachment,
} from '../../../src/source/port.ts';
import type { Fault } from '../engine/calls.ts';
import type { SimulatedProcess } from '../engine/process.ts';
import { type FileServer, fileIdOf, STORE } from './file-server.ts';
import type { Servers } from './servers.ts';

/** What is read arrives in pieces. */
const PIECE_BYTES = 64 * 1024;

type Answer = { readonly found: readonly FoundAttachment[] } | { readonly problem: AttachmentProblem };

export function filesPort(process: SimulatedProcess, servers: Servers): AttachmentsPort {
  const { files } = servers;
  const call = async <R>(name: string, whole: () => Promise<R>, broken?: (fault: Fault) => Promise<R>): Promise<R> =>
    (await process.call('files', name, broken === undefined ? { whole } : { whole, broken })) as R;
  return {
    find: (dataset, raw) => call('find', async () => found(files, dataset, raw)),
    async *read(attachment) {
      const bytes = await call('read', async () => contentOf(files, attachment));
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.slice(at, at + PIECE_BYTES);
    },
    isSame: (attachment) =>
      call('isSame', async () => {
        const { kind, bucket, key, version, isNewest } = attachment;
        const isReplaced = kind === 's3' && isNewest && files.object(bucket, key, null)?.version !== version;
        return !isReplaced && stampOf(files, attachment) === attachment.stamp;
      }),
    remove: (attachment, warrant) => {
      if (attachment.kind === 's3' && attachment.version === null)
        throw new MoraineError('INTERNAL', 'An attachment without a version was to be deleted.');
      warrant.assertGood('delete');
      const of = { process, servers, warrant };
      return call(
        'remove',
        () => removed(of, attachment),
        async (fault) => {
          if (fault.kind === 'duplicate') {
            await removed(of, attachment);
            return await removed(of, attachment);
          }
          // The document of a GridFS file goes first; the connection breaks before its chunks do.
          if (attachment.kind === 'gridfs') await removeDocument(of, attachment);
          throw cut(attachment.kind);
        },
      );
    },
    putBack: async (facts, parts) => {
      const pieces: Uint8Array[] = [];
      for await (const part of parts) pieces.push(Uint8Array.from(part));
      const bytes = Buffer.concat(pieces);
      const key = facts.kind === 's3' ? facts.key : fileIdOf(Buffer.from(facts.key).toString('hex'));
      const isThere = () =>
        facts.kind === 's3'
          ? files.object(facts.bucket, key, null) !== null
          : (files.file(facts.bucket, key)?.about ?? null) !== null;
      const tell = (version: string | null) =>
        servers.tell({
          what: 'file put',
          by: process.name,
          file: { kind: facts.kind, bucket: facts.bucket, key, version, bytes, isWhole: true },
        });
      return await call('putBack', async () => {
        if (isThere()) return 'existing' as const;
        if (facts.kind === 's3') await tell(files.putObject(facts.bucket, key, bytes).version);
        else {
          files.setFile(facts.bucket, key, { about: facts.about, chunks: bytes });
          await tell(null);
        }
        return 'inserted' as const;
      });
    },
    inspect: async () => [],
  };
}

function found(files: FileServer, dataset: DatasetShape, raw: Uint8Array): Answer {
  const all: FoundAttachment[] = [];
  for (const rule of dataset.attachments ?? []) {
    const answer = rule.kind === 's3' ? objectsOf(files, rule, raw) : filesOf(files, rule, dataset, raw);
    if ('problem' in answer) return answer;
    all.push(...answer.found);
  }
  return { found: all };
}

function objectsOf(files: FileServer, rule: Extract<AttachmentShape, { kind: 's3' }>, raw: Uint8Array): Answer {
  const named = namedObjects(rule, raw);
  if (named === null || rule.store !== STORE) return { problem: 'attachment-unusable' };
  const found: FoundAttachment[] = [];
  for (const { bucket, key, version } of named) {
    const object = files.object(bucket, key, version);
    if (object === null) return { problem: 'attachment-missing' };
    const place = { kind: 's3' as const, store: rule.store, bucket, key, version: object.version };
    const about = BSON.serialize({ contentType: null, metadata: {} });
    const bytes = object.bytes?.length ?? 0;
    const stamp = `${object.etag} ${bytes}`;
    const newest = version === null ? ({ isNewest: true } as const) : {};
    found.push({ ...place, ...newest, stamp, bytes, exclusive: rule.exclusive, facts: { ...place, about } });
  }
  return { found };
}

function filesOf(
  files: FileServer,
  rule: Extract<AttachmentShape, { kind: 'gridfs' }>,
  { namespace }: DatasetShape,
  raw: Uint8Array,
): Answer {
  const bucket = `${namespace.slice(0, namespace.indexOf('.'))}.${rule.bucket}`;
  const found: FoundAttachment[] = [];
  for (const key of namedFiles(rule.file, raw)) {
    const hex = Buffer.from(key).toString('hex');
    const about = files.file(bucket, fileIdOf(hex))?.about ?? null;
    if (about === null) return { problem: 'attachment-missing' };
    found.push({
      ...{ kind: 'gridfs', store: '', bucket, key: hex, version: null, stamp: sha256(about) },
      bytes: Number(BSON.deserialize(about)['length']),
      exclusive: rule.exclusive,
      facts: { kind: 'gridfs', bucket, key, about },
    });
  }
  return { found };
}

function stampOf(files: FileServer, { kind, bucket, key, version }: AttachedFile): string | null {
  if (kind === 's3') {
    const object = files.object(bucket, key, version);
    return object === null ? null : `${object.etag} ${object.bytes?.length ?? 0}`;
  }
  const about = files.file(bucket, fileIdOf(key))?.about ?? null;
  return about === null ? null : sha256(about);
}

function contentOf(files: FileServer, file: AttachedFile): Uint8Array {
  const { kind, bucket, key, version, stamp } = file;
  const bytes = kind === 's3' ? files.object(bucket, key, version)?.bytes : files.file(bucket, fileIdOf(key))?.chunks;
  if (bytes == null || stampOf(files, file) !== stamp)
    throw new MoraineError('ATTACHMENT_CHANGED', 'An attachment was removed or changed while it was read.');
  return bytes;
}

interface Removal {
  readonly process: SimulatedProcess;
  readonly servers: Servers;
  readonly warrant: ClearingWarrant;
}

async function removed(of: Removal, file: AttachedFile): Promise<'deleted' | 'changed'> {
  const { process, servers } = of;
  const { files } = servers;
  if (file.kind === 's3') {
    if (files.object(file.bucket, file.key, file.version) === null) return 'deleted';
    if (isLate(of)) throw new MoraineError('ATTACHMENT_UNAVAILABLE', 'The request came too late.');
    const gone = files.removeObject(file.bucket, file.key, file.version ?? '');
    if (gone !== null) await servers.tell({ what: 'file removed', by: process.name, file: gone });
    return 'deleted';
  }
  const outcome = await removeDocument(of, file);
  if (outcome === 'changed') return outcome;
  const id = fileIdOf(file.key);
  const left = files.file(file.bucket, id);
  if (left?.chunks != null) {
    if (isLate(of)) throw notInTime();
    files.setFile(file.bucket, id, { ...left, chunks: null });
  }
  return 'deleted';
}

async function removeDocument(of: Removal, file: AttachedFile): Promise<'gone' | 'changed'> {
  const { process, servers } = of;
  const id = fileIdOf(file.key);
  const now = servers.files.file(file.bucket, id);
  if (now?.about == null) return 'gone';
  if (sha256(now.about) !== file.stamp) return 'changed';
  if (isLate(of)) throw notInTime();
  servers.files.setFile(file.bucket, id, { ...now, about: null });
  const { bucket } = file;
  await servers.tell({
    what: 'file removed',
    by: process.name,
    file: { kind: 'gridfs', bucket, key: id, version: null, bytes: now.chunks ?? new Uint8Array(), isWhole: true },
  });
  return 'gone';
}

function isLate({ servers, warrant }: Removal): boolean {
  return servers.files.clock.now() >= warrant.until;
}

function notInTime(): MoraineError {
  return new MoraineError('MONGODB_UNAVAILABLE', 'A file could not be deleted in time.');
}

/** The connection breaks. */
function cut(kind: AttachedFile['kind']): MoraineError {
  const text = 'The connection was cut.';
  return kind === 's3'
    ? new MoraineError('ATTACHMENT_UNAVAILABLE', text)
    : new MoraineError('MONGODB_UNAVAILABLE', text);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
