/** The most dangerous function by itself: what one page does at every answer of the source, call by call. */
import { createHash } from 'node:crypto';
import { BSON } from 'bson';
import { expect, test } from 'vitest';
import type { PageState } from '../../src/ledger/clearing.ts';
import { ClearingWarrant, DisposalOrder } from '../../src/ledger/warrants.ts';
import { type ClearingSubject, clearPage, MAX_ROUNDS, MAX_TRIES } from '../../src/lifecycle/clear-page.ts';
import { toShape } from '../../src/policy/policy.ts';
import type { RawRecord, SourcePort } from '../../src/source/port.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const world = await MemoryWorld.open();
const policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1000, share: 1.0 }
`);
const UNTIL_MS = 100_000;
const BLANK: PageState = { intended: new Set(), treated: new Map(), tries: 0, outcomes: null };

function raw(_id: string, text = ''): Uint8Array {
  return BSON.serialize({ _id, text });
}

function rosterOf(...ids: readonly string[]) {
  return ids.map((_id) => {
    const bytes = raw(_id);
    return { id: idBytesOf(bytes), sha256: createHash('sha256').update(bytes).digest(), segment: 0 };
  });
}

interface Script {
  /** What is in the source at the first look, the second, …; the last one stays. */
  readonly looks: readonly Readonly<Record<string, Uint8Array>>[];
  readonly state?: PageState;
  /** The source server's time at every question. */
  readonly serverTimeMs?: number;
  /** From which request for a warrant on a hold forbids it. */
  readonly heldFrom?: number;
}

/** Clears a page of these records and tells the calls in their order. */
async function clear(ids: readonly string[], { looks, state = BLANK, serverTimeMs, heldFrom }: Script) {
  const calls: string[] = [];
  const base = world.context();
  let looked = 0;
  let asked = 0;
  const source = overlay(base.source, {
    readByIds: async (_namespace, idBytes) => {
      calls.push(`look ${idBytes.length}`);
      const there = looks[Math.min(looked++, looks.length - 1)] ?? {};
      const records = Object.values(there).map((bytes): readonly [string, RawRecord] => {
        const key = base.source.keyOf(idBytesOf(bytes));
        return [key, { raw: bytes, idBytes: idBytesOf(bytes), key }];
      });
      return new Map(records);
    },
    deleteGuarded: async (_shape, records) => {
      calls.push(`delete ${records.map(({ raw: bytes }) => BSON.deserialize(bytes)['_id']).join(' ')}`);
      return { deletedCount: 0 };
    },
    serverTime: async () => new Date(serverTimeMs ?? 0),
  });
  const lease = { epoch: 1, assertHeld: () => undefined };
  const subject: ClearingSubject = {
    shape: toShape(policy),
    treatment: null,
    askWarrant: async () => {
      calls.push('ask');
      asked += 1;
      if (heldFrom !== undefined && asked >= heldFrom) return { holds: ['hold-1'] };
      return { warrant: ClearingWarrant.issue(DisposalOrder.issue('x1', 'ann', 'delete'), lease, new Date(UNTIL_MS)) };
    },
    writeIntent: async (_page, present) => calls.push(`intent ${present.join(' ')}`),
    settle: async (_page, _roster, outcomes) => {
      calls.push('settle');
      return outcomes;
    },
  };
  const clearing = clearPage({ ...base, source }, subject, 0, rosterOf(...ids), state);
  const outcomes: unknown = await clearing.catch((error: unknown) => ({ error }));
  return { calls, outcomes };
}

function overlay(port: SourcePort, over: Partial<SourcePort>): SourcePort {
  return new Proxy(port, { get: (target, name) => Reflect.get(Reflect.has(over, name) ? over : target, name) });
}

test('announce, look, intent, delete, announce, look, settle: in this order, and nothing else', async () => {
  const { calls, outcomes } = await clear(['a', 'b'], { looks: [{ a: raw('a'), b: raw('b') }, {}] });
  expect(outcomes).toEqual(['deleted', 'deleted']);
  expect(calls).toEqual(['ask', 'look 2', 'intent 0 1', 'delete a b', 'ask', 'look 2', 'settle']);
});

test('nothing is there: no intent, no delete', async () => {
  const { calls, outcomes } = await clear(['a'], { looks: [{}] });
  expect(outcomes).toEqual(['gone']);
  expect(calls).toEqual(['ask', 'look 1', 'settle']);
});

test('missing now, and an earlier worker intended it: deleted by us; the others were gone', async () => {
  const state = { ...BLANK, intended: new Set([1]), tries: 1 };
  expect((await clear(['a', 'b'], { looks: [{}], state })).outcomes).toEqual(['gone', 'deleted']);
});

test('settled before: its outcomes, and not one call', async () => {
  const state: PageState = { ...BLANK, outcomes: ['held', 'deleted'] };
  expect(await clear(['a', 'b'], { looks: [{ a: raw('a') }], state })).toEqual({
    calls: [],
    outcomes: ['held', 'deleted'],
  });
});

test('a record that changed and then changes back while another is deleted: it stays, as `changed`', async () => {
  const looks = [{ a: raw('a', 'new'), b: raw('b') }, { a: raw('a'), b: raw('b') }, { a: raw('a') }];
  const { calls, outcomes } = await clear(['a', 'b'], { looks });
  expect(outcomes).toEqual(['changed', 'deleted']);
  expect(calls.filter((call) => call.startsWith('delete'))).toEqual(['delete b', 'delete b']);
});

test('a hold that comes between two tries: what is left is held, what went is deleted', async () => {
  const { calls, outcomes } = await clear(['a', 'b'], {
    looks: [{ a: raw('a'), b: raw('b') }, { b: raw('b') }],
    heldFrom: 2,
  });
  expect(outcomes).toEqual(['deleted', 'held']);
  expect(calls.filter((call) => call.startsWith('delete'))).toEqual(['delete a b']);
});

test('refused in time: as often as MAX_TRIES says, then quarantined; a try that was too late does not count', async () => {
  const looks = [{ a: raw('a') }];
  const refused = await clear(['a'], { looks, serverTimeMs: UNTIL_MS - 1 });
  expect(refused.outcomes).toEqual(['quarantined']);
  expect(refused.calls.filter((call) => call === 'delete a')).toHaveLength(MAX_TRIES);
});

test('every delete ends too late, at the very end of its warrant: given up after MAX_ROUNDS, and no record is blamed', async () => {
  const { calls, outcomes } = await clear(['a'], { looks: [{ a: raw('a') }], serverTimeMs: UNTIL_MS });
  expect(outcomes).toMatchObject({ error: { code: 'MONGODB_UNAVAILABLE' } });
  expect(calls.filter((call) => call === 'delete a')).toHaveLength(MAX_ROUNDS);
  expect(calls).not.toContain('settle');
});
