/** What Moraine needs to know of a record, read from its BSON bytes without decoding the document. */
import { isUtf8 } from 'node:buffer';
import { type CustomerId, id, type OwnerId, partyId } from '../ids.ts';
import {
  asBuffer,
  BsonType,
  type BsonValue,
  eachField,
  type FieldPath,
  fieldPath,
  findPath,
  textOf,
} from './bson-walk.ts';
import { BsonWriter } from './bson-writer.ts';
import { decodeTyped, decodeValue } from './guard-document.ts';
import { keyOf } from './id-key.ts';
import type { DatasetShape, FieldOrValue, Position, RawRecord, RecordFacts, UnfitReason } from './port.ts';

const ID_PATH = fieldPath('_id');
const UUID_SUBTYPE = 4;
const UUID_BYTES = 16;

/** A record of its own from bytes that may be a view of a larger buffer. @throws RangeError when it has no `_id`. */
export function rawRecord(view: Uint8Array): RawRecord {
  return recordsFrom([view])[0]!;
}

/**
 * Copies of documents that are views of a server's reply, so that one record that is kept does not keep the whole reply.
 * Small ones share slabs, because an allocation for each costs more than all else that a scan does.
 */
export function recordsFrom(views: readonly Uint8Array[]): RawRecord[] {
  let slab = Buffer.alloc(0);
  let used = 0;
  let toCome = 0;
  for (const view of views) toCome += view.length;
  return views.map((view) => {
    const found = findPath(view, ID_PATH);
    if (found === null) throw new RangeError('The document has no _id.');
    // An id of its own: ids are kept far longer than documents.
    const idBytes = typedBytes(found);
    if (used + view.length > slab.length) {
      slab = Buffer.allocUnsafeSlow(Math.max(Math.min(SLAB_BYTES, toCome), view.length));
      used = 0;
    }
    const raw = slab.subarray(used, used + view.length);
    raw.set(view);
    used += view.length;
    toCome -= view.length;
    return { raw, idBytes, key: keyOf(idBytes) };
  });
}

/** Type byte and value bytes of `_id`. @throws RangeError when there is none. */
export function idBytesOf(raw: Uint8Array): Uint8Array {
  const found = findPath(raw, ID_PATH);
  if (found === null) throw new RangeError('The document has no _id.');
  return typedBytes(found);
}

/** Type byte, then the value's bytes. */
export function typedBytes(value: BsonValue): Uint8Array {
  const bytes = new Uint8Array(1 + value.end - value.start);
  bytes[0] = value.type;
  bytes.set(value.raw.subarray(value.start, value.end), 1);
  return bytes;
}

/** Owner, customer and trigger; `unfit` names those that cannot be used. Cheap: does not judge the rest of the bytes. */
export function factsOf(dataset: DatasetShape, raw: Uint8Array): RecordFacts {
  const paths = pathsOf(dataset);
  const owner = partyOf(dataset.owner, paths.owner, raw);
  const customer = partyOf(dataset.customer, paths.customer, raw);
  const trigger = triggerOf(dataset, raw);
  if (owner !== null && customer !== null && trigger !== null) {
    return { owner: id.owner(owner), customer: id.customer(customer), trigger, unfit: NO_REASONS };
  }
  const unfit: UnfitReason[] = [];
  if (owner === null) unfit.push('owner-unusable');
  if (customer === null) unfit.push('customer-unusable');
  if (trigger === null) unfit.push('trigger-unusable');
  return { owner: ownerOrNull(owner), customer: customerOrNull(customer), trigger, unfit };
}

/** The id of the owner or customer that a value names; `null` when it names none. */
export function partyIdOf(found: BsonValue): string | null {
  const { raw, type, start, end } = found;
  switch (type) {
    case BsonType.string: {
      const text = textOf(raw, start + 4, end - 1);
      // Invalid UTF-8 decodes to replacement characters, and two owners could become one.
      return text.includes('\ufffd') && !isUtf8(raw.subarray(start + 4, end - 1)) ? null : partyId(text);
    }
    case BsonType.objectId:
      return partyId(decodeValue(found));
    case BsonType.binary:
      return raw[start + 4] === UUID_SUBTYPE && end - start === 5 + UUID_BYTES ? partyId(decodeValue(found)) : null;
    default:
      return null;
  }
}

/** Milliseconds since 1970 UTC of the record's trigger, or `null` when it is not of the dataset's kind. */
function triggerOf(dataset: DatasetShape, raw: Uint8Array): number | null {
  const found = findPath(raw, pathsOf(dataset).trigger);
  if (found === null) return null;
  if (dataset.trigger.kind === 'objectId') {
    return found.type === BsonType.objectId ? asBuffer(raw).readUInt32BE(found.start) * 1000 : null;
  }
  if (found.type !== BsonType.date) return null;
  const milliseconds = Number(asBuffer(raw).readBigInt64LE(found.start));
  // Beyond this no JavaScript date, and no calendar arithmetic, can go.
  return Math.abs(milliseconds) <= MAX_DATE_MS ? milliseconds : null;
}

/**
 * Facet values as text, each once: strings trimmed and in lower case (NFC), everything else by type and value. Arrays
 * on the way give a value per element.
 */
