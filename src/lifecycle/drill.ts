/**
 * Drills go on: what was chosen is asked for, what is ready is restored and compared, and what came of it is told. Vaults
 * take hours, so one call does what can be done now; the next goes on from the ledger.
 */
import { errorClass, isMoraineError } from '../errors.ts';
import { raiseAlarm } from '../ledger/alarms.ts';
import { getArchive } from '../ledger/archives.ts';
import {
  type DrillDocument,
  type DrilledArchive,
  getDrill,
  isUnfinished,
  noteDrilled,
  openDrill,
  settleDrill,
} from '../ledger/drills.ts';
import { isLiveRetrieval, liveRetrievals } from '../ledger/retrievals.ts';
import type { RetrievalEstimate } from '../vault/port.ts';
import { assertNotStopped, type Context } from './context.ts';
import { drillArchive, type Scratch } from './drill-archive.ts';
import { lookAtDrills } from './drill-due.ts';
import type { OpenKey } from './export-customer.ts';
import { isReadable } from './retrieval-output.ts';
import { cancelRetrieval, estimateRetrieval, isRetrievable, refreshRetrieval, requestRetrieval } from './retrieve.ts';

export interface DrillCost {
  /** Archives that are to be asked for. */
  readonly archives: number;
  readonly bytes: number;
  readonly dollars: number;
  readonly hours: number;
}

/** What asking for the rest of these drills costs: those of which no whole file is open. */
export async function drillCost(context: Context, drills: readonly DrillDocument[]): Promise<DrillCost> {
  let cost = { archives: 0, bytes: 0, dollars: 0, hours: 0 };
  for (const drill of drills.filter(isUnfinished)) {
    for (const { archive, outcome } of drill.sample) {
      if (outcome !== 'waiting' || (await wholeRetrieval(context, archive)) !== null) continue;
      const document = await getArchive(context.store, archive);
      if (!isRetrievable(document)) continue;
      const estimate: RetrievalEstimate = estimateRetrieval(context, document, drill.tier);
      cost = {
        archives: cost.archives + 1,
        bytes: cost.bytes + (document.stored?.bytes ?? 0),
        dollars: cost.dollars + estimate.dollars,
        hours: Math.max(cost.hours, estimate.hours),
      };
    }
  }
  return cost;
}

/** Asks the vault for what is missing, and takes from the sample what is purged by now. Throws what the vault throws; what was asked stays asked. */
export async function askForDrill(context: Context, id: string): Promise<DrillDocument> {
  const { store } = context;
  let drill = await openDrill(store, id);
  for (const { archive, outcome } of drill.sample) {
    if (outcome !== 'waiting' || (await wholeRetrieval(context, archive)) !== null) continue;
    assertNotStopped(context);
    if (!isRetrievable(await getArchive(store, archive))) {
      drill = await note(context, drill, archive, { outcome: 'gone' });
      continue;
    }
    try {
      const { _id: retrieval } = await requestRetrieval(context, archive, drill.tier);
      drill = await noteDrilled(store, id, archive, { retrieval });
    } catch (error) {
      if (isMoraineError(error, 'ARCHIVE_NOT_RETRIEVABLE'))
        drill = await note(context, drill, archive, { outcome: 'gone' });
      else if (isMoraineError(error, 'VAULT_NOT_FOUND')) {
        drill = await note(context, drill, archive, {
          outcome: 'failed',
          text: `Archive ${archive} is not in its vault.`,
        });
      } else throw error;
    }
  }
  return await settle(context, drill);
}

