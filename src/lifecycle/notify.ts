/**
 * Notify: tell owners what changed for them, and what will be destroyed.
 *
 *  1. Find: what is in force for each owner, and what will be, against what it was told last; archives whose purge comes
 *     near, against those that were foretold. Found, not reported by whoever changes something: a crash after a publish loses nothing.
 *  2. Send what is due, an intent in the audit chain before and the outcome after.
 *
 * Both run again and again and on many workers; src/ledger/notifications.ts says why each thing is told once. An owner or a
 * way that fails stops no other. Nothing is destroyed later because somebody could not be told: that is an alarm.
 */
import pMap from 'p-map';
import { errorClass, isMoraineError, MoraineError } from '../errors.ts';
import type { OwnerId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { findArchives } from '../ledger/archives.ts';
import {
  auditNotifications,
  claimNotification,
  foretoldOf,
  type NotificationDocument,
  openNews,
  sendable,
  settleNotification,
} from '../ledger/notifications.ts';
import { inForceSince } from '../ledger/policies.ts';
import { type FoundNews, NOTHING_TOLD, type Told } from '../ledger/told.ts';
import type { Notifying, NotifyWay } from '../notify/port.ts';
import type { InForceNews, PolicyNews, PurgeNews } from '../notify/telling.ts';
import { termsOf } from '../policy/terms.ts';
import { comingNews, type PolicyComing } from './coming-news.ts';
import { assertNotStopped, type Context, dueNow } from './context.ts';
import { allInForce, canMeet, isAbout, type PolicyInForce } from './owner-in-force.ts';
import { pinnedPolicy } from './published.ts';

export interface NotifyReport {
  /** Notifications that are new. */
  readonly found: number;
  readonly sent: readonly SentNotification[];
  /** Tried without success; tried again at the time that is named, or given up (null). */
  readonly failed: readonly (SentNotification & { readonly code: string; readonly nextTryAt: Date | null })[];
}

export interface SentNotification {
  readonly id: string;
  readonly owner: OwnerId;
  readonly way: string;
  readonly to: string;
  readonly kind: string;
}

/** Sends at once: a way that hangs holds up no other for long. */
const SENT_AT_ONCE = 4;
/** Taken up in one go; more wait for the next look, minutes later. */
const MOST_AT_A_LOOK = 500;
/** Archives named in one message about purges; more make another. */
const MOST_FORETOLD = 5_000;
const LOOKED_UP_AT_ONCE = 500;
const DAY_MS = 86_400_000;

const NOBODY: NotifyReport = { found: 0, sent: [], failed: [] };

/** Finds news and sends what is due. Does nothing where moraine.yaml names no way. */
export async function notifyOwners(context: Context): Promise<NotifyReport> {
  const { notifying } = context;
  if (notifying === undefined || notifying.ways.length === 0) return NOBODY;
  await auditNotifications(context.store, context.audit);
  const found = await findNews(context, notifying);
  return { found, ...(await sendDue(context, notifying.ways)) };
}

async function findNews(context: Context, notifying: Notifying): Promise<number> {
  const inForce = await withComing(context);
  const purges = await comingPurges(context, notifying);
  let found = 0;
  for (const owner of context.owners) {
    assertNotStopped(context);
    const ways = waysTo(notifying.ways, owner);
    // Whoever cannot be reached is told everything once there is a way.
    if (ways.length === 0) continue;
    try {
      found += await openNews(context, owner, ways, async (told) => inForceNews(context, owner, inForce, told));
      found += await openNews(context, owner, ways, async (told) => comingNews(context, owner, inForce, told));
      found += await openNews(context, owner, ways, async () => purgeNews(context, purges.get(owner) ?? [], notifying));
    } catch (error) {
      if (isMoraineError(error, 'WORK_STOPPED') || errorClass(error) === 'retry') throw error;
      context.log.error({ owner, code: codeOf(error) }, 'The news of this owner cannot be found; others are told.');
    }
  }
  return found;
}

async function withComing(context: Context): Promise<readonly PolicyComing[]> {
  return await Promise.all(
    (await allInForce(context)).map(async (each) => {
      if (each.coming === null) return { ...each, next: null };
      const { version } = each.coming;
      const policy = await pinnedPolicy(context.store, version);
      return { ...each, next: { policy, version, from: inForceSince(each.coming) } };
    }),
  );
}

function waysTo(ways: readonly NotifyWay[], owner: OwnerId) {
  return ways.flatMap((way) => {
    const to = way.addressOf(owner);
    return to === null ? [] : [{ name: way.name, to }];
  });
}

function inForceNews(
  context: Context,
  owner: OwnerId,
  inForce: readonly PolicyInForce[],
  told: Told | null,
): FoundNews | null {
  const mine = inForce.filter(({ policy }) => canMeet(policy, owner));
  const exceptions = mine.flatMap((each) =>
    each.exceptions.filter((one) => isAbout(one, owner, null)).map(({ id }) => id),
  );
  const before = told ?? NOTHING_TOLD;
  const news: InForceNews = {
    kind: 'in-force',
    policies: [
      ...mine.map((each) => policyNews(context, owner, each, before)),
      ...before.policies
        .filter(({ policy }) => !mine.some((each) => each.policy.name === policy))
        .map(({ policy, version }): PolicyNews => {
          return { policy, change: 'ended', version: null, previous: version, since: null, terms: null };
        }),
    ],
    exceptions: {
      inForce: exceptions.length,
      granted: exceptions.filter((id) => !before.exceptions.includes(id)).length,
      ended: before.exceptions.filter((id) => !exceptions.includes(id)).length,
    },
  };
  const isNews =
    news.policies.some(({ change }) => change !== 'same') || news.exceptions.granted + news.exceptions.ended > 0;
  if (!isNews) return null;
  return {
    news,
    told: { ...before, policies: mine.map(({ policy, version }) => ({ policy: policy.name, version })), exceptions },
  };
}

function policyNews(
  { installation }: Context,
  owner: OwnerId,
  { policy, version, since }: PolicyInForce,
  before: Told,
): PolicyNews {
  const previous = before.policies.find((each) => each.policy === policy.name)?.version ?? null;
  return {
    policy: policy.name,
    change: previous === null ? 'new' : previous === version ? 'same' : 'changed',
    version,
    previous,
    since: since.toISOString(),
    terms: termsOf(policy, { owner, customer: null }, installation.environment),
  };
}

/** By owner: archives that will be due for purge within the days that moraine.yaml names, and were not foretold. */
async function comingPurges(
  context: Context,
  { beforePurge }: Notifying,
): Promise<ReadonlyMap<OwnerId, readonly ArchiveDocument[]>> {
  const coming = new Map<OwnerId, ArchiveDocument[]>();
  if (beforePurge === null) return coming;
  const until = new Date(dueNow(context).getTime() + beforePurge.days * DAY_MS);
  const found = findArchives(context.store, { state: 'cleared', dueAt: { $lte: until } }, { sort: { dueAt: 1 } });
  for await (const batch of inBatches(found)) {
    const told = await foretoldOf(
      context.store,
      batch.map(({ _id }) => _id),
    );
    for (const archive of batch) {
      const mine = coming.get(archive.owner) ?? [];
      if (!told.has(archive._id) && mine.length < MOST_FORETOLD) mine.push(archive);
      coming.set(archive.owner, mine);
    }
  }
  return coming;
}

async function* inBatches(found: AsyncIterable<ArchiveDocument>): AsyncIterable<readonly ArchiveDocument[]> {
  let batch: ArchiveDocument[] = [];
  for await (const archive of found) {
    batch.push(archive);
    if (batch.length < LOOKED_UP_AT_ONCE) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

async function purgeNews(
  { store }: Context,
  coming: readonly ArchiveDocument[],
  { beforePurge }: Notifying,
): Promise<FoundNews | null> {
  // Another worker may have told of some since.
  const told = await foretoldOf(
    store,
    coming.map(({ _id }) => _id),
  );
  const archives = coming.filter(({ _id }) => !told.has(_id));
  const records = sum(archives);
  const [first] = archives;
  if (beforePurge === null || first === undefined || records < beforePurge.records) return null;
  const dates = archives.flatMap(({ dueAt }) => (dueAt === null ? [] : [dueAt.toISOString()])).sort();
  const policies = [...new Set(archives.map(({ policy }) => policy))].sort();
  const news: PurgeNews = {
    kind: 'purge',
    archives: archives.map(({ _id }) => _id),
    records,
    customers: new Set(archives.map(({ customer }) => customer)).size,
    firstAt: dates[0] ?? '',
    lastAt: dates.at(-1) ?? '',
    byPolicy: policies.map((policy) => {
      const ofPolicy = archives.filter((archive) => archive.policy === policy);
      return { policy, archives: ofPolicy.length, records: sum(ofPolicy) };
    }),
  };
  return { news };
}

function sum(archives: readonly ArchiveDocument[]): number {
  return archives.reduce((total, { outcomes }) => total + outcomes.archived, 0);
}

async function sendDue(context: Context, ways: readonly NotifyWay[]): Promise<Pick<NotifyReport, 'sent' | 'failed'>> {
  const sent: SentNotification[] = [];
  const failed: NotifyReport['failed'][number][] = [];
  const byName = new Map(ways.map((way) => [way.name, way]));
  const due = await sendable(context.store, MOST_AT_A_LOOK);
  await pMap(
    due,
    async (found) => {
      // What is being sent is settled before the work ends; what was not begun waits.
      if (context.signal?.aborted) return;
      const settled = await sendOne(context, found, byName.get(found.way) ?? null);
      if (settled === null) return;
      const { _id: id, owner, way, to, news, state, lastCode, nextTryAt } = settled;
      const told = { id, owner, way, to, kind: news.kind };
      if (state === 'sent') sent.push(told);
      else failed.push({ ...told, code: lastCode ?? 'INTERNAL', nextTryAt: state === 'due' ? nextTryAt : null });
    },
    { concurrency: SENT_AT_ONCE },
  );
  assertNotStopped(context);
  return { sent, failed };
}

/** Null: another worker took it up. */
async function sendOne(
  context: Context,
  found: NotificationDocument,
  way: NotifyWay | null,
): Promise<NotificationDocument | null> {
  const claimed = await claimNotification(context, found);
  if (claimed === null) return null;
  const outcome = await trySending(context, claimed, way);
  const settled = await settleNotification(context, claimed, outcome);
  const ids = { notification: claimed._id, owner: claimed.owner, way: claimed.way, try: claimed.tries };
  if ('messageId' in outcome) context.log.info(ids, 'The owner was told.');
  else if (settled.state === 'undelivered') context.log.error({ ...ids, ...outcome }, 'The owner could not be told.');
  else context.log.warn({ ...ids, ...outcome }, 'The owner could not be told yet.');
  return settled;
}

type Outcome = Parameters<typeof settleNotification>[2];

async function trySending(
  { installation, signal, log }: Context,
  { _id, owner, news, foundAt, way: name }: NotificationDocument,
  way: NotifyWay | null,
): Promise<Outcome> {
  // It may come back to moraine.yaml: a person says so.
  if (way === null || way.addressOf(owner) === null) {
    log.warn({ owner, way: name, code: 'NOTICE_REFUSED' }, 'moraine.yaml has no such way to the owner.');
    return { code: 'NOTICE_REFUSED', isFinal: true };
  }
  try {
    const { id, environment } = installation;
    return await way.send({ id: _id, owner, installation: id, environment, at: foundAt, news }, signal);
  } catch (error) {
    const isFinal = !['retry', 'later', 'unknown'].includes(errorClass(error));
    return { code: codeOf(error), isFinal };
  }
}

function codeOf(error: unknown): string {
  return error instanceof MoraineError ? error.code : 'INTERNAL';
}
