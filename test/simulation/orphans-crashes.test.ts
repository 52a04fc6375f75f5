/**
 * Replies to tickets that were archived last month: the look that finds them, and the addendum that takes them, are cut at every
 * call; then a fresh process takes over. Each reply ends in an archive with the due date of its ticket's, and none is left.
 */
import { BSON } from 'bson';
import { expect, test } from 'vitest';
import { newIdentity, openIdentity } from '../../src/keys/identity-file.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import {
  assertNothingIsOpen,
  COMMENTS,
  comment,
  type Family,
  idsOf,
  openFamily,
  putComment,
  putTicket,
  RUN_AT,
  restored,
  TICKETS,
  ticket,
} from './family-world.ts';
import { FAULTS, type Fault, Process } from './faults.ts';

const { file, recipient } = await newIdentity({ now: new Date(), scryptLogN: 10 });
const identity = await openIdentity(Buffer.from(file));

async function run({ world, policy }: Family, process?: Process) {
  return await runPolicy(world.context(process, { asOf: RUN_AT }), policy, { flush: true, expired: null });
}

async function open(): Promise<Family> {
  const family = await openFamily({ recipient });
  for (const _id of ['a', 'b']) putTicket(family, ticket(_id));
  putComment(family, comment('a-0', 'a'));
  await run(family);
  for (const _id of ['a-reply', 'b-reply']) putComment(family, comment(_id, _id[0]));
  putComment(family, comment('stranger', 'nobody'));
  return family;
}

async function assertEnded(family: Family): Promise<void> {
  expect(idsOf(family, TICKETS)).toEqual([]);
  expect(idsOf(family, COMMENTS)).toEqual(['stranger']);
  await family.world.assertTotalsHold();
  const archives = await family.world.archives();
  const root = archives.find(({ addendumTo }) => addendumTo === undefined);
  const found: string[] = [];
  for (const archive of archives) {
    expect(['cleared', 'abandoned'], archive._id).toContain(archive.state);
    expect(archive.plan.lateRoots).toBeUndefined();
    if (archive.addendumTo === undefined || archive.state === 'abandoned') continue;
    expect(archive).toMatchObject({ addendumTo: root?._id, dueAt: root?.dueAt });
    const context = family.world.context(undefined, { asOf: RUN_AT });
    const records = (await restored(family, context, archive, identity)).found['records'] ?? [];
    found.push(...records.map((raw) => String(BSON.deserialize(raw)['_id'])));
  }
  // None twice: what an archive that was cut held is void there.
  expect(found.sort()).toEqual(['a-reply', 'b-reply']);
}

async function attack(fault: Fault, atCall: number): Promise<string | null> {
  const family = await open();
  const cut = new Process(fault, atCall);
  const first = run(family, cut).catch(() => undefined);
  try {
    await Promise.race([first, cut.asleep]);
    await family.world.assertTotalsHold();
    family.world.letLeasesEnd();
    const fresh = new Process();
    expect((await run(family, fresh)).problems).toEqual([]);
    cut.wake();
    await first;
    family.world.letLeasesEnd();
    for (let more = 0; more < 2; more++) await run(family, fresh);
    await assertEnded(family);
    return null;
  } catch (error) {
    return `call ${atCall} (${cut.met}): ${String(error)}`;
  }
}

/** Every call is cut where the effect is there and its worker is not; of the other ways every third, each from another one on. */
const ATTACKS: readonly (readonly [Fault, number, number])[] = FAULTS.map((fault, at) =>
  fault === 'dies after' ? [fault, 1, 1] : [fault, 1 + (at % 3), 3],
);

test.each(ATTACKS)(
  'replies after the archive, a process %s at any one call: a fresh one finishes, nothing is lost or left over',
  async (fault, from, step) => {
    const family = await open();
    const process = new Process();
    await run(family, process);
    await assertEnded(family);
    await assertNothingIsOpen(family);
    expect(process.calls).toBeGreaterThan(60);
    const failures: string[] = [];
    for (let atCall = from; atCall <= process.calls; atCall += step) {
      const failure = await attack(fault, atCall);
      if (failure !== null) failures.push(failure);
    }
    expect(failures).toEqual([]);
  },
);
