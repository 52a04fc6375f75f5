/**
 * A certificate as a file that is handed to an auditor: the very text that was signed, the signature, and which key it is
 * by. The same JSON stands alone, in the script block of a page, or as the attached file of a PDF, and is read back from
 * each, so that none of them needs another to be checked.
 */
import { createPublicKey } from 'node:crypto';
import { inflateSync } from 'node:zlib';
import { z } from 'zod';
import { MoraineError } from '../errors.ts';
import { isSignedBy, type PublicKeys, signingKeyId } from '../keys/public-keys.ts';
import { type CertificateBody, readBody } from './body.ts';

export const SIGNED_FORMAT = 'moraine-signed-certificate';
/** Name of the JSON inside a PDF, and what a page marks its script block with. */
export const EMBEDDED_NAME = 'moraine-certificate.json';
export const SCRIPT_ID = 'moraine-certificate';

const signedSchema = z.strictObject({
  format: z.literal(SIGNED_FORMAT),
  version: z.literal(1),
  number: z.int().min(1),
  id: z.string().min(1),
  algorithm: z.literal('Ed25519'),
  keyId: z.string().regex(/^[0-9a-f]{16}$/),
  /** PEM. It proves nothing about who signed: compare its id with what the operator has published. */
  publicKey: z.string(),
  /** Hex. */
  signature: z.string().regex(/^[0-9a-f]{128}$/),
  body: z.string().min(1),
});
export type SignedCertificate = z.output<typeof signedSchema>;

export type FileKind = 'json' | 'html' | 'pdf';

/** Of a certificate as the ledger keeps it, and the public key that it names. */
export function signedFile(
  certificate: {
    readonly _id: string;
    readonly number: number;
    readonly body: string;
    readonly keyId: string;
    readonly signature: Uint8Array;
  },
  publicKeyPem: string,
): SignedCertificate {
  const { _id: id, number, body, keyId, signature } = certificate;
  return {
    ...{ format: SIGNED_FORMAT, version: 1, number, id, algorithm: 'Ed25519', keyId, publicKey: publicKeyPem },
    ...{ signature: Buffer.from(signature).toString('hex'), body },
  };
}

export function signedJson(file: SignedCertificate): string {
  return `${JSON.stringify(file, null, 2)}\n`;
}

export interface ReadCertificate {
  readonly kind: FileKind;
  readonly signed: SignedCertificate;
}

/** Finds the certificate in a file. Throws CERTIFICATE_INVALID where there is none, or more than one. */
export function readSignedFile(bytes: Uint8Array, name: string): ReadCertificate {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind: FileKind =
    buffer.subarray(0, 5).toString('latin1') === '%PDF-' ? 'pdf' : isHtml(buffer) ? 'html' : 'json';
  const texts =
    kind === 'pdf' ? attachedFiles(buffer) : kind === 'html' ? scriptBlocks(buffer) : [buffer.toString('utf8')];
  const found = texts.flatMap((text) => parse(text) ?? []);
  const [signed, another] = found;
  if (signed !== undefined && another === undefined) return { kind, signed };
  const why = signed === undefined ? 'holds no certificate' : 'holds more than one certificate';
  throw invalid(name, why, 'Ask for the file as it was exported: saving it anew may have changed it.');
}

export interface VerifiedFile {
  readonly body: CertificateBody;
  /** `file`: by the key that the file itself brings, which proves nothing about who signed. */
  readonly keyFrom: 'given' | 'file';
}

/** Throws CERTIFICATE_INVALID. `keys` null: none is given. */
export function verifySigned(signed: SignedCertificate, keys: PublicKeys | null, name: string): VerifiedFile {
  const { body: text, keyId, signature } = signed;
  if (keys !== null && !keys.has(keyId)) {
    const given = [...keys.keys()].join(', ');
    throw invalid(
      name,
      `is signed by key ${keyId}, and given are ${given}`,
      'Ask the operator for the key of that id.',
    );
  }
  const known = keys ?? ownKey(signed, name);
  if (!isSignedBy(known, text, { keyId, bytes: Buffer.from(signature, 'hex') }))
    throw invalid(name, 'was changed since it was signed: its signature does not hold', FORGED_HINT);
  const body = readBody(text);
  if (body === null) throw invalid(name, 'says nothing that this version can read', 'Verify it with a newer Moraine.');
  if (body.id !== signed.id || body.number !== signed.number)
    throw invalid(name, 'bears another number or name than its signed text', FORGED_HINT);
  return { body, keyFrom: keys === null ? 'file' : 'given' };
}

const FORGED_HINT = 'Treat it as forged, and ask the operator for the certificate of this number.';

function ownKey({ publicKey, keyId }: SignedCertificate, name: string): PublicKeys {
  try {
    const key = createPublicKey(publicKey);
    if (signingKeyId(key) === keyId) return new Map([[keyId, key]]);
  } catch {
    // No key: said below.
  }
  throw invalid(name, 'brings a public key that is not the one it names', FORGED_HINT);
}

function parse(text: string): SignedCertificate | null {
  try {
    const read = signedSchema.safeParse(JSON.parse(text));
    return read.success ? read.data : null;
  } catch {
    return null;
  }
}

function isHtml(bytes: Buffer): boolean {
  return /^\s*<(!doctype|html)/i.test(bytes.subarray(0, 200).toString('utf8'));
}

const SCRIPT = /<script type="application\/json" id="moraine-certificate">([\s\S]*?)<\/script>/g;

function scriptBlocks(page: Buffer): readonly string[] {
  return [...page.toString('utf8').matchAll(SCRIPT)].flatMap(([, text]) => text ?? []);
}

const MOST_ATTACHED_BYTES = 16 * 1024 * 1024;

/** The streams of embedded files, by the length that each names; a compressed one is inflated. */
function attachedFiles(pdf: Buffer): readonly string[] {
  const text = pdf.toString('latin1');
  return [...text.matchAll(/\/Type\s*\/EmbeddedFile\b/g)].flatMap(({ index }) => {
    const begin = text.indexOf('stream', index);
    const dictionary = text.slice(text.lastIndexOf(' obj', index), begin);
    const length = Number(/\/Length\s+(\d+)(?!\s+\d+\s+R)/.exec(dictionary)?.[1]);
    if (begin < 0 || !Number.isSafeInteger(length)) return [];
    const start = begin + 'stream'.length + (text[begin + 6] === '\r' ? 2 : 1);
    const bytes = pdf.subarray(start, start + length);
    if (!/\/FlateDecode\b/.test(dictionary)) return [bytes.toString('utf8')];
    try {
      return [inflateSync(bytes, { maxOutputLength: MOST_ATTACHED_BYTES }).toString('utf8')];
    } catch {
      return [];
    }
  });
}

function invalid(name: string, why: string, hint: string): MoraineError {
  return new MoraineError('CERTIFICATE_INVALID', `${name} ${why}.`, { hint, ids: { file: name } });
}
