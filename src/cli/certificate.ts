/** `moraine certificate list|show|verify`: certificates of destruction. */
import type { Command } from 'commander';
import { MoraineError } from '../errors.ts';
import { verifyAudit } from '../ledger/audit.ts';
import { type CertificateDocument, findCertificates, getCertificate } from '../ledger/certificates.ts';
import type { Store } from '../ledger/store.ts';
import { verifyCertificate } from '../lifecycle/certificate.ts';
import { auditHeadOf, bodyOf, property } from './certificate-facts.ts';
import { certificateText } from './certificate-text.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { exitCodeOf, worst } from './exit-code.ts';
import { table } from './output.ts';
import { asMoraineError, errorText } from './render-error.ts';
import { counted, instant } from './words.ts';

interface ListOptions {
  readonly owner?: string;
  readonly policy?: string;
}

export function certificateCommand(): Command {
  return newCommand('certificate', {
    description:
      'Certificates of destruction: what was destroyed, by which rule, how it was proved; signed, kept for ever.',
    examples: [
      ['moraine certificate list', ''],
      ['moraine certificate verify', 'check all signatures'],
    ],
  })
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(verifyAllCommand());
}

function listCommand(): Command {
  return newCommand('list', {
    description: 'List certificates, oldest first.',
    examples: [['moraine certificate list --owner acme', '']],
  })
    .summary('list certificates')
    .option('--owner <owner>', 'only those of one owner')
    .option('--policy <policy>', 'only those of one policy')
    .action(
      acting<ListOptions>(async (session, _args, options) => {
        const app = await session.openApp();
        const found = await certificatesOf(app.store, options);
        session.output.result(found.map(listed), () => [
          found.length === 0
            ? 'There are no certificates yet.'
            : table(
                ['certificate', 'what', 'policy', 'owner', 'customer', 'issued'],
                found
                  .map(listed)
                  .map(({ id, what, policy, owner, customer, issuedAt }) => [
                    id,
                    what,
                    policy,
                    owner,
                    customer,
                    instant(issuedAt),
                  ]),
              ),
        ]);
        return EXIT.done;
      }),
    );
}

function showCommand(): Command {
  return newCommand('show', {
    description: 'Print a certificate in words; with --json its signed text, its signature and the key that made it.',
    examples: [['moraine certificate show 20261122-0a1b2c3d4e --json', 'to keep it elsewhere']],
  })
    .summary('print one')
    .argument('<certificate>', 'its id: the id of the archive')
    .action(
      acting(async (session, [certificateId = '']) => {
        const app = await session.openApp();
        const certificate = await oneCertificate(app.store, certificateId);
        const document = {
          ...listed(certificate),
          certificate: bodyOf(certificate),
          signed: certificate.body,
          signature: Buffer.from(certificate.signature).toString('base64'),
          keyId: certificate.keyId,
        };
        session.output.result(document, () => certificateText(certificate));
        return EXIT.done;
      }),
    );
}

function verifyAllCommand(): Command {
  return newCommand('verify', {
    description: [
      'Check the signatures of certificates, and that the audit entries which they remember are in the chain.',
    ].join('\n'),
    examples: [
      ['moraine certificate verify', 'all'],
      ['moraine certificate verify 20261122-0a1b2c3d4e', 'one'],
    ],
  })
    .summary('check signatures and the audit entries that they remember')
    .argument('[certificate...]', 'ids; default: all')
    .action(
      acting(async (session, ids) => {
        const app = await session.openApp();
        const context = session.contextOf(app);
        const certificates =
          ids.length === 0
            ? await certificatesOf(app.store, {})
            : await Promise.all(ids.map((each) => oneCertificate(app.store, each)));
        const problems: { readonly id: string; readonly error: MoraineError }[] = [];
        for (const certificate of certificates) {
          try {
            await verifyCertificate(context, certificate);
          } catch (error) {
            problems.push({ id: certificate._id, error: asMoraineError(error) });
          }
        }
        const heads = certificates.flatMap((certificate) => auditHeadOf(certificate) ?? []);
        const chain = await verifyAudit(app.store, heads);
        if (!chain.ok) {
          const text = `The audit chain does not hold at entry ${chain.firstBad}: ${chain.reason}.`;
          problems.push({ id: 'audit', error: new MoraineError('AUDIT_BROKEN', text) });
        }
        const document = {
          certificates: certificates.length,
          ok: problems.length === 0,
          chain,
          problems: problems.map(({ id, error }) => ({
            id,
            code: error.code,
            message: error.message,
            hint: error.hint,
          })),
        };
        session.output.result(document, () => [
          ...problems.map(({ error }) => errorText(error)),
          problems.length === 0
            ? `✓ ${counted(certificates.length, 'certificate')} verified, and what they remember is in the audit chain.`
            : `✗ ${counted(problems.length, 'problem')} in ${counted(certificates.length, 'certificate')}.`,
        ]);
        return worst(problems.map(({ error }) => exitCodeOf(error)));
      }),
    );
}

async function certificatesOf(store: Store, { owner, policy }: ListOptions): Promise<readonly CertificateDocument[]> {
  const found: CertificateDocument[] = [];
  for await (const certificate of findCertificates(store)) {
    const isWanted =
      (owner ?? certificate.owner) === certificate.owner && (policy ?? certificate.policy) === certificate.policy;
    if (isWanted) found.push(certificate);
  }
  return found;
}

async function oneCertificate(store: Store, id: string): Promise<CertificateDocument> {
  const certificate = await getCertificate(store, id);
  if (certificate !== null) return certificate;
  throw new MoraineError('USAGE', `There is no certificate ${id}.`, { hint: 'Run `moraine certificate list`.' });
}

function listed(certificate: CertificateDocument) {
  const { _id, archive, policy, owner, customer, issuedAt } = certificate;
  const what = property(bodyOf(certificate), 'what');
  return { id: _id, what: typeof what === 'string' ? what : '', archive, policy, owner, customer, issuedAt };
}
