/** What people do in a simulated life: each command is a process of its own, as on the command line, and may die or meet faults like any other. */
import { isMoraineError } from '../../../src/errors.ts';
import { id } from '../../../src/ids.ts';
import { endAlarms } from '../../../src/ledger/alarms.ts';
import { grantApproval, refuseApproval } from '../../../src/ledger/approval-decisions.ts';
import { approvals, waitingApprovals } from '../../../src/ledger/approvals.ts';
import { findArchives } from '../../../src/ledger/archives.ts';
import { exceptions, getException } from '../../../src/ledger/exceptions.ts';
import { holds } from '../../../src/ledger/holds.ts';
import { acceptJump } from '../../../src/ledger/installation.ts';
import { findQuarantine, type QuarantineDocument } from '../../../src/ledger/quarantine.ts';
import type { Context } from '../../../src/lifecycle/context.ts';
import { purgeEarly } from '../../../src/lifecycle/early-purge.ts';
import { endException, requestException, settleException } from '../../../src/lifecycle/exception.ts';
import { type HoldRequest, placeHold, releaseHold } from '../../../src/lifecycle/hold.ts';
import { pause, resume } from '../../../src/lifecycle/pause.ts';
import { publishWeighed, weighPublication } from '../../../src/lifecycle/publish-policy.ts';
import { policiesToRun } from '../../../src/lifecycle/published.ts';
import { purgeArchives } from '../../../src/lifecycle/purge.ts';
import { planPurge } from '../../../src/lifecycle/purge-caps.ts';
import { disposeQuarantined, retryQuarantined } from '../../../src/lifecycle/quarantine.ts';
import { reconcile } from '../../../src/lifecycle/reconcile.ts';
import { planReschedule, rescheduleArchives } from '../../../src/lifecycle/reschedule.ts';
import { runPolicy } from '../../../src/lifecycle/run-policy.ts';
import type { SimulatedProcess } from '../engine/process.ts';
import type { Scope } from '../judge/observations.ts';
import type { Installed } from './context.ts';
import { exportOne, offboardOne } from './leaving-command.ts';
import { policyOf } from './policy-file.ts';
import { retrieveAndRestore } from './restore-command.ts';
import type { Act } from './scenario.ts';
import { DAY_MS, START_MS } from './scenario.ts';
import { idBytes } from './servers.ts';

/** What people do. */
export const COMMANDS = [
  'place hold',
  'release hold',
  'ask for an exception',
  'end an exception',
  'decide',
  'purge early',
  'pause',
  'resume',
  'publish',
  'reschedule',
  'export',
  'offboard',
  'run',
  'purge',
  'reconcile',
  'check',
  'retrieve and restore',
  'settle quarantine',
] as const;

/** Acts that are a person's command. */
export type Command = Extract<Act, { readonly what: (typeof COMMANDS)[number] }>;

export function isCommand(act: Act): act is Command {
  return COMMANDS.some((what) => what === act.what);
}

