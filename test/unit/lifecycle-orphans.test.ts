/** Children that are written when their root is gone: what the ledger knows of the root says what becomes of them. */
import { BSON } from 'bson';
import { describe, expect, test } from 'vitest';
import { newIdentity, openIdentity } from '../../src/keys/identity-file.ts';
import { holds } from '../../src/ledger/holds.ts';
import { findOrphanLooks, orphansOf } from '../../src/ledger/orphan-looks.ts';
import { findQuarantine } from '../../src/ledger/quarantine.ts';
import { lookForOrphans } from '../../src/lifecycle/orphans.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { planPurge } from '../../src/lifecycle/purge-caps.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { aHold } from '../harness/a-hold.ts';
import {
  assertNothingIsOpen,
  COMMENTS,
  comment,
  type Family,
  idsIn,
  idsOf,
  openFamily,
  putComment,
  putTicket,
  RUN_AT,
  restored,
  TICKETS,
  ticket,
} from '../simulation/family-world.ts';

const { file, recipient } = await newIdentity({ now: new Date(), scryptLogN: 10 });
const identity = await openIdentity(Buffer.from(file));
const PURGE_AT = '2032-06-01T00:00:00Z';

async function cleared(options: Parameters<typeof openFamily>[0] = {}, of: BSON.Document = {}): Promise<Family> {
  const family = await openFamily({ recipient, ...options });
  for (const _id of ['a', 'b']) putTicket(family, ticket(_id, _id === 'a' ? of : {}));
  for (const _id of ['a-0', 'b-0']) putComment(family, comment(_id, _id === 'a-0' ? (of['number'] ?? 'a') : 'b'));
  await run(family);
  return family;
}

async function run(family: Family, asOf = RUN_AT) {
  const context = family.world.context(undefined, { asOf });
  const result = await runPolicy(context, family.policy, { flush: true, expired: null });
  expect(result.problems).toEqual([]);
  await family.world.assertTotalsHold();
  return result;
}

async function counts(family: Family) {
  for await (const look of findOrphanLooks(family.world.store, 'tickets')) return orphansOf(look);
  throw new Error('Nobody has looked.');
}

async function addenda(family: Family) {
  return (await family.world.archives()).filter(({ addendumTo }) => addendumTo !== undefined);
}

async function purge(family: Family) {
  const context = family.world.context(undefined, { asOf: PURGE_AT });
  return await purgeArchives(context, (await planPurge(context, null)).due);
}

