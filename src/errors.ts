/**
 * Every error that Moraine raises on purpose, in one list.
 *
 * An error says what happened, to which record or archive, whether anything was changed, whether it will be tried
 * again, and what the operator can do. Its text holds ids only: no record content and no personal data.
 * `docs/errors.md` is compared with this list by a test.
 */

/**
 * What the caller may do about an error:
 * - `retry`: the same call, soon.
 * - `later`: not now (throttled, an inventory that is not there yet); `retryAt` says when where it is known.
 * - `unknown`: the effect may have happened; ask the outside world before anything else.
 * - `person`: a person must decide or repair (approval, cap, clock, access). Exit code 3.
 * - `quarantine`: this record or archive only; the rest goes on.
 * - `usage`: wrong command, configuration or policy. Exit code 2, nothing was started.
 * - `failed`: this command failed and will fail again unchanged. Exit code 1.
 * - `bug`: our own mistake; stop this work, loudly.
 */
export type ErrorClass = 'retry' | 'later' | 'unknown' | 'person' | 'quarantine' | 'usage' | 'failed' | 'bug';

interface ErrorKind {
  readonly class: ErrorClass;
  /** One sentence for `docs/errors.md`: what it means. */
  readonly meaning: string;
  /** One sentence for the operator: what to do next. */
  readonly hint: string;
}

