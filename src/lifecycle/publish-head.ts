/**
 * Publishing heads of the audit chain, hourly, also when nothing happened: each is signed, names the one before, and goes
 * to a place where it can be neither changed nor removed. Whoever has them needs not trust the ledger (verify-heads.ts).
 *
 * The order, and why: the place says which head is its newest; the chain says that one is about to be published; then the
 * head is written under the next number, if nothing is there. Of two who publish at once one is in, and the other finds
 * its number taken. A reply that was lost is answered by what stands there. A crash anywhere leaves a head that the next
 * one finds.
 */
import { errorClass, isMoraineError, MoraineError } from '../errors.ts';
import { endAlarm, raiseAlarm } from '../ledger/alarms.ts';
import { auditHead } from '../ledger/audit.ts';
import { type AuditHeadsDocument, readNewestHead, rememberHead, wantHeads } from '../ledger/audit-heads.ts';
import { newestNumber } from '../ledger/certificates.ts';
import { addPeriod, periodOf } from '../policy/period.ts';
import type { HeadsPlace } from '../vault/heads-port.ts';
import {
  type AuditHeadText,
  EMPTY_CHAIN,
  headBody,
  headFile,
  headSha256,
  readHead,
  type SignedHead,
} from './audit-head.ts';
import { assertNotStopped, type Context } from './context.ts';

/** What moraine.yaml says of audit heads, and where they go. */
export interface HeadsSettings {
  readonly place: HeadsPlace;
  /** ISO 8601: for how long each is kept from being deleted. */
  readonly retain: string;
  /** The newest may be this old before it is an alarm. */
  readonly lateAfterMs: number;
}

export interface PublishReport {
  /** `there`: one was published since `unlessSince`, by whoever. */
  readonly state: 'published' | 'there';
  readonly head: AuditHeadText;
  readonly place: string;
}

/** How many others may take the number before us in one call: two daemons and a person never do. */
const MOST_RACES = 20;

/**
 * Publishes the next head. `unlessSince`: nothing is done where one was published at or after it. Throws USAGE where
 * moraine.yaml names no place, AUDIT_HEADS_REFUSED, AUDIT_HEADS_BROKEN, and what the place throws; then there is an alarm
 * once the newest is too old.
 */
export async function publishHead(
  context: Context,
  { unlessSince = null }: { readonly unlessSince?: Date | null } = {},
): Promise<PublishReport> {
  const settings = headsOf(context);
  await wantHeads(context.store, context.clock);
  try {
    const report = await publishNext(context, settings, unlessSince);
    await endAlarm(context.store, 'AUDIT_HEADS_LATE');
    return report;
  } catch (error) {
    if (!isMoraineError(error, 'WORK_STOPPED')) await lookAtHeads(context, error);
    throw error;
  }
}

async function publishNext(
  context: Context,
  { place, retain }: HeadsSettings,
  unlessSince: Date | null,
): Promise<PublishReport> {
  const { audit, clock, store, installation } = context;
  await place.assertWriteOnce();
  for (let race = 0; race < MOST_RACES; race++) {
    assertNotStopped(context);
    const before = await newestIn(context, place);
    if (before.head !== null && unlessSince !== null && new Date(before.head.at) >= unlessSince)
      return { state: 'there', head: before.head, place: place.name };
    const number = before.number + 1;
    const entry = { act: 'audit head publish', subject: { head: `${number}` } };
    await audit.appendOnce([
      { ...entry, key: `audit-head:${number}:intent`, phase: 'intent', details: { place: place.name } },
    ]);
    const { seq, hash } = (await auditHead(store)) ?? EMPTY_CHAIN;
    const at = clock.now();
    const head: AuditHeadText = {
      ...{ format: 'moraine-audit-head', version: 1, installation: installation.id },
      ...{ environment: installation.environment, number, previous: before.sha256, at: at.toISOString(), seq, hash },
      certificates: await newestNumber(store),
    };
    const body = headBody(head);
    const bytes = headFile(body, await context.keys.sign(Buffer.from(body, 'utf8')));
    const retainUntil = new Date(addPeriod(at.getTime(), periodOf(retain), 'UTC'));
    if (!(await isOursThere(place, number, bytes, () => place.publish(number, bytes, retainUntil)))) continue;
    await rememberHead(store, { number, sha256: headSha256(body), at, seq, place: place.name });
    await audit.appendOnce([
      { ...entry, key: `audit-head:${number}:outcome`, phase: 'outcome', details: { place: place.name, seq } },
    ]);
    return { state: 'published', head, place: place.name };
  }
  throw new MoraineError('LEDGER_CONTENTION', `Others published audit heads ${MOST_RACES} times before us.`);
}

