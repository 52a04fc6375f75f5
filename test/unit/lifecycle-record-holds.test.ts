/** Which holds keep a single record, told from its own bytes: all that a hold names must fit, and what cannot be told holds. */
import { BSON } from 'bson';
import { beforeEach, expect, test } from 'vitest';
import { facetCode } from '../../src/archive/facets.ts';
import { id } from '../../src/ids.ts';
import { type HoldDocument, holds } from '../../src/ledger/holds.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { keyCode, partitionHolds } from '../../src/lifecycle/record-holds.ts';
import { decide } from '../../src/policy/decide.ts';
import { type Policy, toShape } from '../../src/policy/policy.ts';
import { rawRecord } from '../../src/source/raw-document.ts';
import { ACME, aHold } from '../harness/a-hold.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const DAY = new Date('2020-01-15T00:00:00Z');
const text = (facets: string) => `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant }${facets} }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1000, share: 1.0 }
`;

let world: MemoryWorld;
let policy: Policy;
let context: Context;
let hmac: Awaited<ReturnType<Context['keys']['hmacFor']>>;
beforeEach(async () => {
  world = await MemoryWorld.open();
  policy = await world.publish(text(', facets: { subject: { field: mail } }'));
  context = world.context();
  hmac = await context.keys.hmacFor(ACME.owner);
});

const record = (more: BSON.Document = {}) =>
  rawRecord(BSON.serialize({ _id: 'a', owner: 'acme', tenant: 'north', at: DAY, mail: 'jo@example.org', ...more }));

const partition = () => ({ dataset: toShape(policy), owner: ACME.owner, customer: ACME.customer });

/** Is the record kept by a hold of these fields? Both answers, which must never differ. */
async function keeps(fields: Partial<Omit<HoldDocument, 'rev'>>, one = record()): Promise<boolean> {
  await holds(world.store).removeMany({});
  await holds(world.store).insert(aHold(fields));
  const found = await partitionHolds(context, partition());
  const facts = context.source.facts(toShape(policy), one.raw);
  const isHeld = found.isHeld(one, facts);
  const { decision, reasons } = decide(
    { ...facts, exemptUntil: null, quarantined: false },
    policy,
    found.scopesFor(one),
    Date.parse('2024-01-01'),
  );
  expect(reasons.some(({ rule }) => rule === 'hold')).toBe(isHeld);
  // Without a trigger there is nothing that could be due.
  if (facts.trigger !== null) expect(decision).toBe(isHeld ? 'held' : 'due');
  return isHeld;
}

test('none: nothing is held, nothing is asked of the keys', async () => {
  const asked: string[] = [];
  const keys = { ...context.keys, hmacFor: async (owner: string) => Promise.reject(asked.push(owner)) };
  const found = await partitionHolds({ ...context, keys }, partition());
  expect(found).toMatchObject({ ids: [], whole: [], narrow: [] });
  expect(found.isHeld(record(), context.source.facts(toShape(policy), record().raw))).toBe(false);
  expect(found.scopesFor(record())).toEqual([]);
  await holds(world.store).insert(aHold({ _id: 'w' }));
  expect(await partitionHolds({ ...context, keys }, partition())).toMatchObject({ ids: ['w'], narrow: [] });
  expect(asked).toEqual([]);
});

test.each([
  ['everything', {}, true],
  ['the owner', { owner: ACME.owner }, true],
  ['all three', ACME, true],
  ['another owner', { owner: id.owner('other') }, false],
  ['another customer', { ...ACME, customer: id.customer('south') }, false],
  ['another dataset', { ...ACME, namespace: id.namespace('data.mails') }, false],
])('a hold on %s', async (_, fields, expected) => {
  expect(await keeps(fields)).toBe(expected);
});

test.each([
  ['from its instant on', { triggerFrom: DAY }, true],
  ['from a millisecond later', { triggerFrom: new Date(DAY.getTime() + 1) }, false],
  ['before its instant', { triggerBefore: DAY }, false],
  ['before a millisecond later', { triggerBefore: new Date(DAY.getTime() + 1) }, true],
  ['of its day', { triggerFrom: DAY, triggerBefore: new Date('2020-01-16') }, true],
  ['of the day after', { triggerFrom: new Date('2020-01-16'), triggerBefore: new Date('2020-01-17') }, false],
])('a hold on triggers %s', async (_, fields, expected) => {
  expect(await keeps({ ...ACME, ...fields })).toBe(expected);
});

