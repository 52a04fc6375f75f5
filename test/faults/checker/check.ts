/**
 * The independent checker: holds the end state against the journal and the promises of the design, and shares no code
 * with the product. Written from the promises; it knows the ledger's fields and the archive format from their pages.
 */
import type { Write } from '../journal.ts';
import { auditProblem } from './audit-chain.ts';
import { bodyOf, purgeProblems } from './certificates.ts';
import type { EndState, FileContent } from './end-state.ts';
import { holdProblems } from './holds.ts';
import { type Life, type Lives, livesOf } from './lives.ts';
import type { ArchivedRecord } from './open-archive.ts';

export interface Problem {
  /** Number of the promise (design, section 2). */
  readonly promise: number;
  readonly text: string;
}

/** Empty when every promise holds. */
export function check(state: EndState): readonly Problem[] {
  const writes = state.journal.filter((entry): entry is Write => entry.kind === 'write');
  const lives = livesOf(writes, state.source, state.at);
  const of = (promise: number, texts: readonly string[]) => texts.map((text) => ({ promise, text }));
  return [
    ...of(1, copyProblems(state, lives)),
    ...of(2, [...lives.contradictions, ...countProblems(state, lives)]),
    ...of(3, holdProblems(state)),
    ...of(4, [...purgeProblems(state), ...lateProblems(state)]),
    ...of(5, totalsProblems(state)),
    ...of(7, unfinishedProblems(state)),
    ...of(9, mixedProblems(state)),
    ...of(10, auditProblems(state)),
    ...of(11, fileProblems(state)),
  ];
}

type Unfinished = Pick<EndState, 'at' | 'datasets' | 'source' | 'ledger'>;

/** What is still to be done: for whoever waits for the end. */
export function unfinished(state: Unfinished): readonly string[] {
  return [...unfinishedProblems(state), ...lateProblems(state)];
}

/** Every record that Moraine took is in an archive with its last bytes, or was past its archive period and is certified. */
function copyProblems(state: EndState, lives: Lives): readonly string[] {
  const copies = copiesOf(state);
  const isCopied = ({ namespace, id, versions }: Life) =>
    versions.some(({ sha256 }) => copies.has(`${namespace} ${id} ${sha256}`));
  const problems: string[] = [];
  const uncopied = lives.taken.filter((life) => !isCopied(life));
  const roomOf = new Map<string, number>();
  for (const { namespace, owner, customer, outcomes, asOf } of state.ledger.expirations) {
    const party = `${namespace} ${owner} ${customer}`;
    roomOf.set(party, (roomOf.get(party) ?? 0) + (outcomes?.deleted ?? 0));
    const lived = state.datasets.find(({ collection }) => namespace.endsWith(`.${collection}`));
    if (lived !== undefined && asOf.getTime() > state.at)
      problems.push(`an expiration in ${namespace} is of the future`);
  }
  for (const life of uncopied) {
    // Without a copy it can only be one that expired: that party must have one more such record in its certificates.
    const version = life.versions.find(
      ({ owner, customer }) => (roomOf.get(`${life.namespace} ${owner} ${customer}`) ?? 0) > 0,
    );
    const dataset = state.datasets.find(({ collection }) => life.namespace.endsWith(`.${collection}`));
    if (version === undefined || dataset === undefined) {
      problems.push(`${life.namespace} ${life.id}: it left the source, and no archive has its last bytes`);
      continue;
    }
    const party = `${life.namespace} ${version.owner} ${version.customer}`;
    roomOf.set(party, (roomOf.get(party) ?? 0) - 1);
    if (version.trigger + dataset.activeMs + dataset.archiveMs > life.knownAt) {
      problems.push(
        `${life.namespace} ${life.id}: it was deleted without an archive before its archive period was over`,
      );
    }
  }
  return problems;
}

/** `namespace id sha256` of every copy that a stored archive of the ledger holds or held. */
function copiesOf(state: EndState): ReadonlySet<string> {
  const copies = new Set<string>();
  for (const { opened } of state.contents.values()) {
    for (const { id, sha256 } of opened?.records ?? []) copies.add(`${opened?.manifest.dataset} ${id} ${sha256}`);
  }
  return copies;
}

