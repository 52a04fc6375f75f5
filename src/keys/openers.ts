/**
 * Who can open what: of each owner, whose identity opens how many archives in which vaults, as the entries of the key
 * store say. It reads wrapped keys and opens none, so anybody who may read the key store can ask. What it cannot see are
 * copies: whoever kept an entry of the key store from before still opens its archive.
 */
import type { Clock } from '../clock.ts';
import { id, type OwnerId } from '../ids.ts';
import { KeyStore, type KeyStores } from './key-store.ts';
import type { AdministratorProof } from './port.ts';
import type { Administrator } from './recipients.ts';

/** Archives by the name of the vault that they are in; `-` for what is in none (an upload under way, or its leftover). */
export type ArchivesByVault = Readonly<Record<string, number>>;

export interface Opener {
  /** Null: moraine.yaml names this recipient no more. */
  readonly name: string | null;
  readonly recipient: string;
  readonly recovery: boolean;
  readonly proof: Pick<AdministratorProof, 'state' | 'provenAt' | 'endsAt'> | null;
  readonly archives: number;
  readonly vaults: ArchivesByVault;
}

export interface OwnerOpeners {
  readonly owner: string;
  /** False: its archives are kept, and moraine.yaml does not name it. */
  readonly isNamed: boolean;
  readonly archives: number;
  /** Present administrators first, then whoever else can open something. */
  readonly openers: readonly Opener[];
  /** Archives that one of the present administrators cannot open, or that somebody else can: wrap them again. */
  readonly toRewrap: number;
  /** Archives that no present recovery recipient opens. */
  readonly withoutRecovery: number;
  /** Archives that a key of KMS opens too, or alone: for whoever may decrypt with it, which the account says. */
  readonly openedByKms: number;
  /** Archives that nobody opens whom moraine.yaml names. */
  readonly openedByNobody: number;
  /** Of two key stores: archives whose key one of them lacks or has wrapped for others. */
  readonly storesDiffer: number;
}

export interface OpenersOptions {
  readonly stores: KeyStores;
  readonly clock: Clock;
  readonly owners: ReadonlyMap<OwnerId, readonly Administrator[]>;
  readonly proofsOf: (owner: OwnerId) => Promise<readonly AdministratorProof[]>;
  /** The vaults that these archives are in, by archive; an archive that is in none is left out. */
  readonly vaultsOf: (archives: readonly string[]) => Promise<ReadonlyMap<string, string>>;
  /** Null: every owner that moraine.yaml or the key store names. */
  readonly owner: OwnerId | null;
  readonly signal?: AbortSignal;
}

const PAGE = 500;

/** One owner at a time; memory grows with recipients and vaults, not with archives. */
export async function* whoCanOpen(options: OpenersOptions): AsyncIterable<OwnerOpeners> {
  const store = new KeyStore(options.stores, options.clock);
  if (options.owner !== null) {
    yield await openersOf(options, store, options.owner);
    return;
  }
  const named = [...options.owners.keys()];
  for (const owner of named) yield await openersOf(options, store, owner);
  for await (const owner of store.owners()) {
    const ownerId = id.owner(owner);
    if (!options.owners.has(ownerId)) yield await openersOf(options, store, ownerId);
  }
}

interface Counting {
  archives: number;
  readonly vaults: Record<string, number>;
}

async function openersOf(options: OpenersOptions, store: KeyStore, owner: OwnerId): Promise<OwnerOpeners> {
  const administrators = options.owners.get(owner) ?? [];
  const present = new Set(administrators.map(({ recipient }) => recipient));
  const recovery = new Set(administrators.filter((each) => each.recovery).map(({ recipient }) => recipient));
  const counting = new Map<string, Counting>([...present].map((recipient) => [recipient, { archives: 0, vaults: {} }]));
  const totals = { archives: 0, toRewrap: 0, withoutRecovery: 0, openedByNobody: 0, storesDiffer: 0, openedByKms: 0 };
  for await (const page of store.pagesOfOwner(owner, PAGE)) {
    options.signal?.throwIfAborted();
    const kept = page.map((copies) => copies.filter((copy) => copy !== null));
    const vaults = await options.vaultsOf(kept.flatMap(([copy]) => (copy === undefined ? [] : [copy.archive])));
    for (const [at, copies] of kept.entries()) {
      // Whoever opens any of the copies opens the archive.
      const recipients = new Set(copies.flatMap((copy) => copy.recipients));
      const vault = vaults.get(copies[0]?.archive ?? '') ?? '-';
      totals.archives += 1;
      for (const recipient of recipients) add(counting, recipient, vault);
      const isRight = copies.every((copy) => copy.recipients.length === present.size);
      if (!isRight || recipients.size !== present.size || !isIn(recipients, present)) totals.toRewrap += 1;
      const hasKms = copies.some(({ kms }) => kms !== undefined);
      if (hasKms) totals.openedByKms += 1;
      if (!hasKms && ![...recipients].some((recipient) => recovery.has(recipient))) totals.withoutRecovery += 1;
      if (!hasKms && ![...recipients].some((recipient) => present.has(recipient))) totals.openedByNobody += 1;
      const isEverywhere = copies.length === page[at]?.length;
      if (!isEverywhere || copies.some((copy) => copy.recipients.length !== recipients.size)) totals.storesDiffer += 1;
    }
  }
  const proofs = new Map((await options.proofsOf(owner)).map((proof) => [proof.recipient, proof]));
  const openers = [...counting].map(([recipient, { archives, vaults }]): Opener => {
    const administrator = administrators.find((each) => each.recipient === recipient);
    const proof = proofs.get(recipient);
    return {
      name: administrator?.name ?? null,
      recipient,
      recovery: administrator?.recovery ?? false,
      proof: proof === undefined ? null : { state: proof.state, provenAt: proof.provenAt, endsAt: proof.endsAt },
      archives,
      vaults,
    };
  });
  return { owner, isNamed: options.owners.has(owner), ...totals, openers };
}

function add(counting: Map<string, Counting>, recipient: string, vault: string): void {
  const of = counting.get(recipient) ?? { archives: 0, vaults: {} };
  of.archives += 1;
  of.vaults[vault] = (of.vaults[vault] ?? 0) + 1;
  counting.set(recipient, of);
}

function isIn(some: ReadonlySet<string>, all: ReadonlySet<string>): boolean {
  return [...some].every((each) => all.has(each));
}
