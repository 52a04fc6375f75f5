/** Who was told what: once for each news and way, whoever finds it and wherever a crash cuts; tried for so long, then given up. */
import { beforeEach, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import {
  auditNotifications,
  claimNotification,
  countNotifications,
  foretoldOf,
  MAX_TRIES,
  type NotificationDocument,
  notificationId,
  notificationsOf,
  openNews,
  SENDING_LASTS_MS,
  sendAgain,
  sendable,
  settleNotification,
} from '../../src/ledger/notifications.ts';
import type { Store } from '../../src/ledger/store.ts';
import type { FoundNews } from '../../src/ledger/told.ts';
import { inForceTelling, OWNER, purgeTelling } from '../contract/tellings.ts';
import { LedgerWorld, watched } from '../harness/ledger-world.ts';

const WAYS = [
  { name: 'mail', to: 'owner@acme.example' },
  { name: 'hook', to: 'https://hooks.example' },
];
const IN_FORCE: FoundNews = {
  news: inForceTelling('x').news,
  told: { policies: [{ policy: 'chats', version: 'b' }], exceptions: [], coming: [] },
};
const DAY_MS = 86_400_000;

let world: LedgerWorld;
beforeEach(async () => {
  world = await LedgerWorld.open();
});

const open = (store: Store = world.store, found: FoundNews = IN_FORCE, ways = WAYS) =>
  openNews({ store, clock: world.clock }, OWNER, ways, async (told) =>
    told === null || found !== IN_FORCE ? found : null,
  );

async function all(): Promise<NotificationDocument[]> {
  const found: NotificationDocument[] = [];
  for await (const each of notificationsOf(world.store)) found.push(each);
  return found;
}

async function claim(): Promise<NotificationDocument> {
  const [found] = await sendable(world.store, 10);
  const claimed = found === undefined ? null : await claimNotification(world, found);
  if (claimed === null) throw new Error('nothing was claimed');
  return claimed;
}

test('one notification for each way; the same look again makes none', async () => {
  expect(await open()).toBe(2);
  expect(await open()).toBe(0);
  const found = await all();
  expect(found.map(({ way, to, state, sequence }) => [way, to, state, sequence]).sort()).toEqual([
    ['hook', 'https://hooks.example', 'due', 1],
    ['mail', 'owner@acme.example', 'due', 1],
  ]);
  expect(new Set(found.map(({ _id }) => _id)).size).toBe(2);
});

test('cut after any call to the ledger: whoever looks next makes each notification once, and none is lost', async () => {
  for (let cutAt = 1; cutAt <= 12; cutAt++) {
    world = await LedgerWorld.open();
    let calls = 0;
    const cut = watched(world.store, () => {
      calls += 1;
      if (calls > cutAt) throw new Error('cut');
    });
    await open(cut).catch(() => undefined);
    await open();
    await open();
    const found = await all();
    expect(found.map(({ way }) => way).sort(), `cut after ${cutAt}`).toEqual(['hook', 'mail']);
    expect(found.map(({ sequence }) => sequence)).toEqual([1, 1]);
  }
});

test('two that look at the same moment make each notification once', async () => {
  await Promise.all([open(), open(), open()]);
  expect(await all()).toHaveLength(2);
});

test('archives are foretold with their news', async () => {
  await open(world.store, { news: purgeTelling('x').news });
  expect([...(await foretoldOf(world.store, ['a1', 'a2', 'a3'].map(id.archive)))].sort()).toEqual(['a1', 'a2']);
});

test('ids differ by owner, number and way, and never run into each other', () => {
  const ids = [
    notificationId(id.owner('a'), 1, 'mail'),
    notificationId(id.owner('a1'), 1, 'mail'),
    notificationId(id.owner('a'), 11, 'mail'),
    notificationId(id.owner('a'), 1, 'mail2'),
  ];
  expect(new Set(ids).size).toBe(4);
  expect(ids.every((each) => /^n[0-9a-f]{31}$/.test(each))).toBe(true);
});

test('the audit chain says who was told what by which way: the intent before, the message id after', async () => {
  await open(world.store, IN_FORCE, WAYS.slice(0, 1));
  const claimed = await claim();
  expect(await world.told()).toEqual(['notify intent']);
  await settleNotification(world, claimed, { messageId: '<m1@example.com>' });
  const entries = [];
  for await (const { subject, details, phase } of auditEntries(world.store)) entries.push({ subject, details, phase });
  expect(entries).toMatchObject([
    { phase: 'intent', subject: { owner: 'acme', notification: claimed._id }, details: { way: 'mail', try: 1 } },
    {
      phase: 'outcome',
      details: { to: 'owner@acme.example', messageId: '<m1@example.com>', policies: [`chats ${'b'.repeat(64)}`] },
    },
  ]);
  expect(await sendable(world.store, 10)).toEqual([]);
});

test('cut between the outcome and its audit entry: the next look writes it, once', async () => {
  await open(world.store, IN_FORCE, WAYS.slice(0, 1));
  const claimed = await claim();
  const audit = { append: async () => undefined, appendOnce: () => Promise.reject(new Error('cut')) };
  const cutAudit: typeof world.audit = Object.assign(Object.create(world.audit), audit);
  await expect(settleNotification({ ...ports(), audit: cutAudit }, claimed, { messageId: 'm' })).rejects.toThrow('cut');
  await auditNotifications(world.store, world.audit);
  await auditNotifications(world.store, world.audit);
  expect(await world.told()).toEqual(['notify intent', 'notify outcome']);
});

const ports = () => ({ store: world.store, clock: world.clock, audit: world.audit });

test('a worker that died while sending: nobody else takes it before its time, then it is sent again under its id', async () => {
  await open(world.store, IN_FORCE, WAYS.slice(0, 1));
  const claimed = await claim();
  world.advance(SENDING_LASTS_MS - 1_000);
  expect(await sendable(world.store, 10)).toEqual([]);
  world.advance(2_000);
  const again = await claim();
  expect([again._id, again.tries]).toEqual([claimed._id, 2]);
  // The dead one wakes: what it says counts for the chain alone.
  await settleNotification(world, claimed, { code: 'NOTICE_REFUSED', isFinal: true });
  expect((await all())[0]?.state).toBe('sending');
  await settleNotification(world, again, { messageId: 'm' });
  expect((await all())[0]).toMatchObject({ state: 'sent', messageId: 'm' });
  expect(await world.told()).toEqual(['notify intent', 'notify intent', 'notify outcome', 'notify outcome']);
});

test('what fails is tried again with growing waits, and given up after a day and more; a person may try anew', async () => {
  await open(world.store, IN_FORCE, WAYS.slice(0, 1));
  const waits: number[] = [];
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    const settled = await settleNotification(world, await claim(), { code: 'NOTICE_UNAVAILABLE', isFinal: false });
    expect(settled.lastCode).toBe('NOTICE_UNAVAILABLE');
    if (tries === MAX_TRIES) break;
    expect(await sendable(world.store, 10)).toEqual([]);
    const wait = settled.nextTryAt.getTime() - world.serverTime().getTime();
    waits.push(wait);
    world.advance(wait);
  }
  expect((await all())[0]?.state).toBe('undelivered');
  expect(waits.every((wait, at) => at === 0 || wait >= (waits[at - 1] ?? 0))).toBe(true);
  const total = waits.reduce((sum, wait) => sum + wait, 0);
  expect(total).toBeGreaterThan(DAY_MS);
  expect(total).toBeLessThan(3 * DAY_MS);
  expect(await countNotifications(world.store)).toEqual({ due: 0, undelivered: 1 });
  expect(await sendAgain(world.store)).toBe(1);
  expect((await claim()).tries).toBe(MAX_TRIES + 1);
});

test('what was refused is given up at once', async () => {
  await open(world.store, IN_FORCE, WAYS.slice(0, 1));
  await settleNotification(world, await claim(), { code: 'NOTICE_REFUSED', isFinal: true });
  expect((await all())[0]).toMatchObject({ state: 'undelivered', lastCode: 'NOTICE_REFUSED' });
});