describe('its root is in an archive that is cleared', () => {
  test('a child goes into an addendum with the same due date, comes back from it, and no id of it is left in the ledger', async () => {
    const family = await cleared();
    putComment(family, comment('a-reply', 'a'));
    const { archives } = await run(family);
    expect(idsOf(family, COMMENTS)).toEqual([]);
    const [root] = await family.world.archives();
    const [addendum] = await addenda(family);
    expect(addendum).toMatchObject({
      state: 'cleared',
      addendumTo: root!._id,
      dueAt: root!.dueAt,
      collection: COMMENTS,
    });
    expect(addendum?.outcomes).toMatchObject({ archived: 1, deleted: 1 });
    expect(addendum?.plan.lateRoots).toBeUndefined();
    expect(archives.map(({ _id }) => _id)).toContain(addendum?._id);
    const context = family.world.context(undefined, { asOf: RUN_AT });
    expect(idsIn((await restored(family, context, addendum!, identity)).found['records'])).toEqual(['a-reply']);
    expect((await restored(family, context, root!, identity)).report.addenda).toEqual([addendum!._id]);
    await run(family);
    expect(await addenda(family)).toHaveLength(1);
    expect((await purge(family)).purged).toEqual(expect.arrayContaining([root!._id, addendum!._id]));
    await assertNothingIsOpen(family);
  });

  test('a child of another field than _id of the root', async () => {
    const family = await cleared({ rule: { parent: 'number' } }, { number: 17 });
    expect(idsOf(family, COMMENTS)).toEqual(['b-0']);
    putComment(family, comment('reply', new BSON.Double(17)));
    putComment(family, comment('no-reply', 'a'));
    await run(family);
    expect(idsOf(family, COMMENTS)).toEqual(['b-0', 'no-reply']);
    expect(await counts(family)).toMatchObject({ looked: 3, unknown: 2, past: 0 });
  });

  test('with an inventory to wait for nothing is planned twice, and what comes meanwhile is found after it', async () => {
    const family = await cleared({ verify: 'inventory' });
    for (let day = 0; day < 4; day++) {
      family.world.vault.advance(25);
      await reconcile(family.world.context(undefined, { asOf: RUN_AT }), { all: false, source: false });
      await run(family);
    }
    expect(idsOf(family, COMMENTS)).toEqual([]);
    putComment(family, comment('a-1', 'a'));
    await run(family);
    putComment(family, comment('a-2', 'a'));
    await run(family);
    expect(await addenda(family)).toMatchObject([{ state: 'stored' }]);
    for (let day = 0; day < 8; day++) {
      family.world.vault.advance(25);
      await reconcile(family.world.context(undefined, { asOf: RUN_AT }), { all: false, source: false });
      await run(family);
    }
    expect(await addenda(family)).toMatchObject([{ state: 'cleared' }, { state: 'cleared' }]);
    expect(idsOf(family, COMMENTS)).toEqual([]);
  });

  test('a root that somebody put back keeps its child; one of another customer than its root had stays', async () => {
    const family = await cleared();
    putTicket(family, ticket('a', { at: new Date('2024-05-01T00:00:00Z') }));
    putComment(family, comment('a-reply', 'a'));
    putComment(family, comment('b-foreign', 'b', { tenant: 'south' }));
    await run(family);
    expect(await addenda(family)).toEqual([]);
    expect(await counts(family)).toMatchObject({ looked: 2, foreign: 1, unknown: 0 });
    expect(idsOf(family, COMMENTS)).toEqual(['a-reply', 'b-foreign']);
  });

  test('a hold on the root stops it, until the release; one on another does not', async () => {
    const family = await cleared();
    putComment(family, comment('a-reply', 'a'));
    const { owner, customer } = (await family.world.archives())[0]!;
    await holds(family.world.store).insert(aHold({ owner, customer, namespace: TICKETS }));
    await run(family);
    expect(await addenda(family)).toEqual([]);
    expect(await counts(family)).toMatchObject({ waiting: 1 });
    await holds(family.world.store).removeMany({});
    const hmac = await family.world.context(undefined, { asOf: RUN_AT }).keys.hmacFor(owner);
    const recordKeys = [Buffer.from(hmac('another')).toString('base64url')];
    await holds(family.world.store).insert(aHold({ owner, customer, namespace: TICKETS, recordKeys }));
    await run(family);
    expect(await addenda(family)).toMatchObject([{ state: 'cleared', outcomes: { deleted: 1 } }]);
    expect(idsOf(family, COMMENTS)).toEqual([]);
  });

  test('a root that was put back and is being archived again has its children there, with the later due date', async () => {
    const family = await cleared();
    putTicket(family, ticket('a', { at: new Date('2021-01-01T00:00:00Z') }));
    putComment(family, comment('a-again', 'a'));
    const source = family.world.source;
    const deleteGuarded = source.deleteGuarded.bind(source);
    const looked: string[] = [];
    source.deleteGuarded = async (...args) => {
      const result = await deleteGuarded(...args);
      if (args[0].namespace !== TICKETS) return result;
      // Its root is gone, and its turn has not come: another worker looks.
      const context = family.world.context(undefined, { asOf: RUN_AT });
      looked.push(...(await lookForOrphans(context, family.policy)).map(({ _id }) => _id), 'looked');
      return result;
    };
    await run(family);
    expect(looked).toEqual(['looked']);
    source.deleteGuarded = deleteGuarded;
    expect(await addenda(family)).toEqual([]);
    putComment(family, comment('a-reply', 'a'));
    await run(family);
    const [, second] = (await family.world.archives()).filter(({ addendumTo }) => addendumTo === undefined);
    expect(second).toMatchObject({ state: 'cleared', childOutcomes: { archived: 1, deleted: 1 } });
    expect(await addenda(family)).toMatchObject([{ addendumTo: second!._id, dueAt: second!.dueAt }]);
    expect(idsOf(family, COMMENTS)).toEqual([]);
  });

  test('a root that changed at its clearing, and that somebody deleted since, was never deleted by us', async () => {
    const family = await openFamily({ recipient });
    putTicket(family, ticket('a'));
    const source = family.world.source;
    const readByIds = source.readByIds.bind(source);
    source.readByIds = async (namespace, ids) => {
      if (namespace === TICKETS) putTicket(family, ticket('a', { text: 'edited' }));
      return await readByIds(namespace, ids);
    };
    await run(family);
    source.readByIds = readByIds;
    expect((await family.world.archives())[0]).toMatchObject({ state: 'cleared', outcomes: { changed: 1 } });
    source.remove(TICKETS, (await rawOf(source.all(TICKETS)[0]!)).idBytes);
    putComment(family, comment('a-reply', 'a'));
    await run(family);
    expect(idsOf(family, COMMENTS)).toEqual(['a-reply']);
    expect(await counts(family)).toMatchObject({ unknown: 1 });
  });
});

describe('no copy of its root is kept', () => {
  test('the archive was purged: it is past its date, and stays until a person says so', async () => {
    const family = await cleared();
    await purge(family);
    putComment(family, comment('a-reply', 'a'));
    putComment(family, comment('stranger', 'nobody'));
    await run(family, PURGE_AT);
    expect(idsOf(family, COMMENTS)).toEqual(['a-reply', 'stranger']);
    expect(await counts(family)).toMatchObject({ past: 1, unknown: 1 });
    expect(await addenda(family)).toEqual([]);
  });

  test('it was deleted without an archive', async () => {
    const family = await cleared({ without: 'archive' });
    putComment(family, comment('a-reply', 'a'));
    await run(family);
    expect(idsOf(family, COMMENTS)).toEqual(['a-reply']);
    expect(await counts(family)).toMatchObject({ past: 1, unknown: 0 });
  });
});

test('a child that names nobody, or several, is nobody’s orphan', async () => {
  const family = await cleared();
  for (const [n, of] of [null, ['a'], undefined].entries()) putComment(family, comment(`c${n}`, of));
  await run(family);
  expect(await counts(family)).toMatchObject({ looked: 3, unknown: 0, past: 0, foreign: 0, waiting: 0 });
  for await (const entry of findQuarantine(family.world.store, {})) throw new Error(entry.reason ?? '');
});

async function rawOf(raw: Uint8Array) {
  const { rawRecord } = await import('../../src/source/raw-document.ts');
  return rawRecord(raw);
}
