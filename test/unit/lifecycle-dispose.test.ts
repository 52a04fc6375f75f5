/** Policies that delete, treat in place, or archive and then treat: once, under the guard, and never what is held, paused or changed. */
import { BSON } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { claimArchive } from '../../src/ledger/archives.ts';
import { auditEntries } from '../../src/ledger/audit.ts';
import { disposals } from '../../src/ledger/disposals.ts';
import { holds } from '../../src/ledger/holds.ts';
import { findQuarantine } from '../../src/ledger/quarantine.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { type PolicyRun, runPolicy } from '../../src/lifecycle/run-policy.ts';
import type { FieldTreatment, Policy } from '../../src/policy/policy.ts';
import type { SourcePort } from '../../src/source/port.ts';
import { aHold } from '../harness/a-hold.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const YAML = `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant }, facets: { subject: { field: mail } } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 100000, share: 1.0 }
`;
const TREAT: readonly FieldTreatment[] = [
  { field: 'mail', how: 'pseudonymise' },
  { field: 'text', how: 'redact' },
  { field: 'phone', how: 'anonymise' },
];

let world: MemoryWorld;
beforeEach(async () => {
  world = await MemoryWorld.open();
});

const deleting = () => world.publishAs(YAML, { disposition: 'delete', archive: null });
const treating = (treat = TREAT) => world.publishAs(YAML, { disposition: 'treat', archive: null, treat });
const chain = (treat = TREAT) => world.publishAs(YAML, { treat });

function put(policy: Policy, _id: string, more: BSON.Document = {}): void {
  const fields = { mail: 'jo@example.org', text: 'hello', phone: '+31', n: 1 };
  world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date('2020-01-01'), ...fields, ...more });
}

function found(policy: Policy, _id: string): BSON.Document | undefined {
  return world.source
    .all(policy.dataset.collection)
    .map((raw) => BSON.deserialize(raw))
    .find((document) => document['_id'] === _id);
}

function run(policy: Policy, on: Context = world.context(), flush = true): Promise<PolicyRun> {
  return runPolicy(on, policy, { flush, expired: null });
}

function around(source: Partial<SourcePort>, context = world.context()): Context {
  return { ...context, source: overlay(context.source, source) };
}

async function acts(): Promise<string[]> {
  const told: string[] = [];
  for await (const { act, phase } of auditEntries(world.store)) told.push(`${act} ${phase}`);
  return told;
}

async function certificates(): Promise<Record<string, unknown>[]> {
  return (await world.all('certificates')).map((each) => JSON.parse(String(Reflect.get(each, 'body'))));
}

describe('delete', () => {
  test('what is due goes without a word of a person, with a certificate; what is young or in another policy’s time stays', async () => {
    const policy = await deleting();
    put(policy, 'old');
    put(policy, 'ancient', { at: new Date('1990-01-01') });
    put(policy, 'young', { at: new Date('2023-01-01') });
    const { totals, disposed, expired, archives, problems } = await run(policy);
    expect(problems).toEqual([]);
    expect(totals).toMatchObject({ selected: 2, archived: 0, deleted: 2, pending: 0 });
    expect(disposed).toMatchObject([{ kind: 'delete', owner: 'acme', outcomes: { archived: 2, deleted: 2 } }]);
    expect([expired, archives]).toEqual([[], []]);
    expect(world.idsIn(policy)).toEqual(['young']);
    expect(await certificates()).toMatchObject([
      { what: 'records deleted', saidBy: 'policy chats', records: { deleted: 2, treated: 0 } },
    ]);
    expect(await acts()).toEqual(['records delete intent', 'records delete outcome']);
    expect(await run(policy)).toMatchObject({ disposed: [], totals: { selected: 0, deleted: 0 } });
    expect(await disposals(world.store).count({})).toBe(1);
    await world.assertNothingIsOpen();
  });

  test('over its caps: nothing goes, and a person is told', async () => {
    const policy = await world.publishAs(YAML, {
      disposition: 'delete',
      archive: null,
      limits: { records: 1, share: 1 },
    });
    put(policy, 'a');
    put(policy, 'b');
    expect(await run(policy)).toMatchObject({ problems: [{ code: 'BLAST_CAP', needsPerson: true }], disposed: [] });
    expect(world.idsIn(policy)).toEqual(['a', 'b']);
  });

  test('of an owner that the configuration does not have: told, and nothing of it goes', async () => {
    const policy = await deleting();
    put(policy, 'a', { owner: 'ghost' });
    expect((await run(policy)).problems).toMatchObject([{ code: 'OWNER_UNKNOWN' }]);
    expect(world.idsIn(policy)).toEqual(['a']);
  });

  test('a policy that archived before: what lies in an archive that is not cleared waits for it', async () => {
    const before = await world.publish(YAML);
    put(before, 'archived');
    const cut = around({ deleteGuarded: () => Promise.reject(new Error('cut')) });
    await run(before, cut);
    const [archive] = await world.archives();
    if (archive?.state !== 'verified') throw new Error('It is not verified.');
    const other = { worker: id.worker('other'), clock: world.clock };
    await claimArchive(world.store, world.context().audit, archive._id, other);
    const policy = await deleting();
    put(policy, 'new', { at: new Date('2021-01-01') });
    put(policy, 'below', { at: new Date('2019-01-01') });
    const { disposed } = await run(policy);
    expect(disposed).toMatchObject([{ outcomes: { deleted: 1 } }]);
    expect(world.idsIn(policy)).toEqual(['archived', 'below']);
    world.letLeasesEnd();
    await run(policy);
    expect(world.idsIn(policy)).toEqual([]);
    expect(await world.archives()).toMatchObject([{ state: 'cleared', outcomes: { deleted: 1, gone: 0 } }]);
  });

  test('two runs at once: one disposes, the other leaves it to it; the records are counted once', async () => {
    const policy = await deleting();
    for (const name of ['a', 'b', 'c']) put(policy, name);
    const runs = await Promise.all([run(policy), run(policy), run(policy)]);
    expect(runs.flatMap(({ problems }) => problems)).toEqual([]);
    expect(world.idsIn(policy)).toEqual([]);
    const bodies = await certificates();
    expect(bodies.map(({ records }) => Reflect.get(Object(records), 'deleted'))).toEqual([3]);
  });
});

describe('non-production', () => {
  test('a policy that archives deletes: no archive is made, no vault and no administrator is asked', async () => {
    const policy = await world.publish(YAML);
    put(policy, 'old');
    put(policy, 'past-the-archive-period-too', { at: new Date('1990-01-01') });
    put(policy, 'young', { at: new Date('2023-01-01') });
    const refusing = world.context(undefined, { environment: 'non-production' });
    const context = { ...refusing, vaults: new Map() };
    expect(await run(policy, context)).toMatchObject({ problems: [], totals: { archived: 0, deleted: 2 } });
    expect(world.idsIn(policy)).toEqual(['young']);
    expect(await world.archives()).toEqual([]);
  });

  test('a chain deletes too; a policy that treats treats', async () => {
    const environment = 'non-production' as const;
    const chained = await chain();
    put(chained, 'a');
    await run(chained, world.context(undefined, { environment }));
    expect(world.idsIn(chained)).toEqual([]);
    const treated = await treating();
    put(treated, 'b');
    await run(treated, world.context(undefined, { environment }));
    expect(found(treated, 'b')).toMatchObject({ text: '[redacted]' });
  });
});

describe('treat', () => {
  test('the named fields only, once, with a marker; the certificate names them and no content', async () => {
    const policy = await treating();
    put(policy, 'a');
    put(policy, 'b', { mail: 'JO@example.org ' });
    put(policy, 'c', { tenant: 'south' });
    put(policy, 'young', { at: new Date('2023-01-01') });
    const { totals, disposed } = await run(policy);
    expect(totals).toMatchObject({ selected: 3, treated: 3, deleted: 0, archived: 0 });
    expect(disposed).toHaveLength(2);
    const a = found(policy, 'a');
    expect(Object.keys(a ?? {})).toEqual(['_id', 'owner', 'tenant', 'at', 'mail', 'text', 'n', '_moraine']);
    expect(a).toMatchObject({ mail: expect.stringMatching(/^pseudonym:/), text: '[redacted]', n: 1 });
    expect(found(policy, 'b')?.['mail']).toBe(a?.['mail']);
    expect(found(policy, 'c')?.['mail']).toBe(a?.['mail']);
    expect(found(policy, 'young')).toMatchObject({ mail: 'jo@example.org', text: 'hello', phone: '+31' });
    const bodies = await certificates();
    expect(bodies).toMatchObject([
      { what: 'records treated', fields: TREAT, records: { treated: 2, deleted: 0 } },
      { what: 'records treated', records: { treated: 1 } },
    ]);
    expect(JSON.stringify(bodies)).not.toContain('jo@example.org');
    await world.assertNothingIsOpen();
  });

  test('a second run, and a version that asks for the same in another order, do nothing; one that asks for more treats again', async () => {
    const policy = await treating();
    put(policy, 'a');
    await run(policy);
    const once = found(policy, 'a');
    expect(await run(policy)).toMatchObject({ disposed: [], totals: { selected: 0, treated: 0 } });
    const same = await world.publishAs(YAML, {
      disposition: 'treat',
      archive: null,
      treat: TREAT.toReversed(),
      active: 'P1Y',
    });
    expect(await run(same)).toMatchObject({ disposed: [] });
    expect(found(policy, 'a')).toEqual(once);
    const more = await treating([...TREAT, { field: 'n', how: 'anonymise' }]);
    expect(await run(more)).toMatchObject({ totals: { treated: 1 } });
    const { n: _, _moraine: __, ...rest } = once ?? {};
    expect(found(more, 'a')).toMatchObject(rest);
    expect(found(more, 'a')).not.toHaveProperty('n');
  });

  test('a record that another program marked by hand goes to quarantine, with a reason that a person understands', async () => {
    const policy = await treating();
    put(policy, 'odd', { _moraine: 'mine' });
    put(policy, 'even');
    expect(await run(policy)).toMatchObject({ totals: { treated: 1, unfit: 1, quarantined: 1 }, newlyQuarantined: 1 });
    expect(found(policy, 'odd')).toMatchObject({ text: 'hello', _moraine: 'mine' });
    const reasons = [];
    for await (const { reason, text } of findQuarantine(world.store, {})) reasons.push([reason, text]);
    expect(reasons).toEqual([['not-treatable', expect.stringContaining('_moraine')]]);
  });

  test('changed between the look and the command: it stays as it became, and the next run treats it', async () => {
    const policy = await treating();
    put(policy, 'a');
    put(policy, 'b');
    const context = world.context();
    const attacked = around({
      replaceGuarded: async (...args) => {
        put(policy, 'a', { text: 'something new' });
        return await context.source.replaceGuarded(...args);
      },
    });
    expect(await run(policy, attacked)).toMatchObject({ totals: { treated: 1, changed: 1 } });
    expect(found(policy, 'a')).toMatchObject({ text: 'something new', phone: '+31' });
    expect(await run(policy)).toMatchObject({ totals: { treated: 1, changed: 0 } });
    expect(found(policy, 'a')).toMatchObject({ text: '[redacted]' });
  });

  test('the third change in a row: quarantine, and no further try', async () => {
    const policy = await treating();
    put(policy, 'a');
    let n = 1;
    const context = world.context();
    const attacked = around({
      replaceGuarded: async (...args) => {
        n += 1;
        put(policy, 'a', { n });
        return await context.source.replaceGuarded(...args);
      },
    });
    expect(await run(policy, attacked)).toMatchObject({ totals: { changed: 1, quarantined: 0 } });
    expect(await run(policy, attacked)).toMatchObject({ totals: { changed: 1, quarantined: 0 } });
    expect(await run(policy, attacked)).toMatchObject({ totals: { changed: 0, quarantined: 1 }, newlyQuarantined: 1 });
    expect(await run(policy)).toMatchObject({ totals: { treated: 0 }, disposed: [] });
    expect(found(policy, 'a')).toMatchObject({ text: 'hello', n: 4 });
  });

  test('the guard refuses the same bytes three times (a unique index): quarantine, the rest is treated', async () => {
    const policy = await treating();
    put(policy, 'a');
    put(policy, 'b');
    const context = world.context();
    const attacked = around({
      replaceGuarded: (shape, replacements, warrant) => {
        const others = replacements.filter(({ record }) => record.key !== 's:a');
        return context.source.replaceGuarded(shape, others, warrant);
      },
    });
    expect(await run(policy, attacked)).toMatchObject({ totals: { treated: 1, quarantined: 1 } });
    expect(found(policy, 'a')).toMatchObject({ text: 'hello' });
  });

  test('deleted by the application meanwhile: gone, and not made again', async () => {
    const policy = await treating();
    put(policy, 'a');
    put(policy, 'b');
    const context = world.context();
    const attacked = around({
      replaceGuarded: async (...args) => {
        const [record] = args[1];
        if (record !== undefined) world.source.remove(policy.dataset.collection, record.record.idBytes);
        return await context.source.replaceGuarded(...args);
      },
    });
    expect(await run(policy, attacked)).toMatchObject({ totals: { treated: 1, gone: 1, deleted: 0 } });
    expect(world.idsIn(policy)).toHaveLength(1);
  });
});

describe('brakes', () => {
  test('a hold on one person keeps that record as it is, the rest is treated; released, it is treated too', async () => {
    const policy = await treating();
    put(policy, 'a', { at: new Date('2019-01-01') });
    put(policy, 'b');
    await holds(world.store).insert(aHold({ triggerBefore: new Date('2019-06-01') }));
    expect(await run(policy)).toMatchObject({ totals: { treated: 1, held: 0 } });
    expect(found(policy, 'a')).toMatchObject({ text: 'hello' });
    const [hold] = await world.all('holds');
    if (hold !== undefined) await holds(world.store).remove(hold._id, hold.rev);
    expect(await run(policy)).toMatchObject({ totals: { treated: 1 } });
  });

  for (const kind of ['delete', 'treat'] as const) {
    test(`${kind}: a hold on all of it stops it; one that comes between look and command stops the next try`, async () => {
      const policy = kind === 'delete' ? await deleting() : await treating();
      put(policy, 'a');
      const late = async (..._: unknown[]) => {
        await holds(world.store).insert(aHold());
        world.clock.advance(11_000);
        return { deletedCount: 0, replacedCount: 0 };
      };
      const attacked = around({ deleteGuarded: late, replaceGuarded: late });
      expect(await run(policy, attacked)).toMatchObject({ totals: { held: 1, deleted: 0, treated: 0 } });
      expect(await run(policy)).toMatchObject({ disposed: [] });
      expect(found(policy, 'a')).toMatchObject({ text: 'hello', mail: 'jo@example.org' });
      expect(await certificates()).toEqual([]);
    });
  }
});

describe('cut', () => {
  const commands: readonly (readonly [string, (context: Context) => Partial<SourcePort>])[] = [
    ['before the command', () => ({ replaceGuarded: () => Promise.reject(new Error('cut')) })],
    [
      'after the command',
      (context) => ({
        replaceGuarded: async (...args) => {
          await context.source.replaceGuarded(...args);
          throw new Error('cut');
        },
      }),
    ],
    [
      'after half of it',
      (context) => ({
        replaceGuarded: async (shape, replacements, warrant) => {
          await context.source.replaceGuarded(shape, replacements.slice(0, 1), warrant);
          throw new Error('cut');
        },
      }),
    ],
  ];
  for (const [when, cut] of commands) {
    test(`${when}: carried on by the next run, each record treated once and counted once`, async () => {
      const policy = await treating();
      put(policy, 'a');
      put(policy, 'b', { mail: 'kim@example.org' });
      expect((await run(policy, around(cut(world.context())))).problems).toMatchObject([{ code: 'INTERNAL' }]);
      const { disposed, totals } = await run(policy);
      expect(disposed).toMatchObject([{ outcomes: { archived: 2, treated: 2, changed: 0 } }]);
      expect(totals).toMatchObject({ treated: 2 });
      expect(await disposals(world.store).count({})).toBe(1);
      expect(await certificates()).toMatchObject([{ records: { treated: 2 } }]);
      await world.assertNothingIsOpen();
    });
  }

  test('after the command, and the application went on with the treated record: treated, and left as it is', async () => {
    const policy = await treating();
    put(policy, 'a');
    const context = world.context();
    const cut = around({
      replaceGuarded: async (...args) => {
        await context.source.replaceGuarded(...args);
        world.put(policy, { ...found(policy, 'a'), n: 2 });
        throw new Error('cut');
      },
    });
    await run(policy, cut);
    expect(await run(policy)).toMatchObject({ totals: { treated: 1, changed: 0 } });
    expect(found(policy, 'a')).toMatchObject({ n: 2, text: '[redacted]' });
  });

  test('after the command, and the application wrote back what it had read before: seen, and treated again', async () => {
    const policy = await treating();
    put(policy, 'a');
    const context = world.context();
    const cut = around({
      replaceGuarded: async (...args) => {
        await context.source.replaceGuarded(...args);
        put(policy, 'a');
        throw new Error('cut');
      },
    });
    await run(policy, cut);
    expect(await run(policy)).toMatchObject({ totals: { treated: 1 } });
    expect(found(policy, 'a')).toMatchObject({ text: '[redacted]' });
  });
});

describe('archive, then treat', () => {
  test('the copy is whole, the original treated and not void; nothing is taken a second time', async () => {
    const policy = await chain();
    put(policy, 'a');
    put(policy, 'b', { mail: 'kim@example.org' });
    const { totals, archives, disposed } = await run(policy);
    expect(totals).toMatchObject({ archived: 2, treated: 2, deleted: 0, pending: 0 });
    expect(archives).toMatchObject([{ state: 'cleared', outcomes: { archived: 2, treated: 2, changed: 0 } }]);
    expect(disposed).toEqual([]);
    expect(found(policy, 'a')).toMatchObject({ text: '[redacted]', n: 1 });
    expect(await world.all('rosterExceptions')).toEqual([]);
    await world.assertTotalsHold();
    await world.assertNothingIsOpen();
    expect(await run(policy)).toMatchObject({ archives: [], totals: { selected: 0 } });
  });

  test('past its archive period when first seen: it stays until a person says so, and is treated then, not deleted', async () => {
    const policy = await chain();
    put(policy, 'ancient', { at: new Date('1950-01-01') });
    expect(await run(policy)).toMatchObject({ archives: [], expired: [], totals: { treated: 0, deleted: 0 } });
    const saidBy = 'ann';
    const ordered = await runPolicy(world.context(), policy, { flush: true, expired: { saidBy } });
    expect(ordered).toMatchObject({
      archives: [],
      disposed: [],
      expired: [{ kind: 'treat-expired', outcomes: { treated: 1, deleted: 0 } }],
      totals: { treated: 1, deleted: 0 },
    });
    expect(found(policy, 'ancient')).toMatchObject({ text: '[redacted]', n: 1 });
    expect(await certificates()).toMatchObject([{ what: 'expired records treated', saidBy, records: { treated: 1 } }]);
    expect(await acts()).toContain('expired records treat outcome');
    const again = await runPolicy(world.context(), policy, { flush: true, expired: { saidBy } });
    expect(again).toMatchObject({ expired: [], totals: { treated: 0, deleted: 0 } });
  });

  test('changed between sealing and treating: it stays, its copy is void, and it is archived anew', async () => {
    const policy = await chain();
    put(policy, 'a');
    const context = world.context();
    const attacked = around({
      replaceGuarded: async (...args) => {
        put(policy, 'a', { text: 'new' });
        return await context.source.replaceGuarded(...args);
      },
    });
    expect(await run(policy, attacked)).toMatchObject({ totals: { archived: 1, changed: 1, treated: 0 } });
    expect(found(policy, 'a')).toMatchObject({ text: 'new' });
    expect(await run(policy)).toMatchObject({ totals: { archived: 1, treated: 1 } });
    await world.assertTotalsHold();
  });

  test('cut after the treating: the next run settles it as treated, and the copy counts', async () => {
    const policy = await chain();
    put(policy, 'a');
    const context = world.context();
    const cut = around({
      replaceGuarded: async (...args) => {
        await context.source.replaceGuarded(...args);
        throw new Error('cut');
      },
    });
    await run(policy, cut);
    world.letLeasesEnd();
    expect(await run(policy)).toMatchObject({ totals: { archived: 1, treated: 1, changed: 0 } });
  });

  test('a hold: nothing is archived and nothing treated; one that comes after sealing keeps the originals as they are', async () => {
    const policy = await chain();
    put(policy, 'a');
    const late = async () => {
      await holds(world.store).insert(aHold());
      world.clock.advance(11_000);
      return { replacedCount: 0 };
    };
    expect(await run(policy, around({ replaceGuarded: late }))).toMatchObject({ totals: { archived: 1, held: 1 } });
    expect(found(policy, 'a')).toMatchObject({ text: 'hello' });
    expect(await run(policy)).toMatchObject({ archives: [] });
  });
});
