import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { approve, expectBroken, shown } from './broken.ts';
import {
  ANY,
  archiveFile,
  CANARY,
  DUE,
  HandMade,
  IDENTITIES,
  LONG_AFTER,
  NAMESPACE,
  POLICY,
  PURGE,
} from './hand-made.ts';
import type { SourceRecord } from './observations.ts';
import { PROPERTIES } from './properties.ts';
import './leaving-cases.ts';
import './people-cases.ts';
import './unit-cases.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
function first(records: readonly SourceRecord[]): SourceRecord {
  const [record] = records;
  if (record === undefined) throw new Error('there is no record');
  return record;
}

const EXPIRATION = {
  _id: 'x1',
  policy: 'chats',
  partition: 'p',
  namespace: NAMESPACE,
  owner: 'acme',
  customer: 'north',
  mostRecords: 1,
};
const BACKLOG = {
  kind: 'expired-backlog',
  subject: { policy: 'chats' },
  shown: JSON.stringify({ shown: { partitions: [{ owner: 'acme', customer: 'north', records: 1 }] } }),
};

const EXCEPTION = {
  _id: 'e1',
  policy: 'chats',
  effect: 'longer',
  active: 'P90D',
  owner: 'acme',
  customer: null,
  value: null,
  until: null,
};

/** Longer, in force for a day. */
async function excepted(world: HandMade): Promise<void> {
  await world.write('exceptions', { ...EXCEPTION, state: 'requested' });
  await approve(world, { kind: 'exception', subject: { exception: 'e1' } });
  await world.write('exceptions', { ...EXCEPTION, state: 'granted' });
  world.time += DAY;
}

async function life(): Promise<HandMade> {
  const world = new HandMade();
  await world.see({ what: 'policy published', by: 'operator-1', policy: POLICY });
  return world;
}

describe('what takes a second person', () => {
  test('a record that a longer exception keeps is deleted; one that another customer has is not kept by it', async () => {
    const world = await life();
    await excepted(world);
    const records = await world.archived('a1');
    await world.amend('a1', { plan: { asOf: new Date(world.time) } });
    await world.remove(first(records));
    expectBroken(world, 'taken-under-exception');
  });

  test('nor in the grace after the end of that exception', async () => {
    const world = await life();
    await excepted(world);
    await world.see({ what: 'exception end asked', by: 'operator-1', exception: 'e1' });
    await approve(world, { kind: 'exception', subject: { exception: 'e1', act: 'end' } });
    await world.write('exceptions', { ...EXCEPTION, state: 'ended' }, 'operator-1');
    expect(world.judge.violations).toEqual([]);
    world.time += HOUR;
    const records = await world.archived('a1');
    await world.amend('a1', { plan: { asOf: new Date(world.time) } });
    await world.remove(first(records));
    expectBroken(world, 'taken-under-exception');
  });

  test('a longer exception ends, is put into force, or is withdrawn after its grant, by one person', async () => {
    for (const state of ['ended', 'withdrawn']) {
      const world = await life();
      await excepted(world);
      await world.write('exceptions', { ...EXCEPTION, state });
      expectBroken(world, 'act-without-approval');
    }
    const world = await life();
    await world.write('exceptions', { ...EXCEPTION, state: 'requested' });
    await world.write('exceptions', { ...EXCEPTION, state: 'granted' });
    expectBroken(world, 'act-without-approval');
  });

  test('a hold is released, an archive gets an earlier date, a backlog is begun, by one person', async () => {
    const [released, early, begun] = [await life(), await life(), await life()];
    await released.write('holds', { _id: 'h1', state: 'active' });
    await released.write('holds', { _id: 'h1', state: 'released' });
    expectBroken(released, 'act-without-approval');
    await early.cleared('a1');
    await approve(early, { kind: 'early-purge', subject: { archive: 'a2' } });
    await early.amend('a1', { early: { approval: 'ap-early-purge' } });
    expectBroken(early, 'act-without-approval');
    await begun.write('expirations', { ...EXPIRATION, state: 'deleting' });
    expectBroken(begun, 'act-without-approval');
  });

  test('an approval is granted by who asked, by one who said nothing, and after a refusal', async () => {
    const [own, silent, refused] = [await life(), await life(), await life()];
    await approve(own, BACKLOG, { by: 'person:ann' });
    expectBroken(own, 'approved-without-another');
    await approve(silent, BACKLOG, { says: 'person:cleo' });
    expectBroken(silent, 'approved-without-another');
    await refused.write('approvals', { _id: 'ap-1', state: 'refused', requestedBy: 'person:ann', grants: [] });
    await refused.write('approvals', { _id: 'ap-1', state: 'requested', requestedBy: 'person:ann', grants: [] });
    expectBroken(refused, 'approved-without-another');
  });

  test('a backlog is begun twice under one grant', async () => {
    const world = await life();
    await approve(world, BACKLOG);
    await world.write('expirations', { ...EXPIRATION, state: 'done' });
    expect(world.judge.violations).toEqual([]);
    await world.write('expirations', { ...EXPIRATION, _id: 'x2', state: 'deleting' });
    expectBroken(world, 'grant-used-twice');
  });
});

