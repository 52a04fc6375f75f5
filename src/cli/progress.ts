/** What a command has done so far: a bar on a terminal, and the counts for whoever stops it half way. */
import { SingleBar } from 'cli-progress';
import type { Progress } from '../lifecycle/context.ts';
import type { Session } from './session.ts';
import { count, counted } from './words.ts';

export interface WorkProgress {
  /** For `Session.contextOf`. */
  readonly progress: Progress;
  /** In words: what was done up to now. */
  done(): string;
  end(): void;
}

/** `title` stands before the bar. Without a terminal on stderr, and with `--json`, nothing is drawn. */
export function workProgress(session: Session, title: string): WorkProgress {
  const counts = { planned: 0, archived: 0, deleted: 0, stored: 0, purged: 0 };
  const isDrawn = process.stderr.isTTY && !session.output.isJson;
  const bar = isDrawn
    ? new SingleBar({
        format: `${title} {bar} {archived} archived, {deleted} deleted of {planned}`,
        stream: process.stderr,
        clearOnComplete: true,
        hideCursor: true,
        barsize: 30,
      })
    : null;
  // Archiving and deleting are half of the work each.
  const draw = () => {
    if (bar === null || counts.planned === 0) return;
    const words = { archived: count(counts.archived), deleted: count(counts.deleted), planned: count(counts.planned) };
    if (!bar.isActive) bar.start(counts.planned * 2, 0, words);
    bar.setTotal(counts.planned * 2);
    bar.update(counts.archived + counts.deleted, words);
  };
  return {
    progress: {
      planned: (records) => {
        counts.planned += records;
        draw();
      },
      archived: (records) => {
        counts.archived += records;
        draw();
      },
      cleared: (outcome, records) => {
        if (outcome === 'deleted') counts.deleted += records;
        draw();
      },
      moved: (_archive, to) => {
        if (to === 'stored') counts.stored += 1;
        if (to === 'purged') counts.purged += 1;
      },
    },
    done: () => {
      const parts = [
        ...(counts.stored > 0 ? [`${counted(counts.stored, 'archive')} stored`] : []),
        ...(counts.deleted > 0 ? [`${counted(counts.deleted, 'record')} deleted`] : []),
        ...(counts.purged > 0 ? [`${counted(counts.purged, 'archive')} purged`] : []),
      ];
      const finished =
        parts.length === 0 ? 'Nothing was finished before it stopped.' : `Before it stopped: ${parts.join(', ')}.`;
      return `${finished} What was under way is settled by the next run.`;
    },
    end: () => bar?.stop(),
  };
}
