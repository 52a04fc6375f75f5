import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { ClockRefusal, EmulatorClock } from '../../infra/glacier-emulator/clock.ts';
import { Faults, faultKinds } from '../../infra/glacier-emulator/faults.ts';
import { newArchiveId } from '../../infra/glacier-emulator/identifiers.ts';
import { isDeletable, lastInventory } from '../../infra/glacier-emulator/inventory.ts';
import { retrievalDelayMs } from '../../infra/glacier-emulator/job-parameters.ts';
import { operations } from '../../infra/glacier-emulator/operations.ts';
import type { ArchiveRecord } from '../../infra/glacier-emulator/records.ts';
import { LeafHasher, MIB, rangeTreeHash, treeHashOf } from '../../infra/glacier-emulator/tree-hash.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../infra/glacier-emulator/README.md'), 'utf8');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const folders: string[] = [];
const folder = async () => {
  const made = await mkdtemp(join(tmpdir(), 'glacier-emulator-unit-'));
  folders.push(made);
  return made;
};
afterEach(async () => {
  for (const made of folders.splice(0)) await rm(made, { recursive: true });
});

function leavesOf(bytes: Uint8Array): Buffer[] {
  const hasher = new LeafHasher();
  hasher.update(bytes);
  return hasher.leaves();
}

describe('tree hash', () => {
  test('known vectors', () => {
    expect(treeHashOf(leavesOf(Buffer.alloc(MIB, 'a')))).toMatch(/^9bc1b2a2.*b360$/);
    expect(treeHashOf(leavesOf(Buffer.alloc(4 * MIB, 'a')))).toMatch(/^9491cb2e.*b844$/);
    expect(treeHashOf(leavesOf(Buffer.from('abc'.repeat(1_234_567))))).toBe(
      '5a245eddef1227623912286af0a6dd6f1a3cd67ad3d768c1490c2f8a0fafeca9',
    );
  });

  test('the chunks in which bytes arrive do not matter', () => {
    const bytes = Buffer.alloc(3 * MIB + 17, 'x');
    const whole = treeHashOf(leavesOf(bytes));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 2 * MIB }), { minLength: 1 }), (lengths) => {
        const hasher = new LeafHasher();
        let from = 0;
        for (const length of lengths) {
          hasher.update(bytes.subarray(from, from + length));
          from += length;
        }
        hasher.update(bytes.subarray(from));
        expect(treeHashOf(hasher.leaves())).toBe(whole);
      }),
      { numRuns: 10 },
    );
  });

  // The documentation's definition, spelled out: the root of the range is a node of the archive's tree.
  test('a range has a tree hash exactly when it is a node of the tree', () => {
    for (let count = 1; count <= 17; count += 1) {
      const leaves = Array.from({ length: count }, (_, i) => Buffer.alloc(32, i + 1));
      const bytes = count * MIB - 5;
      const nodes = new Map<string, string>();
      let level = leaves.map((leaf, i) => ({ first: i, last: i + 1, hash: leaf.toString('hex') }));
      for (;;) {
        for (const node of level) nodes.set(`${node.first}-${node.last}`, node.hash);
        if (level.length === 1) break;
        level = level.flatMap((left, i) => {
          if (i % 2 === 1) return [];
          const right = level[i + 1];
          if (right === undefined) return [left];
          const hash = treeHashOf([Buffer.from(left.hash, 'hex'), Buffer.from(right.hash, 'hex')]);
          return [{ first: left.first, last: right.last, hash }];
        });
      }
      for (let first = 0; first < count; first += 1) {
        for (let last = first + 1; last <= count; last += 1) {
          const end = Math.min(last * MIB, bytes) - 1;
          expect(rangeTreeHash(leaves, bytes, first * MIB, end)).toBe(nodes.get(`${first}-${last}`) ?? null);
        }
      }
      expect(rangeTreeHash(leaves, bytes, 1, bytes - 1)).toBeNull();
    }
  });
});

