/** `moraine policy check`: what is wrong with the files, and what cannot have been meant. */
import type { Command } from 'commander';
import type { Config } from '../config.ts';
import { id } from '../ids.ts';
import { exceptionsInForce } from '../ledger/exceptions.ts';
import { type Context, dueNow } from '../lifecycle/context.ts';
import { canMeet } from '../lifecycle/owner-in-force.ts';
import type { LoadedPolicy } from '../policy/load.ts';
import { overlaps } from '../policy/overlaps.ts';
import type { DispositionRule, PeriodRule } from '../policy/policy.ts';
import { describeProblem } from '../yaml-problems.ts';
import { attempt, checkDataset, checkFiles, type Finding } from './check-findings.ts';
import { acting, EXIT, type ExitCode, newCommand } from './command.ts';
import { worst } from './exit-code.ts';
import { policiesOfFiles } from './policy-files.ts';

const SIGNS = { ok: '✓', warning: '!', error: '✗' } as const;

export function policyCheckCommand(): Command {
  return newCommand('check', {
    description: [
      'Check the policy files: errors with file, line and field; warnings for rules that can never apply, rules that overlap,',
      'and owners that moraine.yaml does not have; indexes that are missing, with the command that makes them. Exit code 2',
      'for an error, 0 with warnings. Changes nothing.',
    ].join('\n'),
    examples: [
      ['moraine policy check', 'files, collections and exceptions'],
      ['moraine policy check chats --offline', 'the files alone, without a database'],
    ],
  })
    .summary('errors and warnings, with file and line')
    .argument('[policy...]', 'names of policies; default: all')
    .option('--offline', 'look at the files alone')
    .action(
      acting<{ readonly offline?: true }>(async (session, names, { offline }) => {
        const { config } = session;
        const files = checkFiles(config);
        const findings: Finding[] = [];
        const isWrong = files.findings.some(({ level }) => level === 'error');
        // What is in order is looked at further; a name that no file has is told unless a file could not be read.
        const loaded =
          names.length > 0 && isWrong
            ? files.loaded.filter(({ policy }) => names.includes(policy.name))
            : isWrong
              ? files.loaded
              : policiesOfFiles(config, names);
        findings.push(...files.findings.filter(({ level }) => level === 'error'));
        for (const each of loaded) findings.push(...ofFile(config, each));
        if (offline === undefined) {
          findings.push(
            ...(await attempt('mongodb', async () => {
              const app = await session.openApp();
              const context = session.contextOf(app);
              const found: Finding[] = [];
              for (const each of loaded) {
                found.push(...(await attempt('index', () => checkDataset(context, each))));
                found.push(...(await attempt('exception', () => ofExceptions(context, config, each))));
              }
              return found;
            })),
          );
        }
        session.output.result({ ok: findings.every(({ level }) => level !== 'error'), findings }, () =>
          findings.flatMap(({ level, about, text, hint }) => [
            `${SIGNS[level]} ${about.padEnd(9)} ${text}`,
            ...(hint === undefined ? [] : [`            ${hint}`]),
          ]),
        );
        return worst(findings.map(({ exit }): ExitCode => exit ?? EXIT.done));
      }),
    );
}

function ofFile(config: Config, { policy, file, warnings, problemAt }: LoadedPolicy): readonly Finding[] {
  const warning = (text: string): Finding => ({ level: 'warning', about: 'policy', text });
  const unknown = (owner: string) => !config.owners.has(id.owner(owner));
  const rules = policy.rules ?? [];
  const known = `an owner of ${config.file}`;
  return [
    { level: 'ok', about: 'policy', text: `${policy.name} (${file})` },
    ...warnings.map((problem) => warning(describeProblem(problem))),
    ...overlaps(policy).map(({ other, text }) =>
      warning(describeProblem(problemAt(['rules', other, 'delete'], 'one date for one record', text))),
    ),
    ...rules.flatMap(({ when, name }, at) => {
      const strangers = (when?.owner ?? []).filter(unknown);
      if (strangers.length === 0) return [];
      const hint = `Rule ${name} is about records that are not archived: ${strangers.join(', ')}.`;
      return [warning(describeProblem(problemAt(['rules', at, 'when', 'owner'], known, hint)))];
    }),
    ...[policy.active, policy.archive?.for ?? null].flatMap((period) =>
      ownersOf(period)
        .filter(unknown)
        .map((owner) =>
          warning(`${policy.name} (${file}): a period is for owner ${owner}, which ${config.file} has not.`),
        ),
    ),
    ...ownersOf(policy.dispositions ?? null)
      .filter(unknown)
      .map((owner) =>
        warning(`${policy.name} (${file}): \`then\` is for owner ${owner}, which ${config.file} has not.`),
      ),
  ];
}

function ownersOf(rule: PeriodRule | DispositionRule | null): readonly string[] {
  if (rule === null || typeof rule === 'string' || !('by' in rule)) return [];
  const inner = [...Object.values(rule.of), rule.otherwise].flatMap(ownersOf);
  return rule.by === 'owner' ? [...Object.keys(rule.of), ...inner] : inner;
}

/** Of those that are in force or to come. */
async function ofExceptions(context: Context, config: Config, { policy }: LoadedPolicy): Promise<readonly Finding[]> {
  const granted = await exceptionsInForce(context.store, policy.name, dueNow(context).getTime());
  return granted.flatMap(({ id: exception, scope: { owner } }): readonly Finding[] => {
    if (owner === null || (config.owners.has(owner) && canMeet(policy, owner))) return [];
    const text = `${policy.name}: exception ${exception} is for owner ${owner}, and no record can be of that owner.`;
    return [{ level: 'warning', about: 'exception', text, hint: `\`moraine exception show ${exception}\`` }];
  });
}
