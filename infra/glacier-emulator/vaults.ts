import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EmulatorClock } from './clock.ts';
import { limitExceeded, vaultNotEmpty, vaultNotFound } from './errors.ts';
import { readJson } from './files.ts';
import { isArchiveId, vaultArn } from './identifiers.ts';
import { isDeletable } from './inventory.ts';
import { Mutex } from './mutex.ts';
import { vaultSchema } from './records.ts';
import { Vault } from './vault.ts';

/** Of an account in a region, by the service's quota. */
export const DEFAULT_MOST_VAULTS = 1000;

export type VaultsOptions = { lingerMs: number; mostVaults: number };

/**
 * All vaults, by region and name: `vaults/REGION/HASH-OF-NAME/`. (A vault's name may be longer than a file's.) A vault
 * is deleted by moving its folder to `deleted/` in one step.
 */
export class Vaults {
  readonly #folder: string;
  readonly #clock: EmulatorClock;
  readonly #options: VaultsOptions;
  readonly #byKey = new Map<string, Vault>();
  readonly #changes = new Mutex();

  private constructor(folder: string, clock: EmulatorClock, options: VaultsOptions) {
    this.#folder = folder;
    this.#clock = clock;
    this.#options = options;
  }

  static async open(folder: string, clock: EmulatorClock, options: VaultsOptions): Promise<Vaults> {
    const vaults = new Vaults(folder, clock, options);
    await vaults.#load();
    return vaults;
  }

  /** The vault, ready to use; throws ResourceNotFoundException. */
  async get(region: string, name: string): Promise<Vault> {
    const vault = this.#byKey.get(keyOf(region, name));
    if (vault === undefined) throw vaultNotFound(vaultArn(region, name));
    await vault.ready();
    return vault;
  }

  find(region: string, name: string): Vault | null {
    return this.#byKey.get(keyOf(region, name)) ?? null;
  }

  /** In the order of their names. */
  list(region: string): Vault[] {
    return [...this.#byKey.values()]
      .filter((vault) => vault.record.region === region)
      .sort((a, b) => (a.record.name < b.record.name ? -1 : 1));
  }

  /** Whether some vault of the region keeps or kept this archive. */
  async know(region: string, archiveId: string): Promise<boolean> {
    if (!isArchiveId(archiveId)) return false;
    for (const vault of this.list(region)) if (await vault.knows(archiveId)) return true;
    return false;
  }

  /** Those of all regions. */
  all(): Iterable<Vault> {
    return this.#byKey.values();
  }

  named(name: string): Vault[] {
    return [...this.#byKey.values()].filter((vault) => vault.record.name === name);
  }

  /** Creating a vault that exists changes nothing. */
  create(region: string, name: string): Promise<void> {
    return this.#changes.run(async () => {
      if (this.find(region, name) !== null) return;
      const { mostVaults } = this.#options;
      if (this.list(region).length >= mostVaults) {
        throw limitExceeded(`The account has reached its limit of ${mostVaults} vaults in ${region}`);
      }
      const record = vaultSchema.parse({ name, region, createdAtMs: this.#clock.nowMs(), tags: {} });
      const vault = new Vault(this.#folderOf(region, name), record, this.#clock, this.#options.lingerMs);
      await vault.writeNew();
      this.#byKey.set(keyOf(region, name), vault);
    });
  }

  /** Deleting a vault that does not exist changes nothing. */
  delete(region: string, name: string): Promise<void> {
    return this.#changes.run(async () => {
      const vault = this.find(region, name);
      if (vault === null) return;
      await vault.ready();
      const isClosed = await vault.close(() => isDeletable(vault.record, vault.archives.values(), this.#clock.nowMs()));
      if (!isClosed) throw vaultNotEmpty(vault.arn);
      await this.#bury(vault);
    });
  }

  /** Drops every vault, in any region, whose name begins with `prefix`, whatever it holds. Returns how many. */
  drop(prefix: string): Promise<number> {
    return this.#changes.run(async () => {
      const vaults = [...this.#byKey.values()].filter(({ record }) => record.name.startsWith(prefix));
      for (const vault of vaults) {
        await vault.close(() => true);
        await this.#bury(vault);
      }
      return vaults.length;
    });
  }

  async #bury({ record: { region, name } }: Vault): Promise<void> {
    const grave = join(this.#folder, 'deleted', randomUUID());
    await rename(this.#folderOf(region, name), grave);
    this.#byKey.delete(keyOf(region, name));
    await rm(grave, { recursive: true, force: true });
  }

  #folderOf(region: string, name: string): string {
    const hash = createHash('sha256').update(name).digest('hex').slice(0, 40);
    return join(this.#folder, 'vaults', region, hash);
  }

  async #load(): Promise<void> {
    await rm(join(this.#folder, 'deleted'), { recursive: true, force: true });
    await mkdir(join(this.#folder, 'deleted'), { recursive: true });
    await mkdir(join(this.#folder, 'vaults'), { recursive: true });
    for (const region of await readdir(join(this.#folder, 'vaults'))) {
      for (const hash of await readdir(join(this.#folder, 'vaults', region))) {
        const folder = join(this.#folder, 'vaults', region, hash);
        const record = await readJson(join(folder, 'vault.json'), vaultSchema);
        if (record === null) {
          // A vault that was being created, or is already deleted.
          await rm(folder, { recursive: true, force: true });
        } else {
          this.#byKey.set(keyOf(region, record.name), new Vault(folder, record, this.#clock, this.#options.lingerMs));
        }
      }
    }
  }
}

const keyOf = (region: string, name: string) => `${region}/${name}`;
