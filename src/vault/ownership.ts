/** Whose a vault or bucket is: its tags decide, never its name alone (promise 9). */
import type { Environment } from '../environment.ts';
import { MoraineError } from '../errors.ts';
import type { LayoutFinding, VaultLocation } from './port.ts';

/** Beside whose it is: of which environment what is in it is. */
export const ENVIRONMENT_TAG = 'moraine-environment';

/** What `ensure` compares: whose the vault is to be, and the environment of who asks. */
export interface WantedTags {
  readonly owner: Readonly<Record<string, string>>;
  readonly environment: Environment;
}

/**
 * `ours`: all tags are there and equal. `no-environment`: only whose it is; an older version made it. `untagged`: none of
 * them. Throws VAULT_OF_ANOTHER_ENVIRONMENT, and CHANGED_RESOURCE_NOT_OURS when the tags say somebody else.
 */
export function taggedAs(
  found: Readonly<Record<string, string>>,
  wanted: WantedTags,
  location: VaultLocation,
): 'ours' | 'no-environment' | 'untagged' {
  const environment = found[ENVIRONMENT_TAG];
  if (environment !== undefined && environment !== wanted.environment) {
    throw new MoraineError(
      'VAULT_OF_ANOTHER_ENVIRONMENT',
      `The ${kindOf(location)} ${location.name} is of environment "${environment}", and we are ${wanted.environment}.`,
      { ids: { vault: location.name } },
    );
  }
  if (!isOwnedAs(found, wanted.owner, location)) return 'untagged';
  return environment === undefined ? 'no-environment' : 'ours';
}

/** As {@link taggedAs}, for who looks and changes nothing. */
export function tagFindings(
  found: Readonly<Record<string, string>>,
  wanted: WantedTags,
  location: VaultLocation,
): readonly LayoutFinding[] {
  try {
    if (taggedAs(found, wanted, location) === 'ours') return [];
    const hint = 'They are put on it before the first write, while it is empty.';
    return [{ level: 'warning', text: 'it does not have all of our tags yet', hint }];
  } catch (error) {
    if (!(error instanceof MoraineError)) throw error;
    return [{ level: 'error', text: error.message, hint: error.hint }];
  }
}

export function allTags({ owner, environment }: WantedTags): Readonly<Record<string, string>> {
  return { ...owner, [ENVIRONMENT_TAG]: environment };
}

/** True when all are there and equal; false when none is; throws when they say something else. */
function isOwnedAs(
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
  return new MoraineError(
    'CHANGED_RESOURCE_NOT_OURS',
    `The ${kindOf(location)} ${location.name} is not ours: ${why}.`,
    {
      ids: { vault: location.name },
    },
  );
}

function kindOf({ backend }: VaultLocation): string {
  return backend === 's3' ? 'bucket' : 'vault';
}
