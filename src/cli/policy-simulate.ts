/** `moraine policy simulate`: what will go in each month from now on. */
import type { Command } from 'commander';
import { MoraineError } from '../errors.ts';
import { dueNow } from '../lifecycle/context.ts';
import { type Amount, type Forecast, forecastPolicy, type PolicyForecast } from '../lifecycle/forecast.ts';
import { acting, EXIT, newCommand } from './command.ts';
import { table } from './output.ts';
import { parseInstant } from './parse-instant.ts';
import { differences, policiesOfFiles, versionsInForce } from './policy-files.ts';
import { count, counted, day, short, size } from './words.ts';

interface SimulateOptions {
  readonly until: Date;
  readonly per?: string;
}

export function simulateCommand(): Command {
  return newCommand('simulate', {
    description: [
      'Say what will go in each month until a date by the policy files, if nothing changes: records by their disposition,',
      'copies that will be purged of them, and archives that exist by their purge date. Reads all that may go once, in the',
      'order of the index. Held, pending and expired records are told beside. Changes nothing.',
    ].join('\n'),
    examples: [
      ['moraine policy simulate --until 2030-01-01', 'all policies of the files'],
      ['moraine policy simulate chats --until 2030-01-01 --per customer', 'one policy, for each customer'],
    ],
  })
    .summary('what will go in each month from now on')
    .argument('[policy...]', 'names of policies; default: all')
    .requiredOption('--until <date>', 'the last instant that is looked at', parseInstant)
    .option('--per <party>', 'customer: for each owner and customer too')
    .action(
      acting<SimulateOptions>(async (session, names, options) => {
        if (options.per !== undefined && options.per !== 'customer')
          throw new MoraineError('USAGE', `--per takes customer, not ${JSON.stringify(options.per)}.`);
        const loaded = policiesOfFiles(session.config, names);
        const app = await session.openApp();
        const context = session.contextOf(app);
        for (const difference of differences(loaded, await versionsInForce(app.store, context.asOf)))
          session.output.note(difference);
        const forecasts: PolicyForecast[] = [];
        const asked = { until: options.until, byCustomer: options.per === 'customer' };
        for (const { policy } of loaded) forecasts.push(await forecastPolicy(context, policy, asked));
        const document = { asOf: dueNow(context), until: options.until, policies: forecasts };
        session.output.result({ ...document, notes: session.output.notes }, () => forecasts.flatMap(forecastText));
        return EXIT.done;
      }),
    );
}

const WORDS = { archive: 'archived', delete: 'deleted', treat: 'treated in place' } as const;

function forecastText(forecast: PolicyForecast): readonly string[] {
  const { policy, version, dataset, dispositions, until, customers, paused } = forecast;
  const parts = customers?.filter(hasAnything) ?? [];
  return [
    `${policy}: ${dataset}, version ${short(version)}, until ${day(until)}`,
    ...monthLines(forecast, dispositions),
    ...besideLines(forecast),
    ...(paused.length === 0 ? [] : [`  ! Paused now, and counted as if it were not: ${paused.join(', ')}.`]),
    ...parts.flatMap((part) => [
      `  Owner ${part.owner}, customer ${part.customer}:`,
      ...monthLines(part, dispositions),
      ...besideLines(part),
    ]),
    '',
  ];
}

function monthLines({ months }: Forecast, dispositions: PolicyForecast['dispositions']): readonly string[] {
  const shown = months.filter(
    ({ going, futurePurges, purges }) => going.records + futurePurges.records + purges.archives > 0,
  );
  if (shown.length === 0) return ['  Nothing goes until then.'];
  const rows = shown.map(({ month, goingBy, futurePurges, purges }) => [
    month,
    ...dispositions.flatMap((disposition) => cells(goingBy[disposition])),
    ...cells(futurePurges),
    count(purges.archives),
    ...cells(purges),
  ]);
  const going = dispositions.flatMap((disposition) => [WORDS[disposition], 'size']);
  const head = ['month', ...going, 'copies purged', 'size', 'archives purged', 'records', 'size'];
  return [table(head, rows, months.length)];
}

function cells({ records, bytes }: Amount): readonly string[] {
  return records === 0 ? ['-', '-'] : [count(records), size(bytes)];
}

function besideLines({ held, pending, expired, quarantined, inUnclearedArchives }: Forecast): readonly string[] {
  const line = ({ records, bytes }: Amount, text: string) =>
    records === 0 ? [] : [`  ${counted(records, 'record')} (${size(bytes)}) ${text}`];
  return [
    ...line(held, 'would go until then and are held.'),
    ...line(pending, 'wait for an event or a value that may not come until then.'),
    ...line(expired, 'are past their archive period too: `moraine run --expired` only.'),
    ...line(quarantined, 'are in quarantine.'),
    ...(inUnclearedArchives === 0
      ? []
      : [`  ${counted(inUnclearedArchives, 'record')} up to the bound of archives that are not cleared yet.`]),
  ];
}

function hasAnything(forecast: Forecast): boolean {
  const { months, held, pending, expired, quarantined, inUnclearedArchives } = forecast;
  const beside = [held, pending, expired, quarantined].some(({ records }) => records > 0);
  return beside || inUnclearedArchives > 0 || months.some(({ going, purges }) => going.records + purges.archives > 0);
}
