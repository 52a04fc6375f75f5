/** What `moraine check` looks at, one finding each. A server that is away hides nothing of the others. */

import { connectRedis } from '../../jobs/redis.ts';
import type { Config } from '../config.ts';
import { ERROR_KINDS, errorClass, isMoraineError } from '../errors.ts';
import { iamInput } from '../iam/input.ts';
import type { OwnerId } from '../ids.ts';
import { alarmHint, isStopping, openAlarms } from '../ledger/alarms.ts';
import { assertClocksAgree, observeTime } from '../ledger/installation.ts';
import { countNotifications } from '../ledger/notifications.ts';
import type { Context } from '../lifecycle/context.ts';
import { inspectDataset } from '../lifecycle/inspect-dataset.ts';
import { assertKeyStoreIsCurrent } from '../lifecycle/key-store-behind.ts';
import { canMeet } from '../lifecycle/owner-in-force.ts';
import { placementFaults, placesOf } from '../lifecycle/placement.ts';
import { vaultWitness } from '../lifecycle/preflight.ts';
import type { LoadedPolicy } from '../policy/load.ts';
import { dispositionRuleOf, type Policy, toShape } from '../policy/policy.ts';
import { branchesFor } from '../policy/terms.ts';
import { describeProblem } from '../yaml-problems.ts';
import { checkAccounts } from './check-account.ts';
import { checkKmsKeys } from './check-kms.ts';
import { EXIT, type ExitCode, exitCodeOf } from './exit-code.ts';
import { orphanAnswers, orphanTexts } from './orphans.ts';
import { differences, readPolicyFiles, versionsInForce } from './policy-files.ts';
import { asMoraineError } from './render-error.ts';
import { count, counted } from './words.ts';

export interface Finding {
  readonly level: 'ok' | 'warning' | 'error';
  readonly about: string;
  readonly text: string;
  readonly hint?: string;
  readonly code?: string;
  /** The exit code that it asks for; none for what is in order. */
  readonly exit?: ExitCode;
  /** What the server says about the scan of a dataset. */
  readonly explain?: unknown;
}

export function checkFiles(config: Config): {
  readonly loaded: readonly LoadedPolicy[];
  readonly findings: readonly Finding[];
} {
  const { loaded, problems } = readPolicyFiles(config);
  const findings: Finding[] = problems.map((problem) => ({
    level: 'error',
    about: 'policy',
    text: describeProblem(problem),
    code: 'POLICY_INVALID',
    exit: EXIT.usage,
  }));
  for (const { policy, file, warnings } of loaded) {
    findings.push({ level: 'ok', about: 'policy', text: `${policy.name} (${file})` });
    for (const warning of warnings)
      findings.push({ level: 'warning', about: 'policy', text: describeProblem(warning) });
  }
  return { loaded, findings };
}

/** MongoDB answers already; everything else is asked here. */
export async function checkServers(
  context: Context,
  config: Config,
  loaded: readonly LoadedPolicy[],
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const difference of differences(loaded, await versionsInForce(context.store, context.asOf)))
    findings.push({ level: 'warning', about: 'policy', text: difference });
  for (const each of loaded) findings.push(...(await attempt('index', () => checkDataset(context, each))));
  for (const { policy } of loaded) {
    const texts = orphanTexts(await orphanAnswers(context.store, policy.name));
    findings.push(
      ...texts.map((text): Finding => ({ level: 'warning', about: 'children', text: `${policy.name}: ${text}` })),
    );
  }
  for (const owner of config.owners.keys())
    findings.push(...(await attempt('administrator', () => checkOwner(context, owner))));
  findings.push(...checkPlacement(config, loaded), ...(await checkNotifications(context, config)));
  findings.push(...(await attempt('redis', () => checkRedis(config))));
  for (const [key, vault] of context.vaults) {
    findings.push(
      ...(await attempt('vault', async () => {
        await vault.serverTime();
        const vaults = await vault.vaultCount();
        const room = vaults === null ? '' : `; ${count(vaults.used)} of ${count(vaults.limit)} vaults used`;
        return [{ level: 'ok', about: 'vault', text: `${key} (${vault.backend}) answers${room}.` }];
      })),
    );
  }
  findings.push(...(await attempt('kms', () => checkKmsKeys(context))));
  findings.push(...(await attempt('iam', () => checkAccounts(config, iamInput(config, context.installation.id)))));
  findings.push(...(await attempt('clock', () => checkClocks(context))));
  findings.push(...(await attempt('keys', () => checkKeyStores(context))));
  for (const { code, text } of await openAlarms(context.store)) {
    const first = isStopping(code) ? '' : `Look with \`${alarmHint(code)}\`. `;
    const hint = `${first}When it was dealt with: \`moraine check --yes\`.`;
    findings.push({ level: 'error', about: 'alarm', text, hint, code, exit: EXIT.person });
  }
  return findings;
}

export async function attempt(about: string, look: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await look();
  } catch (thrown) {
    const error = asMoraineError(thrown);
    if (errorClass(thrown) === 'bug') throw thrown;
    return [
      { level: 'error', about, text: error.message, hint: error.hint, code: error.code, exit: exitCodeOf(error) },
    ];
  }
}

