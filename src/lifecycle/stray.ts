/**
 * What a person decides about a stray: a complete file of this installation in a vault that the ledger does not know.
 *
 * Adopted: an administrator's identity opens its key, it comes into the ledger, and is shown to hold what it says.
 * Disposed of: other people approve the end of exactly this file; then, in this order: no hold may cover its customer;
 * its key is destroyed (where it is no other file's); the vault deletes it; a certificate says what is known of it. A cut
 * leaves a file that nobody opens, and the same command goes on.
 */
import type { Json } from '../canonical-json.ts';
import { MoraineError } from '../errors.ts';
import { id } from '../ids.ts';
import { archives, getArchive } from '../ledger/archives.ts';
import type { AuditEntryBody } from '../ledger/audit.ts';
import { closeFinding, type FindingDocument, getFinding } from '../ledger/findings.ts';
import { announceAndLook, isFresh, withdraw } from '../ledger/in-flight.ts';
import { isAttemptOfLedger, proveDisposable } from '../ledger/strays.ts';
import type { UploadIntent } from '../vault/port.ts';
import { type ApprovalRequest, requireApproval } from './approval.ts';
import { certify } from './certificate.ts';
import { type Context, vaultOf } from './context.ts';
import { NOT_PROVEN, placeArchive } from './place-archive.ts';
import { ensureSafeToDestroy } from './preflight.ts';
import { type Proof, type ProveOptions, proveArchive } from './prove-archive.ts';

/** May be called again while it waits for the retrieval. Throws IDENTITY_WRONG, KEY_MISSING, KEY_DESTROYED, USAGE. */
export async function adoptStray(context: Context, name: string, options: ProveOptions): Promise<Proof> {
  const finding = await getFinding(context.store, name, ['stray']);
  const { listed, intent } = listedIn(finding);
  const { archive, attempt } = intent;
  await options.openKey(await context.keys.readBack(attempt));
  await context.audit.appendOnce([entryOf(finding, intent, 'stray adopted', 'intent', { by: options.by })]);
  const placed = await placeArchive(
    context,
    finding.location,
    { ...listed, vaultArchiveId: finding.vaultArchiveId },
    intent,
  );
  if (placed !== 'placed' && placed !== 'known') {
    throw new MoraineError('USAGE', `Archive ${archive} is in the ledger with another file: this one adds nothing.`, {
      hint: `\`moraine stray dispose ${name} --reason TEXT\``,
      ids: { archive, stray: name },
    });
  }
  const document = await getArchive(context.store, archive);
  const isProven = document.quarantineReason !== NOT_PROVEN;
  const proof = isProven
    ? { state: 'proven' as const, outcomes: document.outcomes }
    : await proveArchive(context, document, options);
  if (proof.state === 'waiting') return proof;
  await context.audit.appendOnce([entryOf(finding, intent, 'stray adopted', 'outcome', { ...proof.outcomes })]);
  await closeFinding(context.store, context.clock, name, { by: options.by, reason: 'adopted' });
  return proof;
}

export interface DisposedStray {
  readonly stray: string;
  readonly certificate: string;
}

/** What is shown to who approves: everything that is known of the file. */
export function disposalRequest(finding: FindingDocument, reason: string): ApprovalRequest {
  const { _id, location, vaultArchiveId } = finding;
  const { intent, listed } = listedIn(finding);
  const shown: Json = {
    disposeOfStray: _id,
    vault: location.name,
    vaultArchiveId,
    ...{ bytes: listed.bytes, storedAt: listed.createdAt.toISOString() },
    ...{ archive: intent.archive, dataset: intent.dataset, dueAt: intent.dueAt, reason },
  };
  const subject = { stray: _id, owner: location.owner, customer: location.customer };
  // As a purge before its date: nothing says that this copy is not the only one.
  return { kind: 'early-purge', subject, shown, spendFor: `stray ${_id}` };
}

