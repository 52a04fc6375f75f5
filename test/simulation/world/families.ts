/** Children and files in a simulated life: as data, as the lines of a policy, and what the application does with them. */
import { BSON } from 'bson';
import { id } from '../../../src/ids.ts';
import { BUCKETS, type FileKind } from '../judge/family-facts.ts';
import type { FamilyFacts } from '../judge/observations.ts';
import { STORE } from './file-server.ts';
import type { Servers } from './servers.ts';

/** Every text of an application begins with it: it must never be seen outside source, sealed members and restored output. */
export const CANARY = 'canary-4f1c';

/** A document of a collection of children. */
export interface ChildPlan {
  readonly namespace: string;
  readonly id: string;
  /** What names its root: the root's `_id`, or its `ref`. */
  readonly of: string;
  readonly owner: string;
  readonly tenant: string;
  readonly size: number;
}

export interface FilePlan {
  readonly kind: FileKind;
  readonly key: string;
  readonly size: number;
}

/** Fields of a record that others name it by, and that name files. */
export interface RecordFamily {
  readonly ref: string;
  readonly clips?: readonly { readonly key: string; readonly version?: string }[];
  readonly logos?: readonly string[];
  readonly sheets?: readonly string[];
}

/** What the application does. A file that is put where one is replaces it: S3 keeps the version before. */
export type FamilyAct =
  | { readonly what: 'insert child'; readonly child: ChildPlan }
  | { readonly what: 'give child'; readonly namespace: string; readonly id: string; readonly tenant: string }
  | { readonly what: 'put file'; readonly file: FilePlan }
  /** `hide`: as a delete without a version, which S3 answers with a marker. */
  | {
      readonly what: 'remove file';
      readonly kind: FileKind;
      readonly key: string;
      readonly how: 'hide' | 'destroy';
    };

export function isFamilyAct(act: { readonly what: string }): act is FamilyAct {
  return ['insert child', 'give child', 'put file', 'remove file'].includes(act.what);
}

export function refOf(record: string): string {
  return `ref-${record}`;
}

/** The lines of `dataset` that name children and attachments. */
export function familyLines({ children, files = [] }: FamilyFacts): string {
  const rules: Readonly<Record<FileKind, string>> = {
    clips: `{ s3: ${STORE}, bucket: { value: ${BUCKETS.clips} }, key: clips.key, version: clips.version, exclusive: true }`,
    logos: `{ s3: ${STORE}, bucket: { value: ${BUCKETS.logos} }, key: logos, exclusive: false }`,
    sheets: '{ gridfs: fs, file: sheets, exclusive: true }',
  };
  const ofChildren =
    children === undefined
      ? ''
      : `  children:\n    - { collection: ${children.collection}, key: of, parent: ${children.parent}, owner: { field: owner }, customer: { field: tenant } }\n`;
  const ofFiles = files.map((kind) => `    - ${rules[kind]}\n`).join('');
  return `${ofChildren}${ofFiles === '' ? '' : `  attachments:\n${ofFiles}`}`;
}

/** Before the records are put that name them: files, and the collections of children. */
export async function prepareFiles(
  servers: Servers,
  families: readonly FamilyFacts[],
  plans: { readonly files?: readonly FilePlan[] },
): Promise<void> {
  for (const { children } of families)
    if (children !== undefined) servers.source.settings(id.namespace(children.collection), {});
  for (const file of plans.files ?? []) await putFile(servers, file);
}

export async function performFamilyAct(servers: Servers, act: FamilyAct): Promise<void> {
  switch (act.what) {
    case 'insert child':
      return await putChild(servers, act.child);
    case 'give child': {
      const namespace = id.namespace(act.namespace);
      const bytes = servers.recordBytes(namespace, act.id);
      if (bytes === null) return;
      const document = BSON.deserialize(bytes);
      await servers.put('application', namespace, BSON.serialize({ ...document, tenant: act.tenant }));
      return;
    }
    case 'put file':
      return await putFile(servers, act.file);
    case 'remove file':
      return await removeFile(servers, act);
  }
}

export async function putChild(
  servers: Servers,
  { namespace, id: _id, of, owner, tenant, size }: ChildPlan,
): Promise<void> {
  const text = `${CANARY} ${_id} ${'x'.repeat(size)}`;
  await servers.put('application', id.namespace(namespace), BSON.serialize({ _id, of, owner, tenant, n: 0, text }));
}

async function putFile({ files, tell, timeline }: Servers, { kind, key, size }: FilePlan): Promise<void> {
  // What is put later is another content.
  const content = Buffer.from(`${CANARY} ${key} ${timeline.now} ${'x'.repeat(size)}`);
  const bytes = size === 0 ? new Uint8Array() : content;
  const file =
    kind === 'sheets' ? files.putFile(BUCKETS[kind], key, bytes) : files.putObject(BUCKETS[kind], key, bytes);
  await tell({ what: 'file put', by: 'application', file });
}

async function removeFile(
  { files, tell }: Servers,
  { kind, key, how }: Extract<FamilyAct, { what: 'remove file' }>,
): Promise<void> {
  const bucket = BUCKETS[kind];
  const by = 'application';
  if (kind === 'sheets') {
    const now = files.file(bucket, key);
    if (now?.about == null) return;
    files.setFile(bucket, key, { about: null, chunks: null });
    const bytes = now.chunks ?? new Uint8Array();
    const file = { kind: 'gridfs', bucket, key, version: null, bytes, isWhole: true } as const;
    return await tell({ what: 'file removed', by, file });
  }
  if (how === 'hide') {
    const newest = files.object(bucket, key, null);
    if (newest === null) return;
    files.hideObject(bucket, key);
    return await tell({ what: 'file hidden', by, bucket, key });
  }
  for (const { version } of [...files.versions(bucket, key)]) {
    const file = files.removeObject(bucket, key, version);
    if (file !== null) await tell({ what: 'file removed', by, file });
  }
}
