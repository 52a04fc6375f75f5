/**
 * Audit heads in an S3 bucket with Object Lock, in compliance mode: nobody, not the account's root, deletes or replaces a
 * version before its time is over.
 *
 * A lock is on versions. Whoever may write can put another version above a head, or a delete marker, and then "if nothing
 * is there" lets one more in. So what counts under a number is the OLDEST version: it is the one that was written first,
 * and nothing comes before it any more. That something lies above is told.
 */
import {
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { MoraineError } from '../errors.ts';
import { AWS_MAX_ATTEMPTS, awsClientOptions, type ServiceAddress } from './aws-client.ts';
import { type HeadsPlace, headFileName, headNumber, type PublishedHead } from './heads-port.ts';
import { isServiceError, translateError, translating } from './translate-error.ts';

export interface S3HeadsSettings extends Omit<ServiceAddress, 'key'> {
  readonly bucket: string;
  /** Ends with `/`, or is empty. */
  readonly prefix: string;
}

interface Listed {
  readonly number: number;
  readonly key: string;
  readonly versionId: string;
  readonly isCovered: boolean;
}

/** Far above any number of versions that anybody puts above one head by mistake. */
const KEYS_A_PAGE = 1_000;

export class S3Heads implements HeadsPlace {
  readonly name: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor({ bucket, prefix, ...address }: S3HeadsSettings) {
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.name = `s3://${bucket}/${prefix}`;
    // A conditional write that is made twice is the same write: the SDK may retry.
    this.#client = new S3Client({
      ...awsClientOptions(address, AWS_MAX_ATTEMPTS),
      forcePathStyle: address.endpoint !== undefined,
    });
  }

  async assertWriteOnce(): Promise<void> {
    try {
      const reply = await this.#client.send(new GetObjectLockConfigurationCommand({ Bucket: this.#bucket }));
      if (reply.ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled') return;
    } catch (error) {
      if (!isServiceError(error, 'ObjectLockConfigurationNotFoundError'))
        throw this.#meaning('look at the lock', error);
    }
    throw new MoraineError(
      'AUDIT_HEADS_REFUSED',
      `Bucket ${this.#bucket} has no Object Lock: audit heads could be removed.`,
      {
        ids: { bucket: this.#bucket },
      },
    );
  }

  async publish(number: number, bytes: Uint8Array, retainUntil: Date): Promise<'published' | 'taken'> {
    try {
      await this.#client.send(
        new PutObjectCommand({
          Bucket: this.#bucket,
          Key: this.#keyOf(number),
          Body: bytes,
          ContentType: 'application/json',
          IfNoneMatch: '*',
          ChecksumAlgorithm: 'SHA256',
          ObjectLockMode: 'COMPLIANCE',
          ObjectLockRetainUntilDate: retainUntil,
        }),
      );
      return 'published';
    } catch (error) {
      if (isServiceError(error, 'PreconditionFailed', 'ConditionalRequestConflict')) return 'taken';
      throw this.#meaning(`publish audit head ${number}`, error);
    }
  }

  async *heads(from: number): AsyncIterable<PublishedHead> {
    for await (const { number, key, versionId, isCovered } of this.#listed(from)) {
      const bytes = await translating(this.#call(`read audit head ${number}`), async () => {
        const reply = await this.#client.send(
          new GetObjectCommand({ Bucket: this.#bucket, Key: key, VersionId: versionId }),
        );
        return await reply.Body?.transformToByteArray();
      });
      yield { number, bytes: bytes ?? new Uint8Array(), isCovered };
    }
  }

  /** Versions come by key and, under one key, the newest first: the last of a key is the oldest. */
  async *#listed(from: number): AsyncIterable<Listed> {
    let open: Listed | null = null;
    let marker: { readonly KeyMarker?: string; readonly VersionIdMarker?: string } =
      from <= 1 ? {} : { KeyMarker: this.#keyOf(from - 1) };
    for (;;) {
      const page = await translating(this.#call('list the audit heads'), () =>
        this.#client.send(
          new ListObjectVersionsCommand({
            ...{ Bucket: this.#bucket, Prefix: this.#prefix, MaxKeys: KEYS_A_PAGE },
            ...marker,
          }),
        ),
      );
      const deleted = new Set((page.DeleteMarkers ?? []).map(({ Key }) => Key));
      for (const { Key: key, VersionId: versionId } of page.Versions ?? []) {
        const number = headNumber((key ?? '').slice(this.#prefix.length));
        if (number === null || number < from || key === undefined || versionId === undefined) continue;
        const isSame: boolean = open !== null && open.number === number;
        if (open !== null && !isSame) yield open;
        open = { number, key, versionId, isCovered: isSame || deleted.has(key) };
      }
      if (page.IsTruncated !== true || page.NextKeyMarker === undefined) break;
      marker = {
        KeyMarker: page.NextKeyMarker,
        ...(page.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: page.NextVersionIdMarker }),
      };
    }
    if (open !== null) yield open;
  }

  #keyOf(number: number): string {
    return `${this.#prefix}${headFileName(number)}`;
  }

  #call(what: string) {
    return { what: `${what} in ${this.name}`, location: null, effect: null };
  }

  #meaning(what: string, error: unknown): unknown {
    return translateError(error, this.#call(what));
  }
}
