/**
 * Rebuild: a lost ledger made anew from what the vaults list, what is written beside each archive there, the key store,
 * and, with an administrator's identity, the archives' own manifests and indexes.
 *
 * In this order, each step of which may be cut and made again: the alarm that stops all destructive work; policies, from
 * files whose versions the archives name; archives, from inventories; what each holds, by retrievals. A person ends the
 * alarm (`rebuild --accept`): holds, exceptions and certificates were in the ledger alone, and nobody else can say which
 * holds are to be placed again before anything is purged. Purge dates come from the descriptions, and are exact once an
 * archive was shown (decision 0006); what became due meanwhile is purged then, within its grace or overdue as ever.
 */
import type { Json } from '../canonical-json.ts';
import { MoraineError } from '../errors.ts';
import type { PolicyVersion } from '../ids.ts';
import { endRebuildAlarm, raiseAlarm } from '../ledger/alarms.ts';
import { archives, archivesById, findArchives, settleUnaudited } from '../ledger/archives.ts';
import { getInventory, needInventory, takeInventory } from '../ledger/inventories.ts';
import { publishPolicy } from '../ledger/policies.ts';
import { acceptRebuild, beginRebuild, markRead, type RebuildDocument } from '../ledger/rebuilds.ts';
import type { Store } from '../ledger/store.ts';
import type { Policy } from '../policy/policy.ts';
import type { FoundVault, InventoryEntry, VaultLocation, VaultPort } from '../vault/port.ts';
import { assertNotStopped, type Context, dueNow, type Environment } from './context.ts';
import { followInventory } from './follow-inventory.ts';
import { noteVaultFinding } from './note-finding.ts';
import { NOT_PROVEN, type Placed, placeArchive } from './place-archive.ts';
import { type ProveOptions, proveArchive } from './prove-archive.ts';

export interface RebuildOptions {
  /** Of the policy files that moraine.yaml names. */
  readonly policies: readonly { readonly policy: Policy; readonly version: PolicyVersion }[];
  /** With an administrator's identity; null: archives are found, and stay quarantined. */
  readonly prove: Omit<ProveOptions, 'by'> | null;
  readonly by: string;
}

export interface RebuildReport {
  readonly vaults: readonly {
    readonly vault: string;
    /** `unreadable`: its tags and names are hashes; nothing in it can be told apart. */
    readonly state: 'read' | 'waiting' | 'unreadable' | 'failed';
    readonly until: Date | null;
    readonly text: string | null;
  }[];
  /** Entries of inventories, by what became of them. */
  readonly entries: Readonly<Record<Placed | 'foreign', number>>;
  readonly published: readonly { readonly policy: string; readonly version: PolicyVersion }[];
  /** Versions that archives name and no policy file is. */
  readonly unknownVersions: readonly { readonly version: PolicyVersion; readonly archives: number }[];
  /** Of the archives that were not shown before this. */
  readonly proven: number;
  readonly retrieving: number;
  readonly failed: readonly { readonly archive: string; readonly text: string }[];
  /** Found, and not shown. */
  readonly unproven: number;
  /** Every vault was read, and nothing waits: `rebuild --accept` may follow. */
  readonly isRead: boolean;
}

/** Retrievals that are open at once: a vault answers so many in the same hours. */
const MOST_RETRIEVALS = 1_000;
/** Failures that are named. */
const MOST_NAMED = 1_000;

/**
 * Which installation the vaults are tagged with: the one that is named, or the only one. Throws INSTALLATION_UNKNOWN, and
 * ENVIRONMENT_MISMATCH where its vaults are of another environment than we.
 */
