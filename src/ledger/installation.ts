/**
 * The installation: who we are, what environment this ledger belongs to, and the newest time that it has seen.
 *
 * The environment is stamped when the ledger is first written and never changes: a ledger of production cannot be
 * opened as a sandbox, where time may be moved. The high-water mark of time only grows: with it a clock that was set
 * back, or far ahead, is seen by the next process, whatever the last one did.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Environment } from '../environment.ts';
import { MoraineError } from '../errors.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';
import { update } from './update.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export interface InstallationDocument extends LedgerDocument {
  /** Random, short, printable: in names of vaults and descriptions of archives. */
  readonly id: string;
  readonly environment: Environment;
  readonly createdAt: Date;
  /** The newest time that any process observed, behind by at most MARK_STEP_MS. */
  readonly highWaterAt: Date;
}

/** Clocks of two machines may differ by this much and still be right (design 4, Time). Also how far back a clock may seem to go. */
export const CLOCK_TOLERANCE_MS = 60_000;
/** A daemon that was off for a weekend night is normal, a jump past this is a clock set wrong until a person says otherwise. */
export const MAX_JUMP_MS = 36 * 3_600_000;
/** The mark is written once a minute at most: it catches jumps of hours, and is no write for each act. */
const MARK_STEP_MS = 60_000;

const INSTALLATION_ID = 'installation';
/** 10 characters of 5 bits: two installations that share an account meet once in 10^15 pairs. */
const ID_LENGTH = 10;
/** Lower case without l, i, o and u: nothing to misread, fit for names of vaults and buckets. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** The installation of this ledger, made at the first call. Throws ENVIRONMENT_MISMATCH when the ledger was stamped with another one. */
export async function openInstallation(
  store: Store,
  clock: Clock,
  environment: Environment,
): Promise<InstallationDocument> {
  let installation = await readInstallation(store);
  if (installation === null) {
    const now = clock.now();
    const fresh = { id: newId(), environment, createdAt: now, highWaterAt: now };
    // Of two that begin at once one is inserted, and both read that one.
    await installations(store).insert({ _id: INSTALLATION_ID, v: LEDGER_VERSION, ...fresh });
    installation = await readInstallation(store);
  }
  if (installation === null) throw new MoraineError('INTERNAL', 'The installation was written and cannot be read.');
  if (installation.environment !== environment) {
    throw new MoraineError(
      'ENVIRONMENT_MISMATCH',
      `The ledger belongs to environment ${installation.environment}, and the configuration says ${environment}.`,
      { ids: { installation: installation.id } },
    );
  }
  return installation;
}

/** For a rebuild: the ledger is that of an installation that was there before it. What a process made at its first look is replaced. */
export async function adoptInstallation(
  store: Store,
  clock: Clock,
  id: string,
  environment: Environment,
): Promise<void> {
  const now = clock.now();
  const adopted = { _id: INSTALLATION_ID, v: LEDGER_VERSION, id, environment, createdAt: now, highWaterAt: now };
  if ((await installations(store).insert(adopted)) === 'inserted') return;
  await update(installations(store), INSTALLATION_ID, (known) =>
    known.id === id && known.environment === environment ? null : { ...known, id, environment },
  );
}

/** Null for a ledger that was never written. */
export async function readInstallation(store: Store): Promise<InstallationDocument | null> {
  return await installations(store).get(INSTALLATION_ID);
}

/**
 * Compares `now` with the newest time that the ledger has seen, and moves that on. Throws CLOCK_DISAGREES when the
 * clock went back by more than the tolerance (never accepted), CLOCK_JUMPED when it is more than 36 h ahead.
 */
export async function observeTime(store: Store, now: Date): Promise<void> {
  await moveHighWater(store, now, MAX_JUMP_MS);
}

/** As {@link observeTime} after a person said that the service was off for that long. */
export async function acceptJump(store: Store, now: Date): Promise<void> {
  await moveHighWater(store, now, Number.POSITIVE_INFINITY);
}

export interface ClockSkews {
  /** Witness minus ours, at the middle of the call. */
  readonly mongodbMs: number;
  readonly vaultMs: number | null;
}

/**
 * Asks the witnesses what time it is. Throws CLOCK_DISAGREES when one is further from ours than the tolerance and the
 * time that the call took. `vault` is null in a sandbox, where the vault has a time of its own. What a witness throws
 * goes through: without it nothing destructive begins.
 */
export async function assertClocksAgree(witnesses: {
  readonly clock: Clock;
  readonly mongodb: () => Promise<Date>;
  readonly vault: (() => Promise<Date>) | null;
}): Promise<ClockSkews> {
  const { clock, mongodb, vault } = witnesses;
  return {
    mongodbMs: await skew(clock, 'MongoDB', mongodb),
    vaultMs: vault === null ? null : await skew(clock, 'the vault', vault),
  };
}

async function skew(clock: Clock, name: string, ask: () => Promise<Date>): Promise<number> {
  const startedMs = clock.monotonicMs();
  const witness = (await ask()).getTime();
  const halfCallMs = (clock.monotonicMs() - startedMs) / 2;
  const skewMs = Math.round(witness - (clock.now().getTime() - halfCallMs));
  // NaN, from a witness that said nothing sensible, must not pass.
  if (!(Math.abs(skewMs) <= CLOCK_TOLERANCE_MS + halfCallMs)) {
    const seconds = Math.round(Math.abs(skewMs) / 1000);
    throw new MoraineError(
      'CLOCK_DISAGREES',
      `Our clock is ${seconds} s ${skewMs > 0 ? 'behind' : 'ahead of'} that of ${name}; ${CLOCK_TOLERANCE_MS / 1000} s are allowed.`,
    );
  }
  return skewMs;
}

async function moveHighWater(store: Store, now: Date, maxJumpMs: number): Promise<void> {
  await update(installations(store), INSTALLATION_ID, (installation) => {
    const aheadMs = now.getTime() - installation.highWaterAt.getTime();
    if (!(aheadMs >= -CLOCK_TOLERANCE_MS)) {
      throw new MoraineError(
        'CLOCK_DISAGREES',
        `The clock says ${isoOf(now)}, and the ledger has seen ${installation.highWaterAt.toISOString()}.`,
      );
    }
    if (aheadMs > maxJumpMs) {
      throw new MoraineError(
        'CLOCK_JUMPED',
        `The clock is ${Math.floor(aheadMs / 3_600_000)} hours past ${installation.highWaterAt.toISOString()}, the last time that the ledger saw.`,
      );
    }
    return aheadMs < MARK_STEP_MS ? null : { ...installation, highWaterAt: now };
  });
}

function isoOf(now: Date): string {
  return Number.isNaN(now.getTime()) ? 'no time at all' : now.toISOString();
}

function newId(): string {
  return Array.from(randomBytes(ID_LENGTH), (byte) => ALPHABET[byte % ALPHABET.length]).join('');
}

function installations(store: Store): StoreCollection<InstallationDocument> {
  return readableCollection<InstallationDocument>(store, 'installation');
}
