/** What hangs on a record of a simulated life, from its bytes: the files that it names, and what its children name it by. */
import { BSON } from 'bson';
import type { FamilyFacts, PolicyFacts } from './observations.ts';
import { asFields, asList, asText, type Fields } from './values.ts';

/** Objects of one record alone, objects that records share (never deleted), and GridFS files of one record alone. */
export const FILE_KINDS = ['clips', 'logos', 'sheets'] as const;
export type FileKind = (typeof FILE_KINDS)[number];

/** Where files of each kind are: the bucket of the store, or the GridFS bucket. */
export const BUCKETS: Readonly<Record<FileKind, string>> = { clips: 'clips', logos: 'logos', sheets: 'data.fs' };

export function isShared(bucket: string): boolean {
  return bucket === BUCKETS.logos;
}

export interface NamedFile {
  readonly kind: 's3' | 'gridfs';
  readonly bucket: string;
  readonly key: string;
  /** Null: the record says none, and the newest is meant. */
  readonly version: string | null;
}

/** The files that a record names, as far as the policy looks for them. */
export function filesNamed({ files = [] }: FamilyFacts, bytes: Uint8Array): readonly NamedFile[] {
  const record = asFields(BSON.deserialize(bytes));
  return files.flatMap((kind) =>
    asList(record[kind]).map((each): NamedFile => {
      const named = asFields(each);
      const key = asText(each) ?? asText(named['key']) ?? '';
      return {
        kind: kind === 'sheets' ? 'gridfs' : 's3',
        bucket: BUCKETS[kind],
        key,
        version: asText(named['version']),
      };
    }),
  );
}

/** What the children of a record name it by, or (in `of`) what a child names its root by. */
export function nameOf(field: '_id' | 'ref' | 'of', bytes: Uint8Array): string | null {
  return asText(asFields(BSON.deserialize(bytes))[field]);
}

/** What a policy version says of families, from its normal form; null: nothing hangs on its records. */
export function familyIn(dataset: Fields): FamilyFacts | null {
  const [child] = asList(dataset['children']).map(asFields);
  const files = asList(dataset['attachments']).flatMap((each): readonly FileKind[] => {
    const rule = asFields(each);
    if (rule['kind'] === 'gridfs') return ['sheets'];
    return asFields(rule['bucket'])['value'] === BUCKETS.logos ? ['logos'] : ['clips'];
  });
  if (child === undefined && files.length === 0) return null;
  const parent = child?.['parent'] === 'ref' ? 'ref' : '_id';
  return {
    ...(child === undefined ? {} : { children: { collection: asText(child['collection']) ?? '', parent } }),
    ...(files.length === 0 ? {} : { files }),
  };
}

/** The policy whose records have children in this collection. */
export function policyOfChildren(policies: Iterable<PolicyFacts>, collection: string): PolicyFacts | null {
  for (const policy of policies) if (policy.family?.children?.collection === collection) return policy;
  return null;
}
