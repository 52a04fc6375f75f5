/** How a partition is counted, call by call: what the server may answer for, what is looked at one by one, and what belongs to archives already. */
import { BSON, ObjectId } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ArchivePlan } from '../../src/ledger/archive-document.ts';
import { holds } from '../../src/ledger/holds.ts';
import { exemptRecords, markQuarantined } from '../../src/ledger/record-marks.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { countPartition } from '../../src/lifecycle/count-partition.ts';
import { markScope } from '../../src/lifecycle/read-marks.ts';
import { compile } from '../../src/policy/compile.ts';
import { addPeriod, periodOf } from '../../src/policy/period.ts';
import { type Policy, toShape } from '../../src/policy/policy.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import { ACME, aHold } from '../harness/a-hold.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const NOW = Date.parse('2024-03-01T12:00:00Z');
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** More than one batch of a scan holds. */
const MANY = 1_001;

const TRIGGERS = {
  date: 'trigger: { field: at }\nactive: 2 months',
  objectId: 'trigger: { objectId: oid }\nactive: 2 months',
  expiry: 'trigger: { expires: at }',
} as const;
type Trigger = keyof typeof TRIGGERS;

let world: MemoryWorld;
let policy: Policy;
let context: Context;

async function open(trigger: Trigger): Promise<void> {
  world = await MemoryWorld.open();
  policy = await world.publish(`
policy: chats
zone: Europe/Amsterdam
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
${TRIGGERS[trigger]}
then: archive
archive: { for: 1 month, vault: cold }
limits: { records: 1000, share: 1.0 }
`);
  context = world.context(undefined, { asOf: new Date(NOW).toISOString() });
}

beforeEach(() => open('date'));

let made = 0;
function put(at: number, trigger: Trigger = 'date'): Uint8Array {
  const when = trigger === 'objectId' ? { oid: ObjectId.createFromTime(Math.floor(at / 1000)) } : { at: new Date(at) };
  const raw = BSON.serialize({ _id: made++, owner: 'acme', tenant: 'north', ...when });
  world.source.put(policy.dataset.collection, raw);
  return raw;
}

const ago = (days: number) => NOW - days * DAY_MS;
const partition = () => ({ dataset: toShape(policy), owner: ACME.owner, customer: ACME.customer });
const keyOf = (raw: Uint8Array) => world.source.keyOf(idBytesOf(raw));
const scopeOf = () => markScope(context, ACME.namespace, ACME.owner, ACME.customer);

function plan(fields: Partial<ArchivePlan>): ArchivePlan {
  const asOf = new Date(NOW);
  return {
    after: null,
    bound: null,
    before: NOW,
    asOf,
    records: 1,
    bytes: 1,
    reachedEnd: false,
    latestPurgeAt: asOf,
    ...fields,
  };
}

const upTo = (raw: Uint8Array) => plan({ bound: world.source.position(toShape(policy), raw) });

const count = (owned: ArchivePlan | null = null, on = context) =>
  countPartition(on, compile(policy), partition(), new Date(NOW), owned);

/** The context, and what was asked of its source: the server's counts, and how many records were read. */
function counted(): { on: Context; asked: { summaries: number; read: number } } {
  const asked = { summaries: 0, read: 0 };
  const source = overlay(context.source, {
    summarise: async (...args) => {
      asked.summaries += 1;
      return await context.source.summarise(...args);
    },
    scan: async function* (...args) {
      for await (const batch of context.source.scan(...args)) {
        asked.read += batch.length;
        yield batch;
      }
    },
  });
  return { on: { ...context, source }, asked };
}

test('nothing is there: nothing is counted', async () => {
  expect(await count()).toMatchObject({
    due: 0,
    bytes: 0,
    oldestDueAt: null,
    expired: 0,
    exempt: 0,
    quarantined: 0,
    held: 0,
    notDue: 0,
    inUnclearedArchives: 0,
  });
});

test('a small one is read once and decided: no server is asked to count', async () => {
  const raws = [put(ago(70)), put(ago(65))];
  put(ago(200));
  put(ago(59.5));
  const { on, asked } = counted();
  expect(await count(null, on)).toMatchObject({
    due: 2,
    bytes: raws.reduce((sum, raw) => sum + raw.length, 0),
    expired: 1,
    notDue: 1,
  });
  expect(asked).toEqual({ summaries: 0, read: 4 });
});

