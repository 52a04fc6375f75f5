/**
 * Puts an archive that is in a vault, and that the ledger does not know, into the ledger: from its description and from
 * the key store alone. For a rebuilt ledger, and for a stray that a person adopts.
 *
 * It comes in quarantined (ARCHIVE_NOT_PROVEN): a description says what it calls itself, not what is in it, nor whether
 * its originals are gone. Proving that (prove-archive.ts) takes an identity. Until then it is kept, can be retrieved, and
 * is neither cleared nor purged.
 *
 * By its key: kept: it is placed. Destroyed: an abandoned attempt or a purge left it, nobody can open it, and the ledger
 * says so, so that reconcile removes it after the margin. Nowhere: nobody can open it, and nobody says that this is
 * meant: a stray.
 */
import { isMoraineError } from '../errors.ts';
import { id, type PolicyVersion } from '../ids.ts';
import { type ArchiveDocument, notBegun, type StoredFacts, UNIT_ARCHIVE_VERSION } from '../ledger/archive-document.ts';
import { archives, newestSequence } from '../ledger/archives.ts';
import { type AttemptDocument, attempts } from '../ledger/attempts.ts';
import { writeFacets } from '../ledger/facet-codes.ts';
import { partitionId } from '../ledger/partitions.ts';
import { policyVersion } from '../ledger/policies.ts';
import { quarantineArchiveEntry } from '../ledger/quarantine.ts';
import { MAX_CLASHES } from '../ledger/store.ts';
import type { InventoryEntry, UploadIntent, VaultLocation } from '../vault/port.ts';
import type { Context } from './context.ts';

export const NOT_PROVEN = 'ARCHIVE_NOT_PROVEN';

/** `other-file`: the ledger has the archive, and another file of it. */
export type Placed = 'placed' | 'known' | 'unreadable' | 'without-key' | 'other-file';

type ListedEntry = Pick<InventoryEntry, 'vaultArchiveId' | 'bytes' | 'treeHash' | 'createdAt'>;

/** Idempotent. The key is looked at before anything is written. `names`: of policies that are not in the ledger yet. */
export async function placeArchive(
  context: Context,
  location: VaultLocation,
  entry: ListedEntry,
  intent: UploadIntent,
  names: ReadonlyMap<PolicyVersion, string> = new Map(),
): Promise<Placed> {
  const known = await archives(context.store).get(intent.archive);
  if (known !== null) return known.stored?.vaultArchiveId === entry.vaultArchiveId ? 'known' : 'other-file';
  const key = await stateOfKey(context, location, intent);
  if (key === 'missing') return 'without-key';
  const whole = withWholeNames(location, intent);
  if (key !== 'kept') {
    await writeAttempt(context, location, whole, { state: 'abandoned', keyDestroyedAt: context.clock.now() });
    return 'unreadable';
  }
  await writeAttempt(context, location, whole, { state: 'acknowledged', keyDestroyedAt: null });
  const policy = names.get(intent.policyVersion) ?? (await nameOfPolicy(context, intent));
  await writeArchive(context, location, entry, whole, policy);
  return 'placed';
}

async function stateOfKey(
  context: Context,
  { owner }: VaultLocation,
  intent: UploadIntent,
): Promise<'kept' | 'destroyed' | 'missing'> {
  try {
    const wrapped = await context.keys.readBack(intent.attempt);
    // A description that names somebody else's key proves nothing.
    return wrapped.archive === intent.archive && wrapped.owner === owner ? 'kept' : 'missing';
  } catch (error) {
    if (isMoraineError(error, 'KEY_DESTROYED')) return 'destroyed';
    if (isMoraineError(error, 'KEY_MISSING')) return 'missing';
    throw error;
  }
}

/** A long name is a hash in the description; the tags of the vault have it. */
function withWholeNames(location: VaultLocation, intent: UploadIntent): UploadIntent {
  return { ...intent, owner: location.owner, customer: location.customer };
}

