/** Children go with their root: archived, verified, deleted after it, restored with it; those that come too late in an addendum. */
import { BSON } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ArchiveId } from '../../src/ids.ts';
import { newIdentity, openIdentity } from '../../src/keys/identity-file.ts';
import { grantApproval } from '../../src/ledger/approval-decisions.ts';
import { DEFAULT_APPROVAL_RULES } from '../../src/ledger/approval-document.ts';
import { waitingApprovals } from '../../src/ledger/approvals.ts';
import { getArchive } from '../../src/ledger/archives.ts';
import { holds } from '../../src/ledger/holds.ts';
import { findQuarantine } from '../../src/ledger/quarantine.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { purgeEarly } from '../../src/lifecycle/early-purge.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { planPurge } from '../../src/lifecycle/purge-caps.ts';
import { reviewEntry } from '../../src/lifecycle/purge-review.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { withEach } from '../../src/policy/terms.ts';
import type { SourcePort } from '../../src/source/port.ts';
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
  removeComment,
  restored,
  TICKETS,
  ticket,
} from '../simulation/family-world.ts';

const { file, recipient } = await newIdentity({ now: new Date(), scryptLogN: 10 });
const identity = await openIdentity(Buffer.from(file));
const PURGE_AT = '2032-06-01T00:00:00Z';

let family: Family;
beforeEach(async () => {
  family = await openFamily({ recipient });
});

function contextAt(asOf = RUN_AT): Context {
  return family.world.context(undefined, { asOf });
}

async function run(context: Context = contextAt()) {
  const result = await runPolicy(context, family.policy, { flush: true, expired: null });
  await family.world.assertTotalsHold();
  return result;
}

/** The context with something done around calls of its source. */
function around(context: Context, source: Partial<SourcePort>): Context {
  return {
    ...context,
    source: new Proxy(context.source, {
      get: (target, name) => Reflect.get(Reflect.has(source, name) ? source : target, name),
    }),
  };
}

/** Does something right after the first delete in a collection. */
function afterDeleteIn(namespace: string, act: () => void): Context {
  const context = contextAt();
  let done = false;
  return around(context, {
    deleteGuarded: async (dataset, records, warrant) => {
      const result = await context.source.deleteGuarded(dataset, records, warrant);
      if (!done && dataset.namespace === namespace) {
        done = true;
        act();
      }
      return result;
    },
  });
}

/** A context that is told to stop when it was asked for the signal so often. */
function stoppedAfter(looks: number): Context {
  let left = looks;
  const signal = () => (left-- > 0 ? new AbortController().signal : AbortSignal.abort());
  return Object.defineProperty(contextAt(), 'signal', { get: signal });
}

async function rootArchive() {
  return (await family.world.archives()).find(({ addendumTo }) => addendumTo === undefined)!;
}

async function addenda() {
  return (await family.world.archives()).filter(({ addendumTo }) => addendumTo !== undefined);
}

test('a cap counts a record once, with all that hangs on it, and says what goes along', async () => {
  for (const name of ['a', 'b']) putTicket(family, ticket(name));
  for (let n = 0; n < 5; n++) putComment(family, comment(`c${n}`, 'a'));
  const at = (records: number): Policy => ({ ...family.policy, limits: { records, share: 1 } });
  const context = { ...contextAt(), approvals: { ...DEFAULT_APPROVAL_RULES, required: ['cap'] as const } };
  const run = async (policy: Policy) =>
    await runPolicy(context, policy, { flush: true, expired: null, requestedBy: 'person:alice' });
  const along = 'records of data.comments that belong to it';
  expect((await runPolicy(contextAt(), at(1), { flush: true, expired: null })).problems).toMatchObject([
    { code: 'BLAST_CAP', text: expect.stringContaining(`Each counts once, with what hangs on it: ${along}.`) },
  ]);
  expect((await run(at(1))).problems).toMatchObject([{ code: 'APPROVAL_NEEDED' }]);
  const [asked] = await waitingApprovals(family.world.store);
  expect(JSON.parse(asked?.shown ?? '')).toMatchObject({ shown: { records: 2, withEach: [along] } });
  expect(idsOf(family, COMMENTS)).toHaveLength(5);
  expect(await runPolicy(contextAt(), family.policy, { flush: true, expired: null })).toMatchObject({
    plan: { caps: { ok: true }, totals: { taken: 2 } },
    totals: { deleted: 2 },
  });
  expect(reviewEntry(await rootArchive())).toMatchObject({ records: 2, children: 5 });
  expect(withEach({ ...family.policy, disposition: 'treat' })).toEqual([]);
});

