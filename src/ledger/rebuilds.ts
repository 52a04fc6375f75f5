/**
 * The rebuild of a lost ledger: one document, written before anything else is. It says that this ledger was begun by a
 * rebuild, so that a cut one goes on and nothing is ever rebuilt into a ledger that knows something.
 *
 * - `running`: vaults are read. All destructive work is stopped by an alarm.
 * - `accepted`: a person has looked, and it goes on as any other ledger. Final.
 */
import type { Clock } from '../clock.ts';
import type { Environment } from '../environment.ts';
import { MoraineError } from '../errors.ts';
import { adoptInstallation } from './installation.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export interface RebuildDocument extends LedgerDocument {
  readonly state: 'running' | 'accepted';
  readonly installation: string;
  readonly environment: Environment;
  readonly begunAt: Date;
  readonly begunBy: string;
  /** All vaults were read to the end of an inventory, and nothing waits for a retrieval. */
  readonly isRead: boolean;
  readonly acceptedAt: Date | null;
  readonly acceptedBy: string | null;
}

const REBUILD_ID = 'rebuild';
/** A ledger with anything in one of these knows something. An installation alone does not: every process makes one. */
const KNOWING = ['archives', 'attempts', 'audit', 'certificates', 'holds', 'approvals', 'policyVersions', 'exceptions'];

/** Goes on with a rebuild that runs. Throws LEDGER_NOT_EMPTY for a ledger that was not begun by one, or is in use since. */
export async function beginRebuild(
  store: Store,
  clock: Clock,
  of: Pick<RebuildDocument, 'installation' | 'environment' | 'begunBy'>,
): Promise<RebuildDocument> {
  let rebuild = await rebuilds(store).get(REBUILD_ID);
  if (rebuild === null) {
    await assertEmpty(store);
    const fresh = {
      state: 'running',
      begunAt: clock.now(),
      isRead: false,
      acceptedAt: null,
      acceptedBy: null,
    } as const;
    await rebuilds(store).insert({ _id: REBUILD_ID, v: LEDGER_VERSION, ...fresh, ...of });
    rebuild = await getRebuild(store);
  }
  if (rebuild.state === 'accepted') throw notEmpty('it was rebuilt before, and is in use');
  if (rebuild.installation !== of.installation)
    throw notEmpty(`a rebuild of installation ${rebuild.installation} was begun in it`);
  await adoptInstallation(store, clock, rebuild.installation, rebuild.environment);
  return rebuild;
}

/** Throws USAGE where none was begun. */
export async function getRebuild(store: Store): Promise<RebuildDocument> {
  const rebuild = await rebuilds(store).get(REBUILD_ID);
  if (rebuild !== null) return rebuild;
  throw new MoraineError('USAGE', 'This ledger was not begun by a rebuild.', { hint: 'Run `moraine rebuild`.' });
}

export async function markRead(store: Store, isRead: boolean): Promise<void> {
  await update(rebuilds(store), REBUILD_ID, (rebuild) => (rebuild.isRead === isRead ? null : { ...rebuild, isRead }));
}

/** Idempotent. Throws USAGE while not everything was read. */
export async function acceptRebuild(store: Store, clock: Clock, by: string): Promise<RebuildDocument> {
  await getRebuild(store);
  return await update(rebuilds(store), REBUILD_ID, (rebuild) => {
    if (rebuild.state === 'accepted') return null;
    if (!rebuild.isRead) {
      throw new MoraineError('USAGE', 'The rebuild has not read everything yet.', {
        hint: 'Run `moraine rebuild` again until it says so.',
      });
    }
    return { ...rebuild, state: 'accepted' as const, acceptedAt: clock.now(), acceptedBy: by };
  });
}

async function assertEmpty(store: Store): Promise<void> {
  for (const name of KNOWING) {
    for await (const _ of store.collection(name).find({}, { limit: 1 })) throw notEmpty(`it has ${name}`);
  }
}

function notEmpty(why: string): MoraineError {
  return new MoraineError('LEDGER_NOT_EMPTY', `This ledger cannot be rebuilt into: ${why}.`);
}

function rebuilds(store: Store): StoreCollection<RebuildDocument> {
  return readableCollection<RebuildDocument>(store, 'rebuilds');
}
