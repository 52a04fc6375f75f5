/** `moraine keys`: the key stores, after one was added or restored from a backup. */
import type { Command } from 'commander';
import type { App } from '../app.ts';
import { systemClock } from '../clock.ts';
import { isMoraineError } from '../errors.ts';
import { type ArchiveKeyEntry, KEY_COLLECTIONS } from '../keys/documents.ts';
import { findArchives } from '../ledger/archives.ts';
import { attempts } from '../ledger/attempts.ts';
import { destroyedAttempts, endKeyStoreAlarm, isKeyStoreBehind } from '../lifecycle/key-store-behind.ts';
import { countBar } from './bar.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { confirm } from './confirm.ts';
import { count, counted, named } from './words.ts';

/** Archives whose key is looked for: a backup lacks the newest first. */
const NEWEST_LOOKED_AT = 200;

export function keysCommand(): Command {
  return newCommand('keys', {
    description: [
      'The key store, and the second one where there is one: what they hold, and what to do after one was added, lost or',
      'restored from a backup. Losing the key store is losing the archives.',
    ].join('\n'),
    examples: [
      ['moraine keys status', 'is a key store behind the ledger, or behind the other one?'],
      ['moraine keys align', 'a second one was added, or one was restored'],
      ['moraine keys replay', 'destroy again what was destroyed after the backup'],
    ],
  })
    .addCommand(statusCommand())
    .addCommand(alignCommand())
    .addCommand(replayCommand());
}

function statusCommand(): Command {
  return newCommand('status', {
    description: [
      'What each key store holds, whether one lacks destructions that the ledger knows (a restored backup; exit code 3), and',
      `whether the keys of the newest ${NEWEST_LOOKED_AT} archives are there (exit code 1 where one is missing everywhere).`,
    ].join('\n'),
    examples: [['moraine keys status', '']],
  }).action(
    acting(async (session) => {
      const app = await session.openApp();
      const stores: { readonly kept: number; readonly destroyed: number }[] = [];
      for (const store of app.keyStores) {
        const entries = store.collection<ArchiveKeyEntry>(KEY_COLLECTIONS.archiveKeys);
        stores.push({
          kept: await entries.count({ state: 'kept' }),
          destroyed: await entries.count({ state: 'destroyed' }),
        });
      }
      const behind = await isKeyStoreBehind(app);
      const { missing, onlyInOne } = await newestKeys(app);
      session.output.result({ stores, behind, missing, onlyInOne }, () => [
        ...stores.map(
          ({ kept, destroyed }, at) =>
            `${at === 0 ? 'key store' : 'second key store'}: ${counted(kept, 'key')}, ${count(destroyed)} destroyed`,
        ),
        behind
          ? '✗ A key store was restored from a backup: keys in it were destroyed since. Nothing is archived or destroyed until `moraine keys replay`.'
          : '✓ No key store lacks a destruction that the ledger knows.',
        ...(onlyInOne.length > 0
          ? [`✗ In one of the stores only: archives ${named(onlyInOne)}. \`moraine keys align\`.`]
          : []),
        ...(missing.length > 0
          ? [`✗ In no key store: archives ${named(missing)}. Nobody opens them without a newer backup of a key store.`]
          : []),
      ]);
      if (behind) return EXIT.person;
      return missing.length + onlyInOne.length > 0 ? EXIT.failed : EXIT.done;
    }),
  );
}

/** Of the newest archives in the vaults: those whose key is gone, and those that only one of two stores has. */
async function newestKeys({ store, keys }: App) {
  const missing: string[] = [];
  const onlyInOne: string[] = [];
  const there = { state: { $in: ['stored', 'verified', 'cleared'] } };
  const options = { sort: { createdAt: -1 }, limit: NEWEST_LOOKED_AT } as const;
  for await (const { _id, attempt } of findArchives(store, there, options)) {
    if (attempt === null) continue;
    const isMissing = await keys.findWrappedKey(attempt).then(() => false, isGone);
    if (isMissing) missing.push(_id);
    else if (await keys.readBack(attempt).then(() => false, isGone)) onlyInOne.push(_id);
  }
  return { missing, onlyInOne };
}

function isGone(error: unknown): true {
  if (isMoraineError(error, 'KEY_MISSING') || isMoraineError(error, 'KEY_DESTROYED')) return true;
  throw error;
}

function alignCommand(): Command {
  return newCommand('align', {
    description: [
      'Copy to each key store the entries that it lacks from the other; what is destroyed in one is destroyed in both. After',
      'a second key store was added, or one was lost or restored. Run again after a cut; it leaves what is right.',
    ].join('\n'),
    examples: [['moraine keys align', '']],
  })
    .summary('give each of the two stores what it lacks')
    .action(
      acting(async (session) => {
        const app = await session.openApp();
        const { audit } = session.contextOf(app);
        await audit.append([
          { act: 'keys align', phase: 'intent', subject: {}, details: { stores: app.keyStores.length } },
        ]);
        const counts = await app.keys.alignStores();
        await audit.append([{ act: 'keys align', phase: 'outcome', subject: {}, details: { ...counts } }]);
        session.output.result(counts, () => [
          app.keyStores.length === 1
            ? 'There is one key store; `keys.second` in moraine.yaml names another.'
            : `✓ ${counted(counts.copied, 'entry', 'entries')} copied, ${counted(counts.destroyed, 'key')} destroyed that were destroyed in the other store.`,
        ]);
        return EXIT.done;
      }),
    );
}

function replayCommand(): Command {
  return newCommand('replay', {
    description: [
      'Destroy again every key that the ledger says was destroyed, after a key store was restored from a backup. Ends the',
      'alarm that stops archiving and destruction until then. Align first, where there are two stores.',
    ].join('\n'),
    examples: [['moraine keys replay --yes', '']],
  })
    .summary('destroy again what was destroyed after the backup')
    .action(
      acting(async (session) => {
        const app = await session.openApp();
        const context = session.contextOf(app);
        const ended = await attempts(app.store).count({ keyDestroyedAt: { $gt: new Date(0) } });
        await confirm(session, `Destroy again whichever of ${counted(ended, 'key')} came back?`);
        const { audit } = context;
        await audit.append([{ act: 'keys replay', phase: 'intent', subject: {}, details: { ended } }]);
        const bar = countBar(session, 'replay', 'keys', ended);
        const counts = await app.keys
          .replayPurges(counting(destroyedAttempts(context), (done) => bar.at(done)))
          .finally(() => bar.end());
        await audit.append([{ act: 'keys replay', phase: 'outcome', subject: {}, details: { ...counts } }]);
        await endKeyStoreAlarm({ ...context, clock: systemClock });
        session.output.result(counts, () => [
          `✓ ${counted(counts.destroyed, 'key')} that came back destroyed again, of ${count(counts.looked)}; work goes on.`,
          'Keys that were made after the backup are not in it: `moraine keys status` names archives that lack theirs.',
        ]);
        return EXIT.done;
      }),
    );
}

async function* counting<T>(items: AsyncIterable<T>, at: (done: number) => void): AsyncGenerator<T> {
  let done = 0;
  for await (const item of items) {
    yield item;
    done += 1;
    at(done);
  }
}
