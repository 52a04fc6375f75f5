/** A bar over things that are counted: on a terminal only, and never with `--json`. */
import { SingleBar } from 'cli-progress';
import type { Session } from './session.ts';
import { count } from './words.ts';

export interface CountBar {
  at(done: number): void;
  end(): void;
}

/** `title` stands before the bar, `noun` after its numbers. */
export function countBar(session: Session, title: string, noun: string, total: number): CountBar {
  if (!process.stderr.isTTY || session.output.isJson || total === 0)
    return { at: () => undefined, end: () => undefined };
  const bar = new SingleBar({
    format: `${title} {bar} {done} of {all} ${noun}`,
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    barsize: 30,
  });
  bar.start(total, 0, { done: count(0), all: count(total) });
  return { at: (done) => bar.update(Math.min(done, total), { done: count(done) }), end: () => bar.stop() };
}
