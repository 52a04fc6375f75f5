/**
 * Notices: for each owner and customer what is in force, from the ledger. Customers are those that have records in a
 * dataset of a policy in force, found by index seeks, and those whose archives still exist.
 */
import type { CustomerId, OwnerId } from '../ids.ts';
import { id } from '../ids.ts';
import { findArchives } from '../ledger/archives.ts';
import { type HoldDocument, holdsInForce, namesParty } from '../ledger/holds.ts';
import { inForceSince } from '../ledger/policies.ts';
import type { Notice, NoticeEntry } from '../notify/notice.ts';
import { MAX_INSTANT_MS } from '../policy/period.ts';
import { toShape } from '../policy/policy.ts';
import { termsOf } from '../policy/terms.ts';
import { assertNotStopped, type Context, dueNow } from './context.ts';
import { allInForce, isAbout, type PolicyInForce } from './owner-in-force.ts';

export interface NoticesOf {
  readonly owner: OwnerId | null;
  readonly customer: CustomerId | null;
}

export interface NoticeParties {
  /** Who can open what is archived for an owner. */
  administratorsOf(owner: OwnerId): Notice['administrators'];
}

export interface FoundNotices {
  readonly notices: readonly Notice[];
  /** Datasets that could not be asked for their customers: those with archives have a notice all the same. */
  readonly problems: readonly { readonly policy: string; readonly text: string }[];
}

/** Ordered by owner and customer. Reads only. */
export async function noticesOf(context: Context, of: NoticesOf, parties: NoticeParties): Promise<FoundNotices> {
  const inForce = await allInForce(context);
  const holds = await holdsInForce(context.store);
  const found = new Map<string, Party>();
  const party = (owner: OwnerId, customer: CustomerId): Party | null => {
    if ((of.owner ?? owner) !== owner || (of.customer ?? customer) !== customer) return null;
    const key = JSON.stringify([owner, customer]);
    const known = found.get(key) ?? { owner, customer, policies: new Map<string, Copies>() };
    found.set(key, known);
    return known;
  };
  const problems = [];
  for (const { policy } of inForce) {
    const shape = toShape(policy);
    const { findings } = await context.source.inspect(shape);
    const error = findings.find(({ level, code }) => level === 'error' && code !== 'COLLECTION_MISSING');
    if (error !== undefined) {
      problems.push({ policy: policy.name, text: error.text });
      continue;
    }
    for await (const { owner, customer } of context.source.partitions(shape, MAX_INSTANT_MS)) {
      assertNotStopped(context);
      const known = party(owner, customer);
      if (known !== null && !known.policies.has(policy.name)) known.policies.set(policy.name, noCopies());
    }
  }
  for await (const archive of findArchives(context.store, { state: { $in: EXISTING } })) {
    const known = party(archive.owner, archive.customer);
    if (known !== null) count(known, archive);
  }
  const notices = [...found.values()].map((each) => noticeOf(context, each, { inForce, holds, parties }));
  return { notices: notices.sort(byParty), problems };
}

/** States in which a copy is in the vault. */
const EXISTING = ['stored', 'verified', 'cleared', 'purging', 'quarantined'] as const;

interface Party {
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly policies: Map<string, Copies>;
}

interface Copies {
  archives: number;
  records: number;
  firstPurgeAt: Date | null;
  lastPurgeAt: Date | null;
}

function noCopies(): Copies {
  return { archives: 0, records: 0, firstPurgeAt: null, lastPurgeAt: null };
}

function count(
  known: Party,
  archive: {
    readonly policy: string;
    readonly dueAt: Date | null;
    readonly stored: { readonly records: number } | null;
  },
): void {
  const copies = known.policies.get(archive.policy) ?? noCopies();
  known.policies.set(archive.policy, copies);
  copies.archives += 1;
  copies.records += archive.stored?.records ?? 0;
  if (archive.dueAt === null) return;
  if (copies.firstPurgeAt === null || archive.dueAt < copies.firstPurgeAt) copies.firstPurgeAt = archive.dueAt;
  if (copies.lastPurgeAt === null || archive.dueAt > copies.lastPurgeAt) copies.lastPurgeAt = archive.dueAt;
}

function noticeOf(
  context: Context,
  { owner, customer, policies }: Party,
  all: {
    readonly inForce: readonly PolicyInForce[];
    readonly holds: readonly HoldDocument[];
    readonly parties: NoticeParties;
  },
): Notice {
  const { installation, placement } = context;
  return {
    owner,
    customer,
    installation: installation.id,
    environment: installation.environment,
    asOf: dueNow(context),
    regions: placement?.required.get(owner) ?? [],
    administrators: all.parties.administratorsOf(owner),
    entries: all.inForce.flatMap((each) => {
      const copies = policies.get(each.policy.name);
      return copies === undefined ? [] : [entryOf(context, { owner, customer }, each, copies, all.holds)];
    }),
  };
}

function entryOf(
  context: Context,
  { owner, customer }: { readonly owner: OwnerId; readonly customer: CustomerId },
  { policy, version, since, coming, exceptions }: PolicyInForce,
  copies: Copies,
  holds: readonly HoldDocument[],
): NoticeEntry {
  const { installation, placement, vaults } = context;
  const namespace = policy.dataset.collection;
  const terms = termsOf(policy, { owner, customer }, installation.environment);
  const key = policy.archive === null || terms.archive.length === 0 ? null : policy.archive.vault;
  const location = key === null ? null : (vaults.get(key)?.locate(installation.id, owner, customer) ?? null);
  return {
    policy: policy.name,
    version,
    since,
    ...(coming === null ? {} : { coming: { version: coming.version, from: inForceSince(coming) } }),
    terms,
    sourceRegion: placement?.source ?? null,
    vault:
      location === null
        ? null
        : { key: location.key, backend: location.backend, region: location.region, name: location.name },
    copies,
    holds: holds.filter((hold) => namesParty(hold, { owner, customer, namespace: id.namespace(namespace) })).length,
    exceptions: exceptions.filter((one) => isAbout(one, owner, customer)).length,
  };
}

function byParty(a: Notice, b: Notice): number {
  if (a.owner !== b.owner) return a.owner < b.owner ? -1 : 1;
  return a.customer < b.customer ? -1 : a.customer > b.customer ? 1 : 0;
}
