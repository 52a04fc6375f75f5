/**
 * Writes `moraine.schema.json`, which editors use for completion and checks of moraine.yaml. Run it after a change of
 * the schema, then `npm run format`; a test compares the two.
 */
import { writeFileSync } from 'node:fs';
import { configJsonSchema } from '../src/config/schema.ts';

const file = new URL('../moraine.schema.json', import.meta.url);
writeFileSync(file, `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