describe('a whole life', () => {
  test('root and children are sealed, deleted and restored byte for byte; those of a young root stay', async () => {
    putTicket(family, ticket('a'));
    putTicket(family, ticket('b'));
    putTicket(family, ticket('young', { at: new Date('2024-05-01T00:00:00Z') }));
    for (const of of ['a', 'b', 'young', 'nobody']) {
      for (let n = 0; n < 3; n++) putComment(family, comment(`${of}-${n}`, of));
    }
    const before = family.world.source.all(COMMENTS);
    const { problems, totals } = await run();
    expect(problems).toEqual([]);
    expect(totals).toMatchObject({ archived: 2, deleted: 2 });
    expect(idsOf(family, TICKETS)).toEqual(['young']);
    expect(idsOf(family, COMMENTS)).toEqual(['nobody-0', 'nobody-1', 'nobody-2', 'young-0', 'young-1', 'young-2']);
    const archive = await rootArchive();
    expect(archive).toMatchObject({ state: 'cleared', v: 2, stored: { records: 2, children: 6 } });
    expect(archive.childOutcomes).toMatchObject({ archived: 6, deleted: 6, held: 0 });
    const { report, found } = await restored(family, contextAt(), archive, identity);
    expect(report).toMatchObject({ records: 2, void: 0, children: { records: 6, inserted: 6, void: 0 }, addenda: [] });
    const wanted = before.filter((raw) => ['a', 'b'].includes(String(BSON.deserialize(raw)['ticket'])));
    const hex = (raws: readonly Uint8Array[]) => raws.map((raw) => Buffer.from(raw).toString('hex')).sort();
    expect(hex(found[COMMENTS]!)).toEqual(hex(wanted));
    const purge = contextAt(PURGE_AT);
    expect((await purgeArchives(purge, (await planPurge(purge, null)).due)).purged).toEqual([archive._id]);
    await assertNothingIsOpen(family);
  });

  test('children by another field than _id of the root', async () => {
    family = await openFamily({ recipient, rule: { parent: 'number' } });
    putTicket(family, ticket('a', { number: 17 }));
    putTicket(family, ticket('without'));
    putComment(family, comment('of-17', 17));
    putComment(family, comment('of-null', null));
    await run();
    expect(idsOf(family, TICKETS)).toEqual([]);
    expect(idsOf(family, COMMENTS)).toEqual(['of-null']);
    await assertNothingIsOpen(family);
  });

  test('more children than are read ahead, and than one page holds', async () => {
    putTicket(family, ticket('large'));
    putTicket(family, ticket('small'));
    for (let n = 0; n < 2_500; n++) {
      putComment(family, comment(`c${n}`, 'large', { text: 'x'.repeat(4_000) }));
    }
    putComment(family, comment('one', 'small'));
    const { totals } = await run();
    expect(totals).toMatchObject({ archived: 2, deleted: 2 });
    expect(idsOf(family, COMMENTS)).toEqual([]);
    expect((await rootArchive()).childOutcomes).toMatchObject({ archived: 2_501, deleted: 2_501 });
    await assertNothingIsOpen(family);
  });
});