async function writeAttempt(
  context: Context,
  location: VaultLocation,
  intent: UploadIntent,
  as: Pick<AttemptDocument, 'state' | 'keyDestroyedAt'>,
): Promise<void> {
  const now = context.clock.now();
  await attempts(context.store).insert({
    ...{ _id: intent.attempt, v: 1, archive: intent.archive, epoch: 0, location, intent, partBytes: 0 },
    ...{ uploadId: null, members: [], cleanedUp: false, startedAt: now, endedAt: now },
    ...as,
    reason: as.state === 'abandoned' ? 'its key was destroyed before the ledger knew of it' : null,
  });
}

async function writeArchive(
  context: Context,
  location: VaultLocation,
  entry: ListedEntry,
  intent: UploadIntent,
  policy: string,
): Promise<void> {
  const { store, clock } = context;
  const { owner, customer, archive } = intent;
  const namespace = id.namespace(intent.dataset);
  const partition = partitionId(namespace, owner, customer);
  const now = clock.now();
  const dueAt = new Date(intent.dueAt);
  const document: Omit<ArchiveDocument, 'rev' | 'sequence'> = {
    ...notBegun(now),
    _id: archive,
    v: UNIT_ARCHIVE_VERSION,
    state: 'quarantined',
    // A person who takes it up again without a proof says that its originals are gone.
    quarantinedFrom: 'cleared',
    quarantineReason: NOT_PROVEN,
    ...{ policy, policyVersion: intent.policyVersion, namespace, owner, customer, partition, vault: location },
    verifyLevel: 'inventory',
    plan: unknownPlan(entry, dueAt),
    ...{ attempt: intent.attempt, attemptCount: 1, stored: unknownFacts(entry), verifiedAt: now, dueAt },
    rosterShrunk: true,
    unaudited: [
      {
        key: `${archive}:found in vault`,
        act: 'archive found in vault',
        phase: 'outcome',
        subject: { archive, owner, customer, policy, attempt: intent.attempt },
        details: { vault: location.name, vaultArchiveId: entry.vaultArchiveId, bytes: entry.bytes },
      },
    ],
  };
  // A hold on a facet covers it: what its records carry is in the file alone.
  await writeFacets(store, document, { coversEverything: true });
  for (let clash = 0; clash <= MAX_CLASHES; clash++) {
    const sequence = (await newestSequence(store, partition)) + 1;
    if ((await archives(store).insert({ ...document, sequence })) === 'inserted') break;
    if ((await archives(store).get(archive)) !== null) break;
  }
  const text = 'It was found in its vault; what it holds, and that its originals are gone, was not shown yet.';
  const of = { archive, policy, namespace, owner, customer };
  await quarantineArchiveEntry(store, clock, { ...of, reason: NOT_PROVEN, text });
}

/** The description has the version only. */
async function nameOfPolicy({ store }: Context, intent: UploadIntent): Promise<string> {
  try {
    return (await policyVersion(store, intent.policyVersion)).name;
  } catch (error) {
    if (!isMoraineError(error, 'POLICY_UNKNOWN')) throw error;
    return `version-${intent.policyVersion.slice(0, VERSION_DIGITS)}`;
  }
}

const VERSION_DIGITS = 12;

/** Wide enough for whatever may be in it: a range that a hold names is never beside it. */
function unknownPlan({ bytes, createdAt }: ListedEntry, latestPurgeAt: Date): ArchiveDocument['plan'] {
  const before = createdAt.getTime();
  return { after: null, bound: null, before, asOf: createdAt, records: 0, bytes, reachedEnd: true, latestPurgeAt };
}

function unknownFacts({ vaultArchiveId, bytes, treeHash, createdAt }: ListedEntry): StoredFacts {
  return {
    ...{ vaultArchiveId, bytes, treeHash: treeHash ?? '', at: createdAt, records: 0, recordBytes: 0 },
    ...{ merkleRoot: '', manifestSha256: '', rosterPages: 0 },
    ...{ oldestDueAt: createdAt, triggerFrom: new Date(0), triggerTo: createdAt },
  };
}
