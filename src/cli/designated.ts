/** Who may ask for retrievals: the administrators of moraine.yaml, and the accounts that it names beside a key of KMS. */
import type { Config } from '../config.ts';
import { kmsKeyOf } from '../keys/kms-config.ts';
import type { AdministratorsOf } from '../lifecycle/asker.ts';

export function designatedAdministrators({ owners, kms }: Pick<Config, 'owners' | 'kms'>): AdministratorsOf {
  return (owner) => [
    ...(owners.get(owner) ?? []),
    ...(kmsKeyOf(kms, owner)?.accounts ?? []).map((account) => ({ name: account, account })),
  ];
}