/** Carries a command out. What it throws is what the person would read on the terminal. */
export async function carryOut(
  command: Command,
  process: SimulatedProcess,
  context: Context,
  installed: Installed,
): Promise<void> {
  const { servers, keysOf } = installed;
  const by = process.name;
  const { store } = context;
  switch (command.what) {
    case 'place hold': {
      const { name, scope } = command;
      await servers.tell({ what: 'hold asked', by, name, scope });
      const { state, tooLate } = await placeHold(context, holdRequest(name, scope), by);
      if (state === 'active') await servers.tell({ what: 'hold active', by, name, tooLate });
      return;
    }
    case 'release hold':
      for await (const { _id, caseNumber } of holds(store).find({ caseNumber: command.name })) {
        await servers.tell({ what: 'hold release asked', by, name: caseNumber });
        const heldUntil = await release(context, _id, personOf(command));
        if (heldUntil === undefined) await servers.tell({ what: 'hold release put off', by, name: caseNumber });
        else
          await servers.tell({ what: 'hold released', by, name: caseNumber, heldUntil: heldUntil?.getTime() ?? null });
      }
      return;
    case 'pause': {
      const { name, target, of } = command;
      await servers.tell({ what: 'pause asked', by, name, scope: pauseScope(target, of) });
      const { state, tooLate } = await pause(context, { what: target, name: of }, { by, reason: name });
      if (state === 'paused') await servers.tell({ what: 'pause in force', by, name, tooLate });
      return;
    }
    case 'resume':
      await servers.tell({ what: 'resume asked', by, name: command.name });
      await resume(context, { what: command.target, name: command.of }, { by, reason: null });
      return;
    case 'publish':
      await publish(context, command);
      await servers.tell({ what: 'policy published', by, policy: command.policy });
      return;
    case 'reschedule':
      return await reschedule(context, command);
    case 'export':
      return await exportOne(command, process, context, installed);
    case 'offboard':
      return await offboardOne(command, personOf(command), process, context, installed);
    case 'run': {
      const { policy: name, flush, expired } = command;
      if (expired) await servers.tell({ what: 'expiry ordered', by, policy: name });
      for (const policy of await policiesToRun(store, [name]))
        await runPolicy(context, policy, {
          flush,
          requestedBy: personOf(command),
          expired: expired ? { saidBy: personOf(command) } : null,
        });
      return;
    }
    case 'ask for an exception':
      if (command.labels !== null)
        await servers.tell({ what: 'exception asked', by, name: command.name, labels: command.labels });
      await askForException(context, command);
      return;
    case 'end an exception':
      for await (const { _id } of exceptions(store).find({ reason: command.name })) {
        await servers.tell({ what: 'exception end asked', by, exception: _id });
        await endException(context, _id, { by: personOf(command), reason: 'the contract ends' });
      }
      return;
    case 'decide':
      return await decide(command, context, by, servers);
    case 'purge early':
      return await purgeOneEarly(command, context);
    case 'purge':
      await purgeArchives(context, (await planPurge(context, null)).due);
      return;
    case 'reconcile':
      await reconcile(context, { all: false, source: false });
      return;
    case 'check':
      await acceptJump(store, context.clock.now());
      await endAlarms(store);
      return;
    case 'retrieve and restore':
      return await retrieveAndRestore(command, process, context, { servers, keysOf });
    case 'settle quarantine':
      return await settleQuarantine(command, context, by);
  }
}

/** Who asks where the scenario does not say. */
const ASKER = 'ann';

function personOf({ as = ASKER }: { readonly as?: string }): string {
  return `person:${as}`;
}

/** Undefined: another person has to say yes first, or said no. */
async function release(context: Context, hold: string, by: string): Promise<Date | null | undefined> {
  try {
    return (await releaseHold(context, hold, { by, reason: 'the case is closed' })).heldUntil;
  } catch (error) {
    if (isMoraineError(error, 'APPROVAL_NEEDED') || isMoraineError(error, 'APPROVAL_REFUSED')) return undefined;
    throw error;
  }
}

async function askForException(
  context: Context,
  command: Extract<Command, { what: 'ask for an exception' }>,
): Promise<void> {
  const { name, policy, effect, activeDays, owner, customer, labels, untilDays } = command;
  await requestException(context, {
    policy,
    effect,
    active: `P${activeDays}D`,
    owner: owner === null ? null : id.owner(owner),
    customer: customer === null ? null : id.customer(customer),
    value: labels === null ? null : { field: 'label', is: labels },
    reason: name,
    requestedBy: personOf(command),
    from: null,
    until: untilDays === null ? null : new Date(START_MS + untilDays * DAY_MS),
  });
}

/** As `policy publish`: weighed against what is in force, granted where it must be, in force at once or after the grace. */
async function publish(context: Context, command: Extract<Command, { what: 'publish' }>): Promise<void> {
  const { policy: facts, version } = command;
  const [old = null] = await policiesToRun(context.store, [facts.name]);
  const weighed = await weighPublication(context, old, policyOf(facts, version));
  await publishWeighed(context, weighed, personOf(command));
}

