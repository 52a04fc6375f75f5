/** Fills the demo's databases: three owners of a contact centre, and the flights of 2001. */
import { SingleBar } from 'cli-progress';
import type { LocalDatabase } from '../source/local-database.ts';
import { flights } from './sample-data/flights.ts';
import { contactCentre, DEFAULT_COUNTS, type SampleDataset, type SampleOptions } from './sample-data/sample-data.ts';

export interface LoadedDataset {
  readonly policy: string;
  readonly namespace: string;
  readonly records: number;
}

/** What each policy needs to find its records without a scan; fixed values are left out. */
const INDEXES: Readonly<Record<string, readonly string[]>> = {
  chats: ['owner', 'tenant', 'createdAt', '_id'],
  tickets: ['owner', 'tenant', 'closedAt', '_id'],
  calls: ['owner', 'tenant', '_id'],
  flights: ['origin', 'date', '_id'],
};

export function demoDatasets(now: Date): readonly SampleDataset[] {
  const options: SampleOptions = { seed: 2001, now, counts: DEFAULT_COUNTS };
  return [...contactCentre(options), flights()];
}

/** `prefix` goes before the name of each database. */
export async function loadDatasets(
  database: LocalDatabase,
  prefix: string,
  datasets: readonly SampleDataset[],
): Promise<readonly LoadedDataset[]> {
  const total = datasets.reduce((sum, { count }) => sum + count, 0);
  const bar = new SingleBar({
    format: '   loading {bar} {value} of {total} records',
    barsize: 30,
    clearOnComplete: true,
    hideCursor: true,
  });
  bar.start(total, 0);
  const loaded: LoadedDataset[] = [];
  for (const dataset of datasets) {
    const namespace = `${prefix}${dataset.database}.${dataset.collection}`;
    await database.createIndex(namespace, INDEXES[dataset.policy] ?? []);
    for (const batch of dataset.batches()) {
      await database.insert(namespace, batch);
      bar.increment(batch.length);
    }
    loaded.push({ policy: dataset.policy, namespace, records: await database.count(namespace) });
  }
  bar.stop();
  return loaded;
}
