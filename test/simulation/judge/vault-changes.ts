/** Promises 1, 3, 4, 8, 9 and 10 at the vaults and the key store: what is stored, removed, kept and destroyed there. */
import { coversArchive, isInForce } from './brakes.ts';
import { earliestPurge } from './due.ts';
import {
  CLOCK_TOLERANCE_MS,
  fileKey,
  type Known,
  type KnownArchive,
  type KnownFile,
  type Parties,
  recordKey,
} from './known.ts';
import { judgeLeavingArchive } from './leaving.ts';
import type { Instant, Observation, Physical, RawDocument } from './observations.ts';
import { openArchive, recipientCount, unwrapKey } from './open-archive.ts';
import type { Report } from './properties.ts';
import { readRecord } from './record-facts.ts';
import type { Secrets } from './secrets.ts';
import { seeUnits } from './unit-archives.ts';
import { asBytes, asFields, asText, sameBytes } from './values.ts';

type Stored = Extract<Observation, { readonly what: 'vault stored' }>;
type Removed = Extract<Observation, { readonly what: 'vault removed' }>;

export interface KeyWrite {
  readonly id: string;
  readonly before: RawDocument | null;
  readonly after: RawDocument | null;
}

export async function seeStored(known: Known, report: Report, secrets: Secrets, { by, file }: Stored): Promise<void> {
  const parties = partiesOf(file.description);
  const stored: KnownFile = {
    file,
    parties,
    opened: null,
    failure: null,
    bytesOf: new Map(),
    inVault: true,
    removedAtStep: null,
    isListed: false,
    damage: new Set(),
  };
  known.files.set(fileKey(file.vault, file.vaultArchiveId), stored);
  secrets.lookAtFile(report, file);
  if (parties === null) return;
  if (!isAnnounced(known, parties)) {
    report(
      'act-without-intent',
      `${by} stored a file of archive ${parties.archive} before the audit chain named its attempt ${parties.attempt}.`,
    );
  }
  judgeVault(known, report, stored, parties);
  const { rawKey } = known.attempt(parties.attempt);
  if (rawKey === null) {
    stored.failure = 'there is no key for it';
    return;
  }
  try {
    stored.opened = await openArchive(file.bytes, rawKey);
  } catch (error) {
    stored.failure = error instanceof Error ? error.message : String(error);
    return;
  }
  judgeContent(known, report, stored, parties);
  seeUnits(known, report, stored);
  for (const { id, bytes } of stored.opened.records) {
    const key = recordKey(stored.opened.namespace, id);
    stored.bytesOf.set(key, bytes);
    const others = known.filesOfRecord.get(key);
    if (others === undefined) known.filesOfRecord.set(key, [stored]);
    else others.push(stored);
    const record = known.records.get(key);
    if (record === undefined || record.bytes === null || !sameBytes(record.bytes, bytes)) {
      known.archive(parties.archive).touched.add(key);
    }
  }
}

export function seeVaultRemoved(known: Known, report: Report, seen: Removed, physical: Physical): void {
  const now = physical.now();
  const { by, method } = seen;
  const file = known.fileOf(seen.file.vault, seen.file.vaultArchiveId);
  if (file === undefined) return;
  file.inVault = false;
  file.removedAtStep = known.step;
  const which = `File ${seen.file.vaultArchiveId}`;
  const archive = file.parties === null ? null : known.archive(file.parties.archive);
  if (archive === null || file.parties === null) {
    report('stray-removed', `${which} of nobody that the ledger knows was removed by ${by}.`);
    return;
  }
  const isTheArchives = known.storedFile(archive) === file;
  if (method === 'deleteAbandoned') {
    judgeAbandoned(known, report, which, by, file.parties, archive);
    return;
  }
  if (!isTheArchives && !known.isLedgerSetBack) {
    report(
      'stray-removed',
      `${which} was purged by ${by} and is not the one that the ledger names for archive ${archive.id}.`,
    );
  }
  const policies = known.policiesOf(archive, file.parties.namespace);
  // Whether that was granted was judged when it was written.
  const isEarly = archive.document?.['early'] != null;
  judgeLeavingArchive(known, report, archive, which);
  // And so was another date that a person gave it.
  const movedTo = known.movedTo.get(archive.id);
  for (const { facts } of archive.deleted.values()) {
    if (facts.trigger === null || isEarly) continue;
    const due = movedTo ?? earliestPurge(known, policies, facts, known.decidedAt(archive.document));
    if (due <= now + CLOCK_TOLERANCE_MS) continue;
    report(
      'purged-early',
      `${which} of archive ${archive.id} was removed at ${at(now)}; a record in it is due at ${at(due)}.`,
    );
    break;
  }
  for (const brake of known.brakes) {
    if (brake.tooLate.has(archive.id) || !isInForce(known, brake, now) || !coversArchive(known, brake.scope, archive))
      continue;
    const property = brake.kind === 'hold' ? 'held-archive-purged' : 'paused-archive-purged';
    report(
      property,
      `${which} of archive ${archive.id} was removed under ${brake.kind} ${brake.name}, which did not name it.`,
    );
  }
  judgeRetrievals(known, report, which, archive, physical);
  if (!known.auditOf(`archive ${archive.id}`).some(({ act }) => /purg/.test(act))) {
    report(
      'act-without-intent',
      `${which} was removed before the audit chain said that archive ${archive.id} is purged.`,
    );
  }
}