describe('what keeps every promise is clean', () => {
  test('a whole life: archived, deleted, cleared, purged when due, confirmed', async () => {
    const world = await life();
    await world.cleared('a1');
    world.time = PURGE + 60_000;
    await world.purged('a1');
    world.time = LONG_AFTER;
    await world.end();
    expect(world.judge.violations).toEqual([]);
  });

  test('records that changed, were held or were removed by the application stay void and in the source', async () => {
    const world = await life();
    const records = ['c', 'h', 'g', 'd'].map((id) => world.record(id));
    await world.archived('a1', { records });
    const [changed, , gone, deleted] = records;
    if (changed === undefined || gone === undefined || deleted === undefined) throw new Error('too few records');
    await world.put(world.record('c', { n: 1 }));
    await world.remove(gone, 'application');
    await world.remove(deleted);
    await world.settle('a1', 'chgd');
    const restored = { by: 'operator-1', archive: 'a1', records: [deleted], intoSource: true, exemptUntil: LONG_AFTER };
    world.time += DAY;
    await world.put(deleted, 'operator-1');
    await world.see({ what: 'restored', ...restored });
    await world.end();
    expect(world.judge.violations).toEqual([]);
  });

  test('an inventory after the store verifies where the policy asks for one', async () => {
    const world = new HandMade({ ...POLICY, verify: 'inventory' });
    const records = await world.stored('a1', { verify: 'inventory' });
    world.time += DAY;
    const vaultArchiveIds = ['a1-t1-file'];
    await world.see({
      what: 'inventory read',
      by: 'worker-1',
      vault: 'v.acme.north',
      inventoryAt: world.time,
      vaultArchiveIds,
    });
    await world.amend('a1', { state: 'verified' });
    await world.tell('archive clear', 'intent', { archive: 'a1' });
    for (const record of records) await world.remove(record);
    await world.settle('a1', 'dd');
    await world.end();
    expect(world.judge.violations).toEqual([]);
  });

  test('an expiry that a person ordered', async () => {
    const world = await life();
    world.time = LONG_AFTER;
    const record = await world.put(world.record('old'));
    await world.see({ what: 'expiry ordered', by: 'operator-1', policy: 'chats' });
    const expiration = { ...EXPIRATION, epoch: 1, outcomes: null };
    await approve(world, BACKLOG);
    await world.tell('expired records delete', 'intent', { expiration: 'x1' });
    await world.write('expirations', { ...expiration, state: 'deleting' });
    await world.remove(record);
    await world.write('expirations', { ...expiration, state: 'done' });
    await world.tell('expired records delete', 'outcome', { expiration: 'x1' });
    await world.end();
    expect(world.judge.violations).toEqual([]);
  });

  test('a hold that named what it came too late for, and was released past its grace', async () => {
    const world = await life();
    await world.cleared('a1');
    world.time = PURGE + DAY;
    await world.amend('a1', { state: 'purging' });
    await world.see({ what: 'hold asked', by: 'operator-1', name: 'h1', scope: { ...ANY, owner: 'acme' } });
    await world.unstore('a1-t1-file');
    await world.see({ what: 'hold active', by: 'operator-1', name: 'h1', tooLate: ['a1'] });
    await world.see({ what: 'hold release asked', by: 'operator-2', name: 'h1' });
    await world.see({ what: 'hold released', by: 'operator-2', name: 'h1', heldUntil: world.time + DAY });
    world.time += 2 * DAY;
    await world.cleared('a2');
    expect(world.judge.violations).toEqual([]);
  });

  test('an attempt that failed, was abandoned, and whose late file is removed', async () => {
    const world = await life();
    await world.stored('a1');
    const of = { archive: 'a1', attempt: 'late', owner: 'acme', customer: 'north' };
    await world.write('attempts', { _id: 'late', archive: 'a1', state: 'open' });
    await world.tell('archive storing', 'outcome', { archive: 'a1' }, { attempt: 'late' });
    await world.writeKey('archiveKeys', {
      _id: 'late',
      state: 'kept',
      archive: 'a1',
      owner: 'acme',
      wrapped: new Uint8Array(),
    });
    await world.write('attempts', { _id: 'late', archive: 'a1', state: 'abandoned' });
    await world.writeKey('archiveKeys', { _id: 'late', state: 'destroyed' });
    await world.store('v.acme.north', 'late-file', of, Buffer.from('cut in the middle'));
    await world.tell('abandoned upload removed', 'intent', { archive: 'a1', attempt: 'late' });
    await world.unstore('late-file', 'deleteAbandoned');
    expect(world.judge.violations).toEqual([]);
  });

  test('what waits for a hold, a pause, a cap, an exemption or a person', async () => {
    const world = await life();
    world.time = DUE + 10 * DAY;
    await world.put(world.record('held', { mail: 'held@people.example' }));
    await world.put(world.record('unfit', { at: 'yesterday' }));
    await world.put(world.record('foreign', { owner: 'nobody' }));
    await world.hold('h1', { ...ANY, mails: ['held@people.example'] });
    const idBytes = Buffer.concat([Buffer.from([2, 6, 0, 0, 0]), Buffer.from('unfit\0')]);
    const entry = { kind: 'record', namespace: NAMESPACE, reason: 'trigger-unusable', state: 'open', idBytes };
    await world.write('quarantine', { _id: 'q1', ...entry });
    world.time = DUE + 18 * DAY;
    await world.end();
    expect(world.judge.violations).toEqual([]);
  });

  test('after the ledger was set back a delete that was verified before, and an alarm that stops the rest', async () => {
    const world = await life();
    const records = await world.archived('a1');
    await world.see({ what: 'damage', kind: 'ledger set back', id: 'backup' });
    await world.remove(first(records));
    await world.write('archives', { ...world.ledger('archives')[0], _id: 'a1', state: 'verified' });
    world.time = LONG_AFTER;
    await world.end();
    expect(world.judge.violations).toEqual([]);
  });
});

