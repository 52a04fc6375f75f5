/** Gathers what `explain` needs to say which rules were considered for a record (src/policy/rules.ts). Reads only. */
import { highestUncleared } from '../ledger/archives.ts';
import { partitionId } from '../ledger/partitions.ts';
import { pauseName, pausesInForce, stops } from '../ledger/pauses.ts';
import type { QuarantineDocument } from '../ledger/quarantine.ts';
import { compileInForce } from '../lifecycle/compile-in-force.ts';
import { type Context, dueNow } from '../lifecycle/context.ts';
import { factsReader } from '../lifecycle/look-ups.ts';
import { planPolicy } from '../lifecycle/plan.ts';
import { marksOf } from '../lifecycle/read-marks.ts';
import { partitionHolds } from '../lifecycle/record-holds.ts';
import type { Chosen } from '../policy/choice.ts';
import type { DecisionFacts } from '../policy/compile.ts';
import type { Policy } from '../policy/policy.ts';
import { considerRules, type RuleFacts } from '../policy/rules.ts';
import { comparePositions } from '../source/bson-order.ts';
import type { Partition, RawRecord } from '../source/port.ts';
import { asMoraineError } from './render-error.ts';
import { instant } from './words.ts';

export async function explainRecord(
  context: Context,
  { policy, published }: { readonly policy: Policy; readonly published: RuleFacts['published'] },
  record: RawRecord,
  entry: QuarantineDocument | null,
): Promise<ReturnType<typeof considerRules> & { readonly facts: DecisionFacts }> {
  const { source, store } = context;
  const compiled = await compileInForce(context, policy);
  const { shape } = compiled;
  const found = (await factsReader(context, compiled).read([record]))(record);
  const { owner, customer } = found;
  const fitness = source.fitness(shape, record.raw);
  const partition = owner === null || customer === null ? null : { dataset: shape, owner, customer };
  const mark = partition === null ? UNMARKED : (await (await marksOf(context, partition)).lookUp([record]))(record);
  const facts = { ...found, ...mark, unfit: [...found.unfit, ...(fitness === null ? [] : [fitness])] };
  const pauses = await pausesInForce(store);
  const now = dueNow(context).getTime();
  const holds = partition === null ? [] : await holdsAbout(context, partition, record);
  const decision = compiled.decision(
    facts,
    holds.some((hold) => hold.covers(facts)),
    now,
  );
  const considered = considerRules({
    policy,
    given: compiled.given,
    published,
    facts,
    now,
    configuration:
      owner === null || context.owners.has(owner) ? null : `Owner ${owner} is not in moraine.yaml: nothing of it runs.`,
    quarantine: entry === null || entry.state === 'closed' ? null : { state: entry.state, text: entry.text },
    holds,
    pauses: pauses.filter((pause) => stops(pause, { policy: policy.name, owner })).map(pauseName),
    uncleared: partition === null ? null : await unclearedOf(context, partition, record),
    plan:
      decision !== 'due' || partition === null
        ? null
        : await planOf(context, policy, partition, compiled.dispositionOf(facts)),
  });
  return { ...considered, facts };
}

const UNMARKED = { exemptUntil: null, quarantined: false };

async function holdsAbout(context: Context, partition: Partition, record: RawRecord): Promise<RuleFacts['holds']> {
  const holds = await partitionHolds(context, partition);
  const until = new Map([...holds.whole, ...holds.narrow].map(({ _id, heldUntil }) => [_id, heldUntil]));
  return holds.scopesFor(record).map((scope) => {
    const released = until.get(scope.id.split(' ')[0] ?? '') ?? null;
    return { ...scope, until: released === null ? null : instant(released) };
  });
}

/** What lies up to the bound of the highest archive that is not cleared waits for it; one that was never scanned owns all that it may take. */
async function unclearedOf(
  { store, source }: Context,
  { dataset, owner, customer }: Partition,
  record: RawRecord,
): Promise<RuleFacts['uncleared']> {
  const archive = await highestUncleared(store, partitionId(dataset.namespace, owner, customer));
  if (archive === null) return null;
  const { bound, before } = archive.plan;
  const trigger = source.facts(dataset, record.raw).trigger ?? Number.NaN;
  const reaches =
    bound === null ? trigger < before : comparePositions(source.position(dataset, record.raw), bound) <= 0;
  return { archive: archive._id, state: archive.state, reaches };
}

/** The plan of the whole policy: caps are about all that a run would take. */
async function planOf(
  context: Context,
  policy: Policy,
  { owner, customer }: Partition,
  branch: Chosen | null,
): Promise<RuleFacts['plan']> {
  try {
    const { partitions, caps } = await planPolicy(context, policy, { flush: false });
    const own = partitions.find(
      (plan) =>
        plan.owner === owner &&
        plan.customer === customer &&
        (plan.branch === undefined || plan.branch === branch?.key),
    );
    if (own === undefined) return { problem: 'Its owner and customer are in no plan.' };
    return { seal: own.seal, caps };
  } catch (error) {
    if (context.signal?.aborted) throw error;
    return { problem: asMoraineError(error).message };
  }
}
