/**
 * What a certificate says of an archive or a disposal: the parts of its text. No record, no value of a field and no words
 * of a person (a reason, a case) are in it, for a certificate is kept for ever and handed to others; names of people are
 * those that ordered and approved. Where a reason was given, the approval and the audit chain have it.
 */
import { Temporal } from 'temporal-polyfill';
import type { Json } from '../canonical-json.ts';
import { MoraineError } from '../errors.ts';
import { isRightlyGranted } from '../ledger/approval-decisions.ts';
import type { ApprovalDocument } from '../ledger/approval-document.ts';
import { approvals } from '../ledger/approvals.ts';
import {
  type ArchiveDocument,
  collectionOfArchive,
  type HoldsLooked,
  type PurgeFacts,
  type StoredFacts,
} from '../ledger/archive-document.ts';
import type { Decided, Span } from '../ledger/decided.ts';
import type { DisposalDocument } from '../ledger/disposals.ts';
import { type MigrationDocument, migrationsOf } from '../ledger/migrations.ts';
import { purgeOf } from '../ledger/purging.ts';
import type { Store } from '../ledger/store.ts';
import type { Context } from './context.ts';

export type Facts = Readonly<Record<string, Json>>;

/** Throws INTERNAL for an archive that was not purged to its end. */
export async function factsOfPurge(context: Context, archive: ArchiveDocument, inventoryDate: Date): Promise<Facts> {
  const { stored } = archive;
  const purge = purgeOf(archive);
  const { acceptedAt, keyDestroyedAt } = purge;
  if (stored === null || acceptedAt === null || keyDestroyedAt === null) {
    throw new MoraineError('INTERNAL', `Archive ${archive._id} was not purged; it cannot be certified.`, {
      ids: { archive: archive._id },
    });
  }
  const { addendumTo, rescheduled = [], early } = archive;
  const granted = [early?.approval, ...rescheduled.map(({ approval }) => approval)];
  return {
    what: 'archive purged',
    archive: archive._id,
    records: { ...archive.outcomes },
    ...(stored.children === undefined ? {} : { children: stored.children }),
    ...(stored.attachments === undefined ? {} : { attachments: stored.attachments }),
    ...(addendumTo === undefined ? {} : { addendumTo, collection: collectionOfArchive(archive) }),
    rules: [...(stored.rules ?? [])].map(({ rule, records }) => ({ rule, records })),
    triggers: spanText({ from: stored.triggerFrom, to: stored.triggerTo }),
    due: {
      activeEnded: stored.oldestDueAt.toISOString(),
      ...(stored.firstPurgeAt === undefined ? {} : { purgeFrom: stored.firstPurgeAt.toISOString() }),
      purgeTo: (early?.from ?? rescheduled[0]?.from ?? purge.claimedDueAt).toISOString(),
      claimed: purge.claimedDueAt.toISOString(),
    },
    ...(rescheduled.length === 0 ? {} : { rescheduled: rescheduled.map(moved) }),
    ...(early === undefined ? {} : { early: moved({ ...early, to: early.at }) }),
    holds: holdsFacts(purge.looked, archive.leftOut, purge.askedAt),
    approvals: await approvalFacts(context.store, granted, archive._id),
    merkleRoot: stored.merkleRoot,
    manifestSha256: stored.manifestSha256,
    copies: [
      copyOf(archive, stored, { ...purge, acceptedAt }, inventoryDate),
      ...(await migrationsOf(context.store, archive._id)).flatMap(oldCopyOf),
    ],
    key: { attempt: archive.attempt, destroyedAt: keyDestroyedAt.toISOString() },
    finalOn: finalOn(keyDestroyedAt, context.keys.backupMaxAge),
  };
}

/** `fields`: of records that were treated in place, which and how. */
export async function factsOfDisposal(
  context: Context,
  disposal: DisposalDocument,
  done: {
    readonly what: string;
    readonly records: Facts;
    readonly merkleRoot: string;
    readonly fields: readonly { readonly field: string; readonly how: string }[] | null;
  },
): Promise<Facts> {
  const { decided, saidBy, asOf, looked, leftOut, startedAt } = disposal;
  const { what, records, merkleRoot, fields } = done;
  return {
    what,
    archive: null,
    records,
    ...(fields === null ? {} : { fields: fields.map(({ field, how }) => ({ field, how })) }),
    ...decidedFacts(decided),
    dueBy: asOf.toISOString(),
    saidBy,
    holds: holdsFacts(looked, leftOut, null),
    approvals: await approvalFacts(context.store, disposal.approvals ?? []),
    merkleRoot,
    done: { from: startedAt.toISOString(), to: context.clock.now().toISOString() },
    copies: [],
  };
}