describe('records that are treated in place', () => {
  const TREAT = [
    { field: 'mail', how: 'pseudonymise' },
    { field: 'text', how: 'redact' },
  ];
  const ONGOING = { _id: 'x1', kind: 'treat', namespace: NAMESPACE, owner: 'acme', customer: 'north', partition: 'p' };
  const MARKER = { treated: 'p1', treatment: 't1', at: new Date(DUE) };
  const TREATED = { mail: 'pseudonym:jo', text: '[redacted]', _moraine: MARKER };

  /** A policy that treats is in force, and a disposal of the partition under way. */
  async function treating(archive: object | null = null): Promise<HandMade> {
    const world = await life();
    const json = { active: 'P10D', archive, treat: TREAT, grace: 'P2D', limits: { records: 10, share: 1 } };
    await world.write('policyVersions', { _id: 'p1', name: 'chats', namespace: NAMESPACE, json: JSON.stringify(json) });
    await world.tell('records treat', 'intent', { expiration: 'x1' });
    await world.write('expirations', { ...ONGOING, state: 'deleting', epoch: 1, outcomes: null });
    return world;
  }
  const treat = (world: HandMade, id: string, fields: object = {}) =>
    world.put(world.record(id, { ...TREATED, ...fields }), 'worker-1');

  test('once, only what is named, under an order: clean; the same person keeps a pseudonym', async () => {
    const world = await treating();
    for (const id of ['a', 'b']) {
      await world.put(world.record(id, { mail: id === 'a' ? 'jo@people.example' : 'JO@people.example ' }));
      await treat(world, id);
    }
    await world.write('expirations', { ...ONGOING, state: 'done', epoch: 1, outcomes: null });
    await world.tell('records treat', 'outcome', { expiration: 'x1' });
    await world.end();
    expect(world.judge.violations).toEqual([]);
  });

  test('archived and then treated: its copy is not void, and the outcome says so', async () => {
    const world = await treating({ for: 'P30D', dueWindow: 'P1D', maxWait: 'P1D' });
    const records = await world.archived('a1');
    for (const [at, { id }] of records.entries()) await treat(world, id, { mail: `pseudonym:${at}` });
    await world.settle('a1', 'tt');
    expect(world.judge.violations).toEqual([]);
    await world.see({
      what: 'restored',
      by: 'operator-1',
      archive: 'a1',
      records,
      intoSource: false,
      exemptUntil: null,
    });
    expect(world.judge.violations).toEqual([]);
  });

  test.each<[string, object]>([
    ['a field that the policy does not name changes', { n: 7 }],
    ['a field comes that was not there', { other: 1 }],
    ['a named field stays as it was', { text: `${CANARY} a` }],
  ])('%s', async (_, fields) => {
    const world = await treating();
    await world.put(world.record('a'));
    await treat(world, 'a', fields);
    expectBroken(world, 'treated-other-fields');
  });

  test('called changed although it was treated under its archive: its copy is void', async () => {
    const world = await treating({ for: 'P30D', dueWindow: 'P1D', maxWait: 'P1D' });
    const [record] = await world.archived('a1', { records: [world.record('a')] });
    await treat(world, first(record === undefined ? [] : [record]).id);
    await world.settle('a1', 'c');
    expectBroken(world, 'outcomes-do-not-add-up');
  });

  test('nothing is under way', async () => {
    const world = await treating();
    await world.write('expirations', { ...ONGOING, state: 'done', epoch: 1, outcomes: null });
    world.time += DAY;
    await world.put(world.record('a'));
    await treat(world, 'a');
    expectBroken(world, 'treated-without-order');
  });

  test('a second time', async () => {
    const world = await treating();
    await world.put(world.record('a', TREATED));
    await treat(world, 'a');
    expectBroken(world, 'treated-twice');
  });

  test.each<[string, string, object]>([
    ['one person, two pseudonyms', 'acme', { mail: 'pseudonym:other' }],
    ['two owners, one pseudonym', 'zeta', {}],
    ['no pseudonym at all', 'acme', { mail: 'x' }],
  ])('%s', async (_, owner, fields) => {
    const world = await treating();
    await world.write('expirations', {
      ...ONGOING,
      _id: 'x2',
      owner: 'zeta',
      partition: 'q',
      state: 'deleting',
      epoch: 1,
    });
    await world.tell('records treat', 'intent', { expiration: 'x2' });
    const mail = 'jo@people.example';
    await world.put(world.record('a', { mail }));
    await treat(world, 'a');
    await world.put(world.record('b', { mail, owner }));
    await treat(world, 'b', { owner, ...fields });
    expectBroken(world, 'pseudonym-differs');
  });

  test('before it is due', async () => {
    const world = await treating();
    const fields = { at: new Date(world.time - DAY) };
    await world.put(world.record('a', fields));
    await treat(world, 'a', fields);
    expectBroken(world, 'treated-not-due');
  });

  test('under a hold', async () => {
    const world = await treating();
    await world.put(world.record('a'));
    await world.hold('h1', { ...ANY, owner: 'acme' });
    await treat(world, 'a');
    expectBroken(world, 'treated-under-brake');
  });

  test('a record that is to be treated is deleted', async () => {
    const world = await treating({ for: 'P30D', dueWindow: 'P1D', maxWait: 'P1D' });
    const [record] = await world.archived('a1', { records: [world.record('a')] });
    if (record !== undefined) await world.remove(record);
    expectBroken(world, 'deleted-instead-of-treated');
  });

  test('two disposals of one partition at once', async () => {
    const world = await treating();
    await world.write('expirations', { ...ONGOING, _id: 'x2', state: 'deleting', epoch: 1, outcomes: null });
    expectBroken(world, 'two-disposals-at-once');
  });
});

