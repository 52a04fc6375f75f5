/**
 * The witness: keeps every file that a vault ever held (as hard links, so it costs nothing) and every wrapped archive
 * key, as a backup would. With it the checker can open at the end what was purged long before, and say what was in it.
 */
import { existsSync, linkSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MongoClient } from 'mongodb';
import { bytesOf } from './ledger.ts';
import { readVaults, type VaultFile } from './vault-files.ts';

const LOOK_EVERY_MS = 250;

export interface Witnessed {
  /** By the service's id: the file with paths that stay. */
  readonly files: ReadonlyMap<string, VaultFile>;
  /** By attempt: the age file. */
  readonly keys: ReadonlyMap<string, Uint8Array>;
  /** By the service's id: when the file was first seen to be deleted (ms). */
  readonly deletedSeenAt: ReadonlyMap<string, number>;
}

export class Witness implements Witnessed {
  readonly files = new Map<string, VaultFile>();
  readonly keys = new Map<string, Uint8Array>();
  readonly deletedSeenAt = new Map<string, number>();
  readonly #state: string;
  readonly #folder: string;
  readonly #client: MongoClient;
  readonly #ledger: string;
  #isWatching = true;
  #watching: Promise<void> = Promise.resolve();

  constructor(of: {
    /** The emulator's folder. */
    readonly state: string;
    /** On the same file system. */
    readonly folder: string;
    readonly client: MongoClient;
    readonly ledger: string;
  }) {
    this.#state = of.state;
    this.#folder = of.folder;
    this.#client = of.client;
    this.#ledger = of.ledger;
    mkdirSync(this.#folder, { recursive: true });
  }

  start(): void {
    this.#watching = this.#watch();
  }

  async stop(): Promise<void> {
    this.#isWatching = false;
    await this.#watching;
    await this.look();
  }

  async #watch(): Promise<void> {
    while (this.#isWatching) {
      // A server that is away is looked at again: what it holds does not go meanwhile.
      await this.look().catch(() => undefined);
      await sleep(LOOK_EVERY_MS);
    }
  }

  async look(): Promise<void> {
    for (const file of readVaults(this.#state)) {
      if (file.isDeleted && !this.deletedSeenAt.has(file.id)) this.deletedSeenAt.set(file.id, Date.now());
      if (!file.isDeleted && !this.files.has(file.id)) this.#keep(file);
    }
    const known = [...this.keys.keys()];
    const fresh = this.#client
      .db(this.#ledger)
      .collection('archiveKeys')
      .find({ state: 'kept', _id: { $nin: known } } as never);
    for await (const key of fresh) this.keys.set(String(key['_id']), bytesOf(key['wrapped']));
  }

  #keep(file: VaultFile): void {
    const paths = file.paths.map((path) => {
      const kept = join(this.#folder, basename(path));
      if (!existsSync(kept)) linkSync(path, kept);
      return kept;
    });
    this.files.set(file.id, { ...file, paths });
  }
}
