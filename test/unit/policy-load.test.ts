import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isMoraineError } from '../../src/errors.ts';
import { loadPolicies, loadPolicy, policiesOf } from '../../src/policy/load.ts';
import { toShape } from '../../src/policy/policy.ts';

const GOOD = `policy: chats
zone: Europe/Amsterdam
dataset:
  collection: support.chats
  owner: { field: owner }
  customer: { field: tenant }
trigger: { field: createdAt }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1000, share: 0.5 }
`;

const load = (text: string) => {
  const { loaded, problems } = loadPolicy('chats.yaml', text);
  if (loaded === null) throw new Error(problems.map((one) => `${one.line} ${one.field} ${one.expected}`).join('\n'));
  return loaded;
};
const problems = (text: string) => loadPolicy('chats.yaml', text).problems;
const swap = (from: string, to: string) => {
  if (!GOOD.includes(from)) throw new Error(`not in the example: ${from}`);
  return GOOD.replace(from, to);
};

test('defaults are spelled out in the normal form', () => {
  expect(load(GOOD).policy).toEqual({
    v: 1,
    name: 'chats',
    zone: 'Europe/Amsterdam',
    dataset: {
      collection: 'support.chats',
      owner: { field: 'owner' },
      customer: { field: 'tenant' },
      version: null,
      facets: {},
    },
    trigger: { kind: 'date', field: 'createdAt' },
    active: 'P2Y',
    disposition: 'archive',
    archive: { for: 'P7Y', vault: 'cold', verify: 'checksum', dueWindow: 'P30D', maxWait: 'P7D' },
    grace: 'P7D',
    limits: { records: 1000, share: 0.5 },
    schedule: null,
  });
});

describe('the version', () => {
  test.each([
    ['period in other words', swap('2 years', '24 months')],
    ['period in ISO 8601', swap('7 years', 'P7Y')],
    ['defaults written out', swap('vault: cold', 'vault: cold, verify: checksum, dueWindow: P30D, maxWait: 1 week')],
    ['comments and spaces', `# our chats\n${GOOD}\n\ngrace:   7 days # a week\n`],
    ['zone in another case', swap('Europe/Amsterdam', 'europe/amsterdam')],
    [
      'JSON',
      `{ "limits": { "share": 0.5, "records": 1e3 }, "policy": "chats", "zone": "Europe/Amsterdam",
         "dataset": { "customer": { "field": "tenant" }, "owner": { "field": "owner" }, "collection": "support.chats" },
         "trigger": { "field": "createdAt" }, "active": "2 years", "then": "archive",
         "archive": { "vault": "cold", "for": "7 years" } }`,
    ],
  ])('stays the same with: %s', (_case, text) => {
    expect(load(text).version).toBe(load(GOOD).version);
  });

  test.each([
    ['active', swap('2 years', '3 years')],
    ['owner', swap('{ field: owner }', '{ value: owner }')],
    ['a cap', swap('0.5', '0.6')],
    ['zone', swap('Europe/Amsterdam', 'Europe/Brussels')],
    ['trigger', swap('{ field: createdAt }', '{ objectId: createdAt }')],
    ['a facet', swap('owner: { field: owner }', 'owner: { field: owner }\n  facets: { ticket: { field: nr } }')],
  ])('changes with: %s', (_case, text) => {
    expect(load(text).version).not.toBe(load(GOOD).version);
  });

  test('is 64 hexadecimal digits, and this very one for this form: a change here forgets all published policies', () => {
    expect(load(GOOD).version).toMatch(/^[0-9a-f]{64}$/);
    expect(load(GOOD).version).toBe('a0dbf5fbf670ae7a29cc4a8720df532441d54f3fce464348a23dba307691d3b5');
  });
});