/** Approvals that were rightly granted: those that are named, and those that name the archive. The oldest first. */
export async function approvalFacts(
  store: Store,
  ids: readonly (string | null | undefined)[],
  archive?: string,
): Promise<readonly Json[]> {
  const found = new Map<string, ApprovalDocument>();
  for (const id of ids) {
    const approval = id == null ? null : await approvals(store).get(id);
    if (approval !== null) found.set(approval._id, approval);
  }
  if (archive !== undefined)
    for await (const approval of approvals(store).find({ items: archive })) found.set(approval._id, approval);
  return [...found.values()]
    .filter(isRightlyGranted)
    .sort((a, b) => a.requestedAt.getTime() - b.requestedAt.getTime() || (a._id < b._id ? -1 : 1))
    .map(({ _id, kind, hash, requestedBy, requestedAt, grants }) => ({
      id: _id,
      kind,
      hash,
      requestedBy,
      requestedAt: requestedAt.toISOString(),
      granted: grants.map(({ by, at }) => ({ by, at: at.toISOString() })),
    }));
}

/** A copy that the archive left behind when it was moved. One that was never deleted keeps the archive from being certified. */
function oldCopyOf({
  state,
  from,
  fromArchiveId,
  fromAt,
  bytes,
  treeHash,
  deletion,
}: MigrationDocument): readonly Json[] {
  // Nothing was sent anywhere, and nothing ever will be: the archive is purged.
  if (state === 'wanted' || state === 'retrieving' || state === 'ended') return [];
  if (state !== 'gone' || deletion === null)
    throw new MoraineError('INTERNAL', `An old copy in vault ${from.name} is not known to be gone.`);
  const { backend, account, region, name, prefix } = from;
  return [
    {
      backend,
      account,
      region,
      vault: name,
      ...(prefix === '' ? {} : { prefix }),
      vaultArchiveId: fromArchiveId,
      bytes,
      treeHash,
      storedAt: fromAt.toISOString(),
      deleted: {
        requestedAt: deletion.askedAt?.toISOString() ?? null,
        acceptedAt: deletion.acceptedAt?.toISOString() ?? null,
        requestId: deletion.requestId,
        approval: deletion.approval,
        confirmedByInventoryOf: deletion.goneAt?.toISOString() ?? null,
      },
    },
  ];
}

function copyOf(
  { vault, verifyLevel, verifiedAt }: ArchiveDocument,
  stored: StoredFacts,
  purge: PurgeFacts & { readonly acceptedAt: Date },
  inventoryDate: Date,
): Json {
  const { backend, account, region, name, prefix } = vault;
  return {
    backend,
    account,
    region,
    vault: name,
    ...(prefix === '' ? {} : { prefix }),
    vaultArchiveId: stored.vaultArchiveId,
    bytes: stored.bytes,
    treeHash: stored.treeHash,
    storedAt: stored.at.toISOString(),
    verified: { level: verifyLevel, at: verifiedAt?.toISOString() ?? null },
    deleted: {
      requestedAt: purge.askedAt?.toISOString() ?? null,
      acceptedAt: purge.acceptedAt.toISOString(),
      requestId: purge.requestId ?? null,
      confirmedByInventoryOf: inventoryDate.toISOString(),
    },
  };
}

function decidedFacts(decided: Decided | undefined): Facts {
  if (decided === undefined) return { rules: [] };
  return {
    rules: decided.rules.map(({ rule, records }) => ({ rule, records })),
    ...(decided.triggers === null ? {} : { triggers: spanText(decided.triggers) }),
    ...(decided.due === null
      ? {}
      : { due: { activeEnded: decided.due.from.toISOString(), activeEndedLast: decided.due.to.toISOString() } }),
  };
}

/** `inForce`: holds that name the owner, customer and dataset, or any, and cover nothing of it. */
function holdsFacts(looked: HoldsLooked | undefined, leftOut: readonly string[] = [], again: Date | null): Json {
  return {
    lookedAt: [looked?.at, again ?? undefined].flatMap((at) => (at === undefined ? [] : [at.toISOString()])),
    inForce: looked?.count ?? null,
    ids: [...(looked?.holds ?? [])],
    leftOut: [...leftOut],
  };
}

function moved(of: {
  readonly from: Date;
  readonly to: Date;
  readonly by: string;
  readonly approval: string | null;
  readonly at: Date;
}): Json {
  const { from, to, by, approval, at } = of;
  return { from: from.toISOString(), to: to.toISOString(), by, approval, at: at.toISOString() };
}

function spanText({ from, to }: Span): Json {
  return { from: from.toISOString(), to: to.toISOString() };
}

/** Backups of the key store may hold the key until they have reached their greatest age; null when none was declared. */
function finalOn(destroyedAt: Date, backupMaxAge: string | null): string | null {
  if (backupMaxAge === null) return null;
  const destroyed = Temporal.Instant.fromEpochMilliseconds(destroyedAt.getTime()).toZonedDateTimeISO('UTC');
  return destroyed.add(Temporal.Duration.from(backupMaxAge)).toInstant().toString();
}
