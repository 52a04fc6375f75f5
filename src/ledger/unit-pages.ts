/**
 * What hangs on the records of a roster: children, what children name their roots by, attachments. Pages that belong to an
 * attempt (or a disposal) as roster pages do, and go with them. Each is of one roster page, so that what hangs on a page of
 * records is found by it; root ordinals count the records of the whole roster.
 *
 * When an archive shrinks, what is void of them is kept as exceptions: by the number of the child among those of its
 * collection, or of the attachment.
 */
import { MoraineError } from '../errors.ts';
import type { ArchiveId, Namespace } from '../ids.ts';
import type { AttachedFile } from '../source/port.ts';
import type { LedgerIndex } from './indexes.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';

/** A child as it was archived. */
export interface UnitChild {
  /** BSON type byte and value bytes of `_id`. */
  readonly id: Uint8Array;
  readonly sha256: Uint8Array;
  /** The ordinal of its root. */
  readonly root: number;
  /** Its number among the children of its collection in the archive. */
  readonly ordinal: number;
}

/** What the children of a root name it by, where that is not its `_id`. */
export interface UnitParent {
  readonly root: number;
  readonly value: Uint8Array;
}

/** A file as it was archived. */
export type UnitAttachment = AttachedFile & {
  readonly root: number;
  /** Its number in the archive. */
  readonly ordinal: number;
};

export type UnitPage =
  | {
      readonly kind: 'children';
      readonly number: number;
      readonly collection: Namespace;
      readonly children: readonly UnitChild[];
    }
  | {
      readonly kind: 'parents';
      readonly number: number;
      readonly collection: Namespace;
      readonly parents: readonly UnitParent[];
    }
  | { readonly kind: 'attachments'; readonly number: number; readonly attachments: readonly UnitAttachment[] };

type UnitPageContent = UnitPage extends infer Page ? (Page extends UnitPage ? Omit<Page, 'number'> : never) : never;

interface UnitPageDocument extends LedgerDocument {
  readonly archive: string;
  readonly attempt: string;
  readonly epoch: number;
  readonly number: number;
  /** The roster page whose records it is about. */
  readonly page: number;
  readonly kind: UnitPage['kind'];
  readonly collection: Namespace | null;
  /** Children and parents: see {@link packUnits}. */
  readonly packed: Uint8Array;
  readonly attachments: readonly UnitAttachment[];
}

/** A copy that is void and never comes back by restore. */
export interface UnitVoid {
  /** Null: attachments. */
  readonly collection: Namespace | null;
  readonly ordinals: readonly number[];
}

interface UnitVoidDocument extends LedgerDocument, UnitVoid {
  readonly archive: ArchiveId;
}

const UNIT_PAGES = 'unitPages';
const UNIT_VOIDS = 'unitVoids';

export const UNIT_PAGES_INDEXES: readonly LedgerIndex[] = [
  { collection: UNIT_PAGES, keys: { attempt: 1, page: 1, number: 1 } },
  { collection: UNIT_PAGES, keys: { archive: 1 } },
  { collection: UNIT_VOIDS, keys: { archive: 1, _id: 1 } },
];

export async function writeUnitPage(
  store: Store,
  of: { readonly archive: string; readonly attempt: string; readonly epoch: number },
  at: { readonly page: number; readonly number: number },
  content: UnitPageContent,
): Promise<void> {
  const _id = `${of.attempt}:${String(at.number).padStart(6, '0')}`;
  const outcome = await unitPages(store).insert({ _id, v: 1, ...of, ...at, ...asStored(content) });
  if (outcome === 'inserted') return;
  throw new MoraineError('INTERNAL', `Unit page ${at.number} of ${of.attempt} is in the ledger already.`, {
    ids: { archive: of.archive },
  });
}

/** What hangs on the records of a roster page, in the order in which it was written. */
export async function* unitPagesOf(store: Store, attempt: string, page: number): AsyncGenerator<UnitPage> {
  for await (const found of unitPages(store).find({ attempt, page }, { sort: { number: 1 } })) yield asPage(found);
}

/** Of an attempt, or a disposal. */
export async function removeUnitPages(store: Store, attempt: string): Promise<void> {
  await unitPages(store).removeMany({ attempt });
}

/** Of every attempt of an archive. */
export async function removeUnitPagesOf(store: Store, archive: string): Promise<void> {
  await unitPages(store).removeMany({ archive });
}

/** Of roster pages that were written and never counted in. */
export async function removeUnitPagesFrom(store: Store, attempt: string, page: number): Promise<void> {
  await unitPages(store).removeMany({ attempt, page: { $gte: page } });
}

