import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { invalidSignature, missingAuthentication, unrecognizedClient } from './errors.ts';
import type { Principal } from './principals.ts';

export type SignedRequest = {
  method: string;
  /** Path and query as they came over the wire. */
  url: string;
  headers: IncomingHttpHeaders;
  /** SHA-256 of the body, in hex, or what the client says it is: the caller compares it with what arrives. */
  payloadHash: string;
};

export type Signer = { region: string; principal: Principal; seed: ChunkSeed };

/** What the signatures of the chunks of a body go on from (`aws-chunked`). */
export type ChunkSeed = { signature: string; key: Buffer; scope: string; longDate: string };

type Claim = {
  accessKeyId: string;
  shortDate: string;
  region: string;
  service: string;
  longDate: string;
  signedHeaders: string[];
  signature: string;
  /** Headers of the service that whoever signed could not know of. */
  mayBeUnsigned: readonly string[];
};

const ALGORITHM = 'AWS4-HMAC-SHA256';
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 +Credential=([^,\s]+), *SignedHeaders=([a-z0-9;_-]+), *Signature=([0-9a-f]{64})$/;
const CREDENTIAL = /^([^/]+)\/(\d{8})\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request$/;
const LONG_DATE = /^(\d{8})T([01]\d|2[0-3])[0-5]\d[0-5]\dZ$/;
const LONGEST_EXPIRY_SECONDS = 604_800;

/**
 * Computes the Signature Version 4 of a request anew and compares: one in the Authorization header, or one in the query
 * of a presigned URL. The age of a signature is not judged: SDKs adopt our Date header, and our clock may be years ahead
 * of the client's.
 */
export class SignatureVerifier {
  readonly #principals: ReadonlyMap<string, Principal>;

  constructor(principals: readonly Principal[]) {
    this.#principals = new Map(principals.map((principal) => [principal.accessKeyId, principal]));
  }

  /** Returns who signed and for which region; throws the service's own error otherwise. */
  verify(request: SignedRequest): Signer {
    const { path, query } = splitUrl(request.url);
    const claim = claimOf(request.headers, query);
    const principal = this.#principals.get(claim.accessKeyId);
    if (principal === undefined) throw unrecognizedClient();
    if (claim.service !== 'glacier') {
      throw invalidSignature(`Credential should be scoped to correct service: 'glacier', not '${claim.service}'.`);
    }
    if (LONG_DATE.exec(claim.longDate)?.[1] !== claim.shortDate) {
      throw invalidSignature(
        'Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.',
      );
    }
    if (!claim.signedHeaders.includes('host')) throw invalidSignature(`'host' must be among the SignedHeaders.`);
    const unsigned = Object.keys(request.headers).find(
      (name) => name.startsWith('x-amz-') && !claim.signedHeaders.includes(name) && !claim.mayBeUnsigned.includes(name),
    );
    if (unsigned !== undefined) throw invalidSignature(`'${unsigned}' must be among the SignedHeaders.`);
    const scope = `${claim.shortDate}/${claim.region}/${claim.service}/aws4_request`;
    const toSign = [ALGORITHM, claim.longDate, scope, sha256(canonicalRequest(request, path, query, claim))];
    const key = signingKey(principal.secretAccessKey, claim);
    const expected = createHmac('sha256', key).update(toSign.join('\n')).digest('hex');
    if (!timingSafeEqual(Buffer.from(expected), Buffer.from(claim.signature))) {
      throw invalidSignature(
        'The request signature we calculated does not match the signature you provided. ' +
          'Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
      );
    }
    const seed = { signature: claim.signature, key, scope, longDate: claim.longDate };
    return { region: claim.region, principal, seed };
  }
}

