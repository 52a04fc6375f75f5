/** Audit heads: published in time, each once, and what an auditor who trusts nothing here finds out with them. */
import { beforeEach, describe, expect, test } from 'vitest';
import { audit } from '../../jobs/audit.ts';
import { MARGINS } from '../../jobs/margins.ts';
import { type PublicKeys, readPublicKeys } from '../../src/keys/public-keys.ts';
import { openAlarms } from '../../src/ledger/alarms.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { readNewestHead } from '../../src/ledger/audit-heads.ts';
import type { LedgerDocument } from '../../src/ledger/store.ts';
import { readHead } from '../../src/lifecycle/audit-head.ts';
import { certify } from '../../src/lifecycle/certificate.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { lookAtHeads, publishHead } from '../../src/lifecycle/publish-head.ts';
import { verifyHeads } from '../../src/lifecycle/verify-heads.ts';
import { MemoryHeads } from '../../src/vault/heads-memory.ts';
import type { HeadsPlace } from '../../src/vault/heads-port.ts';
import { ACME } from '../harness/a-hold.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const HOUR_MS = 3_600_000;

let world: MemoryWorld;
let context: Context;
let place: MemoryHeads;
let keys: PublicKeys;
beforeEach(async () => {
  world = await MemoryWorld.open();
  place = new MemoryHeads();
  context = withHeads(world.context(), place);
  keys = await keysOf(context);
});

function withHeads(on: Context, at: HeadsPlace): Context {
  return { ...on, heads: { place: at, retain: 'P10Y', lateAfterMs: 2 * HOUR_MS } };
}

async function keysOf(on: Context): Promise<PublicKeys> {
  return readPublicKeys((await on.keys.publicKeys()).map(({ pem }) => pem).join('\n'), 'keys.pem');
}

async function act(what: string): Promise<void> {
  await context.audit.append([{ act: what, phase: 'outcome', subject: {}, details: {} }]);
}

async function published(at: HeadsPlace = place) {
  const heads = [];
  for await (const { bytes } of at.heads(1)) heads.push(readHead(bytes)?.head);
  return heads;
}

const verify = (at: HeadsPlace = place, by = keys) =>
  verifyHeads(world.store, at.heads(1), { keys: by, silentAfterMs: 2 * HOUR_MS });
const run = (on = context) =>
  audit({ context: on, margins: MARGINS, isOpen: async () => false, put: async () => true }, { by: 'schedule' });
const publishHours = async (hours: number) => {
  for (let hour = 0; hour < hours; hour++) {
    await run();
    world.clock.advance(HOUR_MS);
  }
};

describe('publishing', () => {
  test('the first and the next: numbered, each names the one before, kept for ten years, told in the chain', async () => {
    await act('something');
    const first = await publishHead(context);
    world.clock.advance(HOUR_MS);
    await certify(context, { _id: 'c1', ...ACME, policy: 'chats', policyVersion: 'v' }, { archive: null });
    const second = await publishHead(context);
    expect(await published()).toEqual([first.head, second.head]);
    expect(first.head).toMatchObject({ number: 1, previous: null, seq: 2, certificates: 0 });
    expect(second.head).toMatchObject({
      number: 2,
      previous: expect.stringMatching(/^[0-9a-f]{64}$/),
      certificates: 1,
    });
    expect(place.retainUntil(2)?.getTime()).toBeGreaterThan(world.clock.now().getTime() + 9.9 * 365 * 24 * HOUR_MS);
    const told: string[] = [];
    for await (const { key } of auditEntries(world.store)) if (key.startsWith('audit-head')) told.push(key);
    expect(told).toEqual([1, 2].flatMap((n) => [`audit-head:${n}:intent`, `audit-head:${n}:outcome`]));
  });

  test('the job publishes every hour, also when nothing happened, and once an hour however often it runs', async () => {
    for (let hour = 1; hour <= 3; hour++) {
      await Promise.all([run(), run(withHeads(world.context(), place))]);
      expect(await run()).toMatchObject({ state: 'there', number: hour });
      world.clock.advance(HOUR_MS);
    }
    expect((await published()).map((head) => head?.number)).toEqual([1, 2, 3]);
  });

  test('five at once that have the same to say are one head; after another entry it is the next', async () => {
    await Promise.all([1, 2, 3, 4, 5].map(() => publishHead(withHeads(world.context(), place))));
    await Promise.all([1, 2].map(() => act('something').then(() => publishHead(withHeads(world.context(), place)))));
    const numbers = (await published()).map((head) => head?.number);
    expect(numbers).toEqual(numbers.map((_, at) => at + 1));
    expect(numbers.length).toBeGreaterThan(1);
    expect(await verify()).toMatchObject({ ok: true });
  });

  test('a lost reply is no second head', async () => {
    await publishHead(context);
    place.failNext('lose reply');
    expect(await publishHead(context)).toMatchObject({ state: 'published', head: { number: 2 } });
    expect(await published()).toHaveLength(2);
  });

  test('a worker that is cut after the place has it: the next one finds it, and the ledger catches up', async () => {
    await publishHead(context);
    const cut = { ...context, audit: Object.assign(Object.create(context.audit), { appendOnce: cutAtOutcome }) };
    await expect(publishHead(cut)).rejects.toThrow('cut');
    expect(await published()).toHaveLength(2);
    world.clock.advance(HOUR_MS);
    expect((await publishHead(context)).head.number).toBe(3);
    expect((await readNewestHead(world.store))?.newest?.number).toBe(3);
    expect(await verify()).toMatchObject({ ok: true, heads: 3 });
  });

  async function cutAtOutcome(...args: Parameters<Context['audit']['appendOnce']>): Promise<void> {
    if (args[0].some(({ phase }) => phase === 'outcome')) throw new Error('cut');
    await context.audit.appendOnce(...args);
  }

  test('another place goes on with the numbers', async () => {
    await publishHead(context);
    const other = Object.assign(new MemoryHeads(), { name: 'memory://other' });
    const { head } = await publishHead(withHeads(context, other));
    expect(head).toMatchObject({ number: 2, previous: expect.any(String) });
    expect(await verify(other)).toMatchObject({ ok: true, first: { number: 2 } });
  });

  test.each([
    ['the place has no lock', () => place.setWriteOnce(false), 'AUDIT_HEADS_REFUSED'],
    ['the place has lost the newest', () => place.lose(1), 'AUDIT_HEADS_BROKEN'],
    ['the place refuses', () => place.failNext('refuse'), 'VAULT_REFUSED'],
  ])('%s: nothing is published, and an alarm once the newest is two hours old', async (_, breakIt, code) => {
    await publishHead(context);
    world.clock.advance(HOUR_MS);
    breakIt();
    await expect(publishHead(context)).rejects.toMatchObject({ code });
    expect(await openAlarms(world.store)).toEqual([]);
    world.clock.advance(HOUR_MS + 60_000);
    breakIt();
    await expect(publishHead(context)).rejects.toMatchObject({ code });
    expect(await openAlarms(world.store)).toMatchObject([
      { code: 'AUDIT_HEADS_LATE', text: expect.stringContaining(code) },
    ]);
  });

  test('nobody publishes: the look of the watchdog raises the alarm, and the next head ends it', async () => {
    await lookAtHeads(context);
    world.clock.advance(2 * HOUR_MS + 1);
    await lookAtHeads(context);
    expect(await openAlarms(world.store)).toMatchObject([{ code: 'AUDIT_HEADS_LATE' }]);
    await publishHead(context);
    expect(await openAlarms(world.store)).toEqual([]);
    await lookAtHeads(world.context());
  });

  test('without a place in moraine.yaml: said, and the look does nothing', async () => {
    await expect(publishHead(world.context())).rejects.toMatchObject({ code: 'USAGE' });
    await lookAtHeads(world.context());
    expect(await readNewestHead(world.store)).toBeNull();
  });
});

