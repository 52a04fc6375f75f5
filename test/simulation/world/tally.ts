/** What came of a life, counted in the ledger at its end: lives in which nothing is done would prove nothing. */
import type { MemoryStore } from '../../../src/ledger/memory-store.ts';
import type { RawDocument } from '../judge/observations.ts';
import { raw } from './servers.ts';

export interface Tally {
  readonly deleted: number;
  /** In archives and without. */
  readonly treated: number;
  /** Deleted without an archive. */
  readonly disposed: number;
  readonly confirmed: number;
  /** Approvals that another person granted. */
  readonly granted: number;
  /** Archives with another purge date, given by hand. */
  readonly moved: number;
  /** Reviews of purges that were granted by every stage. */
  readonly reviewed: number;
  /** Versions of policies that waited for their day. */
  readonly waited: number;
  /** Records and archives that went with a customer who left. */
  readonly left: number;
  /** Children that went after the record in whose archive they are, and files that archives hold. */
  readonly children: number;
  readonly files: number;
  /** Archives of children that came late. */
  readonly addenda: number;
}

interface Taken {
  readonly deleted?: number;
  readonly treated?: number;
}

export function tallyOf(ledger: MemoryStore): Tally {
  const all = (collection: string) => [...ledger.peek(collection).values()].map(raw);
  const archives = all('archives');
  const disposals = all('expirations');
  const approvals = all('approvals');
  const taken = (document: RawDocument): Taken => (document['outcomes'] ?? {}) as Taken;
  const sum = (some: readonly RawDocument[], of: (document: RawDocument) => number | undefined) =>
    some.reduce((total, document) => total + (of(document) ?? 0), 0);
  const isGranted = ({ state }: RawDocument) => state === 'granted' || state === 'spent';
  const offboards = new Set(approvals.filter(({ kind }) => kind === 'offboard').map(({ _id }) => _id));
  const leaving = disposals.filter(({ kind }) => kind === 'offboard');
  const early = archives.filter(({ early: moved }) =>
    offboards.has(String((moved as Fields | undefined)?.['approval'])),
  );
  return {
    deleted: sum(archives, (archive) => taken(archive).deleted),
    treated: sum([...archives, ...disposals], (each) => taken(each).treated),
    disposed: sum(disposals, (disposal) => taken(disposal).deleted),
    confirmed: archives.filter(({ state }) => state === 'confirmed').length,
    granted: approvals.filter(isGranted).length,
    moved: archives.filter(({ rescheduled }) => rescheduled !== undefined).length,
    reviewed: approvals.filter((approval) => approval['kind'] === 'purge' && isGranted(approval)).length,
    waited: sum(
      all('policiesInForce'),
      ({ changes }) => (changes as readonly Fields[]).filter(({ effectiveAt }) => effectiveAt !== undefined).length,
    ),
    left: sum(leaving, (disposal) => taken(disposal).deleted) + early.length,
    children: sum(archives, ({ childOutcomes }) => (childOutcomes as Taken | undefined)?.deleted),
    files: sum(archives, ({ stored }) => Number((stored as Fields | null)?.['attachments'] ?? 0)),
    addenda: archives.filter(({ addendumTo, verifiedAt }) => addendumTo !== undefined && verifiedAt !== null).length,
  };
}

type Fields = Readonly<Record<string, unknown>>;