export function facetsOf(dataset: DatasetShape, raw: Uint8Array): Readonly<Record<string, readonly string[]>> {
  const facets: Record<string, readonly string[]> = {};
  for (const [name, path] of pathsOf(dataset).facets) {
    const values = new Set<string>();
    collectFacet(raw, 0, path, 0, values);
    Object.defineProperty(facets, name, { value: [...values], enumerable: true });
  }
  return facets;
}

/** @throws RangeError when the record has no trigger or no `_id`. */
export function positionOf(dataset: DatasetShape, raw: Uint8Array): Position {
  const trigger = findPath(raw, pathsOf(dataset).trigger);
  const recordId = findPath(raw, ID_PATH);
  if (trigger === null || recordId === null) throw new RangeError('The document has no trigger or no _id.');
  return Uint8Array.prototype.slice.call(new BsonWriter().copy('t', trigger).copy('i', recordId).finish());
}

/** The values inside a position, as type byte and bytes. */
export function partsOfPosition(position: Position): { readonly trigger: Uint8Array; readonly id: Uint8Array } {
  const trigger = findPath(position, POSITION_TRIGGER);
  const recordId = findPath(position, POSITION_ID);
  if (trigger === null || recordId === null) throw new RangeError('The bytes are not a position.');
  return { trigger: typedBytes(trigger), id: typedBytes(recordId) };
}

/** The bytes at a version field, or `null` when it holds nothing that identifies a version (missing, null, an array). */
export function versionOf(dataset: DatasetShape, raw: Uint8Array): BsonValue | null {
  const path = pathsOf(dataset).version;
  const found = path === null ? null : findPath(raw, path);
  if (found === null || found.type === BsonType.null || found.type === BsonType.undefined) return null;
  return found.type === BsonType.array ? null : found;
}

/** The most that one small record which is kept can keep from being freed. */
const SLAB_BYTES = 64 * 1024;
const MAX_DATE_MS = 8.64e15;
const POSITION_TRIGGER = fieldPath('t');
const POSITION_ID = fieldPath('i');
const NO_REASONS: readonly UnfitReason[] = [];

interface ShapePaths {
  readonly owner: FieldPath | null;
  readonly customer: FieldPath | null;
  readonly trigger: FieldPath;
  readonly version: FieldPath | null;
  readonly facets: readonly (readonly [string, FieldPath])[];
}

const compiled = new WeakMap<DatasetShape, ShapePaths>();

function pathsOf(dataset: DatasetShape): ShapePaths {
  const known = compiled.get(dataset);
  if (known !== undefined) return known;
  const paths: ShapePaths = {
    owner: 'field' in dataset.owner ? fieldPath(dataset.owner.field) : null,
    customer: 'field' in dataset.customer ? fieldPath(dataset.customer.field) : null,
    trigger: fieldPath(dataset.trigger.field),
    version: dataset.version === undefined ? null : fieldPath(dataset.version),
    facets: Object.entries(dataset.facets).map(([name, field]) => [name, fieldPath(field)]),
  };
  compiled.set(dataset, paths);
  return paths;
}

function partyOf(source: FieldOrValue, path: FieldPath | null, raw: Uint8Array): string | null {
  if ('value' in source) return partyId(source.value);
  const found = path === null ? null : findPath(raw, path);
  return found === null ? null : partyIdOf(found);
}

function ownerOrNull(text: string | null): OwnerId | null {
  return text === null ? null : id.owner(text);
}

function customerOrNull(text: string | null): CustomerId | null {
  return text === null ? null : id.customer(text);
}

/** Follows a path through objects and arrays as MongoDB's match does: each element counts, and a number names one. */
function collectFacet(raw: Uint8Array, at: number, path: FieldPath, step: number, into: Set<string>): void {
  const name = path[step]!;
  const found = findPath(raw.subarray(at), [name]);
  if (found === null) return;
  const value: BsonValue = { raw, type: found.type, start: at + found.start, end: at + found.end };
  if (step < path.length - 1) {
    if (value.type === BsonType.object) collectFacet(raw, value.start, path, step + 1, into);
    if (value.type === BsonType.array) {
      collectFacet(raw, value.start, path, step + 1, into);
      for (const element of eachField(raw, value.start)) {
        if (element.type === BsonType.object) collectFacet(raw, element.start, path, step + 1, into);
      }
    }
    return;
  }
  if (value.type !== BsonType.array) addFacet(value, into);
  else for (const element of eachField(raw, value.start)) addFacet(element, into);
}

function addFacet(value: BsonValue, into: Set<string>): void {
  if (value.type === BsonType.null || value.type === BsonType.undefined) return;
  if (value.type === BsonType.string) {
    const text = normalFacet(textOf(value.raw, value.start + 4, value.end - 1));
    if (text !== '') into.add(text);
    return;
  }
  into.add(keyOf(typedBytes(value)));
}

/** A text value of a facet as it is compared. */
export function normalFacet(text: string): string {
  return text.normalize('NFC').trim().toLowerCase();
}

/** An `_id` decoded so that a query can name it. @throws RangeError for a type that js-bson cannot write. */
export function idValue(idBytes: Uint8Array): unknown {
  return decodeTyped(idBytes);
}
