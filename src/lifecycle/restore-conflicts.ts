/**
 * Restored documents and what stands in their place already.
 *
 * What is there and differs is overwritten only by a person's choice, and then under the guard of a clearing: announced, so
 * that what a hold covers stays; and each document only while it still is what was compared, so that a change in between
 * saves it. A restored document is due again at once, so its exemption is written BEFORE it: the other way round a run in
 * between could archive and delete it.
 */
import { idBytesOf } from '../archive/index-pages.ts';
import { MoraineError } from '../errors.ts';
import { type CustomerId, id, type Namespace, type OwnerId } from '../ids.ts';
import { withdraw } from '../ledger/in-flight.ts';
import { exemptRecords } from '../ledger/record-marks.ts';
import { announceReplacing } from '../ledger/restoring.ts';
import { compareByField } from '../source/bson-order.ts';
import type { DatasetShape, RawRecord, Replacement, SourcePort } from '../source/port.ts';
import { assertNotStopped, type Context } from './context.ts';
import { markScope } from './read-marks.ts';
import type { Written } from './restore.ts';

/**
 * `keep`: what is there stays. `fail`: nothing is restored where something else is there. `newest`: the newer of the two by
 * the policy's version field. `replace`: the archived one, whatever is there.
 */
export const CONFLICT_CHOICES = ['keep', 'fail', 'newest', 'replace'] as const;
export type ConflictChoice = (typeof CONFLICT_CHOICES)[number];

export interface PlacedDocuments {
  readonly into: SourcePort;
  readonly namespace: Namespace;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly policy: string;
  /** Field that tells which of two is newer; null where there is none. */
  readonly version: string | null;
  readonly choice: ConflictChoice;
  readonly exemptUntil: Date;
  /** Looks, and writes nothing. */
  readonly isPreview: boolean;
}

/** Documents that were inserted by others between the look and the insert are looked at again, this often. */
const MOST_ROUNDS = 3;
/** What two documents that are quoted in one statement may weigh together: MongoDB's limit without what else is in it. */
const MOST_QUOTED_BYTES = 15.5 * 1024 * 1024;

/** Throws RESTORE_CONFLICT under `fail`. Idempotent: what was restored is the same when it is looked at again. */
export async function placeDocuments(
  context: Context,
  place: PlacedDocuments,
  documents: readonly Uint8Array[],
): Promise<Written> {
  const scope = await markScope(context, place.namespace, place.owner, place.customer);
  const written = { inserted: 0, existing: 0, replaced: 0, same: 0, newer: 0, changed: 0, held: 0 };
  let rest = documents;
  for (let round = 0; rest.length > 0; round++) {
    const there = await place.into.readByIds(place.namespace, rest.map(idBytesOf));
    const absent: Uint8Array[] = [];
    const outdated: Replacement[] = [];
    for (const raw of rest) {
      const found = there.get(place.into.keyOf(idBytesOf(raw)));
      const is = found === undefined ? 'absent' : standing(place, found.raw, raw);
      if (found === undefined) absent.push(raw);
      else if (is === 'outdated') outdated.push({ record: found, by: raw });
      else if (is === 'same' || is === 'newer' || is === 'changed') written[is] += 1;
    }
    if (place.choice === 'fail' && written.newer + written.changed > 0 && !place.isPreview) throw conflict(place);
    if (place.isPreview) {
      written.inserted += absent.length;
      written.replaced += outdated.length;
      break;
    }
    const keys = [...absent, ...outdated.map(({ by }) => by)].map((raw) => place.into.keyOf(idBytesOf(raw)));
    // One that is there and stays keeps its own marks: it may be in quarantine, or exempt for another reason.
    if (keys.length > 0) await exemptRecords(context.store, scope, keys, place.exemptUntil);
    const replaced = await replaceOutdated(context, place, outdated);
    written.replaced += replaced.replaced;
    written.changed += replaced.changed;
    written.held += replaced.held;
    const { inserted, existing } = await place.into.insertMissing(place.namespace, absent);
    written.inserted += inserted;
    const raced = new Set(existing);
    rest = absent.filter((raw) => raced.has(place.into.keyOf(idBytesOf(raw))));
    if (rest.length > 0 && round >= MOST_ROUNDS) throw tooBusy(place);
  }
  return { ...written, existing: written.same + written.newer + written.changed + written.held };
}