describe('promises 1 and 2', () => {
  test('deleted before the archive is verified', async () => {
    const world = await life();
    const records = await world.stored('a1');
    await world.remove(first(records));
    expectBroken(world, 'deleted-before-verified');
  });

  test('deleted under an inventory policy before an inventory listed the file', async () => {
    const world = new HandMade({ ...POLICY, verify: 'inventory' });
    const records = await world.archived('a1', { verify: 'inventory' });
    await world.remove(first(records));
    expectBroken(world, 'deleted-before-verified');
  });

  test('deleted as expired although nobody ordered it', async () => {
    const world = await life();
    world.time = LONG_AFTER;
    const record = await world.put(world.record('old'));
    await approve(world, BACKLOG);
    await world.write('expirations', { ...EXPIRATION, state: 'deleting' });
    await world.remove(record);
    expectBroken(world, 'deleted-before-verified');
  });

  test('the key goes before the file of a purge', async () => {
    const world = await life();
    await world.cleared('a1');
    world.time = LONG_AFTER;
    await world.amend('a1', { state: 'purging' });
    await world.writeKey('archiveKeys', { _id: 'a1-t1', state: 'destroyed' });
    expectBroken(world, 'last-copy-lost');
  });

  test('the attempt of a cleared archive is abandoned', async () => {
    const world = await life();
    await world.cleared('a1');
    await world.write('attempts', { _id: 'a1-t1', archive: 'a1', state: 'abandoned' });
    expectBroken(world, 'last-copy-lost');
  });

  test('a stray is removed', async () => {
    const world = await life();
    await world.stored('a1');
    const of = { archive: 'a1', attempt: 'a1-t1', owner: 'acme', customer: 'north' };
    await world.store('v.acme.north', 'twin', of, world.vault()[0]?.bytes ?? new Uint8Array());
    await world.tell('abandoned upload removed', 'intent', { archive: 'a1', attempt: 'a1-t1' });
    await world.unstore('twin', 'deleteAbandoned');
    expectBroken(world, 'stray-removed');
  });

  test('a record of an owner without administrators is deleted', async () => {
    const world = await life();
    const records = [world.record('r', { owner: 'nobody' })];
    await world.archived('a1', { owner: 'nobody', records, wrapFor: [] });
    await world.remove(first(records));
    expectBroken(world, 'owner-unknown-deleted', 'deleted-before-verified', 'file-does-not-open');
  });

  test('a record is gone and its copy with it', async () => {
    const world = await life();
    await world.cleared('a1');
    await world.amend('a1', { state: 'purging' });
    await world.unstore('a1-t1-file');
    await world.amend('a1', { state: 'purged' });
    await world.end();
    expectBroken(world, 'lost-record', 'purged-early', 'work-not-finished');
  });

  test('a record that changed is deleted all the same', async () => {
    const world = await life();
    await world.archived('a1');
    const changed = await world.put(world.record('a1-a', { n: 1 }));
    await world.remove(changed);
    expectBroken(world, 'deleted-other-bytes');
  });

  test('a restore writes over what the application put', async () => {
    const world = await life();
    const records = await world.cleared('a1');
    await world.put(world.record('a1-a', { n: 9 }));
    await world.put(first(records), 'operator-1');
    expectBroken(world, 'source-overwritten');
  });

  test('a restore hands out a copy that is void', async () => {
    const world = await life();
    const records = await world.archived('a1');
    await world.put(world.record('a1-a', { n: 1 }));
    const [, deleted] = records;
    if (deleted !== undefined) await world.remove(deleted);
    await world.settle('a1', 'cd');
    world.time += DAY;
    const restored = { by: 'operator-1', archive: 'a1', records, intoSource: false, exemptUntil: null };
    await world.see({ what: 'restored', ...restored });
    expectBroken(world, 'void-copy-restored');
  });
});

test('a restore puts a void copy into the source, and was cut before it said so', async () => {
  const world = await life();
  const records = await world.archived('a1');
  for (const record of records) await world.remove(record, 'application');
  await world.settle('a1', 'gg');
  await world.put(first(records), 'operator-1');
  expectBroken(world, 'void-copy-restored');
});

test('what the application removed after it was seen present is called deleted, and is no fault', async () => {
  const world = await life();
  const records = await world.archived('a1');
  const page = { _id: 'a1:0', archive: 'a1', page: 0, intended: [0, 1], outcomes: null };
  for (const record of records) await world.remove(record, record.id === 'a1-a' ? 'application' : 'worker-1');
  const outcomes = { archived: 2, deleted: 2, treated: 0, changed: 0, held: 0, gone: 0, quarantined: 0, pending: 0 };
  await world.write('clearingPages', { ...page, outcomes: 'dd' });
  await world.amend('a1', { state: 'cleared', outcomes });
  expect(world.judge.violations).toEqual([]);
});

