/** What policies are made from, out of moraine.yaml. */
import type { Config } from '../config.ts';
import type { IamInput } from './policy.ts';

export function iamInput(
  config: Config,
  installation: string,
  more: Partial<Pick<IamInput, 'vaults' | 'bucketsExist'>> = {},
): IamInput {
  return {
    installation,
    vaults: config.vaults,
    owners: [...config.owners.keys()],
    kms: config.kms,
    bucketsExist: false,
    ...more,
  };
}