test('the shape for the source: kinds of trigger, version field and facets', () => {
  const full = swap(
    '{ field: tenant }',
    '{ value: all }\n  version: { field: rev }\n  facets: { subject: { field: a.b } }',
  );
  expect(toShape(load(full).policy)).toEqual({
    namespace: 'support.chats',
    owner: { field: 'owner' },
    customer: { value: 'all' },
    trigger: { field: 'createdAt', kind: 'date' },
    version: 'rev',
    facets: { subject: 'a.b' },
  });
  expect(toShape(load(GOOD).policy)).not.toHaveProperty('version');
  expect(toShape(load(swap('{ field: createdAt }', '{ objectId: _id }')).policy).trigger.kind).toBe('objectId');
  const expires = load(swap('{ field: createdAt }\nactive: 2 years', '{ expires: keepUntil }')).policy;
  expect(expires.active).toBeNull();
  expect(expires.trigger).toEqual({ kind: 'expires', field: 'keepUntil' });
  expect(toShape(expires).trigger).toEqual({ field: 'keepUntil', kind: 'date' });
});

describe('a wrong policy names file, line and field', () => {
  test.each([
    ['a name with capitals', swap('policy: chats', 'policy: Chats'), 1, 'policy'],
    ['an offset as a zone', swap('Europe/Amsterdam', '"+02:00"'), 2, 'zone'],
    ['a zone that is not there', swap('Europe/Amsterdam', 'Europe/Atlantis'), 2, 'zone'],
    ['a collection without database', swap('support.chats', 'chats'), 4, 'dataset.collection'],
    ['a database of MongoDB itself', swap('support.chats', 'local.oplog'), 4, 'dataset.collection'],
    ['an empty owner', swap('{ field: owner }', '{ value: "" }'), 5, 'dataset.owner.value'],
    ['field and value at once', swap('{ field: owner }', '{ field: owner, value: x }'), 5, 'dataset.owner'],
    ['a field that begins with $', swap('{ field: tenant }', '{ field: $tenant }'), 6, 'dataset.customer.field'],
    ['a trigger that is text', swap('{ field: createdAt }', 'createdAt'), 7, 'trigger'],
    ['a trigger with an empty path part', swap('{ field: createdAt }', '{ field: a..b }'), 7, 'trigger.field'],
    ['a period in years of two halves', swap('2 years', '1.5 years'), 8, 'active'],
    ['a period that is a number', swap('active: 2 years', 'active: 2'), 8, 'active'],
    ['no period', swap('active: 2 years', 'active: 0 days'), 8, 'active'],
    ['another disposition', swap('then: archive', 'then: keep'), 9, 'then'],
    ['an archive of what is deleted', swap('then: archive', 'then: delete'), 10, 'archive'],
    ['a level that is not there', swap('vault: cold', 'vault: cold, verify: twice'), 10, 'archive.verify'],
    ['a cron line of six fields', `${GOOD}schedule: "0 0 2 * * *"\n`, 12, 'schedule'],
    ['a cron line with a random time', `${GOOD}schedule: "H 2 * * *"\n`, 12, 'schedule'],
    ['30 February', `${GOOD}schedule: "0 2 30 2 *"\n`, 12, 'schedule'],
    ['a wait beyond the default grace', swap('vault: cold', 'vault: cold, maxWait: 8 days'), 10, 'archive.maxWait'],
    [
      'a wait that is longer in February only',
      `${swap('vault: cold', 'vault: cold, maxWait: 30 days')}grace: 1 month\n`,
      10,
      'archive.maxWait',
    ],
    ['active beside expires', swap('{ field: createdAt }', '{ expires: createdAt }'), 8, 'active'],
    ['an unknown key of the language itself', `${GOOD}__proto__: { records: 1 }\n`, 12, '__proto__'],
  ])('%s', (_case, text, line, field) => {
    expect(problems(text).map((problem) => [problem.file, problem.line, problem.field])).toEqual([
      ['chats.yaml', line, field],
    ]);
  });

  test('a missing active period is asked for', () => {
    expect(problems(swap('active: 2 years\n', ''))[0]).toMatchObject({ field: 'active', found: 'nothing' });
  });

  test('another disposition is refused in a clear sentence', () => {
    expect(problems(swap('then: archive', 'then: keep'))[0]?.expected).toBe(
      'archive, delete, anonymise, redact or pseudonymise, or a list of them such as [archive, anonymise]',
    );
  });

  test('unknown keys at every depth, with what was probably meant', () => {
    const text = GOOD.replace('zone:', 'zome:')
      .replace('customer:', 'costumer:')
      .replace('vault:', 'valt:')
      .replace('{ field: owner', '{ filed: owner');
    const hints = problems(text).flatMap(({ field, hint }) =>
      hint?.startsWith('Did you') ? [`${field} ${hint}`] : [],
    );
    expect(hints).toEqual([
      'zome Did you mean zone?',
      'dataset.owner.filed Did you mean field?',
      'dataset.costumer Did you mean customer?',
      'archive.valt Did you mean vault?',
    ]);
  });

  test('an unknown key that is like nothing gets no hint', () => {
    expect(problems(`${GOOD}retention: 2 years\n`)[0]?.hint).toBeUndefined();
  });

  test('what is no YAML, no map, empty, doubled, or unfolds without end', () => {
    const bomb =
      'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n';
    for (const text of ['a: [b', '- 1', '', 'text', `${GOOD}policy: chats\n`, `${GOOD}---\n${GOOD}`, bomb]) {
      expect(problems(text).length, text).toBeGreaterThan(0);
    }
  });

  test('no text at all makes it throw', () => {
    const lines = GOOD.split('\n');
    fc.assert(
      fc.property(
        fc.nat(lines.length),
        fc.string({ unit: 'grapheme', maxLength: 30 }),
        fc.boolean(),
        (at, text, replace) => {
          const changed = lines.toSpliced(at, replace ? 1 : 0, text).join('\n');
          const { loaded, problems: found } = loadPolicy('chats.yaml', changed);
          expect(loaded === null).toBe(found.length > 0);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('caps that make no sense close the policy and do not break it', () => {
  test.each([
    ['missing', swap('limits: { records: 1000, share: 0.5 }\n', ''), { records: null, share: null }, 2],
    ['no map', swap('{ records: 1000, share: 0.5 }', 'none'), { records: null, share: null }, 2],
    ['zero', swap('1000', '0'), { records: null, share: 0.5 }, 1],
    ['NaN', swap('0.5', '.nan'), { records: 1000, share: null }, 1],
    ['infinite', swap('1000', '.inf'), { records: null, share: 0.5 }, 1],
    ['a broken number', swap('1000', '10.5'), { records: null, share: 0.5 }, 1],
    ['text', swap('1000', '"1000"'), { records: null, share: 0.5 }, 1],
    ['a share above all', swap('0.5', '50'), { records: 1000, share: null }, 1],
    ['negative', swap('0.5', '-0.5'), { records: 1000, share: null }, 1],
    ['a slip of the hand', swap('share:', 'shares:'), { records: 1000, share: null }, 2],
  ])('%s', (_case, text, limits, warnings) => {
    const loaded = load(text);
    expect(loaded.policy.limits).toEqual(limits);
    expect(loaded.warnings).toHaveLength(warnings);
    expect(loaded.warnings[0]?.field).toMatch(/^limits/);
    expect(loaded.version).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('several files', () => {
  test('two policies with one name, or for one collection: the second is refused, naming the first', () => {
    const other = GOOD.replace('policy: chats', 'policy: more');
    const { loaded, problems: found } = loadPolicies([
      { file: 'a.yaml', text: GOOD },
      { file: 'b.yaml', text: GOOD },
      { file: 'c.yaml', text: other },
      { file: 'd.yaml', text: other.replace('support.chats', 'support.more') },
    ]);
    expect(loaded.map(({ file }) => file)).toEqual(['a.yaml', 'd.yaml']);
    expect(found.map(({ file, line, field }) => [file, line, field])).toEqual([
      ['b.yaml', 1, 'policy'],
      ['b.yaml', 4, 'dataset.collection'],
      ['c.yaml', 4, 'dataset.collection'],
    ]);
    expect(found[0]?.expected).toContain('a.yaml');
  });

  test('for commands that act, any problem is POLICY_INVALID with one line for each', () => {
    const files = [
      { file: 'a.yaml', text: GOOD },
      { file: 'b.yaml', text: swap('2 years', 'soon') },
    ];
    try {
      policiesOf(files);
      expect.fail('it accepted a wrong policy');
    } catch (error) {
      if (!isMoraineError(error, 'POLICY_INVALID')) throw error;
      expect(error.message).toMatch(/^b\.yaml:8: active: expected a period .*, found "soon"$/);
      expect(error.ids).toMatchObject({ file: 'b.yaml', line: 8, field: 'active' });
    }
  });
});