/** Compares what is ready. One archive that cannot be read now waits, and stops no other. */
export async function continueDrill(
  context: Context,
  id: string,
  openKey: OpenKey,
  scratch: Scratch,
): Promise<{ readonly drill: DrillDocument; readonly waiting: readonly string[] }> {
  let drill = await getDrill(context.store, id);
  const waiting: string[] = [];
  for (const { archive, outcome, retrieval } of isUnfinished(drill) ? drill.sample : []) {
    if (outcome !== 'waiting') continue;
    assertNotStopped(context);
    const open = await wholeRetrieval(context, archive);
    if (open === null) {
      waiting.push(`Archive ${archive} is asked for with the next \`moraine drill\`.`);
      continue;
    }
    if (!isReadable(await refreshRetrieval(context, open))) {
      const until = open.expectedAt === null ? '' : `, expected by ${open.expectedAt.toISOString()}`;
      waiting.push(`Archive ${archive} is being retrieved${until}.`);
      continue;
    }
    try {
      const found = await drillArchive(context, archive, openKey, scratch, retrieval !== open._id);
      drill = await note(context, drill, archive, factsOf(found));
      if (found.outcome === 'failed' && retrieval === open._id) await cancelRetrieval(context, open._id);
    } catch (error) {
      if (isMoraineError(error, 'WORK_STOPPED') || !isPassing(error)) throw error;
      waiting.push(
        `Archive ${archive} could not be read now: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  return { drill: await settle(context, drill), waiting };
}

function isPassing(error: unknown): boolean {
  const kind = errorClass(error);
  return kind === 'retry' || kind === 'later' || kind === 'unknown' || isMoraineError(error, 'RETRIEVAL_NEEDED');
}

function factsOf(found: Awaited<ReturnType<typeof drillArchive>>): Partial<DrilledArchive> {
  if (found.outcome === 'failed') return found;
  const { inserted: records, children, attachments } = found.report;
  return { outcome: 'passed', records, children: children.inserted, attachments: attachments.inserted };
}

async function note(
  context: Context,
  { _id, owner, customer }: DrillDocument,
  archive: DrilledArchive['archive'],
  facts: Partial<DrilledArchive>,
): Promise<DrillDocument> {
  const { outcome = 'waiting', text = null, records = 0 } = facts;
  const subject = { drill: _id, archive, owner, customer };
  await context.audit.append([
    { act: 'archive drilled', phase: 'outcome', subject, details: { outcome, text, records } },
  ]);
  return await noteDrilled(context.store, _id, archive, { ...facts, at: context.clock.now() });
}

/** Ends the drill when all of its archives have an outcome, and says so: a failure at once, as an alarm. */
async function settle(context: Context, before: DrillDocument): Promise<DrillDocument> {
  const { store, clock } = context;
  const failed = before.sample.filter(({ outcome }) => outcome === 'failed');
  const { _id, owner, customer, location, vault } = before;
  if (failed.length > 0) {
    const what = failed.map(({ archive, text }) => text ?? archive).join(' ');
    const text = `Drill ${_id} of vault ${location.name} (${owner}/${customer}) failed. ${what}`;
    await raiseAlarm(store, clock, 'DRILL_FAILED', text, vault);
  }
  const drill = await settleDrill(store, clock, _id);
  if (isUnfinished(drill)) return drill;
  const subject = { drill: _id, owner, customer, vault: location.name };
  const count = (outcome: DrilledArchive['outcome']) => drill.sample.filter((each) => each.outcome === outcome).length;
  const details = { result: drill.state, passed: count('passed'), failed: count('failed'), gone: count('gone') };
  await context.audit.appendOnce([{ key: `${_id} ended`, act: 'drill ended', phase: 'outcome', subject, details }]);
  await lookAtDrills(context, true);
  return drill;
}

/** A person gave it up: what it asked for keeps no archive from its purge. */
export async function releaseDrill(context: Context, { sample }: DrillDocument): Promise<void> {
  for (const { archive, retrieval } of sample) {
    if (retrieval === null) continue;
    const open = (await liveRetrievals(context.store, archive)).find(({ _id }) => _id === retrieval);
    if (open !== undefined && isLiveRetrieval(open)) await cancelRetrieval(context, retrieval);
  }
}

async function wholeRetrieval(context: Context, archive: DrilledArchive['archive']) {
  return (await liveRetrievals(context.store, archive)).findLast(({ range }) => range === null) ?? null;
}
