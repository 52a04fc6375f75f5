/**
 * What takes a second person: that another one than who asked said yes, before anything was done, and that a yes is used
 * once. The judge believes what it saw people say, and no document alone.
 */
import type { Known } from './known.ts';
import type { LedgerWrite } from './ledger-changes.ts';
import type { Instant, Observation, Physical, RawDocument } from './observations.ts';
import type { Report } from './properties.ts';
import { faultOfStages } from './review.ts';
import { asFields, asInstant, asList, asNumber, asText } from './values.ts';

export interface KnownApproval {
  readonly id: string;
  readonly kind: string;
  readonly subject: Readonly<Record<string, unknown>>;
  readonly items: readonly unknown[];
  readonly shown: Readonly<Record<string, unknown>>;
  readonly requestedBy: string;
  /** By the yes of another person, as the judge saw it. */
  grantedAt: Instant | null;
  isRefused: boolean;
  spentFor: string | null;
}

/** As it was asked for; what it says never changes. */
export interface KnownException {
  readonly id: string;
  readonly policy: string;
  readonly effect: 'longer' | 'shorter';
  readonly activeDays: number;
  readonly owner: string | null;
  readonly customer: string | null;
  readonly labels: readonly string[] | null;
  readonly until: Instant | null;
  grantedAt: Instant | null;
  /** The earliest instant at which its end may count. */
  endedAt: Instant | null;
  isWithdrawn: boolean;
  /** False once a backup of the ledger was put back: it may have forgotten it. */
  isCertain: boolean;
}

type Said = Extract<Observation, { readonly what: 'approval said' | 'exception end asked' }>;

export function seeSaid(known: Known, seen: Said, now: Instant): void {
  if (seen.what === 'approval said') known.said.add(saidKey(seen.approval, seen.how, seen.person));
  else known.endAsked.set(`${seen.by} ${seen.exception}`, now);
}

export function seeApproval(known: Known, report: Report, { by, before, after }: LedgerWrite, now: Instant): void {
  if (after === null) return;
  const approval = learnApproval(known, after);
  const state = asText(after['state']);
  const which = `Approval ${after._id}, asked for by ${approval.requestedBy},`;
  if (before?.['state'] === 'refused' && state !== 'refused' && !known.isLedgerSetBack)
    report('approved-without-another', `${which} was refused, and is ${state} by ${by}.`);
  if (state === 'granted' || state === 'spent') {
    const people = asList(after['grants']).map((grant) => asText(asFields(grant)['by']) ?? '');
    const fault = faultOfGrants(known, after._id, approval.requestedBy, people);
    const skipped = faultOfStages(known, approval.kind, people);
    if (fault !== null) report('approved-without-another', `${which} is ${state}: ${fault}.`);
    else if (skipped !== null) report('stage-not-passed', `${which} is ${state}: ${skipped}.`);
    else if (approval.grantedAt === null) {
      approval.grantedAt = now;
      const { exception, act } = approval.subject;
      const granted =
        approval.kind === 'exception' && act === undefined ? known.exceptions.get(String(exception)) : null;
      if (granted?.isWithdrawn === false) granted.grantedAt ??= now;
    }
  }
  approval.isRefused = state === 'refused';
  const spentFor = asText(after['spentFor']);
  if (approval.spentFor !== null && approval.spentFor !== spentFor && !known.isLedgerSetBack)
    report('grant-used-twice', `${which} was used for ${approval.spentFor}, and then for ${spentFor}.`);
  approval.spentFor = spentFor;
}

export function seeException(known: Known, report: Report, { by, before, after }: LedgerWrite, now: Instant): void {
  if (after === null) return;
  const exception = learnException(known, after);
  const [was, is] = [before?.['state'], after['state']];
  if (is === 'ended' && was !== is) exception.endedAt ??= known.endAsked.get(`${by} ${after._id}`) ?? now;
  if (was === is || known.isLedgerSetBack) return;
  if (is === 'granted' && exception.grantedAt === null)
    report('act-without-approval', `Exception ${after._id} was put into force by ${by}, and nobody granted it.`);
  if (is === 'withdrawn') {
    exception.isWithdrawn = true;
    if (exception.grantedAt !== null)
      report('act-without-approval', `Exception ${after._id} was withdrawn by ${by} after another person granted it.`);
  }
  if (is !== 'ended') return;
  const isGranted = grants(known, 'exception').some(
    ({ subject }) => subject['exception'] === after._id && subject['act'] === 'end',
  );
  if (exception.effect === 'longer' && !isGranted)
    report('act-without-approval', `Exception ${after._id} was ended by ${by}, and nobody granted that.`);
}

export function seeHold(known: Known, report: Report, { by, before, after }: LedgerWrite): void {
  if (after?.['state'] !== 'released' || before?.['state'] === 'released' || known.isLedgerSetBack) return;
  if (grants(known, 'hold-release').some(({ subject }) => subject['hold'] === after._id)) return;
  report('act-without-approval', `Hold ${after._id} was released by ${by}, and nobody granted that.`);
}

