/** A person who places holds through the command line, keeps them for a while, and releases them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { readSource, type SourceRecord } from './checker/end-state.ts';
import { readVaults } from './checker/vault-files.ts';
import { DATASETS, OWNERS, PEOPLE } from './datasets.ts';
import type { Deeds } from './figures.ts';
import type { HoldScope } from './journal.ts';
import type { ArmedPoint } from './points.ts';
import type { Random } from './random.ts';
import { CUSTOMERS, type FaultyWorld } from './world.ts';

const HELD_FOR_MS = [1_500, 8_000] as const;
const KEYS_HELD = 4;

const placed = z.object({ id: z.string(), state: z.string(), tooLate: z.array(z.string()) });

/** One hold from its placing to its release. A placing that fails or is cut is left to whoever comes next. */
export async function placeAndRelease(
  world: FaultyWorld,
  random: Random,
  deeds: Deeds,
  armed: ArmedPoint | null,
): Promise<void> {
  const scope = await randomScope(world, random);
  const caseNumber = `C-${random.int(1, LARGEST_CASE)}`;
  const heldForMs = random.int(...HELD_FOR_MS);
  deeds.add('command: hold place');
  if (await underHold(world, scope, caseNumber, () => sleep(heldForMs), armed)) deeds.add('command: hold release');
}

const LARGEST_CASE = 1_000_000;

/** Places a hold and, once it is reported in force, does something, looking before and after. False: it was not placed. */
export async function underHold(
  world: FaultyWorld,
  scope: HoldScope,
  caseNumber: string,
  during: () => Promise<unknown>,
  armed: ArmedPoint | null = null,
): Promise<boolean> {
  const { code, stdout } = await world.processes.run(placeArguments(scope, caseNumber), armed);
  // 3: in force, and too late for some.
  if (code !== 0 && code !== 3) return false;
  const hold = placed.parse(JSON.parse(stdout));
  if (hold.state !== 'active') return false;
  const from = Date.now();
  const before = await look(world, scope);
  await during();
  const after = await look(world, scope);
  const to = Date.now();
  world.journal.write({
    ...{ kind: 'hold', hold: hold.id, scope, tooLate: hold.tooLate, from, to },
    ...{ recordsBefore: before.records, recordsAfter: after.records },
    ...{ filesBefore: before.files, filesAfter: after.files },
  });
  await world.moraine('hold', 'release', hold.id, '--reason', 'settled', '--yes');
  return true;
}

async function randomScope(world: FaultyWorld, random: Random): Promise<HoldScope> {
  const owner = random.pick(OWNERS);
  const dataset = random.pick(DATASETS);
  const namespace = `${world.database}.${dataset.collection}`;
  const open = { owner, customer: null, namespace: null, ids: null, person: null };
  const kind = random.int(0, 4);
  if (kind === 0) return open;
  if (kind === 1) return { ...open, customer: random.pick(CUSTOMERS) };
  if (kind === 2) return { ...open, customer: random.pick(CUSTOMERS), namespace };
  if (kind === 3) return { ...open, person: random.pick(PEOPLE) };
  const records = await readSource(world.client, world.database, dataset.collection);
  const ids = random.shuffled(records.filter((record) => record.owner === owner)).map(({ id }) => id);
  return ids.length === 0 ? open : { ...open, namespace, ids: ids.slice(0, KEYS_HELD) };
}

function placeArguments(scope: HoldScope, caseNumber: string): readonly string[] {
  const { owner, customer, namespace, ids, person } = scope;
  return [
    ...['hold', 'place', '--case', caseNumber, '--reason', 'a claim', '--owner', owner, '--yes', '--json'],
    ...(customer === null ? [] : ['--customer', customer]),
    ...(namespace === null ? [] : ['--dataset', namespace]),
    ...(ids ?? []).flatMap((id) => ['--key', String(id)]),
    ...(person === null ? [] : ['--facet', `subject=${person}`]),
  ];
}

/** What the hold covers in the source now, and every file that the vaults hold. */
async function look(world: FaultyWorld, scope: HoldScope) {
  const records: SourceRecord[] = [];
  for (const { collection } of DATASETS) records.push(...(await readSource(world.client, world.database, collection)));
  const files = readVaults(world.vaultState).filter(({ isDeleted }) => !isDeleted);
  return {
    records: records
      .filter((record) => isCovered(scope, record))
      .map(({ namespace, id, sha256 }) => ({ namespace, id, sha256 })),
    files: files.map(({ id }) => id),
  };
}

function isCovered(scope: HoldScope, record: SourceRecord): boolean {
  return (
    scope.owner === record.owner &&
    (scope.customer ?? record.customer) === record.customer &&
    (scope.namespace ?? record.namespace) === record.namespace &&
    (scope.person ?? record.person) === record.person &&
    (scope.ids === null || scope.ids.includes(record.id))
  );
}
