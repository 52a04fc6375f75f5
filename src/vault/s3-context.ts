import { S3Client } from '@aws-sdk/client-s3';
import type { Clock } from '../clock.ts';
import type { Environment } from '../environment.ts';
import { MoraineError } from '../errors.ts';
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
import type { StorageClass, VaultLocation } from './port.ts';
import type { ObjectLock } from './vault-config.ts';

export interface S3Settings extends ServiceAddress {
  readonly environment: Environment;
  readonly bucketTemplate: string;
  readonly storageClass: StorageClass;
  readonly objectLock: ObjectLock;
  /** ARN of the key of KMS that the bucket is encrypted with; null: S3's own keys. */
  readonly kmsKey: string | null;
}

/** What the parts of the S3 adapter share. */
export interface S3Context {
  readonly settings: S3Settings;
  readonly clock: Clock;
  /** Conditional writes and version ids make a call that is made twice the same call: the SDK may retry. */
  readonly client: S3Client;
  /** For destruction, whose proof is looked at before every single request. */
  readonly once: S3Client;
  readonly dates: ReplyDates;
}

export function s3Context(settings: S3Settings, clock: Clock): S3Context {
  const dates = new ReplyDates();
  const connect = (maxAttempts: number) => {
    // An own endpoint has no names such as bucket.host: the bucket goes into the path.
    const forcePathStyle = settings.endpoint !== undefined;
    const client = new S3Client({ ...awsClientOptions(settings, maxAttempts), forcePathStyle });
    client.middlewareStack.add(dates.middleware, REMEMBER_DATES);
    if (settings.onCall !== undefined) client.middlewareStack.add(tellingCalls(settings.onCall), TELL_CALLS);
    return client;
  };
  return { settings, clock, client: connect(AWS_MAX_ATTEMPTS), once: connect(AWS_SINGLE_ATTEMPT), dates };
}

/** A stored object: one version of one key, for without the version a later write would be meant as well. */
export interface ObjectVersion {
  readonly key: string;
  readonly versionId: string;
}

/** The class of what is at this place: pinned with the plan, for the entry in moraine.yaml may change. */
export function classAt({ settings }: S3Context, location: VaultLocation | undefined): StorageClass {
  return location?.storageClass ?? settings.storageClass;
}

/** Object Lock is a property of the whole bucket: without it neither holds nor dates. */
export function wantsObjectLock({ settings }: S3Context): boolean {
  return settings.objectLock !== 'none';
}

const VERSION_MARK = '?versionId=';

export function archiveIdOf(version: ObjectVersion): string {
  return `${version.key}${VERSION_MARK}${version.versionId}`;
}

export function objectOf(vaultArchiveId: string): ObjectVersion {
  const at = vaultArchiveId.lastIndexOf(VERSION_MARK);
  if (at < 0) throw new MoraineError('INTERNAL', `"${vaultArchiveId}" names no version of an object.`);
  return { key: vaultArchiveId.slice(0, at), versionId: vaultArchiveId.slice(at + VERSION_MARK.length) };
}

/** A reply without a version means that somebody switched versioning off: a later delete would only hide the object. */
export function versionOf(key: string, versionId: string | undefined): ObjectVersion {
  if (versionId === undefined || versionId === '' || versionId === 'null') {
    throw new MoraineError(
      'VAULT_REFUSED',
      'The bucket has no versioning any more, so nothing can be purged from it.',
      {
        changed: `An object ${key} without a version is stored.`,
        hint: 'Switch versioning on again in the bucket; the attempt is made again.',
      },
    );
  }
  return { key, versionId };
}
