/**
 * Another purge date for archives that exist. A change of the policy never moves it: archives keep what they were planned
 * under, so this is the one way, recorded in the archive itself.
 *
 * - Later takes effect at once: it keeps more. A vault that locks archives is told after the ledger.
 * - Earlier always takes an approval, of exactly these archives with the date that each has and the date that each gets.
 *   Where an archive is no longer as it was shown, it is another set, and another approval. A vault that locks archives is
 *   told before the ledger; one that locks for good (compliance) refuses before anybody is asked.
 *
 * Each archive is changed under its lease, by the date that was read before: a purge claims by the same date, so one of the
 * two sees the other. What is being purged already is refused; no copy comes back by a date.
 */
import { isMoraineError, MoraineError } from '../errors.ts';
import type { ArchiveId, CustomerId, OwnerId } from '../ids.ts';
import type { ArchiveDocument, Reschedule } from '../ledger/archive-document.ts';
import { amendArchive, claimArchive, findArchives, getArchive, settleAudit } from '../ledger/archives.ts';
import type { AuditEntryBody } from '../ledger/audit.ts';
import { addPeriod, periodOf } from '../policy/period.ts';
import { type ApprovalRequest, requireApproval } from './approval.ts';
import { assertNotStopped, type Context } from './context.ts';
import { assertMayGoEarlier, bringLaterLock, bringLock, isLocked } from './guard-archives.ts';
import { pinnedPolicy } from './published.ts';

export interface RescheduleAsk {
  readonly policy: string;
  readonly owner: OwnerId | null;
  readonly customer: CustomerId | null;
  /** `period`: ISO 8601, counted from when the last of the archive's records became due. */
  readonly to: { readonly due: Date } | { readonly period: string };
  readonly reason: string;
}

/** One archive, and the dates that it has and gets. */
export interface RescheduleStep {
  readonly archive: ArchiveId;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly records: number;
  readonly bytes: number;
  readonly from: Date;
  readonly to: Date;
}

export interface ReschedulePlan {
  readonly ask: RescheduleAsk;
  readonly later: readonly RescheduleStep[];
  readonly earlier: readonly RescheduleStep[];
  readonly unchanged: number;
  /** Being purged: too late. */
  readonly purging: readonly ArchiveId[];
}

export interface RescheduleReport {
  readonly moved: readonly ArchiveId[];
  /** Not as they were shown any more; nothing was changed in them. */
  readonly left: readonly { readonly archive: ArchiveId; readonly text: string }[];
}

const WITH_A_DATE = ['stored', 'verified', 'cleared', 'purging'] as const;
const PLANNED_AT_MOST = 10_000;

/** Reads only. Throws USAGE for more archives than one person looks through. */
export async function planReschedule(context: Context, ask: RescheduleAsk): Promise<ReschedulePlan> {
  const steps: RescheduleStep[] = [];
  const purging: ArchiveId[] = [];
  const filter = {
    policy: ask.policy,
    state: { $in: WITH_A_DATE },
    ...(ask.owner === null ? {} : { owner: ask.owner }),
    ...(ask.customer === null ? {} : { customer: ask.customer }),
  };
  for await (const archive of findArchives(context.store, filter, { sort: { _id: 1 } })) {
    if (archive.state === 'purging') {
      purging.push(archive._id);
      continue;
    }
    if (archive.dueAt === null || archive.stored === null) continue;
    if (steps.length === PLANNED_AT_MOST) {
      throw new MoraineError('USAGE', `More than ${PLANNED_AT_MOST} archives.`, {
        hint: 'Name an owner or a customer.',
      });
    }
    const { _id, owner, customer, dueAt, stored } = archive;
    const to = await newDate(context, archive, ask);
    if (to < dueAt) assertMayGoEarlier(context, archive);
    steps.push({ archive: _id, owner, customer, records: stored.records, bytes: stored.bytes, from: dueAt, to });
  }
  return {
    ask,
    later: steps.filter(({ from, to }) => to > from),
    earlier: steps.filter(({ from, to }) => to < from),
    unchanged: steps.filter(({ from, to }) => to.getTime() === from.getTime()).length,
    purging,
  };
}

/**
 * A period counts from when the last of the records became due, which the newest trigger tells where all records have the
 * same period. An addendum goes on the day of the archive that it belongs to.
 */
async function newDate(context: Context, archive: ArchiveDocument, ask: RescheduleAsk): Promise<Date> {
  const { to } = ask;
  if ('due' in to) return to.due;
  const { stored, policyVersion, addendumTo } = archive;
  if (addendumTo !== undefined) return await newDate(context, await getArchive(context.store, addendumTo), ask);
  const policy = await pinnedPolicy(context.store, policyVersion);
  const { active, trigger, zone, rules = [] } = policy;
  const hasOnePeriod =
    trigger.kind !== 'composite' &&
    rules.length === 0 &&
    (archive.plan.exceptions ?? []).length === 0 &&
    (active === null || typeof active === 'string');
  if (stored === null || !hasOnePeriod) {
    throw new MoraineError('USAGE', `When the records of archive ${archive._id} became due depends on each of them.`, {
      hint: 'Pass --due DATE instead of --for PERIOD.',
      ids: { archive: archive._id },
    });
  }
  const newest = stored.triggerTo.getTime();
  const lastDue = active === null ? newest : addPeriod(newest, periodOf(active), zone);
  return new Date(addPeriod(lastDue, periodOf(to.period), zone));
}

