/**
 * Roles taken from STS of LocalStack, and S3 behind a proxy that sees whose key signed each request. LocalStack enforces no
 * policies of IAM: what each role may do is tested with `moraine iam`.
 */
import { randomUUID } from 'node:crypto';
import { createServer, request, type Server } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { id } from '../../src/ids.ts';
import { createVault } from '../../src/vault/create-vault.ts';
import { vaultConfigSchema } from '../../src/vault/vault-config.ts';
import { bytesOf, claimOf, store } from '../contract/vault-world.ts';
import { stackUrls } from '../harness/stack.ts';

/** By method of HTTP: the access keys that signed. */
const signedBy = new Map<string, Set<string>>();
let proxy: Server;
let endpoint = '';

beforeAll(async () => {
  const target = new URL(stackUrls().s3);
  proxy = createServer((incoming, reply) => {
    const { method = '', headers, url: path } = incoming;
    const [, key = '-', service = '-'] =
      /Credential=([^/]+)\/[^/]+\/[^/]+\/([^/]+)\//.exec(headers.authorization ?? '') ?? [];
    const what = `${service} ${method}`;
    signedBy.set(what, (signedBy.get(what) ?? new Set()).add(key));
    const onward = request({ host: target.hostname, port: target.port, method, path, headers }, (answer) => {
      reply.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(reply);
    });
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  endpoint = `http://127.0.0.1:${address.port}`;
});
afterAll(() => new Promise((resolve) => proxy.close(resolve)));

test('an archive is written by one role and deleted by another, neither with the credentials of the process', async () => {
  const role = (name: string) => `arn:aws:iam::000000000000:role/${name}`;
  const config = vaultConfigSchema.parse({
    backend: 's3',
    region: 'eu-west-1',
    endpoint,
    bucket: `roles-${randomUUID().slice(0, 8)}-{owner}`,
    roles: { archive: role('archiver'), purge: role('purger'), endpoint },
  });
  const vault = createVault(id.vaultKey('cold'), config, { clock: systemClock, environment: 'sandbox' });
  const location = vault.locate('installation', id.owner('acme'), id.customer('north'));
  await vault.ensure(location);
  const { intent, stored } = await store(vault, location, bytesOf(1_024, 7));
  expect([...(signedBy.get('sts POST') ?? [])]).toEqual(['moraine']);
  const writers = [...(signedBy.get('s3 PUT') ?? [])];
  expect(writers).toHaveLength(1);
  expect(writers).not.toContain('moraine');

  await vault.deleteArchive(location, claimOf(intent, stored));
  const purgers = [...(signedBy.get('s3 DELETE') ?? [])];
  expect(purgers).toHaveLength(1);
  expect([...writers, 'moraine']).not.toContain(purgers[0]);
  // The third role was not named: its calls are made with what the process has.
  signedBy.clear();
  await vault.requestRetrieval(location, stored.vaultArchiveId, 'bulk', null).catch(() => undefined);
  expect([...signedBy.values()].flatMap((keys) => [...keys])).toContain('moraine');
});
