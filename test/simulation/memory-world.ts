/**
 * A world in memory: ledger, source, vault and key store that outlive the processes which work on them. Every process
 * has its own context, and may meet one fault (faults.ts). Time moves only when a test moves it.
 */
import { BSON } from 'bson';
import { expect } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import { type ArchiveId, id } from '../../src/ids.ts';
import { KEY_INDEXES } from '../../src/keys/documents.ts';
import type { KeysOptions } from '../../src/keys/keys.ts';
import { createKeys } from '../../src/keys/keys.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { findArchives } from '../../src/ledger/archives.ts';
import { AuditLog, verifyAudit } from '../../src/ledger/audit.ts';
import { openInstallation } from '../../src/ledger/installation.ts';
import { ASKING_MARGIN_MS } from '../../src/ledger/inventories.ts';
import { LEASE_MS } from '../../src/ledger/leases.ts';
import { LEDGER_INDEXES } from '../../src/ledger/ledger-indexes.ts';
import { MemoryStore } from '../../src/ledger/memory-store.ts';
import type { LedgerDocument, Store, StoreCollection } from '../../src/ledger/store.ts';
import type { Context, Environment } from '../../src/lifecycle/context.ts';
import { type Policy, toShape } from '../../src/policy/policy.ts';
import { MemorySource } from '../../src/source/memory-source.ts';
import { MemoryVault } from '../../src/vault/memory-vault.ts';
import type { VaultGuards } from '../../src/vault/port.ts';
import { publishText } from '../harness/publish-policy.ts';
import { Process } from './faults.ts';

/** The recipient of an identity that nobody needs here: the daemon's side never opens an archive. */
const RECIPIENT = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p';

export class MovableClock implements Clock {
  #ms: number;
  #monotonicMs = 0;
  constructor(start: string) {
    this.#ms = Date.parse(start);
  }
  now(): Date {
    return new Date(this.#ms);
  }
  monotonicMs(): number {
    return this.#monotonicMs;
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.advance(ms);
  }
  /** Backward too, as a clock that is set: the time that has passed never goes back. */
  advance(ms: number): void {
    this.#ms += ms;
    this.#monotonicMs += Math.max(0, ms);
  }
}

export class MemoryWorld {
  readonly clock = new MovableClock('2024-06-01T00:00:00Z');
  readonly store = new MemoryStore(this.clock);
  readonly source = new MemorySource({ clock: this.clock });
  readonly vault: MemoryVault;
  readonly administrators: ReturnType<KeysOptions['administratorsOf']>;
  #installation = '';
  #ids = 0;

  private constructor(recipient: string, guards?: VaultGuards) {
    const kept = guards === undefined ? {} : { guards };
    this.vault = new MemoryVault({ key: id.vaultKey('cold'), clock: this.clock, ...kept });
    this.administrators = [{ name: 'alice', recipient, recovery: false }];
  }

  /** `guards`: the vault keeps archives by itself; default: it does not. */
  static async open(recipient = RECIPIENT, guards?: VaultGuards): Promise<MemoryWorld> {
    const world = new MemoryWorld(recipient, guards);
    await world.store.ensureIndexes([...LEDGER_INDEXES, ...KEY_INDEXES]);
    world.#installation = (await openInstallation(world.store, world.clock, 'sandbox')).id;
    return world;
  }