describe('promise 3', () => {
  test('a held record is deleted', async () => {
    const world = await life();
    const records = await world.archived('a1');
    await world.hold('h1', { ...ANY, recordIds: ['a1-a'] });
    await world.remove(first(records));
    expectBroken(world, 'held-record-deleted');
  });

  test('a record that came after its hold is deleted, and one within the grace of a release', async () => {
    const world = await life();
    await world.hold('h1', { ...ANY, mails: ['a1-a@people.example'] });
    await world.see({ what: 'hold release asked', by: 'operator-1', name: 'h1' });
    await world.see({ what: 'hold released', by: 'operator-1', name: 'h1', heldUntil: world.time + DAY });
    const records = await world.archived('a1');
    await world.remove(first(records));
    expectBroken(world, 'held-record-deleted');
  });

  test('a held archive is purged', async () => {
    const world = await life();
    await world.cleared('a1');
    world.time = LONG_AFTER;
    await world.hold('h1', { ...ANY, owner: 'acme' });
    await world.amend('a1', { state: 'purging' });
    await world.unstore('a1-t1-file');
    expectBroken(world, 'held-archive-purged');
  });

  test('a hold does not name what was purged while it was placed', async () => {
    const world = await life();
    await world.cleared('a1');
    world.time = LONG_AFTER;
    await world.amend('a1', { state: 'purging' });
    await world.see({ what: 'hold asked', by: 'operator-1', name: 'h1', scope: ANY });
    await world.unstore('a1-t1-file');
    await world.see({ what: 'hold active', by: 'operator-1', name: 'h1', tooLate: [] });
    expectBroken(world, 'too-late-not-named');
  });

  test('a paused record is deleted', async () => {
    const world = await life();
    const records = await world.archived('a1');
    await world.see({ what: 'pause asked', by: 'operator-1', name: 'p1', scope: { ...ANY, policy: 'chats' } });
    await world.see({ what: 'pause in force', by: 'operator-1', name: 'p1', tooLate: [] });
    await world.remove(first(records));
    expectBroken(world, 'paused-record-deleted');
  });

  test('a paused archive is purged', async () => {
    const world = await life();
    await world.cleared('a1');
    world.time = LONG_AFTER;
    await world.see({ what: 'pause asked', by: 'operator-1', name: 'p1', scope: { ...ANY, owner: 'acme' } });
    await world.see({ what: 'pause in force', by: 'operator-1', name: 'p1', tooLate: [] });
    await world.amend('a1', { state: 'purging' });
    await world.unstore('a1-t1-file');
    expectBroken(world, 'paused-archive-purged');
  });

  test('a hold that was asked for again while its release was under way is not counted on', async () => {
    const world = await life();
    const records = await world.archived('a1');
    await world.hold('h1', ANY);
    await world.see({ what: 'hold release asked', by: 'operator-1', name: 'h1' });
    await world.see({ what: 'hold asked', by: 'operator-2', name: 'h1', scope: ANY });
    const heldUntil = world.time + DAY;
    await world.see({ what: 'hold released', by: 'operator-1', name: 'h1', heldUntil });
    await world.see({ what: 'hold active', by: 'operator-2', name: 'h1', tooLate: [] });
    world.time = heldUntil;
    await world.remove(first(records));
    expect(world.judge.violations).toEqual([]);
  });

  test('after a resume, and for another owner, nothing is held up', async () => {
    const world = await life();
    const records = await world.archived('a1');
    await world.hold('h1', { ...ANY, owner: 'zeta' });
    await world.see({ what: 'pause asked', by: 'operator-1', name: 'p1', scope: ANY });
    await world.see({ what: 'pause in force', by: 'operator-1', name: 'p1', tooLate: [] });
    await world.see({ what: 'resume asked', by: 'operator-1', name: 'p1' });
    await world.remove(first(records));
    expect(world.judge.violations).toEqual([]);
  });
});

describe('promise 4', () => {
  test('deleted before its active period is over', async () => {
    const world = await life();
    world.time = DUE - 2 * 60_000;
    const records = await world.archived('a1');
    await world.remove(first(records));
    expectBroken(world, 'deleted-not-due');
  });

  test('a clock that is a minute ahead is no early delete', async () => {
    const world = await life();
    world.time = DUE - 59_000;
    const records = await world.archived('a1');
    await world.remove(first(records));
    expect(world.judge.violations).toEqual([]);
  });

  test('an archive keeps the policy version that it pinned, also one that nobody was told of', async () => {
    const world = await life();
    const json = JSON.stringify({ active: 'P5D', archive: { for: 'P1D' }, limits: { records: 9, share: 1 } });
    await world.write('policyVersions', { _id: 'p1', name: 'chats', namespace: NAMESPACE, json });
    world.time = DUE - 5 * DAY + 60_000;
    await world.cleared('a1');
    world.time = DUE - 4 * DAY + 60_000;
    await world.purged('a1');
    expect(world.judge.violations).toEqual([]);
  });

  test('a restored record is deleted before its exemption is over', async () => {
    const world = await life();
    const [record] = await world.cleared('a1');
    if (record === undefined) throw new Error('there is no record');
    await world.put(record, 'operator-1');
    const exemptUntil = world.time + 5 * DAY;
    await world.see({ what: 'restored', by: 'operator-1', archive: 'a1', records: [], intoSource: true, exemptUntil });
    await world.archived('a2', { records: [record] });
    await world.remove(record);
    expectBroken(world, 'deleted-not-due');
  });

  test('purged before the archive period is over', async () => {
    const world = await life();
    await world.cleared('a1');
    world.time = PURGE - 2 * 60_000;
    await world.amend('a1', { state: 'purging' });
    await world.unstore('a1-t1-file');
    expectBroken(world, 'purged-early');
  });

  test('an archive is purged while a person waits for its retrieval', async () => {
    const world = await life();
    await world.cleared('a1');
    await world.write('retrievals', { _id: 'r1', archive: 'a1', state: 'requested' });
    await world.see({ what: 'retrieval open', by: 'operator-1', archive: 'a1', retrieval: 'r1' });
    world.time = PURGE + 60_000;
    await world.amend('a1', { state: 'purging' });
    await world.unstore('a1-t1-file');
    expectBroken(world, 'purged-under-retrieval');
  });

  test('an archive is purged after its retrieval was read, and beside one that nobody was told of', async () => {
    const world = await life();
    await world.cleared('a1');
    await world.write('retrievals', { _id: 'r1', archive: 'a1', state: 'requested' });
    await world.see({ what: 'retrieval open', by: 'operator-1', archive: 'a1', retrieval: 'r1' });
    await world.write('retrievals', { _id: 'r1', archive: 'a1', state: 'read' });
    await world.write('retrievals', { _id: 'r2', archive: 'a1', state: 'requested' });
    world.time = PURGE + 60_000;
    await world.purged('a1');
    expect(world.broken).toEqual([]);
  });

  test('a purge is confirmed while the vault has the file', async () => {
    const world = await life();
    await world.cleared('a1');
    world.time = PURGE + 60_000;
    await world.amend('a1', { state: 'purging' });
    await world.amend('a1', { state: 'purged' });
    await world.amend('a1', { state: 'confirmed' });
    expectBroken(world, 'confirmed-and-still-there');
  });

  test('an archive keeps its first records longer than the due window allows', async () => {
    const world = await life();
    const old = world.record('old', { at: new Date(DUE - 20 * DAY) });
    await world.cleared('a1', { records: [old, world.record('new')] });
    world.time = PURGE;
    await world.end();
    expectBroken(world, 'kept-too-long');
  });

  test('a destroyed key is stored again', async () => {
    const world = await life();
    await world.cleared('a1');
    world.time = LONG_AFTER;
    const [kept] = world.keyStore('archiveKeys');
    await world.purged('a1');
    await world.writeKey('archiveKeys', { ...kept, _id: 'a1-t1' });
    expectBroken(world, 'destroyed-key-came-back');
  });

  test('an archive is kept past its grace', async () => {
    const world = await life();
    await world.cleared('a1');
    world.time = LONG_AFTER;
    await world.end();
    expectBroken(world, 'kept-too-long');
  });

  test('a record is kept past its grace', async () => {
    const world = await life();
    await world.put(world.record('r'));
    world.time = DUE + 15 * DAY;
    await world.end();
    expectBroken(world, 'kept-too-long');
  });
});

