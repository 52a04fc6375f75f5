/**
 * Four records of one customer that go four ways, by their plan: the process that takes them is cut at every call that it
 * makes, in the ways that leave something done (lifecycle-crashes tries all of them for one way to go); then a fresh one takes over. Each ends as its own branch says, once, and none as
 * another's.
 */
import { BSON } from 'bson';
import { expect, test } from 'vitest';
import { verifyAudit } from '../../src/ledger/audit.ts';
import { DISPOSAL_PREFIX } from '../../src/ledger/disposals.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { FAULTS, type Fault, Process } from './faults.ts';
import { MemoryWorld } from './memory-world.ts';

const POLICY = `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 3 months
then:
  by: plan
  of: { trial: delete, free: { anonymise: [mail] }, gold: [archive, { redact: [text] }] }
  otherwise: archive
archive: { for: 7 years, vault: cold, dueWindow: 30 days }
limits: { records: 1000, share: 1.0 }
`;

const record = (_id: string, plan?: string): BSON.Document => ({
  _id,
  owner: 'acme',
  tenant: 'north',
  at: new Date('2022-01-01'),
  mail: 'jo@example.org',
  text: 'hello',
  ...(plan === undefined ? {} : { plan }),
});
const DUE = [record('free', 'free'), record('gold', 'gold'), record('plain'), record('trial', 'trial')];

async function newWorld(): Promise<{ world: MemoryWorld; policy: Policy }> {
  const world = await MemoryWorld.open();
  const policy = await world.publish(POLICY);
  for (const document of DUE) world.put(policy, document);
  return { world, policy };
}

const run = (world: MemoryWorld, policy: Policy, process: Process) =>
  runPolicy(world.context(process), policy, { flush: true, expired: null });

function left(world: MemoryWorld, policy: Policy) {
  const documents = world.source.all(policy.dataset.collection).map((raw) => BSON.deserialize(raw));
  return documents
    .map(({ _id, mail, text, _moraine }) => [_id, mail ?? null, text, _moraine !== undefined])
    .sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
}

/** What went wrong, or null. */
async function attack(
  fault: Fault,
  atCall: number,
): Promise<{ readonly met: string | null; readonly failure: string | null }> {
  const { world, policy } = await newWorld();
  const cut = new Process(fault, atCall);
  // What the cut process throws is its own affair; what it leaves behind is ours.
  const running = run(world, policy, cut).catch(() => undefined);
  try {
    await Promise.race([running, cut.asleep]);
    world.letLeasesEnd();
    expect((await run(world, policy, new Process())).problems).toEqual([]);
    cut.wake();
    await running;
    world.letLeasesEnd();
    await run(world, policy, new Process());
    expect(left(world, policy)).toEqual([
      ['free', null, 'hello', true],
      ['gold', 'jo@example.org', '[redacted]', true],
    ]);
    // Copies that count: of what was archived, and of nothing else.
    const archives = await world.archives();
    const sum = (of: 'deleted' | 'treated') => archives.reduce((total, { outcomes }) => total + outcomes[of], 0);
    expect({ deleted: sum('deleted'), treated: sum('treated') }).toEqual({ deleted: 1, treated: 1 });
    const certified = (await world.all('certificates')).map((each) => JSON.parse(String(Reflect.get(each, 'body'))));
    expect(certified.map(({ what }) => what).sort()).toEqual(['records deleted', 'records treated']);
    await world.assertTotalsHold();
    world.letLeasesEnd();
    await reconcile(world.context(), { all: false, source: false });
    expect((await world.archives()).flatMap(({ unaudited }) => unaudited)).toEqual([]);
    expect(await verifyAudit(world.store)).toMatchObject({ ok: true });
    // What a worker that slept wrote for an attempt goes with the attempt, after a later inventory.
    const pages = (await world.all('rosterPages')).map((page) => String(Reflect.get(page, '_id')));
    expect(pages.filter((name) => name.startsWith(DISPOSAL_PREFIX))).toEqual([]);
    for (const collection of ['clearingPages', 'plannedRecords']) expect(await world.all(collection)).toEqual([]);
    return { met: cut.met, failure: null };
  } catch (error) {
    return { met: cut.met, failure: `call ${atCall} (${cut.met}): ${String(error)}` };
  }
}

const LEAVING = FAULTS.filter((fault) => ['dies after', 'loses a reply', 'sleeps'].includes(fault));

test.each(LEAVING)('a process %s at any one call: each record ends as its own branch says, once', async (fault) => {
  const failures: string[] = [];
  const met = new Set<string>();
  for (let atCall = 1; ; atCall++) {
    const told = await attack(fault, atCall);
    if (told.failure !== null) failures.push(told.failure);
    if (told.met === null) break;
    met.add(told.met);
  }
  expect(failures).toEqual([]);
  for (const call of ['deleteGuarded', 'replaceGuarded'])
    expect([...met].some((each) => each.includes(call))).toBe(true);
});
