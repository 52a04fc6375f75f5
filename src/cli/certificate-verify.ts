/** `moraine certificate verify`: those of the ledger, with its audit chain; or files, with nothing but a public key. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { readSignedFile, type SignedCertificate, verifySigned } from '../certificate/signed-file.ts';
import { MoraineError } from '../errors.ts';
import { type PublicKeys, readPublicKeys } from '../keys/public-keys.ts';
import { verifyAudit } from '../ledger/audit.ts';
import type { CertificateDocument } from '../ledger/certificates.ts';
import { verifyCertificate } from '../lifecycle/certificate.ts';
import { renderCertificate } from './certificate-export.ts';
import { auditHeadOf } from './certificate-facts.ts';
import { certificatesOf, oneCertificate } from './certificate-find.ts';
import { certificateText } from './certificate-text.ts';
import { acting, EXIT, type ExitCode, newCommand } from './command.ts';
import { exitCodeOf, worst } from './exit-code.ts';
import { asMoraineError, errorText } from './render-error.ts';
import type { Session } from './session.ts';
import { counted } from './words.ts';

interface VerifyOptions {
  readonly key?: string;
}

export function verifyCertificatesCommand(): Command {
  return newCommand('verify', {
    description: [
      'Check certificates. Files (JSON, HTML, PDF as `certificate export` wrote them) need neither ledger nor configuration:',
      'name the public key that the operator has published. Ids, numbers or nothing: those of the ledger, that the entries',
      'which they remember are in the audit chain, and (all of them) that no number is missing.',
    ].join('\n'),
    examples: [
      ['moraine certificate verify certificate-000017.pdf --key keys.pem', 'a file, offline'],
      ['moraine certificate verify', 'all in the ledger'],
    ],
  })
    .summary('check files offline, or those of the ledger')
    .argument('[certificate...]', 'files, numbers or ids; default: all in the ledger')
    .option('--key <file>', 'public keys (PEM) as `certificate keys` prints them: everything named is a file')
    .action(
      acting<VerifyOptions>(async (session, names, { key }) => {
        const files = names.filter((name) => key !== undefined || isFile(name));
        if (files.length === 0 && key === undefined) return await verifyInLedger(session, names);
        if (files.length < names.length || files.length === 0) {
          throw new MoraineError('USAGE', 'Files and certificates of the ledger are verified one or the other.', {
            hint: 'Name files only, with --key FILE; or numbers and ids only.',
          });
        }
        return await verifyFiles(session, files, key);
      }),
    );
}

/** Ids and numbers have neither dots nor slashes. */
function isFile(name: string): boolean {
  return /[./\\]/.test(name);
}

interface FileVerdict {
  readonly file: string;
  readonly ok: boolean;
  readonly number: number | null;
  readonly id: string | null;
  readonly keyId: string | null;
  /** `file`: the key that the file itself brings, which proves nothing about who signed. */
  readonly keyFrom: 'given' | 'file' | null;
  /** Of pages and PDFs: what is to be read is what this version makes of the signed text, byte for byte. */
  readonly showsWhatWasSigned: boolean | null;
  readonly problem: { readonly code: string; readonly message: string; readonly hint: string } | null;
}

async function verifyFiles(session: Session, files: readonly string[], keyFile: string | undefined): Promise<ExitCode> {
  const keys = keyFile === undefined ? null : readPublicKeys(readInput(keyFile).toString('utf8'), keyFile);
  const verdicts: FileVerdict[] = [];
  const texts: string[] = [];
  const codes: ExitCode[] = [];
  for (const file of files) {
    try {
      const { verdict, signed } = await verifyFile(file, keys);
      verdicts.push(verdict);
      texts.push(...goodText(verdict), ...(files.length === 1 ? ['', ...certificateText(signed)] : []));
    } catch (thrown) {
      const error = asMoraineError(thrown);
      if (error.code === 'USAGE') throw error;
      const { code, message, hint } = error;
      codes.push(exitCodeOf(error));
      verdicts.push({ ...NOTHING, file, ok: false, problem: { code, message, hint } });
      texts.push(errorText(error));
    }
  }
  session.output.result({ ok: codes.length === 0, files: verdicts }, () => texts);
  return worst(codes);
}

