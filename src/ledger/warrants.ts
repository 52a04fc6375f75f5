/**
 * Proofs that a destructive leaf asks for in its signature (design 5). Nothing but the function that established the
 * fact can make one: the constructors are private, and only `clearing.ts`, `expirations.ts`, `purging.ts` and
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

/** Records past their archive period too, which a person said may be deleted without an archive. */
export class ExpiredBatch {
  readonly #proof = true;
  readonly expiration: string;
  readonly saidBy: string;
  private constructor(expiration: string, saidBy: string) {
    this.expiration = expiration;
    this.saidBy = saidBy;
  }
  /** @internal for src/ledger only. */
  static issue(expiration: string, saidBy: string): ExpiredBatch {
    return new ExpiredBatch(expiration, saidBy);
  }
  get isProof(): boolean {
    return this.#proof;
  }
}

/** In-flight entry written, holds looked at, none found: records of a verified archive (or expired ones) may be deleted until `until`. */
export class ClearingWarrant {
  readonly basis: VerifiedArchive | ExpiredBatch;
  readonly lease: Lease;
  /** The source server's time after which nothing may be deleted under this warrant. */
  readonly until: Date;
  private constructor(basis: VerifiedArchive | ExpiredBatch, lease: Lease, until: Date) {
    this.basis = basis;
    this.lease = lease;
    this.until = until;
  }
  /** @internal for src/ledger only. */
  static issue(basis: VerifiedArchive | ExpiredBatch, lease: Lease, until: Date): ClearingWarrant {
    return new ClearingWarrant(basis, lease, until);
  }
  /** Throws when the lease is gone. `until` itself is enforced by the server inside the command. */
  assertGood(): void {
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