export async function checkDataset(context: Context, { policy }: LoadedPolicy): Promise<readonly Finding[]> {
  const { findings, index, documents, explain } = await inspectDataset(context, toShape(policy));
  const problems = findings.map(({ level, text, remedy, code }): Finding => {
    const hint = remedy === undefined ? {} : { hint: remedy };
    const exit = level === 'error' ? { exit: EXIT.usage } : {};
    return { level, about: 'index', text: `${policy.name}: ${text}`, code, ...hint, ...exit, explain };
  });
  if (problems.some(({ level }) => level === 'error')) return problems;
  const text = `${policy.name}: ${policy.dataset.collection} is walked by ${index ?? 'no index'}${stageOf(explain)}; ${count(documents)} documents.`;
  return [{ level: 'ok', about: 'index', text, explain }, ...problems];
}

/** What the server says it does, from the outside in, as ` (explain: FETCH, IXSCAN)`. Compatible servers name it in their own way. */
function stageOf(explain: unknown): string {
  const stages: string[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if ((key === 'stage' || key === 'Node Type') && typeof inner === 'string') stages.push(inner);
      if (key !== 'rejectedPlans') walk(inner);
    }
  };
  walk(explain);
  return stages.length === 0 ? '' : ` (explain: ${[...new Set(stages)].join(', ')})`;
}

async function checkOwner(
  context: Context,
  owner: Parameters<Context['keys']['assertRecipients']>[0],
): Promise<readonly Finding[]> {
  const warnings = await context.keys.assertRecipients(owner);
  return [
    { level: 'ok', about: 'administrator', text: `Owner ${owner} has administrators who can open its archives.` },
    ...warnings.map((text): Finding => ({ level: 'warning', about: 'administrator', text })),
  ];
}

/** Every vault that a policy would archive an owner's records into, and every store of their attachments. */
function checkPlacement({ placement }: Config, loaded: readonly LoadedPolicy[]): readonly Finding[] {
  return [...placement.required].flatMap(([owner, regions]): readonly Finding[] => {
    const mine = loaded.filter(({ policy }) => canMeet(policy, owner));
    const archiving = mine.flatMap(({ policy }) =>
      policy.archive === null || !archives(policy, owner) ? [] : [policy],
    );
    const faults = placementFaults(placement, owner, placesOf(archiving));
    if (faults.length === 0)
      return [{ level: 'ok', about: 'placement', text: `Owner ${owner} stays in ${regions.join(' or ')}.` }];
    const { hint } = ERROR_KINDS.PLACEMENT_REFUSED;
    const code = 'PLACEMENT_REFUSED';
    return faults.map((text) => ({ level: 'error', about: 'placement', text, hint, code, exit: EXIT.person }));
  });
}

function archives(policy: Policy, owner: OwnerId): boolean {
  return branchesFor(dispositionRuleOf(policy), { owner, customer: null }).some(
    ({ disposition }) => disposition === 'archive',
  );
}

async function checkNotifications(context: Context, config: Config): Promise<readonly Finding[]> {
  const ways = context.notifying?.ways ?? [];
  if (ways.length === 0) return [];
  const unreached = [...config.owners.keys()].filter((owner) => ways.every((way) => way.addressOf(owner) === null));
  const { undelivered } = await countNotifications(context.store);
  const { hint } = ERROR_KINDS.NOTICE_UNDELIVERED;
  const code = 'NOTICE_UNDELIVERED';
  return [
    ...unreached.map((owner): Finding => {
      const text = `Owner ${owner} is told by no way: it has no mail address as contact, and no topic or webhook is for it.`;
      return { level: 'warning', about: 'notify', text };
    }),
    ...(undelivered === 0
      ? []
      : [
          {
            level: 'error',
            about: 'notify',
            text: `${counted(undelivered, 'notification')} could not be delivered.`,
            hint,
            code,
            exit: EXIT.person,
          } as const,
        ]),
  ];
}

async function checkRedis(config: Config): Promise<readonly Finding[]> {
  if (config.redis === null) {
    return [{ level: 'ok', about: 'redis', text: 'No Redis is configured: everything runs in the foreground.' }];
  }
  (await connectRedis(config.redis.url)).disconnect();
  return [{ level: 'ok', about: 'redis', text: 'Redis answers and keeps what it is given.' }];
}

async function checkKeyStores(context: Context): Promise<readonly Finding[]> {
  await assertKeyStoreIsCurrent(context);
  return [{ level: 'ok', about: 'keys', text: 'No key store lacks a destruction that the ledger knows.' }];
}

async function checkClocks(context: Context): Promise<readonly Finding[]> {
  const { mongodbMs, vaultMs } = await assertClocksAgree({
    clock: context.clock,
    mongodb: () => context.source.serverTime(),
    vault: vaultWitness(context),
  });
  const witnesses = `MongoDB ${mongodbMs} ms${vaultMs === null ? '' : `, vault ${vaultMs} ms`}`;
  try {
    await observeTime(context.store, context.clock.now());
  } catch (error) {
    if (!isMoraineError(error, 'CLOCK_JUMPED')) throw error;
    const { message: text, hint, code } = error;
    return [{ level: 'error', about: 'clock', text, hint, code, exit: EXIT.person }];
  }
  return [{ level: 'ok', about: 'clock', text: `The clocks agree (${witnesses}).` }];
}
