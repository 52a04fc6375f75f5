/** The arguments of a script of the project: a wrong one is answered with the usage and exit code 2, not with a stack. */
import { type ParseArgsConfig, parseArgs } from 'node:util';

const WRONG_USAGE = 2;

/** Ends the process when the arguments are not those of `options`; a script takes no others. */
export function scriptArguments<T extends NonNullable<ParseArgsConfig['options']>>(options: T, usage: string) {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    if (!isWrongArgument(error)) throw error;
    console.error(`${error.message}\n\n${usage}`);
    return process.exit(WRONG_USAGE);
  }
}

function isWrongArgument(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_');
}
