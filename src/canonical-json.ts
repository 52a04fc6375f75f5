/**
 * JSON with one spelling: object keys sorted by UTF-16 code units, no white space, numbers and strings as ECMAScript
 * writes them (the rules of RFC 8785, JSON Canonicalization Scheme). What is hashed or signed is written with this, so
 * that the hash depends on the values alone.
 */
import { createHash } from 'node:crypto';
import { MoraineError } from './errors.ts';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/**
 * Properties that are `undefined` are left out. What JSON cannot say (NaN, infinities, lone surrogates, dates, bytes,
 * class instances) throws INTERNAL instead of becoming something else: a hash must not hide a loss.
 */
export function canonicalJson(value: unknown): string {
  return write(value, 0);
}

/** Hex SHA-256 of the canonical JSON. */
export function hashCanonicalJson(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value), 'utf8').digest('hex');
}

/** Far deeper than any document of ours; a cycle ends here and not in a stack overflow. */
const MAX_DEPTH = 200;

function write(value: unknown, depth: number): string {
  if (depth > MAX_DEPTH) throw unfit(`nested deeper than ${MAX_DEPTH}`);
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return text(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw unfit('a number that is not finite');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(',')}]`;
  if (!isPlainObject(value)) throw unfit(`a ${typeof value}`);
  const members: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const member = value[key];
    if (member !== undefined) members.push(`${text(key)}:${write(member, depth + 1)}`);
  }
  return `{${members.join(',')}}`;
}

function text(value: string): string {
  // A lone surrogate becomes U+FFFD on its way through UTF-8, so the hash could never be computed again.
  if (!value.isWellFormed()) throw unfit('text with a lone surrogate');
  return JSON.stringify(value);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function unfit(what: string): MoraineError {
  return new MoraineError('INTERNAL', `Canonical JSON was asked for a value that JSON cannot hold: ${what}.`);
}
