/**
 * Text that may be shown: user names and passwords are taken out of every URL in it. Configuration errors, logs and
 * reports show addresses; none of them shows a secret.
 */

/** `mongodb://alice:secret@host/db` → `mongodb://***@host/db`. Text without a URL with credentials comes back as it is. */
export function withoutCredentials(text: string): string {
  return text.replace(CREDENTIALS, '$1***@').replace(SECRET_PARAMETER, (_all, start: string) => `${start}***`);
}

/**
 * The hosts and database of a connection string, without user, password and options; nothing of what is none, for
 * nobody knows where a secret is in it.
 */
export function mongoAddress(url: string): string {
  const parts = /^(mongodb(?:\+srv)?:\/\/)(?:.*@)?([^/?#]*)(\/[^?#]*)?/.exec(url);
  return parts === null ? '(not a mongodb:// url)' : `${parts[1]}${parts[2]}${parts[3] ?? ''}`;
}

/** Greedy up to the last `@` of the word: a password may hold an `@`, `/` or `?` that somebody forgot to escape. */
const CREDENTIALS = /([a-z][a-z0-9+.-]*:\/\/)\S*@/gi;

/** Secrets in the query part of a connection string (MongoDB's TLS key password, session tokens). */
const SECRET_PARAMETER = /([?&][a-z]*(?:password|token|secret)[a-z]*=)[^&\s]+/gi;