/** What the ledger says it deleted is what was taken, exactly once; a record that the application deleted in the same moment may be counted too. */
function countProblems(state: EndState, lives: Lives): readonly string[] {
  const problems: string[] = [];
  for (const { collection } of state.datasets) {
    const isOf = ({ namespace }: { readonly namespace: string }) => namespace.endsWith(`.${collection}`);
    const least = lives.taken.filter(isOf).length;
    const most = least + lives.unsure.filter(isOf).length + lives.endedByApplication.filter(isOf).length;
    const archived = state.ledger.archives.filter(isOf).map(({ outcomes }) => outcomes.deleted);
    const expired = state.ledger.expirations.filter(isOf).map(({ outcomes }) => outcomes?.deleted ?? 0);
    const deleted = [...archived, ...expired].reduce((sum, count) => sum + count, 0);
    if (deleted < least || deleted > most) {
      problems.push(`${collection}: the ledger counts ${deleted} deleted records, the journal ${least} to ${most}`);
    }
  }
  const last = new Set(
    [...lives.taken, ...lives.unsure, ...lives.endedByApplication].flatMap(({ namespace, id, versions }) =>
      versions.map(({ sha256 }) => `${namespace} ${id} ${sha256}`),
    ),
  );
  for (const { archive, opened } of openedArchives(state)) {
    // A page whose worker died after its intent counts what is missing then as deleted: it cannot know who did it.
    if (clearingsOf(state, archive._id) > 1) continue;
    const final = opened.records.filter(({ id, sha256 }) => last.has(`${archive.namespace} ${id} ${sha256}`)).length;
    if (archive.outcomes.deleted > final) {
      problems.push(
        `${archive._id}: ${archive.outcomes.deleted} deleted, and ${final} of its copies were somebody's last`,
      );
    }
  }
  return problems;
}

/** How often a clearing of the archive was begun, by the audit chain. */
function clearingsOf(state: EndState, archive: string): number {
  const begun = ({ act, phase, subject }: EndState['ledger']['audit'][number]['entries'][number]) =>
    act === 'archive clear' && phase === 'intent' && subject['archive'] === archive;
  return state.ledger.audit.reduce((sum, { entries }) => sum + entries.filter(begun).length, 0);
}

/** Nothing that is due is left, once all work has ended: it is held, in quarantine, or it should have gone. */
function lateProblems(state: Unfinished): readonly string[] {
  const quarantined = state.ledger.quarantine.filter(
    ({ kind, state: is }) => kind === 'record' && is === 'open',
  ).length;
  const late = state.source.filter(({ namespace, trigger }) => {
    const dataset = state.datasets.find(({ collection }) => namespace.endsWith(`.${collection}`));
    return dataset !== undefined && trigger + dataset.activeMs <= state.at;
  });
  const isHeld = state.ledger.holds.some((hold) => hold.state !== 'released');
  return isHeld || late.length <= quarantined
    ? []
    : [
        `${late.length} due records are in the source, and ${quarantined} in quarantine: ${late
          .slice(0, SHOWN)
          .map(({ namespace, id }) => `${namespace} ${id}`)
          .join(', ')}`,
      ];
}

const SHOWN = 5;

function totalsProblems(state: EndState): readonly string[] {
  return state.ledger.archives.flatMap(({ _id, state: is, outcomes, stored }) => {
    const { archived, deleted, changed, held, gone, quarantined, pending } = outcomes;
    const problems: string[] = [];
    if (archived !== deleted + changed + held + gone + quarantined + pending) {
      problems.push(`${_id}: ${JSON.stringify(outcomes)} does not add up`);
    }
    if (stored !== null && is !== 'abandoned' && archived !== stored.records) {
      problems.push(`${_id}: ${archived} archived, and its file has ${stored.records} records`);
    }
    return problems;
  });
}

/** With the faults over, all work ends by itself. */
function unfinishedProblems(state: Unfinished): readonly string[] {
  const { archives, attempts, inFlight, expirations } = state.ledger;
  const ended = new Set(['cleared', 'purged', 'confirmed', 'abandoned', 'quarantined']);
  return [
    ...archives.filter(({ state: is }) => !ended.has(is)).map(({ _id, state: is }) => `${_id} is still ${is}`),
    ...archives
      .filter(({ state: is, rosterShrunk }) => is === 'cleared' && !rosterShrunk)
      .map(({ _id }) => `${_id} still has its roster`),
    ...archives.filter(({ state: is }) => is === 'quarantined').map(({ _id }) => `${_id} went into quarantine`),
    ...attempts.filter(({ state: is }) => is === 'open').map(({ _id }) => `attempt ${_id} is still open`),
    ...inFlight
      .filter(({ until }) => until.getTime() > state.at)
      .map(({ _id }) => `in-flight entry ${_id} has not ended`),
    ...expirations.filter(({ state: is }) => is !== 'done').map(({ _id }) => `expiration ${_id} is not done`),
    ...archives
      .filter(
        ({ state: is, dueAt }) => is === 'cleared' && dueAt !== null && dueAt.getTime() < state.at - PURGE_WITHIN_MS,
      )
      .map(({ _id }) => `${_id} is past its purge date`),
    ...abandonedProblems(state),
  ];
}

