/**
 * An S3 that refuses presigned requests whose time is over. The stack's own does so since it is started that way; one that
 * was started before, or is somebody else's, gets a stack of one service beside it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { ensureServices, stopStack } from '../../infra/local-stack/index.ts';
import { stackUrls } from './stack.ts';

const LONG_AGO_MS = 3_600_000;
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };

export interface EnforcingS3 {
  readonly url: string;
  end(): Promise<void>;
}

export async function enforcingS3(): Promise<EnforcingS3> {
  const { s3 } = stackUrls();
  if (await refusesExpired(s3)) return { url: s3, end: async () => undefined };
  const stackDir = await mkdtemp(join(tmpdir(), 'moraine-s3-'));
  const { s3: url = '' } = await ensureServices({ services: ['s3'], stackDir, progress: () => undefined });
  if (!(await refusesExpired(url))) throw new Error('An S3 of our own takes presigned requests whose time is over.');
  return {
    url,
    end: async () => {
      await stopStack({ stackDir });
      await rm(stackDir, { recursive: true, force: true });
    },
  };
}

async function refusesExpired(endpoint: string): Promise<boolean> {
  const client = new S3Client({ region: 'eu-west-1', endpoint, credentials, forcePathStyle: true });
  const url = await getSignedUrl(client, new GetObjectCommand({ Bucket: 'none', Key: 'none' }), {
    signingDate: new Date(Date.now() - LONG_AGO_MS),
    expiresIn: 1,
  });
  client.destroy();
  return (await fetch(url)).status === 403;
}
