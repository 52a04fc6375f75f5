/** `moraine certificate list|show|verify|export|keys`: certificates of destruction. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { CertificateDocument } from '../ledger/certificates.ts';
import { exportCommand } from './certificate-export.ts';
import { bodyOf, property } from './certificate-facts.ts';
import { type CertificateQuery, certificatesOf, oneCertificate } from './certificate-find.ts';
import { certificateText } from './certificate-text.ts';
import { verifyCertificatesCommand } from './certificate-verify.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { PLAIN_MODE, writeNewFile } from './new-file.ts';
import { table } from './output.ts';
import { counted, instant } from './words.ts';

export function certificateCommand(): Command {
  return newCommand('certificate', {
    description:
      'Certificates of destruction: what was destroyed, by which rule, how it was proved; numbered, signed, kept for ever.',
    examples: [
      ['moraine certificate list', ''],
      ['moraine certificate export --format pdf --out certificates', 'what an auditor is given'],
      ['moraine certificate verify certificate-000017.pdf --key keys.pem', 'what an auditor does with it'],
    ],
  })
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(verifyCertificatesCommand())
    .addCommand(exportCommand())
    .addCommand(keysCommand());
}

function listCommand(): Command {
  return newCommand('list', {
    description: 'List certificates in the order of their numbers.',
    examples: [['moraine certificate list --owner acme', '']],
  })
    .summary('list certificates')
    .option('--owner <owner>', 'only those of one owner')
    .option('--policy <policy>', 'only those of one policy')
    .action(
      acting<CertificateQuery>(async (session, _args, options) => {
        const app = await session.openApp();
        const found = (await certificatesOf(app.store, options)).map(listed);
        session.output.result(found, () => [
          found.length === 0
            ? 'There are no certificates yet.'
            : table(
                ['no.', 'certificate', 'what', 'policy', 'owner', 'customer', 'issued'],
                found.map(({ number, id, what, policy, owner, customer, issuedAt }) => [
                  number,
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
    description: 'Show one certificate: what its signed text says.',
    examples: [
      ['moraine certificate show 20261122-0a1b2c3d4e', 'by the id of the archive'],
      ['moraine certificate show 17 --json', 'by its number, with the signed text and the signature'],
    ],
  })
    .summary('show one certificate')
    .argument('<certificate>', 'its number, or its id: the id of the archive')
    .action(
      acting(async (session, [name = '']) => {
        const app = await session.openApp();
        const certificate = await oneCertificate(app.store, name);
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

interface KeysOptions {
  readonly out?: string;
}

function keysCommand(): Command {
  return newCommand('keys', {
    description: [
      'Print the public keys that certificates and audit heads are signed with, to be handed to auditors. Every key that ever',
      'signed is among them. Hand them over by a way of their own: who can change a certificate must not be who gives the key.',
    ].join('\n'),
    examples: [
      ['moraine certificate keys > keys.pem', 'all in one file'],
      ['moraine certificate keys --out keys', 'a file for each'],
    ],
  })
    .summary('print the public keys, for auditors')
    .option('--out <dir>', 'write a file for each into this folder instead')
    .action(
      acting<KeysOptions>(async (session, _args, { out }) => {
        const app = await session.openApp();
        const keys = await app.keys.publicKeys();
        const files =
          out === undefined ? [] : keys.map(({ keyId, pem }) => [join(out, `moraine-${keyId}.pem`), pem] as const);
        if (out !== undefined) mkdirSync(out, { recursive: true });
        for (const [file, pem] of files) writeNewFile(file, pem, PLAIN_MODE);
        session.output.result(keys, () =>
          out === undefined
            ? keys.map(
                ({ keyId, pem, validFrom, validTo }) =>
                  `# key ${keyId}, from ${instant(validFrom)}${validTo === null ? '' : ` to ${instant(validTo)}`}\n${pem.trimEnd()}`,
              )
            : [`✓ ${counted(files.length, 'public key')} in ${out}.`],
        );
        return EXIT.done;
      }),
    );
}

function listed(certificate: CertificateDocument) {
  const { _id, number, archive, policy, owner, customer, issuedAt } = certificate;
  const what = property(bodyOf(certificate), 'what');
  return { number, id: _id, what: typeof what === 'string' ? what : '', archive, policy, owner, customer, issuedAt };
}