/** Throws APPROVAL_NEEDED and APPROVAL_REFUSED before anything is changed, also what would be later. */
export async function rescheduleArchives(
  context: Context,
  plan: ReschedulePlan,
  by: string,
): Promise<RescheduleReport> {
  const approval = plan.earlier.length === 0 ? null : await approvalOf(context, plan, by);
  const moved: ArchiveId[] = [];
  const left: RescheduleReport['left'][number][] = [];
  for (const step of [...plan.later, ...plan.earlier]) {
    assertNotStopped(context);
    const isEarlier = step.to < step.from;
    const change = { to: step.to, from: step.from, by, reason: plan.ask.reason, approval: isEarlier ? approval : null };
    const text = await orHeld(moveDate(context, step, change));
    if (text === null) moved.push(step.archive);
    else left.push({ archive: step.archive, text });
  }
  return { moved, left };
}

/** One that another worker has in hand is left; the same command again moves it. */
async function orHeld(moving: Promise<string | null>): Promise<string | null> {
  try {
    return await moving;
  } catch (error) {
    if (isMoraineError(error, 'LEASE_HELD')) return 'another worker has it in hand: try again';
    throw error;
  }
}

async function approvalOf(context: Context, plan: ReschedulePlan, by: string): Promise<string> {
  const request = earlierRequest(plan);
  return (await requireApproval(context, request, by)).approval;
}

/** What another person is shown: every archive with both dates. */
export function earlierRequest({ ask, earlier }: ReschedulePlan): ApprovalRequest {
  const { policy, owner, customer, reason } = ask;
  return {
    kind: 'reschedule',
    subject: { policy, ...(owner === null ? {} : { owner }), ...(customer === null ? {} : { customer }) },
    shown: {
      ...{ policy, reason },
      purgeEarlier: earlier.map(({ archive, from, to, ...what }) => ({
        ...{ archive, ...what },
        ...{ from: from.toISOString(), to: to.toISOString() },
      })),
    },
    items: earlier.map(({ archive }) => archive),
    // Cut, it goes on with what is left of the set: what was moved has its new date already.
    covers: (granted) => coversAll(granted, earlier, reason),
  };
}

function coversAll(granted: unknown, earlier: readonly RescheduleStep[], reason: string): boolean {
  if (!isObject(granted) || granted['reason'] !== reason) return false;
  const shown = granted['purgeEarlier'];
  return (
    Array.isArray(shown) &&
    earlier.every(({ archive, from, to }) =>
      shown.some(
        (one: unknown) =>
          isObject(one) &&
          one['archive'] === archive &&
          one['from'] === from.toISOString() &&
          one['to'] === to.toISOString(),
      ),
    )
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Null: it has the new date. Otherwise why it was left as it is. */
async function moveDate(
  context: Context,
  step: RescheduleStep,
  change: Omit<Reschedule, 'at'>,
): Promise<string | null> {
  const { audit, store, clock } = context;
  const { archive } = step;
  const entry = (phase: AuditEntryBody['phase']): AuditEntryBody => ({
    key: `${archive}:reschedule:${step.from.getTime()}-${step.to.getTime()}:${change.approval ?? 'later'}:${phase}`,
    act: 'archive reschedule',
    phase,
    subject: { archive, owner: step.owner, customer: step.customer },
    details: {
      ...{ by: change.by, reason: change.reason, from: step.from.toISOString(), to: step.to.toISOString() },
      ...(change.approval === null ? {} : { approval: change.approval }),
    },
  });
  await audit.appendOnce([entry('intent')]);
  const lease = await claimArchive(store, audit, archive, context);
  try {
    const { state, dueAt, rescheduled = [] } = lease.document;
    if (!WITH_A_DATE.some((one) => one === state)) return `it is ${state}`;
    if (state === 'purging') return 'it is being purged: too late';
    if (dueAt?.getTime() === step.to.getTime()) return null;
    if (dueAt?.getTime() !== step.from.getTime()) return `it is due on ${dueAt?.toISOString() ?? 'no date'} by now`;
    const told = isLocked(context, lease.document)
      ? { guard: { ...lease.document.guard, lock: 'pending' as const } }
      : {};
    const isEarlier = step.to < dueAt;
    if (isEarlier) {
      // The vault first: a date that it refuses is none of the ledger's.
      assertMayGoEarlier(context, lease.document);
      await amendArchive(lease, told);
      await bringLock(context, lease, { mayShorten: true, until: step.to });
    }
    const set = { dueAt: step.to, rescheduled: [...rescheduled, { ...change, at: clock.now() }] };
    await amendArchive(lease, isEarlier ? set : { ...set, ...told });
    if (!isEarlier) await bringLaterLock(context, lease);
    await settleAudit(audit, lease, [entry('outcome')]);
    return null;
  } finally {
    await lease.giveUp();
  }
}
