/** Daemons in tests: short waits, a quiet calendar, records of several customers, and the promises to hold them to. */

import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { type Daemon, type DaemonOptions, startDaemon } from '../../jobs/daemon.ts';
import type { Margins } from '../../jobs/margins.ts';
import type { FixedSchedules } from '../../jobs/schedules.ts';
import { type App, openApp } from '../../src/app.ts';
import { type Clock, systemClock } from '../../src/clock.ts';
import type { Config } from '../../src/config.ts';
import { id } from '../../src/ids.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { findArchives } from '../../src/ledger/archives.ts';
import { verifyAudit } from '../../src/ledger/audit.ts';
import type { ActLog } from '../../src/lifecycle/context.ts';
import { silentLog } from '../../src/log.ts';
import type { World } from './world.ts';

export const QUICK: Partial<Margins> = {
  watchdogEveryMs: 250,
  quietMs: 0,
  catchUpAfterMs: 0,
  outageRetryMs: 200,
  gateRetryMs: 200,
  leaseRetryMs: 200,
  laterRetryMs: 200,
  lockMs: 2_000,
  stalledEveryMs: 500,
  giveBackWithinMs: 8_000,
  closeWithinMs: 2_000,
};

/** Nothing comes round while a test runs: whatever happens, somebody asked for. */
export const NEVER = '0 0 1 1 *';
export const QUIET: FixedSchedules = { purge: NEVER, reconcile: NEVER, retrieve: NEVER, notify: NEVER, audit: NEVER };

export interface RunningDaemon extends Daemon {
  readonly app: App;
}

/** A daemon with connections of its own, as a process of its own would have. */
export async function daemonOf(
  config: Config,
  prefix: string,
  options: Partial<Pick<DaemonOptions, 'log' | 'margins' | 'schedules' | 'concurrency'>> & {
    readonly clock?: Clock;
  } = {},
): Promise<RunningDaemon> {
  const { log = silentLog, margins, schedules = QUIET, concurrency = 2, clock = systemClock } = options;
  const app = await openApp(config, { log, actor: 'worker:test', clock });
  const daemon = await startDaemon({
    config,
    app,
    log,
    prefix,
    schedules,
    concurrency,
    margins: { ...QUICK, ...margins },
  });
  const close = async () => {
    await daemon.close();
    await app.close();
  };
  return { ...daemon, app, close };
}

export function policyYaml(name: string, namespace: string, schedule = NEVER): string {
  return `
policy: ${name}
zone: Europe/Amsterdam
dataset: { collection: ${namespace}, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: createdAt }
active: 2 years
then: archive
archive: { for: 60 years, vault: cold, verify: checksum }
limits: { records: 100000, share: 1.0 }
schedule: "${schedule}"
`;
}

/** Due records of the owner acme, the same number for each customer. */
export async function insertRecords(world: World, collection: string, customers: number, each: number): Promise<void> {
  const records = Array.from({ length: customers * each }, (_, n) => ({
    n,
    owner: 'acme',
    tenant: `customer-${n % customers}`,
    createdAt: new Date(Date.UTC(2020, 0, 1) + n * 60_000),
    text: `record ${n} `.repeat(20),
  }));
  const target = world.collection(collection);
  await target.createIndex({ owner: 1, tenant: 1, createdAt: 1, _id: 1 });
  await target.insertMany(records);
}

export async function archivesOf(world: World, policy: string): Promise<readonly ArchiveDocument[]> {
  const found: ArchiveDocument[] = [];
  for await (const archive of findArchives(world.app.store, { policy })) found.push(archive);
  return found;
}

/** Every record was archived once and deleted once, and nothing is left in between (promises 5 and 6). */
export async function expectExactlyOnce(world: World, policy: string, collection: string, records: number) {
  const archives = await archivesOf(world, policy);
  const states = archives.map(({ state }) => state);
  expect(new Set(states)).toEqual(new Set(['cleared']));
  const sum = (key: 'archived' | 'deleted' | 'pending') =>
    archives.reduce((total, { outcomes }) => total + outcomes[key], 0);
  expect({ archived: sum('archived'), deleted: sum('deleted'), pending: sum('pending') }).toEqual({
    archived: records,
    deleted: records,
    pending: 0,
  });
  expect(await world.collection(collection).countDocuments()).toBe(0);
  expect(await verifyAudit(world.app.store)).toMatchObject({ ok: true });
}

/** Waits for something to become true, looking again and again; says what it waited for when it does not. */
export async function until(what: string, holds: () => Promise<boolean>, withinMs = 20_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited ${withinMs} ms for: ${what}`);
    await sleep(50);
  }
}

/** All archives of the policy are cleared and nothing of the collection is left. */
export async function untilCleared(world: World, policy: string, collection: string, withinMs?: number): Promise<void> {
  await until(
    `${policy} is cleared`,
    async () => {
      if ((await world.collection(collection).countDocuments()) > 0) return false;
      const archives = await archivesOf(world, policy);
      return archives.length > 0 && archives.every(({ state, rosterShrunk }) => state === 'cleared' && rosterShrunk);
    },
    withinMs,
  );
}

/** The world's configuration with other addresses. */
export function withAddresses(config: Config, { redis, glacier }: { redis?: string; glacier?: string }): Config {
  const vaults = new Map(config.vaults);
  const cold = vaults.get(id.vaultKey('cold'));
  if (glacier !== undefined && cold !== undefined) vaults.set(id.vaultKey('cold'), { ...cold, endpoint: glacier });
  return { ...config, vaults, ...(redis === undefined ? {} : { redis: { url: redis } }) };
}

export interface Line {
  readonly level: 'info' | 'warn' | 'error';
  readonly ids: Readonly<Record<string, unknown>>;
  readonly text: string;
}

export function recordingLog(): { readonly log: ActLog; readonly lines: Line[] } {
  const lines: Line[] = [];
  const at = (level: Line['level']) => (ids: Line['ids'], text: string) => void lines.push({ level, ids, text });
  return { lines, log: { info: at('info'), warn: at('warn'), error: at('error') } };
}
