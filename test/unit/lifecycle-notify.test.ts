/** Owners are told when what is in force changes for them, and before large purges: once, whoever looks, and nobody else's things. */
import { beforeEach, expect, test } from 'vitest';
import { id, type OwnerId } from '../../src/ids.ts';
import { NO_OUTCOMES } from '../../src/ledger/archive-document.ts';
import { archives } from '../../src/ledger/archives.ts';
import { AuditLog, auditEntries } from '../../src/ledger/audit.ts';
import { type ExceptionDocument, exceptions } from '../../src/ledger/exceptions.ts';
import { notificationsOf, SENDING_LASTS_MS } from '../../src/ledger/notifications.ts';
import { LEDGER_VERSION } from '../../src/ledger/versions.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { notifyOwners } from '../../src/lifecycle/notify.ts';
import { MemoryWay } from '../../src/notify/memory-way.ts';
import type { ComingNews, InForceNews, News, PurgeNews } from '../../src/notify/telling.ts';
import { policyVersion } from '../../src/policy/policy.ts';
import { anArchive } from '../harness/an-archive.ts';
import { watched } from '../harness/ledger-world.ts';
import { publishText } from '../harness/publish-policy.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const ACME = id.owner('acme');
const ZETA = id.owner('zeta');
const BEFORE_PURGE = { days: 14, records: 1_000 };

let world: MemoryWorld;
let mail: MemoryWay;
let hook: MemoryWay;
beforeEach(async () => {
  world = await MemoryWorld.open();
  mail = new MemoryWay('mail', (owner) => `${owner}@example.com`);
  hook = new MemoryWay('hook', (owner) => (owner === ACME ? 'https://hooks.example' : null));
});

const policyText = (name: string, active: string, owner = '{ field: owner }') => `
policy: ${name}
zone: UTC
dataset: { collection: data.${name}, owner: ${owner}, customer: { field: tenant } }
trigger: { field: at }
active: ${active}
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1000, share: 1.0 }
`;

function context(asOf?: string): Context {
  const ways = [mail, hook];
  const owners = new Set([ACME, ZETA]);
  return {
    ...world.context(undefined, asOf === undefined ? {} : { asOf }),
    owners,
    notifying: { ways, beforePurge: BEFORE_PURGE },
  };
}

const newsTo = (owner: OwnerId, way = mail): News[] =>
  way.taken.filter(({ telling }) => telling.owner === owner).map(({ telling }) => telling.news);
const inForce = (news: News | undefined): InForceNews => {
  if (news?.kind !== 'in-force') throw new Error('not what was expected');
  return news;
};
const purge = (news: News | undefined): PurgeNews => {
  if (news?.kind !== 'purge') throw new Error('not what was expected');
  return news;
};

const coming = (news: News | undefined): ComingNews => {
  if (news?.kind !== 'coming') throw new Error('not what was expected');
  return news;
};

const DAY_MS = 86_400_000;
const inDays = (days: number) => new Date(world.clock.now().getTime() + days * DAY_MS);
const publishFrom = (from: Date, text: string) => publishText(world.store, world.clock, text, {}, from);

function anException(of: Partial<ExceptionDocument>): Omit<ExceptionDocument, 'rev'> {
  const now = world.clock.now();
  return {
    _id: 'exception-1',
    v: LEDGER_VERSION,
    policy: 'chats',
    effect: 'longer',
    active: 'P5Y',
    owner: null,
    customer: null,
    value: null,
    reason: 'a claim',
    requestedBy: 'person:jo',
    from: null,
    until: new Date(now.getTime() + 5 * DAY_MS),
    state: 'granted',
    requestedAt: now,
    graceMs: 0,
    approval: 'approval-1',
    grantedBy: ['person:kim'],
    grantedAt: now,
    endedAt: null,
    endedBy: null,
    endReason: null,
    ...of,
  };
}

let sequence = 0;
async function toPurge(name: string, owner: OwnerId, dueAt: string, records: number, customer = 'north') {
  sequence += 1;
  const archive = anArchive({
    _id: id.archive(name),
    owner,
    customer: id.customer(customer),
    sequence,
    dueAt: new Date(dueAt),
    outcomes: { ...NO_OUTCOMES, archived: records, deleted: records },
  });
  expect(await archives(world.store).insert(archive)).toBe('inserted');
}