export async function findInstallation(
  vaults: Iterable<VaultPort>,
  named: string | null,
  environment: Environment,
): Promise<string> {
  const environments = new Map<string, Set<string | null>>();
  for (const vault of vaults) {
    for await (const found of vault.foundVaults()) {
      const of = environments.get(found.installation) ?? new Set();
      environments.set(found.installation, of.add(found.environment));
    }
  }
  const names = [...environments.keys()];
  const [only] = named === null ? names : names.filter((name) => name === named);
  if (only === undefined || (named === null && names.length > 1)) {
    throw new MoraineError('INSTALLATION_UNKNOWN', `The vaults are tagged with: ${names.join(', ') || 'none'}.`);
  }
  const other = [...(environments.get(only) ?? [])].find((one) => one !== null && one !== environment);
  if (other === undefined) return only;
  throw new MoraineError(
    'ENVIRONMENT_MISMATCH',
    `The vaults of installation ${only} belong to environment ${other}, and the configuration says ${environment}.`,
    { ids: { installation: only } },
  );
}

/** Before anything else is written: whose ledger it is, and that nothing destructive may begin. Throws LEDGER_NOT_EMPTY. */
export async function openRebuild(
  context: Pick<Context, 'store' | 'clock'>,
  of: Pick<RebuildDocument, 'installation' | 'environment' | 'begunBy'>,
): Promise<void> {
  await beginRebuild(context.store, context.clock, of);
  const text = 'The ledger was rebuilt from the vaults and is not accepted yet: holds are not in it.';
  await raiseAlarm(context.store, context.clock, 'LEDGER_REBUILT', text);
}

export async function rebuild(context: Context, options: RebuildOptions): Promise<RebuildReport> {
  const entries = { placed: 0, known: 0, unreadable: 0, 'without-key': 0, 'other-file': 0, foreign: 0 };
  const report = {
    ...{ vaults: [] as RebuildReport['vaults'][number][], entries },
    ...{ published: [] as RebuildReport['published'][number][], proven: 0, retrieving: 0 },
    failed: [] as RebuildReport['failed'][number][],
  };
  const subject = { installation: context.installation.id };
  await context.audit.append([{ act: 'ledger rebuild', phase: 'intent', subject, details: { by: options.by } }]);
  const names = new Map(options.policies.map(({ policy, version }) => [version, policy.name]));
  for (const vault of context.vaults.values()) {
    for await (const found of vault.foundVaults()) {
      assertNotStopped(context);
      if (found.installation !== context.installation.id) continue;
      report.vaults.push(await readVault(context, found, names, entries));
    }
  }
  await publishNamed(context, options, report.published);
  if (options.prove !== null) await proveAll(context, { ...options.prove, by: options.by }, report);
  await settleUnaudited(context.store, context.audit);
  const unproven = await archives(context.store).count({ state: 'quarantined', quarantineReason: NOT_PROVEN });
  const isRead = report.retrieving === 0 && report.vaults.every(({ state }) => state === 'read');
  await markRead(context.store, isRead);
  const details = { placed: entries.placed, proven: report.proven, unproven, isRead };
  await context.audit.append([{ act: 'ledger rebuild', phase: 'outcome', subject, details }]);
  return { ...report, unknownVersions: await unknownVersions(context.store, options), unproven, isRead };
}

async function readVault(
  context: Context,
  { name, location }: FoundVault,
  names: ReadonlyMap<PolicyVersion, string>,
  entries: Record<Placed | 'foreign', number>,
): Promise<RebuildReport['vaults'][number]> {
  if (location === null)
    return { vault: name, state: 'unreadable', until: null, text: 'its tags hold hashes of names' };
  try {
    // Any inventory will do: what came after it is told as stray by the next reconcile, and adopted.
    if ((await getInventory(context.store, location)) === null)
      await needInventory(context.store, location, new Date(0));
    const answer = await followInventory(context, location);
    if (answer.state === 'pending') return { vault: name, state: 'waiting', until: answer.expectedAt, text: null };
    if (answer.state === 'not-needed') return { vault: name, state: 'read', until: null, text: null };
    for await (const entry of answer.inventory.entries()) {
      assertNotStopped(context);
      entries[await placeEntry(context, location, entry, names)] += 1;
    }
    const { inventoryDate } = answer.inventory;
    await takeInventory(context.store, location, { jobId: answer.jobId, inventoryDate, isEnough: true });
    return { vault: name, state: 'read', until: null, text: null };
  } catch (error) {
    if (error instanceof MoraineError && error.code === 'WORK_STOPPED') throw error;
    return { vault: name, state: 'failed', until: null, text: error instanceof Error ? error.message : String(error) };
  }
}