describe('a root that stays keeps its children, and their copies are void', () => {
  test('changed between archive and delete', async () => {
    putTicket(family, ticket('a'));
    putTicket(family, ticket('b'));
    putComment(family, comment('of-a', 'a'));
    putComment(family, comment('of-b', 'b'));
    const context = contextAt();
    let looks = 0;
    await run(
      around(context, {
        readByIds: async (...args) => {
          looks += 1;
          if (looks === 1) putTicket(family, ticket('a', { text: 'new' }));
          return await context.source.readByIds(...args);
        },
      }),
    );
    expect(idsOf(family, TICKETS)).toEqual(['a']);
    expect(idsOf(family, COMMENTS)).toEqual(['of-a']);
    const { report, found } = await restored(family, contextAt(), await rootArchive(), identity);
    expect(report).toMatchObject({ void: 1, children: { records: 2, inserted: 1, void: 1 } });
    expect(idsIn(found[COMMENTS])).toEqual(['of-b']);
    // Planned anew, it goes with them.
    await run();
    expect([...idsOf(family, TICKETS), ...idsOf(family, COMMENTS)]).toEqual([]);
    await assertNothingIsOpen(family);
  });

  test('put back by somebody right after it was deleted', async () => {
    putTicket(family, ticket('a'));
    putComment(family, comment('of-a', 'a'));
    await run(afterDeleteIn(TICKETS, () => undefined));
    putTicket(family, ticket('a'));
    putComment(family, comment('of-a', 'a'));
    putTicket(family, ticket('b'));
    putComment(family, comment('of-b', 'b'));
    const context = contextAt();
    let reads = 0;
    await run(
      around(context, {
        readByIds: async (namespace, ids) => {
          reads += 1;
          // The delete was read back; before its children are looked at the root is there again.
          if (reads === 3) putTicket(family, ticket('a', { text: 'back' }));
          return await context.source.readByIds(namespace, ids);
        },
      }),
    );
    expect(idsOf(family, TICKETS)).toEqual(['a']);
    expect(idsOf(family, COMMENTS)).toEqual(['of-a']);
  });
});

