import type { Clock } from '../clock.ts';
import type { Environment } from '../environment.ts';
import type { VaultKey } from '../ids.ts';
import type { RoleCredentials, ServiceAddress, StaticCredentials } from './aws-client.ts';
import { GlacierVault } from './glacier.ts';
import type { VaultPort } from './port.ts';
import { type ActRole, roleCredentials, vaultByRoles } from './role-vault.ts';
import { S3Vault } from './s3.ts';
import { isLoopback, type VaultConfig } from './vault-config.ts';

/** What the local stack's Glacier emulator and S3 take: no secret, they listen on this machine only. */
const LOCAL_STACK_CREDENTIALS: StaticCredentials = { accessKeyId: 'moraine', secretAccessKey: 'moraine-local' };

/**
 * The vault of one entry of `vaults:` in moraine.yaml. Opens no connection. Credentials: those of the entry (an endpoint
 * on this machine only), else those of the local stack for such an endpoint, else the AWS SDK's own chain. With `roles`
 * each call is made with those of the role that it is for, taken with the former.
 */
export function createVault(key: VaultKey, config: VaultConfig, deps: VaultDeps): VaultPort {
  const { roles } = config;
  if (roles === undefined) return vaultWith(key, config, deps, undefined);
  const own = ownCredentials(config);
  const of = (act: ActRole) => {
    const arn = roles[act];
    const taken =
      arn === undefined ? undefined : roleCredentials(arn, act, { ...config, endpoint: roles.endpoint, own });
    return vaultWith(key, config, deps, taken);
  };
  return vaultByRoles({ archive: of('archive'), purge: of('purge'), read: of('read') });
}

interface VaultDeps {
  readonly clock: Clock;
  readonly environment: Environment;
  /** Is told the name of every call before it goes out, as the SDK has it (`PutObject`). */
  readonly onCall?: (call: string) => void;
}

function ownCredentials(config: VaultConfig): StaticCredentials | undefined {
  const isLocal = config.endpoint !== undefined && isLoopback(config.endpoint);
  return config.credentials ?? (isLocal ? LOCAL_STACK_CREDENTIALS : undefined);
}

function vaultWith(key: VaultKey, config: VaultConfig, deps: VaultDeps, taken: RoleCredentials | undefined): VaultPort {
  const told = deps.onCall === undefined ? {} : { onCall: deps.onCall };
  const address: ServiceAddress = {
    key,
    region: config.region,
    endpoint: config.endpoint,
    credentials: taken ?? ownCredentials(config),
  };
  switch (config.backend) {
    case 'glacier':
      return new GlacierVault({
        ...address,
        environment: deps.environment,
        account: config.account,
        prefix: config.prefix,
        ...told,
      });
    case 's3':
      return new S3Vault(
        {
          ...address,
          environment: deps.environment,
          bucketTemplate: config.bucket,
          storageClass: config.storageClass,
          objectLock: config.objectLock,
          kmsKey: config.encryption?.kms ?? null,
          ...told,
        },
        deps.clock,
      );
  }
}
