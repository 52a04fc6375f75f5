/**
 * Who was told what, when, and by which way.
 *
 * News of an owner are found by comparing what is in force with what the owner was told last, one document per owner:
 *
 *     found -> `open` in the owner's document -> one notification for each way -> `open` is taken away again
 *
 * Each step may run twice and on two workers: who is first opens the news under the next number, and the ids of the
 * notifications follow from owner, number and way. So a thing is told once, whoever finds it and wherever a crash cuts.
 *
 * A notification:
 * - `due`: to be sent from `nextTryAt` on.
 * - `sending`: a worker has claimed it until `sendingUntil`, and may be sending. A crash leaves it here; after that time it
 *   is taken for not sent and sent again under the same id, for whoever gets it twice can see that.
 * - `sent`: the other side took it, under `messageId`.
 * - `undelivered`: refused, or tried for as long as we try. A person is needed: `moraine notify send --again`.
 *
 * `unaudited` is the outcome that the audit chain may not have yet; whoever comes next sees to it.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import { type ArchiveId, id, type OwnerId } from '../ids.ts';
import type { News } from '../notify/telling.ts';
import type { AuditEntryBody, AuditLog } from './audit.ts';
import type { LedgerIndex } from './indexes.ts';
import { type LedgerDocument, MAX_CLASHES, type Store, type StoreCollection } from './store.ts';
import type { FoundNews, Told } from './told.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

/** Longer than the longest send with its quick tries (src/notify), so that two workers do not send one message. */
export const SENDING_LASTS_MS = 180_000;
/** With the waits below about a day and a half: a mail server's weekend failure is seen, and passes by itself. */
export const MAX_TRIES = 10;
const FIRST_WAIT_MS = 60_000;
const WAIT_GROWS_BY = 4;
const LONGEST_WAIT_MS = 6 * 3_600_000;

export interface NotificationDocument extends LedgerDocument {
  readonly owner: OwnerId;
  /** Number of the news among those of the owner. */
  readonly sequence: number;
  readonly way: string;
  /** Where it goes, as it may be shown. */
  readonly to: string;
  readonly news: News;
  readonly state: 'due' | 'sending' | 'sent' | 'undelivered';
  readonly foundAt: Date;
  readonly nextTryAt: Date;
  readonly sendingUntil: Date | null;
  readonly tries: number;
  readonly triesLeft: number;
  readonly lastCode: string | null;
  readonly messageId: string | null;
  /** When it was sent, or given up. */
  readonly endedAt: Date | null;
  readonly unaudited: readonly AuditEntryBody[];
}

/** `_id` is the owner. */
interface OwnerNewsDocument extends LedgerDocument {
  readonly sequence: number;
  /** What the owner knows; null: nothing yet. */
  readonly told: Told | null;
  readonly open: { readonly news: News; readonly foundAt: Date } | null;
}

/** `_id` is the archive: its purge was foretold to its owner. */
interface ForetoldDocument extends LedgerDocument {
  readonly owner: OwnerId;
}

const NOTIFICATIONS = 'notifications';

export const NOTIFICATIONS_INDEXES: readonly LedgerIndex[] = [
  { collection: NOTIFICATIONS, keys: { state: 1, nextTryAt: 1 } },
  { collection: NOTIFICATIONS, keys: { owner: 1, foundAt: -1 } },
  { collection: NOTIFICATIONS, keys: { 'unaudited.key': 1 } },
];

/** The same for the same news and way, and good as part of an address: letters and digits. */
export function notificationId(owner: OwnerId, sequence: number, way: string): string {
  const hash = createHash('sha256');
  for (const part of [owner, String(sequence), way]) hash.update(`${Buffer.byteLength(part)}:${part};`);
  return `n${hash.digest('hex').slice(0, 31)}`;
}

/**
 * Settles what was left open, then asks `look` for news against what the owner was told, and makes its notifications.
 * `look` may be called many times. Returns how many notifications are new.
 */
