/** The audit chain, computed again from what its page says: each entry holds the hash of the one before. */
import { createHash } from 'node:crypto';
import type { AuditBlock } from './ledger.ts';

/** The first thing that does not hold, or null. */
export function auditProblem(
  blocks: readonly AuditBlock[],
  heads: readonly { readonly seq: number; readonly hash: string }[],
): string | null {
  const remembered = new Map(heads.map(({ seq, hash }) => [seq, hash]));
  let seq = 0;
  let previous = '0'.repeat(64);
  for (const { entries } of blocks) {
    for (const entry of entries) {
      seq += 1;
      if (entry.seq !== seq) return `entry ${seq} is missing`;
      if (entry.previous !== previous) return `entry ${seq} does not follow the one before`;
      const { hash, ...rest } = entry;
      if (createHash('sha256').update(canonical(rest)).digest('hex') !== hash) return `entry ${seq} was changed`;
      const head = remembered.get(seq);
      if (head !== undefined && head !== hash) return `entry ${seq} is not the one that a certificate remembers`;
      previous = hash;
    }
  }
  const last = Math.max(0, ...remembered.keys());
  return last > seq ? `the chain ends at ${seq}, and a certificate remembers ${last}` : null;
}

/** RFC 8785: keys sorted, no white space; instants as ISO 8601. */
function canonical(value: unknown): string {
  if (value instanceof Date) return JSON.stringify(value.toISOString());
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`);
  return `{${members.join(',')}}`;
}