/** Idempotent: `number` names it within the archive. */
export async function writeUnitVoid(
  store: Store,
  archive: ArchiveId,
  number: number,
  { collection, ordinals }: UnitVoid,
): Promise<void> {
  const _id = `${archive}:${String(number).padStart(6, '0')}`;
  await unitVoids(store).insert({ _id, v: 1, archive, collection, ordinals });
}

export function readUnitVoids(store: Store, archive: ArchiveId): AsyncIterable<UnitVoid> {
  return unitVoids(store).find({ archive }, { sort: { _id: 1 } });
}

export async function removeUnitVoids(store: Store, archive: ArchiveId): Promise<void> {
  await unitVoids(store).removeMany({ archive });
}

/** Where outcomes of children are kept, beside those of the records themselves. */
export function childrenSubject(subject: string): string {
  return `${subject}${CHILDREN_SUFFIX}`;
}

/** The archive or disposal that pages of outcomes belong to, be they of its records or of their children. */
export function withoutChildren(subject: string): string {
  return subject.endsWith(CHILDREN_SUFFIX) ? subject.slice(0, -CHILDREN_SUFFIX.length) : subject;
}

const CHILDREN_SUFFIX = '~children';

function unitPages(store: Store): StoreCollection<UnitPageDocument> {
  return store.collection<UnitPageDocument>(UNIT_PAGES);
}

function unitVoids(store: Store): StoreCollection<UnitVoidDocument> {
  return store.collection<UnitVoidDocument>(UNIT_VOIDS);
}

function asStored(content: UnitPageContent): Pick<UnitPageDocument, 'kind' | 'collection' | 'packed' | 'attachments'> {
  switch (content.kind) {
    case 'children':
      return {
        kind: content.kind,
        collection: content.collection,
        packed: packUnits(content.children),
        attachments: [],
      };
    case 'parents': {
      const packed = packUnits(
        content.parents.map(({ root, value }) => ({ id: value, sha256: NO_HASH, root, ordinal: 0 })),
      );
      return { kind: content.kind, collection: content.collection, packed, attachments: [] };
    }
    case 'attachments':
      return { kind: content.kind, collection: null, packed: new Uint8Array(), attachments: content.attachments };
  }
}

function asPage({ kind, number, collection, packed, attachments }: UnitPageDocument): UnitPage {
  if (kind === 'attachments') return { kind, number, attachments };
  if (collection === null) throw new MoraineError('INTERNAL', 'A page of children names no collection.');
  const units = unpackUnits(packed);
  if (kind === 'children') return { kind, number, collection, children: units };
  return { kind, number, collection, parents: units.map(({ root, id }) => ({ root, value: id })) };
}

const LENGTH_BYTES = 4;
const SHA256_BYTES = 32;
const FIXED_BYTES = LENGTH_BYTES + SHA256_BYTES + 8;
const NO_HASH = new Uint8Array(SHA256_BYTES);

/** For each: 4 bytes of length, that many of the id, 32 of SHA-256, 4 of the root's ordinal, 4 of its own; big-endian. */
export function packUnits(units: readonly UnitChild[]): Uint8Array {
  const packed = Buffer.allocUnsafe(units.reduce((total, { id }) => total + FIXED_BYTES + id.length, 0));
  let at = 0;
  for (const { id, sha256, root, ordinal } of units) {
    at = packed.writeUInt32BE(id.length, at);
    packed.set(id, at);
    packed.set(sha256, at + id.length);
    at = packed.writeUInt32BE(root, at + id.length + SHA256_BYTES);
    at = packed.writeUInt32BE(ordinal, at);
  }
  return packed;
}

/** Views of the bytes. Throws INTERNAL where they do not end with a whole one. */
export function unpackUnits(bytes: Uint8Array): readonly UnitChild[] {
  const packed = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const units: UnitChild[] = [];
  for (let at = 0; at < packed.length; ) {
    const left = packed.length - at - FIXED_BYTES;
    const length = left < 0 ? Number.POSITIVE_INFINITY : packed.readUInt32BE(at);
    if (length > left) throw new MoraineError('INTERNAL', 'A page of children in the ledger is cut short.');
    const idAt = at + LENGTH_BYTES;
    const hashAt = idAt + length;
    units.push({
      id: packed.subarray(idAt, hashAt),
      sha256: packed.subarray(hashAt, hashAt + SHA256_BYTES),
      root: packed.readUInt32BE(hashAt + SHA256_BYTES),
      ordinal: packed.readUInt32BE(hashAt + SHA256_BYTES + 4),
    });
    at = hashAt + SHA256_BYTES + 8;
  }
  return units;
}
