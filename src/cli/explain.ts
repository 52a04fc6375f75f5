/** `moraine explain <namespace> <id>`: where a record is, and why. */
import type { Command } from 'commander';
import { MoraineError } from '../errors.ts';
import { id, type Namespace } from '../ids.ts';
import { getQuarantine, type QuarantineDocument, recordEntryId } from '../ledger/quarantine.ts';
import { type Context, dueNow } from '../lifecycle/context.ts';
import { policiesToRun } from '../lifecycle/published.ts';
import { type Policy, policyVersion } from '../policy/policy.ts';
import type { RuleFacts } from '../policy/rules.ts';
import type { ChildShape, RawRecord } from '../source/port.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { type ArchiveAnswer, archiveAnswers, archiveText } from './explain-archives.ts';
import { childRuleOf, explainChild, fateText } from './explain-child.ts';
import { explainRecord } from './explain-rules.ts';
import { readPolicyFiles } from './policy-files.ts';
import { idBytesOfText } from './record-id.ts';
import type { Session } from './session.ts';
import { counted, day, instant } from './words.ts';

export function explainCommand(): Command {
  return newCommand('explain', {
    description: [
      'Say where a record is, in the source, in which archives, in quarantine, and what its policy says about it with',
      'every rule that was considered, in a fixed order; those with "!" apply. A child is looked for by its own collection',
      'and id: it says which record it belongs to, and what the policy says about that. The id is an ObjectId in hex, a',
      'UUID, extended JSON, or the text itself.',
    ].join('\n'),
    examples: [
      ['moraine explain support.chats 65f0c1d2e3f405162738495a', ''],
      ['moraine explain support.comments 65f0c1d2e3f405162738495b', 'a child'],
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
        const rule = policy === null ? null : childRuleOf(policy.policy, namespace);
        const candidates = record === null ? idBytesOfText(idText) : [record.idBytes];
        const entry = await entryOf(context, namespace, candidates);
        const explained = {
          namespace,
          id: idText,
          asOf: dueNow(context),
          policy: policy?.policy.name ?? null,
          source: record === null ? null : await sourceAnswer(context, policy, rule, record, entry),
          archives: await archiveAnswers(context, policy?.policy.dataset.collection ?? namespace, rule, candidates),
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

/** The policy of the collection, as its dataset or as children of that: in force, or else in a file. */
async function policyOf(session: Session, context: Context, namespace: Namespace): Promise<CollectionPolicy | null> {
  const isAbout = (policy: Policy) =>
    policy.dataset.collection === namespace || childRuleOf(policy, namespace) !== null;
  const inForce = (await policiesToRun(context.store, null, context.asOf)).find(isAbout);
  const inFile = readPolicyFiles(session.config).loaded.find(({ policy }) => isAbout(policy))?.policy;
  if (inForce === undefined) return inFile === undefined ? null : { policy: inFile, published: 'never published' };
  const isSame = inFile === undefined || policyVersion(inFile) === policyVersion(inForce);
  return { policy: inForce, published: isSame ? 'in force' : 'file differs' };
}

async function sourceAnswer(
  context: Context,
  policy: CollectionPolicy | null,
  rule: ChildShape | null,
  record: RawRecord,
  entry: QuarantineDocument | null,
) {
  const unknown = { decision: null, dueAt: null, purgeAt: null, owner: null, customer: null, disposition: null };
  if (policy === null) return { found: true, root: null, ...unknown, reasons: [], rules: [] };
  const child = rule === null ? null : await explainChild(context, policy.policy, rule, record);
  const decided = child === null ? record : child.record;
  // Nothing is decided of a child by itself.
  if (decided === null) return { found: true, root: child?.root ?? null, ...unknown, reasons: [], rules: [] };
  const entryOfDecided =
    child === null ? entry : await entryOf(context, policy.policy.dataset.collection, [decided.idBytes]);
  const { outcome, rules, facts } = await explainRecord(context, policy, decided, entryOfDecided);
  return {
    found: true,
    /** Of a child: the record that it belongs to, of which all the rest is. */
    root: child?.root ?? null,
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
    ...(source === null || source.root === null ? [] : fateText(source.root)),
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
    ...archives.map(archiveText),
  ];
}