/** An earlier purge date takes a yes for just this archive. */
export function judgeEarly(known: Known, report: Report, { by, before, after }: LedgerWrite): void {
  if (after === null || after['early'] == null || known.isLedgerSetBack) return;
  const approval = asText(asFields(after['early'])['approval']);
  if (asText(asFields(before?.['early'])['approval']) === approval) return;
  const isGranted = [...grants(known, 'early-purge'), ...grants(known, 'offboard')].some(
    ({ id, items }) => id === approval && items.includes(after._id),
  );
  if (!isGranted)
    report(
      'act-without-approval',
      `Archive ${after._id} got an earlier purge date from ${by}, and nobody granted that.`,
    );
}

/** What is past its archive period, or over a cap, is begun under a grant for that many of that partition, each once. */
export function judgeDisposalGrant(known: Known, report: Report, expiration: RawDocument): void {
  if (known.isLedgerSetBack || !isBacklog(expiration)) return;
  const most = asNumber(expiration['mostRecords']) ?? Number.POSITIVE_INFINITY;
  const covering = grants(known, 'expired-backlog').filter(
    ({ subject, shown }) =>
      subject['policy'] === expiration['policy'] &&
      asList(shown['partitions']).some((each) => {
        const { owner, customer, records } = asFields(each);
        return owner === expiration['owner'] && customer === expiration['customer'] && most <= (asNumber(records) ?? 0);
      }),
  );
  if (covering.length === 0) {
    report(
      'act-without-approval',
      `Expiration ${expiration._id} of ${most} records was begun, and nobody granted that.`,
    );
    return;
  }
  const begun = [...known.expirations.values()].filter(
    (other) => isBacklog(other) && other['partition'] === expiration['partition'],
  );
  if (begun.length + (known.expirations.has(expiration._id) ? 0 : 1) > covering.length)
    report('grant-used-twice', `Expiration ${expiration._id} was begun; the grants that cover it were used before.`);
}

function isBacklog({ kind }: RawDocument): boolean {
  return kind === undefined || kind === 'expired' || kind === 'treat-expired';
}

/** Did another person let a run of this policy pass its caps? */
export function isCapLifted(known: Known, policy: string): boolean {
  return known.isLedgerSetBack || grants(known, 'cap').some(({ subject }) => subject['policy'] === policy);
}

/** A backup was put back: what is not in it may be forgotten, and what was decided with it may still be carried out. */
export function forgetApprovals(known: Known, physical: Physical): void {
  for (const exception of known.exceptions.values()) exception.isCertain = false;
  for (const document of physical.ledger('approvals')) learnApproval(known, document);
  for (const document of physical.ledger('exceptions')) learnException(known, document);
}

export function grants(known: Known, kind: string): readonly KnownApproval[] {
  return [...known.approvals.values()].filter((approval) => approval.kind === kind && approval.grantedAt !== null);
}

function faultOfGrants(known: Known, id: string, requestedBy: string, people: readonly string[]): string | null {
  if (people.length === 0) return 'nobody granted it';
  if (new Set(people).size < people.length) return 'one person granted it twice';
  for (const person of people) {
    if (person === requestedBy) return `${person} granted it, too`;
    if (!known.said.has(saidKey(id, 'grant', person))) return `${person} never said yes to it`;
  }
  return null;
}

function learnApproval(known: Known, document: RawDocument): KnownApproval {
  const found = known.approvals.get(document._id);
  if (found !== undefined) return found;
  const text: unknown = JSON.parse(asText(document['shown']) ?? '{}');
  const approval: KnownApproval = {
    id: document._id,
    kind: asText(document['kind']) ?? '',
    subject: asFields(document['subject']),
    items: asList(document['items']),
    shown: asFields(asFields(text)['shown']),
    requestedBy: asText(document['requestedBy']) ?? '',
    grantedAt: null,
    isRefused: false,
    spentFor: null,
  };
  known.approvals.set(approval.id, approval);
  return approval;
}

function learnException(known: Known, document: RawDocument): KnownException {
  const found = known.exceptions.get(document._id);
  if (found !== undefined) return found;
  const labels = document['value'] === null ? null : known.labelsAsked.get(asText(document['reason']) ?? '');
  if (labels === undefined) throw new Error(`Nobody told for which labels exception ${document._id} is.`);
  const exception: KnownException = {
    id: document._id,
    policy: asText(document['policy']) ?? '',
    effect: document['effect'] === 'shorter' ? 'shorter' : 'longer',
    activeDays: Number(/^P(\d+)D$/.exec(asText(document['active']) ?? '')?.[1]),
    owner: asText(document['owner']),
    customer: asText(document['customer']),
    labels,
    until: asInstant(document['until']),
    grantedAt: null,
    endedAt: null,
    isWithdrawn: document['state'] === 'withdrawn',
    isCertain: true,
  };
  known.exceptions.set(exception.id, exception);
  return exception;
}

function saidKey(approval: string, how: 'grant' | 'refuse', person: string): string {
  return `${approval}\0${how}\0${person}`;
}