test('a record whose trigger cannot be read is held by every range', async () => {
  const blank = record({ at: 'never' });
  expect(await keeps({ ...ACME, triggerFrom: new Date('2030-01-01') }, blank)).toBe(true);
  expect(await keeps({ ...ACME, triggerBefore: new Date('1990-01-01') }, blank)).toBe(true);
  expect(await keeps({ ...ACME, customer: id.customer('south'), triggerFrom: DAY }, blank)).toBe(false);
});

test('a hold on keys keeps those records and no other', async () => {
  const of = (...keys: readonly string[]) => ({ ...ACME, recordKeys: keys });
  const code = keyCode(hmac, record().key);
  expect(await keeps(of(code))).toBe(true);
  expect(await keeps(of('other', code))).toBe(true);
  expect(await keeps(of(keyCode(hmac, record({ _id: 'b' }).key)))).toBe(false);
  expect(await keeps(of())).toBe(false);
});

test('a key of 32 bytes that lies in a larger buffer has the same code', () => {
  const slab = new Uint8Array(64).fill(7);
  const inSlab = () => slab.subarray(16, 48);
  expect(keyCode(inSlab, 'k')).toBe(Buffer.alloc(32, 7).toString('base64url'));
});

test('a hold on a facet keeps what has one of its values', async () => {
  const codeOf = (value: string) => facetCode(hmac, 'subject', value);
  const subject = (...codes: readonly string[]) => ({ owner: ACME.owner, facet: { name: 'subject', codes } });
  expect(await keeps(subject(codeOf('jo@example.org')))).toBe(true);
  expect(await keeps(subject(codeOf('kim@example.org'), codeOf('jo@example.org')))).toBe(true);
  expect(await keeps(subject(codeOf('kim@example.org')))).toBe(false);
  expect(await keeps(subject())).toBe(false);
  const many = record({ mail: ['kim@example.org', 'jo@example.org'] });
  expect(await keeps(subject(codeOf('jo@example.org')), many)).toBe(true);
  expect(await keeps(subject(codeOf('jo@example.org')), record({ mail: [] }))).toBe(false);
  expect(await keeps(subject(codeOf('jo@example.org')), record({ mail: null }))).toBe(false);
});

test('a facet that the policy does not declare may be in any field: all is held', async () => {
  expect(await keeps({ owner: ACME.owner, facet: { name: 'ticket', codes: ['x'] } })).toBe(true);
  expect(await keeps({ owner: ACME.owner, facet: { name: 'toString', codes: ['x'] } })).toBe(true);
  policy = await world.publish(text(''));
  expect(await keeps({ owner: ACME.owner, facet: { name: 'subject', codes: ['x'] } })).toBe(true);
});

test('range, keys and facet together: one that does not fit, and the record is free', async () => {
  const fits = {
    ...ACME,
    triggerFrom: DAY,
    recordKeys: [keyCode(hmac, record().key)],
    facet: { name: 'subject', codes: [facetCode(hmac, 'subject', 'jo@example.org')] },
  };
  expect(await keeps(fits)).toBe(true);
  expect(await keeps({ ...fits, triggerBefore: DAY })).toBe(false);
  expect(await keeps({ ...fits, recordKeys: ['x'] })).toBe(false);
  expect(await keeps({ ...fits, facet: { name: 'subject', codes: ['x'] } })).toBe(false);
});

test('several: each is looked at by itself, and named; one that is released is none', async () => {
  const range = { ...ACME, triggerFrom: new Date('2020-01-16') };
  await holds(world.store).insert(aHold({ _id: 'whole', caseNumber: 'C-7' }));
  await holds(world.store).insert(aHold({ _id: 'range', ...range }));
  await holds(world.store).insert(aHold({ _id: 'of-others', owner: id.owner('other') }));
  await holds(world.store).insert(aHold({ _id: 'released', state: 'released', heldUntil: new Date(0) }));
  const found = await partitionHolds(context, partition());
  expect([...found.ids].sort()).toEqual(['range', 'whole']);
  expect(found.whole.map(({ _id }) => _id)).toEqual(['whole']);
  expect(found.narrow.map(({ _id }) => _id)).toEqual(['range']);
  const facts = { ...context.source.facts(toShape(policy), record().raw), exemptUntil: null, quarantined: false };
  const covering = found.scopesFor(record()).filter((scope) => scope.covers(facts));
  expect(covering.map((scope) => scope.id)).toEqual(['whole (case C-7)']);
});
