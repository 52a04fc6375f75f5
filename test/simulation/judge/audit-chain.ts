/** Promise 10: the audit chain, read and computed anew from what docs and the ledger's documents say of its form. */
import { createHash } from 'node:crypto';
import type { AuditFacts, Known } from './known.ts';
import type { RawDocument } from './observations.ts';
import type { Report } from './properties.ts';
import { asFields, asInstant, asList, asNumber, asText, type Fields } from './values.ts';

const GENESIS = '0'.repeat(64);
/** What an entry can be asked for by. */
const SUBJECTS = ['archive', 'expiration', 'attempt', 'hold'] as const;

/** A block of entries was written. Blocks are written once. */
export function seeAudit(known: Known, report: Report, before: RawDocument | null, after: RawDocument | null): void {
  if (before !== null || after === null) {
    report(
      'audit-chain-broken',
      `Audit block ${before?._id ?? after?._id} was ${after === null ? 'removed' : 'changed'}.`,
    );
    return;
  }
  for (const entry of asList(after['entries']).map(asFields)) {
    const subject = asFields(entry['subject']);
    const facts: AuditFacts = {
      act: asText(entry['act']) ?? '',
      phase: asText(entry['phase']) ?? '',
      attempt: asText(asFields(entry['details'])['attempt']) ?? asText(subject['attempt']),
    };
    for (const name of SUBJECTS) {
      const id = asText(subject[name]);
      if (id === null) continue;
      const key = `${name} ${id}`;
      const entries = known.audit.get(key);
      if (entries === undefined) known.audit.set(key, [facts]);
      else entries.push(facts);
    }
  }
}

/** The first thing that is wrong with the chain, or null. */
export function faultOfChain(blocks: readonly RawDocument[]): string | null {
  let seq = 0;
  let hash = GENESIS;
  for (const block of [...blocks].sort((a, b) => (a._id < b._id ? -1 : 1))) {
    if (Number(block._id) !== seq + 1) return `after entry ${seq} comes block ${block._id}`;
    for (const entry of asList(block['entries']).map(asFields)) {
      seq += 1;
      if (asNumber(entry['seq']) !== seq) return `entry ${seq} is missing`;
      if (entry['previous'] !== hash) return `entry ${seq} does not name the hash of the one before`;
      hash = asText(entry['hash']) ?? '';
      if (hash !== hashOf(entry)) return `entry ${seq} was changed`;
    }
  }
  return null;
}

/** SHA-256 of the canonical JSON of all fields but the hash, instants as ISO 8601. */
export function hashOf(entry: Fields): string {
  const { hash: _, ...unhashed } = entry;
  return createHash('sha256').update(canonical(unhashed)).digest('hex');
}

/** RFC 8785: keys sorted by UTF-16 code units, no white space. */
export function canonical(value: unknown): string {
  const instant = asInstant(value);
  if (instant !== null) return JSON.stringify(new Date(instant).toISOString());
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`);
  return `{${members.join(',')}}`;
}
