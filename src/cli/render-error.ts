/** An error as a person or a script reads it: what happened, what was changed, whether it is tried again, what to do. */
import { MoraineError, unreachable } from '../errors.ts';
import { instant } from './words.ts';

/** Everything that was thrown, as ours: what is not a MoraineError is our own mistake. */
export function asMoraineError(error: unknown): MoraineError {
  if (error instanceof MoraineError) return error;
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new MoraineError('INTERNAL', text, { cause: error, changed: 'What was changed before is not known.' });
}

/** The value of `error` in the JSON document of a command that failed. */
export function errorDocument(error: MoraineError): Record<string, unknown> {
  return {
    code: error.code,
    class: error.class,
    message: error.message,
    changed: error.changed,
    hint: error.hint,
    retryAt: error.retryAt?.toISOString() ?? null,
    ids: error.ids,
  };
}

export function errorText(error: MoraineError): string {
  const ids = Object.entries(error.ids).map(([name, value]) => `${name} ${value}`);
  const [first, ...rest] = error.message.split('\n');
  return [
    `✗ ${first}`,
    ...rest.map((line) => `  ${line}`),
    `  Changed: ${error.changed}`,
    `  Again:   ${again(error)}`,
    `  Hint:    ${error.hint}`,
    ...(ids.length === 0 ? [] : [`  About:   ${ids.join(', ')}`]),
    `  Code:    ${error.code}`,
  ].join('\n');
}

function again(error: MoraineError): string {
  switch (error.class) {
    case 'retry':
      return 'Nothing is tried again by itself here; run the same command again.';
    case 'later':
      return error.retryAt === undefined
        ? 'Not now; run the same command again later.'
        : `Not before ${instant(error.retryAt)}; then run the same command again.`;
    case 'unknown':
      return 'It may have happened. The next run asks first and goes on from there.';
    case 'person':
      return 'Not before a person has decided.';
    case 'quarantine':
      return 'This one waits for a person; everything else goes on.';
    case 'usage':
      return 'Nothing was started. Correct it, then run the command again.';
    case 'failed':
      return 'The same command would fail again until something is changed.';
    case 'bug':
      return 'No. This should be impossible.';
    default:
      return unreachable(error.class, 'error class');
  }
}
