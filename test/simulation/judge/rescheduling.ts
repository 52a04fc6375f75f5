/** Purge dates of archives that people move: later at once, earlier with a yes of another person for exactly that. */
import { grants } from './approvals.ts';
import type { Known } from './known.ts';
import type { LedgerWrite } from './ledger-changes.ts';
import type { Report } from './properties.ts';
import { asFields, asInstant, asList, asText } from './values.ts';

export function seeMovedDate(known: Known, report: Report, { by, before, after }: LedgerWrite): void {
  if (after === null) return;
  const last = asFields(asList(after['rescheduled']).at(-1));
  const [was, is] = [asInstant(before?.['dueAt']), asInstant(after['dueAt'])];
  const to = asInstant(last['to']);
  if (to !== null) known.movedTo.set(after._id, to);
  if (before === null || was === null || is === null || is >= was || known.isLedgerSetBack) return;
  // Another attempt is another file; and what is purged early was granted by its own name.
  const isSameFile = before['attempt'] === after['attempt'];
  const isEarly = asFields(before['early'])['approval'] !== asFields(after['early'])['approval'];
  if (!isSameFile || isEarly) return;
  const approval = asText(last['approval']);
  const isGranted = grants(known, 'reschedule').some(
    ({ id, items, shown }) =>
      id === approval &&
      items.includes(after._id) &&
      asList(shown['purgeEarlier']).some((each) => {
        const { archive, from, to } = asFields(each);
        return archive === after._id && from === new Date(was).toISOString() && to === new Date(is).toISOString();
      }),
  );
  if (isGranted) return;
  const dates = `from ${new Date(was).toISOString()} to ${new Date(is).toISOString()}`;
  report(
    'rescheduled-without-approval',
    `Archive ${after._id} was moved ${dates} by ${by}, and nobody granted exactly that.`,
  );
}
