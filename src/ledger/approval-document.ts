/**
 * An approval: what one person asked for, and what others said to it.
 *
 * - `requested`: written, bound to the SHA-256 of exactly what is shown to who decides. Nothing was done yet.
 * - `granted`: every stage has its person, none of them the requester, none of them twice. It may be used until it expires.
 * - `refused`: final for that hash. Asking again for the same finds the refusal.
 * - `spent`: used, for an act that is done once.
 *
 * A request that nobody answered, and a grant that nobody used, expires: `expiresAt` in the database server's time. It
 * keeps its state and counts for nothing; the same asked again is another round with a document of its own. The `_id`
 * is made of hash and round, so that fifty who ask for the same at once ask once.
 */
import type { LedgerDocument } from './store.ts';

export const APPROVAL_KINDS = [
  'cap',
  'exception',
  'policy',
  'hold-release',
  'early-purge',
  'expired-backlog',
  'purge',
  'reschedule',
  'offboard',
  'retrieve',
  'migrate',
] as const;
export type ApprovalKind = (typeof APPROVAL_KINDS)[number];

/** What moraine.yaml says of approvals. */
export interface ApprovalRules {
  /** null: as the environment has it. */
  readonly required: readonly ApprovalKind[] | null;
  /** How long a request may be decided, and then how long a grant may be used. */
  readonly validMs: number;
  /** Who may decide; empty: anybody but who asked. */
  readonly people: readonly string[];
  /** Disposition review before every purge: one person of each stage, in order. null: none. */
  readonly purgeStages: readonly (readonly string[])[] | null;
}

/** A week, anybody, and what the environment has. */
export const DEFAULT_APPROVAL_RULES: ApprovalRules = {
  required: null,
  validMs: 7 * 86_400_000,
  people: [],
  purgeStages: null,
};

export const APPROVAL_STATES = ['requested', 'granted', 'refused', 'spent'] as const;
export type ApprovalState = (typeof APPROVAL_STATES)[number];

export interface Grant {
  readonly by: string;
  readonly at: Date;
  /** The instant that `--as-of` named for the command of who granted, else null. */
  readonly asOf: Date | null;
}

export interface ApprovalDocument extends LedgerDocument {
  readonly kind: ApprovalKind;
  /** What it is about, for lists and for the audit chain: `policy`, `hold`, `archive`, ... to an id. */
  readonly subject: Readonly<Record<string, string>>;
  /** Canonical JSON of what is to be done. */
  readonly shown: string;
  /** Hex SHA-256 of `shown`. */
  readonly hash: string;
  readonly round: number;
  readonly state: ApprovalState;
  readonly requestedBy: string;
  readonly requestedAt: Date;
  readonly validMs: number;
  /** Until then it may be decided; once granted, until then it may be used. */
  readonly expiresAt: Date;
  /** One after the other, who may grant it; an empty stage: any person. Always one stage or more. */
  readonly stages: readonly (readonly string[])[];
  /** One for each stage that is passed, in order. */
  readonly grants: readonly Grant[];
  readonly refusedBy: string | null;
  readonly refusedAt: Date | null;
  readonly refusalReason: string | null;
  /** Ids that are looked for one by one: the archives of a disposition review. */
  readonly items: readonly string[];
  readonly spentAt: Date | null;
  readonly spentFor: string | null;
}

/** Neither expired nor spent: it says something about what is asked now. A refusal never ends. */
export function isLive({ state, expiresAt }: ApprovalDocument, now: Date): boolean {
  if (state === 'refused') return true;
  return (state === 'requested' || state === 'granted') && expiresAt > now;
}

/** As people call each other: what stands before the colon, case and forms of one letter make no other person. */
export function personKey(actor: string): string {
  return actor
    .normalize('NFKC')
    .trim()
    .toLowerCase()
    .replace(/^person:/, '')
    .trim();
}

export function isSamePerson(one: string, other: string): boolean {
  return personKey(one) === personKey(other);
}

/** A daemon asks, and never answers. */
export function isPerson(actor: string): boolean {
  return /^person:./i.test(actor.trim()) && personKey(actor) !== '';
}

/** What became of it, in words. */
export function stateText(document: ApprovalDocument, at: Date): string {
  const { state, grants, stages, refusedBy, refusalReason, spentFor, expiresAt } = document;
  const names = grants.map(({ by }) => by).join(', ');
  if (state === 'refused') return `refused by ${refusedBy}: ${refusalReason}`;
  if (state === 'spent') return `granted by ${names} and used by ${spentFor}`;
  if (expiresAt <= at)
    return state === 'granted' ? `granted by ${names} and expired unused` : 'expired without a decision';
  if (state === 'granted') return `granted by ${names}`;
  return stages.length === 1 ? 'waiting' : `waiting: stage ${grants.length + 1} of ${stages.length}`;
}
