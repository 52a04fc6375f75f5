/** What a disposal takes, a page at a time: the records that its policy decides so, as they are in the source now. */
import { createHash } from 'node:crypto';
import { id } from '../ids.ts';
import { type Decided, DecidedTally } from '../ledger/decided.ts';
import { type DisposalLease, isOfExpired, kindOf } from '../ledger/disposals.ts';
import { ROSTER_PAGE_BYTES, ROSTER_PAGE_RECORDS, type RosterRecord } from '../ledger/rosters.ts';
import type { Policy } from '../policy/policy.ts';
import type { DatasetShape, Position, RawRecord, Treatment, UnfitReason } from '../source/port.ts';
import { compilePinned } from './compile-in-force.ts';
import { assertNotStopped, type Context } from './context.ts';
import { leaveUnit } from './leave-unit.ts';
import { factsReader } from './look-ups.ts';
import { type PageUnit, pageUnit } from './page-units.ts';
import { quarantineRecord } from './quarantine-record.ts';
import { marksOf } from './read-marks.ts';
import { partitionHolds } from './record-holds.ts';
import { ALONE, UnitReader } from './unit-reader.ts';

export interface OrderedPage {
  readonly records: readonly RosterRecord[];
  /** What hangs on each of them. */
  readonly units: readonly PageUnit[];
  /** The position of its last record. */
  readonly after: Position;
  /** By which rules its records go. */
  readonly decided: Decided;
}

/** Pages of what is to go, as it is in the source now, from where an earlier worker stopped: what its pages could not take is not taken again. */
export async function* orderedPages(
  context: Context,
  lease: DisposalLease,
  policy: Policy,
  treatment: Treatment | null,
): AsyncGenerator<OrderedPage> {
  const { source } = context;
  const { owner, customer, asOf, exceptions } = lease.document;
  const wanted = isOfExpired(kindOf(lease.document)) ? 'expired' : 'due';
  const whole = await compilePinned(context, policy, exceptions);
  const { shape } = whole;
  const compiled = whole.of(owner, customer).taking(lease.document.branch);
  const partition = { dataset: shape, owner, customer };
  const reader = factsReader(context, whole);
  const marks = await marksOf(context, partition);
  const holds = await partitionHolds(context, partition);
  const range = { after: lease.document.after, upTo: null, before: compiled.superset(asOf.getTime()).dueBefore };
  let left = lease.document.mostRecords - lease.document.records;
  const unitReader = new UnitReader(context, shape, { owner, customer });
  unitReader.heed(holds);
  // Records that stay keep what hangs on them.
  const takesUnits = treatment === null && !unitReader.isEmpty;
  let page: RosterRecord[] = [];
  let units: PageUnit[] = [];
  let bytes = 0;
  let last: RawRecord | null = null;
  const tally = new DecidedTally();
  const taken = (record: RawRecord) => {
    return { records: page, units, after: source.position(shape, record.raw), decided: tally.take() };
  };
  for await (const batch of source.scan(partition, range, context.signal)) {
    await lease.keep();
    assertNotStopped(context);
    const [markOf, factsOf] = await Promise.all([marks.lookUp(batch), reader.read(batch)]);
    if (takesUnits) await unitReader.expect(batch);
    for (const record of batch) {
      const facts = factsOf(record);
      const decision = compiled.decision({ ...facts, ...markOf(record) }, holds.isHeld(record, facts), asOf.getTime());
      if (decision !== wanted) continue;
      const unfitness = source.fitness(shape, record.raw) ?? untreatable(context, shape, record, treatment);
      if (unfitness !== null) {
        await quarantineRecord(
          context,
          { namespace: shape.namespace, owner, customer, policy: policy.name },
          record,
          unfitness,
        );
        await lease.write((document) => ({ ...document, unfit: document.unfit + 1 }));
        continue;
      }
      const unit = takesUnits ? await unitReader.prepare(record) : ALONE;
      if (unit.kind !== 'whole') {
        const of = { _id: id.archive(lease.document._id), namespace: shape.namespace, owner, customer };
        if (await leaveUnit(context, { ...of, policy: policy.name }, record, unit)) {
          await lease.write((document) => ({ ...document, unfit: document.unfit + 1 }));
        }
        continue;
      }
      if (left <= 0) {
        if (last !== null) yield taken(last);
        return;
      }
      left -= 1;
      if (
        last !== null &&
        (page.length >= ROSTER_PAGE_RECORDS || (page.length > 0 && bytes + record.raw.length > ROSTER_PAGE_BYTES))
      ) {
        yield taken(last);
        page = [];
        units = [];
        bytes = 0;
      }
      const known = { ...facts, ...markOf(record) };
      const { dueAt } = compiled.times(known, asOf.getTime());
      tally.add(compiled.ruleOf(known, asOf.getTime()), facts.trigger ?? Number.NaN, dueAt);
      last = record;
      page.push({ id: record.idBytes, sha256: createHash('sha256').update(record.raw).digest(), segment: 0 });
      units.push(pageUnit(source, shape, record, unit));
      bytes += record.raw.length;
    }
  }
  if (last !== null) yield taken(last);
}

function untreatable(
  { source }: Context,
  shape: DatasetShape,
  { raw }: RawRecord,
  treatment: Treatment | null,
): UnfitReason | null {
  if (treatment === null || source.treated(shape, raw, treatment) !== null) return null;
  return 'not-treatable';
}
