/**
 * A small life of a ticket with comments, one of which comes when its ticket is gone: cut at every call, in every way that
 * faults.ts knows; then a fresh process takes over. No child goes before its root, none is lost, none is left.
 */
import { BSON } from 'bson';
import { expect, test } from 'vitest';
import { newIdentity, openIdentity } from '../../src/keys/identity-file.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { planPurge } from '../../src/lifecycle/purge-caps.ts';
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
import { MemoryFiles } from './memory-files.ts';

const { file, recipient } = await newIdentity({ now: new Date(), scryptLogN: 10 });
const identity = await openIdentity(Buffer.from(file));
const VIDEOS = {
  kind: 's3',
  store: 'videos',
  bucket: { value: 'b' },
  key: 'videos',
  version: null,
  exclusive: true,
} as const;
const EARLY = ['a-0', 'a-1', 'b-0'];

interface Life {
  readonly family: Family;
  /** What the server saw. */
  readonly seen: string[];
  readonly files: MemoryFiles;
}

async function open(): Promise<Life> {
  const family = await openFamily({ recipient, attachments: [VIDEOS] });
  const files = new MemoryFiles();
  files.objects.set('video', Buffer.from('moving pictures'));
  files.objects.set('shared-logo', Buffer.from('logo'));
  putTicket(family, ticket('a', { videos: ['video', 'shared-logo'] }));
  putTicket(family, ticket('b'));
  for (const _id of EARLY) putComment(family, comment(_id, _id[0]));
  const life = { family, seen: [], files };
  watch(life);
  return life;
}

/** What goes is watched at the server itself; and the application writes a comment on a ticket right after it was deleted, once. */
function watch({ family, seen, files }: Life): void {
  files.onRemove = (key) => {
    if (idsOf(family, TICKETS).includes('a')) seen.push(`${key} went before its root`);
  };
  const { source } = family.world;
  const deleteGuarded = source.deleteGuarded.bind(source);
  source.deleteGuarded = async (...args) => {
    const tickets = idsOf(family, TICKETS);
    const comments = idsOf(family, COMMENTS);
    const result = await deleteGuarded(...args);
    const left = idsOf(family, COMMENTS);
    for (const _id of comments) {
      if (!left.includes(_id) && tickets.includes(_id.charAt(0))) seen.push(`${_id} went before its root`);
    }
    if (!seen.includes('late written') && !idsOf(family, TICKETS).includes('a')) {
      seen.push('late written');
      putComment(family, comment('a-late', 'a'));
    }
    return result;
  };
}

async function run({ family, files }: Life, process: Process) {
  // The name of `find` is that of a cursor elsewhere; what it finds is asked for again by `isSame` and `read`.
  const attachments = process.wrap(files, 'mongodb', ['objects', 'find'], 'files');
  const context = { ...family.world.context(process, { asOf: RUN_AT }), attachments };
  return await runPolicy(context, family.policy, { flush: true, expired: null });
}

/** What sleepers wrote into archives that others had closed goes with them. */
async function purge({ family: { world } }: Life): Promise<void> {
  const context = world.context(undefined, { asOf: '2032-06-01T00:00:00Z' });
  const report = await purgeArchives(context, (await planPurge(context, null)).due);
  expect(report).toMatchObject({ held: [], failed: [] });
}

/** Every comment that ever was, from the archives that hold it. */
async function assertAllComesBack({ family }: Life): Promise<void> {
  const found: string[] = [];
  const videos: string[] = [];
  for (const archive of await family.world.archives()) {
    if (archive.state !== 'cleared') continue;
    const context = family.world.context(undefined, { asOf: RUN_AT });
    const { found: records } = await restored(family, context, archive, identity);
    for (const [name, parts] of Object.entries(records)) {
      if (name.startsWith('file ')) videos.push(Buffer.concat(parts).toString());
    }
    const comments = [
      ...(records[COMMENTS] ?? []),
      ...(archive.collection === undefined ? [] : (records['records'] ?? [])),
    ];
    found.push(...comments.map((raw) => String(BSON.deserialize(raw)['_id'])));
  }
  expect(found.sort()).toEqual(['a-0', 'a-1', 'a-late', 'b-0']);
  expect(videos.sort()).toEqual(['logo', 'moving pictures']);
}

async function assertEnded(life: Life): Promise<void> {
  const { family, seen, files } = life;
  expect([...files.objects.keys()]).toEqual(['shared-logo']);
  expect([...idsOf(family, TICKETS), ...idsOf(family, COMMENTS)]).toEqual([]);
  expect(seen.filter((text) => text.includes('before'))).toEqual([]);
  for (const { _id, state } of await family.world.archives()) expect(['cleared', 'abandoned'], _id).toContain(state);
  await family.world.assertTotalsHold();
}

async function attack(fault: Fault, atCall: number): Promise<string | null> {
  const life = await open();
  const cut = new Process(fault, atCall);
  const first = run(life, cut).catch(() => undefined);
  try {
    await Promise.race([first, cut.asleep]);
    await life.family.world.assertTotalsHold();
    life.family.world.letLeasesEnd();
    const fresh = new Process();
    expect((await run(life, fresh)).problems).toEqual([]);
    cut.wake();
    await first;
    life.family.world.letLeasesEnd();
    await run(life, fresh);
    await assertEnded(life);
    await assertAllComesBack(life);
    await purge(life);
    await assertNothingIsOpen(life.family);
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
  'children, a process %s at any one call: a fresh one finishes, nothing is lost or left over',
  async (fault, from, step) => {
    const life = await open();
    const process = new Process();
    await run(life, process);
    await assertEnded(life);
    await assertAllComesBack(life);
    await assertNothingIsOpen(life.family);
    expect(process.calls).toBeGreaterThan(150);
    const failures: string[] = [];
    for (let atCall = from; atCall <= process.calls; atCall += step) {
      const failure = await attack(fault, atCall);
      if (failure !== null) failures.push(failure);
    }
    expect(failures).toEqual([]);
  },
);
