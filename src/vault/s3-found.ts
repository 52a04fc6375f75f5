/** All buckets that a Moraine tagged, with the prefix of each customer in them: how a lost ledger's vaults are found. */
import { GetBucketTaggingCommand, ListBucketsCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { id } from '../ids.ts';
import { foundVault, readTagged, type TaggedAs } from './found-vault.ts';
import { unescapeId } from './naming.ts';
import type { FoundVault } from './port.ts';
import type { S3Context } from './s3-context.ts';
import { httpStatus, translateError, translating } from './translate-error.ts';

export async function* foundVaults(context: S3Context, backend: 's3'): AsyncGenerator<FoundVault> {
  for (let after: string | undefined; ; ) {
    const page = await translating({ what: 'list the buckets', location: null, effect: null }, () =>
      context.client.send(new ListBucketsCommand(after === undefined ? {} : { ContinuationToken: after })),
    );
    for (const { Name: name } of page.Buckets ?? []) {
      const tagged = name === undefined ? null : await readTags(context, name);
      if (name !== undefined && tagged !== null) yield* customersOf(context, backend, name, tagged);
    }
    after = page.ContinuationToken;
    if (after === undefined) return;
  }
}

/** Null for a bucket that is not ours to read, or that no Moraine tagged. */
async function readTags({ client }: S3Context, bucket: string): Promise<TaggedAs | null> {
  try {
    const { TagSet = [] } = await client.send(new GetBucketTaggingCommand({ Bucket: bucket }));
    return readTagged(Object.fromEntries(TagSet.map(({ Key, Value }) => [Key, Value])));
  } catch (error) {
    const status = error instanceof Error ? httpStatus(error) : null;
    // Without tags, of somebody else, or in another region.
    if (status === 404 || status === 403 || status === 301 || status === 400) return null;
    throw translateError(error, { what: 'read the tags of a bucket', location: null, effect: null });
  }
}

/** Customers with anything at all under their prefix, old versions too. */
async function* customersOf(
  context: S3Context,
  backend: 's3',
  bucket: string,
  tagged: TaggedAs,
): AsyncGenerator<FoundVault> {
  const { key, region } = context.settings;
  for (let marker: { KeyMarker?: string; VersionIdMarker?: string } = {}; ; ) {
    const page = await translating({ what: 'list the bucket', location: null, effect: null }, () =>
      context.client.send(new ListObjectVersionsCommand({ Bucket: bucket, Delimiter: '/', ...marker })),
    );
    for (const { Prefix: prefix = '' } of page.CommonPrefixes ?? []) {
      const customer = unescapeId(prefix.slice(0, -1));
      const place = { key, backend, account: '-', region, name: bucket, prefix };
      yield foundVault(place, { ...tagged, customer: customer === null ? null : id.customer(customer) });
    }
    if (page.IsTruncated !== true) return;
    const { NextKeyMarker, NextVersionIdMarker } = page;
    marker = {
      ...(NextKeyMarker === undefined ? {} : { KeyMarker: NextKeyMarker }),
      ...(NextVersionIdMarker === undefined ? {} : { VersionIdMarker: NextVersionIdMarker }),
    };
  }
}
