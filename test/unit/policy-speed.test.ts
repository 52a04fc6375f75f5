import { expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { periodAdder } from '../../src/policy/adder.ts';
import { compile } from '../../src/policy/compile.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { periodOf } from '../../src/policy/period.ts';

test('a million sorted triggers of a year cost well under two seconds, where the calendar takes five or more', () => {
  const fast = periodAdder(periodOf('7 years'), 'Europe/Amsterdam');
  const start = Date.parse('2018-01-01T00:00:00Z');
  const began = performance.now();
  let sum = 0;
  for (let i = 0; i < 1_000_000; i++) sum += fast(start + i * 31_000);
  expect(sum).toBeGreaterThan(0);
  // Two million a second are asked for; the bound leaves room for a busy machine.
  expect(performance.now() - began).toBeLessThan(2_000);
});

test('a million decisions of a policy with one period allocate nothing for a record', () => {
  const { loaded } = loadPolicy(
    'chats.yaml',
    `policy: chats
zone: Europe/Amsterdam
dataset: { collection: support.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: createdAt }
active: { by: customer, of: { globex: 2 years }, otherwise: 1 year }
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1, share: 1 }
`,
  );
  if (loaded === null) throw new Error('The policy does not load.');
  const [owner, customer] = [id.owner('acme'), id.customer('globex')];
  const own = compile(loaded.policy).of(owner, customer);
  expect(own.uniform).toEqual({ active: 'P2Y', archive: 'P7Y' });
  const facts = { owner, customer, trigger: 0, exemptUntil: null, quarantined: false, unfit: [] };
  const start = Date.parse('2018-01-01T00:00:00Z');
  const now = Date.parse('2020-07-01T00:00:00Z');
  const decideAll = () => {
    let due = 0;
    for (let i = 0; i < 1_000_000; i++) {
      facts.trigger = start + i * 31_000;
      if (own.decision(facts, false, now) === 'due') due += 1;
    }
    return due;
  };
  // The first round makes the calendar's answers, and lets the compiler see the loop.
  const due = decideAll();
  const growth = Array.from({ length: 5 }, () => {
    const before = process.memoryUsage().heapUsed;
    expect(decideAll()).toBe(due);
    return process.memoryUsage().heapUsed - before;
  });
  // 16 bytes a record would be 16 MB in every round; what else goes on in the process is not in the least of them.
  expect(Math.min(...growth)).toBeLessThan(8_000_000);
  expect(due).toBeGreaterThan(100_000);
});
