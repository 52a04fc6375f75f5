/** `moraine hold place|release|list`: legal holds. */
import type { Command } from 'commander';
import { type HoldDocument, holds } from '../ledger/holds.ts';
import { assertReadable } from '../ledger/versions.ts';
import { placeHold, releaseHold, settleIfFree } from '../lifecycle/hold.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { confirm } from './confirm.ts';
import { doubts, holdRequest, type PlaceOptions } from './hold-options.ts';
import { table } from './output.ts';
import { parseInstant } from './parse-instant.ts';
import { counted, day, instant } from './words.ts';

export function holdCommand(): Command {
  return newCommand('hold', {
    description: [
      'Legal holds stop the deletion of records and the purge of archives that they cover, until they are released.',
      'They cover records that do not exist yet, too. Many holds may cover one record; releasing one leaves the others.',
    ].join('\n'),
    examples: [
      ['moraine hold place --case C-17 --reason "Smith v. Acme" --owner acme --customer north', ''],
      ['moraine hold list', 'what is in force'],
      ['moraine hold release hold-20261122-0a1b2c3d4e --reason "settled"', ''],
    ],
  })
    .addCommand(placeCommand())
    .addCommand(releaseCommand())
    .addCommand(listCommand());
}

function placeCommand(): Command {
  return newCommand('place', {
    description: [
      'Place a hold. All that is named must fit a record; several keys or values of a facet are alternatives. The command',
      'ends when the hold is in force: it waits, seconds as a rule, for deletions that began before. An archive that',
      'cannot be proved to hold nothing of what is named is covered whole. Archives whose destruction was asked for',
      'before are listed as too late (exit code 3). The same case and extent again finds the hold that is there.',
      'Values of keys and facets are kept as keyed codes only; case and reason are kept as they are.',
    ].join('\n'),
    examples: [
      ['moraine hold place --case C-17 --reason audit --all', 'everything'],
      ['moraine hold place --case C-17 --reason audit --owner acme --trigger-before 2020-01-01', ''],
      ['moraine hold place --case C-18 --reason claim --owner acme --facet subject=jo@example.org', 'one person'],
    ],
  })
    .summary('place a hold')
    .requiredOption('--case <number>', 'case number')
    .requiredOption('--reason <text>', 'why')
    .option('--all', 'everything of everybody')
    .option('--owner <owner>', 'records of one owner')
    .option('--customer <customer>', 'records of one customer')
    .option('--dataset <namespace>', 'records of one dataset, database.collection')
    .option('--trigger-from <instant>', 'records whose trigger is at or after it', parseInstant)
    .option('--trigger-before <instant>', 'records whose trigger is before it', parseInstant)
    .option('--key <id>', '_id of a record, as `explain` takes it; may be repeated', collect, [])
    .option('--facet <name=value>', 'records with this value of a facet; may be repeated', collect, [])
    .action(
      acting<PlaceOptions>(async (session, _args, options) => {
        const app = await session.openApp();
        const context = session.contextOf(app);
        const request = await holdRequest(context, options);
        const notes = await doubts(context, request);
        for (const note of notes) session.output.say(`! ${note}`);
        await confirm(session, `Place a hold for case ${request.caseNumber}?`);
        session.output.say('Placing: acts that begin now are stopped; waiting for those that began before ...');
        const hold = await placeHold(context, request, session.actor);
        session.output.result({ ...holdDocument(hold), notes }, () => [
          `✓ Hold ${hold._id} is in force.`,
          ...hold.tooLate.map((archive) => `! Too late for archive ${archive}: its destruction had been asked for.`),
        ]);
        return hold.tooLate.length > 0 ? EXIT.person : EXIT.done;
      }),
    );
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function releaseCommand(): Command {
  return newCommand('release', {
    description: [
      'Release a hold. It still holds for 24 hours, in which a mistake can be answered by a new hold; what is overdue then',
      'goes at the next run. No period is counted anew.',
    ].join('\n'),
    examples: [['moraine hold release hold-20261122-0a1b2c3d4e --reason "settled"', '']],
  })
    .summary('release a hold')
    .argument('<hold>', 'id of the hold')
    .requiredOption('--reason <text>', 'why')
    .action(
      acting<{ readonly reason: string }>(async (session, [holdId = ''], { reason }) => {
        const app = await session.openApp();
        const context = session.contextOf(app);
        await confirm(session, `Release hold ${holdId}?`);
        const hold = await releaseHold(context, holdId, { by: session.actor, reason });
        session.output.result(holdDocument(hold), () => [
          `✓ Hold ${hold._id} is released. It still holds until ${instant(hold.heldUntil)}.`,
        ]);
        return EXIT.done;
      }),
    );
}

function listCommand(): Command {
  return newCommand('list', {
    description: 'List holds that are not released, or still hold after it. Takes on one whose placing was cut.',
    examples: [
      ['moraine hold list', ''],
      ['moraine hold list --all --json', 'released ones too'],
    ],
  })
    .summary('list holds')
    .option('--all', 'released holds too')
    .action(
      acting<{ readonly all?: true }>(async (session, _args, { all }) => {
        const app = await session.openApp();
        const context = session.contextOf(app);
        const now = await app.store.serverTime();
        const found: HoldDocument[] = [];
        for await (const hold of holds(app.store).find({}, { sort: { placedAt: 1 } })) {
          assertReadable(hold);
          const isOver = hold.state === 'released' && (hold.heldUntil === null || hold.heldUntil <= now);
          if (all || !isOver) found.push(await settleIfFree(context, hold));
        }
        session.output.result(found.map(holdDocument), () =>
          found.length === 0
            ? ['No hold is in force.']
            : [
                table(
                  ['hold', 'case', 'state', 'covers', 'by', 'placed', 'holds until'],
                  found.map((hold) => [
                    hold._id,
                    hold.caseNumber,
                    hold.state,
                    extentText(hold),
                    hold.placedBy,
                    day(hold.placedAt),
                    hold.heldUntil === null ? '-' : instant(hold.heldUntil),
                  ]),
                ),
              ],
        );
        return EXIT.done;
      }),
    );
}

function extentText(hold: HoldDocument): string {
  const { owner, customer, namespace, collection, triggerFrom, triggerBefore, recordKeys, facet } = hold;
  const parts = [
    owner === null ? '' : `owner ${owner}`,
    customer === null ? '' : `customer ${customer}`,
    namespace ?? '',
    triggerFrom === null ? '' : `from ${instant(triggerFrom)}`,
    triggerBefore === null ? '' : `before ${instant(triggerBefore)}`,
    collection == null ? '' : `children in ${collection}`,
    recordKeys === null ? '' : collection == null ? 'single records' : 'single ones',
    facet === null ? '' : `facet ${facet.name}`,
  ].filter((part) => part !== '');
  const late = hold.tooLate.length === 0 ? '' : `; too late for ${counted(hold.tooLate.length, 'archive')}`;
  return `${parts.length === 0 ? 'everything' : parts.join(', ')}${late}`;
}

function holdDocument(hold: HoldDocument) {
  const { _id, caseNumber, reason, state, placedBy, placedAt, activeAt, tooLate } = hold;
  const { owner, customer, namespace, collection, triggerFrom, triggerBefore, recordKeys, facet } = hold;
  const { releasedBy, releasedAt, releaseReason, heldUntil } = hold;
  return {
    id: _id,
    case: caseNumber,
    reason,
    state,
    owner,
    customer,
    dataset: namespace,
    /** Of children, when it names them. */
    collection: collection ?? null,
    triggerFrom,
    triggerBefore,
    /** Codes, not values: how many a hold names is all that can be told. */
    recordKeys: recordKeys?.length ?? 0,
    facet: facet?.name ?? null,
    placedBy,
    placedAt,
    activeAt,
    tooLate,
    releasedBy,
    releasedAt,
    releaseReason,
    heldUntil,
  };
}
