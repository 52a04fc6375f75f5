/** `moraine check`: whether everything that the work needs is there and right. */
import type { Command } from 'commander';
import { isMoraineError } from '../errors.ts';
import { endAlarms, openAlarms } from '../ledger/alarms.ts';
import { acceptJump } from '../ledger/installation.ts';
import { checkBuckets } from './check-buckets.ts';
import { checkFiles, checkServers, type Finding } from './check-findings.ts';
import { acting, EXIT, type ExitCode, newCommand } from './command.ts';
import { worst } from './exit-code.ts';

const SIGNS = { ok: '✓', warning: '!', error: '✗' } as const;

export function checkCommand(): Command {
  return newCommand('check', {
    description: [
      'Check configuration, policies, indexes, administrators, access to MongoDB, Redis and the vaults, clocks and alarms.',
      'Exit code 2 for a wrong configuration, policy or index, 1 for a server that is away, 3 for what a person must',
      'decide: clocks, alarms, administrators. With --yes you accept a long pause of the clock and end the alarms.',
    ].join('\n'),
    examples: [
      ['moraine check', ''],
      ['moraine check --json', 'with the explain of every scan'],
      ['moraine check --yes', 'the service was off for a long time, or an alarm was dealt with'],
    ],
  }).action(
    acting(async (session) => {
      const findings: Finding[] = [];
      const { config } = session;
      findings.push({
        level: 'ok',
        about: 'configuration',
        text: `${config.file}: environment ${config.environment}.`,
      });
      const { loaded, findings: ofFiles } = checkFiles(config);
      findings.push(...ofFiles);
      try {
        const app = await session.openApp();
        const context = session.contextOf(app);
        if (session.globals.yes) {
          const open = await openAlarms(app.store);
          await acceptJump(app.store, context.clock.now());
          const ended = await endAlarms(app.store);
          await context.audit.append([
            {
              act: 'clock and alarms accepted',
              phase: 'outcome',
              subject: {},
              details: { alarms: open.map(({ code }) => code), ended },
            },
          ]);
        }
        findings.push({
          level: 'ok',
          about: 'mongodb',
          text: `MongoDB answers; installation ${app.installation.id}, stamped ${app.installation.environment}.`,
        });
        findings.push(...(await checkServers(context, config, loaded)), ...(await checkBuckets(context, config)));
      } catch (error) {
        if (isMoraineError(error, 'MONGODB_UNAVAILABLE') || isMoraineError(error, 'MONGODB_REFUSED')) {
          const { message: text, hint, code } = error;
          findings.push({ level: 'error', about: 'mongodb', text, hint, code, exit: EXIT.failed });
        } else if (isMoraineError(error, 'ENVIRONMENT_MISMATCH')) {
          const { message: text, hint, code } = error;
          findings.push({ level: 'error', about: 'environment', text, hint, code, exit: EXIT.usage });
        } else throw error;
      }
      session.output.result({ ok: findings.every(({ level }) => level !== 'error'), findings }, () =>
        findings.flatMap(({ level, about, text, hint }) => {
          const [first, ...rest] = text.split('\n');
          return [
            `${SIGNS[level]} ${about.padEnd(13)} ${first}`,
            ...[...rest, ...(hint === undefined ? [] : [hint])].map((line) => `${' '.repeat(16)}${line}`),
          ];
        }),
      );
      return worst(findings.map(({ exit }): ExitCode => exit ?? EXIT.done));
    }),
  );
}