test('a policy that is published is told to each owner by each way that reaches it, once', async () => {
  await world.publish(policyText('chats', '2 years'));
  expect(await notifyOwners(context())).toMatchObject({ found: 3, sent: [{}, {}, {}], failed: [] });
  expect(await notifyOwners(context())).toEqual({ found: 0, sent: [], failed: [] });
  expect(newsTo(ACME)).toHaveLength(1);
  expect(newsTo(ACME, hook)).toHaveLength(1);
  expect(newsTo(ZETA)).toHaveLength(1);
  expect(newsTo(ZETA, hook)).toEqual([]);
  const [{ change, previous, terms } = { change: '', previous: '', terms: null }] = inForce(newsTo(ACME)[0]).policies;
  expect([change, previous, terms?.active, terms?.archive]).toEqual(['new', null, ['2 years'], ['7 years']]);
});

test('a changed policy is told with both versions; back to the first is told again', async () => {
  await world.publish(policyText('chats', '2 years'));
  await notifyOwners(context());
  await world.publish(policyText('chats', '1 year'));
  await notifyOwners(context());
  await world.publish(policyText('chats', '2 years'));
  await notifyOwners(context());
  const [first, second, third] = newsTo(ACME).map((news) => inForce(news).policies[0]);
  expect(second).toMatchObject({ change: 'changed', previous: first?.version });
  expect(third).toMatchObject({ change: 'changed', previous: second?.version, version: first?.version });
});

test('a version that comes is told when it is published, with what will change and from when, and again when it is in force', async () => {
  const { name } = await world.publish(policyText('chats', '2 years'));
  await notifyOwners(context());
  const from = inDays(7);
  const next = await publishFrom(from, policyText('chats', '1 year'));
  expect(await notifyOwners(context())).toMatchObject({ found: 3, failed: [] });
  expect(await notifyOwners(context())).toEqual({ found: 0, sent: [], failed: [] });
  const [, told] = newsTo(ACME);
  expect(coming(told).policies).toMatchObject([
    {
      policy: name,
      change: 'coming',
      version: policyVersion(next),
      from: from.toISOString(),
      now: { active: ['2 years'] },
      next: { active: ['1 year'] },
    },
  ]);
  world.clock.advance(7 * DAY_MS - 1_000);
  expect(await notifyOwners(context())).toMatchObject({ found: 0 });
  world.clock.advance(2_000);
  expect(await notifyOwners(context())).toMatchObject({ found: 3 });
  expect(await notifyOwners(context())).toMatchObject({ found: 0 });
  expect(inForce(newsTo(ACME)[2]).policies).toMatchObject([{ change: 'changed', version: policyVersion(next) }]);
  const said: unknown[] = [];
  for await (const { act, phase, subject, details } of auditEntries(world.store)) {
    if (act === 'notify' && phase === 'outcome' && subject.owner === ZETA) said.push(details['policies']);
  }
  expect(said[1]).toEqual([`chats ${policyVersion(next)} from ${from.toISOString()}`]);
});

test('a version that says nothing else for an owner is not foretold to it', async () => {
  const tiered = (north: string) => policyText('chats', `{ by: owner, of: { acme: ${north} }, otherwise: 2 years }`);
  await world.publish(tiered('3 years'));
  await notifyOwners(context());
  await publishFrom(inDays(7), tiered('1 year'));
  await notifyOwners(context());
  expect(coming(newsTo(ACME)[1]).policies).toMatchObject([{ change: 'coming', next: { active: ['1 year'] } }]);
  expect(newsTo(ZETA)).toHaveLength(1);
});

test('what was foretold and is taken back, or replaced, is told too; each once', async () => {
  const before = policyText('chats', '3 years');
  await world.publish(before);
  await notifyOwners(context());
  const [first, second] = [inDays(7), inDays(9)];
  await publishFrom(first, policyText('chats', '1 year'));
  await notifyOwners(context());
  await publishFrom(second, policyText('chats', '2 years'));
  await notifyOwners(context());
  await world.publish(before);
  await notifyOwners(context());
  await notifyOwners(context());
  const told = newsTo(ACME)
    .slice(1)
    .map((news) => coming(news).policies.map(({ change, from }) => [change, from]));
  expect(told).toEqual([
    [['coming', first.toISOString()]],
    [
      ['withdrawn', first.toISOString()],
      ['coming', second.toISOString()],
    ],
    [['withdrawn', second.toISOString()]],
  ]);
});

