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

/** For one problem among others, by its code: a record or archive that was put aside needs a person, the rest was done. */
export function exitCodeOfProblem(code: string): ExitCode {
  const kind = Object.entries(ERROR_KINDS).find(([name]) => name === code)?.[1];
  if (kind?.class === 'quarantine') return EXIT.person;
  return kind === undefined ? EXIT.failed : exitCodeOfClass(kind.class);
}

/** What weighs most decides: a failure, then a wrong policy, then what needs a person. */
export function worst(codes: Iterable<ExitCode>): ExitCode {
  const all = new Set(codes);
  return [EXIT.failed, EXIT.usage, EXIT.person].find((code) => all.has(code)) ?? EXIT.done;
}

function exitCodeOfClass(cls: ErrorClass): ExitCode {
  if (cls === 'usage') return EXIT.usage;
  return cls === 'person' ? EXIT.person : EXIT.failed;
}
