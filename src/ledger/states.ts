/**
 * The life of an archive: every state, and the one table of legal moves. The compare-and-set in `archives.ts`, the
 * diagram in `docs/architecture.md` and the tests are made from this table. An unknown state or a move that is not
 * here throws.
 *
 * What each state means in the outside world, and what a crash in it leaves behind:
 * - `planned`: what it will hold is written; nothing is in the vault. A crash leaves a plan that the next run carries on.
 * - `storing`: an attempt with a key of its own is open; bytes may be on their way. A crash leaves an attempt that the
 *   next worker abandons (key destroyed, so that what arrives late is noise) before it begins another.
 * - `stored`: the vault acknowledged the whole file with our tree hash. Nothing was deleted.
 * - `verified`: the level of the policy is reached and the key was read back. Clearing may begin; a crash leaves pages
 *   with intents that the next worker settles.
 * - `cleared`: every record has an outcome in the source.
 * - `purging`: due, not held, claimed. A crash leaves a claim that the next worker looks at again from the beginning.
 * - `purged`: the vault accepted the delete and the key is destroyed.
 * - `confirmed`: a later inventory no longer lists it; the certificate is signed. Final.
 * - `abandoned`: nothing was left to take. Final.
 * - `quarantined`: cannot be handled; keeps the state that it came from. A person takes it up again (src/lifecycle/quarantine.ts)
 *   where that is safe, or gives up what was never verified. One that came from `verified` goes back to `stored` only: its
 *   copy was in doubt, so it is verified anew before anything more of it is deleted.
 */
import { MoraineError } from '../errors.ts';

export const ARCHIVE_STATES = [
  'planned',
  'storing',
  'stored',
  'verified',
  'cleared',
  'purging',
  'purged',
  'confirmed',
  'abandoned',
  'quarantined',
] as const;

export type ArchiveState = (typeof ARCHIVE_STATES)[number];

export interface LegalMove {
  readonly from: ArchiveState;
  readonly to: ArchiveState;
  /** What must have been established before the move is made. */
  readonly when: string;
}

const FORWARD: readonly LegalMove[] = [
  { from: 'planned', to: 'storing', when: 'an attempt with its own key and its intent is written' },
  { from: 'storing', to: 'stored', when: 'the vault acknowledged the whole file with our tree hash' },
  { from: 'storing', to: 'planned', when: 'the attempt failed; it is abandoned and its key destroyed' },
  { from: 'stored', to: 'verified', when: 'the verification level of the policy is reached and the key was read back' },
  { from: 'verified', to: 'cleared', when: 'every record has an outcome in the source' },
  { from: 'cleared', to: 'purging', when: 'due, announced, no hold found, no retrieval open' },
  { from: 'purging', to: 'cleared', when: 'a hold or veto was found while nothing irreversible had happened' },
  { from: 'purging', to: 'purged', when: 'the vault accepted the delete, then the key was destroyed' },
  { from: 'purged', to: 'confirmed', when: 'a later inventory no longer lists it; the certificate is signed' },
  { from: 'planned', to: 'abandoned', when: 'nothing is left to take' },
  { from: 'storing', to: 'abandoned', when: 'nothing is left to take; the attempt is abandoned' },
  { from: 'stored', to: 'abandoned', when: 'nothing is left to take; the attempt is abandoned' },
];

/** Ways out of quarantine, each by a person. */
const WAYS_OUT: readonly LegalMove[] = [
  { from: 'quarantined', to: 'planned', when: 'taken up again; it came from `planned`' },
  { from: 'quarantined', to: 'storing', when: 'taken up again; it came from `storing`' },
  {
    from: 'quarantined',
    to: 'stored',
    when: 'taken up again; it came from `stored`, or from `verified` to be verified anew; no archive that is not cleared holds its records',
  },
  { from: 'quarantined', to: 'cleared', when: 'taken up again; it came from `cleared`' },
  { from: 'quarantined', to: 'purging', when: 'taken up again; it came from `purging`' },
  { from: 'quarantined', to: 'purged', when: 'taken up again; it came from `purged`' },
  { from: 'quarantined', to: 'abandoned', when: 'given up; it was never verified, and its key is destroyed' },
];

const CAN_BE_QUARANTINED = ['planned', 'storing', 'stored', 'verified', 'cleared', 'purging', 'purged'] as const;

export const LEGAL_MOVES: readonly LegalMove[] = [
  ...FORWARD,
  ...CAN_BE_QUARANTINED.map((from) => ({
    from,
    to: 'quarantined' as const,
    when: 'it cannot be handled; the reason is kept',
  })),
  ...WAYS_OUT,
];

/** Before these nothing of the archive's records was deleted, so what lies below their bound must wait for them. */
export const UNCLEARED_STATES = ['planned', 'storing', 'stored', 'verified'] as const satisfies readonly ArchiveState[];

/** In these a copy is in the vault and its key is in the key store. */
export const RETRIEVABLE_STATES = ['stored', 'verified', 'cleared'] as const satisfies readonly ArchiveState[];

export function assertLegalMove(from: ArchiveState, to: ArchiveState, archive: string): void {
  if (LEGAL_MOVES.some((move) => move.from === from && move.to === to)) return;
  throw new MoraineError('ILLEGAL_MOVE', `Archive ${archive} cannot go from ${from} to ${to}.`, { ids: { archive } });
}
