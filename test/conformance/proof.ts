/** A proof: something that a client did and what came of it, held against what the service documents. */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';

export const proofSchema = z.object({
  /** What is shown. */
  what: z.string(),
  /** The operations that are proven by it. */
  operations: z.array(z.string()),
  /** Why it failed; null when it holds. */
  error: z.string().nullable(),
});
export type Proof = z.output<typeof proofSchema>;

/** Where a client of this process finds the emulator that is its own. */
export interface ClientWorld {
  readonly endpoint: string;
  readonly snsEndpoint: string;
  advance(duration: string): Promise<void>;
}

export const REGION = 'us-east-1';
export const ACCOUNT = '012345678901';
export const CREDENTIALS = { accessKeyId: 'moraine', secretAccessKey: 'moraine-local' };
export const MIB = 1024 * 1024;

/** Collects proofs; one that fails does not stop the next. */
export class Proofs {
  readonly all: Proof[] = [];

  async prove(what: string, operations: readonly string[], check: () => Promise<void>): Promise<void> {
    const error = await check().then(
      () => null,
      (reason: unknown) => (reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)),
    );
    this.all.push({ what, operations: [...operations], error });
  }
}

export function equal(actual: unknown, expected: unknown, what = 'value'): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
}

/** Bytes that look random and are the same each time. */
export function pattern(length: number, seed: string): Buffer {
  const blocks = Array.from({ length: MIB / 32 }, (_, i) => createHash('sha256').update(`${seed}/${i}`).digest());
  const block = Buffer.concat(blocks);
  return Buffer.concat(Array.from({ length: Math.ceil(length / MIB) }, () => block)).subarray(0, length);
}

/** Straight from the definition, independent of client and emulator. */
export function treeHash(bytes: Buffer): string {
  const sha = (...data: Buffer[]) => createHash('sha256').update(Buffer.concat(data)).digest();
  let level: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += MIB) level.push(sha(bytes.subarray(at, at + MIB)));
  while (level.length > 1) {
    const next: Buffer[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const pair = level.slice(i, i + 2);
      next.push(pair.length === 2 ? sha(...pair) : (pair[0] ?? Buffer.alloc(0)));
    }
    level = next;
  }
  return (level[0] ?? Buffer.alloc(0)).toString('hex');
}

/** A policy of one statement for a vault of this account. */
export function policyOf(vaultArn: string, statement: Record<string, unknown>): string {
  const whole = { Effect: 'Deny', Principal: '*', Action: 'glacier:DeleteArchive', Resource: vaultArn, ...statement };
  return JSON.stringify({ Version: '2012-10-17', Statement: [whole] });
}

export const YOUNG = { Condition: { NumericLessThan: { 'glacier:ArchiveAgeInDays': '365' } } };
