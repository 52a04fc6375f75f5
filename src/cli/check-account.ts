/** What `moraine check` says of the rights that the daemon has in AWS. */
import type { Config } from '../config.ts';
import { isMoraineError } from '../errors.ts';
import { accountLacks, type RoleLack } from '../iam/lacks.ts';
import type { IamInput } from '../iam/policy.ts';
import { AwsAccount } from '../vault/account.ts';
import { isLoopback, type VaultConfig } from '../vault/vault-config.ts';
import type { Finding } from './check-findings.ts';
import { EXIT } from './exit-code.ts';

/** As many as a person reads; the policy has them all. */
const NAMED = 8;

export async function checkAccounts(config: Config, input: IamInput): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const [key, vault] of config.vaults) {
    // The local stack has no accounts.
    if (vault.endpoint !== undefined && isLoopback(vault.endpoint)) continue;
    const account = new AwsAccount(vault.region);
    try {
      findings.push(...(await accountLacks(account, input, [key, vault])).flatMap((lack) => lackFindings(key, lack)));
    } catch (error) {
      if (!isMoraineError(error, 'VAULT_REFUSED') && !isMoraineError(error, 'VAULT_UNAVAILABLE')) throw error;
      findings.push(unseen(key, vault, error.message));
    } finally {
      account.close();
    }
  }
  return findings;
}

/** Not known is not wrong: the first calls will tell. */
function unseen(key: string, { region }: VaultConfig, why: string): Finding {
  return {
    level: 'warning',
    about: 'iam',
    text: `${key} (${region}): what the account lacks could not be looked at. ${why}`,
    hint: 'Allow iam:SimulatePrincipalPolicy, or compare the role with `moraine iam`.',
  };
}

export function lackFindings(key: string, { role, principal, refused, opens }: RoleLack): readonly Finding[] {
  const findings: Finding[] = [];
  if (refused.length > 0) {
    const more = refused.length > NAMED ? `, and ${refused.length - NAMED} more` : '';
    const calls = refused.slice(0, NAMED).map(({ action, resource }) => `${action} on ${resource}`);
    findings.push({
      level: 'error',
      about: 'iam',
      text: `${key}: ${principal} lacks rights of the ${role}: ${calls.join(', ')}${more}.`,
      hint: `Give it what \`moraine iam --role ${role} --vault ${key}\` prints.`,
      exit: EXIT.person,
    });
  }
  if (opens) {
    findings.push({
      level: 'warning',
      about: 'iam',
      text: `${key}: ${principal} may decrypt archive keys: the ${role} should open nothing.`,
      hint: `Deny it kms:Decrypt, as \`moraine iam --role ${role} --vault ${key}\` does.`,
    });
  }
  if (findings.length > 0) return findings;
  return [{ level: 'ok', about: 'iam', text: `${key}: ${principal} may do what the ${role} does.` }];
}
