/** `moraine explain <namespace> <id>`: where a record is, and why. */
import type { Command } from 'commander';
import { MoraineError } from '../errors.ts';
import { id, type Namespace, type OwnerId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { findArchives } from '../ledger/archives.ts';
import { holdName } from '../ledger/holds.ts';
import { holdsCovering } from '../ledger/holds-covering.ts';
import { pauseName, pausesInForce, stops } from '../ledger/pauses.ts';
import { getQuarantine, type QuarantineDocument, recordEntryId } from '../ledger/quarantine.ts';
import { segmentsOf } from '../ledger/record-index.ts';
import { readExceptions, readRosterPage } from '../ledger/rosters.ts';
import { type Context, dueNow } from '../lifecycle/context.ts';
import { policiesToRun } from '../lifecycle/published.ts';
import { type Policy, policyVersion } from '../policy/policy.ts';
import type { RuleFacts } from '../policy/rules.ts';
import type { RawRecord } from '../source/port.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { explainRecord } from './explain-rules.ts';
import { readPolicyFiles } from './policy-files.ts';
import { idBytesOfText } from './record-id.ts';
import type { Session } from './session.ts';
import { counted, day, instant } from './words.ts';

export function explainCommand(): Command {
  return newCommand('explain', {
    description: [
      'Say where a record is, in the source, in which archives, in quarantine, and what its policy says about it with',
      'every rule that was considered, in a fixed order; those with "!" apply. The id is an ObjectId in hex, a UUID,',
      'extended JSON, or the text itself.',
    ].join('\n'),
    examples: [
      ['moraine explain support.chats 65f0c1d2e3f405162738495a', ''],
      ['moraine explain support.chats \'{"$numberLong":"42"}\'', 'an id of another type'],
    ],
  })
    .argument('<namespace>', 'database.collection')
    .argument('<id>', '_id of the record')
    .action(
      acting(async (session, [namespaceText = '', idText = '']) => {
        const namespace = namespaceOf(namespaceText);
        const app = await session.openApp();
        const context = session.contextOf(app);
        const record = await context.source.findOne(namespace, idText);
        const policy = await policyOf(session, context, namespace);
        const candidates = record === null ? idBytesOfText(idText) : [record.idBytes];
        const entry = await entryOf(context, namespace, candidates);
        const explained = {
          namespace,
          id: idText,
          asOf: dueNow(context),
          policy: policy?.policy.name ?? null,
          source: record === null ? null : await sourceAnswer(context, policy, record, entry),
          archives: await archiveAnswers(context, namespace, candidates),
          quarantine: entry === null ? null : quarantined(entry),
        };
        session.output.result(explained, () => explainText(explained));
        return EXIT.done;
      }),
    );
}

function namespaceOf(text: string): Namespace {
  if (/^[^.]+\../.test(text)) return id.namespace(text);
  throw new MoraineError('USAGE', `"${text}" is no collection: write database.collection, such as support.chats.`);
}

interface CollectionPolicy {
  readonly policy: Policy;
  readonly published: RuleFacts['published'];
}

/** The policy of the collection: in force, or else in a file. */
async function policyOf(session: Session, context: Context, namespace: Namespace): Promise<CollectionPolicy | null> {
  const isAbout = ({ dataset }: Policy) => dataset.collection === namespace;
  const inForce = (await policiesToRun(context.store, null, context.asOf)).find(isAbout);
  const inFile = readPolicyFiles(session.config).loaded.find(({ policy }) => isAbout(policy))?.policy;
  if (inForce === undefined) return inFile === undefined ? null : { policy: inFile, published: 'never published' };
  const isSame = inFile === undefined || policyVersion(inFile) === policyVersion(inForce);
  return { policy: inForce, published: isSame ? 'in force' : 'file differs' };
}

async function sourceAnswer(
  context: Context,
  policy: CollectionPolicy | null,
  record: RawRecord,
  entry: QuarantineDocument | null,
) {
  const unknown = { decision: null, dueAt: null, purgeAt: null, owner: null, customer: null, disposition: null };
  if (policy === null) return { found: true, ...unknown, reasons: [], rules: [] };
  const { outcome, rules, facts } = await explainRecord(context, policy, record, entry);
  return {
    found: true,
    decision: outcome.decision,
    dueAt: dateOf(outcome.dueAt),
    purgeAt: dateOf(outcome.purgeAt),
    owner: facts.owner,
    customer: facts.customer,
    /** What happens to it when it is due, and which part of the policy says so. */
    disposition:
      outcome.disposition === null
        ? null
        : {
            does: outcome.disposition.disposition,
            fields: outcome.disposition.treat ?? [],
            by: outcome.disposition.by,
          },
    /** What decided, in short. */
    reasons: outcome.reasons,
    /** Every rule that was considered, in a fixed order. */
    rules,
  };
}

function dateOf(ms: number | null): Date | null {
  return ms === null || !Number.isFinite(ms) ? null : new Date(ms);
}

interface ArchiveAnswer {
  readonly archive: string;
  readonly state: ArchiveDocument['state'];
  readonly owner: OwnerId;
  readonly customer: string;
  readonly segments: readonly number[];
  readonly dueAt: Date | null;
  /** `may be void`: some records of the archive were not deleted, and which ones is known by their number only. */
  readonly copy: 'good' | 'may be void' | 'not final';
  /** Ids and cases of the holds that cover the archive. */
  readonly holds: readonly string[];
  /** Names of the pauses that stop its clearing and purge. */
  readonly pauses: readonly string[];
}

/** Archives of the collection that hold the record. Purged ones keep nothing that names a record. */
async function archiveAnswers(
  context: Context,
  namespace: Namespace,
  candidates: readonly Uint8Array[],
): Promise<readonly ArchiveAnswer[]> {
  const keys = candidates.map((idBytes) => context.source.keyOf(idBytes));
  const answers: ArchiveAnswer[] = [];
  const inForce = await pausesInForce(context.store);
  const kept = { namespace, state: { $in: ['storing', 'stored', 'verified', 'cleared', 'purging', 'quarantined'] } };
  for await (const archive of findArchives(context.store, kept)) {
    // The keys of an addendum are of children, and may be the same as those of records.
    if (archive.addendumTo !== undefined) continue;
    const segments = archive.rosterShrunk
      ? await inRecordIndex(context, archive, keys)
      : await inRoster(context, archive, keys);
    if (segments.length === 0) continue;
    const { _id, state, owner, customer, dueAt } = archive;
    const copy = await copyOf(context, archive);
    const holds = (await holdsCovering(context.store, { owner, customer, namespace, archive: _id })).map(holdName);
    const pauses = inForce.filter((pause) => stops(pause, archive)).map(pauseName);
    answers.push({ archive: _id, state, owner, customer, segments, dueAt, copy, holds, pauses });
  }
  return answers;
}

async function inRecordIndex(
  context: Context,
  archive: ArchiveDocument,
  keys: readonly string[],
): Promise<readonly number[]> {
  if (archive.stored === null) return [];
  const hmac = await context.keys.hmacFor(archive.owner);
  const segments = new Set<number>();
  for (const key of keys) {
    for (const segment of await segmentsOf(context.store, archive._id, archive.stored.records, hmac(key)))
      segments.add(segment);
  }
  return [...segments];
}

/** Before its roster shrinks an archive has pages with the ids themselves. */
async function inRoster(
  context: Context,
  archive: ArchiveDocument,
  keys: readonly string[],
): Promise<readonly number[]> {
  const segments = new Set<number>();
  if (archive.attempt === null) return [];
  for (let page = 0; ; page++) {
    const roster = await readRosterPage(context.store, archive.attempt, page);
    if (roster === null) return [...segments];
    for (const { id: idBytes, segment } of roster.records) {
      if (keys.includes(context.source.keyOf(idBytes))) segments.add(segment);
    }
  }
}

async function copyOf(context: Context, archive: ArchiveDocument): Promise<ArchiveAnswer['copy']> {
  if (!archive.rosterShrunk) return 'not final';
  for await (const _ of readExceptions(context.store, archive._id)) return 'may be void';
  return 'good';
}

async function entryOf(
  context: Context,
  namespace: Namespace,
  candidates: readonly Uint8Array[],
): Promise<QuarantineDocument | null> {
  for (const idBytes of candidates) {
    const entry = await getQuarantine(context.store, recordEntryId(namespace, idBytes));
    if (entry !== null && entry.state !== 'closed') return entry;
  }
  return null;
}

function quarantined({ state, reason, text, firstSeenAt, timesSeen }: QuarantineDocument) {
  return { state, reason, text, firstSeenAt, timesSeen };
}

interface Explained {
  readonly namespace: Namespace;
  readonly id: string;
  readonly policy: string | null;
  readonly source: Awaited<ReturnType<typeof sourceAnswer>> | null;
  readonly archives: readonly ArchiveAnswer[];
  readonly quarantine: ReturnType<typeof quarantined> | null;
}

function explainText({ namespace, id: record, policy, source, archives, quarantine }: Explained): readonly string[] {
  return [
    `Record ${record} of ${namespace}`,
    source === null
      ? '  It is not in the source.'
      : `  It is in the source${source.owner === null ? '' : `, owner ${source.owner}, customer ${source.customer ?? 'unknown'}`}.`,
    ...(policy === null ? ['  No policy is about this collection.'] : []),
    ...(source?.rules ?? []).map(({ rule, applies, text }) => `  ${applies ? '!' : ' '} ${rule.padEnd(17)} ${text}`),
    ...(source !== null && source.dueAt !== null
      ? [`  Due ${instant(source.dueAt)}; its copy would be purged ${day(source.purgeAt)}.`]
      : []),
    ...(quarantine === null
      ? []
      : [
          `! ${quarantine.state === 'open' ? 'In quarantine' : 'Left as it is by a person; seen'} since ${day(quarantine.firstSeenAt)}, ${counted(quarantine.timesSeen, 'time')}: ${quarantine.text}`,
        ]),
    ...(archives.length === 0 ? ['  No archive holds it.'] : []),
    ...archives.map(
      ({ archive, state, segments, dueAt, copy, holds, pauses }) =>
        `  Archive ${archive} (${state}) holds it in segment ${segments.join(', ')}; the copy is ${copy}; purge due ${day(dueAt)}${
          holds.length === 0 ? '' : `; kept by legal hold ${holds.join(', ')}`
        }${pauses.length === 0 ? '' : `; paused by ${pauses.join(', ')}`}.`,
    ),
  ];
}