async function placeEntry(
  context: Context,
  location: VaultLocation,
  entry: InventoryEntry,
  names: ReadonlyMap<PolicyVersion, string>,
): Promise<Placed | 'foreign'> {
  const { intent, vaultArchiveId } = entry;
  if (intent === null || intent.installation !== context.installation.id) return 'foreign';
  const placed = await placeArchive(context, location, entry, intent, names);
  if (placed === 'without-key' || placed === 'other-file') {
    await noteVaultFinding(context, 'stray', { location, archive: intent.archive, vaultArchiveId }, entry);
  }
  return placed;
}

/** Files whose version an archive names go into force again; nothing destructive begins under the alarm. */
async function publishNamed(
  context: Context,
  { policies, by }: RebuildOptions,
  published: RebuildReport['published'][number][],
): Promise<void> {
  const { store, clock } = context;
  for (const { policy, version } of policies) {
    if ((await archives(store).count({ policyVersion: version })) === 0) continue;
    const json: Json = JSON.parse(JSON.stringify(policy));
    const namespace = policy.dataset.collection;
    const publication = { name: policy.name, namespace, version, policy: json, by, asOf: context.asOf };
    const { outcome } = await publishPolicy(store, clock, publication);
    if (outcome === 'unchanged') continue;
    published.push({ policy: policy.name, version });
    const subject = { policy: policy.name, namespace };
    await context.audit.append([
      { act: 'policy publish', phase: 'outcome', subject, details: { version, rebuilt: true } },
    ]);
  }
}

async function proveAll(
  context: Context,
  options: ProveOptions,
  report: { proven: number; retrieving: number; failed: RebuildReport['failed'][number][] },
): Promise<void> {
  const unproven = { state: 'quarantined', quarantineReason: NOT_PROVEN };
  for await (const archive of archivesById(context.store, context.clock, unproven)) {
    assertNotStopped(context);
    if (report.retrieving >= MOST_RETRIEVALS) return;
    try {
      const { state } = await proveArchive(context, archive, options);
      if (state === 'proven') report.proven += 1;
      else report.retrieving += 1;
    } catch (error) {
      if (error instanceof MoraineError && error.code === 'WORK_STOPPED') throw error;
      const text = error instanceof Error ? error.message : String(error);
      context.log.warn({ archive: archive._id }, text);
      if (report.failed.length < MOST_NAMED) report.failed.push({ archive: archive._id, text });
    }
  }
}

/** A policy has few versions, so few are counted. */
async function unknownVersions(store: Store, { policies }: RebuildOptions): Promise<RebuildReport['unknownVersions']> {
  const known = new Set(policies.map(({ version }) => version));
  const unknown = new Map<PolicyVersion, number>();
  for await (const { policyVersion } of findArchives(store, {}))
    if (!known.has(policyVersion)) unknown.set(policyVersion, (unknown.get(policyVersion) ?? 0) + 1);
  return [...unknown].map(([version, count]) => ({ version, archives: count }));
}

export interface AcceptedRebuild {
  /** Archives that are due for their purge as soon as it is accepted. */
  readonly due: number;
  readonly unproven: number;
}

/** What accepting begins. Reads only. */
export async function weighAcceptance(context: Context): Promise<AcceptedRebuild> {
  const due = await archives(context.store).count({ state: 'cleared', dueAt: { $lte: dueNow(context) } });
  const unproven = await archives(context.store).count({ state: 'quarantined', quarantineReason: NOT_PROVEN });
  return { due, unproven };
}

/** Ends the alarm. Throws USAGE while not everything was read. Idempotent. */
export async function accept(context: Context, by: string): Promise<void> {
  const subject = { installation: context.installation.id };
  const details = { by, ...(await weighAcceptance(context)) };
  const rebuilt = await acceptRebuild(context.store, context.clock, by);
  const key = `rebuild accepted ${rebuilt.begunAt.toISOString()}`;
  await context.audit.appendOnce([{ key, act: 'rebuilt ledger accepted', phase: 'outcome', subject, details }]);
  await endRebuildAlarm(context.store);
}
