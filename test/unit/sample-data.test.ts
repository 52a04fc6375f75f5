import { readFileSync } from 'node:fs';
import { serialize } from 'bson';
import { describe, expect, test } from 'vitest';
import { flights } from '../../src/demo/sample-data/flights.ts';
import { SAMPLE_PARTIES } from '../../src/demo/sample-data/owners.ts';
import { contactCentre, DEFAULT_COUNTS, type SampleDataset } from '../../src/demo/sample-data/sample-data.ts';
import { compile } from '../../src/policy/compile.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { toShape } from '../../src/policy/policy.ts';
import { fitnessOf } from '../../src/source/guarded-delete.ts';
import { facetsOf, factsOf } from '../../src/source/raw-document.ts';

const DAY = 86_400_000;
const NOW = new Date('2026-03-31T09:30:00Z');
const COUNTS = { chats: 2000, tickets: 1500, calls: 1800 };

/** A leap day, the ends of months of different length, and both sides of summer time. */
const INSTANTS = ['2024-02-29T23:30:00Z', '2026-03-29T00:30:00Z', '2026-08-31T12:00:00Z', '2027-12-31T23:59:59Z'];

function policyOf({ policy }: SampleDataset) {
  const file = `policies/${policy}.yaml`;
  const { loaded } = loadPolicy(file, readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'));
  if (loaded === null) throw new Error(`${file} does not load`);
  return loaded.policy;
}

function documentsOf(dataset: SampleDataset): Uint8Array[] {
  return [...dataset.batches()].flat().map((document) => serialize(document));
}

/** Every document as the source would see it, with what its policy says about it. */
function judged(dataset: SampleDataset, now: Date) {
  const policy = policyOf(dataset);
  const [shape, compiled] = [toShape(policy), compile(policy)];
  return documentsOf(dataset).map((raw) => {
    const facts = { ...factsOf(shape, raw), exemptUntil: null, quarantined: false };
    const dueAt = compiled.times(facts, now.getTime()).dueAt;
    return { raw, facts, shape, dueAt, decision: compiled.decision(facts, false, now.getTime()) };
  });
}

describe('contact centre', () => {
  test('the same seed gives the same bytes, whatever was made in between; another seed gives others', () => {
    const make = (seed: number) => contactCentre({ seed, now: NOW, counts: { chats: 60, tickets: 60, calls: 60 } });
    const [first, again, other] = [make(1), make(1), make(2)].map((sets) => sets.map(documentsOf));
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  test('batches hold what was asked for, and ids are unique', () => {
    for (const dataset of contactCentre({ seed: 1, now: NOW, counts: COUNTS })) {
      const batches = [...dataset.batches()];
      expect(batches.flat()).toHaveLength(COUNTS[dataset.policy]);
      expect(Math.max(...batches.map(({ length }) => length))).toBeLessThanOrEqual(1000);
      expect(new Set(batches.flat().map(({ _id }) => String(_id))).size).toBe(dataset.count);
    }
  });

  test.each([NOW.toISOString(), ...INSTANTS])('at %s every record is what it is meant to be', (instant) => {
    const now = new Date(instant);
    for (const dataset of contactCentre({ seed: 7, now, counts: COUNTS })) {
      const meant = [...dataset.slots()];
      for (const [index, { decision, facts, raw, shape }] of judged(dataset, now).entries()) {
        const { intent, owner, customer } = meant[index]!;
        const isMisfit = intent === 'no-customer' || intent === 'text-trigger';
        expect(decision, `${dataset.policy} ${index}`).toBe(isMisfit ? 'unfit' : intent);
        expect(facts.owner).toBe(owner);
        expect(facts.customer).toBe(intent === 'no-customer' ? null : customer);
        expect(fitnessOf(shape, raw)).toBeNull();
      }
    }
  });

  test('every customer has records of each kind, and each dataset a few misfits of both kinds', () => {
    for (const dataset of contactCentre({ seed: 1, now: NOW, counts: DEFAULT_COUNTS })) {
      const meant = [...dataset.slots()];
      for (const { owner, customer } of SAMPLE_PARTIES) {
        const own = meant.filter((slot) => slot.owner === owner && slot.customer === customer);
        expect(own.map(({ intent }) => intent)).toEqual(expect.arrayContaining(['due', 'not-due', 'expired']));
      }
      const misfits = meant
        .map(({ intent }) => intent)
        .filter((one) => one === 'no-customer' || one === 'text-trigger');
      expect(misfits.sort()).toEqual(['no-customer', 'no-customer', 'text-trigger']);
    }
  });

  test('what is due fits into one archive for each customer, and has waited long enough to go now', () => {
    const waits = { chats: 7 * DAY, tickets: 14 * DAY, calls: 3 * DAY };
    const windows = { chats: 30 * DAY, tickets: 30 * DAY, calls: 14 * DAY };
    for (const dataset of contactCentre({ seed: 1, now: NOW, counts: DEFAULT_COUNTS })) {
      const due = judged(dataset, NOW).filter(({ decision }) => decision === 'due');
      for (const { customer } of SAMPLE_PARTIES) {
        const dates = due.filter(({ facts }) => facts.customer === customer).map(({ dueAt }) => dueAt);
        const oldest = Math.min(...dates);
        expect(NOW.getTime() - oldest).toBeGreaterThan(waits[dataset.policy]);
        expect(Math.max(...dates) - oldest).toBeLessThan(windows[dataset.policy]);
      }
    }
  });

  test('records are as large as real ones, name a person to hold, and a ticket has its number and version', () => {
    for (const dataset of contactCentre({ seed: 1, now: NOW, counts: COUNTS })) {
      for (const { raw, shape } of judged(dataset, NOW)) {
        expect(raw.length).toBeGreaterThan(450);
        expect(raw.length).toBeLessThan(3500);
        const facets = facetsOf(shape, raw);
        if (dataset.policy !== 'calls') expect(facets['subject']?.[0]).toMatch(/@example\.org$/);
        if (dataset.policy === 'tickets') expect(facets['ticket']?.[0]).toMatch(/^t-\d{6}$/i);
      }
    }
    const tickets = contactCentre({ seed: 1, now: NOW, counts: COUNTS })[1];
    for (const ticket of [...(tickets?.batches() ?? [])].flat()) expect(ticket['updatedAt']).toBeInstanceOf(Date);
  });

  test('no text has a place that was not filled in', () => {
    for (const dataset of contactCentre({ seed: 3, now: NOW, counts: { chats: 200, tickets: 200, calls: 200 } })) {
      for (const raw of documentsOf(dataset)) expect(Buffer.from(raw).toString('latin1')).not.toMatch(/\{\w+\}/);
    }
  });
});

test('flights: 20,000 of 220 airports, dates of early 2001 in UTC, all due and none past its archive period', () => {
  const dataset = flights();
  const [batch] = dataset.batches();
  expect(batch?.[0]).toEqual({
    _id: 0,
    date: new Date('2001-01-01T00:47:00Z'),
    delay: 66,
    distance: 1750,
    origin: 'DTW',
    destination: 'LAS',
  });
  const all = judged(dataset, NOW);
  expect(all).toHaveLength(20_000);
  expect(new Set(all.map(({ facts }) => facts.customer)).size).toBe(220);
  expect(new Set(all.map(({ facts }) => facts.owner))).toEqual(new Set(['faa']));
  expect(new Set(all.map(({ decision }) => decision))).toEqual(new Set(['due']));
  const dates = all.map(({ facts }) => facts.trigger ?? Number.NaN);
  expect(Math.max(...dates) - Math.min(...dates)).toBeLessThan(365 * DAY);
  expect(all.every(({ raw, shape }) => fitnessOf(shape, raw) === null)).toBe(true);
});
