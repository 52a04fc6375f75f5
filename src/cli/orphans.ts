/** Children without a root, as `plan` and `check` tell them: what the last looks of runs found. */
import { findOrphanLooks, type OrphanCounts, orphansOf } from '../ledger/orphan-looks.ts';
import type { Store } from '../ledger/store.ts';
import { count, day } from './words.ts';

export interface OrphanAnswer extends OrphanCounts {
  readonly collection: string;
  /** When all of them were looked at last; null: the first pass goes on, and what is told is what it has found so far. */
  readonly lookedAt: Date | null;
}

export async function orphanAnswers(store: Store, policy: string): Promise<readonly OrphanAnswer[]> {
  const answers: OrphanAnswer[] = [];
  for await (const look of findOrphanLooks(store, policy)) {
    answers.push({ collection: look.collection, lookedAt: look.last?.endedAt ?? null, ...orphansOf(look) });
  }
  return answers;
}

/** One for each collection in which there are any. */
export function orphanTexts(answers: readonly OrphanAnswer[]): readonly string[] {
  return answers.flatMap(({ collection, lookedAt, unknown, past, foreign, waiting }) => {
    const kinds = [
      [unknown, 'whose root nothing that Moraine knows deleted: they stay'],
      [foreign, 'of another owner or customer than their root had: they stay'],
      [waiting, 'that wait for a hold, or for what is done with the archive of their root'],
      [past, 'of which no copy of the root is kept: they are past their date'],
    ] as const;
    const there = kinds.flatMap(([children, what]) => (children === 0 ? [] : [`${count(children)} ${what}`]));
    if (there.length === 0) return [];
    const when = lookedAt === null ? 'found so far' : `all looked at on ${day(lookedAt)}`;
    return [`Children without a root in ${collection} (${when}): ${there.join('; ')}.`];
  });
}