describe('children that come too late', () => {
  test('go into an addendum with the same due date, that names the archive of their root; a foreign one stays', async () => {
    putTicket(family, ticket('a'));
    putComment(family, comment('early', 'a'));
    const context = afterDeleteIn(TICKETS, () => {
      putComment(family, comment('late', 'a'));
      putComment(family, comment('foreign', 'a', { tenant: 'south' }));
    });
    expect((await run(context)).problems).toEqual([]);
    expect(idsOf(family, COMMENTS)).toEqual(['foreign']);
    const root = await rootArchive();
    const [addendum] = await addenda();
    expect(root.state).toBe('cleared');
    expect(addendum).toMatchObject({
      state: 'cleared',
      addendumTo: root._id,
      collection: COMMENTS,
      namespace: TICKETS,
      owner: root.owner,
      customer: root.customer,
      policyVersion: root.policyVersion,
      dueAt: root.dueAt,
      outcomes: { archived: 1, deleted: 1 },
    });
    const back = await restored(family, contextAt(), addendum!, identity);
    expect(idsIn(back.found['records'])).toEqual(['late']);
    expect((await restored(family, contextAt(), root, identity)).report.addenda).toEqual([addendum!._id]);
    const quarantined = [];
    for await (const { reason, namespace } of findQuarantine(family.world.store, { state: 'open' }))
      quarantined.push({ reason, namespace });
    expect(quarantined).toEqual([{ reason: 'child-of-another', namespace: COMMENTS }]);
    const purge = contextAt(PURGE_AT);
    expect((await purgeArchives(purge, (await planPurge(purge, null)).due)).purged).toHaveLength(2);
    await assertNothingIsOpen(family);
  });

  test('a purge before the date takes the addendum with the archive of its root, under one approval of both', async () => {
    putTicket(family, ticket('a'));
    putComment(family, comment('early', 'a'));
    await run(afterDeleteIn(TICKETS, () => putComment(family, comment('late', 'a'))));
    putTicket(family, ticket('other', { tenant: 'south' }));
    await run();
    const [root, other] = (await family.world.archives()).filter(({ addendumTo }) => addendumTo === undefined);
    const [addendum] = await addenda();
    const both = [root!._id, addendum!._id];
    const early = (reason = 'contract ended') => purgeEarly(contextAt(), [root!._id], { by: 'person:alice', reason });
    await expect(early()).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
    const [asked] = await waitingApprovals(family.world.store);
    expect(asked).toMatchObject({ kind: 'early-purge', items: both });
    for (const archive of both) expect(asked?.shown).toContain(archive);
    await grantApproval(contextAt(), asked!._id, { by: 'person:bob', asOf: null });
    expect(await early()).toMatchObject({ purged: both, failed: [], held: [] });
    for (const archive of both) {
      expect(await getArchive(family.world.store, archive)).toMatchObject({
        state: 'purged',
        dueAt: new Date(RUN_AT),
        early: { from: root!.dueAt, approval: asked!._id },
      });
    }
    expect(await getArchive(family.world.store, other!._id)).toMatchObject({ state: 'cleared', dueAt: other!.dueAt });
    // The same again, after all is done: nothing new is asked.
    expect(await early()).toMatchObject({ purged: both });
    // The addendum alone is no reason for its roots to go.
    const alone = purgeEarly(contextAt(), [addendum!._id], { by: 'person:alice', reason: 'again' });
    await expect(alone).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
    expect((await waitingApprovals(family.world.store))[0]?.items).toEqual([addendum!._id]);
  });

  test('a purge before the date that was cut goes on with what is left of both', async () => {
    putTicket(family, ticket('a'));
    await run(afterDeleteIn(TICKETS, () => putComment(family, comment('late', 'a'))));
    const root = await rootArchive();
    const [addendum] = await addenda();
    const early = (context: Context) =>
      purgeEarly(context, [root._id], { by: 'person:alice', reason: 'contract ended' });
    await early(contextAt()).catch(() => {});
    const [asked] = await waitingApprovals(family.world.store);
    await grantApproval(contextAt(), asked!._id, { by: 'person:bob', asOf: null });
    const now = async (archive: ArchiveId) => await getArchive(family.world.store, archive);
    for (let looks = 1; (await now(root._id)).early === undefined; looks++)
      await expect(early(stoppedAfter(looks))).rejects.toMatchObject({ code: 'WORK_STOPPED' });
    expect(await now(addendum!._id)).toMatchObject({ state: 'cleared', dueAt: addendum!.dueAt });
    expect(await early(contextAt())).toMatchObject({ purged: [root._id, addendum!._id] });
  });

  test('a child that changed since it was archived: the addendum has it as it was in the end, the earlier copy is void', async () => {
    putTicket(family, ticket('a'));
    putComment(family, comment('c', 'a'));
    await run(afterDeleteIn(TICKETS, () => putComment(family, comment('c', 'a', { text: 'newest' }))));
    expect(idsOf(family, COMMENTS)).toEqual([]);
    const root = await restored(family, contextAt(), await rootArchive(), identity);
    expect(root.report.children).toMatchObject({ records: 1, inserted: 0, void: 1 });
    const [addendum] = await addenda();
    const late = await restored(family, contextAt(), addendum!, identity);
    expect(BSON.deserialize(late.found['records']![0]!)['text']).toBe('newest');
  });

  test('a child that somebody else deletes is gone: its copy is void', async () => {
    putTicket(family, ticket('a'));
    putComment(family, comment('c', 'a'));
    await run(afterDeleteIn(TICKETS, () => removeComment(family, 'c')));
    expect((await rootArchive()).childOutcomes).toMatchObject({ gone: 1, deleted: 0 });
    expect(await addenda()).toEqual([]);
  });

  test('under verification by inventory the archive of the root waits for its addendum', async () => {
    family = await openFamily({ recipient, verify: 'inventory' });
    putTicket(family, ticket('a'));
    putComment(family, comment('early', 'a'));
    const inventories = async (context: Context) => {
      for (let day = 0; day < 5; day++) {
        const report = await reconcile(context, { all: false, source: false });
        if (!report.vaults.some(({ state }) => state === 'waiting')) return;
        family.world.vault.advance(25);
      }
    };
    await run();
    await inventories(afterDeleteIn(TICKETS, () => putComment(family, comment('late', 'a'))));
    expect(idsOf(family, TICKETS)).toEqual([]);
    expect(idsOf(family, COMMENTS)).toEqual(['late']);
    expect((await rootArchive()).state).toBe('verified');
    await inventories(contextAt());
    await run();
    expect(idsOf(family, COMMENTS)).toEqual([]);
    expect((await rootArchive()).state).toBe('cleared');
    await assertNothingIsOpen(family);
  });
});