test('a batch to the last record is small; one record more, and the server counts what is certain', async () => {
  for (let n = 0; n < MANY - 1; n++) put(ago(75) + n);
  const small = counted();
  expect(await count(null, small.on)).toMatchObject({ due: MANY - 1 });
  expect(small.asked).toEqual({ summaries: 0, read: MANY - 1 });
  put(ago(75));
  const large = counted();
  expect(await count(null, large.on)).toMatchObject({ due: MANY });
  expect(large.asked.summaries).toBe(2);
  // The look whether it is small; nothing is near an edge.
  expect(large.asked.read).toBe(MANY);
});

test('a large one: only what is near the edges is looked at by itself', async () => {
  for (let n = 0; n < MANY; n++) put(ago(75) + n);
  for (let n = 0; n < MANY; n++) put(ago(1_000) + n);
  const edges = [put(ago(60) - DAY_MS), put(ago(60) + DAY_MS), put(ago(91) - DAY_MS), put(ago(91) + DAY_MS)];
  const { on, asked } = counted();
  expect(await count(null, on)).toMatchObject({ due: MANY + 2, expired: MANY + 1, notDue: 1 });
  // Two batches, by which it is known to be large; then the edges.
  expect(asked.read).toBe(2 * (MANY - 1) + edges.length);
});

describe.each<Trigger>(['date', 'objectId', 'expiry'])('by %s', (trigger) => {
  test('a large one equals what is decided record by record, to the hour around every edge, whatever archives own', async () => {
    await open(trigger);
    const period = trigger === 'expiry' ? 0 : 60;
    const raws: Uint8Array[] = [];
    for (const edge of [period, period + 30])
      for (let hour = -12 * 24; hour <= 12 * 24; hour += 6) raws.push(put(ago(edge) + hour * HOUR_MS, trigger));
    for (let n = 0; n < MANY; n++) raws.push(put(ago(period + 15) + n * 1_000, trigger));
    for (let n = 0; n < 5; n++) raws.push(put(ago(1_000) + n, trigger));
    const compiled = compile(policy);
    const { dueBefore } = compiled.superset(NOW);
    const ordered: Uint8Array[] = [];
    for await (const batch of world.source.scan(partition(), { after: null, upTo: null, before: dueBefore }))
      ordered.push(...batch.map(({ raw }) => raw));
    const places = [null, 0, 3, 5, 20, 53, 60, 102, 600, ordered.length - 20, ordered.length - 1];
    for (const place of places) {
      const above = place === null ? ordered : ordered.slice(place + 1);
      const decisions = above.map((raw) => {
        const facts = world.source.facts(toShape(policy), raw);
        return { raw, facts, is: compiled.decision({ ...facts, exemptUntil: null, quarantined: false }, false, NOW) };
      });
      const due = decisions.filter(({ is }) => is === 'due');
      const oldest = due[0]?.facts.trigger;
      const owned = place === null ? null : upTo(ordered[place] ?? new Uint8Array());
      const found = await count(owned);
      expect({ place, ...found }).toMatchObject({
        place,
        due: due.length,
        bytes: due.reduce((sum, { raw }) => sum + raw.length, 0),
        expired: decisions.filter(({ is }) => is === 'expired').length,
        inUnclearedArchives: place === null ? 0 : place + 1,
      });
      const dueAt = (from: number) => (trigger === 'expiry' ? from : addPeriod(from, periodOf('P2M'), policy.zone));
      expect(found.oldestDueAt).toEqual(oldest == null ? null : new Date(dueAt(oldest)));
    }
  });

  test('records of one trigger: those above the bound by their id are still to be taken', async () => {
    await open(trigger);
    const period = trigger === 'expiry' ? 0 : 60;
    const same = [1, 2, 3].map(() => put(Math.floor(ago(period + 10) / 1000) * 1000, trigger));
    put(ago(period + 5), trigger);
    const ordered: Uint8Array[] = [];
    for await (const batch of world.source.scan(partition(), { after: null, upTo: null, before: NOW + 1 }))
      ordered.push(...batch.map(({ raw }) => raw));
    expect(await count(upTo(ordered[1] ?? new Uint8Array()))).toMatchObject({ due: 2, inUnclearedArchives: 2 });
    expect(same).toHaveLength(3);
  });
});

test('an archive that was never scanned owns all that it may take; what came due since is counted', async () => {
  put(ago(80));
  put(ago(70));
  put(ago(65));
  expect(await count(plan({ before: ago(70) }))).toMatchObject({ due: 2, inUnclearedArchives: 1 });
  expect(await count(plan({ before: ago(70) + 1 }))).toMatchObject({ due: 1, inUnclearedArchives: 2 });
  // One that was planned for a later day owns no more than there is.
  expect(await count(plan({ before: NOW }))).toMatchObject({ due: 0, notDue: 0, inUnclearedArchives: 3 });
});

