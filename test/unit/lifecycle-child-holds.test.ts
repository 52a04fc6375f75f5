/** A legal hold may name a child: its root stays with it, and the archive that holds it is not purged. */
import { BSON } from 'bson';
import { expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { holdsCovering } from '../../src/ledger/holds-covering.ts';
import { type HoldRequest, placeHold, releaseHold } from '../../src/lifecycle/hold.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { planPurge } from '../../src/lifecycle/purge-caps.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import {
  COMMENTS,
  comment,
  type Family,
  idsOf,
  openFamily,
  putComment,
  putTicket,
  RUN_AT,
  TICKETS,
  ticket,
} from '../simulation/family-world.ts';

const OTHER = id.namespace('data.calls');

function contextOf({ world }: Family, asOf = RUN_AT) {
  return world.context(undefined, { asOf });
}

async function run(family: Family): Promise<void> {
  const { problems } = await runPolicy(contextOf(family), family.policy, { flush: true, expired: null });
  expect(problems).toEqual([]);
  await family.world.assertTotalsHold();
}

async function hold(family: Family, child: string, more: Partial<HoldRequest> = {}) {
  return await placeHold(
    contextOf(family),
    {
      caseNumber: `C-${child}`,
      reason: 'a claim',
      owner: id.owner('acme'),
      customer: null,
      namespace: COMMENTS,
      triggerFrom: null,
      triggerBefore: null,
      recordIds: [idBytesOf(BSON.serialize({ _id: child }))],
      facet: null,
      ...more,
    },
    'person:test',
  );
}

async function open(options: Parameters<typeof openFamily>[0] = {}): Promise<Family> {
  const family = await openFamily(options);
  for (const _id of ['a', 'b']) putTicket(family, ticket(_id));
  for (const _id of ['a-0', 'a-1', 'b-0']) putComment(family, comment(_id, _id[0]));
  return family;
}

test.each([{}, { without: 'archive' as const }])(
  'a held child keeps its root and all of the unit (%j)',
  async (options) => {
    const family = await open(options);
    const placed = await hold(family, 'a-0');
    expect(placed).toMatchObject({ state: 'active', namespace: TICKETS, collection: COMMENTS });
    await run(family);
    expect(idsOf(family, TICKETS)).toEqual(['a']);
    expect(idsOf(family, COMMENTS)).toEqual(['a-0', 'a-1']);
    const released = { by: 'person:other', reason: 'settled' };
    await releaseHold(contextOf(family), placed._id, released);
    await family.world.clock.sleep(25 * 3_600_000);
    await run(family);
    expect([...idsOf(family, TICKETS), ...idsOf(family, COMMENTS)]).toEqual([]);
  },
);

test('a hold on the collection of the children alone covers all of their roots', async () => {
  const family = await open();
  await hold(family, 'all', { recordIds: [] });
  await run(family);
  expect(idsOf(family, TICKETS)).toEqual(['a', 'b']);
});

test('an archive that holds the child is not purged; one that does not is', async () => {
  const family = await open();
  await run(family);
  putTicket(family, ticket('c'));
  putComment(family, comment('c-0', 'c'));
  await run(family);
  const [first, second] = await family.world.archives();
  await hold(family, 'a-1');
  const party = { owner: id.owner('acme'), customer: id.customer('north'), namespace: TICKETS };
  const covering = async (archive: string) =>
    (await holdsCovering(family.world.store, { ...party, archive: id.archive(archive) })).length;
  expect(await covering(first!._id)).toBe(1);
  expect(await covering(second!._id)).toBe(0);
  const context = contextOf(family, '2032-06-01T00:00:00Z');
  const report = await purgeArchives(context, (await planPurge(context, null)).due);
  expect(report).toMatchObject({ held: [first!._id], purged: [second!._id] });
});

test('a key that is no child of the archive, of another collection, or of a record, does not hold it', async () => {
  const family = await open();
  await run(family);
  const [archive] = await family.world.archives();
  const covering = async () =>
    await holdsCovering(family.world.store, {
      ...{ owner: id.owner('acme'), customer: id.customer('north'), namespace: TICKETS },
      archive: archive!._id,
    });
  await hold(family, 'a');
  await hold(family, 'nobody');
  await hold(family, 'a-0', { namespace: OTHER });
  expect(await covering()).toEqual([]);
  // Without its pages nothing is proved.
  const placed = await hold(family, 'a-2');
  await family.world.store.collection('childIndex').removeMany({});
  expect((await covering()).map(({ _id }) => _id)).toContain(placed._id);
});

test('a held child that comes when its root is gone stays, the others go into an addendum; that it holds is known of it too', async () => {
  const family = await open();
  await hold(family, 'a-late');
  const context = contextOf(family);
  const deleteGuarded = family.world.source.deleteGuarded.bind(family.world.source);
  family.world.source.deleteGuarded = async (...args) => {
    const result = await deleteGuarded(...args);
    if (args[0].namespace === TICKETS) {
      putComment(family, comment('a-late', 'a'));
      putComment(family, comment('a-other', 'a'));
    }
    return result;
  };
  await runPolicy(context, family.policy, { flush: true, expired: null });
  expect(idsOf(family, TICKETS)).toEqual([]);
  expect(idsOf(family, COMMENTS)).toEqual(['a-late']);
  const addendum = (await family.world.archives()).find(({ addendumTo }) => addendumTo !== undefined);
  expect(addendum).toMatchObject({ state: 'cleared', outcomes: { deleted: 1 } });
  const scope = { owner: id.owner('acme'), customer: id.customer('north'), namespace: TICKETS };
  expect(await holdsCovering(family.world.store, { ...scope, archive: addendum!._id })).toEqual([]);
  const later = await hold(family, 'a-other');
  const covering = await holdsCovering(family.world.store, { ...scope, archive: addendum!._id });
  expect(covering.map(({ _id }) => _id)).toEqual([later._id]);
});