describe('promises 5 and 6', () => {
  test('outcomes that do not add up', async () => {
    const world = await life();
    await world.stored('a1');
    const outcomes = { archived: 2, deleted: 1, treated: 0, changed: 0, held: 0, gone: 0, quarantined: 0, pending: 0 };
    await world.amend('a1', { outcomes });
    expectBroken(world, 'outcomes-do-not-add-up');
  });

  test('a deleted record is called gone, and one that the application removed before is called deleted', async () => {
    const world = await life();
    const records = await world.archived('a1');
    for (const record of records) await world.remove(record, record.id === 'a1-a' ? 'worker-1' : 'application');
    await world.settle('a1', 'gd');
    expectBroken(world, 'outcomes-do-not-add-up');
    expect(world.judge.violations.length).toBe(2);
  });

  test('a state that is skipped', async () => {
    const world = await life();
    await world.stored('a1');
    await world.amend('a1', { state: 'cleared' });
    expectBroken(world, 'illegal-move');
  });

  test('an archive leaves quarantine for a state that it did not come from', async () => {
    const world = await life();
    await world.stored('a1');
    await world.amend('a1', { state: 'quarantined', quarantinedFrom: 'stored' });
    await world.amend('a1', { state: 'cleared' });
    expectBroken(world, 'illegal-move');
  });

  test('the table of moves is that of docs/architecture.md', async () => {
    const page = readFileSync('docs/architecture.md', 'utf8');
    const rows = [...page.matchAll(/^\| `(\w+)` +\| `(\w+)` +\|/gm)].map(([, from, to]) => ({ from, to }));
    expect(rows.length).toBeGreaterThan(15);
    for (const { from = '', to = '' } of rows) {
      const world = new HandMade();
      const quarantinedFrom = { stored: 'verified', abandoned: 'stored' }[to] ?? to;
      const outcomes = {
        archived: 0,
        deleted: 0,
        treated: 0,
        changed: 0,
        held: 0,
        gone: 0,
        quarantined: 0,
        pending: 0,
      };
      await world.write('archives', { _id: 'a', state: 'planned', outcomes });
      const written = { by: 'worker-1', collection: 'archives', id: 'a', what: 'ledger written' as const };
      await world.see({
        ...written,
        before: { _id: 'a', state: from, quarantinedFrom, outcomes },
        after: { _id: 'a', state: to, outcomes },
      });
      expect(world.broken, `${from} -> ${to}`).not.toContain('illegal-move');
    }
  });

  test('an epoch that goes back', async () => {
    const world = await life();
    await world.stored('a1');
    await world.amend('a1', { epoch: 3 });
    await world.amend('a1', { epoch: 2 });
    expectBroken(world, 'epoch-went-back');
  });

  test('a worker that slept moves an archive that another has claimed', async () => {
    const world = await life();
    await world.stored('a1');
    await world.amend('a1', { epoch: 2 }, 'worker-2');
    await world.amend('a1', { state: 'verified' }, 'worker-1');
    expectBroken(world, 'written-under-lost-lease');
  });
});

