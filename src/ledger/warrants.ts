/**
 * Proofs that a destructive leaf asks for in its signature (design 5). Nothing but the function that established the
 * fact can make one: the constructors are private, and only `clearing.ts`, `disposals.ts`, `purging.ts` and
 * `attempts.ts` of this folder call the `issue` functions. A proof ages: it carries the epoch and its end, and the leaf looks at both
 * right before the call.
 */
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { ArchiveId, AttemptId } from '../ids.ts';

/** What keeps a warrant alive: the lease of the worker. `assertHeld` throws LEASE_LOST or WORK_STOPPED. */
export interface Lease {
  readonly epoch: number;
  assertHeld(): void;
}

/** The archive with this attempt reached the level of verification that its policy asks for, and its key was read back. */
export class VerifiedArchive {
  readonly #proof = true;
  readonly archive: ArchiveId;
  readonly attempt: AttemptId;
  private constructor(archive: ArchiveId, attempt: AttemptId) {
    this.archive = archive;
    this.attempt = attempt;
  }
  /** @internal for src/ledger only; checked by the import rules. */
  static issue(archive: ArchiveId, attempt: AttemptId): VerifiedArchive {
    return new VerifiedArchive(archive, attempt);
  }
  get isProof(): boolean {
    return this.#proof;
  }
}

/** What may be done to a record under a warrant. */
export type ClearingAct = 'delete' | 'replace';

/** Records that are to go, or to be treated in place, without an archive: a person said so, or the policy that is in force. */
export class DisposalOrder {
  readonly #proof = true;
  readonly disposal: string;
  readonly saidBy: string;
  /** An order to treat deletes nothing, an order to delete treats nothing. */
  readonly act: ClearingAct;
  private constructor(disposal: string, saidBy: string, act: ClearingAct) {
    this.disposal = disposal;
    this.saidBy = saidBy;
    this.act = act;
  }
  /** @internal for src/ledger only. */
  static issue(disposal: string, saidBy: string, act: ClearingAct): DisposalOrder {
    return new DisposalOrder(disposal, saidBy, act);
  }
  get isProof(): boolean {
    return this.#proof;
  }
}

/** In-flight entry written, holds looked at, none found: records of a verified archive, or of an order, may be deleted or treated until `until`. */
export class ClearingWarrant {
  readonly basis: VerifiedArchive | DisposalOrder;
  readonly lease: Lease;
  /** The source server's time after which nothing may be deleted under this warrant. */
  readonly until: Date;
  private constructor(basis: VerifiedArchive | DisposalOrder, lease: Lease, until: Date) {
    this.basis = basis;
    this.lease = lease;
    this.until = until;
  }
  /** @internal for src/ledger only. */
  static issue(basis: VerifiedArchive | DisposalOrder, lease: Lease, until: Date): ClearingWarrant {
    return new ClearingWarrant(basis, lease, until);
  }
  /** Throws when the lease is gone, or the order says another thing. `until` itself is enforced by the server inside the command. */
  assertGood(act: ClearingAct): void {
    if (this.basis instanceof DisposalOrder && this.basis.act !== act) {
      throw new MoraineError('INTERNAL', `Disposal ${this.basis.disposal} is to ${this.basis.act}, not to ${act}.`);
    }
    this.lease.assertHeld();
  }
}

/** The ledger says `purging` for this archive under our epoch, the due date that was read, and no hold was found. */
export class PurgeClaim {
  readonly archive: ArchiveId;
  readonly vaultArchiveId: string;
  readonly lease: Lease;
  /** By the local monotonic clock: past it the claim must be made again. */
  readonly #endsAtMs: number;
  readonly #clock: Clock;
  private constructor(archive: ArchiveId, vaultArchiveId: string, lease: Lease, endsAtMs: number, clock: Clock) {
    this.archive = archive;
    this.vaultArchiveId = vaultArchiveId;
    this.lease = lease;
    this.#endsAtMs = endsAtMs;
    this.#clock = clock;
  }
  /** @internal for src/ledger only. */
  static issue(archive: ArchiveId, vaultArchiveId: string, lease: Lease, endsAtMs: number, clock: Clock): PurgeClaim {
    return new PurgeClaim(archive, vaultArchiveId, lease, endsAtMs, clock);
  }
  assertGood(): void {
    this.lease.assertHeld();
    if (this.#clock.monotonicMs() >= this.#endsAtMs) {
      throw new MoraineError(
        'LEASE_LOST',
        `The claim to purge archive ${this.archive} has ended before the vault was asked.`,
        {
          ids: { archive: this.archive },
        },
      );
    }
  }
}

/** The ledger itself names this attempt abandoned or superseded, and the margin has passed: what it left in the vault is noise and may be removed. */
export class AbandonedUpload {
  readonly attempt: AttemptId;
  readonly #proof = true;
  private constructor(attempt: AttemptId) {
    this.attempt = attempt;
  }
  /** @internal for src/ledger only. */
  static issue(attempt: AttemptId): AbandonedUpload {
    return new AbandonedUpload(attempt);
  }
  get isProof(): boolean {
    return this.#proof;
  }
}
