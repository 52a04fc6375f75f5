/**
 * Text that may be shown: user names and passwords are taken out of every URL in it. Configuration errors, logs and
 * reports show addresses; none of them shows a secret.
 */

/** `mongodb://alice:secret@host/db` → `mongodb://***@host/db`. Text without a URL with credentials comes back as it is. */
export function withoutCredentials(text: string): string {
  return text.replace(CREDENTIALS, '$1***@').replace(SECRET_PARAMETER, (_all, start: string) => `${start}***`);
}

/** Greedy up to the last `@` before the path: a password may hold an `@` that somebody forgot to escape. */
const CREDENTIALS = /([a-z][a-z0-9+.-]*:\/\/)[^/?#\s]*@/gi;

/** Secrets in the query part of a connection string (MongoDB's TLS key password, session tokens). */
const SECRET_PARAMETER = /([?&][a-z]*(?:password|token|secret)[a-z]*=)[^&\s]+/gi;
