/** Every rule that was considered for a record: always all of them, in one order, each with whether it applies. */
import { describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { policiesOf } from '../../src/policy/load.ts';
import { considerRules, RULES, type RuleFacts } from '../../src/policy/rules.ts';

const DUE = Date.parse('2026-01-31T09:00:00Z');
const [loaded] = policiesOf([
  {
    file: 'chats.yaml',
    text: `policy: chats
zone: UTC
dataset: { collection: support.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: createdAt }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1000, share: 0.5 }
`,
  },
]);
if (loaded === undefined) throw new Error('There is no policy.');

const GOES: RuleFacts = {
  policy: loaded.policy,
  published: 'in force',
  facts: {
    owner: id.owner('acme'),
    customer: id.customer('north'),
    trigger: Date.parse('2024-01-31T09:00:00Z'),
    exemptUntil: null,
    quarantined: false,
    unfit: [],
  },
  now: DUE,
  configuration: null,
  quarantine: null,
  holds: [],
  pauses: [],
  uncleared: null,
  plan: {
    seal: { seal: true, reason: 'waited', text: 'The oldest due record has waited 7 days.' },
    caps: { ok: true },
  },
};

/** Names of the rules that apply, besides the two that always do. */
function applying(changes: Partial<RuleFacts>): readonly string[] {
  const { rules } = considerRules({ ...GOES, ...changes });
  const names = rules.map(({ rule }) => rule);
  expect([...new Set(names)]).toEqual(RULES);
  for (const { text } of rules) expect(text).toMatch(/^[A-Z].*\.$/s);
  return rules.filter(({ applies, rule }) => applies && rule !== 'policy' && rule !== 'disposition').map((r) => r.rule);
}
const facts = (changes: Partial<RuleFacts['facts']>) => ({ facts: { ...GOES.facts, ...changes } });
const onAll = { id: 'hold-1 (case C-1)', covers: () => true, until: null };

describe('each rule applies by its own fact, and nothing else does', () => {
  test.each<[string, Partial<RuleFacts>, readonly string[]]>([
    ['a record that goes', {}, []],
    ['a file that differs', { published: 'file differs' }, ['in-force']],
    ['never published', { published: 'never published' }, ['in-force']],
    ['no owner', facts({ owner: null, unfit: ['owner-unusable'] }), ['owner']],
    ['no customer, and no reason why', facts({ customer: null }), ['customer']],
    ['no trigger', facts({ trigger: null, unfit: ['trigger-unusable'] }), ['trigger']],
    ['bytes that no guard can compare', facts({ unfit: ['not-canonical'] }), ['bytes']],
    ['an owner that moraine.yaml lacks', { configuration: 'Owner acme is not in moraine.yaml.' }, ['configuration']],
    ['in quarantine', { quarantine: { state: 'open', text: 'It changed.' } }, ['quarantine']],
    ['left by a person', { quarantine: { state: 'disposed', text: 'It changed.' } }, ['quarantine']],
    ['a mark without an entry', facts({ quarantined: true }), ['quarantine']],
    ['a millisecond early', { now: DUE - 1 }, ['active-period']],
    ['restored', facts({ exemptUntil: DUE + 1 }), ['exemption']],
    ['held', { holds: [onAll, { ...onAll, covers: () => false }] }, ['hold']],
    [
      'a hold that cannot be told',
      {
        holds: [
          {
            ...onAll,
            covers: () => {
              throw new Error('no key');
            },
          },
        ],
      },
      ['hold'],
    ],
    ['past its archive period', { now: Date.parse('2033-01-31T09:00:00Z'), plan: null }, ['archive-period']],
    ['paused twice', { pauses: ['pause-1 (all)', 'pause-2 (owner acme)'] }, ['pause', 'pause']],
    ['below a bound', { uncleared: { archive: 'a1', state: 'stored', reaches: true } }, ['uncleared-archive']],
    ['above a bound', { uncleared: { archive: 'a1', state: 'stored', reaches: false } }, []],
    [
      'waiting for more',
      { plan: { seal: { seal: false, reason: 'waiting', until: DUE, text: 'Waits for more.' }, caps: { ok: true } } },
      ['waiting'],
    ],
    [
      'over a cap',
      {
        plan: {
          seal: { seal: true, reason: 'full', text: 'Full.' },
          caps: { ok: false, cap: 'share', text: 'too much' },
        },
      },
      ['caps'],
    ],
    ['a plan that cannot be made', { plan: { problem: 'The index is missing.' } }, ['waiting', 'caps']],
  ])('%s', (_case, changes, wanted) => {
    expect(applying(changes)).toEqual(wanted);
  });
});

test('a hold that was released says until when it still holds', () => {
  const { rules, outcome } = considerRules({ ...GOES, holds: [{ ...onAll, until: 'tomorrow' }] });
  expect(outcome.decision).toBe('held');
  expect(rules.find(({ rule }) => rule === 'hold')?.text).toBe(
    'Legal hold hold-1 (case C-1) covers this record. It is released, and holds until tomorrow.',
  );
});
