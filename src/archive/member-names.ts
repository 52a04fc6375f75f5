/** The names of an archive's members, and what they say. The same name is part of the member's encryption context. */
import { hash } from 'node:crypto';

export const README_NAME = 'README.txt';
export const MANIFEST_NAME = 'manifest.json';
export const SIGNATURE_NAME = 'manifest.sig';

/** Longest folder name that a plain ustar header takes: its prefix field has 155 bytes, `segments/` is 9 of them. */
const MAX_FOLDER_BYTES = 146;
const FOLDER_HASH_DIGITS = 16;

/** `segments/<collection>/00000000.bson.zst.esdk` */
export function segmentName(collection: string, segment: number): string {
  return `segments/${escapeCollection(collection)}/${eightDigits(segment)}.bson.zst.esdk`;
}

/** `index/00000000.bson.zst.esdk` */
export function indexName(page: number): string {
  return `index/${eightDigits(page)}.bson.zst.esdk`;
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