/** Stable codes. A code is never reused for another meaning. */
export const ERROR_KINDS = {
  // Usage, configuration and policies
  USAGE: {
    class: 'usage',
    meaning: 'The command line is not one that Moraine knows.',
    hint: 'Run the command with --help.',
  },
  CONFIG_INVALID: {
    class: 'usage',
    meaning: 'moraine.yaml is missing, cannot be read or has a wrong value.',
    hint: 'Correct the file and field that the message names, then run `moraine check`.',
  },
  POLICY_INVALID: {
    class: 'usage',
    meaning: 'A policy file has a wrong or missing value.',
    hint: 'Correct the line that the message names, then run `moraine check`.',
  },
  POLICY_UNKNOWN: { class: 'usage', meaning: 'No policy has that name.', hint: 'Run `moraine policy list`.' },
  POLICY_NOT_PUBLISHED: {
    class: 'usage',
    meaning: 'The policy is in a file but was never put into force.',
    hint: 'Run `moraine policy publish`.',
  },
  INDEX_MISSING: {
    class: 'usage',
    meaning:
      'The collection has no index that begins with owner, customer and trigger, so the policy would scan it whole.',
    hint: 'Create the index that `moraine check` prints.',
  },
  DATASET_UNFIT: {
    class: 'usage',
    meaning:
      'The collection is a view, capped, a time series or has a collation: a guarded delete cannot be trusted there.',
    hint: 'Choose another collection; `moraine check` says why.',
  },
  OWNER_UNKNOWN: {
    class: 'usage',
    meaning: 'A record or policy names an owner that moraine.yaml does not.',
    hint: 'Add the owner with its administrators to moraine.yaml.',
  },
  AS_OF_REFUSED: {
    class: 'usage',
    meaning: '--as-of moves what is due and is allowed in a sandbox only, never with --queue.',
    hint: 'Leave --as-of away, or use an environment that is stamped as sandbox.',
  },
  ENVIRONMENT_MISMATCH: {
    class: 'usage',
    meaning:
      'moraine.yaml names another environment than the one stamped into the ledger, a sandbox has an address outside loopback, or a non-production installation would restore into a server that is, or may be, of production.',
    hint: 'Use the configuration that belongs to this ledger.',
  },
  BY_REFUSED: {
    class: 'usage',
    meaning: '--by names who acts without proof and is allowed in a sandbox only.',
    hint: 'Leave --by away: the account that runs the command is who acts.',
  },
  APPROVAL_UNKNOWN: { class: 'usage', meaning: 'No approval has that id.', hint: 'Run `moraine approve list`.' },
  APPROVAL_CLOSED: {
    class: 'failed',
    meaning: 'The approval is decided, used or expired: nothing can be said to it any more.',
    hint: 'Look at it with `moraine approve show`; run the command that needs it again to ask anew.',
  },
  EXCEPTION_UNKNOWN: { class: 'usage', meaning: 'No exception has that id.', hint: 'Run `moraine exception list`.' },
  // A person is needed
  RETRIEVAL_NOT_ALLOWED: {
    class: 'person',
    meaning: "Only a designated administrator of an archive's owner may ask for it.",
    hint: 'Let an administrator of that owner ask: with --identity FILE, or under the account that moraine.yaml names.',
  },
  OWNER_WITHOUT_ADMINISTRATOR: {
    class: 'person',
    meaning:
      'The owner has no administrator whose key could open an archive, or in production fewer than two proven ones with one for recovery.',
    hint: 'Run `moraine administrator new`, add the recipient to moraine.yaml, then `moraine administrator prove`.',
  },
  BLAST_CAP: {
    class: 'person',
    meaning:
      'The run would take more records, or a larger share of the collection, than the policy allows; or a cap is missing, zero or not a number.',
    hint: 'Look at `moraine plan`; raise `limits` in the policy and publish it if the amount is right.',
  },
  CLOCK_DISAGREES: {
    class: 'person',
    meaning: 'Our clock, MongoDB and the vault do not agree within 60 seconds, or the clock went backward.',
    hint: 'Repair the clock (NTP), then run `moraine check`.',
  },
  CLOCK_JUMPED: {
    class: 'person',
    meaning: 'The clock is more than 36 hours past the last time the ledger saw.',
    hint: 'If the service was off for that long, run `moraine check --yes`.',
  },
  LEDGER_BEHIND_VAULT: {
    class: 'person',
    meaning:
      'The vault holds an archive of this installation that is newer than the newest audit entry: the ledger is a restored backup.',
    hint: 'Run `moraine reconcile` and repair the ledger; all destructive work has stopped.',
  },
  KEY_STORE_BEHIND: {
    class: 'person',
    meaning: 'A key store holds keys that the ledger says were destroyed: it was restored from a backup.',
    hint: 'Run `moraine keys status`, then `moraine keys replay`; nothing is archived or destroyed until then.',
  },
  LEDGER_REBUILT: {
    class: 'person',
    meaning: 'The ledger was rebuilt from the vaults, and nobody has accepted it yet: holds are not in it.',
    hint: 'Finish `moraine rebuild`, place the holds that were in force, then run `moraine rebuild --accept`.',
  },
  LEDGER_NOT_EMPTY: {
    class: 'usage',
    meaning: 'A ledger is rebuilt into an empty database only, or into one that a rebuild has begun.',
    hint: 'Name an empty ledger under `mongodb.ledger` in moraine.yaml; keep the key store as it is.',
  },
  INSTALLATION_UNKNOWN: {
    class: 'usage',
    meaning: 'The vaults do not say which installation is to be rebuilt: none is tagged, or several are.',
    hint: 'Name one of those that were found: `moraine rebuild --installation ID`.',
  },
  LEDGER_NEWER: {
    class: 'person',
    meaning: 'The ledger holds documents of a newer version of Moraine.',
    hint: 'Use the newer version; this one does nothing destructive.',
  },
  CHANGED_RESOURCE_NOT_OURS: {
    class: 'person',
    meaning: 'A vault or bucket of the expected name belongs to someone else.',
    hint: 'Choose another vault prefix or bucket template.',
  },
  VAULT_OF_ANOTHER_ENVIRONMENT: {
    class: 'person',
    meaning: 'A vault or bucket of the expected name holds what another environment archived: production, or not.',
    hint: 'Use another prefix or bucket template, or another account, for each environment.',
  },
  PLACEMENT_REFUSED: {
    class: 'person',
    meaning:
      'The owner requires regions, and its source, vault, key store or store of attachments is declared outside of them, or not at all.',
    hint: 'Correct the region that the message names, or `owners.<owner>.region`; nothing of this owner is archived until then.',
  },
  NOTICE_UNDELIVERED: {
    class: 'person',
    meaning: 'An owner could not be told: a way refused the message, or did not take it for a day and a half.',
    hint: 'Look at `moraine notify list`, repair the way or the contact, then `moraine notify send --again`.',
  },
  VAULT_LIMIT: {
    class: 'person',
    meaning: 'The account and region would hold more vaults than the service allows.',
    hint: 'Place owners on an account or region of their own.',
  },
  VAULT_VETO: {
    class: 'person',
    meaning: 'A vault lock or Object Lock refuses the delete.',
    hint: 'Wait until the lock allows it; the archive is kept and reported.',
  },
  CONFIRMATION_NEEDED: {
    class: 'person',
    meaning: 'The command destroys or publishes and was not confirmed.',
    hint: 'Answer the question, or pass --yes.',
  },
  APPROVAL_NEEDED: {
    class: 'person',
    meaning: 'The command does what another person has to approve, and asked for it.',
    hint: 'Another person looks at it with `moraine approve show` and grants it; then run the same command again.',
  },
  APPROVAL_REFUSED: {
    class: 'person',
    meaning: 'Another person has refused exactly this. The refusal is final.',
    hint: 'Look at the reason with `moraine approve show`; ask for something else.',
  },
  APPROVAL_NOT_ALLOWED: {
    class: 'person',
    meaning: 'Who asked for an approval cannot grant it, nor anybody who is not asked, nor one person twice.',
    hint: 'Let one of the people that `moraine approve show` names look at it.',
  },
  IDENTITY_WRONG: {
    class: 'failed',
    meaning: 'The identity does not open what it was given, or its passphrase is wrong.',
    hint: 'Use the identity of one of the administrators that the message names.',
  },
  // Servers and races
  MONGODB_UNAVAILABLE: {
    class: 'retry',
    meaning: 'MongoDB cannot be reached.',
    hint: 'Check mongodb.url and that the server runs.',
  },
  MONGODB_REFUSED: {
    class: 'failed',
    meaning: 'MongoDB refused the command.',
    hint: 'Check the access rights and the message of the server.',
  },
  REDIS_UNAVAILABLE: {
    class: 'retry',
    meaning: 'Redis cannot be reached.',
    hint: 'Check redis.url and that the server runs; every act also works without it in the foreground.',
  },
  REDIS_EVICTS: {
    class: 'person',
    meaning: 'Redis may evict keys, so jobs could vanish.',
    hint: 'Set maxmemory-policy to noeviction.',
  },
  VAULT_UNAVAILABLE: {
    class: 'retry',
    meaning: 'The vault service cannot be reached or answers with a server error.',
    hint: 'Check the endpoint, the region and the service status.',
  },
  VAULT_THROTTLED: {
    class: 'later',
    meaning: 'The vault service asks to slow down.',
    hint: 'Nothing to do; the work goes on later.',
  },
  VAULT_REFUSED: {
    class: 'failed',
    meaning: 'The vault service refused the request.',
    hint: 'Check the access rights and the message of the service.',
  },
  VAULT_NOT_FOUND: {
    class: 'failed',
    meaning: 'The vault, archive, upload or job is not there.',
    hint: 'Run `moraine reconcile`.',
  },
  VAULT_CHECKSUM: {
    class: 'retry',
    meaning: 'The service acknowledged other bytes than those that were sent.',
    hint: 'Nothing to do; the attempt is abandoned and made again.',
  },
  VAULT_OUTCOME_UNKNOWN: {
    class: 'unknown',
    meaning: 'The connection was lost during a call that may have taken effect.',
    hint: 'Nothing to do; the next step asks the vault first.',
  },
  NOTICE_UNAVAILABLE: {
    class: 'retry',
    meaning: 'A way of telling owners (mail server, SES, SNS, webhook) did not take the message.',
    hint: 'Nothing to do; it is sent again later, under the same id.',
  },
  NOTICE_REFUSED: {
    class: 'failed',
    meaning: 'A way of telling owners refused the message, and would refuse it again.',
    hint: 'Check the way under `notify.ways` and the contact of the owner, then `moraine notify send --again`.',
  },
  LEASE_LOST: {
    class: 'retry',
    meaning: 'Another worker has taken over this archive or partition.',
    hint: 'Nothing to do; the other worker goes on.',
  },
  LEASE_HELD: {
    class: 'later',
    meaning: 'Another worker is busy with this archive or partition.',
    hint: 'Wait; a lease ends by itself when its worker is gone.',
  },
  WORK_STOPPED: {
    class: 'retry',
    meaning: 'The work was told to stop.',
    hint: 'Nothing to do; it goes on at the next run.',
  },
  PAUSED: {
    class: 'later',
    meaning: 'A person has paused the policy, the owner or everything.',
    hint: 'Run `moraine pause list`; the work goes on after `moraine resume`.',
  },
  HELD: {
    class: 'later',
    meaning: 'A legal hold covers it, so nothing of it is destroyed.',
    hint: 'Run `moraine hold list`.',
  },
  RETRY_UNSAFE: {
    class: 'later',
    meaning: 'The records of a quarantined archive are in another archive that is not cleared yet.',
    hint: 'Retry when that archive is cleared, or dispose of this one.',
  },
  ILLEGAL_MOVE: {
    class: 'bug',
    meaning: 'A state was asked to change in a way that the table of legal moves does not have.',
    hint: 'Report this with the archive id; nothing was changed.',
  },
  LEDGER_CONTENTION: {
    class: 'retry',
    meaning: 'The ledger document changed under us again and again.',
    hint: 'Nothing to do; it is tried again.',
  },
  // Archives and records
  ARCHIVE_UNKNOWN: { class: 'usage', meaning: 'No archive has that id.', hint: 'Run `moraine archives`.' },
  ARCHIVE_NOT_RETRIEVABLE: {
    class: 'failed',
    meaning: 'The archive is not in a state in which it can be retrieved (purge has begun, or it was never stored).',
    hint: 'Run `moraine archive <id>`.',
  },
  ARCHIVE_CORRUPT: {
    class: 'quarantine',
    meaning: 'The bytes are not those of the archive: truncated, flipped or swapped; the message names the member.',
    hint: 'Retrieve it again; nothing was restored. If it happens again, run `moraine reconcile`.',
  },
  ARCHIVE_NOT_IN_INVENTORY: {
    class: 'quarantine',
    meaning: 'A vault inventory later than the upload does not list the archive as it was stored.',
    hint: 'Look at `moraine archive <id>`; the source was not touched.',
  },
  ARCHIVE_NOT_PROVEN: {
    class: 'quarantine',
    meaning: 'The archive came into the ledger from its vault, and nobody has shown yet what it holds.',
    hint: 'Run `moraine rebuild --identity FILE`, or for a stray `moraine stray adopt <stray> --identity FILE`.',
  },
  ARCHIVE_STILL_IN_INVENTORY: {
    class: 'quarantine',
    meaning: 'A vault inventory later than the accepted delete still lists the archive.',
    hint: 'Look at `moraine archive <id>` and at the vault.',
  },
  KEY_MISSING: {
    class: 'quarantine',
    meaning: 'The archive key is not in the key store.',
    hint: 'Restore the key store from its backup; nothing was cleared or purged.',
  },
  KMS_REFUSED: {
    class: 'person',
    meaning: 'AWS KMS refused to use the key: it is disabled, on its way to be deleted, or not allowed to this role.',
    hint: 'Run `moraine check`; enable the key or cancel its deletion, or give the role what `moraine iam` prints.',
  },
  KMS_UNAVAILABLE: {
    class: 'retry',
    meaning: 'AWS KMS does not answer, or asks to slow down.',
    hint: 'Check the endpoint, the region and the service status.',
  },
  KEY_DESTROYED: {
    class: 'failed',
    meaning: 'The archive key was destroyed with its archive.',
    hint: 'Nothing can open this archive; see its certificate.',
  },
  RETRIEVAL_NEEDED: {
    class: 'failed',
    meaning: 'No finished retrieval of this archive is there to restore from.',
    hint: 'Run `moraine retrieve <archive>`.',
  },
  RETRIEVAL_ORDER_UNKNOWN: {
    class: 'usage',
    meaning: 'No retrieval order has that id.',
    hint: 'Run `moraine retrieve list`.',
  },
  RETRIEVAL_OVER_LIMIT: {
    class: 'failed',
    meaning: 'No tier brings all of it back within the deadline and for the most that it may cost.',
    hint: 'Allow what the message says is possible with --deadline or --max-cost, or select less.',
  },
  RETRIEVAL_SET_CHANGED: {
    class: 'failed',
    meaning: 'The archives that were selected are not the same any more as when their cost was shown.',
    hint: 'Run the command again and look at the cost again.',
  },
  RETRIEVAL_ELSEWHERE: {
    class: 'failed',
    meaning: 'The output was fetched into the folder for retrievals of another machine, and the vault has dropped it.',
    hint: 'Run the command where `retrievals.folder` of moraine.yaml names that folder, or cancel it and retrieve anew.',
  },
  RETRIEVAL_NOT_READY: {
    class: 'later',
    meaning: 'The retrieval has not finished.',
    hint: 'Wait until the time that the message names.',
  },
  RETRIEVAL_OPEN: {
    class: 'later',
    meaning: 'A retrieval of the archive is open, so it is not purged.',
    hint: 'Finish the restore, or wait until its output expires.',
  },
  RESTORE_TARGET_NOT_EMPTY: {
    class: 'usage',
    meaning: 'The folder to restore or export into holds files already.',
    hint: 'Name an empty or new folder.',
  },
  RESTORE_CONFLICT: {
    class: 'person',
    meaning: 'Other documents stand where records would be restored, and `--on-conflict fail` was said.',
    hint: 'Look at them with `--preview`; then choose keep, newest or replace, or restore elsewhere with --nsFrom and --nsTo.',
  },
  CUSTOMER_UNKNOWN: {
    class: 'usage',
    meaning: 'Nothing is kept of that customer of that owner, neither in the source nor in an archive.',
    hint: 'Look at `moraine plan` and `moraine archives` for the names of owners and customers.',
  },
  EXPORT_NOT_WHOLE: {
    class: 'person',
    meaning: 'The export of a customer who leaves does not hold all that is to be destroyed.',
    hint: 'Run `moraine retrieve` for its archives and export anew with --identity, or say --without-archives.',
  },
  EXPORT_CORRUPT: {
    class: 'failed',
    meaning: 'An export is not what was written: a file is missing, was changed or added, or its manifest is not ours.',
    hint: 'Export again into a new folder; nothing was destroyed.',
  },
  RECORD_UNFIT: {
    class: 'quarantine',
    meaning: 'A record has no usable owner, customer or trigger, or its bytes cannot be guarded.',
    hint: 'Correct the record in the source; see `moraine quarantine list`.',
  },
  CHILD_UNFIT: {
    class: 'retry',
    meaning:
      'A record that was being archived got a child of another owner or customer, or one that cannot be guarded.',
    hint: 'Nothing to do; at the next try the record is quarantined, and the rest goes on.',
  },
  ATTACHMENT_CHANGED: {
    class: 'retry',
    meaning: 'A file that hangs on a record was removed or changed while it was read.',
    hint: 'Nothing to do; the attempt is abandoned and made again, and the record waits.',
  },
  ATTACHMENT_UNAVAILABLE: {
    class: 'retry',
    meaning: 'The store of a file that hangs on a record cannot be reached, or refused the request.',
    hint: 'Check the store under `attachments` in moraine.yaml, and the access rights.',
  },
  CERTIFICATE_INVALID: {
    class: 'failed',
    meaning: 'The signature or a figure of a certificate is wrong.',
    hint: 'Treat the certificate as forged until explained; run `moraine audit verify`.',
  },
  AUDIT_BROKEN: {
    class: 'person',
    meaning: 'The audit chain does not hold: an entry was changed, removed or put in.',
    hint: 'Keep the ledger as it is and look at the entry that the message names.',
  },
  AUDIT_HEADS_REFUSED: {
    class: 'person',
    meaning: 'The place for audit heads is not write-once: what is published there could be changed or removed.',
    hint: 'Name a bucket with Object Lock in `audit.heads`; a lock is switched on when a bucket is made.',
  },
  AUDIT_HEADS_BROKEN: {
    class: 'person',
    meaning: 'Audit heads that were published are missing, forged or not in the chain of the ledger.',
    hint: 'Keep ledger and place as they are and run `moraine audit verify --key FILE`.',
  },
  STACK_FAILED: {
    class: 'failed',
    meaning: 'The local stack could not be set up or started.',
    hint: 'Read the log that the message names; `moraine stack down` and try again.',
  },
  INTERNAL: {
    class: 'bug',
    meaning: 'Something happened that should be impossible.',
    hint: 'Report this with the message; the work has stopped.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_KINDS;

export interface ErrorDetails {
  /** What this error says was changed in the world before it was raised; default: nothing. */
  readonly changed?: string;
  /** A hint that fits better than the one of the list, with real names in it. */
  readonly hint?: string;
  /** When it may be tried again (class `later`). */
  readonly retryAt?: Date;
  readonly cause?: unknown;
  /** Ids for logs and JSON: archive, policy, owner, customer, file, line, field. Never record content. */
  readonly ids?: Readonly<Record<string, string | number>>;
}

export class MoraineError extends Error {
  readonly code: ErrorCode;
  readonly changed: string;
  readonly hint: string;
  readonly retryAt: Date | undefined;
  readonly ids: Readonly<Record<string, string | number>>;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'MoraineError';
    this.code = code;
    this.changed = details.changed ?? 'Nothing was changed.';
    this.hint = details.hint ?? ERROR_KINDS[code].hint;
    this.retryAt = details.retryAt;
    this.ids = details.ids ?? {};
  }

  get class(): ErrorClass {
    return ERROR_KINDS[this.code].class;
  }
}

/** The class of anything that was thrown: what is not a MoraineError is our own mistake. */
export function errorClass(error: unknown): ErrorClass {
  return error instanceof MoraineError ? error.class : 'bug';
}

export function isMoraineError(error: unknown, code: ErrorCode): error is MoraineError {
  return error instanceof MoraineError && error.code === code;
}

/** For switches over closed unions: an unknown value throws instead of falling through. */
export function unreachable(value: never, what: string): never {
  throw new MoraineError('INTERNAL', `Unknown ${what}: ${String(value)}`);
}
