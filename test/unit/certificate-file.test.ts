/** Certificates as files: what an auditor is given, and what is found when somebody has put a hand to it. */
import { deflateSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { canonicalJson } from '../../src/canonical-json.ts';
import { readBody } from '../../src/certificate/body.ts';
import { certificatePage } from '../../src/certificate/page.ts';
import { certificatePdf } from '../../src/certificate/pdf.ts';
import { sheetOf } from '../../src/certificate/sheet.ts';
import {
  readSignedFile,
  type SignedCertificate,
  signedFile,
  signedJson,
  verifySigned,
} from '../../src/certificate/signed-file.ts';
import { id } from '../../src/ids.ts';
import { readPublicKeys } from '../../src/keys/public-keys.ts';
import { certifyPurge } from '../../src/lifecycle/certificate.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { anArchive } from '../harness/an-archive.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const at = (day: string) => new Date(`${day}T00:00:00Z`);
const NASTY = '北方 </script><b>"&\u2028';
const PURGE = {
  ...{
    claimedDueAt: at('2029-01-02'),
    asOf: at('2029-01-03'),
    askedAt: at('2029-01-04'),
    acceptedAt: at('2029-01-05'),
  },
  ...{ keyDestroyedAt: at('2029-01-06'), confirmedByInventoryAt: null, certificate: null },
};

let context: Context;
let pem: string;
let signed: SignedCertificate;

async function certified(on: Context): Promise<SignedCertificate> {
  const archive = { ...anArchive({ state: 'purged', purge: PURGE, customer: id.customer(NASTY) }), rev: 0 };
  const [{ pem: own = '' } = {}] = await on.keys.publicKeys();
  return signedFile(await certifyPurge(on, archive, at('2029-02-01')), own);
}

beforeAll(async () => {
  context = (await MemoryWorld.open()).context();
  signed = await certified(context);
  pem = signed.publicKey;
});

const asFile = async (format: string, of = signed): Promise<Buffer> => {
  if (format === 'pdf') return await certificatePdf(of);
  return Buffer.from(format === 'html' ? certificatePage(of) : signedJson(of));
};
const verify = (bytes: Uint8Array, keys = readPublicKeys(pem, 'key.pem')) =>
  verifySigned(readSignedFile(bytes, 'file').signed, keys, 'file');
const INVALID = expect.objectContaining({ code: 'CERTIFICATE_INVALID' });

describe.each(['json', 'html', 'pdf'])('%s', (format) => {
  test('read back as it was signed, by the key that is given or by its own', async () => {
    const bytes = await asFile(format);
    expect(readSignedFile(bytes, 'file')).toEqual({ kind: format, signed });
    expect(verify(bytes)).toMatchObject({ keyFrom: 'given', body: { number: 1, id: 'a1', customer: NASTY } });
    expect(verifySigned(signed, null, 'file').keyFrom).toBe('file');
  });

  test('the same certificate is the same file, letter by letter', async () => {
    expect((await asFile(format)).equals(await asFile(format))).toBe(true);
  });

  test('one letter of the signed text: refused, whichever key', async () => {
    const bytes = await asFile(format, { ...signed, body: signed.body.replace('acme', 'acne') });
    expect(() => verify(bytes)).toThrow(INVALID);
    expect(() => verifySigned(readSignedFile(bytes, 'file').signed, null, 'file')).toThrow(INVALID);
  });
});

test('signed by somebody else with a key of their own: it holds by that key, and not by the one that was published', async () => {
  const forged = await certified((await MemoryWorld.open()).context());
  expect(verifySigned(forged, null, 'file').keyFrom).toBe('file');
  expect(() => verify(Buffer.from(signedJson(forged)))).toThrow(INVALID);
  const renamed = { ...forged, keyId: signed.keyId };
  expect(() => verify(Buffer.from(signedJson(renamed)))).toThrow(INVALID);
  expect(() => verifySigned(renamed, null, 'file')).toThrow(INVALID);
});

test.each([
  ['another number', { number: 2 }],
  ['another name', { id: 'a2' }],
])('%s on the file than in the text: refused', (_, change) => {
  expect(() => verify(Buffer.from(signedJson({ ...signed, ...change })))).toThrow(INVALID);
});

test('a text with a member twice could be read in two ways: refused, although it is signed', async () => {
  const body = signed.body.replace('{', '{"archive":"other",');
  expect(readBody(body)).toBeNull();
  const signature = await context.keys.sign(Buffer.from(body));
  const twice = { ...signed, body, signature: Buffer.from(signature.bytes).toString('hex') };
  expect(() => verify(Buffer.from(signedJson(twice)))).toThrow(INVALID);
});

test.each([
  ['nothing', ''],
  ['something else', '{"format":"other"}'],
  ['a page without one', '<!doctype html><p>hello'],
  ['a PDF without one', '%PDF-1.7\n%%EOF'],
])('%s holds no certificate', (_, text) => {
  expect(() => readSignedFile(Buffer.from(text), 'file')).toThrow(INVALID);
});

test('a page with two of them is not taken for either', () => {
  const page = certificatePage(signed);
  const [script = ''] = /<script[\s\S]*<\/script>/.exec(page) ?? [];
  expect(() => readSignedFile(Buffer.from(page.replace('</body>', `${script}</body>`)), 'file')).toThrow(INVALID);
});

test('a PDF that was saved anew, its attachment compressed, is read all the same; one that inflates without end is not', () => {
  const pdf = (bytes: Buffer) =>
    Buffer.concat([
      Buffer.from(
        `%PDF-1.7\n1 0 obj\n<< /Filter /FlateDecode /Type /EmbeddedFile /Length ${bytes.length} >>\nstream\n`,
      ),
      bytes,
      Buffer.from('\nendstream\nendobj\n'),
    ]);
  expect(verify(pdf(deflateSync(signedJson(signed)))).body.id).toBe('a1');
  expect(() => readSignedFile(pdf(deflateSync(Buffer.alloc(20 * 1024 * 1024))), 'file')).toThrow(INVALID);
});

test('the page loads nothing, and what a name says is text in it', () => {
  const page = certificatePage(signed);
  expect(page).not.toMatch(/https?:|<link|<img|src=/);
  expect(page).toContain("default-src 'none'");
  expect(page).not.toContain('<b>');
  expect(page.match(/<script/g)).toHaveLength(1);
  expect(page).toMatch(/<html lang="en">[\s\S]*<h1>[\s\S]*<h2>/);
});

test('the PDF has its text as text, and characters that its fonts lack by their numbers', async () => {
  const pdf = (await asFile('pdf')).toString('latin1');
  const words = [...pdf.matchAll(/<([0-9a-f]+)>/g)]
    .map(([, hex = '']) => Buffer.from(hex, 'hex').toString('latin1'))
    .join('');
  expect(words).toContain('Certificate of destruction');
  expect(words).toContain('[U+5317]');
});

test('the sheet says all that the text does about place, time and proof', () => {
  const body = readBody(signed.body);
  if (body === null) throw new Error('It cannot be read.');
  const text = JSON.stringify(sheetOf(body));
  const { merkleRoot, manifestSha256, policyVersion, audit, copies } = body;
  const [copy] = copies;
  for (const said of [
    merkleRoot,
    manifestSha256,
    policyVersion,
    audit?.hash,
    copy?.treeHash,
    copy?.vaultArchiveId,
    copy?.vault,
  ])
    if (said !== undefined) expect(text).toContain(said);
  for (const time of ['2029-01-04', '2029-01-05', '2029-01-06', '2029-02-01', '2020-01-01'])
    expect(text).toContain(time);
  expect(text).toContain('sandbox');
});

test.each([
  ['no key at all', 'hello'],
  ['a private key', '-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----'],
  ['a broken key', '-----BEGIN PUBLIC KEY-----\nMC4=\n-----END PUBLIC KEY-----'],
])('%s is no file of public keys', (_, text) => {
  expect(() => readPublicKeys(text, 'key.pem')).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

test('several public keys in one file, with remarks between them', () => {
  expect(readPublicKeys(`# key one\n${pem}# again\n${pem}`, 'keys.pem').has(signed.keyId)).toBe(true);
  expect(canonicalJson(readBody(signed.body))).toBe(signed.body);
});
