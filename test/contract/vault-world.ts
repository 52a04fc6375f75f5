/** What the contract suite needs to know of the world behind a vault, besides the port itself. */
import { setTimeout as wait } from 'node:timers/promises';
import { treeHash } from '../../src/archive/tree-hash.ts';
import { systemClock } from '../../src/clock.ts';
import { MoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import { AbandonedUpload, type Lease, PurgeClaim } from '../../src/ledger/warrants.ts';
import type {
  Inventory,
  InventoryEntry,
  StoredArchive,
  UploadIntent,
  VaultLocation,
  VaultPort,
} from '../../src/vault/port.ts';

export type WorldFault = 'throttle' | 'lost-reply';

export interface VaultWorld {
  readonly port: VaultPort;
  /** The same service, as an installation of production uses it; `port` is a sandbox. */
  readonly production: VaultPort;
  /** A vault with these tags that somebody made, as far as `ensure` asks. */
  plantVault(location: VaultLocation, tags: Readonly<Record<string, string>>): Promise<void>;
  tagsOf(location: VaultLocation): Promise<Readonly<Record<string, string>>>;
  /** A port to a server that is not there. */
  readonly nobody: VaultPort;
  /** Inventories and retrievals take hours, outputs expire, and time can be moved. */
  readonly hasTime: boolean;
  /** A retrieved copy stays for its day when the archive is deleted. */
  readonly outputOutlivesDelete: boolean;
  /** How often each call is sent before its error comes through: once where a repetition would do it twice. */
  readonly tries: Readonly<Record<FaultyCall, number>>;
  /** Asking again for the retrieval of an archive gives the same job, as its copy serves all: no second one, no outcome to wonder about. */
  readonly oneCopyServesAll: boolean;
  /** A retrieval is asked for by a HEAD, whose reply has no body: that it was throttled it does not say. */
  readonly asksByHead?: boolean;
  advanceTime(hours: number): Promise<void>;
  /** Something that somebody else stored there. */
  plant(location: VaultLocation, bytes: Uint8Array, description: string): Promise<void>;
  /** The next `times` requests of that kind fail. */
  fail(location: VaultLocation, call: FaultyCall, fault: WorldFault, times: number): Promise<void>;
}

export type FaultyCall =
  | 'storeWhole'
  | 'beginUpload'
  | 'sendPart'
  | 'completeUpload'
  | 'deleteArchive'
  | 'requestRetrieval'
  | 'retrievalState';

let counter = 0;

/** Ids that no other test uses, in the form that Moraine's own have. */
export function freshIntent(location: VaultLocation): UploadIntent {
  counter += 1;
  return {
    installation: location.installation,
    archive: id.archive(`arc-${process.pid}-${counter}`),
    attempt: id.attempt(`att-${process.pid}-${counter}`),
    owner: location.owner,
    customer: location.customer,
    dataset: 'support.chats',
    dueAt: '2031-06-30T22:00:00.000Z',
    policyVersion: id.policyVersion('3f'.repeat(32)),
  };
}

/** Bytes that differ everywhere, the same for the same seed. */
export function bytesOf(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed * 2654435761 + 1;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export async function store(port: VaultPort, location: VaultLocation, bytes: Uint8Array) {
  const intent = freshIntent(location);
  const stored = await port.storeWhole(location, intent, bytes, treeHash(bytes));
  return { intent, stored };
}

const heldLease: Lease = { epoch: 1, assertHeld: () => {} };

const lostLease: Lease = {
  epoch: 1,
  assertHeld: () => {
    throw new MoraineError('LEASE_LOST', 'Another worker has it.');
  },
};

export function claimOf(intent: UploadIntent, stored: StoredArchive, state: 'good' | 'lost' | 'ended' = 'good') {
  const lease = state === 'lost' ? lostLease : heldLease;
  const endsAtMs = systemClock.monotonicMs() + (state === 'ended' ? -1 : 60_000);
  return PurgeClaim.issue(intent.archive, stored.vaultArchiveId, lease, endsAtMs, systemClock);
}

export function abandoned(intent: UploadIntent): AbandonedUpload {
  return AbandonedUpload.issue(intent.attempt);
}

/** More than any job takes. */
const JOB_HOURS = 13;
const DAY_HOURS = 24;
const ROUNDS = 60;
/** Where time cannot be moved, the next second is waited for: dates at the service have whole ones. */
const POLL_MS = 250;

/** Asks as the lifecycle does, moving time, until an inventory is younger than `after`. */
export async function inventoryAfter(world: VaultWorld, location: VaultLocation, after: Date): Promise<Inventory> {
  let jobId = await world.port.requestInventory(location);
  for (let round = 0; round < ROUNDS; round += 1) {
    const { state } = await world.port.inventoryState(location, jobId);
    if (state === 'ready') {
      const inventory = await world.port.readInventory(location, jobId);
      if (inventory.inventoryDate > after) return inventory;
      if (world.hasTime) await world.advanceTime(DAY_HOURS);
      else await wait(POLL_MS);
      jobId = await world.port.requestInventory(location);
    } else if (state === 'gone') {
      jobId = await world.port.requestInventory(location);
    } else {
      await world.advanceTime(JOB_HOURS);
    }
  }
  throw new Error('no inventory came that is young enough');
}

export async function listed(inventory: Inventory): Promise<InventoryEntry[]> {
  const entries: InventoryEntry[] = [];
  for await (const entry of inventory.entries()) entries.push(entry);
  return entries;
}

/** Waits for a retrieval as the lifecycle does. */
export async function finish(world: VaultWorld, location: VaultLocation, jobId: string): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const { state } = await world.port.retrievalState(location, jobId);
    if (state === 'ready') return;
    if (state === 'gone') throw new Error('the retrieval is gone');
    await world.advanceTime(JOB_HOURS);
    if (!world.hasTime) await wait(POLL_MS);
  }
  throw new Error('the retrieval did not end');
}

export async function retrieveWhole(
  world: VaultWorld,
  location: VaultLocation,
  stored: StoredArchive,
): Promise<Uint8Array> {
  const jobId = await world.port.requestRetrieval(location, stored.vaultArchiveId, 'standard', null);
  await finish(world, location, jobId);
  return world.port.readRetrieval(location, jobId, { start: 0, end: stored.bytes });
}
