/**
 * Published policies. A version is immutable and named by the hash of the normalised policy; what is in force is one
 * document per policy that names a version. A collection has one policy: two of them would each plan the same records.
 *
 * A change may come into force later, at an instant that is written down; until then the one before it is in force, and
 * another publication replaces what is coming. Who reads asks by an instant; nothing has to be done when it has come.
 */
import { canonicalJson, type Json } from '../canonical-json.ts';
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { Namespace, PolicyVersion } from '../ids.ts';
import type { LedgerIndex } from './indexes.ts';
import { type LedgerDocument, MAX_CLASHES, type Store, type StoreCollection } from './store.ts';
import { LEDGER_VERSION, readableCollection } from './versions.ts';

export interface PublishedPolicy {
  readonly name: string;
  readonly version: PolicyVersion;
  readonly namespace: Namespace;
  /** Normalised; its hash is the version. */
  readonly policy: Json;
  /** When this version was first published, and by whom. */
  readonly publishedAt: Date;
  readonly by: string;
}

/** A version that was put into force. */
export interface PolicyChange {
  readonly version: PolicyVersion;
  readonly at: Date;
  readonly by: string;
  /** In force from then on; absent: at once. */
  readonly effectiveAt?: Date;
  /** What a second person granted for it. */
  readonly approval?: string;
  /** Another publication came before it was in force: it never will be. */
  readonly replacedAt?: Date;
}

interface VersionDocument extends LedgerDocument {
  readonly name: string;
  readonly namespace: Namespace;
  /** Canonical JSON as text: keys with dots or `$` and the order of numbers come back exactly. */
  readonly json: string;
  readonly publishedAt: Date;
  readonly by: string;
}

/** `_id` is the policy's name. */
interface InForceDocument extends LedgerDocument {
  readonly namespace: Namespace;
  /** In force when the last change was made. */
  readonly version: PolicyVersion;
  /** Oldest first; see {@link changeInForce}. */
  readonly changes: readonly PolicyChange[];
}

const VERSIONS = 'policyVersions';
const IN_FORCE = 'policiesInForce';

export const POLICIES_INDEXES: readonly LedgerIndex[] = [
  { collection: IN_FORCE, keys: { namespace: 1 }, unique: true },
];

export interface Publication {
  readonly name: string;
  readonly namespace: Namespace;
  readonly version: PolicyVersion;
  readonly policy: Json;
  /** Who publishes. */
  readonly by: string;
  /** In force from then on; absent: at once. */
  readonly effectiveAt?: Date;
  readonly approval?: string;
  /** What counts as now for what is in force; absent: the clock. */
  readonly asOf?: Date | null;
}

/** Of a policy's history; null for one that never was in force. */
export function changeInForce(history: readonly PolicyChange[], at: Date): PolicyChange | null {
  return standing(history).findLast(({ effectiveAt }) => effectiveAt === undefined || effectiveAt <= at) ?? null;
}

/** The change that is not in force yet, and will be. */
export function changeComing(history: readonly PolicyChange[], at: Date): PolicyChange | null {
  const last = standing(history).at(-1);
  return last?.effectiveAt !== undefined && last.effectiveAt > at ? last : null;
}

/** Since when a change that is in force is so. */
export function inForceSince({ effectiveAt, at }: PolicyChange): Date {
  return effectiveAt ?? at;
}

function standing(history: readonly PolicyChange[]): readonly PolicyChange[] {
  return history.filter(({ replacedAt }) => replacedAt === undefined);
}

/**
 * Puts a policy into force. `unchanged`: this version is in force already. Throws POLICY_INVALID when the collection
 * has another policy. The version is written first: what is in force can always be read.
 */