async function reschedule(context: Context, command: Extract<Command, { what: 'reschedule' }>): Promise<void> {
  const { policy, owner, customer, toDays } = command;
  const plan = await planReschedule(context, {
    policy,
    owner: owner === null ? null : id.owner(owner),
    customer: customer === null ? null : id.customer(customer),
    to: { due: new Date(START_MS + toDays * DAY_MS) },
    reason: 'the contract says so',
  });
  await rescheduleArchives(context, plan, personOf(command));
}

/** As `approve list` and `approve grant`: what waits, the oldest first, and one or all of it. */
async function decide(
  command: Extract<Command, { what: 'decide' }>,
  context: Context,
  by: string,
  servers: Installed['servers'],
): Promise<void> {
  const { pick, how, kind: only } = command;
  const waiting = (await waitingApprovals(context.store)).filter(({ kind }) => only === undefined || kind === only);
  const chosen = pick === 'all' ? waiting : waiting.slice(pick % Math.max(1, waiting.length)).slice(0, 1);
  const person = personOf(command);
  for (const { _id, kind, subject } of chosen) {
    await servers.tell({ what: 'approval said', by, person, approval: _id, how });
    try {
      if (how === 'refuse') await refuseApproval(context, _id, { by: person, reason: 'not like this' });
      else await grantApproval(context, _id, { by: person, asOf: null });
      const exception = kind === 'exception' ? subject['exception'] : undefined;
      if (exception !== undefined) await settleException(context, await getException(context.store, exception));
    } catch (error) {
      // Their own request, among others; the others wait still.
      if (!isMoraineError(error, 'APPROVAL_NOT_ALLOWED')) throw error;
    }
  }
}

/** What was granted and not done yet, else one that is cleared. */
async function purgeOneEarly(command: Extract<Command, { what: 'purge early' }>, context: Context): Promise<void> {
  const granted: string[] = [];
  for await (const { items } of approvals(context.store).find({ kind: 'early-purge', state: 'granted' }))
    granted.push(...items);
  const cleared: string[] = [];
  for await (const { _id } of findArchives(context.store, { state: 'cleared' }, { sort: { _id: 1 } }))
    cleared.push(_id);
  const found = granted[0] ?? cleared[command.pick % Math.max(1, cleared.length)];
  if (found === undefined) return;
  await purgeEarly(context, [id.archive(found)], { by: personOf(command), reason: 'they asked for it' });
}

function holdRequest(caseNumber: string, scope: Scope): HoldRequest {
  const { owner, customer, namespace, triggerFrom, triggerBefore, recordIds, mails } = scope;
  return {
    caseNumber,
    reason: 'a claim',
    owner: owner === null ? null : id.owner(owner),
    customer: customer === null ? null : id.customer(customer),
    namespace: namespace === null ? null : id.namespace(namespace),
    triggerFrom: triggerFrom === null ? null : new Date(triggerFrom),
    triggerBefore: triggerBefore === null ? null : new Date(triggerBefore),
    recordIds: (recordIds ?? []).map(idBytes),
    facet: mails === null ? null : { name: 'subject', values: mails },
  };
}

function pauseScope(target: 'policy' | 'owner' | 'all', of: string | null): Scope {
  return {
    owner: target === 'owner' ? of : null,
    policy: target === 'policy' ? of : null,
    customer: null,
    namespace: null,
    recordIds: null,
    mails: null,
    triggerFrom: null,
    triggerBefore: null,
  };
}

/** The oldest entries first, as `quarantine list` shows them. */
async function settleQuarantine(
  { pick, how }: Extract<Command, { what: 'settle quarantine' }>,
  context: Context,
  who: string,
): Promise<void> {
  const entries: QuarantineDocument[] = [];
  for await (const entry of findQuarantine(context.store, { state: 'open' })) entries.push(entry);
  const entry = entries[pick % Math.max(1, entries.length)];
  if (entry === undefined) return;
  if (how === 'retry') await retryQuarantined(context, entry, { who, reason: 'it was mended' });
  else await disposeQuarantined(context, entry, { who, reason: 'nobody wants it' }, { acceptLoss: false });
}
