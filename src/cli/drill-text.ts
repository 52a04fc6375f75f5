/** Drills as people and scripts read them. */
import type { DrillDocument } from '../ledger/drills.ts';
import { table } from './output.ts';
import { count, counted, instant } from './words.ts';

export function drillView(drill: DrillDocument) {
  const { _id: id, state, owner, customer, location, by, tier, of, sample, reason, startedAt, endedAt } = drill;
  const { key, name } = location;
  return { id, state, owner, customer, vault: name, key, by, tier, of, sample, reason, startedAt, endedAt };
}

export function drillTable(drills: readonly DrillDocument[]): string {
  if (drills.length === 0) return 'No drill was made yet: `moraine drill --identity FILE`.';
  return table(
    ['drill', 'vault', 'owner', 'customer', 'state', 'archives', 'of', 'begun', 'ended'],
    drills.map(({ _id, location, owner, customer, state, sample, of, startedAt, endedAt }) => [
      ...[
        _id,
        location.name,
        owner,
        customer,
        state,
        count(sample.length),
        count(of),
        instant(startedAt),
        instant(endedAt),
      ],
    ]),
  );
}

const MARKS = { passed: '✓', failed: '✗', waiting: '·', gone: '·' } as const;

export function drillLines({ _id, location, state, of, sample, reason }: DrillDocument): readonly string[] {
  return [
    `Drill ${_id} of vault ${location.name}: ${state}${reason === null ? '' : ` (${reason})`}; ${count(sample.length)} of ${counted(of, 'archive')}, chosen at random.`,
    ...sample.map(({ archive, outcome, text, records, children, attachments }) => {
      const units = `${counted(children, 'child', 'children')}, ${counted(attachments, 'attachment')}`;
      const what = {
        passed: `${counted(records, 'record')}, ${units} came back as they went`,
        failed: text ?? 'it differs',
        waiting: 'waits',
        gone: 'was purged before it was compared',
      }[outcome];
      return `  ${MARKS[outcome]} ${archive}: ${what}`;
    }),
  ];
}