test('a version that nobody was told of before it was taken back is no news', async () => {
  await world.publish(policyText('chats', '3 years'));
  await notifyOwners(context());
  await publishFrom(inDays(7), policyText('chats', '1 year'));
  await world.publish(policyText('chats', '3 years'));
  expect(await notifyOwners(context())).toMatchObject({ found: 0 });
});

test('two workers that find a coming version at the same moment tell it once', async () => {
  await world.publish(policyText('chats', '2 years'));
  await notifyOwners(context());
  await publishFrom(inDays(7), policyText('chats', '1 year'));
  await Promise.all([notifyOwners(context()), notifyOwners(context()), notifyOwners(context())]);
  expect([newsTo(ACME).length, newsTo(ACME, hook).length, newsTo(ZETA).length]).toEqual([2, 2, 2]);
});

test("a policy of one owner is none of another's business", async () => {
  await world.publish(policyText('calls', '2 years', '{ value: zeta }'));
  await notifyOwners(context());
  expect(newsTo(ACME)).toEqual([]);
  expect(newsTo(ZETA)).toHaveLength(1);
});

test('two workers that look at the same moment tell each thing once', async () => {
  await world.publish(policyText('chats', '2 years'));
  await Promise.all([notifyOwners(context()), notifyOwners(context()), notifyOwners(context())]);
  expect([newsTo(ACME).length, newsTo(ACME, hook).length, newsTo(ZETA).length]).toEqual([1, 1, 1]);
});

test('a way that is away stops no other, and is tried again later; one that refuses is given up', async () => {
  await world.publish(policyText('chats', '2 years'));
  hook.faults.push('before');
  mail.faults.push('refused', 'refused');
  const { sent, failed } = await notifyOwners(context());
  expect(sent).toEqual([]);
  expect(failed.map(({ way, code, nextTryAt }) => [way, code, nextTryAt !== null]).sort()).toEqual([
    ['hook', 'NOTICE_UNAVAILABLE', true],
    ['mail', 'NOTICE_REFUSED', false],
    ['mail', 'NOTICE_REFUSED', false],
  ]);
  expect((await notifyOwners(context())).sent).toEqual([]);
  world.clock.advance(60_000);
  expect((await notifyOwners(context())).sent).toMatchObject([{ way: 'hook' }]);
});

test('whoever could not be reached at first is told what is in force as soon as there is a way', async () => {
  await world.publish(policyText('chats', '2 years'));
  const nowhere = new MemoryWay('mail', () => null);
  const unreachable = { ...context(), notifying: { ways: [nowhere], beforePurge: null } };
  expect(await notifyOwners(unreachable)).toEqual({ found: 0, sent: [], failed: [] });
  await notifyOwners(context());
  expect(inForce(newsTo(ACME)[0]).policies).toMatchObject([{ change: 'new' }]);
});

test('an exception is told when it is granted and when it ends: that it is there, not what it is about', async () => {
  await world.publish(policyText('chats', '2 years'));
  await notifyOwners(context());
  const granted = anException({
    owner: ZETA,
    value: { field: 'mail', codes: ['c0de-of-jo'], witness: '' },
    reason: 'Jo v. Zeta',
  });
  await exceptions(world.store).insert(granted);
  await notifyOwners(context());
  expect(newsTo(ACME)).toHaveLength(1);
  expect(inForce(newsTo(ZETA)[1]).exceptions).toEqual({ inForce: 1, granted: 1, ended: 0 });
  expect(JSON.stringify(mail.taken)).not.toMatch(/c0de|Jo v/);
  // Nobody ends it: its time is over.
  world.clock.advance(10 * DAY_MS);
  await notifyOwners(context());
  expect(inForce(newsTo(ZETA)[2]).exceptions).toEqual({ inForce: 0, granted: 0, ended: 1 });
});

