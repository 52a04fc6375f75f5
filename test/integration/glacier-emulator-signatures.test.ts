import { createHash, createHmac } from 'node:crypto';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { treeHash } from '../conformance/proof.ts';
import { CREDENTIALS, EmulatorProcess } from './glacier-emulator-process.ts';

/**
 * What the SDKs' own clients do not send to this service, but clients with a signer of their own may: signed here by
 * somebody else's implementation, and the chunks by the definition.
 */
const signer = new SignatureV4({
  service: 'glacier',
  region: 'eu-west-1',
  credentials: CREDENTIALS,
  sha256: Sha256,
  applyChecksum: false,
});
const BODY = Buffer.from('a body of three dozen bytes or so ...');
const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');

let emulator: EmulatorProcess;
let host: string;

beforeAll(async () => {
  emulator = await EmulatorProcess.start();
  host = new URL(emulator.endpoint).host;
  const { headers } = await sign('PUT', '/-/vaults/v', {});
  expect((await send('PUT', '/-/vaults/v', headers)).status).toBe(201);
});
afterAll(() => emulator.stop());

type Headers = Record<string, string>;

async function sign(method: string, path: string, headers: Headers, query: Headers = {}) {
  const all = { host, 'x-amz-glacier-version': '2012-06-01', 'x-amz-content-sha256': sha256(''), ...headers };
  const request = { method, protocol: 'http:', hostname: '', path, query, headers: all };
  const signed = await signer.sign(request);
  return { headers: signed.headers, signature: signed.headers['authorization']?.split('Signature=')[1] ?? '' };
}

async function send(method: string, path: string, headers: Headers, body?: Buffer) {
  const { host: _, ...rest } = headers;
  const reply = await fetch(`${emulator.endpoint}${path}`, {
    method,
    headers: rest,
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
  });
  const text = await reply.text();
  return { status: reply.status, code: text === '' ? null : JSON.parse(text).code };
}

const ARCHIVES = '/-/vaults/v/archives';
const described = { 'x-amz-sha256-tree-hash': sha256(BODY) };