export async function openNews(
  { store, clock }: { readonly store: Store; readonly clock: Clock },
  owner: OwnerId,
  ways: readonly { readonly name: string; readonly to: string }[],
  look: (told: Told | null) => Promise<FoundNews | null>,
): Promise<number> {
  const known = ownerNews(store);
  await known.insert({ _id: owner, v: LEDGER_VERSION, sequence: 0, told: null, open: null });
  for (let clash = 0; clash <= MAX_CLASHES; clash++) {
    const before = await known.get(owner);
    if (before === null) break;
    if (before.open !== null) {
      await settleOpen(store, before, ways);
      continue;
    }
    const found = await look(before.told);
    if (found === null) return 0;
    const sequence = before.sequence + 1;
    const open = { news: found.news, foundAt: clock.now() };
    const after = await known.replace({ ...before, sequence, told: found.told ?? before.told, open });
    if (after !== null) return await settleOpen(store, after, ways);
  }
  throw new MoraineError('LEDGER_CONTENTION', `The news of owner ${owner} changed under us ${MAX_CLASHES} times.`);
}

async function settleOpen(
  store: Store,
  { _id, open, sequence, rev }: OwnerNewsDocument,
  ways: readonly { readonly name: string; readonly to: string }[],
): Promise<number> {
  if (open === null) return 0;
  const owner = id.owner(_id);
  const made = await notifications(store).insertMany(
    ways.map(({ name, to }) => freshNotification(owner, sequence, { way: name, to, ...open })),
  );
  if (open.news.kind === 'purge') {
    await foretold(store).insertMany(open.news.archives.map((archive) => ({ _id: archive, v: LEDGER_VERSION, owner })));
  }
  await update(ownerNews(store), _id, (now) => (now.rev === rev ? { ...now, open: null } : null));
  return made;
}

function freshNotification(
  owner: OwnerId,
  sequence: number,
  of: { readonly way: string; readonly to: string; readonly news: News; readonly foundAt: Date },
): Omit<NotificationDocument, 'rev'> {
  return {
    _id: notificationId(owner, sequence, of.way),
    v: LEDGER_VERSION,
    owner,
    sequence,
    ...of,
    state: 'due',
    nextTryAt: of.foundAt,
    sendingUntil: null,
    tries: 0,
    triesLeft: MAX_TRIES,
    lastCode: null,
    messageId: null,
    endedAt: null,
    unaudited: [],
  };
}

/** Those of the archives whose purge the owner was told of. */
export async function foretoldOf(store: Store, archives: readonly ArchiveId[]): Promise<ReadonlySet<string>> {
  const known = new Set<string>();
  for await (const { _id } of foretold(store).find({ _id: { $in: archives } })) known.add(_id);
  return known;
}

/** Notifications that can be sent now, oldest first: those whose time has come, and those whose worker is gone. */
export async function sendable(store: Store, limit: number): Promise<readonly NotificationDocument[]> {
  const now = await store.serverTime();
  const found: NotificationDocument[] = [];
  const options = { sort: { nextTryAt: 1 }, limit } as const;
  for await (const each of notifications(store).find({ state: 'due', nextTryAt: { $lte: now } }, options))
    found.push(each);
  for await (const each of notifications(store).find({ state: 'sending', sendingUntil: { $lt: now } }, options))
    found.push(each);
  return found;
}

/** Takes it up for one try, and says so in the audit chain before anything is sent. Null: another worker was faster. */
export async function claimNotification(
  { store, audit }: { readonly store: Store; readonly audit: AuditLog },
  found: NotificationDocument,
): Promise<NotificationDocument | null> {
  const until = new Date((await store.serverTime()).getTime() + SENDING_LASTS_MS);
  const claimed = await notifications(store).replace({
    ...found,
    state: 'sending',
    sendingUntil: until,
    tries: found.tries + 1,
    triesLeft: found.triesLeft - 1,
  });
  if (claimed !== null) await audit.appendOnce([entryOf(claimed, 'intent', {})]);
  return claimed;
}

type Outcome =
  | { readonly messageId: string }
  /** `isFinal`: the same would be refused again. */
  | { readonly code: string; readonly isFinal: boolean };

/** Writes what came of a claimed one, unless another worker has taken it over since. */
export async function settleNotification(
  { store, audit, clock }: { readonly store: Store; readonly audit: AuditLog; readonly clock: Clock },
  claimed: NotificationDocument,
  outcome: Outcome,
): Promise<NotificationDocument> {
  const now = await store.serverTime();
  const entry = entryOf(claimed, 'outcome', 'messageId' in outcome ? { messageId: outcome.messageId } : outcome);
  const settled = await notifications(store).replace({
    ...claimed,
    ...endOf(claimed, outcome, now, clock.now()),
    sendingUntil: null,
    unaudited: [entry],
  });
  if (settled === null) {
    // What it does now is the other worker's; that we sent it, too, is said all the same.
    await audit.appendOnce([entry]);
    return claimed;
  }
  return await settleUnaudited(store, audit, settled);
}