describe('clock', () => {
  test('moves forward only, by durations and to instants, and keeps its offset', async () => {
    const state = await folder();
    const clock = await EmulatorClock.open(state);
    const before = clock.nowMs();
    await clock.advance('P1DT6H');
    expect(clock.nowMs()).toBeGreaterThanOrEqual(before + 30 * HOUR);
    await clock.set('2090-01-01T00:00:00Z');
    expect(new Date(clock.nowMs()).toISOString()).toMatch(/^2090-01-01T00:00/);
    for (const refused of ['2089-12-31T23:59:59Z', 'yesterday', '+010000-01-01T00:00:00Z']) {
      await expect(clock.set(refused)).rejects.toThrow(ClockRefusal);
    }
    for (const refused of ['-PT1S', 'PT', '6 hours', 'P9000Y']) {
      await expect(clock.advance(refused)).rejects.toThrow(ClockRefusal);
    }
    await clock.advance('P1M');
    const again = await EmulatorClock.open(state);
    expect(new Date(again.nowMs()).toISOString()).toMatch(/^2090-02-01T00:00/);
    expect(await readdir(state)).toEqual(['clock.json']);
  });

  test('moves at the same time add up', async () => {
    const clock = await EmulatorClock.open(await folder());
    await Promise.all(Array.from({ length: 20 }, () => clock.advance('PT1H')));
    expect(clock.offsetMs()).toBe(20 * HOUR);
  });

  test('knows at which real time it first showed a time: inside a jump, between jumps, after them', async () => {
    const clock = await EmulatorClock.open(await folder());
    const realBefore = Date.now();
    const start = clock.nowMs();
    await clock.advance('P10D');
    const between = clock.nowMs();
    await clock.advance('P10D');
    const realAfter = Date.now();
    for (const [atMs, expected] of [
      [start - HOUR, start - HOUR],
      [start + 5 * DAY, realBefore],
      [between, realBefore],
      [start + 15 * DAY, realAfter],
      [clock.nowMs(), Date.now()],
    ] as const) {
      expect(Math.abs(clock.realTimeOf(atMs) - expected)).toBeLessThan(500);
    }
  });
});

describe('inventory', () => {
  const vault = { name: 'v', region: 'r', createdAtMs: Date.UTC(2026, 0, 1, 12, 0, 0, 700), tags: {} };
  const noon = Date.UTC(2026, 0, 1, 12);
  const archive = (id: string, createdAtMs: number, deletedAtMs: number | null = null): ArchiveRecord => {
    return { id, description: '', bytes: 7, treeHash: '', leaves: '', segments: [], createdAtMs, deletedAtMs };
  };
  const seen = (archives: ArchiveRecord[], nowMs: number) => {
    const inventory = lastInventory(vault, archives, nowMs);
    return inventory === null ? null : { atMs: inventory.atMs, ids: inventory.archives.map(({ id }) => id) };
  };

  test('none before the first slot, and none while nothing was ever uploaded', () => {
    expect(seen([archive('a', noon + 1000)], noon + DAY - 1)).toBeNull();
    expect(seen([], noon + 90 * DAY)).toBeNull();
  });

  test('shows what was there at the slot; what came or went later only from the next one on', () => {
    const archives = [archive('a', noon + 1000, noon + DAY + HOUR), archive('b', noon + DAY + 1)];
    expect(seen(archives, noon + DAY)).toEqual({ atMs: noon + DAY, ids: ['a'] });
    expect(seen(archives, noon + 2 * DAY - 1)).toEqual({ atMs: noon + DAY, ids: ['a'] });
    expect(seen(archives, noon + 2 * DAY)).toEqual({ atMs: noon + 2 * DAY, ids: ['b'] });
  });

  test('keeps its date while nothing changes', () => {
    expect(seen([archive('a', noon + 1000)], noon + 40 * DAY)).toEqual({ atMs: noon + DAY, ids: ['a'] });
  });

  test('dated after the whole second of a change, it shows the change', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5 * DAY }), fc.integer({ min: 0, max: 5 * DAY }), (first, second) => {
        const createdAtMs = vault.createdAtMs + Math.min(first, second);
        const deletedAtMs = vault.createdAtMs + Math.max(first, second);
        const inventory = lastInventory(vault, [archive('a', createdAtMs, deletedAtMs)], noon + 10 * DAY);
        expect(inventory?.archives).toEqual([]);
        expect(inventory?.atMs).toBeGreaterThanOrEqual(deletedAtMs);
        const before = lastInventory(vault, [archive('a', createdAtMs)], noon + 10 * DAY);
        expect(before?.archives).toHaveLength(1);
        expect(before?.atMs).toBeLessThan(createdAtMs + DAY + 1000);
      }),
    );
  });

  test('a vault can be deleted when never written, or empty at the last inventory and not written since', () => {
    const gone = archive('a', noon + HOUR, noon + 2 * HOUR);
    expect(isDeletable(vault, [], noon)).toBe(true);
    expect(isDeletable(vault, [gone], noon + DAY - 1)).toBe(false);
    expect(isDeletable(vault, [gone], noon + DAY)).toBe(true);
    expect(isDeletable(vault, [gone, archive('b', noon + DAY + 1, noon + DAY + 2)], noon + DAY + 3)).toBe(false);
    expect(isDeletable(vault, [archive('c', noon + HOUR)], noon + DAY)).toBe(false);
  });
});