test('exempt and in quarantine: counted by themselves, in a small partition and in a large one', async () => {
  const [exempt, apart] = [put(ago(70)), put(ago(71))];
  await exemptRecords(world.store, await scopeOf(), [keyOf(exempt)], new Date(NOW + 1));
  await markQuarantined(world.store, await scopeOf(), [keyOf(apart)]);
  put(ago(72));
  expect(await count()).toMatchObject({ due: 1, exempt: 1, quarantined: 1 });
  for (let n = 0; n < MANY; n++) put(ago(75) + n);
  const { on, asked } = counted();
  expect(await count(null, on)).toMatchObject({ due: MANY + 1, exempt: 1, quarantined: 1 });
  expect(asked.summaries).toBe(0);
});

test('what archives own is not counted again where single records are marked or held', async () => {
  const owned = put(ago(80));
  const [exempt, held] = [put(ago(72)), put(ago(70))];
  for (let n = 0; n < MANY; n++) put(ago(68) + n);
  await exemptRecords(world.store, await scopeOf(), [keyOf(exempt)], new Date(NOW + 1));
  expect(await count(upTo(owned))).toMatchObject({ due: MANY + 1, exempt: 1, inUnclearedArchives: 1 });
  await holds(world.store).insert(aHold({ ...ACME, triggerFrom: new Date(ago(70)), triggerBefore: new Date(ago(69)) }));
  expect(await count(upTo(owned))).toMatchObject({ due: MANY, exempt: 1, held: 1, inUnclearedArchives: 1 });
  expect(await count(upTo(exempt))).toMatchObject({ due: MANY, exempt: 0, held: 1, inUnclearedArchives: 2 });
  expect(await count(upTo(held))).toMatchObject({ due: MANY, exempt: 0, held: 0, inUnclearedArchives: 3 });
});

describe.each([0, MANY])('held, beside %i others', (others) => {
  const range = { triggerFrom: new Date(ago(72)), triggerBefore: new Date(ago(71)) };
  beforeEach(() => {
    put(ago(72));
    put(ago(70));
    put(ago(200));
    for (let n = 0; n < others; n++) put(ago(75) + n);
  });

  test('some: these are held, the rest is due', async () => {
    await holds(world.store).insert(aHold({ ...ACME, ...range }));
    expect(await count()).toMatchObject({ due: 1 + others, expired: 1, held: 1 });
  });

  test('some, and expired: held as well', async () => {
    await holds(world.store).insert(aHold({ ...ACME, triggerBefore: new Date(ago(100)) }));
    expect(await count()).toMatchObject({ due: 2 + others, expired: 0, held: 1 });
  });

  test('all of it: told beside the counts, also where another hold keeps some', async () => {
    await holds(world.store).insert(aHold({ _id: 'all', owner: ACME.owner }));
    expect(await count()).toMatchObject({ due: 2 + others, expired: 1, held: 3 + others });
    await holds(world.store).insert(aHold({ _id: 'some', ...ACME, ...range }));
    const { on, asked } = counted();
    expect(await count(null, on)).toMatchObject({ due: 2 + others, expired: 1, held: 3 + others });
    expect(asked.summaries > 0).toBe(others > 0);
  });

  test('none of it: nothing is held', async () => {
    await holds(world.store).insert(aHold({ ...ACME, triggerBefore: new Date(ago(400)) }));
    expect(await count()).toMatchObject({ due: 2 + others, expired: 1, held: 0 });
  });
});

test('told to stop while it reads: it stops', async () => {
  for (let n = 0; n < MANY; n++) put(ago(75) + n);
  const raw = put(ago(70));
  await markQuarantined(world.store, await scopeOf(), [keyOf(raw)]);
  const stop = new AbortController();
  const stopping = world.context(undefined, { asOf: new Date(NOW).toISOString(), signal: stop.signal });
  let scans = 0;
  const source = overlay(stopping.source, {
    scan: async function* (dataset, range) {
      scans += 1;
      for await (const batch of stopping.source.scan(dataset, range)) {
        if (scans === 2) stop.abort();
        yield batch;
      }
    },
  });
  await expect(count(null, { ...stopping, source })).rejects.toMatchObject({ code: 'WORK_STOPPED' });
});