/** One that was open before the purge began keeps the archive; from `purging` on none can be opened. */
function judgeRetrievals(known: Known, report: Report, which: string, archive: KnownArchive, physical: Physical): void {
  if (known.isLedgerSetBack) return;
  for (const { _id, state } of physical.ledger('retrievals').map((each) => ({ ...each, state: each['state'] }))) {
    if (known.openRetrievals.get(_id) !== archive.id || (state !== 'requested' && state !== 'ready')) continue;
    report(
      'purged-under-retrieval',
      `${which} of archive ${archive.id} was removed while retrieval ${_id} is ${state}.`,
    );
  }
}

export async function seeKeyWritten(
  known: Known,
  report: Report,
  secrets: Secrets,
  { id, before, after }: KeyWrite,
): Promise<void> {
  const attempt = known.attempt(id);
  const was = attempt.key;
  if (after !== null && after['state'] === 'kept') {
    attempt.key = 'kept';
    const wrapped = asBytes(after['wrapped']);
    const owner = asText(after['owner']);
    attempt.keyOwner = owner;
    if (was === 'destroyed' && !known.keyDamage.isSetBack)
      report('destroyed-key-came-back', `The key of attempt ${id} was destroyed and is kept again.`);
    if (wrapped === null || sameBytes(wrapped, asBytes(before?.['wrapped']) ?? new Uint8Array())) return;
    await judgeKey(known, report, secrets, id, owner, wrapped, asText(after['archive']));
    return;
  }
  attempt.key = after === null ? 'none' : 'destroyed';
  if (was === 'kept') judgeDestruction(known, report, id);
}

/** The ledger gives an attempt up: nothing of what it stored may be the last copy. */
export function seeAbandoned(known: Known, report: Report, id: string): void {
  const attempt = known.attempt(id);
  if (attempt.isAbandoned) return;
  attempt.isAbandoned = true;
  for (const file of known.files.values()) {
    if (file.parties?.attempt !== id || !file.inVault || file.damage.size > 0) continue;
    const archive = known.archive(file.parties.archive);
    if (hasDeletions(archive, id))
      report(
        'last-copy-lost',
        `Attempt ${id} of archive ${archive.id} was abandoned after records were deleted under it.`,
      );
  }
}

/** Reads a description; null when it is not of Moraine's form. */
export function partiesOf(description: string): Parties | null {
  try {
    const parsed: unknown = JSON.parse(description);
    const fields = asFields(parsed);
    const [installation, archive, attempt] = [asText(fields['i']), asText(fields['a']), asText(fields['t'])];
    const [owner, customer, namespace] = [asText(fields['o']), asText(fields['c']), asText(fields['d'])];
    if (installation === null || archive === null || attempt === null) return null;
    if (owner === null || customer === null || namespace === null) return null;
    return { installation, archive, attempt, owner, customer, namespace };
  } catch {
    // Not JSON: somebody else's.
    return null;
  }
}

function isAnnounced(known: Known, { archive, attempt }: Parties): boolean {
  return known.auditOf(`archive ${archive}`).some((entry) => entry.attempt === attempt || entry.phase === 'intent');
}

function judgeVault(known: Known, report: Report, stored: KnownFile, parties: Parties): void {
  for (const other of known.files.values()) {
    if (other === stored || other.file.vault !== stored.file.vault || other.parties === null) continue;
    if (other.parties.owner === parties.owner && other.parties.customer === parties.customer) return;
    report(
      'mixed-archive',
      `Vault ${stored.file.vault} holds files of ${other.parties.owner}/${other.parties.customer} and ${parties.owner}/${parties.customer}.`,
    );
    return;
  }
}

