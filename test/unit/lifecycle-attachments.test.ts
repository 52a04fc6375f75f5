/** Attachments go with their record: never half archived, deleted by version after it where they are exclusive, restored with it. */
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { newIdentity, openIdentity } from '../../src/keys/identity-file.ts';
import { findQuarantine } from '../../src/ledger/quarantine.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { AttachedFile, AttachmentShape } from '../../src/source/port.ts';
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
} from '../simulation/family-world.ts';
import { MemoryFiles } from '../simulation/memory-files.ts';

const { file, recipient } = await newIdentity({ now: new Date(), scryptLogN: 10 });
const identity = await openIdentity(Buffer.from(file));
const MIB = 1024 * 1024;

const RULE: AttachmentShape = {
  kind: 's3',
  store: 'videos',
  bucket: { value: 'b' },
  key: 'videos',
  version: null,
  exclusive: true,
};

let family: Family;
let files: MemoryFiles;
beforeEach(async () => {
  family = await openFamily({ recipient, attachments: [RULE] });
  files = new MemoryFiles();
});

function context(): Context {
  return { ...family.world.context(undefined, { asOf: RUN_AT }), attachments: files };
}

async function run(with_: Context = context()) {
  const result = await runPolicy(with_, family.policy, { flush: true, expired: null });
  await family.world.assertTotalsHold();
  return result;
}

test('a whole life: streamed in parts, deleted after the record, an attachment that others use stays, all restored', async () => {
  const large = randomBytes(20 * MIB + 3);
  files.objects.set('large', large);
  files.objects.set('shared-logo', Buffer.from('logo'));
  putTicket(family, ticket('a', { videos: ['large', 'shared-logo'] }));
  putTicket(family, ticket('none'));
  const { totals, problems } = await run();
  expect(problems).toEqual([]);
  expect(totals).toMatchObject({ archived: 2, deleted: 2 });
  expect(files.removed).toEqual(['large']);
  expect([...files.objects.keys()]).toEqual(['shared-logo']);
  const [archive] = await family.world.archives();
  expect(archive?.stored).toMatchObject({ attachments: 2, attachmentBytes: large.length + 4 });
  const { report, found } = await restored(family, context(), archive!, identity);
  expect(report.attachments).toMatchObject({ records: 2, inserted: 2, void: 0 });
  expect(Buffer.concat(found['file 0']!).equals(large)).toBe(true);
  expect(Buffer.concat(found['file 1']!).toString()).toBe('logo');
  await assertNothingIsOpen(family);
});

describe('never half archived', () => {
  test('missing: the record waits, and is quarantined at the third time; the others go', async () => {
    putTicket(family, ticket('a', { videos: ['never'] }));
    for (let turn = 1; turn <= 3; turn++) {
      putTicket(family, ticket(`other-${turn}`));
      await run();
      expect(idsOf(family, TICKETS)).toEqual(['a']);
      const open = [];
      for await (const { reason } of findQuarantine(family.world.store, { state: 'open' })) open.push(reason);
      expect(open).toEqual(turn < 3 ? [] : ['attachment-missing']);
    }
    await assertNothingIsOpen(family);
  });

  test('gone while it is read: the attempt is abandoned, nothing is deleted, and at the next try the record waits', async () => {
    files.objects.set('video', Buffer.from('x'));
    files.beforeRead = (key) => files.objects.delete(key);
    putTicket(family, ticket('a', { videos: ['video'] }));
    expect((await run()).problems).toMatchObject([{ code: 'ATTACHMENT_CHANGED' }]);
    await run();
    expect(idsOf(family, TICKETS)).toEqual(['a']);
    for (const { state } of await family.world.archives()) expect(state).toBe('abandoned');
  });

  test('changed between sealing and deletion: the record is `changed`, it stays with its files, and its copies are void', async () => {
    files.objects.set('video', Buffer.from('first'));
    putTicket(family, ticket('a', { videos: ['video'] }));
    const with_ = context();
    let looks = 0;
    const attacked: Context = {
      ...with_,
      attachments: new Proxy(files, {
        get: (target, name) => {
          if (name !== 'isSame') return Reflect.get(target, name).bind?.(target) ?? Reflect.get(target, name);
          return async (attached: AttachedFile) => {
            looks += 1;
            target.objects.set('video', Buffer.from('another one'));
            return await target.isSame(attached);
          };
        },
      }),
    };
    expect((await run(attacked)).totals).toMatchObject({ archived: 1, changed: 1, deleted: 0 });
    expect(looks).toBe(1);
    expect(idsOf(family, TICKETS)).toEqual(['a']);
    expect(files.removed).toEqual([]);
    const [archive] = await family.world.archives();
    const { report } = await restored(family, context(), archive!, identity);
    expect(report).toMatchObject({ void: 1, attachments: { records: 1, inserted: 0, void: 1 } });
    // Planned anew, it goes as it is now.
    await run();
    expect(files.removed).toEqual(['video']);
    await assertNothingIsOpen(family);
  });
});

test('changed while the deletion waited for its announcement: the record is `changed`, with an archive and without', async () => {
  for (const without of [undefined, 'archive' as const]) {
    family = await openFamily({ recipient, attachments: [RULE], ...(without === undefined ? {} : { without }) });
    files = new MemoryFiles();
    files.objects.set('video', Buffer.from('first'));
    putTicket(family, ticket('a', { videos: ['video'] }));
    const { source } = family.world;
    const readByIds = source.readByIds.bind(source);
    // Read again when the announcement is made: what was looked at before that is looked at too early.
    source.readByIds = async (namespace, ids) => {
      if (namespace === TICKETS) files.objects.set('video', Buffer.from('another one'));
      return await readByIds(namespace, ids);
    };
    await run();
    expect(idsOf(family, TICKETS)).toEqual(['a']);
    expect(files.removed).toEqual([]);
  }
});

test('without an archive: the record, then its children, then its files', async () => {
  family = await openFamily({ recipient, attachments: [RULE], without: 'archive' });
  files.objects.set('video', Buffer.from('x'));
  putTicket(family, ticket('a', { videos: ['video'] }));
  for (const _id of ['a-1', 'a-2']) putComment(family, comment(_id, 'a'));
  let left: readonly string[] | null = null;
  files.onRemove = () => {
    left = [...idsOf(family, TICKETS), ...idsOf(family, COMMENTS)];
  };
  await run();
  expect(left).toEqual([]);
  expect(files.removed).toEqual(['video']);
});

test('an archive ends where what hangs on the next record would make it too large; a larger record goes alone', async () => {
  files.saidBytes = 150 * MIB;
  for (const n of [1, 2, 3]) {
    files.objects.set(`v${n}`, Buffer.from('x'));
    putTicket(family, ticket(`t${n}`, { at: new Date(`2020-01-0${n}T00:00:00Z`), videos: [`v${n}`] }));
  }
  expect((await run()).totals).toMatchObject({ archived: 3, deleted: 3 });
  expect((await family.world.archives()).map(({ stored }) => stored?.records)).toEqual([1, 1, 1]);
});