const NOTHING = { number: null, id: null, keyId: null, keyFrom: null, showsWhatWasSigned: null };

async function verifyFile(
  file: string,
  keys: PublicKeys | null,
): Promise<{ readonly verdict: FileVerdict; readonly signed: SignedCertificate }> {
  const bytes = readInput(file);
  const { kind, signed } = readSignedFile(bytes, file);
  const { keyFrom } = verifySigned(signed, keys, file);
  const { number, id, keyId } = signed;
  const showsWhatWasSigned = kind === 'json' ? null : Buffer.from(await renderCertificate(signed, kind)).equals(bytes);
  return { verdict: { file, ok: true, number, id, keyId, keyFrom, showsWhatWasSigned, problem: null }, signed };
}

function goodText({ file, number, keyId, keyFrom, showsWhatWasSigned }: FileVerdict): readonly string[] {
  return [
    `✓ ${file}: certificate no. ${number} is as it was signed by key ${keyId}.`,
    ...(keyFrom === 'file'
      ? [
          '! The key is the one that the file brings. Compare its id with what the operator has published, or name it: --key FILE.',
        ]
      : []),
    ...(showsWhatWasSigned === false
      ? [
          '! What the file shows is not, letter by letter, what this version makes of the signed text: read what is printed by `verify`, and not the file.',
        ]
      : []),
  ];
}

function readInput(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new MoraineError('USAGE', `${file} cannot be read.`, { cause, hint: 'Check its name.', ids: { file } });
  }
}

async function verifyInLedger(session: Session, names: readonly string[]): Promise<ExitCode> {
  const app = await session.openApp();
  const context = session.contextOf(app);
  const certificates =
    names.length === 0
      ? await certificatesOf(app.store, {})
      : await Promise.all(names.map((name) => oneCertificate(app.store, name)));
  const problems: { readonly id: string; readonly error: MoraineError }[] = [];
  for (const certificate of certificates) {
    try {
      await verifyCertificate(context, certificate);
    } catch (error) {
      problems.push({ id: certificate._id, error: asMoraineError(error) });
    }
  }
  if (names.length === 0) problems.push(...missingNumbers(certificates));
  const chain = await verifyAudit(
    app.store,
    certificates.flatMap((certificate) => auditHeadOf(certificate) ?? []),
  );
  if (!chain.ok) {
    const text = `The audit chain does not hold at entry ${chain.firstBad}: ${chain.reason}.`;
    problems.push({ id: 'audit', error: new MoraineError('AUDIT_BROKEN', text) });
  }
  const document = {
    certificates: certificates.length,
    ok: problems.length === 0,
    chain,
    problems: problems.map(({ id, error }) => ({ id, code: error.code, message: error.message, hint: error.hint })),
  };
  session.output.result(document, () => [
    ...problems.map(({ error }) => errorText(error)),
    problems.length === 0
      ? `✓ ${counted(certificates.length, 'certificate')} verified, and what they remember is in the audit chain.`
      : `✗ ${counted(problems.length, 'problem')} in ${counted(certificates.length, 'certificate')}.`,
  ]);
  return problems.length === 0 ? EXIT.done : worst(problems.map(({ error }) => exitCodeOf(error)));
}

/** They are given from 1 without a gap and in order: one that is not there was removed. */
function missingNumbers(certificates: readonly CertificateDocument[]) {
  const wrong = certificates.find(({ number }, at) => number !== at + 1);
  if (wrong === undefined) return [];
  const expected = certificates.indexOf(wrong) + 1;
  const text = `Certificate no. ${expected} is not in the ledger, and no. ${wrong.number} is.`;
  return [{ id: String(expected), error: new MoraineError('CERTIFICATE_INVALID', text) }];
}
