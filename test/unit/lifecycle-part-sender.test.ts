/** What leaves for the vault: every byte once, in parts of one size, under a lease, one part on its way at a time. */
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { MoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import { type ArchiveLease, archives, claimArchive } from '../../src/ledger/archives.ts';
import { attempts, openAttempt } from '../../src/ledger/attempts.ts';
import { LEASE_MS } from '../../src/ledger/leases.ts';
import { PartSender } from '../../src/lifecycle/part-sender.ts';
import type { StoredArchive, UploadIntent, VaultPort } from '../../src/vault/port.ts';
import { anArchive, LOCATION } from '../harness/an-archive.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const T1 = id.attempt('t1');
const TOTAL = { bytes: 10, treeHash: 'ab' };
const STORED: StoredArchive = { vaultArchiveId: 'va1', treeHash: 'ab', bytes: 10, at: new Date('2024-06-01') };
const UNKNOWN = new MoraineError('VAULT_OUTCOME_UNKNOWN', 'The reply was lost.');

let world: MemoryWorld;
let lease: ArchiveLease;
let intent: UploadIntent;
/** What reached the vault, in order, as it was when it had arrived. */
let arrived: string[];
let underWay: number;
beforeEach(async () => {
  world = await MemoryWorld.open();
  const { _id: archive, owner, customer, namespace: dataset, policyVersion } = anArchive();
  const of = { archive, attempt: T1, owner, customer, dataset, policyVersion };
  intent = { ...of, installation: 'x', dueAt: '2029-01-02T00:00:00Z' };
  const facts = { _id: T1, archive, epoch: 1, location: LOCATION, intent, partBytes: 4 };
  await openAttempt(world.store, world.clock, facts);
  await archives(world.store).insert(anArchive({ state: 'storing' }));
  const context = world.context();
  lease = await claimArchive(context.store, context.audit, archive, context);
  arrived = [];
  underWay = 0;
});

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

function sender(more: Partial<VaultPort> = {}, partBytes = 4): PartSender {
  const vault = overlay<VaultPort>(world.vault, {
    storeWhole: async (_location, _intent, bytes, treeHash) => {
      arrived.push(`whole ${text(bytes)} ${treeHash}`);
      return STORED;
    },
    beginUpload: async (_location, of, size) => {
      arrived.push(`begin ${size}`);
      return { uploadId: 'u1', partBytes: size, intent: of };
    },
    sendPart: async (_location, { uploadId }, index, bytes) => {
      underWay += 1;
      expect(underWay).toBe(1);
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      arrived.push(`${uploadId} ${index} ${text(bytes)}`);
      underWay -= 1;
    },
    completeUpload: async (_location, { uploadId }, { bytes, treeHash }) => {
      arrived.push(`complete ${uploadId} ${bytes} ${treeHash}`);
      return STORED;
    },
    ...more,
  });
  return new PartSender({ vault, store: world.store }, lease, { location: LOCATION, intent, partBytes });
}

async function take(to: PartSender, ...pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) await to.take(Buffer.from(piece));
}

describe('a file', () => {
  test.each([
    ['nothing', [''], ['whole  ab']],
    ['less than a part: stored in one call', ['a', 'bc'], ['whole abc ab']],
    ['one part to the byte', ['abcd'], ['begin 4', 'u1 0 abcd', 'complete u1 10 ab']],
    ['two parts to the byte', ['abc', 'defgh'], ['begin 4', 'u1 0 abcd', 'u1 1 efgh', 'complete u1 10 ab']],
    ['three parts in one piece', ['abcdefghij'], ['begin 4', 'u1 0 abcd', 'u1 1 efgh', 'u1 2 ij', 'complete u1 10 ab']],
    [
      'four parts, byte by byte',
      [...'abcdefghijklmno'],
      ['begin 4', 'u1 0 abcd', 'u1 1 efgh', 'u1 2 ijkl', 'u1 3 mno', 'complete u1 10 ab'],
    ],
  ])('of %s', async (_, pieces, expected) => {
    const one = sender();
    await take(one, ...pieces);
    expect(await one.finish(TOTAL)).toBe(STORED);
    expect(arrived).toEqual(expected);
  });

  test('larger than the first buffer: its bytes are kept while that grows', async () => {
    const whole: Buffer[] = [];
    const part = 4 * 1024 * 1024;
    const storeWhole: VaultPort['storeWhole'] = async (_location, _intent, bytes) => {
      whole.push(Buffer.from(bytes));
      return STORED;
    };
    const one = sender({ storeWhole }, part);
    const bytes = randomBytes(part - 1);
    for (let at = 0; at < bytes.length; at += 100_000) await one.take(bytes.subarray(at, at + 100_000));
    await one.finish(TOTAL);
    expect(whole[0]?.equals(bytes)).toBe(true);
    expect(arrived).toEqual([]);
  });

  test('its upload is in the ledger before the first part is sent, so that a crash leaves nothing that nobody can find', async () => {
    let known: string | null | undefined;
    const one = sender({
      sendPart: async () => {
        known = (await attempts(world.store).get(T1))?.uploadId;
      },
    });
    await take(one, 'abcd');
    await one.finish(TOTAL);
    expect(known).toBe('u1');
  });
});