describe('what is signed', () => {
  test('a body that the signature does not cover: its tree hash is checked all the same', async () => {
    const unsigned = { ...described, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' };
    const { headers } = await sign('POST', ARCHIVES, unsigned);
    expect(await send('POST', ARCHIVES, headers, BODY)).toEqual({ status: 201, code: null });
    const other = await send('POST', ARCHIVES, headers, Buffer.from('another body'));
    expect(other).toEqual({ status: 400, code: 'InvalidParameterValueException' });
  });

  test("a header of the service's that was added on the way is refused", async () => {
    const { headers } = await sign('POST', ARCHIVES, { ...described, 'x-amz-content-sha256': sha256(BODY) });
    const added = { ...headers, 'x-amz-archive-description': 'slipped in' };
    expect(await send('POST', ARCHIVES, added, BODY)).toEqual({ status: 403, code: 'InvalidSignatureException' });
  });

  test('the query, in any order and with characters to encode', async () => {
    const marker = 'a b+c/%é&=*~';
    const { headers } = await sign('GET', '/-/vaults/v/jobs', {}, { marker, limit: '2', completed: 'true' });
    const query = `limit=2&marker=${encodeURIComponent(marker)}&completed=true`;
    expect(await send('GET', `/-/vaults/v/jobs?${query}`, headers)).toEqual({
      status: 400,
      code: 'InvalidParameterValueException',
    });
    expect((await send('GET', `/-/vaults/v/jobs?${query}&statuscode=Failed`, headers)).code).toBe(
      'InvalidSignatureException',
    );
  });

  test('a presigned URL: as it is, changed, and with another key', async () => {
    const request = { method: 'GET', protocol: 'http:', hostname: '', path: '/-/vaults/v', headers: { host } };
    const { query = {} } = await signer.presign(request, { expiresIn: 60 });
    const parameters = new URLSearchParams(
      Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
    );
    const version = { 'x-amz-glacier-version': '2012-06-01' };
    expect((await send('GET', `/-/vaults/v?${parameters}`, version)).status).toBe(200);
    expect((await send('GET', `/-/vaults/w?${parameters}`, version)).code).toBe('InvalidSignatureException');
    expect((await send('DELETE', `/-/vaults/v?${parameters}`, version)).code).toBe('InvalidSignatureException');
    parameters.set('X-Amz-Expires', '604801');
    expect((await send('GET', `/-/vaults/v?${parameters}`, version)).code).toBe('InvalidSignatureException');
  });
});

describe('a body in signed chunks', () => {
  const hmac = (key: Buffer | string, text: string) => createHmac('sha256', key).update(text).digest();

  /** Signs the request, then each chunk over the signature before it. */
  async function inChunks(chunks: readonly Buffer[], body = BODY): Promise<{ headers: Headers; frames: Buffer[] }> {
    const { headers, signature } = await sign('POST', ARCHIVES, {
      'x-amz-sha256-tree-hash': treeHash(body),
      'content-encoding': 'aws-chunked',
      'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
      'x-amz-decoded-content-length': String(body.length),
    });
    const longDate = headers['x-amz-date'] ?? '';
    const scope = `${longDate.slice(0, 8)}/eu-west-1/glacier/aws4_request`;
    const key = scope
      .split('/')
      .reduce<Buffer | string>((k, step) => hmac(k, step), `AWS4${CREDENTIALS.secretAccessKey}`);
    let previous = signature;
    const frames = [...chunks, Buffer.alloc(0)].map((chunk) => {
      const toSign = ['AWS4-HMAC-SHA256-PAYLOAD', longDate, scope, previous, sha256(''), sha256(chunk)].join('\n');
      previous = hmac(Buffer.from(key), toSign).toString('hex');
      return Buffer.concat([
        Buffer.from(`${chunk.length.toString(16)};chunk-signature=${previous}\r\n`),
        chunk,
        Buffer.from('\r\n'),
      ]);
    });
    return { headers, frames };
  }

  const parts = [BODY.subarray(0, 20), BODY.subarray(20)];

  test('is stored without its frames', async () => {
    const { headers, frames } = await inChunks(parts);
    expect(await send('POST', ARCHIVES, headers, Buffer.concat(frames))).toEqual({ status: 201, code: null });
  });

  test('chunks of any size, however they arrive', async () => {
    const large = Buffer.alloc(9_000_001, 'chunk ');
    const sizes = [1, 65_536, 8_388_608];
    const chunks: Buffer[] = [];
    for (let at = 0, i = 0; at < large.length; i += 1) {
      const size = sizes[i % sizes.length] ?? 1;
      chunks.push(large.subarray(at, at + size));
      at += size;
    }
    const { headers, frames } = await inChunks(chunks, large);
    expect(await send('POST', ARCHIVES, headers, Buffer.concat(frames))).toEqual({ status: 201, code: null });
  });

  test('a chunk that was changed, moved or left out is refused', async () => {
    const { headers, frames } = await inChunks(parts);
    const [first = Buffer.alloc(0), second = Buffer.alloc(0), last = Buffer.alloc(0)] = frames;
    const changed = Buffer.concat(frames);
    changed[100] = changed[100] === 0x61 ? 0x62 : 0x61;
    for (const body of [changed, Buffer.concat([second, first, last]), Buffer.concat([first, last])]) {
      expect(await send('POST', ARCHIVES, headers, body)).toEqual({ status: 403, code: 'InvalidSignatureException' });
    }
  });

  test('one that ends early, or is no chunk at all, is refused', async () => {
    const { headers, frames } = await inChunks(parts);
    const [first = Buffer.alloc(0), second = Buffer.alloc(0), last = Buffer.alloc(0)] = frames;
    const more = Buffer.concat([first, second, last, Buffer.from('more')]);
    for (const body of [Buffer.concat([first, second]), BODY, Buffer.alloc(500, 'a'), more]) {
      expect(await send('POST', ARCHIVES, headers, body)).toEqual({
        status: 400,
        code: 'InvalidParameterValueException',
      });
    }
  });
});