test('a reply that was lost: sent again under the same id, and the chain has both tries', async () => {
  await world.publish(policyText('calls', '2 years', '{ value: zeta }'));
  mail.faults.push('after');
  expect((await notifyOwners(context())).failed).toHaveLength(1);
  world.clock.advance(60_000);
  expect((await notifyOwners(context())).sent).toHaveLength(1);
  const ids = mail.taken.map(({ telling }) => telling.id);
  expect([ids.length, new Set(ids).size]).toEqual([2, 1]);
  const entries = [];
  for await (const { phase, details } of auditEntries(world.store)) entries.push([phase, details['try']]);
  expect(entries).toEqual([
    ['intent', 1],
    ['outcome', 1],
    ['intent', 2],
    ['outcome', 2],
  ]);
});

test('cut after any call to the ledger: nobody is left out, and what arrives twice has the same id and an intent before', async () => {
  let hadFaults = 0;
  for (let cutAt = 0; cutAt < 90; cutAt++) {
    world = await MemoryWorld.open();
    mail.taken.length = 0;
    hook.taken.length = 0;
    await world.publish(policyText('chats', '2 years'));
    await publishFrom(inDays(7), policyText('chats', '1 year'));
    let calls = 0;
    const store = watched(world.store, () => {
      calls += 1;
      if (calls > cutAt) throw new Error('cut');
    });
    const audit = new AuditLog(store, world.clock, { actor: 'person:test' });
    const cut = await notifyOwners({ ...context(), store, audit }).then(
      () => 0,
      () => 1,
    );
    hadFaults += cut;
    world.clock.advance(SENDING_LASTS_MS + 1_000);
    await notifyOwners(context());
    const after = `cut after ${cutAt}`;
    const arrived = [...mail.taken, ...hook.taken].map(({ to, telling }) => `${to} ${telling.id}`);
    expect(new Set(arrived).size, after).toBe(6);
    let intents = 0;
    for await (const { phase } of auditEntries(world.store)) if (phase === 'intent') intents += 1;
    expect(arrived.length, after).toBeLessThanOrEqual(intents);
    expect(await notifyOwners(context()), after).toEqual({ found: 0, sent: [], failed: [] });
  }
  expect(hadFaults).toBeGreaterThan(20);
});

test('told to stop: what was not begun waits, and is sent by the next look', async () => {
  await world.publish(policyText('chats', '2 years'));
  const stop = new AbortController();
  const stopping = new MemoryWay('mail', (owner) => {
    stop.abort(new Error('stop'));
    return `${owner}@example.com`;
  });
  const stopped = { ...context(), signal: stop.signal, notifying: { ways: [stopping], beforePurge: null } };
  await expect(notifyOwners(stopped)).rejects.toMatchObject({ code: 'WORK_STOPPED' });
  await notifyOwners(context());
  expect([newsTo(ACME).length, newsTo(ZETA).length]).toEqual([1, 1]);
});

test('a large purge is foretold with its numbers, once; what comes later is told later; small ones are not', async () => {
  const at = '2030-01-01T00:00:00Z';
  await toPurge('a1', ACME, '2030-01-10', 600);
  await toPurge('a2', ACME, '2030-01-14', 500, 'south');
  await toPurge('later', ACME, '2030-01-20', 5_000);
  await toPurge('small', ZETA, '2030-01-10', 999);
  await notifyOwners(context(at));
  await notifyOwners(context(at));
  expect(newsTo(ZETA)).toEqual([]);
  expect(newsTo(ACME)).toHaveLength(1);
  expect(purge(newsTo(ACME)[0])).toMatchObject({
    archives: ['a1', 'a2'],
    records: 1_100,
    customers: 2,
    firstAt: '2030-01-10T00:00:00.000Z',
    lastAt: '2030-01-14T00:00:00.000Z',
  });
  await notifyOwners(context('2030-01-07T00:00:00Z'));
  expect(newsTo(ACME).map((news) => purge(news).archives)).toEqual([['a1', 'a2'], ['later']]);
});

test('without notify.ways nothing is found and nothing is written', async () => {
  await world.publish(policyText('chats', '2 years'));
  const { notifying: _, ...untold } = context();
  expect(await notifyOwners(untold)).toEqual({ found: 0, sent: [], failed: [] });
  for await (const each of notificationsOf(world.store)) expect(each).toBe(null);
});