describe('a lease at its end', () => {
  test('before the first part, before a later one, before the whole file: the vault is not asked', async () => {
    const one = sender();
    const two = sender();
    const small = sender();
    await take(two, 'abcd');
    await two.settled();
    await take(small, 'abc');
    const before = arrived.length;
    world.clock.advance(LEASE_MS);
    await expect(take(one, 'abcd')).rejects.toMatchObject({ code: 'LEASE_LOST' });
    await expect(take(two, 'efgh')).rejects.toMatchObject({ code: 'LEASE_LOST' });
    await expect(two.finish(TOTAL)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    await expect(small.finish(TOTAL)).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(arrived).toHaveLength(before);
  });

  test.each(['while the last part was sent', 'while it was completed, and the reply was lost'])(
    '%s: it is not completed by this one',
    async (when) => {
      let completions = 0;
      const isLast = when.includes('last part');
      const one = sender({
        sendPart: async (_location, _upload, index) => {
          if (isLast && index === 1) world.clock.advance(LEASE_MS);
        },
        completeUpload: async () => {
          completions += 1;
          world.clock.advance(LEASE_MS);
          throw UNKNOWN;
        },
      });
      await take(one, 'abcdef');
      await expect(one.finish(TOTAL)).rejects.toMatchObject({ code: 'LEASE_LOST' });
      expect(completions).toBe(isLast ? 0 : 1);
    },
  );
});

describe('a failure', () => {
  const away = new MoraineError('VAULT_UNAVAILABLE', 'The vault is away.');

  test('of a part: said with the next full part, again with each after it, and at the end; nothing more is sent', async () => {
    const one = sender({ sendPart: () => Promise.reject(away) });
    await take(one, 'abcd');
    await expect(take(one, 'efgh')).rejects.toBe(away);
    await expect(take(one, 'i')).rejects.toBe(away);
    await expect(one.finish(TOTAL)).rejects.toBe(away);
    await one.settled();
    expect(arrived).toEqual(['begin 4']);
  });

  test('elsewhere, while a part is on its way: settled only when that has arrived', async () => {
    const one = sender();
    await take(one, 'abcd');
    expect(arrived).toEqual(['begin 4']);
    await one.settled();
    expect(arrived).toEqual(['begin 4', 'u1 0 abcd']);
  });

  test('of the completion: asked again once where nobody knows what happened, and not otherwise', async () => {
    const complete = async (errors: readonly MoraineError[]) => {
      const left = [...errors];
      let asked = 0;
      const one = sender({
        completeUpload: async () => {
          asked += 1;
          const error = left.shift();
          if (error !== undefined) throw error;
          return STORED;
        },
      });
      await take(one, 'abcd');
      const outcome = await one.finish(TOTAL).catch((error: unknown) => error);
      return { outcome, asked };
    };
    expect(await complete([UNKNOWN])).toEqual({ outcome: STORED, asked: 2 });
    expect(await complete([UNKNOWN, UNKNOWN])).toEqual({ outcome: UNKNOWN, asked: 2 });
    expect(await complete([away])).toEqual({ outcome: away, asked: 1 });
  });
});
