/**
 * Pausing and resuming. The order of pausing is that of placing a hold (hold.ts), for the same reasons: the intent goes
 * into the audit chain; the pause is written, and stops whoever looks from here on; what was announced before is waited
 * for; what it came too late for is named; the outcome goes into the chain; only then it is called `paused`.
 *
 * Nothing is deleted or purged from then on, and nothing new begins. An upload that is under way stops at its next look
 * and is begun anew after the pause.
 */
import { MoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import { findArchives } from '../ledger/archives.ts';
import type { AuditEntryBody } from '../ledger/audit.ts';
import { type PauseDocument, type PauseTarget, pauseName, pauses, pausesInForce, stops } from '../ledger/pauses.ts';
import { update } from '../ledger/update.ts';
import { assertReadable, LEDGER_VERSION } from '../ledger/versions.ts';
import { isNothingAnnounced, waitForAnnounced } from './announced.ts';
import type { Context } from './context.ts';

interface Because {
  readonly by: string;
  readonly reason: string;
}

/**
 * Returns the pause when it is in force. One of the same target that is there is taken on, with the reason that it has.
 * Throws LEDGER_CONTENTION when acts that began before do not end.
 */
export async function pause(context: Context, target: PauseTarget, because: Because): Promise<PauseDocument> {
  const [known] = await pausesOf(context, target);
  return await settlePausing(context, known ?? (await writePause(context, target, because)));
}

/** Lifts what paused exactly this target; other pauses stay. Returns what it lifted: nothing where it was not paused. */
export async function resume(
  context: Context,
  target: PauseTarget,
  because: { readonly by: string; readonly reason: string | null },
): Promise<readonly PauseDocument[]> {
  await settleResumed(context, target);
  const lifted: PauseDocument[] = [];
  for (const found of await pausesOf(context, target)) lifted.push(await lift(context, found, because));
  return lifted;
}

/** Whoever lifted the last one may have been cut before the audit chain said so. */
async function settleResumed(context: Context, { what, name }: PauseTarget): Promise<void> {
  const newest = { sort: { resumedAt: -1 }, limit: 1 } as const;
  for await (const found of pauses(context.store).find({ what, name, state: 'resumed' }, newest)) {
    assertReadable(found);
    await context.audit.appendOnce([resumedEntry(found)]);
  }
}

function resumedEntry(found: PauseDocument): AuditEntryBody {
  return {
    key: `${found._id}:resumed`,
    act: 'resume',
    phase: 'outcome',
    subject: subjectOf(found),
    details: { what: found.what, reason: found.resumeReason, by: found.resumedBy },
  };
}

async function pausesOf(context: Context, { what, name }: PauseTarget): Promise<readonly PauseDocument[]> {
  return (await pausesInForce(context.store)).filter((found) => found.what === what && found.name === name);
}

async function writePause(
  context: Context,
  { what, name }: PauseTarget,
  { by, reason }: Because,
): Promise<PauseDocument> {
  const written = {
    _id: `pause-${context.newId()}`,
    v: LEDGER_VERSION,
    what,
    name,
    state: 'pausing' as const,
    reason,
    pausedBy: by,
    askedAt: context.clock.now(),
    pausedAt: null,
    tooLate: [],
    resumedBy: null,
    resumedAt: null,
    resumeReason: null,
  };
  await context.audit.appendOnce([
    {
      key: `${written._id}:pause`,
      act: 'pause',
      phase: 'intent',
      subject: subjectOf(written),
      details: { what, reason, by },
    },
  ]);
  await pauses(context.store).insert(written);
  return { ...written, rev: 0 };
}

function subjectOf({ _id, what, name }: PauseTarget & { readonly _id: string }): Record<string, string> {
  return { pause: _id, ...(what === 'all' || name === null ? {} : { [what]: name }) };
}

/** Takes one that is `pausing` to `paused`; another is returned as it is. */
export async function settlePausing(context: Context, found: PauseDocument): Promise<PauseDocument> {
  if (found.state !== 'pausing') return found;
  if (!(await waitForAnnounced(context, (entry) => stops(found, entry)))) throw notInForce(found);
  return await establish(context, found);
}

/** As {@link settlePausing}, and leaves it as it is where that takes waiting. */
export async function settlePausingIfFree(context: Context, found: PauseDocument): Promise<PauseDocument> {
  if (found.state !== 'pausing' || !(await isNothingAnnounced(context, (entry) => stops(found, entry)))) return found;
  return await establish(context, found);
}

async function establish(context: Context, found: PauseDocument): Promise<PauseDocument> {
  const tooLate: ArchiveId[] = [];
  for await (const archive of findArchives(context.store, { state: 'purging' })) {
    if (archive.purge?.askedAt != null && stops(found, archive)) tooLate.push(archive._id);
  }
  // Before the pause says so: a crash in between is settled under the same key.
  await context.audit.appendOnce([
    {
      key: `${found._id}:paused`,
      act: 'pause',
      phase: 'outcome',
      subject: subjectOf(found),
      details: { what: found.what, tooLate },
    },
  ]);
  return await update(
    pauses(context.store),
    found._id,
    (now): PauseDocument =>
      now.state === 'pausing' ? { ...now, state: 'paused', pausedAt: context.clock.now(), tooLate } : now,
  );
}

function notInForce(found: PauseDocument): MoraineError {
  return new MoraineError('LEDGER_CONTENTION', `Acts that began before ${pauseName(found)} do not end.`, {
    changed: 'The pause is written and stops every act that looks from now on; it is not reported as in force yet.',
    hint: 'Run `moraine pause list`; it takes the pause on.',
    ids: { pause: found._id },
  });
}

async function lift(
  context: Context,
  found: PauseDocument,
  { by, reason }: { readonly by: string; readonly reason: string | null },
): Promise<PauseDocument> {
  await context.audit.appendOnce([
    {
      key: `${found._id}:resume`,
      act: 'resume',
      phase: 'intent',
      subject: subjectOf(found),
      details: { what: found.what, reason, by },
    },
  ]);
  const resumed = await update(
    pauses(context.store),
    found._id,
    (now): PauseDocument =>
      now.state === 'resumed'
        ? now
        : { ...now, state: 'resumed', resumedBy: by, resumedAt: context.clock.now(), resumeReason: reason },
  );
  await context.audit.appendOnce([resumedEntry(resumed)]);
  return resumed;
}
