/** Purges that people look at before: nobody skips a stage, and what they saw is what goes. */
import { grants, type KnownApproval } from './approvals.ts';
import type { Known, KnownArchive } from './known.ts';
import type { Physical, RawDocument } from './observations.ts';
import type { Report } from './properties.ts';
import { asFields, asInstant, asList, asText } from './values.ts';

/** What lacks among those who granted, by the rules of this installation; null: nothing. */
export function faultOfStages(known: Known, kind: string, people: readonly string[]): string | null {
  const { people: deciders = [], purgeStages = null } = known.facts.approvals ?? {};
  const isOfPurge = kind === 'purge' || kind === 'early-purge';
  const stages = isOfPurge && purgeStages !== null ? purgeStages : [deciders];
  if (people.length !== stages.length) return `${people.length} people granted it in ${stages.length} stages`;
  const wrong = stages.findIndex(
    (stage, at) => stage.length > 0 && !stage.some((name) => people[at] === `person:${name}`),
  );
  return wrong < 0 ? null : `${people[wrong]} is not among those of stage ${wrong + 1}`;
}

/** When the archive is claimed for its purge: from then on a word comes too late. */
export function judgeReviewed(known: Known, report: Report, archive: KnownArchive, document: RawDocument): void {
  if (known.facts.approvals?.purgeStages == null || known.isLedgerSetBack) return;
  const early = asText(asFields(document['early'])['approval']);
  const byName = early === null ? undefined : known.approvals.get(early);
  // Asked about by name, and let go: that was judged when it was written.
  if (byName !== undefined && byName.grantedAt !== null && byName.kind !== 'purge') return;
  const seen = grants(known, 'purge').filter((approval) => isAboutThis(approval, document));
  const refused = [...known.approvals.values()].some(
    (approval) => approval.kind === 'purge' && approval.isRefused && isAboutThis(approval, document),
  );
  if (seen.length > 0 && !refused) return;
  const why = refused ? 'somebody refused it' : 'no stage has let it go as it is';
  report('purged-without-review', `Archive ${archive.id} was claimed for its purge, and ${why}.`);
}

/** With the file and the date that it has now. */
function isAboutThis({ shown }: KnownApproval, document: RawDocument): boolean {
  const due = asInstant(asFields(document['early'])['from']) ?? asInstant(document['dueAt']);
  const hash = asFields(document['stored'])['treeHash'];
  return asList(shown['purge']).some((each) => {
    const { archive, treeHash, dueAt } = asFields(each);
    return (
      archive === document._id && treeHash === hash && dueAt === (due === null ? null : new Date(due).toISOString())
    );
  });
}

/** Somebody said no to its purge, and it stays until it is asked about by name. */
export function isPurgeRefused({ facts }: Known, id: string, physical: Physical): boolean {
  if (facts.approvals?.purgeStages == null) return false;
  return physical.ledger('approvals').some((each) => each['state'] === 'refused' && asList(each['items']).includes(id));
}
