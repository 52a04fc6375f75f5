import { GlacierClient } from '@aws-sdk/client-glacier';
import type { Environment } from '../environment.ts';
import {
  AWS_MAX_ATTEMPTS,
  AWS_SINGLE_ATTEMPT,
  awsClientOptions,
  REMEMBER_DATES,
  ReplyDates,
  type ServiceAddress,
  TELL_CALLS,
  tellingCalls,
} from './aws-client.ts';
import type { Tier, VaultLocation } from './port.ts';

export interface GlacierSettings extends ServiceAddress {
  readonly environment: Environment;
  /** `-` is the account of the credentials. */
  readonly account: string;
  /** First part of every vault's name; undefined: the first characters of the installation's id. */
  readonly prefix: string | undefined;
}

/** What the parts of the Glacier adapter share. */
export interface GlacierContext {
  readonly settings: GlacierSettings;
  /** For calls that are the same when made twice. */
  readonly client: GlacierClient;
  /** For calls that are not, and for destruction, whose proof is looked at before every single request. */
  readonly once: GlacierClient;
  readonly dates: ReplyDates;
}

/** What every call says about where it goes. */
export interface VaultAddress {
  readonly accountId: string;
  readonly vaultName: string;
}

export function glacierContext(settings: GlacierSettings): GlacierContext {
  const dates = new ReplyDates();
  const connect = (maxAttempts: number) => {
    const client = new GlacierClient(awsClientOptions(settings, maxAttempts));
    client.middlewareStack.add(dates.middleware, REMEMBER_DATES);
    if (settings.onCall !== undefined) client.middlewareStack.add(tellingCalls(settings.onCall), TELL_CALLS);
    return client;
  };
  return { settings, client: connect(AWS_MAX_ATTEMPTS), once: connect(AWS_SINGLE_ATTEMPT), dates };
}

export function addressOf(location: VaultLocation): VaultAddress {
  return { accountId: location.account, vaultName: location.name };
}

export const GLACIER_TIERS: Readonly<Record<Tier, string>> = {
  expedited: 'Expedited',
  standard: 'Standard',
  bulk: 'Bulk',
};
