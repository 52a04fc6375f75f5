/**
 * A key store that was restored from a backup: it holds keys that were destroyed since, and lacks those that were made
 * since. Until the destructions that the ledger knows are replayed (`moraine keys replay`), nothing is archived, cleared or
 * purged: a certificate must not say that a key is gone while another like it came back, and what is sealed now would
 * rest on a store in which something is wrong.
 *
 * The newest destructions tell: a backup lacks those first. The ledger says that a key is destroyed only after every key
 * store has said so, hence a store that is current is never taken for one that is behind.
 */
import { MoraineError } from '../errors.ts';
import type { AttemptId } from '../ids.ts';
import { endAlarm, raiseAlarm } from '../ledger/alarms.ts';
import { attempts } from '../ledger/attempts.ts';
import type { Context } from './context.ts';

/** Newest ended attempts that are asked about. */
const RECENTLY_ENDED = 10;

type Parts = Pick<Context, 'store' | 'clock' | 'keys'>;

/** True when a key store lacks the destruction of one of the newest ended attempts. Throws when it cannot be asked. */
export async function isKeyStoreBehind({ store, keys }: Pick<Parts, 'store' | 'keys'>): Promise<boolean> {
  if (keys.isBehind === undefined) return false;
  const newest: AttemptId[] = [];
  const options = { sort: { keyDestroyedAt: -1 }, limit: RECENTLY_ENDED } as const;
  for await (const { _id } of attempts(store).find({ keyDestroyedAt: { $gt: new Date(0) } }, options)) newest.push(_id);
  return newest.length > 0 && (await keys.isBehind(newest));
}

/** Raises the alarm and throws KEY_STORE_BEHIND. */
export async function assertKeyStoreIsCurrent(parts: Parts): Promise<void> {
  if (!(await isKeyStoreBehind(parts))) return;
  const text =
    'A key store holds keys that were destroyed: it was restored from a backup. `moraine keys replay` destroys them again.';
  await raiseAlarm(parts.store, parts.clock, 'KEY_STORE_BEHIND', text);
  throw new MoraineError('KEY_STORE_BEHIND', text);
}

const PAGE = 500;

/** Every attempt whose key the ledger says is destroyed, a page at a time. */
export async function* destroyedAttempts({ store }: Pick<Parts, 'store'>): AsyncGenerator<AttemptId> {
  for (let after = ''; ; ) {
    const page: AttemptId[] = [];
    const filter = { keyDestroyedAt: { $gt: new Date(0) }, _id: { $gt: after } };
    for await (const { _id } of attempts(store).find(filter, { sort: { _id: 1 }, limit: PAGE })) page.push(_id);
    for (const attempt of page) {
      after = attempt;
      yield attempt;
    }
    if (page.length < PAGE) return;
  }
}

/** The replay is done: work goes on. Throws KEY_STORE_BEHIND where it is not. */
export async function endKeyStoreAlarm(parts: Parts): Promise<void> {
  await assertKeyStoreIsCurrent(parts);
  await endAlarm(parts.store, 'KEY_STORE_BEHIND');
}
