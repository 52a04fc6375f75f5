/**
 * Writes `policies/policy.schema.json`, which editors use for completion and checks. Run it after a change of the
 * schema, then `npm run format`; a test compares the two.
 */
import { writeFileSync } from 'node:fs';
import { policyJsonSchema } from '../src/policy/schema.ts';

const file = new URL('../policies/policy.schema.json', import.meta.url);
writeFileSync(file, `${JSON.stringify(policyJsonSchema(), null, 2)}\n`);