function endOf(claimed: NotificationDocument, outcome: Outcome, serverNow: Date, now: Date) {
  if ('messageId' in outcome)
    return { state: 'sent', messageId: outcome.messageId, lastCode: null, endedAt: now } as const;
  if (outcome.isFinal || claimed.triesLeft <= 0)
    return { state: 'undelivered', lastCode: outcome.code, endedAt: now } as const;
  const wait = Math.min(FIRST_WAIT_MS * WAIT_GROWS_BY ** (MAX_TRIES - claimed.triesLeft - 1), LONGEST_WAIT_MS);
  return { state: 'due', lastCode: outcome.code, nextTryAt: new Date(serverNow.getTime() + wait) } as const;
}

async function settleUnaudited(
  store: Store,
  audit: AuditLog,
  settled: NotificationDocument,
): Promise<NotificationDocument> {
  await audit.appendOnce(settled.unaudited);
  return await update(notifications(store), settled._id, (now) =>
    now.rev === settled.rev ? { ...now, unaudited: [] } : null,
  );
}

/** Outcomes that a crash kept out of the audit chain. */
export async function auditNotifications(store: Store, audit: AuditLog): Promise<void> {
  for await (const each of notifications(store).find({ 'unaudited.key': { $gt: '' } }))
    await settleUnaudited(store, audit, each);
}

/** Gives what was not delivered its tries anew. Returns how many. */
export async function sendAgain(store: Store): Promise<number> {
  const now = await store.serverTime();
  let again = 0;
  for await (const { _id } of notifications(store).find({ state: 'undelivered' })) {
    await update(notifications(store), _id, (each): NotificationDocument | null =>
      each.state === 'undelivered'
        ? { ...each, state: 'due', nextTryAt: now, triesLeft: MAX_TRIES, endedAt: null }
        : null,
    );
    again += 1;
  }
  return again;
}

/** Newest news first. */
export function notificationsOf(
  store: Store,
  { owner, limit }: { readonly owner?: OwnerId; readonly limit?: number } = {},
): AsyncIterable<NotificationDocument> {
  const filter = owner === undefined ? {} : { owner };
  return notifications(store).find(filter, {
    sort: { foundAt: -1, _id: 1 },
    ...(limit === undefined ? {} : { limit }),
  });
}

export async function countNotifications(
  store: Store,
): Promise<{ readonly due: number; readonly undelivered: number }> {
  const count = (state: NotificationDocument['state']) => notifications(store).count({ state });
  return { due: (await count('due')) + (await count('sending')), undelivered: await count('undelivered') };
}

function entryOf(
  { _id, owner, way, to, news, sequence, tries }: NotificationDocument,
  phase: 'intent' | 'outcome',
  details: Readonly<Record<string, string | boolean>>,
): AuditEntryBody {
  return {
    key: `${_id}:${tries}:${phase}`,
    act: 'notify',
    phase,
    subject: { owner, notification: _id },
    details: { news: news.kind, sequence, way, to, try: tries, ...aboutOf(news), ...details },
  };
}

function aboutOf(news: News): Readonly<Record<string, string | number | readonly string[]>> {
  if (news.kind === 'in-force')
    return { policies: news.policies.map(({ policy, version }) => `${policy} ${version ?? 'ended'}`) };
  if (news.kind === 'coming') {
    const said = { coming: 'from', withdrawn: 'not from' } as const;
    return {
      policies: news.policies.map(
        ({ policy, version, change, from }) => `${policy} ${version} ${said[change]} ${from}`,
      ),
    };
  }
  const { archives, records, firstAt, lastAt } = news;
  return { archives: archives.length, records, firstAt, lastAt };
}

function notifications(store: Store): StoreCollection<NotificationDocument> {
  return readableCollection<NotificationDocument>(store, NOTIFICATIONS);
}

function ownerNews(store: Store): StoreCollection<OwnerNewsDocument> {
  return readableCollection<OwnerNewsDocument>(store, 'ownerNews');
}

function foretold(store: Store): StoreCollection<ForetoldDocument> {
  return readableCollection<ForetoldDocument>(store, 'foretoldPurges');
}