describe('promises 8 and 9', () => {
  test.each([
    ['raw', (key: Uint8Array) => key],
    ['hexadecimal', (key: Uint8Array) => Buffer.from(key).toString('hex')],
    ['base64', (key: Uint8Array) => Buffer.from(key).toString('base64')],
  ])('an archive key is written %s', async (_, form) => {
    const world = await life();
    const key = Uint8Array.from({ length: 32 }, (_each, at) => 7 * at + 1);
    await world.stored('a1', { key });
    await world.write('runs', { _id: 'r1', nested: [{ secret: form(key) }] });
    expectBroken(world, 'archive-key-in-the-open');
  });

  test('text and mail of a record stand in the ledger, and in a description', async () => {
    const world = await life();
    await world.put(world.record('r'));
    await world.write('runs', { _id: 'r1', text: `about ${CANARY} r` });
    await world.write('runs', { _id: 'r2', note: Buffer.from('to r@people.example, today') });
    await world.store(
      'v.acme.north',
      'f',
      { archive: CANARY, attempt: 't', owner: 'acme', customer: 'north' },
      new Uint8Array(9),
    );
    expectBroken(world, 'content-in-the-open', 'act-without-intent');
    expect(world.judge.violations.filter(({ property }) => property === 'content-in-the-open').length).toBe(3);
  });

  test('a file holds a record of another customer', async () => {
    const world = await life();
    await world.stored('a1', { records: [world.record('mine'), world.record('theirs', { tenant: 'south' })] });
    expectBroken(world, 'mixed-archive');
  });

  test('a vault holds files of two customers', async () => {
    const world = await life();
    await world.stored('a1');
    const records = [world.record('s', { tenant: 'south' })];
    await world.stored('a2', { customer: 'south', vault: 'v.acme.north', records });
    expectBroken(world, 'mixed-archive');
  });

  test('two attempts share a key', async () => {
    const world = await life();
    const key = Uint8Array.from({ length: 32 }, (_, at) => at);
    await world.stored('a1', { key });
    await world.stored('a2', { key });
    expectBroken(world, 'mixed-archive');
  });

  test("a key is wrapped for another owner's administrator, too", async () => {
    const world = await life();
    await world.stored('a1', { wrapFor: Object.values(IDENTITIES).flat() });
    expectBroken(world, 'mixed-archive');
  });
});

describe('promises 10 and 11', () => {
  test('a record is deleted before the chain holds the intent', async () => {
    const world = await life();
    const records = await world.stored('a1');
    await world.amend('a1', { state: 'verified' });
    await world.remove(first(records));
    expectBroken(world, 'act-without-intent');
  });

  test('a file is purged, or a key destroyed, that nobody announced', async () => {
    const world = await life();
    await world.cleared('a1');
    await world.stored('a2');
    world.time = LONG_AFTER;
    await world.unstore('a1-t1-file');
    await world.writeKey('archiveKeys', { _id: 'a2-t1', state: 'destroyed' });
    expectBroken(world, 'act-without-intent');
    expect(world.judge.violations.length).toBe(2);
  });

  test('an entry of the chain is changed, and a block removed', async () => {
    const world = await life();
    await world.cleared('a1');
    await world.unwrite('audit', '000000000000002');
    await world.end();
    expectBroken(world, 'audit-chain-broken');
    expect(world.judge.violations.map(({ text }) => text)).toEqual([
      'Audit block 000000000000002 was removed.',
      'In the audit chain after entry 1 comes block 000000000000003.',
    ]);
  });

  test('the chain does not say that an archive was cleared', async () => {
    const world = await life();
    const records = await world.archived('a1');
    for (const record of records) await world.remove(record);
    const outcomes = { archived: 2, deleted: 2, treated: 0, changed: 0, held: 0, gone: 0, quarantined: 0, pending: 0 };
    await world.write('clearingPages', { _id: 'a1:0', archive: 'a1', page: 0, intended: [], outcomes: 'dd' });
    await world.write('archives', { ...world.ledger('archives')[0], _id: 'a1', state: 'cleared', outcomes });
    await world.unwrite('clearingPages', 'a1:0');
    await world.end();
    expectBroken(world, 'intent-without-outcome');
  });

  test('the ledger calls a file stored in which a bit is wrong', async () => {
    const world = await life();
    await world.stored('a1');
    const bytes = Uint8Array.from(world.vault()[0]?.bytes ?? []);
    bytes[3_000] = (bytes[3_000] ?? 0) ^ 1;
    await world.amend('a1', { state: 'storing' });
    await world.store(
      'v.acme.north',
      'a1-t1-file',
      { archive: 'a1', attempt: 'a1-t1', owner: 'acme', customer: 'north' },
      bytes,
    );
    await world.amend('a1', { state: 'stored' });
    expectBroken(world, 'file-does-not-open', 'illegal-move');
  });

  test('the ledger adopts the file of another attempt', async () => {
    const world = await life();
    const key = Uint8Array.from({ length: 32 }, (_, at) => at);
    await world.stored('a1', { key });
    await world.amend('a1', { state: 'storing', attempt: 'a1-t2' });
    await world.amend('a1', { state: 'stored' });
    expectBroken(world, 'file-does-not-open', 'illegal-move');
  });
});

describe('in the end', () => {
  test.each([
    ['an archive between two states', (world: HandMade) => world.stored('a1')],
    ['an open attempt', (world: HandMade) => world.write('attempts', { _id: 't', archive: 'a9', state: 'open' })],
    ['an announcement', (world: HandMade) => world.write('inFlight', { _id: 'i', until: new Date(LONG_AFTER) })],
    [
      'an expiration',
      (world: HandMade) =>
        world.write('expirations', { _id: 'x', kind: 'delete', state: 'deleting', namespace: NAMESPACE }),
    ],
    ['a quarantined archive', (world: HandMade) => quarantined(world)],
    ['a page of a cleared archive', (world: HandMade) => leftPage(world)],
    ['a record that is due', (world: HandMade) => dueRecord(world)],
    ['a record in quarantine', (world: HandMade) => inQuarantine(world)],
    ['the key of an abandoned attempt', (world: HandMade) => keptKey(world)],
    ['a confirmed archive without a certificate', (world: HandMade) => uncertified(world)],
  ])('%s is left', async (_, leave) => {
    const world = await life();
    await leave(world);
    await world.end();
    expectBroken(world, 'work-not-finished');
  });
});

