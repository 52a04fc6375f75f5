/** Failing lives are made small by a predicate; here a cheap one, so that what has to be left is known. */
import { expect, test } from 'vitest';
import { asListed, fewest, shrinkLife, smallest } from './shrink.ts';
import { randomLife } from './world/random-life.ts';
import type { Scenario } from './world/scenario.ts';

const numbers = Array.from({ length: 100 }, (_, at) => at);

test('of a hundred items exactly the two are left that fail together', async () => {
  let asked = 0;
  const left = await fewest(numbers, async (some) => {
    asked += 1;
    return some.includes(13) && some.includes(77);
  });
  expect(left).toEqual([13, 77]);
  expect(asked).toBeLessThan(100);
});

test('none of what is left can be left out alone, where what fails is any three of a kind', async () => {
  const breaks = async (some: readonly number[]) => some.filter((each) => each % 7 === 0).length >= 3;
  expect(await fewest(numbers, breaks)).toHaveLength(3);
});

test('what fails with nothing becomes nothing; what never fails with less stays whole', async () => {
  expect(await fewest(numbers, async () => true)).toEqual([]);
  expect(await fewest(numbers, async () => false)).toEqual(numbers);
});

test('a life keeps the fault, the act and the record that it fails by, on the policy that they need, and no more', async () => {
  const scenario: Scenario = asListed({ ...randomLife(3), workers: 3, days: 8 }, [
    { process: 'worker-1.1', call: 3, kind: 'error', ms: 0 },
    { process: 'worker-2.1', call: 9, kind: 'crash after', ms: 0 },
  ]);
  const [record] = scenario.records;
  const act = scenario.script.findIndex((entry) => entry.act.what === 'sweep');
  const needed = scenario.script[act];
  const left = await smallest(
    scenario,
    async ({ faults, records, script }) =>
      faults.by === 'list' &&
      faults.list.some(({ call }) => call === 9) &&
      records.some(({ id }) => id === record?.id) &&
      script.some(({ at }) => at === needed?.at),
  );
  expect(left).toMatchObject({
    faults: { list: [{ call: 9 }] },
    records: [record],
    workers: 0,
    days: 1,
    latencyMs: [5, 5],
  });
  expect(left.script.length).toBe(1);
});

test('a life that does not break the property has nothing to be shown', async () => {
  const quiet: Scenario = { ...randomLife(3), script: [], faults: { by: 'list', list: [] } };
  expect(await shrinkLife(quiet, 'deleted-before-verified', { lives: 5, ms: 10_000 })).toBeNull();
});
