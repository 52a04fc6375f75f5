/** Before anything is destroyed: who is asked for the time, how long the answer counts, and how long an announcement is waited for. */
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { raiseAlarm } from '../../src/ledger/alarms.ts';
import { ANNOUNCEMENT_SKEW_MS } from '../../src/ledger/holds.ts';
import { ANNOUNCEMENT_MS, announceAndLook, inFlight } from '../../src/ledger/in-flight.ts';
import { isNothingAnnounced, waitForAnnounced } from '../../src/lifecycle/announced.ts';
import type { Context, Environment } from '../../src/lifecycle/context.ts';
import { assertSafeToDestroy, ensureSafeToDestroy, PREFLIGHT_LASTS_MS } from '../../src/lifecycle/preflight.ts';
import { ACME } from '../harness/a-hold.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

let world: MemoryWorld;
/** Who was asked for the time. */
let asked: string[];
beforeEach(async () => {
  world = await MemoryWorld.open();
  asked = [];
});

/** The clocks of source and vault are this much ahead of ours. */
function contextIn(
  environment: Environment = 'sandbox',
  ahead: { readonly source?: number; readonly vault?: number } = {},
): Context {
  const base = world.context();
  const now = (ms = 0) => new Date(world.clock.now().getTime() + ms);
  const source = overlay(base.source, {
    serverTime: async () => {
      asked.push('source');
      return now(ahead.source);
    },
  });
  const vaults = [...base.vaults].map(
    ([key, vault]) =>
      [
        key,
        overlay(vault, {
          serverTime: async () => {
            asked.push('vault');
            return now(ahead.vault);
          },
        }),
      ] as const,
  );
  return { ...base, source, vaults: new Map(vaults), installation: { id: base.installation.id, environment } };
}

describe('safe to destroy', () => {
  test('in a sandbox the vault has a time of its own and is not asked; elsewhere it is', async () => {
    await assertSafeToDestroy(contextIn('sandbox', { vault: 10 * 60_000 }));
    expect(asked).toEqual(['source']);
    await assertSafeToDestroy(contextIn('non-production'));
    expect([...asked].sort()).toEqual(['source', 'source', 'vault']);
    await assertSafeToDestroy({ ...contextIn('production'), vaults: new Map() });
    expect(asked.filter((one) => one === 'vault')).toHaveLength(1);
  });

  test('a vault that is away leaves it to the next one; with none to ask nothing is safe', async () => {
    const base = contextIn('production');
    const [vault] = base.vaults.values();
    if (vault === undefined) throw new Error('There is no vault.');
    const away = overlay(vault, { serverTime: () => Promise.reject(new Error('that region is away')) });
    const keys = [id.vaultKey('away'), id.vaultKey('there')] as const;
    const vaultsOf = (second: typeof vault) => new Map([[keys[0], away] as const, [keys[1], second] as const]);
    await assertSafeToDestroy({ ...base, vaults: vaultsOf(vault) });
    expect(asked).toEqual(['source', 'vault']);
    await expect(assertSafeToDestroy({ ...base, vaults: vaultsOf(away) })).rejects.toThrow('that region is away');
    const wrong = contextIn('production', { vault: 61_000 }).vaults.values().next().value ?? vault;
    await expect(assertSafeToDestroy({ ...base, vaults: vaultsOf(wrong) })).rejects.toMatchObject({
      code: 'CLOCK_DISAGREES',
    });
  });

  test.each([
    ['the source', { source: 61_000 }],
    ['the vault', { vault: -61_000 }],
  ])('not where %s disagrees with our clock', async (_, ahead) => {
    await expect(assertSafeToDestroy(contextIn('production', ahead))).rejects.toMatchObject({
      code: 'CLOCK_DISAGREES',
    });
  });

  test('not while an alarm is open, whatever the clocks say', async () => {
    await raiseAlarm(world.store, world.clock, 'LEDGER_BEHIND_VAULT', 'a restored backup');
    await expect(assertSafeToDestroy(contextIn())).rejects.toMatchObject({
      code: 'LEDGER_BEHIND_VAULT',
      message: 'a restored backup',
    });
    expect(asked).toEqual([]);
  });

  test('one look counts for less than a minute, by both of our clocks, in this process and for this ledger', async () => {
    const context = contextIn();
    // A process that has been running for longer than a look counts.
    world.clock.advance(PREFLIGHT_LASTS_MS);
    const look = async () => {
      asked.length = 0;
      await ensureSafeToDestroy(context);
      return asked.length;
    };
    expect(await look()).toBe(1);
    expect(await look()).toBe(0);
    world.clock.advance(PREFLIGHT_LASTS_MS - 1);
    expect(await look()).toBe(0);
    world.clock.advance(1);
    expect(await look()).toBe(1);
    asked.length = 0;
    await ensureSafeToDestroy(contextIn());
    expect(asked).toEqual(['source']);
  });

  test.each([
    ['the clock on the wall stands still', { now: false, monotonic: true }],
    ['the monotonic clock stands still', { now: true, monotonic: false }],
  ])('%s: a minute by the other is a minute', async (_, moves) => {
    const base = contextIn();
    const start = world.clock.now();
    const startMs = world.clock.monotonicMs();
    const clock = {
      now: () => (moves.now ? world.clock.now() : start),
      monotonicMs: () => (moves.monotonic ? world.clock.monotonicMs() : startMs),
      sleep: async () => undefined,
    };
    const source = overlay(base.source, {
      serverTime: async () => {
        asked.push('source');
        return clock.now();
      },
    });
    const context = { ...base, clock, source };
    await ensureSafeToDestroy(context);
    world.clock.advance(PREFLIGHT_LASTS_MS);
    await ensureSafeToDestroy(context);
    expect(asked).toEqual(['source', 'source']);
  });

  test('the clock on the wall was set back: looked at again', async () => {
    let backMs = 0;
    const base = contextIn();
    const clock = {
      now: () => new Date(world.clock.now().getTime() - backMs),
      monotonicMs: () => world.clock.monotonicMs(),
      sleep: async () => undefined,
    };
    const context = { ...base, clock };
    await ensureSafeToDestroy(context);
    backMs = 1;
    await ensureSafeToDestroy(context);
    expect(asked).toEqual(['source', 'source']);
  });
});

