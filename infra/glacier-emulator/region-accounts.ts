import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readJson, writeJson } from './files.ts';
import { Mutex } from './mutex.ts';
import { type RegionRecord, regionSchema } from './records.ts';

const FRESH: RegionRecord = { retrievalPolicy: { strategy: 'None' }, capacity: [] };

/** What the account has in each region besides vaults: one file a region, replaced in one step. */
export class RegionAccounts {
  readonly #folder: string;
  readonly #records: Map<string, RegionRecord>;
  readonly #changes = new Mutex();
  readonly #exclusive = new Mutex();

  private constructor(folder: string, records: Map<string, RegionRecord>) {
    this.#folder = folder;
    this.#records = records;
  }

  static async open(state: string): Promise<RegionAccounts> {
    const folder = join(state, 'regions');
    await mkdir(folder, { recursive: true });
    const records = new Map<string, RegionRecord>();
    for (const name of await readdir(folder)) {
      const record = name.endsWith('.json') ? await readJson(join(folder, name), regionSchema) : null;
      if (record !== null) records.set(name.slice(0, -'.json'.length), record);
    }
    return new RegionAccounts(folder, records);
  }

  get(region: string): RegionRecord {
    return this.#records.get(region) ?? FRESH;
  }

  change(region: string, update: (record: RegionRecord) => Partial<RegionRecord>): Promise<void> {
    return this.#changes.run(async () => {
      const record = this.get(region);
      const next = { ...record, ...update(record) };
      await writeJson(join(this.#folder, `${region}.json`), next);
      this.#records.set(region, next);
    });
  }

  /** Runs what must not overlap with another of its kind: it looks at all vaults of a region, then acts. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#exclusive.run(work);
  }
}