/** Throws APPROVAL_NEEDED before anything is changed, HELD under a hold, VAULT_VETO. Idempotent. */
export async function disposeOfStray(
  context: Context,
  name: string,
  { by, reason }: { readonly by: string; readonly reason: string },
): Promise<DisposedStray> {
  const { store, clock, keys } = context;
  const finding = await getFinding(store, name, ['stray', 'still-there']);
  if (finding.state === 'closed' && finding.closedReason === DISPOSED) return { stray: name, certificate: name };
  const { intent } = listedIn(finding);
  await assertUnknown(context, finding);
  await ensureSafeToDestroy(context);
  const proof = await requireApproval(context, disposalRequest(finding, reason), by);
  const { owner, customer } = finding.location;
  // Which policy it came from is not known: a pause of one does not reach it, one of its owner does.
  const scope = { policy: '', owner, customer, namespace: id.namespace(intent.dataset), archive: null };
  const look = await announceAndLook(store, clock, context.worker, 'purge', scope);
  if (look.held)
    throw new MoraineError('HELD', `Stray ${name} may hold what hold ${look.holds.join(', ')} names.`, {
      ids: { stray: name },
    });
  try {
    const details = { by, reason, approval: proof.approval };
    await context.audit.appendOnce([entryOf(finding, intent, 'stray disposed of', 'intent', details)]);
    if (!isFresh(clock, look.announcement))
      throw new MoraineError('LEASE_LOST', `It took too long to begin with stray ${name}.`, { ids: { stray: name } });
    const isShared = finding.kind === 'stray' && (await isAttemptOfLedger(store, finding));
    const keyDestroyedAt = isShared ? null : await keys.destroy(intent.attempt);
    const warrant = await proveDisposable(store, clock, finding, proof, keyDestroyedAt);
    await vaultOf(context, finding.location.key).deleteAbandoned(finding.location, finding.vaultArchiveId, warrant);
    await context.audit.appendOnce([entryOf(finding, intent, 'stray disposed of', 'outcome', details)]);
    await certifyStray(context, finding, intent, { ...details, keyDestroyedAt });
    await closeFinding(store, clock, name, { by, reason: DISPOSED });
  } finally {
    await withdraw(store, look.announcement);
  }
  return { stray: name, certificate: name };
}

const DISPOSED = 'disposed of';

/** One that was adopted is an archive: it goes as archives go. */
async function assertUnknown(
  { store }: Context,
  { _id, kind, listed, vaultArchiveId }: FindingDocument,
): Promise<void> {
  const archive = listed?.intent == null ? null : await archives(store).get(listed.intent.archive);
  const isIts = archive?.stored?.vaultArchiveId === vaultArchiveId;
  if (archive === null || !isIts || (kind === 'still-there' && archive.state === 'confirmed')) return;
  throw new MoraineError('USAGE', `${_id} is archive ${archive._id} of the ledger (${archive.state}).`, {
    hint: `\`moraine archive ${archive._id}\``,
    ids: { archive: archive._id },
  });
}

async function certifyStray(
  context: Context,
  finding: FindingDocument,
  intent: UploadIntent,
  done: {
    readonly by: string;
    readonly reason: string;
    readonly approval: string;
    readonly keyDestroyedAt: Date | null;
  },
): Promise<void> {
  const { _id, location, vaultArchiveId, listed } = finding;
  const subject = {
    ...{ _id, owner: location.owner, customer: location.customer, namespace: id.namespace(intent.dataset) },
    ...{ policy: 'unknown', policyVersion: intent.policyVersion },
  };
  await certify(context, subject, {
    what: 'stray disposed of',
    archive: null,
    calledItself: { archive: intent.archive, attempt: intent.attempt, dueAt: intent.dueAt },
    notKnown:
      'The ledger did not know this file: which records it held, and whether it was their only copy, is not known.',
    file: {
      ...{ vault: location.name, region: location.region, vaultArchiveId },
      ...{ bytes: listed?.bytes ?? null, treeHash: listed?.treeHash ?? null },
    },
    storedAt: listed?.createdAt.toISOString() ?? null,
    ...{ by: done.by, reason: done.reason, approval: done.approval },
    vaultAskedAt: context.clock.now().toISOString(),
    keyDestroyedAt: done.keyDestroyedAt?.toISOString() ?? null,
  });
}

function listedIn({ _id, listed }: FindingDocument) {
  const intent = listed?.intent ?? null;
  if (listed !== null && intent !== null) return { listed, intent };
  throw new MoraineError('INTERNAL', `Nothing is kept of what the vault lists of ${_id}.`);
}

function entryOf(
  { _id, location, vaultArchiveId, timesSeen }: FindingDocument,
  { archive, attempt }: UploadIntent,
  act: string,
  phase: AuditEntryBody['phase'],
  details: Readonly<Record<string, string | number | boolean | null>>,
): AuditEntryBody {
  const { owner, customer, name } = location;
  const subject = { stray: _id, archive, attempt, owner, customer };
  // Once for each time that it turned up: it may come back, and be dealt with again.
  return {
    key: `${_id}:${act}:${phase}:${timesSeen}`,
    act,
    phase,
    subject,
    details: { vault: name, vaultArchiveId, ...details },
  };
}
