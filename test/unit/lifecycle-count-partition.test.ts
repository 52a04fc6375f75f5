/** The server's counts and the exact decision per record never differ: compared with brute force on the memory source. */
import { BSON, ObjectId } from 'bson';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import type { ArchivePlan } from '../../src/ledger/archive-document.ts';
import { partitionId } from '../../src/ledger/partitions.ts';
import { exemptRecords, markQuarantined } from '../../src/ledger/record-marks.ts';
import { countPartition } from '../../src/lifecycle/count-partition.ts';
import { compile } from '../../src/policy/compile.ts';
import { type Policy, toShape } from '../../src/policy/policy.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const NOW = Date.parse('2024-03-01T12:00:00Z');
const DAY_MS = 86_400_000;
const OWNER = id.owner('acme');
const CUSTOMER = id.customer('north');

const TRIGGERS = {
  date: 'trigger: { field: at }\nactive: 2 months',
  objectId: 'trigger: { objectId: oid }\nactive: 2 months',
  expiry: 'trigger: { expires: at }',
} as const;

function yaml(trigger: keyof typeof TRIGGERS): string {
  return `
policy: p
zone: Europe/Amsterdam
dataset: { collection: data.c, owner: { field: owner }, customer: { field: tenant } }
${TRIGGERS[trigger]}
then: archive
archive: { for: 1 month, vault: cold }
limits: { records: 1000, share: 1.0 }
`;
}

/** Around the edges of both periods, whole seconds and single milliseconds. */
const instant = fc
  .tuple(
    fc.constantFrom(0, -31, -60, -61, -90, -91, -92, -120, 5),
    fc.integer({ min: -7, max: 7 }),
    fc.constantFrom(0, 1, 500, 1000),
  )
  .map(([days, more, ms]) => NOW + (days + more) * DAY_MS + ms);

test.each(['date', 'objectId', 'expiry'] as const)(
  'counts of a partition by %s equal brute force: marks, owned ranges, small and large',
  async (trigger) => {
    const cases = fc.record({
      records: fc.array(
        fc.record({ at: instant, mark: fc.constantFrom('none', 'none', 'none', 'exempt', 'quarantined') }),
        {
          maxLength: 30,
        },
      ),
      useMarks: fc.boolean(),
      /** The record (in scan order) at which the range of uncleared archives ends; null: none. */
      ownedAt: fc.option(fc.nat(), { nil: null }),
      /** Enough young ones to make the partition too large to be decided in one batch, 2,000 of them long expired. */
      large: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ records, useMarks, ownedAt, large }) => {
        const world = await MemoryWorld.open();
        const policy = await world.publish(yaml(trigger));
        const context = world.context(undefined, { asOf: new Date(NOW).toISOString() });
        const shape = toShape(policy);
        const partition = { dataset: shape, owner: OWNER, customer: CUSTOMER };
        const compiled = compile(policy);
        const hmac = await context.keys.hmacFor(OWNER);
        const scope = { namespace: shape.namespace, partition: partitionId(shape.namespace, OWNER, CUSTOMER), hmac };
        const all = [
          ...records.map(({ at, mark }, index) => ({ at, mark: useMarks ? mark : 'none', _id: index })),
          ...(large
            ? Array.from({ length: 1_001 }, (_, n) => ({
                at: NOW - 1000 * DAY_MS + n * 1000,
                mark: 'none',
                _id: 1e6 + n,
              }))
            : []),
        ].map((record) => ({ ...record, raw: documentOf(policy, trigger, record) }));
        for (const { raw, mark } of all) {
          world.source.put(shape.namespace, raw);
          const key = context.source.keyOf(idBytesOf(raw));
          if (mark === 'exempt') await exemptRecords(world.store, scope, [key], new Date(NOW + DAY_MS));
          if (mark === 'quarantined') await markQuarantined(world.store, scope, [key]);
        }
        const { dueBefore } = compiled.superset(NOW);
        const ordered: Uint8Array[] = [];
        for await (const batch of world.source.scan(partition, { after: null, upTo: null, before: dueBefore }))
          ordered.push(...batch.map(({ raw }) => raw));
        const ownedTo = ownedAt === null || ordered.length === 0 ? null : ownedAt % ordered.length;
        const bound = ownedTo === null ? null : world.source.position(shape, ordered[ownedTo] ?? new Uint8Array());
        const expected = { due: 0, expired: 0, exempt: 0, quarantined: 0, bytes: 0, inUnclearedArchives: 0 };
        for (const [index, raw] of ordered.entries()) {
          if (ownedTo !== null && index <= ownedTo) {
            expected.inUnclearedArchives += 1;
            continue;
          }
          const mark = all.find((record) => Buffer.compare(record.raw, raw) === 0)?.mark;
          const marks = { exemptUntil: mark === 'exempt' ? NOW + DAY_MS : null, quarantined: mark === 'quarantined' };
          const decision = compiled.decision({ ...world.source.facts(shape, raw), ...marks }, false, NOW);
          if (decision === 'due') expected.bytes += raw.length;
          if (decision === 'due' || decision === 'expired' || decision === 'exempt' || decision === 'quarantined')
            expected[decision] += 1;
        }
        const owned = bound === null ? null : ownedPlan(bound, dueBefore);
        expect(await countPartition(context, compiled, partition, new Date(NOW), owned)).toMatchObject(expected);
      }),
      { numRuns: 40 },
    );
  },
);

function documentOf(
  policy: Policy,
  trigger: keyof typeof TRIGGERS,
  { at, _id }: { readonly at: number; readonly _id: number },
): Uint8Array {
  expect(policy.name).toBe('p');
  const when = trigger === 'objectId' ? { oid: ObjectId.createFromTime(Math.floor(at / 1000)) } : { at: new Date(at) };
  return BSON.serialize({ _id, owner: 'acme', tenant: 'north', ...when });
}

function idBytesOf(raw: Uint8Array): Uint8Array {
  // `_id` is the first element and an int32 or a double here: type byte, name of 4 bytes, value.
  const length = raw[4] === 0x10 ? 4 : 8;
  return Uint8Array.from([raw[4] ?? 0, ...raw.subarray(9, 9 + length)]);
}

function ownedPlan(bound: Uint8Array, before: number): ArchivePlan {
  const asOf = new Date(NOW);
  return { after: null, bound, before, asOf, records: 1, bytes: 1, reachedEnd: false, latestPurgeAt: asOf };
}
