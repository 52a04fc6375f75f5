/** One head of the audit chain as it is published: its text, its signature, and what it hangs on. Pure. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from '../canonical-json.ts';
import type { Signature } from '../keys/port.ts';

const headSchema = z.strictObject({
  format: z.literal('moraine-audit-head'),
  version: z.literal(1),
  installation: z.string(),
  environment: z.string(),
  /** From 1, without a gap. */
  number: z.int().min(1),
  /** SHA-256 of the signed text of the head before; null for the first. */
  previous: z.string().nullable(),
  at: z.iso.datetime(),
  /** Of the newest entry of the chain then; 0 and zeros for an empty one. */
  seq: z.int().min(0),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  /** The number of the newest certificate then: there is one for each number up to it. */
  certificates: z.int().min(0),
});
export type AuditHeadText = z.output<typeof headSchema>;

const signedSchema = z.strictObject({
  format: z.literal('moraine-signed-audit-head'),
  version: z.literal(1),
  algorithm: z.literal('Ed25519'),
  keyId: z.string(),
  signature: z.string().regex(/^[0-9a-f]{128}$/),
  body: z.string(),
});

export interface SignedHead {
  readonly head: AuditHeadText;
  /** The very text that was signed. */
  readonly body: string;
  readonly signature: Signature;
}

export const EMPTY_CHAIN = { seq: 0, hash: '0'.repeat(64) };

export function headBody(head: AuditHeadText): string {
  return canonicalJson(head);
}

export function headFile(body: string, { keyId, bytes }: Signature): Buffer {
  const signature = Buffer.from(bytes).toString('hex');
  const file = { format: 'moraine-signed-audit-head', version: 1, algorithm: 'Ed25519', keyId, signature, body };
  return Buffer.from(`${JSON.stringify(file, null, 2)}\n`, 'utf8');
}

/** Null for what is no head of ours. The signature is not looked at. */
export function readHead(bytes: Uint8Array): SignedHead | null {
  try {
    const file = signedSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    const head = headSchema.parse(JSON.parse(file.body));
    if (headBody(head) !== file.body) return null;
    return { head, body: file.body, signature: { keyId: file.keyId, bytes: Buffer.from(file.signature, 'hex') } };
  } catch {
    return null;
  }
}

export function headSha256(body: string): string {
  return createHash('sha256').update(body, 'utf8').digest('hex');
}
