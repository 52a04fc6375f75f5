import { timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { invalidSignature, missingAuthentication, unrecognizedClient } from './errors.ts';

export type Credentials = { accessKeyId: string; secretAccessKey: string };

export type SignedRequest = {
  method: string;
  /** Path and query as they came over the wire. */
  url: string;
  headers: IncomingHttpHeaders;
  /** SHA-256 of the body, in hex, or what the client says it is: the caller compares it with what arrives. */
  payloadHash: string;
};

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 +Credential=([^/,\s]+)\/(\d{8})\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request, *SignedHeaders=([a-z0-9;-]+), *Signature=([0-9a-f]{64})$/;
const LONG_DATE = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/;

/** These have to be covered by the signature when they are sent: they say what the request is. */
const MUST_BE_SIGNED = ['host', 'x-amz-date'];

/**
 * Computes the Signature Version 4 of a request anew and compares. The age of a signature is not judged: the SDK
 * adopts our Date header, and our clock may be years ahead of the client's.
 */
export class SignatureVerifier {
  readonly #credentials: Credentials;
  readonly #signers = new Map<string, SignatureV4>();

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  /** Returns the region that the request was signed for; throws the service's own error otherwise. */
  async verify(request: SignedRequest): Promise<{ region: string }> {
    const header = request.headers.authorization;
    if (header === undefined) throw missingAuthentication();
    const match = AUTHORIZATION.exec(header);
    if (match === null) throw invalidSignature('The Authorization header is not a valid AWS4-HMAC-SHA256 header.');
    const [, accessKeyId = '', shortDate = '', region = '', service = '', signedList = '', signature = ''] = match;
    if (accessKeyId !== this.#credentials.accessKeyId) throw unrecognizedClient();
    if (service !== 'glacier') {
      throw invalidSignature(`Credential should be scoped to correct service: 'glacier', not '${service}'.`);
    }
    const signingDate = readLongDate(request.headers['x-amz-date']);
    if (!signingDate.toISOString().replaceAll('-', '').startsWith(shortDate)) {
      throw invalidSignature(
        'Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.',
      );
    }
    const signedHeaders = signedList.split(';');
    for (const name of MUST_BE_SIGNED) {
      if (!signedHeaders.includes(name)) throw invalidSignature(`'${name}' must be among the SignedHeaders.`);
    }
    const expected = await this.#sign(request, region, signingDate, signedHeaders);
    if (!timingSafeEqual(Buffer.from(expected), Buffer.from(signature))) {
      throw invalidSignature(
        'The request signature we calculated does not match the signature you provided. ' +
          'Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
      );
    }
    return { region };
  }

  async #sign(request: SignedRequest, region: string, signingDate: Date, signedHeaders: string[]): Promise<string> {
    const { path, query } = splitUrl(request.url);
    const headers: Record<string, string> = {};
    for (const name of signedHeaders) {
      const value = request.headers[name];
      if (value === undefined) throw invalidSignature(`The signed header '${name}' is not in the request.`);
      headers[name] = Array.isArray(value) ? value.join(',') : value;
    }
    // The signer takes the payload's hash from this header; it is part of the signed headers only if the client said so.
    const unsignableHeaders = new Set<string>();
    if (!signedHeaders.includes('x-amz-content-sha256')) {
      headers['x-amz-content-sha256'] = request.payloadHash;
      unsignableHeaders.add('x-amz-content-sha256');
    }
    const signed = await this.#signerFor(region).sign(
      { method: request.method, protocol: 'http:', hostname: '', path, query, headers },
      { signingDate, signableHeaders: new Set(signedHeaders), unsignableHeaders },
    );
    return signed.headers['authorization']?.split('Signature=')[1] ?? '';
  }

  #signerFor(region: string): SignatureV4 {
    const known = this.#signers.get(region);
    if (known !== undefined) return known;
    const signer = new SignatureV4({
      service: 'glacier',
      region,
      credentials: this.#credentials,
      sha256: Sha256,
      applyChecksum: false,
    });
    this.#signers.set(region, signer);
    return signer;
  }
}

function readLongDate(value: string | string[] | undefined): Date {
  const match = LONG_DATE.exec(typeof value === 'string' ? value : '');
  if (match === null) throw invalidSignature('The request needs a valid x-amz-date header.');
  const date = new Date(`${match[1]}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6]}Z`);
  if (Number.isNaN(date.getTime())) throw invalidSignature('The request needs a valid x-amz-date header.');
  return date;
}

function splitUrl(url: string): { path: string; query: Record<string, string | string[]> } {
  const mark = url.indexOf('?');
  if (mark < 0) return { path: url, query: {} };
  const query: Record<string, string | string[]> = {};
  for (const [name, value] of new URLSearchParams(url.slice(mark + 1))) {
    const before = query[name];
    query[name] = before === undefined ? value : [before, value].flat();
  }
  return { path: url.slice(0, mark), query };
}
