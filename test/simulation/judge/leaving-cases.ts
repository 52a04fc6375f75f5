/** Cases of judge.test.ts: a customer leaves. */
import { describe, expect, test } from 'vitest';
import { approve, expectBroken } from './broken.ts';
import { HandMade, NAMESPACE } from './hand-made.ts';
import type { SourceRecord } from './observations.ts';

const DISPOSAL = {
  _id: 'x1',
  kind: 'offboard',
  policy: 'chats',
  partition: 'p',
  namespace: NAMESPACE,
  owner: 'acme',
  customer: 'north',
  mostRecords: 9,
  state: 'deleting',
};

/** What was handed over is let go by another person, and ordered. */
async function leaving(
  world: HandMade,
  records: readonly SourceRecord[],
  archives: ReadonlyMap<string, readonly SourceRecord[]> = new Map(),
  withoutArchives = false,
): Promise<void> {
  const of = { export: 'e1', owner: 'acme', customer: 'north', manifestSha256: 'm1' };
  await world.see({ what: 'export returned', by: 'operator-1', ...of, records, archives });
  await world.see({ what: 'offboarding asked', by: 'operator-2', export: 'e1', withoutArchives });
  const shown = JSON.stringify({ shown: { manifestSha256: 'm1' } });
  await approve(world, { kind: 'offboard', subject: { export: 'e1' }, shown, items: ['a1'] });
  await world.tell('records delete', 'intent', { expiration: 'x1' });
  await world.write('expirations', DISPOSAL);
}

describe('a customer leaves', () => {
  test('what was handed over goes, due or not: clean', async () => {
    const world = new HandMade();
    const record = await world.put(world.record('r', { at: new Date(world.time) }));
    const archived = await world.cleared('a1');
    await leaving(world, [record], new Map([['a1', archived]]));
    await world.remove(record);
    await world.amend('a1', { early: { approval: 'ap-offboard' } });
    await world.purged('a1');
    expect(world.broken).toEqual([]);
  });

  test('a record goes that was not handed over, or changed since', async () => {
    for (const change of [{}, { n: 1 }]) {
      const world = new HandMade();
      const record = await world.put(world.record('r', { at: new Date(world.time) }));
      await leaving(world, 'n' in change ? [record] : []);
      const now = 'n' in change ? await world.put(world.record('r', { ...change, at: new Date(world.time) })) : record;
      await world.remove(now);
      expectBroken(world, 'left-unreturned', 'deleted-not-due');
    }
  });

  test('an archive goes that was not handed over; a person may say that it goes all the same', async () => {
    for (const withoutArchives of [false, true]) {
      const world = new HandMade();
      await world.cleared('a1');
      await leaving(world, [], new Map(), withoutArchives);
      await world.amend('a1', { early: { approval: 'ap-offboard' } });
      await world.purged('a1');
      if (withoutArchives) expect(world.broken).toEqual([]);
      else expectBroken(world, 'left-unreturned');
    }
  });

  test('it is begun, and nobody let it go', async () => {
    const world = new HandMade();
    await world.write('expirations', DISPOSAL);
    expectBroken(world, 'act-without-approval');
  });
});