describe('certificates', () => {
  test.each<[string, Parameters<HandMade['certified']>[1]]>([
    ['begin with the second number', { number: 2 }],
    ['say another number in their text', { said: { number: 7 } }],
    ['say the id of another', { said: { id: 'a9' } }],
    ['name another file', { said: { copies: [{ vaultArchiveId: 'other', treeHash: 'other' }] } }],
  ])('that %s', async (_, wrong) => {
    const world = await life();
    await uncertified(world);
    await world.certified('a1', wrong);
    await world.end();
    expectBroken(world, 'certificate-number');
  });

  test('two of one number', async () => {
    const world = await life();
    await uncertified(world);
    await world.certified('a1');
    await world.certified('x2');
    await world.end();
    expectBroken(world, 'certificate-number');
  });

  test('one that names a record', async () => {
    const world = await life();
    await world.put(world.record('maria'));
    await world.certified('a1', { said: { rules: ['maria'] } });
    await world.end();
    expectBroken(world, 'content-in-the-open');
  });
});

async function quarantined(world: HandMade): Promise<void> {
  await world.stored('a1');
  await world.amend('a1', { state: 'quarantined' });
}

async function leftPage(world: HandMade): Promise<void> {
  await world.cleared('a1');
  await world.write('rosterPages', { _id: 'a1-t1:0', archive: 'a1', attempt: 'a1-t1' });
}

async function dueRecord(world: HandMade): Promise<void> {
  await world.put(world.record('r'));
  world.time = DUE + 5 * DAY;
}

async function inQuarantine(world: HandMade): Promise<void> {
  await world.put(world.record('r'));
  const idBytes = Buffer.concat([Buffer.from([2, 2, 0, 0, 0]), Buffer.from('r\0')]);
  await world.write('quarantine', {
    _id: 'q',
    kind: 'record',
    namespace: NAMESPACE,
    reason: 'changed-three-times',
    state: 'open',
    idBytes,
  });
}

async function keptKey(world: HandMade): Promise<void> {
  await world.cleared('a1');
  await world.write('attempts', { _id: 'x', archive: 'a1', state: 'abandoned' });
  await world.writeKey('archiveKeys', {
    _id: 'x',
    state: 'kept',
    archive: 'a1',
    owner: 'acme',
    wrapped: new Uint8Array(),
  });
}

async function uncertified(world: HandMade): Promise<void> {
  await world.cleared('a1');
  world.time = LONG_AFTER;
  await world.purged('a1');
  await world.unwrite('certificates', 'a1');
}

describe('what an archive may hold', () => {
  test('two archives that are not cleared hold one record', async () => {
    const world = await life();
    const records = await world.archived('a1');
    await world.stored('a2', { records });
    expectBroken(world, 'record-in-two-archives');
  });

  test('a record goes into another archive when the first one is cleared, or when it has changed', async () => {
    const world = await life();
    const records = await world.archived('a1');
    await world.settle('a1', 'cc');
    await world.archived('a2', { records });
    await world.stored('a3', { records: records.map(({ id }) => world.record(id, { n: 1 })) });
    expect(world.broken).toEqual([]);
  });

  test('an archive holds more records than a run may take', async () => {
    const capped = { ...POLICY, limits: { records: 1, share: 1 } };
    const world = new HandMade(capped);
    await world.see({ what: 'policy published', by: 'operator-1', policy: capped });
    await world.stored('a1');
    expectBroken(world, 'over-the-cap');
  });
});

describe('the judge itself', () => {
  test('shares no code with the product, nor with the harness', () => {
    const folder = import.meta.dirname;
    const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
    expect(files.length).toBeGreaterThan(10);
    for (const file of files) {
      const text = readFileSync(`${folder}/${file}`, 'utf8');
      for (const [, from = ''] of text.matchAll(/(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)) {
        expect(from.startsWith('..') || /(^|\/)(src|jobs|harness)\//.test(from), `${file} imports ${from}`).toBe(false);
      }
    }
  });

  test('adopts what was there before it looked', async () => {
    const [past, world] = [await life(), new HandMade()];
    const record = await past.put(past.record('r'));
    const seen = { what: 'source removed' as const, by: 'application', record };
    await world.judge.see({ what: 'hold asked', by: 'operator-1', name: 'h', scope: ANY }, past);
    await world.judge.end(world);
    expectBroken(world, 'lost-record');
    await world.judge.see(seen, world);
  });

  test('a file is opened as it was made', async () => {
    const world = new HandMade();
    const records = [world.record('r')];
    const key = new Uint8Array(32);
    const of = { archive: 'a', attempt: 't', owner: 'acme', customer: 'north', dataset: NAMESPACE };
    const { openArchive } = await import('./open-archive.ts');
    const opened = await openArchive(await archiveFile(of, key, records), key);
    expect(opened.records.map(({ id }) => id)).toEqual(['r']);
    await expect(openArchive(await archiveFile(of, key, records), Uint8Array.of(...key.slice(1), 1))).rejects.toThrow();
  });
});

afterAll(() => {
  // Every property was shown to catch something.
  expect([...shown].sort()).toEqual(Object.keys(PROPERTIES).sort());
});
