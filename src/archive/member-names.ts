/** The names of an archive's members, and what they say. The same name is part of the member's encryption context. */
import { hash } from 'node:crypto';

export const README_NAME = 'README.txt';
export const MANIFEST_NAME = 'manifest.json';
export const SIGNATURE_NAME = 'manifest.sig';

/** Longest folder name that a plain ustar header takes: its prefix field has 155 bytes, `segments/` is 9 of them. */
const MAX_FOLDER_BYTES = 146;
const FOLDER_HASH_DIGITS = 16;
const ATTACHMENTS_FOLDER = 'attachments';

/** `segments/<collection>/00000000.bson.zst.esdk` */
export function segmentName(collection: string, segment: number): string {
  return `segments/${escapeCollection(collection)}/${eightDigits(segment)}.bson.zst.esdk`;
}

/** `index/00000000.bson.zst.esdk`; for children of a collection `index/<collection>/00000000.bson.zst.esdk` */
export function indexName(page: number, collection?: string): string {
  const folder = collection === undefined ? 'index' : `index/${escapeCollection(collection)}`;
  return `${folder}/${eightDigits(page)}.bson.zst.esdk`;
}

/** `attachments/00000000/0000.esdk`: not compressed, for most of what hangs on records is already. */
export function attachmentName(attachment: number, part: number): string {
  return `attachments/${eightDigits(attachment)}/${String(part).padStart(4, '0')}.esdk`;
}

/** `index/attachments/00000000.bson.zst.esdk`: no collection has that name, for each has a dot in it. */
export function attachmentIndexName(page: number): string {
  return `index/${ATTACHMENTS_FOLDER}/${eightDigits(page)}.bson.zst.esdk`;
}

/** What a member's name says of it; null for members that stand in the clear. */
export type MemberPart =
  | { readonly kind: 'segment'; readonly folder: string }
  | { readonly kind: 'index'; readonly folder: string | null }
  | { readonly kind: 'attachment'; readonly attachment: number }
  | { readonly kind: 'attachmentIndex' };

export function partOf(name: string): MemberPart | null {
  const [top, folder, file] = name.split('/');
  if (top === 'segments') return { kind: 'segment', folder: folder ?? '' };
  if (top === 'attachments') return { kind: 'attachment', attachment: Number(folder) };
  if (top !== 'index') return null;
  if (file === undefined) return { kind: 'index', folder: null };
  return folder === ATTACHMENTS_FOLDER ? { kind: 'attachmentIndex' } : { kind: 'index', folder: folder ?? '' };
}

/** Whether what is sealed under the name was compressed before: all but attachments. */
export function isCompressed(name: string): boolean {
  return !name.startsWith('attachments/');
}

/**
 * A collection's name as one folder name: every byte of its UTF-8 but letters, digits, `_`, `-` and inner dots becomes
 * `%XX`. A longer one than the tar header takes is cut and ends in `~` and a hash; the manifest has the whole name.
 */
export function escapeCollection(collection: string): string {
  let escaped = '';
  for (const byte of Buffer.from(collection, 'utf8')) {
    const character = String.fromCharCode(byte);
    const plain = /[A-Za-z0-9_-]/.test(character) || (character === '.' && escaped !== '');
    escaped += plain ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  if (escaped.length <= MAX_FOLDER_BYTES) return escaped;
  const digest = hash('sha256', collection, 'hex').slice(0, FOLDER_HASH_DIGITS);
  return `${escaped.slice(0, MAX_FOLDER_BYTES - 1 - FOLDER_HASH_DIGITS)}~${digest}`;
}

function eightDigits(n: number): string {
  return String(n).padStart(8, '0');
}
