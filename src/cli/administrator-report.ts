/** `moraine administrator report`: who can open what, from the key store alone. */
import type { Command } from 'commander';
import type { App } from '../app.ts';
import { systemClock } from '../clock.ts';
import { type ArchiveId, id } from '../ids.ts';
import { type Opener, type OwnerOpeners, whoCanOpen } from '../keys/openers.ts';
import { findArchives } from '../ledger/archives.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { count, counted, day } from './words.ts';

/** Copies of entries are out of reach: the report says so, for it may be read by somebody who removed a person. */
const NO_UNDOING =
  'Removing an administrator does not undo copies made before: whoever kept an entry of the key store and the archive still opens it.';

export function reportCommand(): Command {
  return newCommand('report', {
    description: [
      'Who can open what: of each owner, whose identity opens how many archives in which vaults; entries that are wrapped',
      'for somebody whom moraine.yaml names no more, and archives that no recovery recipient opens. Reads the key store',
      'and needs no identity. Exit code 3 where something is to be wrapped again.',
    ].join('\n'),
    examples: [
      ['moraine administrator report', ''],
      ['moraine administrator report --owner acme --json', 'for the file of an audit'],
    ],
  })
    .summary('who can open what')
    .option('--owner <owner>', 'only this one')
    .action(
      acting<{ readonly owner?: string }>(async (session, _args, options) => {
        const { owners } = session.config;
        const app = await session.openApp();
        const found: OwnerOpeners[] = [];
        for await (const openers of whoCanOpen({
          stores: app.keyStores,
          clock: systemClock,
          owners,
          proofsOf: async (owner) => (await app.keys.proofsOf?.(owner)) ?? [],
          vaultsOf: (archives) => vaultsOf(app, archives),
          owner: options.owner === undefined ? null : id.owner(options.owner),
          signal: session.signal,
        })) {
          found.push(openers);
        }
        session.output.result({ owners: found, note: NO_UNDOING }, () => [
          ...(found.length === 0 ? ['The key store holds no key, and moraine.yaml names no owner.'] : []),
          ...found.flatMap(lines),
          NO_UNDOING,
        ]);
        return found.some((each) => each.toRewrap + each.storesDiffer > 0) ? EXIT.person : EXIT.done;
      }),
    );
}

/** Of the archives that a vault has now; the names are those of the vaults at the service. */
async function vaultsOf({ store }: App, archives: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const vaults = new Map<string, string>();
  const ids: readonly ArchiveId[] = archives.map((archive) => id.archive(archive));
  for await (const { _id, vault, stored } of findArchives(store, { _id: { $in: ids } }))
    if (stored !== null) vaults.set(_id, vault.name);
  return vaults;
}

function lines(owner: OwnerOpeners): readonly string[] {
  return [
    `${owner.owner}: ${counted(owner.archives, 'archive')}${owner.isNamed ? '' : ' (moraine.yaml names no such owner)'}`,
    ...owner.openers.map((opener) => `  ${line(opener)}`),
    ...(owner.openedByKms > 0
      ? [`  · KMS opens ${counted(owner.openedByKms, 'archive')}, for whom its key policy and IAM let decrypt`]
      : []),
    ...problem(owner.toRewrap, 'not wrapped for exactly the present administrators', rewrapHint(owner)),
    ...problem(
      owner.withoutRecovery,
      'opened by no recovery recipient',
      'name one with `recovery: true` and wrap again',
    ),
    ...problem(
      owner.openedByNobody,
      'opened by nobody whom moraine.yaml names',
      "find the former administrator's identity",
    ),
    ...problem(owner.storesDiffer, 'not the same in both key stores', 'moraine keys align, then wrap again'),
  ];
}

function line({ name, recipient, recovery, proof, archives, vaults }: Opener): string {
  const who = name === null ? 'NO LONGER NAMED' : `${name}${recovery ? ' (recovery)' : ''}`;
  const shown = recipient.length > 20 ? `${recipient.slice(0, 16)}…` : recipient;
  const places = Object.entries(vaults)
    .map(([vault, number]) => `${count(number)} in ${vault === '-' ? 'no vault yet' : vault}`)
    .join(', ');
  const opens = archives === 0 ? 'opens nothing' : `opens ${counted(archives, 'archive')}: ${places}`;
  return `${name === null ? '!' : '·'} ${who} ${shown} ${opens}${proof === null ? '' : `; ${proofText(proof)}`}`;
}

function proofText({ state, provenAt, endsAt }: NonNullable<Opener['proof']>): string {
  if (state === 'unproven') return 'never proven';
  if (state === 'ended') return `its proof has ended on ${day(endsAt)}`;
  return `proven ${day(provenAt)}${endsAt === null ? '' : `, counts until ${day(endsAt)}`}`;
}

function problem(archives: number, what: string, remedy: string): readonly string[] {
  return archives === 0 ? [] : [`  ✗ ${counted(archives, 'archive')} ${what}: ${remedy}.`];
}

function rewrapHint({ owner }: OwnerOpeners): string {
  return `moraine administrator rewrap --owner ${owner} --identity FILE`;
}
