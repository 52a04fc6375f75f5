/**
 * Verifying the audit chain with heads from the place where they were published, and with a public key that came by
 * another way. Nothing of this trusts the ledger, its key store or its configuration: each head must be signed by one of
 * the keys, name the one before, and be in the chain that the ledger shows; and the chain must go on from the newest.
 *
 * What it proves: every entry up to the newest head is as it was when that head was published. What it does not: what came
 * after, and that an installation which stopped publishing did nothing meanwhile. The silences are told.
 */
import { isSignedBy, type PublicKeys } from '../keys/public-keys.ts';
import { type AuditVerdict, verifyAudit } from '../ledger/audit.ts';
import { findCertificates } from '../ledger/certificates.ts';
import type { Store } from '../ledger/store.ts';
import type { PublishedHead } from '../vault/heads-port.ts';
import { type AuditHeadText, EMPTY_CHAIN, headSha256, readHead } from './audit-head.ts';

export interface HeadsVerdict {
  readonly ok: boolean;
  readonly heads: number;
  readonly installation: string | null;
  /** The first and the newest that were read; null: none. */
  readonly first: AuditHeadText | null;
  readonly newest: AuditHeadText | null;
  readonly keyIds: readonly string[];
  readonly chain: AuditVerdict;
  /** Entries that no head proves yet. */
  readonly entriesSince: number;
  /** What does not hold, the first of them; `problemCount` says how many there are. */
  readonly problems: readonly string[];
  readonly problemCount: number;
  /** Times in which no head was published although one is due every hour, the longest of them. */
  readonly silences: readonly { readonly from: string; readonly to: string }[];
}

export interface VerifyHeadsOptions {
  readonly keys: PublicKeys;
  /** A time without a head that is longer than this is told. */
  readonly silentAfterMs: number;
}

const PROBLEMS_TOLD = 20;
const SILENCES_TOLD = 10;

/** `heads` in the order of their numbers. Never throws for what is wrong with them. */
export async function verifyHeads(
  store: Store,
  heads: AsyncIterable<PublishedHead>,
  { keys, silentAfterMs }: VerifyHeadsOptions,
): Promise<HeadsVerdict> {
  const problems: string[] = [];
  let problemCount = 0;
  const found = (problem: string) => {
    problemCount += 1;
    if (problems.length < PROBLEMS_TOLD) problems.push(problem);
  };
  const remembered: { readonly seq: number; readonly hash: string }[] = [];
  const silences: { readonly from: string; readonly to: string; readonly ms: number }[] = [];
  const keyIds = new Set<string>();
  let count = 0;
  let first: AuditHeadText | null = null;
  let newest: AuditHeadText | null = null;
  let sha256: string | null = null;
  for await (const { number, bytes, isCovered } of heads) {
    count += 1;
    const read = readHead(bytes);
    if (isCovered)
      found(`Somebody has written above head no. ${number}, or marked it as deleted; the first version counts.`);
    if (read === null) {
      found(`What is published as head no. ${number} is no head.`);
      continue;
    }
    const { head, body, signature } = read;
    keyIds.add(signature.keyId);
    if (!isSignedBy(keys, body, signature)) {
      found(`Head no. ${number} is not signed by a key that was given (it names ${signature.keyId}).`);
      continue;
    }
    if (head.number !== number) found(`Head no. ${head.number} is published as no. ${number}.`);
    if (newest !== null) {
      if (head.installation !== newest.installation) found(`Head no. ${number} is of another installation.`);
      if (head.number !== newest.number + 1)
        found(`Between heads no. ${newest.number} and ${number} some are missing.`);
      else if (head.previous !== sha256) found(`Head no. ${number} does not name the one before it.`);
      if (head.seq < newest.seq) found(`Head no. ${number} is of an earlier entry than the one before it.`);
      if (head.certificates < newest.certificates)
        found(`Head no. ${number} counts fewer certificates than the one before it.`);
      const ms = Date.parse(head.at) - Date.parse(newest.at);
      if (ms > silentAfterMs) silences.push({ from: newest.at, to: head.at, ms });
    } else if (head.number === 1 && head.previous !== null) found('The first head names one before it.');
    if (head.seq > 0) remembered.push({ seq: head.seq, hash: head.hash });
    first ??= head;
    newest = head;
    sha256 = headSha256(body);
  }
  if (newest === null) found('There is no head that a given key has signed: nothing is proved.');
  const chain = await verifyAudit(store, remembered);
  if (!chain.ok) found(chainText(chain));
  const missing = newest === null ? 0 : newest.certificates - (await certificatesUpTo(store, newest.certificates));
  if (missing > 0) found(`${missing} certificates that head no. ${newest?.number} counts are not in the ledger.`);
  return {
    ok: problemCount === 0,
    heads: count,
    installation: newest?.installation ?? null,
    first,
    newest,
    keyIds: [...keyIds].sort(),
    chain,
    entriesSince: Math.max(0, chain.entries - (newest?.seq ?? EMPTY_CHAIN.seq)),
    problems,
    problemCount,
    silences: silences
      .sort((a, b) => b.ms - a.ms)
      .slice(0, SILENCES_TOLD)
      .map(({ from, to }) => ({ from, to })),
  };
}

function chainText({ firstBad, reason }: AuditVerdict): string {
  return `The audit chain of the ledger does not hold at entry ${firstBad}: ${reason}.`;
}

async function certificatesUpTo(store: Store, number: number): Promise<number> {
  let count = 0;
  for await (const certificate of findCertificates(store)) {
    if (certificate.number > number) break;
    count += 1;
  }
  return count;
}