/** What the document that is there is to the archived one, and to the choice. */
function standing(
  { choice, version }: PlacedDocuments,
  there: Uint8Array,
  archived: Uint8Array,
): 'same' | 'newer' | 'changed' | 'outdated' {
  if (Buffer.compare(there, archived) === 0) return 'same';
  const order = version === null ? 0 : compareByField(version, there, archived);
  const tooLarge = there.length + archived.length > MOST_QUOTED_BYTES;
  const isOutdated = choice === 'replace' || (choice === 'newest' && order < 0);
  if (isOutdated && !tooLarge) return 'outdated';
  return order > 0 ? 'newer' : 'changed';
}

async function replaceOutdated(
  context: Context,
  place: PlacedDocuments,
  outdated: readonly Replacement[],
): Promise<{ readonly replaced: number; readonly changed: number; readonly held: number }> {
  if (outdated.length === 0) return { replaced: 0, changed: 0, held: 0 };
  const { into, namespace, owner, customer, policy } = place;
  const scope = { owner, customer, namespace, policy, archive: null };
  const stop = () => assertNotStopped(context);
  let replaced = 0;
  let held = 0;
  for (const part of partsOf(outdated)) {
    const answer = await announceReplacing(context.store, context.clock, context.worker, scope, stop);
    if ('holds' in answer) {
      held += part.length;
      continue;
    }
    try {
      await into.replaceGuarded({ ...NOBODYS, namespace }, part, answer.warrant);
    } finally {
      await withdraw(context.store, answer.announcement);
    }
    const now = await into.readByIds(
      namespace,
      part.map(({ record }) => record.idBytes),
    );
    replaced += part.filter(({ record, by }) => isThere(now.get(record.key), by)).length;
  }
  return { replaced, held, changed: outdated.length - replaced - held };
}

/** As many as one announcement lasts for on a slow server. */
const REPLACED_AT_ONCE = 200;
const REPLACED_BYTES_AT_ONCE = 8 * 1024 * 1024;

function* partsOf(all: readonly Replacement[]): Generator<readonly Replacement[]> {
  let part: Replacement[] = [];
  let bytes = 0;
  for (const replacement of all) {
    part.push(replacement);
    bytes += replacement.by.length + replacement.record.raw.length;
    if (part.length < REPLACED_AT_ONCE && bytes < REPLACED_BYTES_AT_ONCE) continue;
    yield part;
    part = [];
    bytes = 0;
  }
  if (part.length > 0) yield part;
}

function isThere(found: RawRecord | undefined, by: Uint8Array): boolean {
  return found !== undefined && Buffer.compare(found.raw, by) === 0;
}

/** The guard compares whole documents: a version that somebody forgot to raise saves the change as well. */
const NOBODYS: DatasetShape = {
  namespace: id.namespace('any.any'),
  owner: { value: 'any' },
  customer: { value: 'any' },
  trigger: { field: '_id', kind: 'objectId' },
  facets: {},
};

function conflict({ namespace }: PlacedDocuments): MoraineError {
  return new MoraineError('RESTORE_CONFLICT', `Another document stands in ${namespace} where one would be restored.`, {
    changed: 'What was restored before it stays; it is the same when it is restored again.',
    ids: { namespace },
  });
}

function tooBusy({ namespace }: PlacedDocuments): MoraineError {
  return new MoraineError('MONGODB_UNAVAILABLE', `Documents of ${namespace} come and go while they are restored.`, {
    changed: 'What was restored stays; restoring it again adds the rest.',
    ids: { namespace },
  });
}
