/**
 * The files that a record names, from its bytes. Fields may lie in arrays, and each element then names a file of its own:
 * `files.key` and `files.version` of one element belong together.
 */
import { BsonType, type BsonValue, eachField, type FieldPath, fieldPath, findPath, textOf } from './bson-walk.ts';
import type { FieldOrValue } from './port.ts';
import { typedBytes } from './raw-document.ts';
import type { AttachmentShape } from './unit-shape.ts';

/** A value, and through which elements of arrays it was come to. */
interface Reached {
  readonly value: BsonValue;
  readonly trail: readonly number[];
}

export interface NamedObject {
  readonly bucket: string;
  readonly key: string;
  /** Null: the record names none, and the newest is meant. */
  readonly version: string | null;
}

type S3Rule = Extract<AttachmentShape, { readonly kind: 's3' }>;

/** Null where a field holds something that cannot name a file. A key that is missing, null or empty names none. */
export function namedObjects(rule: S3Rule, raw: Uint8Array): readonly NamedObject[] | null {
  const buckets = 'field' in rule.bucket ? [...reach(raw, fieldPath(rule.bucket.field))] : [];
  const versions = rule.version === null ? [] : [...reach(raw, fieldPath(rule.version))];
  const named: NamedObject[] = [];
  for (const { value, trail } of reach(raw, fieldPath(rule.key))) {
    if (isNothing(value)) continue;
    const key = stringOf(value);
    const bucket = bucketOf(rule.bucket, beside(buckets, trail));
    const version = beside(versions, trail);
    const versionText = version === null || isNothing(version) ? null : stringOf(version);
    if (key === null || bucket === null || (versionText === null && version !== null && !isNothing(version)))
      return null;
    if (key !== '') named.push({ bucket, key, version: versionText });
  }
  return named;
}

/** Type byte and value bytes of the `_id`s of the GridFS files that a record names. */
export function namedFiles(file: string, raw: Uint8Array): readonly Uint8Array[] {
  return [...reach(raw, fieldPath(file))].flatMap(({ value }) => (isNothing(value) ? [] : [typedBytes(value)]));
}

function bucketOf(bucket: FieldOrValue, found: BsonValue | null): string | null {
  if ('value' in bucket) return bucket.value;
  const text = found === null ? null : stringOf(found);
  return text === '' ? null : text;
}

/** The value that was come to through the same elements, or on the way to them. */
function beside(reached: readonly Reached[], trail: readonly number[]): BsonValue | null {
  const fits = (other: Reached) =>
    other.trail.length <= trail.length && other.trail.every((element, at) => trail[at] === element);
  return reached.findLast(fits)?.value ?? null;
}

function* reach(raw: Uint8Array, path: FieldPath, at = 0, trail: readonly number[] = []): Generator<Reached> {
  const [name, ...rest] = path;
  if (name === undefined) return;
  const found = findPath(raw.subarray(at), [name]);
  if (found === null) return;
  yield* within({ raw, type: found.type, start: at + found.start, end: at + found.end }, rest, trail);
}

function* within(value: BsonValue, rest: FieldPath, trail: readonly number[]): Generator<Reached> {
  if (value.type === BsonType.array) {
    let element = 0;
    for (const inner of eachField(value.raw, value.start)) {
      yield* within(inner, rest, [...trail, element]);
      element += 1;
    }
  } else if (rest.length === 0) yield { value, trail };
  else if (value.type === BsonType.object) yield* reach(value.raw, rest, value.start, trail);
}

function isNothing({ type }: BsonValue): boolean {
  return type === BsonType.null || type === BsonType.undefined;
}

function stringOf({ raw, type, start, end }: BsonValue): string | null {
  if (type !== BsonType.string) return null;
  const text = textOf(raw, start + 4, end - 1);
  return text.includes('\ufffd') ? null : text;
}