describe('what stops a record', () => {
  test.each([
    ['a child of another customer', comment('bad', 'a', { tenant: 'south' }), 'child-of-another'],
    ['a child that names no customer', { _id: 'bad', ticket: 'a' }, 'child-of-another'],
  ])('%s: the record is quarantined, nothing of it goes, the others do', async (_, bad, reason) => {
    putTicket(family, ticket('a'));
    putTicket(family, ticket('b'));
    putComment(family, comment('good', 'a'));
    putComment(family, bad);
    const { totals } = await run();
    expect(totals).toMatchObject({ archived: 1, deleted: 1, unfit: 1 });
    expect(idsOf(family, TICKETS)).toEqual(['a']);
    expect(idsOf(family, COMMENTS)).toEqual(['bad', 'good']);
    for await (const entry of findQuarantine(family.world.store, { state: 'open' })) {
      expect(entry).toMatchObject({ namespace: TICKETS, reason });
    }
  });

  test('a hold that comes between root and children: they stay until it is released, then they go', async () => {
    putTicket(family, ticket('a'));
    putComment(family, comment('c', 'a'));
    const context = contextAt();
    let isHeld = false;
    await run(
      around(context, {
        readByIds: async (...args) => {
          const found = await context.source.readByIds(...args);
          // The root was deleted, and is looked for once more before its children are touched.
          if (!isHeld && args[0] === TICKETS && idsOf(family, TICKETS).length === 0) {
            isHeld = true;
            await holds(family.world.store).insert(aHold({ _id: 'hold-1', state: 'placing' }));
            family.world.clock.advance(60_000);
          }
          return found;
        },
      }),
    );
    expect(isHeld).toBe(true);
    expect(idsOf(family, COMMENTS)).toEqual(['c']);
    expect((await rootArchive()).state).toBe('verified');
    await run();
    expect(idsOf(family, COMMENTS)).toEqual(['c']);
    await holds(family.world.store).removeMany({});
    await run();
    expect(idsOf(family, COMMENTS)).toEqual([]);
    expect((await rootArchive()).state).toBe('cleared');
    await assertNothingIsOpen(family);
  });

  test('no index on the key of the children: the policy does not run', async () => {
    family.world.source.settings(COMMENTS, { index: false });
    putTicket(family, ticket('a'));
    await expect(run()).rejects.toMatchObject({ code: 'INDEX_MISSING' });
    expect(idsOf(family, TICKETS)).toEqual(['a']);
  });
});

describe('without an archive', () => {
  beforeEach(async () => {
    family = await openFamily({ without: 'archive' });
  });

  test('children go after their root, also one that comes in between; those of others stay', async () => {
    putTicket(family, ticket('a'));
    putTicket(family, ticket('young', { at: new Date('2024-05-01T00:00:00Z') }));
    putComment(family, comment('early', 'a'));
    putComment(family, comment('of-young', 'young'));
    const { problems } = await run(
      afterDeleteIn(TICKETS, () => {
        putComment(family, comment('late', 'a'));
        putComment(family, comment('foreign', 'a', { tenant: 'south' }));
      }),
    );
    expect(problems).toEqual([]);
    expect(idsOf(family, TICKETS)).toEqual(['young']);
    expect(idsOf(family, COMMENTS)).toEqual(['foreign', 'of-young']);
    expect(await family.world.archives()).toEqual([]);
    await assertNothingIsOpen(family);
  });

  test('children by another field than _id are found when their root is gone', async () => {
    family = await openFamily({ without: 'archive', rule: { parent: 'number' } });
    putTicket(family, ticket('a', { number: 17 }));
    putComment(family, comment('of-17', 17));
    await run();
    expect([...idsOf(family, TICKETS), ...idsOf(family, COMMENTS)]).toEqual([]);
    await assertNothingIsOpen(family);
  });

  test('a child of another customer: the record is quarantined and stays with all of them', async () => {
    putTicket(family, ticket('a'));
    putComment(family, comment('good', 'a'));
    putComment(family, comment('bad', 'a', { tenant: 'south' }));
    await run();
    expect(idsOf(family, TICKETS)).toEqual(['a']);
    expect(idsOf(family, COMMENTS)).toEqual(['bad', 'good']);
  });
});