/** The purge comes round every few seconds. */
const PURGE_WITHIN_MS = 30_000;

/** Nothing of an attempt that was given up can be opened. */
function abandonedProblems(state: Pick<EndState, 'ledger'>): readonly string[] {
  const abandoned = new Set(state.ledger.attempts.filter(({ state: is }) => is === 'abandoned').map(({ _id }) => _id));
  return state.ledger.keys
    .filter(({ _id, state: is }) => abandoned.has(_id) && is === 'kept')
    .map(({ _id }) => `the key of the abandoned attempt ${_id} is kept`);
}

/** Promise 9: one party in an archive, in its vault, and in the name of its key. */
function mixedProblems(state: EndState): readonly string[] {
  const problems: string[] = [];
  const parties = new Map<string, string>();
  const keyNames = new Set<string>();
  for (const { archive, file, opened } of openedArchives(state)) {
    const { owner, customer, keyName } = opened.manifest;
    const isOther = (record: ArchivedRecord) => record.owner !== owner || record.customer !== customer;
    const strangers = opened.records.filter(isOther).length;
    if (strangers > 0) problems.push(`${archive._id}: ${strangers} records of another owner or customer`);
    if (archive.owner !== owner || archive.customer !== customer)
      problems.push(`${archive._id}: the ledger names others`);
    if (keyNames.has(keyName)) problems.push(`${archive._id}: its key ${keyName} was used before`);
    keyNames.add(keyName);
    const party = `${owner} ${customer}`;
    if ((parties.get(file.vault) ?? party) !== party) problems.push(`vault ${file.vault} has archives of two parties`);
    parties.set(file.vault, party);
  }
  return problems;
}

function auditProblems(state: EndState): readonly string[] {
  const heads = state.ledger.certificates.flatMap((certificate) => bodyOf(certificate).audit ?? []);
  const problem = auditProblem(state.ledger.audit, heads);
  return problem === null ? [] : [`audit: ${problem}`];
}

/** What should be there can be opened, and is what the ledger says; what the ledger does not know is nobody's. */
function fileProblems(state: EndState): readonly string[] {
  const problems: string[] = [];
  for (const archive of state.ledger.archives) {
    const { stored, state: is, _id } = archive;
    if (stored === null || is === 'abandoned') continue;
    const content = state.contents.get(stored.vaultArchiveId);
    if (content === undefined) problems.push(`${_id}: its file is in no vault and never was`);
    else problems.push(...contentProblems(archive, content));
  }
  const known = new Set(state.ledger.archives.map(({ stored }) => stored?.vaultArchiveId));
  const attempts = new Map(state.ledger.attempts.map((attempt) => [attempt._id, attempt]));
  for (const { id, vault, description, isDeleted } of state.files) {
    if (isDeleted || known.has(id)) continue;
    const isNoise = [...attempts.values()].some((each) => each.state === 'abandoned' && description.includes(each._id));
    if (!isNoise) problems.push(`file ${id} in vault ${vault} belongs to no archive and no abandoned attempt`);
  }
  return problems;
}

function contentProblems(archive: EndState['ledger']['archives'][number], content: FileContent): readonly string[] {
  const { _id, state, stored, purge } = archive;
  if (content.problem !== null) return [`${_id}: ${content.problem}`];
  const mustBeThere = ['stored', 'verified', 'cleared'].includes(state) && purge?.askedAt == null;
  if (mustBeThere && !content.isLive) return [`${_id} is ${state}, and its file or its key is gone`];
  if (content.opened === null || stored === null) return [];
  const { treeHash, merkleRoot, manifestSha256, records, manifest } = content.opened;
  const isSame =
    treeHash === stored.treeHash &&
    merkleRoot === stored.merkleRoot &&
    manifestSha256 === stored.manifestSha256 &&
    records.length === stored.records &&
    manifest.archive === _id;
  return isSame ? [] : [`${_id}: its file is not what the ledger says`];
}

function openedArchives(state: EndState) {
  return state.ledger.archives.flatMap((archive) => {
    const content = archive.stored === null ? undefined : state.contents.get(archive.stored.vaultArchiveId);
    return content?.opened == null ? [] : [{ archive, file: content.file, opened: content.opened }];
  });
}

/** Copies that the witness did not see in time: they were purged between two of its looks. A figure, not a problem. */
export function unwitnessed(state: EndState): number {
  return [...state.contents.values()].filter(({ opened, problem }) => opened === null && problem === null).length;
}
