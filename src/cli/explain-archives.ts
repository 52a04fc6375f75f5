/** For `explain`: which archives hold a record or a child, from the ledger alone. One page an archive is read, once it is cleared. */
import type { Namespace, OwnerId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { findArchives } from '../ledger/archives.ts';
import { holdName } from '../ledger/holds.ts';
import { holdsCovering } from '../ledger/holds-covering.ts';
import { pauseName, pausesInForce, stops } from '../ledger/pauses.ts';
import { readExceptions } from '../ledger/rosters.ts';
import { readUnitVoids } from '../ledger/unit-pages.ts';
import type { Context } from '../lifecycle/context.ts';
import { segmentsHolding } from '../lifecycle/locate-record.ts';
import type { ChildShape } from '../source/port.ts';
import { day } from './words.ts';

export interface ArchiveAnswer {
  readonly archive: string;
  readonly state: ArchiveDocument['state'];
  readonly owner: OwnerId;
  readonly customer: string;
  /** Of the record; of a child beside its root, those of the root. */
  readonly segments: readonly number[];
  /** Beside the record that it belongs to. */
  readonly isChild: boolean;
  /** Of an addendum: the archive with the roots. */
  readonly addendumTo: string | null;
  readonly dueAt: Date | null;
  /** `may be void`: some records of the archive were not deleted, and which ones is known by their number only. */
  readonly copy: 'good' | 'may be void' | 'not final';
  /** Ids and cases of the holds that cover the archive. */
  readonly holds: readonly string[];
  /** Names of the pauses that stop its clearing and purge. */
  readonly pauses: readonly string[];
}

/** `namespace`: of the roots. `rule`: where a child is looked for. Purged archives keep nothing that names a record. */
export async function archiveAnswers(
  context: Context,
  namespace: Namespace,
  rule: ChildShape | null,
  candidates: readonly Uint8Array[],
): Promise<readonly ArchiveAnswer[]> {
  const keys = candidates.map((idBytes) => context.source.keyOf(idBytes));
  const answers: ArchiveAnswer[] = [];
  const inForce = await pausesInForce(context.store);
  const kept = { namespace, state: { $in: ['storing', 'stored', 'verified', 'cleared', 'purging', 'quarantined'] } };
  for await (const archive of findArchives(context.store, kept)) {
    const segments = await segmentsHolding(context, archive, rule, keys);
    if (segments === null) continue;
    const { _id, state, owner, customer, dueAt, addendumTo = null } = archive;
    const isChild = rule !== null && addendumTo === null;
    const copy = await copyOf(context, archive, isChild ? rule : null);
    const holds = (await holdsCovering(context.store, { owner, customer, namespace, archive: _id })).map(holdName);
    const pauses = inForce.filter((pause) => stops(pause, archive)).map(pauseName);
    answers.push({ archive: _id, state, owner, customer, segments, isChild, addendumTo, dueAt, copy, holds, pauses });
  }
  return answers;
}

export function archiveText({ archive, state, segments, isChild, addendumTo, ...of }: ArchiveAnswer): string {
  const where = segments.length === 0 ? '' : ` in segment ${segments.join(', ')}`;
  const how = isChild ? ` beside its root${segments.length === 0 ? '' : `, which is${where}`}` : where;
  const addendum = addendumTo === null ? '' : `, an addendum to ${addendumTo},`;
  const holds = of.holds.length === 0 ? '' : `; kept by legal hold ${of.holds.join(', ')}`;
  const pauses = of.pauses.length === 0 ? '' : `; paused by ${of.pauses.join(', ')}`;
  return `  Archive ${archive} (${state})${addendum} holds it${how}; the copy is ${of.copy}; purge due ${day(of.dueAt)}${holds}${pauses}.`;
}

async function copyOf(
  { store }: Context,
  { _id, rosterShrunk }: ArchiveDocument,
  beside: ChildShape | null,
): Promise<ArchiveAnswer['copy']> {
  if (!rosterShrunk) return 'not final';
  if (beside === null) {
    for await (const _ of readExceptions(store, _id)) return 'may be void';
    return 'good';
  }
  for await (const { collection } of readUnitVoids(store, _id)) {
    if (collection === beside.collection) return 'may be void';
  }
  return 'good';
}
