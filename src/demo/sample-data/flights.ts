/**
 * The real data of the demo: 20,000 flights within the United States in the first months of 2001, with 220 airports of
 * departure, as `vega-datasets` carries them from the U.S. Bureau of Transportation Statistics. They fit
 * `policies/flights.yaml`, which makes each airport a customer.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { BATCH_DOCUMENTS, type SampleDataset } from './sample-data.ts';

const TIME = /^(\d{4})\/(\d\d)\/(\d\d) (\d\d):(\d\d)$/;

const flightSchema = z.strictObject({
  date: z.string().regex(TIME),
  delay: z.number(),
  distance: z.number(),
  origin: z.string().min(1),
  destination: z.string().min(1),
});

/** Reads the file of the package at once: 1.8 MB. Throws when it is not what it was. */
export function flights(): SampleDataset {
  const rows = z.array(flightSchema).parse(JSON.parse(readFileSync(flightsFile(), 'utf8')));
  return {
    policy: 'flights',
    database: 'aviation',
    collection: 'flights',
    count: rows.length,
    *batches() {
      for (let at = 0; at < rows.length; at += BATCH_DOCUMENTS) {
        yield rows.slice(at, at + BATCH_DOCUMENTS).map((row, offset) => ({
          _id: at + offset,
          ...row,
          date: utc(row.date),
        }));
      }
    },
  };
}

function flightsFile(): string {
  // The package's entry is in `build/`, its data beside that.
  const build = dirname(fileURLToPath(import.meta.resolve('vega-datasets')));
  return join(build, '../data/flights-20k.json');
}

/** The file says no zone: its times are read as UTC. */
function utc(text: string): Date {
  return new Date(`${text.replace(TIME, '$1-$2-$3T$4:$5')}:00Z`);
}