describe('waiting for what was announced', () => {
  const scope = { policy: 'chats', ...ACME, archive: id.archive('a1') };
  const announce = async (context: Context) =>
    await announceAndLook(world.store, context.clock, id.worker('other'), 'clear', scope);

  test('ends when it is past its end by every clock, and waits for nothing that it does not cover', async () => {
    const context = contextIn();
    await announce(context);
    const before = world.clock.now().getTime();
    expect(await waitForAnnounced(context, ({ owner }) => owner === id.owner('other'))).toBe(true);
    expect(world.clock.now().getTime()).toBe(before);
    expect(await isNothingAnnounced(context, () => true)).toBe(false);
    expect(await isNothingAnnounced(context, () => false)).toBe(true);
    expect(await waitForAnnounced(context, () => true)).toBe(true);
    const waitedMs = world.clock.now().getTime() - before;
    expect(waitedMs).toBeGreaterThan(ANNOUNCEMENT_MS + ANNOUNCEMENT_SKEW_MS);
    expect(waitedMs).toBeLessThanOrEqual(ANNOUNCEMENT_MS + ANNOUNCEMENT_SKEW_MS + 500);
    expect(await isNothingAnnounced(context, () => true)).toBe(true);
  });

  test('what is announced while it waits is not waited for: its worker looks after the hold was written', async () => {
    const context = contextIn();
    await announce(context);
    let polls = 0;
    const clock = {
      now: () => world.clock.now(),
      monotonicMs: () => world.clock.monotonicMs(),
      sleep: async () => {
        if (polls++ > 0) return world.clock.advance(ANNOUNCEMENT_MS + ANNOUNCEMENT_SKEW_MS);
        await inFlight(world.store).removeMany({});
        await announce(context);
      },
    };
    expect(await waitForAnnounced({ ...context, clock }, () => true)).toBe(true);
    expect(polls).toBe(1);
  });

  test('a ledger whose clock stands: given up, and said so', async () => {
    const context = contextIn();
    await announce(context);
    let polls = 0;
    const clock = {
      now: () => world.clock.now(),
      monotonicMs: () => world.clock.monotonicMs(),
      sleep: async () => {
        polls += 1;
      },
    };
    expect(await waitForAnnounced({ ...context, clock }, () => true)).toBe(false);
    expect(polls).toBe((2 * (ANNOUNCEMENT_MS + ANNOUNCEMENT_SKEW_MS)) / 500);
  });

  test('told to stop while it waits: it stops', async () => {
    const context = contextIn();
    await announce(context);
    const signal = AbortSignal.abort('enough');
    await expect(waitForAnnounced({ ...context, signal }, () => true)).rejects.toMatchObject({ code: 'WORK_STOPPED' });
  });
});
