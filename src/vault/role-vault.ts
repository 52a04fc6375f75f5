/**
 * A vault whose calls are made with the credentials of the role that each is for: who uploads cannot delete, whatever goes
 * wrong in the process. Which method belongs to which role is data, compared with the roles of `moraine iam` by a test.
 */
import { fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import type { RoleCredentials, StaticCredentials } from './aws-client.ts';
import type { VaultPort } from './port.ts';
import type { VaultMethod } from './vault-actions.ts';

/** Archiver, purger and reader, by what they are for. */
export type ActRole = 'archive' | 'purge' | 'read';

export const METHOD_ROLES: Readonly<Record<VaultMethod, ActRole>> = {
  serverTime: 'archive',
  ensure: 'archive',
  inspect: 'archive',
  vaultCount: 'archive',
  storeWhole: 'archive',
  beginUpload: 'archive',
  sendPart: 'archive',
  completeUpload: 'archive',
  abortUpload: 'archive',
  listUploads: 'archive',
  lockUntil: 'archive',
  mirrorHold: 'archive',
  foundVaults: 'purge',
  requestInventory: 'purge',
  inventoryState: 'purge',
  readInventory: 'purge',
  deleteArchive: 'purge',
  deleteAbandoned: 'purge',
  requestRetrieval: 'read',
  findRetrieval: 'read',
  retrievalState: 'read',
  readRetrieval: 'read',
};

/** What asks nobody is the same for all of them. */
export function vaultByRoles(vaults: Readonly<Record<ActRole, VaultPort>>): VaultPort {
  return new Proxy(vaults.archive, {
    get: (_target, name) => {
      const vault = vaults[isMethod(name) ? METHOD_ROLES[name] : 'archive'];
      const value: unknown = Reflect.get(vault, name, vault);
      return typeof value === 'function' ? value.bind(vault) : value;
    },
  });
}

function isMethod(name: string | symbol): name is VaultMethod {
  return typeof name === 'string' && Object.hasOwn(METHOD_ROLES, name);
}

/** Longer than the longest call, and as long as a chain of roles may last. */
const SESSION_SECONDS = 3_600;

/** Taken at the first call, and anew before they end. `own` undefined: with those of the SDK's own chain. */
export function roleCredentials(
  arn: string,
  act: ActRole,
  from: { readonly region: string; readonly endpoint: string | undefined; readonly own: StaticCredentials | undefined },
): RoleCredentials {
  const { region, endpoint, own } = from;
  return fromTemporaryCredentials({
    params: { RoleArn: arn, RoleSessionName: `moraine-${act}`, DurationSeconds: SESSION_SECONDS },
    clientConfig: { region, ...(endpoint === undefined ? {} : { endpoint }) },
    ...(own === undefined ? {} : { masterCredentials: { ...own } }),
  });
}
