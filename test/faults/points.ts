/**
 * The named points at which a process can be killed or stopped. A point is a call of an adapter, before or after its
 * effect; `preload.ts` wraps the adapters, and product code knows nothing of it.
 */

/** Which command comes past a point. */
export type PointCommand = 'run' | 'purge' | 'reconcile' | 'hold' | 'expire';

export interface NamedPoint {
  readonly name: string;
  /** `before` or `after`, then port and method; a ledger write also names the state that it writes. */
  readonly at: string;
  readonly command: PointCommand;
}

export const NAMED_POINTS: readonly NamedPoint[] = [
  { name: 'attempt written, before its key exists', at: 'after ledger.attempts.insert', command: 'run' },
  { name: 'key stored, before a byte is sent', at: 'after keys.putArchiveKey', command: 'run' },
  { name: 'before the upload', at: 'before vault.storeWhole', command: 'run' },
  { name: "after the vault's acknowledgement", at: 'after vault.storeWhole', command: 'run' },
  { name: 'a part was sent, more are to come', at: 'after vault.sendPart', command: 'run' },
  { name: 'all parts were sent, before completion', at: 'before vault.completeUpload', command: 'run' },
  { name: 'upload completed, before the ledger knows', at: 'after vault.completeUpload', command: 'run' },
  { name: 'stored, before it is verified', at: 'after ledger.archives.replace(stored)', command: 'run' },
  { name: 'verified, before clearing', at: 'after ledger.archives.replace(verified)', command: 'run' },
  { name: 'announced, before the holds are read', at: 'after ledger.inFlight.insert', command: 'run' },
  { name: 'between intent and deleteMany', at: 'before source.deleteGuarded', command: 'run' },
  { name: 'after deleteMany, before the read back', at: 'after source.deleteGuarded', command: 'run' },
  { name: 'read back, before the page is settled', at: 'before ledger.clearingPages.replace', command: 'run' },
  { name: 'page settled, before cleared', at: 'before ledger.archives.replace(cleared)', command: 'run' },
  { name: 'cleared, before the roster shrinks', at: 'after ledger.archives.replace(cleared)', command: 'run' },
  { name: 'purge claimed, before the vault is asked', at: 'after ledger.archives.replace(purging)', command: 'purge' },
  { name: "before the vault's delete", at: 'before vault.deleteArchive', command: 'purge' },
  { name: "after the vault's delete, before the key's destruction", at: 'after vault.deleteArchive', command: 'purge' },
  { name: 'key destroyed, before the ledger knows', at: 'after keys.destroyArchiveKey', command: 'purge' },
  { name: 'purged, before its inventory is asked for', at: 'after ledger.archives.replace(purged)', command: 'purge' },
  { name: 'certificate written, before confirmed', at: 'after ledger.certificates.insert', command: 'reconcile' },
  { name: 'hold written, before it is active', at: 'after ledger.holds.insert', command: 'hold' },
  { name: 'expired records deleted, before their outcomes', at: 'after source.deleteGuarded', command: 'expire' },
];

export interface ArmedPoint {
  readonly at: string;
  /** At which meeting, from 1. */
  readonly nth: number;
  readonly signal: 'SIGKILL' | 'SIGSTOP';
}

/** What a process is started with, as JSON in the environment variable {@link PLAN_VARIABLE}. */
export interface ProcessPlan {
  /** Gets a line for each armed point that was met: `<pid> <signal> <point>`. */
  readonly log: string;
  readonly armed: ArmedPoint | null;
}

export const PLAN_VARIABLE = 'MORAINE_FAULTS_PLAN';