export async function publishPolicy(
  store: Store,
  clock: Clock,
  publication: Publication,
): Promise<{ readonly outcome: 'published' | 'unchanged'; readonly previous: PolicyVersion | null }> {
  const { name, namespace, version, by, effectiveAt, approval } = publication;
  const at = clock.now();
  const now = publication.asOf ?? at;
  const isComing = effectiveAt !== undefined && effectiveAt > now;
  const change: PolicyChange = {
    ...{ version, at, by },
    ...(isComing ? { effectiveAt } : {}),
    ...(approval === undefined ? {} : { approval }),
  };
  for (let clash = 0; clash <= MAX_CLASHES; clash++) {
    await assertOnlyPolicy(store, publication);
    const current = await inForce(store).get(name);
    const before = current === null ? null : changeInForce(current.changes, now);
    const coming = current === null ? null : changeComing(current.changes, now);
    if ((coming ?? before)?.version === version) return { outcome: 'unchanged', previous: before?.version ?? null };
    await writeVersion(store, clock, publication);
    if (current === null) {
      const document = { _id: name, v: LEDGER_VERSION, namespace, version, changes: [change] };
      if ((await inForce(store).insert(document)) === 'inserted') return { outcome: 'published', previous: null };
    } else {
      const kept = current.changes.map((one) => (one === coming ? { ...one, replacedAt: at } : one));
      // What is in force already goes on as it is: only what was coming is taken back.
      const changes = before?.version === version ? kept : [...kept, change];
      const inForceNow = isComing ? (before?.version ?? version) : version;
      const changed = { ...current, namespace, version: inForceNow, changes };
      if ((await inForce(store).replace(changed)) !== null)
        return { outcome: 'published', previous: before?.version ?? null };
    }
  }
  throw new MoraineError('LEDGER_CONTENTION', `Policy ${name} was published by others ${MAX_CLASHES} times.`);
}

/** The version in force at an instant; null: now, by the ledger's clock. Throws POLICY_NOT_PUBLISHED. */
export async function policyInForce(store: Store, name: string, at: Date | null = null): Promise<PublishedPolicy> {
  const current = await inForce(store).get(name);
  const version = current === null ? null : await versionAt(store, current, at);
  if (version === null) {
    throw new MoraineError('POLICY_NOT_PUBLISHED', `Policy ${name} was never put into force.`, {
      hint: `Run \`moraine policy publish ${name}\`.`,
      ids: { policy: name },
    });
  }
  return await policyVersion(store, version);
}

/** A version that an archive pinned, in force or not. Throws POLICY_UNKNOWN. */
export async function policyVersion(store: Store, version: PolicyVersion): Promise<PublishedPolicy> {
  const document = await versions(store).get(version);
  if (document === null) {
    throw new MoraineError('POLICY_UNKNOWN', `The ledger has no policy of version ${version}.`);
  }
  const { name, namespace, json, publishedAt, by } = document;
  const policy: Json = JSON.parse(json);
  return { name, namespace, version, policy, publishedAt, by };
}

/** All that are in force at an instant, by name; null: now, by the ledger's clock. */
export async function* policiesInForce(store: Store, at: Date | null = null): AsyncIterable<PublishedPolicy> {
  for await (const current of inForce(store).find({}, { sort: { _id: 1 } })) {
    const version = await versionAt(store, current, at);
    if (version !== null) yield await policyVersion(store, version);
  }
}

/** Asks for the time only where it matters. */
async function versionAt(store: Store, current: InForceDocument, at: Date | null): Promise<PolicyVersion | null> {
  const { changes, version } = current;
  if (changes.every(({ effectiveAt }) => effectiveAt === undefined)) return version;
  return changeInForce(changes, at ?? (await store.serverTime()))?.version ?? null;
}

/** What was put into force when and by whom, oldest first; empty for a policy that never was. */
export async function policyHistory(store: Store, name: string): Promise<readonly PolicyChange[]> {
  return (await inForce(store).get(name))?.changes ?? [];
}

async function assertOnlyPolicy(store: Store, { name, namespace }: Publication): Promise<void> {
  for await (const other of inForce(store).find({ namespace, _id: { $ne: name } }, { limit: 1 })) {
    throw new MoraineError('POLICY_INVALID', `Collection ${namespace} has a policy already: ${other._id}.`, {
      hint: `A collection has one policy. Publish the change under the name ${other._id}, or choose another collection.`,
      ids: { policy: name, other: other._id, namespace },
    });
  }
}

async function writeVersion(store: Store, clock: Clock, publication: Publication): Promise<void> {
  const { name, namespace, version, by } = publication;
  const json = canonicalJson(publication.policy);
  const document = { _id: version, v: LEDGER_VERSION, name, namespace, json, publishedAt: clock.now(), by };
  if ((await versions(store).insert(document)) === 'inserted') return;
  const known = await versions(store).get(version);
  if (known?.json !== json || known.name !== name || known.namespace !== namespace) {
    throw new MoraineError('INTERNAL', `Policy version ${version} stands for two different policies.`);
  }
}

function versions(store: Store): StoreCollection<VersionDocument> {
  return readableCollection<VersionDocument>(store, VERSIONS);
}

function inForce(store: Store): StoreCollection<InForceDocument> {
  return readableCollection<InForceDocument>(store, IN_FORCE);
}
