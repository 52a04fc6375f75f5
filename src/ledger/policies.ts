/**
 * Published policies. A version is immutable and named by the hash of the normalised policy; what is in force is one
 * document per policy that names a version. A collection has one policy: two of them would each plan the same records.
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
  readonly version: PolicyVersion;
  /** Oldest first; the last is in force. */
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
  const { name, namespace, version, by } = publication;
  const change = { version, at: clock.now(), by };
  for (let clash = 0; clash <= MAX_CLASHES; clash++) {
    await assertOnlyPolicy(store, publication);
    const current = await inForce(store).get(name);
    if (current?.version === version) return { outcome: 'unchanged', previous: version };
    await writeVersion(store, clock, publication);
    if (current === null) {
      const document = { _id: name, v: LEDGER_VERSION, namespace, version, changes: [change] };
      if ((await inForce(store).insert(document)) === 'inserted') return { outcome: 'published', previous: null };
    } else {
      const changed = { ...current, namespace, version, changes: [...current.changes, change] };
      if ((await inForce(store).replace(changed)) !== null) return { outcome: 'published', previous: current.version };
    }
  }
  throw new MoraineError('LEDGER_CONTENTION', `Policy ${name} was published by others ${MAX_CLASHES} times.`);
}

/** Throws POLICY_NOT_PUBLISHED. */
export async function policyInForce(store: Store, name: string): Promise<PublishedPolicy> {
  const current = await inForce(store).get(name);
  if (current === null) {
    throw new MoraineError('POLICY_NOT_PUBLISHED', `Policy ${name} was never put into force.`, {
      hint: `Run \`moraine policy publish ${name}\`.`,
      ids: { policy: name },
    });
  }
  return await policyVersion(store, current.version);
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

/** All that are in force, by name. */
export async function* policiesInForce(store: Store): AsyncIterable<PublishedPolicy> {
  for await (const { version } of inForce(store).find({}, { sort: { _id: 1 } }))
    yield await policyVersion(store, version);
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