  /** A process of its own, that may meet a fault. */
  context(
    process: Process = new Process(),
    options: { readonly asOf?: string; readonly signal?: AbortSignal; readonly environment?: Environment } = {},
  ): Context {
    const store = wrapStore(process, this.store);
    const asOf = options.asOf === undefined ? null : new Date(options.asOf);
    const source = process.wrap(this.source, 'mongodb', [
      'facts',
      'fitness',
      'facets',
      'position',
      'keyOf',
      'parentOf',
      'isOfParty',
      'treated',
      'isMarkedBy',
      'values',
      'valueBytes',
      'parentOf',
      'isOfParty',
    ]);
    const vault = process.wrap(this.vault, 'vault', ['locate', 'estimateRetrieval', 'foundVaults']);
    this.#ids += 1_000_000;
    let last = this.#ids;
    return {
      clock: this.clock,
      store,
      audit: new AuditLog(store, this.clock, { actor: 'person:test', asOf }),
      source,
      keys: createKeys({
        stores: [store],
        clock: this.clock,
        environment: 'sandbox',
        administratorsOf: () => this.administrators,
      }),
      vaults: new Map([[id.vaultKey('cold'), vault]]),
      owners: new Set([id.owner('acme')]),
      installation: { id: this.#installation, environment: options.environment ?? 'sandbox' },
      worker: id.worker(`worker-${last}`),
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      progress: {},
      newId: () => `n${last++}`,
      asOf,
      signal: options.signal,
    };
  }

  publish(yaml: string): Promise<Policy> {
    return publishText(this.store, this.clock, yaml);
  }

  /** Publishes the policy of this text with some of its normal form replaced. */
  publishAs(yaml: string, change: Partial<Policy>): Promise<Policy> {
    return publishText(this.store, this.clock, yaml, change);
  }

  put(policy: Policy, document: BSON.Document): void {
    this.source.put(policy.dataset.collection, BSON.serialize(document));
  }

  idsIn(policy: Policy): string[] {
    return this.source
      .all(policy.dataset.collection)
      .map((raw) => String(BSON.deserialize(raw)['_id']))
      .sort();
  }

  /** Whoever held a lease, or was about to ask for an inventory, is taken for dead. */
  letLeasesEnd(): void {
    this.clock.advance(Math.max(LEASE_MS, ASKING_MARGIN_MS) + 1_000);
  }

  async archives(): Promise<ArchiveDocument[]> {
    const found: ArchiveDocument[] = [];
    for await (const archive of findArchives(this.store, {}, { sort: { _id: 1 } })) found.push(archive);
    return found;
  }

  async all(collection: string): Promise<LedgerDocument[]> {
    const found: LedgerDocument[] = [];
    for await (const document of this.store.collection(collection).find({})) found.push(document);
    return found;
  }

  /** Promise 5, for every archive and at every moment. */
  async assertTotalsHold(): Promise<void> {
    for (const { _id, outcomes } of await this.archives()) {
      const { archived, deleted, treated, changed, held, gone, quarantined, pending } = outcomes;
      expect(deleted + treated + changed + held + gone + quarantined + pending, _id).toBe(archived);
    }
  }

  /** Promise 1: what is missing from the source lies in a vault, verified, with its key; or a purge was asked for. */
  async assertNothingIsLost(policy: Policy, originals: readonly BSON.Document[]): Promise<void> {
    const there = new Set(this.idsIn(policy));
    const archives = await this.archives();
    for (const original of originals) {
      if (there.has(String(original['_id']))) continue;
      const shape = toShape(policy);
      const { customer } = this.source.facts(shape, BSON.serialize(original));
      const keepers = archives.filter((archive) => archive.customer === customer && archive.verifiedAt !== null);
      const isKept = await Promise.all(keepers.map((archive) => this.#isReadableOrPurging(archive)));
      expect(isKept.includes(true), `${original['_id']} is in no verified archive that can be opened`).toBe(true);
    }
  }

  async #isReadableOrPurging(archive: ArchiveDocument): Promise<boolean> {
    if (archive.purge?.askedAt != null) return true;
    const isInVault = this.vault
      .archivesIn(archive.vault)
      .some(({ vaultArchiveId }) => vaultArchiveId === archive.stored?.vaultArchiveId);
    if (!isInVault || archive.attempt === null) return false;
    return await this.context()
      .keys.readBack(archive.attempt)
      .then(() => true)
      .catch(() => false);
  }

  /** Nothing is open or left over once everything came to its end. */
  async assertNothingIsOpen(): Promise<void> {
    for (const { _id, lease, unaudited } of await this.archives()) {
      // A lease ends by itself; an entry that is missing in the chain does not come by itself.
      if (lease !== null) expect(lease.until.getTime(), _id).toBeLessThan(this.clock.now().getTime());
      expect(unaudited, _id).toEqual([]);
    }
    expect(await verifyAudit(this.store)).toMatchObject({ ok: true });
    for (const collection of ['plannedRecords', 'rosterPages', 'clearingPages'])
      expect(await this.all(collection), collection).toEqual([]);
  }

  vaultFiles(archive: ArchiveId, archives: readonly ArchiveDocument[]) {
    const found = archives.find(({ _id }) => _id === archive);
    return found === undefined ? [] : this.vault.archivesIn(found.vault);
  }
}

function wrapStore(process: Process, store: Store): Store {
  return {
    serverTime: () => process.wrap(store, 'mongodb', []).serverTime(),
    collection: <T extends LedgerDocument>(name: string): StoreCollection<T> =>
      process.wrap(store.collection<T>(name), 'mongodb', [], name),
  };
}