function claimOf(headers: IncomingHttpHeaders, query: Query): Claim {
  if (headers.authorization !== undefined) {
    const match = AUTHORIZATION.exec(headers.authorization);
    if (match === null) throw invalidSignature('The Authorization header is not a valid AWS4-HMAC-SHA256 header.');
    const [, credential = '', signedList = '', signature = ''] = match;
    const longDate = headers['x-amz-date'];
    if (typeof longDate !== 'string' || !LONG_DATE.test(longDate)) {
      throw invalidSignature('The request needs a valid x-amz-date header.');
    }
    return { ...scopeOf(credential), longDate, signedHeaders: signedList.split(';'), signature, mayBeUnsigned: [] };
  }
  const parameter = (name: string) => query.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
  if (parameter('X-Amz-Algorithm') === undefined) throw missingAuthentication();
  const signature = parameter('X-Amz-Signature') ?? '';
  const longDate = parameter('X-Amz-Date') ?? '';
  const expires = Number(parameter('X-Amz-Expires'));
  const isComplete =
    parameter('X-Amz-Algorithm') === ALGORITHM &&
    /^[0-9a-f]{64}$/.test(signature) &&
    LONG_DATE.test(longDate) &&
    Number.isInteger(expires) &&
    expires >= 1 &&
    expires <= LONGEST_EXPIRY_SECONDS;
  if (!isComplete) throw invalidSignature('The query is not that of a valid AWS4-HMAC-SHA256 presigned URL.');
  // SDKs sign the URL without the version, which whoever uses the URL has to send.
  const mayBeUnsigned = ['x-amz-glacier-version'];
  const signedHeaders = (parameter('X-Amz-SignedHeaders') ?? '').split(';');
  return { ...scopeOf(parameter('X-Amz-Credential') ?? ''), longDate, signedHeaders, signature, mayBeUnsigned };
}

function scopeOf(credential: string): Pick<Claim, 'accessKeyId' | 'shortDate' | 'region' | 'service'> {
  const match = CREDENTIAL.exec(credential);
  if (match === null) throw invalidSignature('The Credential of the signature is not valid.');
  const [, accessKeyId = '', shortDate = '', region = '', service = ''] = match;
  return { accessKeyId, shortDate, region, service };
}

function canonicalRequest(request: SignedRequest, path: string, query: Query, claim: Claim): string {
  const headers = claim.signedHeaders.map((name) => {
    const value = request.headers[name];
    if (value === undefined) throw invalidSignature(`The signed header '${name}' is not in the request.`);
    return `${name}:${[value].flat().join(',').trim().replaceAll(/ +/g, ' ')}\n`;
  });
  const parameters = query
    .filter(([name]) => name.toLowerCase() !== 'x-amz-signature')
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([nameA, valueA], [nameB, valueB]) => compare(nameA, nameB) || compare(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`);
  return [
    request.method,
    canonicalPath(path),
    parameters.join('&'),
    headers.join(''),
    claim.signedHeaders.join(';'),
    request.payloadHash,
  ].join('\n');
}

/** Without empty segments, and encoded once more than on the wire, as for every service but S3. */
function canonicalPath(path: string): string {
  const segments = path.split('/').filter((segment) => segment !== '' && segment !== '.');
  const trailing = path.endsWith('/') && segments.length > 0 ? '/' : '';
  return `/${segments.map(encode).join('/')}${trailing}`;
}

function signingKey(secret: string, { shortDate, region, service }: Claim): Buffer {
  const steps = [shortDate, region, service, 'aws4_request'];
  return steps.reduce<Buffer>(
    (key, step) => createHmac('sha256', key).update(step).digest(),
    Buffer.from(`AWS4${secret}`),
  );
}

type Query = readonly (readonly [string, string])[];

function splitUrl(url: string): { path: string; query: Query } {
  const mark = url.indexOf('?');
  if (mark < 0) return { path: url, query: [] };
  return { path: url.slice(0, mark), query: [...new URLSearchParams(url.slice(mark + 1))] };
}

/** Percent-encodes all but the characters that RFC 3986 calls unreserved. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
