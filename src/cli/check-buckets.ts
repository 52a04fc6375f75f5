/** The bucket of every owner in every s3 vault, looked at from all sides: what is wrong with any of them is said at once. */
import type { Config } from '../config.ts';
import { id } from '../ids.ts';
import type { Context } from '../lifecycle/context.ts';
import { attempt, type Finding } from './check-findings.ts';
import { EXIT } from './exit-code.ts';

/** A bucket is its owner's: it is named by no customer. */
const ANY_CUSTOMER = id.customer('any');

export async function checkBuckets(context: Context, { owners }: Pick<Config, 'owners'>): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const [key, vault] of context.vaults) {
    if (vault.backend !== 's3') continue;
    for (const owner of owners.keys()) {
      const location = vault.locate(context.installation.id, owner, ANY_CUSTOMER);
      findings.push(
        ...(await attempt('bucket', async () => {
          const { exists, findings: found } = await vault.inspect(location);
          const name = `${location.name} (${key}, owner ${owner})`;
          if (!exists) return [{ level: 'ok', about: 'bucket', text: `${name} is made before the first write.` }];
          if (found.length === 0) return [{ level: 'ok', about: 'bucket', text: `${name} is as it must be.` }];
          return found.map(({ level, text, hint }): Finding => {
            const finding = { level, about: 'bucket', text: `${name}: ${text}.`, hint };
            return level === 'error' ? { ...finding, code: 'VAULT_REFUSED', exit: EXIT.failed } : finding;
          });
        })),
      );
    }
  }
  return findings;
}
