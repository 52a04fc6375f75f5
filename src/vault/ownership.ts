/** Whose a vault or bucket is: its tags decide, never its name alone (promise 9). */
import { MoraineError } from '../errors.ts';
import type { VaultLocation } from './port.ts';

/** True when all tags are there and equal; false when none is; throws when they say something else. */
export function isTaggedAs(
  found: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
  location: VaultLocation,
): boolean {
  const names = Object.keys(wanted);
  for (const name of names) {
    const value = found[name];
    if (value !== undefined && value !== wanted[name]) throw notOurs(location, `its tag ${name} says "${value}"`);
  }
  const missing = names.filter((name) => found[name] === undefined);
  if (missing.length === 0) return true;
  if (missing.length < names.length) throw notOurs(location, `its tag ${missing.join(' and ')} is missing`);
  return false;
}

export function notOurs(location: VaultLocation, why: string): MoraineError {
  const kind = location.backend === 's3' ? 'bucket' : 'vault';
  return new MoraineError('CHANGED_RESOURCE_NOT_OURS', `The ${kind} ${location.name} is not ours: ${why}.`, {
    ids: { vault: location.name },
  });
}