function judgeContent(known: Known, report: Report, { opened }: KnownFile, parties: Parties): void {
  if (opened === null) return;
  const of = `The file of archive ${parties.archive}, attempt ${parties.attempt}`;
  for (const name of ['archive', 'attempt', 'owner', 'customer', 'namespace', 'installation'] as const) {
    // Outside, an addendum says what its roots are.
    if (name === 'namespace' && opened.addendumTo !== null) continue;
    if (opened[name] !== parties[name] && !parties[name].startsWith('sha256:')) {
      report('mixed-archive', `${of}, says ${name} ${parties[name]} outside and ${opened[name]} inside.`);
    }
  }
  const document = known.archive(parties.archive).document;
  for (const name of ['owner', 'customer', 'namespace'] as const) {
    const said = name === 'namespace' ? (document?.['collection'] ?? document?.[name]) : document?.[name];
    if (document !== null && said !== opened[name]) {
      report('mixed-archive', `${of}, is of ${name} ${opened[name]}; the ledger says ${String(document[name])}.`);
    }
  }
  for (const { id, bytes } of opened.records) {
    const { owner, customer } = readRecord(bytes);
    if (owner === opened.owner && customer === opened.customer) continue;
    report('mixed-archive', `${of}, of ${opened.owner}/${opened.customer} holds record ${id} of ${owner}/${customer}.`);
  }
}

async function judgeKey(
  known: Known,
  report: Report,
  secrets: Secrets,
  id: string,
  owner: string | null,
  wrapped: Uint8Array,
  archive: string | null,
): Promise<void> {
  const ours = known.facts.identities[owner ?? ''] ?? [];
  const rawKey = await unwrapKey(wrapped, ours);
  // A trial costs a millisecond: made for the first key of an owner, and for one that is wrapped in another way.
  const recipients = rawKey === null ? -1 : recipientCount(wrapped);
  const isUsual = rawKey !== null && known.recipientsOf.get(owner ?? '') === recipients;
  known.recipientsOf.set(owner ?? '', recipients);
  for (const [other, identities] of isUsual ? [] : Object.entries(known.facts.identities)) {
    const theirs = identities.filter((identity) => !ours.includes(identity));
    if (other === owner || theirs.length === 0 || (await unwrapKey(wrapped, theirs)) === null) continue;
    report('mixed-archive', `The key of attempt ${id}, of owner ${owner}, opens for an administrator of ${other}.`);
  }
  const document = archive === null ? null : known.archive(archive).document;
  if (document !== null && document['owner'] !== owner) {
    report(
      'mixed-archive',
      `The key of attempt ${id} is kept for owner ${owner}; archive ${archive} is of ${String(document['owner'])}.`,
    );
  }
  if (rawKey === null) return;
  for (const other of known.attempts.values()) {
    if (other.id === id || other.rawKey === null || !sameBytes(other.rawKey, rawKey)) continue;
    report('mixed-archive', `Attempts ${other.id} and ${id} share an archive key.`);
  }
  known.attempt(id).rawKey = rawKey;
  secrets.addKey(id, rawKey);
}

function judgeAbandoned(
  known: Known,
  report: Report,
  which: string,
  by: string,
  parties: Parties,
  archive: KnownArchive,
): void {
  if (!known.attempt(parties.attempt).isAbandoned) {
    report(
      'stray-removed',
      `${which} was removed by ${by}; the ledger does not name attempt ${parties.attempt} abandoned.`,
    );
  }
  if (hasDeletions(archive, parties.attempt)) {
    report(
      'last-copy-lost',
      `${which} was removed as abandoned; records were deleted under its attempt ${parties.attempt}.`,
    );
  }
  if (!known.auditOf(`attempt ${parties.attempt}`).some(({ phase, act }) => phase === 'intent' && /remove/.test(act))) {
    report(
      'act-without-intent',
      `${which} was removed before the audit chain held an intent for attempt ${parties.attempt}.`,
    );
  }
}

function judgeDestruction(known: Known, report: Report, id: string): void {
  if (known.keyDamage.isSetBack) return;
  let archive: KnownArchive | null = null;
  for (const file of known.files.values()) {
    if (file.parties?.attempt !== id) continue;
    archive = known.archive(file.parties.archive);
    if (!file.inVault || file.damage.size > 0 || !hasDeletions(archive, id)) continue;
    // What a repeated call left beside the file that the ledger names is no copy that anybody counts on.
    const named = known.storedFile(archive);
    if (named !== undefined && named !== file && named.parties?.attempt === id && !named.inVault) continue;
    report(
      'last-copy-lost',
      `The key of attempt ${id} was destroyed while its file is in the vault, the only copy of records deleted under archive ${archive.id}.`,
    );
  }
  const isPurge = archive !== null && known.auditOf(`archive ${archive.id}`).some(({ act }) => /purg/.test(act));
  if (isPurge || known.attempt(id).isAbandoned || known.isLedgerSetBack) return;
  report(
    'act-without-intent',
    `The key of attempt ${id} was destroyed; the ledger does not name it abandoned, and no purge was announced.`,
  );
}

function hasDeletions(archive: KnownArchive, attempt: string): boolean {
  for (const deletion of archive.deleted.values()) if (deletion.attempt === attempt) return true;
  return false;
}

function at(instant: Instant): string {
  return new Date(instant).toISOString();
}
