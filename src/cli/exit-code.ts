/** Exit codes (design 10), and how several outcomes of one command become one. */
import { ERROR_KINDS, type ErrorClass, errorClass } from '../errors.ts';

export const EXIT = {
  done: 0,
  failed: 1,
  /** Wrong usage, configuration or policy. */
  usage: 2,
  /** Done, and this command met something new that needs a person. */
  person: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** For an error that ended a command. */
export function exitCodeOf(error: unknown): ExitCode {
  return exitCodeOfClass(errorClass(error));
}

/**
 * For one problem of a command that did the rest, by its code: a record or archive that was put aside, and an owner that
 * the configuration lacks, need a person; 2 is for what was not started at all.
 */
export function exitCodeOfProblem(code: string): ExitCode {
  const kind = Object.entries(ERROR_KINDS).find(([name]) => name === code)?.[1];
  return kind !== undefined && FOR_A_PERSON.includes(kind.class) ? EXIT.person : EXIT.failed;
}

const FOR_A_PERSON: readonly ErrorClass[] = ['quarantine', 'person', 'usage'];

/** What weighs most decides: a failure, then a wrong policy, then what needs a person. */
export function worst(codes: Iterable<ExitCode>): ExitCode {
  const all = new Set(codes);
  return [EXIT.failed, EXIT.usage, EXIT.person].find((code) => all.has(code)) ?? EXIT.done;
}

function exitCodeOfClass(cls: ErrorClass): ExitCode {
  if (cls === 'usage') return EXIT.usage;
  return cls === 'person' ? EXIT.person : EXIT.failed;
}
