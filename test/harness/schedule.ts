/** An example of `policies/` installed as it is, on the real stack, with nothing changed but the name of the database. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Document } from 'mongodb';
import { expect } from 'vitest';
import { z } from 'zod';
import type { CliWorld } from './cli.ts';

const POLICIES = resolve(import.meta.dirname, '../../policies');

/** What a life came to, as the ledger and the certificates have it. */
export interface Shown {
  readonly archived: number;
  readonly deleted: number;
  readonly treated: number;
  /** Records in archives that a later inventory no longer listed. */
  readonly purged: number;
  readonly certificates: number;
}

declare module 'vitest' {
  interface TaskMeta {
    shown?: Shown;
  }
}

/** Names of the policies of an example. */
export function policiesOfSchedule(schedule: string): readonly string[] {
  return readdirSync(join(POLICIES, schedule))
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.replace(/\.yaml$/, ''))
    .sort();
}

/** Writes the policies of an example into the world's folder. Its collections lie in the world's own database. */
export function installSchedule(world: CliWorld, schedule: string, change = (text: string) => text): void {
  const [database = ''] = world.namespace('').split('.');
  for (const name of policiesOfSchedule(schedule)) {
    const text = readFileSync(join(POLICIES, schedule, `${name}.yaml`), 'utf8');
    world.writePolicy(name, change(text.replace(/(\bcollection: )[\w-]+\./g, `$1${database}.`)));
  }
}

/** Runs a command that must succeed; the JSON that it prints. */
export async function done(world: CliWorld, ...args: readonly string[]) {
  const { exitCode, stdout, stderr } = await world.moraine(...args, '--json');
  expect([exitCode, exitCode === 0 ? '' : stdout, stderr]).toEqual([0, '', expect.any(String)]);
  return JSON.parse(stdout);
}

/** Puts the policies of the world's folder into force. Nothing may speak against them: no index or store is missing. */
export async function publishAll(world: CliWorld, ...args: readonly string[]): Promise<void> {
  expect(await done(world, 'check')).toMatchObject({ ok: true });
  await done(world, 'policy', 'publish', '--yes', ...args);
}

const REFUSED = z.object({ error: z.object({ code: z.string() }) });

/** Runs a command that must be refused; the code that it names. */
export async function refusal(world: CliWorld, exitCode: number, ...args: readonly string[]): Promise<string> {
  const reply = await world.moraine(...args, '--json');
  expect([args, reply.exitCode]).toEqual([args, exitCode]);
  return REFUSED.parse(reply.json).error.code;
}

/** One run of all policies: the totals of each by its name. Nothing may have failed. */
export async function runAll(world: CliWorld, asOf: string, ...more: readonly string[]) {
  const { policies } = await done(world, 'run', '--yes', ...(asOf === '' ? [] : ['--as-of', asOf]), ...more);
  const ran: [string, Record<string, number>][] = policies.map(
    ({ policy, problems, totals }: { policy: string; problems: unknown; totals: Record<string, number> }) => {
      expect([policy, problems]).toEqual([policy, []]);
      return [policy, totals];
    },
  );
  return Object.fromEntries(ran);
}

/** How many are due under each policy. */
export async function planned(world: CliWorld, asOf: string): Promise<Record<string, Record<string, number>>> {
  const { policies } = await done(world, 'plan', '--flush', '--as-of', asOf);
  return Object.fromEntries(
    policies.map(({ policy, totals }: { policy: string; totals: Record<string, number> }) => [policy, totals]),
  );
}

/** Another person than who asked grants all that waits. */
export async function grantAll(world: CliWorld, ...args: readonly string[]): Promise<number> {
  const waiting: readonly { id: string; state: string }[] = await done(world, 'approve', 'list', ...args);
  const asked = waiting.filter(({ state }) => state === 'requested');
  for (const { id } of asked) await done(world, 'approve', 'grant', id, '--by', 'bea', '--yes', ...args);
  return asked.length;
}

/** Until no archive is in one of the states: a day of the vault, then a look at its inventories. */
export async function reconcileUntilNone(world: CliWorld, asOf: string, states: readonly string[]): Promise<void> {
  for (let day = 0; day < 5; day++) {
    const archives: readonly { state: string }[] = await done(world, 'archives', '--all');
    if (!archives.some(({ state }) => states.includes(state))) return;
    await done(world, 'reconcile', '--as-of', asOf);
    await world.emulator.advance('P1D');
    await done(world, 'reconcile', '--as-of', asOf);
  }
  throw new Error(`After five days there are still archives that are ${states.join(' or ')}.`);
}

/** Asks the vault for an archive and waits for it, by the vault's clock. */
export async function retrieve(world: CliWorld, archive: string): Promise<void> {
  await done(world, 'retrieve', archive, '--tier', 'expedited', '--identity', world.identity, '--yes');
  await world.emulator.advance('PT6H');
}

/** A customer leaves: its archives are retrieved, all is exported, another person grants, all is destroyed. The report. */
export async function offboard(world: CliWorld, of: { owner: string; customer: string; asOf: string }) {
  const { owner, customer, asOf } = of;
  const archives: readonly { id: string; customer: string; state: string }[] = await done(world, 'archives');
  for (const archive of archives)
    if (archive.customer === customer && archive.state === 'cleared')
      await done(world, 'retrieve', archive.id, '--tier', 'expedited', '--identity', world.identity, '--yes');
  await world.emulator.advance('PT6H');
  const args = ['offboard', customer, '--owner', owner, '--export', `left-${customer}`, '--reason', 'contract ended'];
  const order = [...args, '--identity', world.identity, '--as-of', asOf, '--by', 'alice', '--yes'];
  expect(await refusal(world, 3, ...order)).toBe('APPROVAL_NEEDED');
  expect(await grantAll(world)).toBe(1);
  return await done(world, ...order);
}

/** One instant a month, from a first one. */
export function monthly(from: string, count: number): readonly Date[] {
  return Array.from({ length: count }, (_, n) => {
    const first = new Date(from);
    return new Date(first.setUTCMonth(first.getUTCMonth() + n));
  });
}

/** What the life in this ledger came to. Every certificate and the audit chain are verified first. */
export async function shownBy(world: CliWorld, ledger: string): Promise<Shown> {
  await done(world, 'certificate', 'verify');
  expect(await done(world, 'audit', 'verify')).toMatchObject({ ok: true });
  const database = world.client.db(ledger);
  const shown = { archived: 0, deleted: 0, treated: 0, purged: 0 };
  for (const document of await database.collection('archives').find().toArray()) {
    add(shown, document['outcomes'], document['childOutcomes']);
    const held: number = document['outcomes'].archived + (document['childOutcomes']?.archived ?? 0);
    shown.archived += held;
    if (document['state'] === 'confirmed') shown.purged += held;
  }
  for (const { outcomes } of await database.collection('expirations').find().toArray()) add(shown, outcomes);
  return { ...shown, certificates: await database.collection('certificates').countDocuments() };
}

function add(shown: { deleted: number; treated: number }, ...all: readonly (Document | undefined)[]): void {
  for (const outcomes of all) {
    shown.deleted += outcomes?.['deleted'] ?? 0;
    shown.treated += outcomes?.['treated'] ?? 0;
  }
}