/** A reply that says "taken", or none at all: what stands there says whose it is. */
async function isOursThere(
  place: HeadsPlace,
  number: number,
  bytes: Uint8Array,
  publish: () => Promise<'published' | 'taken'>,
): Promise<boolean> {
  let failed: unknown = null;
  try {
    if ((await publish()) === 'published') return true;
  } catch (error) {
    if (errorClass(error) !== 'retry' && errorClass(error) !== 'unknown') throw error;
    failed = error;
  }
  for await (const there of place.heads(number)) {
    if (there.number > number) break;
    return Buffer.from(there.bytes).equals(bytes);
  }
  if (failed !== null) throw failed;
  return false;
}

interface Before {
  readonly number: number;
  readonly sha256: string | null;
  readonly head: AuditHeadText | null;
}

/** By the place's own word; the ledger's says only where to look from, and that nothing is missing there. */
async function newestIn(context: Context, place: HeadsPlace): Promise<Before> {
  const { newest } = await wantHeads(context.store, context.clock);
  // Another place than before: the chain of heads goes on there.
  const begin = newest !== null && newest.place === place.name ? newest : null;
  let last: SignedHead | null = null;
  for await (const { number, bytes } of place.heads(begin?.number ?? 1)) {
    const read = readHead(bytes);
    if (read === null || read.head.number !== number || read.head.installation !== context.installation.id)
      throw broken(place, `no. ${number} is no head of this installation`);
    last = read;
  }
  if (last === null) {
    if (begin !== null) throw broken(place, `no. ${begin.number} was published there, and is gone`);
    return { number: newest?.number ?? 0, sha256: newest?.sha256 ?? null, head: null };
  }
  if (!(await context.keys.verify(Buffer.from(last.body, 'utf8'), last.signature)))
    throw broken(place, `the signature of no. ${last.head.number} does not hold`);
  const { number, at, seq } = last.head;
  const sha256 = headSha256(last.body);
  await rememberHead(context.store, { number, sha256, at: new Date(at), seq, place: place.name });
  return { number, sha256, head: last.head };
}

/** Raises the alarm where the newest head is too old, and ends it where it is not. Does nothing where none are wanted. */
export async function lookAtHeads(context: Context, reason: unknown = null): Promise<void> {
  const { heads, clock, store } = context;
  if (heads === undefined) return;
  const known = await wantHeads(store, clock);
  const lateMs = clock.now().getTime() - newestAt(known).getTime();
  if (lateMs <= heads.lateAfterMs) return await endAlarm(store, 'AUDIT_HEADS_LATE');
  const newest =
    known.newest === null
      ? `No audit head was published since ${known.since.toISOString()}`
      : `The newest audit head, no. ${known.newest.number}, is of ${known.newest.at.toISOString()}`;
  const why = reason instanceof MoraineError ? ` The last try failed: ${reason.code}, ${reason.message}` : '';
  // Without a reason what an earlier look has said of it stays.
  const text = `${newest} (${heads.place.name}).${why}`;
  await raiseAlarm(store, clock, 'AUDIT_HEADS_LATE', text);
}

function newestAt({ newest, since }: AuditHeadsDocument): Date {
  return newest?.at ?? since;
}

/** How old the newest head is, in ms; null where none was ever wanted. */
export async function headAgeMs(context: Pick<Context, 'store'>, now: Date): Promise<number | null> {
  const known = await readNewestHead(context.store);
  return known === null ? null : Math.max(0, now.getTime() - newestAt(known).getTime());
}

export function headsOf({ heads }: Context): HeadsSettings {
  if (heads !== undefined) return heads;
  throw new MoraineError('USAGE', 'moraine.yaml names no place for audit heads.', {
    hint: 'Name one: `audit: { heads: { bucket, region, prefix, retain } }`.',
  });
}

function broken(place: HeadsPlace, why: string): MoraineError {
  return new MoraineError('AUDIT_HEADS_BROKEN', `In ${place.name}: ${why}.`, { ids: { place: place.name } });
}