test('faults: matched by operation and vault, counted down, cleared one vault at a time', () => {
  const faults = new Faults();
  faults.add({ match: { vault: 'a' }, times: 2, fault: 'throttle' });
  faults.add({ match: { operation: 'ListJobs', vault: 'b' }, times: 1, fault: 'cut' });
  faults.add({ match: { vault: 'b' }, times: 1, fault: 'corrupt-output' });
  expect(faults.take('CreateVault', 'a')).toBe('throttle');
  expect(faults.take('CreateVault', 'b')).toBeNull();
  expect(faults.take('ListJobs', 'b')).toBe('cut');
  expect(faults.take('ListJobs', 'b')).toBeNull();
  faults.clear({ vault: 'b' });
  expect(faults.take('GetJobOutput', 'b')).toBeNull();
  expect(faults.take('ListVaults', undefined)).toBeNull();
  expect(faults.take('CreateVault', 'a')).toBe('throttle');
  expect(faults.list()).toEqual([]);
});

test('an expedited retrieval of 250 MB or more takes as long as a standard one', () => {
  expect(retrievalDelayMs('Expedited', 249_999_999)).toBe(HOUR / 12);
  expect(retrievalDelayMs('Expedited', 250_000_000)).toBe(5 * HOUR);
  expect(retrievalDelayMs('Standard', 1)).toBe(5 * HOUR);
  expect(retrievalDelayMs('Bulk', 1)).toBe(12 * HOUR);
});

test('archive ids have 138 URL-safe characters, and some begin with a dash', () => {
  const ids = Array.from({ length: 300 }, newArchiveId);
  for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{138}$/);
  expect(ids.some((id) => id.startsWith('-'))).toBe(true);
  expect(ids.some((id) => !id.startsWith('-'))).toBe(true);
});

test('the table has the 33 operations of the service, and so has its page', () => {
  const names = operations.map(({ name }) => name);
  expect(new Set(names).size).toBe(33);
  const [, section = ''] = PAGE.split('## Operations\n');
  const told = [...(section.split('\n## ')[0] ?? '').matchAll(/`([A-Z][A-Za-z]+)`/g)].map(([, name]) => name);
  expect(told.toSorted()).toEqual(names.toSorted());
});

test('its page tells every option and every fault', async () => {
  const program = join(import.meta.dirname, '../../infra/glacier-emulator/main.ts');
  const { stdout: usage } = await execa(process.execPath, [program, '--help']);
  const options = [...usage.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, option]) => option);
  expect([...PAGE.matchAll(/^\| `(--[a-z-]+)/gm)].map(([, option]) => option).toSorted()).toEqual(options.toSorted());
  expect([...PAGE.matchAll(/^\| `([a-z][a-z0-9-]+)` *\|/gm)].map(([, fault]) => fault)).toEqual([...faultKinds]);
});
