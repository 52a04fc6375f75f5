/**
 * What takes a second person, cut at every call that it makes; then a fresh process does the same again. Nothing is done
 * before the grant, one approval is enough however often it was cut, and the chain tells each event once.
 */
import { expect, test } from 'vitest';
import { isMoraineError } from '../../src/errors.ts';
import { grantApproval } from '../../src/ledger/approval-decisions.ts';
import { type ApprovalDocument, DEFAULT_APPROVAL_RULES } from '../../src/ledger/approval-document.ts';
import { approvals, waitingApprovals } from '../../src/ledger/approvals.ts';
import { settleUnaudited } from '../../src/ledger/archives.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { exceptions, exceptionsInForce } from '../../src/ledger/exceptions.ts';
import { holds } from '../../src/ledger/holds.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { purgeEarly } from '../../src/lifecycle/early-purge.ts';
import { endException, requestException, settleException } from '../../src/lifecycle/exception.ts';
import { placeHold, releaseHold } from '../../src/lifecycle/hold.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { FAULTS, type Fault, Process } from './faults.ts';
import { MemoryWorld } from './memory-world.ts';

const POLICY = `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, dueWindow: 30 days }
limits: { records: 1000, share: 1.0 }
`;
const RUN_AT = '2024-06-01T00:00:00Z';
const BECAUSE = { by: 'person:alice', reason: 'contract' };
const NOTHING = { owner: null, customer: null, namespace: null, triggerFrom: null, triggerBefore: null };
const EXCEPTION = {
  policy: 'chats',
  effect: 'longer' as const,
  active: 'P9Y',
  owner: null,
  customer: null,
  value: null,
  reason: 'contract',
  requestedBy: 'person:alice',
  from: null,
  until: null,
};

interface Story {
  /** What is there before. */
  prepare(world: MemoryWorld): Promise<void>;
  /** The act. Throws APPROVAL_NEEDED before it was granted. */
  act(context: Context, world: MemoryWorld): Promise<unknown>;
  isDone(world: MemoryWorld): Promise<boolean>;
}

const STORIES: Readonly<Record<string, Story>> = {
  'an early purge': {
    prepare: async (world) => {
      const policy = await world.publish(POLICY);
      world.put(policy, { _id: 'a', owner: 'acme', tenant: 'north', at: new Date('2020-01-01') });
      await runPolicy(contextOf(world), policy, { flush: true, expired: null });
    },
    act: async (context, world) => {
      const [archive] = await world.archives();
      if (archive === undefined) throw new Error('There is no archive.');
      const { failed, waiting } = await purgeEarly(context, [archive._id], BECAUSE);
      if (failed.length + waiting.length > 0) throw new Error('It was cut inside of the purge.');
    },
    isDone: async (world) => (await world.archives()).every(({ state }) => state === 'purged'),
  },
  'an exception': {
    prepare: async (world) => {
      await world.publish(POLICY);
    },
    act: async (context) => {
      const { exception, approval } = await requestException(context, EXCEPTION);
      if (exception.state === 'requested' && approval.state === 'requested') throw new NotYet();
      await settleException(context, exception);
    },
    isDone: async (world) => {
      const found = await exceptionsInForce(world.store, 'chats');
      const all = await world.all('exceptions');
      return found.length === 1 && all.length === 1;
    },
  },
  'the end of a longer exception': {
    prepare: async (world) => {
      await world.publish(POLICY);
      const { exception, approval } = await requestException(contextOf(world), EXCEPTION);
      await grantApproval(contextOf(world), approval._id, { by: 'person:bob', asOf: null });
      await settleException(contextOf(world), exception);
    },
    act: async (context) => {
      for await (const { _id } of exceptions(context.store).find({})) await endException(context, _id, BECAUSE);
    },
    isDone: async (world) => (await world.all('exceptions')).every((one) => 'state' in one && one.state === 'ended'),
  },
  'the release of a hold': {
    prepare: async (world) => {
      await placeHold(
        contextOf(world),
        { ...NOTHING, caseNumber: 'C-1', reason: 'claim', recordIds: [], facet: null },
        'person:alice',
      );
    },
    act: async (context) => {
      for await (const { _id } of holds(context.store).find({})) await releaseHold(context, _id, BECAUSE);
    },
    isDone: async (world) => (await world.all('holds')).every((one) => 'state' in one && one.state === 'released'),
  },
};

class NotYet extends Error {}

function contextOf(world: MemoryWorld, process: Process = new Process()): Context {
  const rules = { ...DEFAULT_APPROVAL_RULES, required: ['hold-release'] as const };
  return { ...world.context(process, { asOf: RUN_AT }), approvals: rules };
}

/** One person asks, another grants, the first does it: all in this process. */
async function play(story: Story, world: MemoryWorld, process: Process): Promise<void> {
  const context = contextOf(world, process);
  try {
    await story.act(context, world);
  } catch (error) {
    if (!(error instanceof NotYet) && !isMoraineError(error, 'APPROVAL_NEEDED')) throw error;
    expect(await story.isDone(world), 'done without a grant').toBe(false);
    for (const { _id } of await waitingApprovals(context.store))
      await grantApproval(context, _id, { by: 'person:bob', asOf: null });
    await story.act(context, world);
  }
}

async function before(world: MemoryWorld): Promise<Set<string>> {
  return new Set((await world.all('approvals')).map(({ _id }) => _id));
}

async function asserted(story: Story, world: MemoryWorld, known: ReadonlySet<string>): Promise<void> {
  expect(await story.isDone(world)).toBe(true);
  const asked: ApprovalDocument[] = [];
  for await (const one of approvals(world.store).find({})) if (!known.has(one._id)) asked.push(one);
  expect(asked).toMatchObject([{ round: 1, state: 'spent', grants: [{ by: 'person:bob' }] }]);
  const told: string[] = [];
  for await (const { act, phase, subject } of auditEntries(world.store))
    if (subject['approval'] === asked[0]?._id && phase === 'outcome' && act.startsWith('approval')) told.push(act);
  expect(told).toEqual(['approval request', 'approval grant', 'approval use']);
  await world.assertNothingIsOpen();
}

const KINDS = FAULTS.filter((fault): fault is Exclude<Fault, 'sleeps'> => fault !== 'sleeps');

for (const [name, story] of Object.entries(STORIES)) {
  test.each(KINDS)(`${name}, where a process %s at any of its calls: done once, by one approval`, async (fault) => {
    let calls = Number.POSITIVE_INFINITY;
    let cuts = 0;
    for (let at = 0; at <= calls; at++) {
      const world = await MemoryWorld.open();
      await story.prepare(world);
      const known = await before(world);
      const process = new Process(at === 0 ? null : fault, at);
      const cut = await play(story, world, process).then(
        () => false,
        () => true,
      );
      if (at === 0) calls = process.calls;
      if (cut) cuts += 1;
      world.letLeasesEnd();
      await play(story, world, new Process());
      // As every reconcile does.
      await settleUnaudited(world.store, contextOf(world).audit);
      await asserted(story, world, known);
    }
    expect(cuts, 'cuts').toBeGreaterThan(5);
  });
}
