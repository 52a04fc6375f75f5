/** `moraine administrator new|prove|rewrap|report`: identities, on the administrator's own machine. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { systemClock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import { id } from '../ids.ts';
import { countKeysOf, proveRecipient, rewrapForOwner } from '../keys/administrator.ts';
import { newIdentity } from '../keys/identity-file.ts';
import { tellProofs } from '../lifecycle/proofs.ts';
import { reportCommand } from './administrator-report.ts';
import { countBar } from './bar.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { IDENTITY_OPTION, type IdentityOptions, newPassphrase, PASSPHRASE_OPTION, readIdentity } from './identity.ts';
import { SECRET_MODE, writeNewFile } from './new-file.ts';
import { count, counted, instant, named } from './words.ts';

export function administratorCommand(): Command {
  return newCommand('administrator', {
    description: [
      'Identities of administrators: age identity files, whose public half (the recipient) stands in moraine.yaml under',
      'its owner. Only an identity opens an archive; it never leaves the machine of its administrator.',
    ].join('\n'),
    examples: [
      ['moraine administrator new alice.key', 'make one; prints the recipient'],
      ['moraine administrator prove --identity alice.key', 'so that it counts in production, for a year'],
      ['moraine administrator report', 'who can open what'],
    ],
  })
    .addCommand(newIdentityCommand())
    .addCommand(proveCommand())
    .addCommand(rewrapCommand())
    .addCommand(reportCommand());
}

interface NewOptions {
  readonly passphrase: boolean;
  readonly passphraseFile?: string;
  readonly postQuantum?: true;
}

function newIdentityCommand(): Command {
  return newCommand('new', {
    description: 'Make an identity and print its recipient. Asks for a passphrase twice. Never overwrites a file.',
    examples: [
      ['moraine administrator new alice.key', ''],
      ['moraine administrator new safe.key --post-quantum', 'hybrid with ML-KEM-768'],
      ['moraine administrator new test.key --no-passphrase', 'whoever reads the file opens the archives'],
    ],
  })
    .summary('make an identity')
    .argument('<file>', 'where to write it (mode 0600)')
    .option('--no-passphrase', 'write it in plain text')
    .option('--passphrase-file <file>', 'take the passphrase from the first line of a file')
    .option('--post-quantum', 'hybrid post-quantum; the recipient is 1,959 characters long')
    .action(
      acting<NewOptions>(async (session, [file = ''], options) => {
        if (existsSync(file)) writeNewFile(file, '', SECRET_MODE);
        const passphrase = options.passphrase ? await newPassphrase(session, options.passphraseFile) : undefined;
        const identity = await newIdentity({
          now: systemClock.now(),
          passphrase,
          postQuantum: options.postQuantum === true,
        });
        writeNewFile(file, identity.file, SECRET_MODE);
        const isProtected = passphrase !== undefined;
        session.output.result({ file, recipient: identity.recipient, passphrase: isProtected }, () => [
          `✓ ${file} holds the identity${isProtected ? ', under its passphrase' : ' in plain text'}. Keep a copy where it cannot be lost: without it nothing opens.`,
          'Put its recipient under its owner in moraine.yaml:',
          `  - { name: ${session.actor.replace('person:', '')}, recipient: ${identity.recipient} }`,
        ]);
        return EXIT.done;
      }),
    );
}

function proveCommand(): Command {
  return newCommand('prove', {
    description: [
      'Decrypt a challenge, so that the recipient counts in production. Its recipient must be in moraine.yaml. It counts',
      'for `keys.proofEvery` (default: a year); `check` and an alarm say 30 days before when it is to be proven again.',
    ].join('\n'),
    examples: [['moraine administrator prove --identity alice.key', '']],
  })
    .summary('show that an identity opens what is wrapped for it')
    .requiredOption(...IDENTITY_OPTION)
    .option(...PASSPHRASE_OPTION)
    .action(
      acting<IdentityOptions>(async (session, _args, options) => {
        const { owners } = session.config;
        const identity = await readIdentity(session, options);
        const app = await session.openApp();
        const { recipient, provenAt, isRepeated, before } = await proveRecipient(
          app.keyStores,
          systemClock,
          identity,
          [...owners.values()].flat(),
        );
        const context = session.contextOf(app);
        const details = { before: before?.toISOString() ?? null };
        await context.audit.append([{ act: 'administrator prove', phase: 'outcome', subject: { recipient }, details }]);
        await tellProofs(context);
        session.output.result({ recipient, provenAt, repeated: isRepeated, before }, () => [
          `✓ Proven: ${recipient}${before === null ? '' : `; before, on ${instant(before)}`}`,
        ]);
        return EXIT.done;
      }),
    );
}

function rewrapCommand(): Command {
  return newCommand('rewrap', {
    description: [
      'Wrap all archive keys of an owner for the administrators that moraine.yaml names now. Needs an identity that',
      'opens them today. It retrieves nothing, and takes nobody away from copies made before.',
    ].join('\n'),
    examples: [['moraine administrator rewrap --identity alice.key --owner acme', 'after adding an administrator']],
  })
    .summary("wrap an owner's keys for its present administrators")
    .requiredOption(...IDENTITY_OPTION)
    .requiredOption('--owner <owner>', 'whose keys')
    .option(...PASSPHRASE_OPTION)
    .action(
      acting<IdentityOptions & { readonly owner: string }>(async (session, _args, options) => {
        const owner = id.owner(options.owner);
        const administrators = session.config.owners.get(owner);
        if (administrators === undefined) {
          throw new MoraineError('OWNER_UNKNOWN', `moraine.yaml has no owner ${owner}.`, { ids: { owner } });
        }
        const identity = await readIdentity(session, options);
        const app = await session.openApp();
        const { audit } = session.contextOf(app);
        const bar = countBar(session, owner, 'keys', await countKeysOf(app.keyStores, systemClock, owner));
        const entry = { act: 'administrator rewrap', subject: { owner } };
        await audit.append([
          { ...entry, phase: 'intent', details: { recipients: administrators.map((each) => each.recipient) } },
        ]);
        const counts = await rewrapForOwner({
          stores: app.keyStores,
          clock: systemClock,
          keys: app.keys,
          owner,
          administrators,
          identity,
          signal: session.signal,
          onProgress: ({ looked }) => bar.at(looked),
        }).finally(() => bar.end());
        const { unopenedArchives, ...numbers } = counts;
        await audit.append([{ ...entry, phase: 'outcome', details: numbers }]);
        session.output.result({ owner, ...counts }, () => [
          `✓ ${counted(counts.rewrapped, 'key')} of ${owner} wrapped again; ${count(counts.unchanged)} were right already.`,
          ...(counts.unopened > 0
            ? [
                `✗ ${counted(counts.unopened, 'key')} this identity does not open, left as they are (archives ${named(unopenedArchives)}): use another administrator's.`,
              ]
            : []),
          ...(counts.missing > 0
            ? [`✗ ${counted(counts.missing, 'key')} one of the key stores lacks: moraine keys align.`]
            : []),
          'Whoever could open these archives before, and kept copies of keys and archives, still can.',
        ]);
        return counts.unopened + counts.missing > 0 ? EXIT.person : EXIT.done;
      }),
    );
}