describe('verifying, without trust in the ledger', () => {
  test('says what it proved and up to when, what is not proved yet, and the silences', async () => {
    await publishHours(3);
    world.clock.advance(5 * HOUR_MS);
    await publishHours(1);
    await act('afterwards');
    const verdict = await verify();
    expect(verdict).toMatchObject({
      ok: true,
      heads: 4,
      installation: context.installation.id,
      first: { number: 1 },
      newest: { number: 4 },
      problems: [],
      entriesSince: 2,
      silences: [{ from: expect.any(String), to: verdict.newest?.at }],
    });
  });

  /** A chain that was computed anew by somebody with write access: it holds by itself. */
  async function rewrite(): Promise<void> {
    const other = await MemoryWorld.open();
    await other.context().audit.append([{ act: 'forged', phase: 'outcome', subject: {}, details: {} }]);
    const blocks = world.store.collection<LedgerDocument>('audit');
    await blocks.removeMany({ v: { $gte: 0 } });
    for await (const block of other.store.collection<LedgerDocument>('audit').find({})) {
      const { rev: _, ...document } = block;
      await blocks.insert(document);
    }
  }

  test.each<[string, () => Promise<void>, string]>([
    ['the chain was computed anew', rewrite, 'audit chain'],
    ['the end of the chain was cut off', async () => cutOff(), 'audit chain'],
    ['a head is missing', async () => place.lose(2), 'some are missing'],
    ['somebody wrote above a head', async () => place.cover(2), 'written above'],
    ['a certificate was removed', async () => removeCertificate(), '1 certificates'],
  ])('%s: found', async (_, tamper, text) => {
    await certify(context, { _id: 'c1', ...ACME, policy: 'chats', policyVersion: 'v' }, { archive: null });
    await publishHours(3);
    expect((await verify()).problems).toEqual([]);
    await tamper();
    const verdict = await verify();
    expect(verdict.ok).toBe(false);
    expect(verdict.problems.join()).toContain(text);
  });

  async function cutOff(): Promise<void> {
    const blocks = world.store.collection<LedgerDocument>('audit');
    for await (const { _id, rev } of blocks.find({}, { sort: { _id: -1 }, limit: 3 })) await blocks.remove(_id, rev);
  }

  async function removeCertificate(): Promise<void> {
    await world.store.collection<LedgerDocument>('certificates').removeMany({ _id: 'c1' });
  }

  test('heads of somebody else, with a key of their own: nothing of them counts', async () => {
    const forger = await MemoryWorld.open();
    const forged = new MemoryHeads();
    await publishHead(withHeads(forger.context(), forged));
    expect(await verify(forged)).toMatchObject({ ok: false, newest: null });
    // By their own key they are signed, and are not of this chain.
    const theirs = await verify(forged, await keysOf(forger.context()));
    expect(theirs).toMatchObject({ ok: false, problems: [expect.stringContaining('audit chain')] });
    // And this installation never goes on from them.
    await expect(publishHead(withHeads(context, forged))).rejects.toMatchObject({ code: 'AUDIT_HEADS_BROKEN' });
  });

  test('nothing was ever published: nothing is proved', async () => {
    expect(await verify()).toMatchObject({
      ok: false,
      heads: 0,
      problems: [expect.stringContaining('nothing is proved')],
    });
  });
});
