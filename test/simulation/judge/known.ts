/**
 * What the judge has seen so far, kept up to date with each observation, so that no property has to look through the
 * servers at each step. Only this folder's own reading of the documents' form is in here, nothing of the product's.
 */
import type { KnownApproval, KnownException } from './approvals.ts';
import { Families } from './families.ts';
import type { Instant, PolicyFacts, RawDocument, Scope, SourceRecord, VaultFile, WorldFacts } from './observations.ts';
import type { OpenedArchive } from './open-archive.ts';
import { type RecordFacts, readRecord } from './record-facts.ts';
import { asFields, asInstant, asText } from './values.ts';

/** Worker clocks may be wrong by this much while they destroy. */
export const CLOCK_TOLERANCE_MS = 60_000;
export const DAY_MS = 24 * 3_600_000;

/** One `_id` of one collection of the source. */
export interface KnownRecord {
  readonly key: string;
  readonly namespace: string;
  readonly id: string;
  /** null: it is not there. */
  bytes: Uint8Array | null;
  facts: RecordFacts;
  putBy: 'application' | 'moraine';
  putAt: Instant;
  exemptUntil: Instant | null;
  wasEverUnfit: boolean;
  /** The archive under which it was treated last. */
  treatedUnder: KnownArchive | null;
  /** Moraine removed it last, and nobody put it back. */
  deletedBy: Deletion | null;
}

/** A removal from the source by Moraine, and what it rests on. */
export interface Deletion {
  readonly bytes: Uint8Array;
  readonly facts: RecordFacts;
  readonly at: Instant;
  readonly archive: KnownArchive | null;
  readonly attempt: string | null;
  /** It stays, with some of its fields treated. */
  readonly isTreated?: true;
}

export interface Parties {
  readonly installation: string;
  readonly archive: string;
  readonly attempt: string;
  readonly owner: string;
  readonly customer: string;
  readonly namespace: string;
}

export interface KnownFile {
  readonly file: VaultFile;
  /** What its description says; null: not ours. */
  readonly parties: Parties | null;
  opened: OpenedArchive | null;
  /** Why it does not open. */
  failure: string | null;
  readonly bytesOf: Map<string, Uint8Array>;
  inVault: boolean;
  removedAtStep: number | null;
  /** An inventory dated after it was stored has listed it, and was read. */
  isListed: boolean;
  /** A fault of the world that the product cannot know of. */
  damage: ReadonlySet<string>;
}

export interface KnownArchive {
  readonly id: string;
  document: RawDocument | null;
  highestEpoch: number;
  /** Who made the write that raised the epoch last. */
  claimedBy: string | null;
  readonly everVerified: Set<string>;
  /** Records that Moraine deleted under it, or treated, by record key; the last time counts. */
  readonly deleted: Map<string, Deletion>;
  /** Deleted under it and put back by the application before it was cleared. */
  readonly putBack: Set<string>;
  /** Removed by the application while it was verified: deleted or gone, as the page's intent says. */
  readonly removedByApplication: Set<string>;
  /** Written or removed by the application between sealing and clearing. */
  readonly touched: Set<string>;
  /** At `cleared`: one letter a record, as the settled pages said. */
  outcomes: ReadonlyMap<string, string> | null;
  clearedAt: Instant | null;
}

export interface KnownAttempt {
  readonly id: string;
  isAbandoned: boolean;
  key: 'none' | 'kept' | 'destroyed';
  rawKey: Uint8Array | null;
  keyOwner: string | null;
}

/** One placing of a hold, or one pause. */
export interface Brake {
  readonly kind: 'hold' | 'pause';
  readonly name: string;
  readonly scope: Scope;
  askedAtStep: number;
  inForceSince: Instant | null;
  tooLate: ReadonlySet<string>;
  endAskedAt: Instant | null;
  /** Releases that were asked for and have not been put off. */
  asking: number;
  /** What the release said; undefined: nothing yet. */
  endedUntil: Instant | null | undefined;
  /** False where the same was being ended by somebody else meanwhile: which came first cannot be told. */
  isCertain: boolean;
}

/** What the account of a customer said from then on. */
export interface Account {
  readonly at: Instant;
  readonly plan: string | null;
  readonly until: Instant | null;
}

/** What a customer got back. */
export interface ReturnedFacts {
  readonly owner: string;
  readonly customer: string;
  readonly manifestSha256: string;
  /** By record key. */
  readonly records: ReadonlyMap<string, Uint8Array>;
  /** By archive, and then by record key. */
  readonly archives: ReadonlyMap<string, ReadonlyMap<string, Uint8Array>>;
}

export interface AuditFacts {
  readonly act: string;
  readonly phase: string;
  readonly attempt: string | null;
}

export class Known {
  readonly facts: WorldFacts;
  readonly records = new Map<string, KnownRecord>();
  readonly files = new Map<string, KnownFile>();
  readonly filesOfRecord = new Map<string, KnownFile[]>();
  readonly archives = new Map<string, KnownArchive>();
  readonly attempts = new Map<string, KnownAttempt>();
  readonly brakes: Brake[] = [];
  /** By `archive <id>`, `expiration <id>`, `attempt <id>`, `hold <id>`. */
  readonly audit = new Map<string, AuditFacts[]>();
  readonly families = new Families();
  readonly expirations = new Map<string, RawDocument>();
  readonly expirationDoneAt = new Map<string, Instant>();
  readonly expiryOrdered = new Set<string>();
  readonly keyDamage = { isSetBack: false };
  /** Archives by the retrieval that a person was told of. */
  readonly openRetrievals = new Map<string, string>();
  readonly damagedIds = new Map<string, Set<string>>();
  /** By policy name, in the order of publishing. */
  readonly policies = new Map<string, PolicyFacts[]>();
  readonly policyVersions = new Map<string, PolicyFacts[]>();
  /** What each process has put into the source since its last restore ended. */
  readonly returned = new Map<string, Set<string>>();
  /** The pseudonym of a person: owner, NUL, text as it is compared. */
  readonly pseudonyms = new Map<string, string>();
  readonly personOf = new Map<string, string>();
  /** For how many recipients the newest key of an owner is wrapped; -1: it did not open. */
  readonly recipientsOf = new Map<string, number>();
  readonly approvals = new Map<string, KnownApproval>();
  readonly exceptions = new Map<string, KnownException>();
  /** What people were seen to say to approvals. */
  readonly said = new Set<string>();
  /** By process and exception: when it asked for its end. */
  readonly endAsked = new Map<string, Instant>();
  /** Reason of an exception to the labels that it was asked for: the ledger has only codes of them. */
  readonly labelsAsked = new Map<string, readonly string[]>();
  /** What the account of a customer said, and from when on. */
  readonly accounts = new Map<string, Account[]>();
  /** Exports that were handed over, by their id. */
  readonly exports = new Map<string, ReturnedFacts>();
  /** Exports with which somebody said that a customer leaves; true: also archives that they do not hold. */
  readonly leaving = new Map<string, boolean>();
  /** The purge date that an archive was given by hand last. */
  readonly movedTo = new Map<string, Instant>();
  /** Since when a version may be used, by the version. */
  readonly usableFrom = new Map<string, Instant>();
  /** Since when what is in force last is so, by the policy's name. */
  readonly inForceSince = new Map<string, Instant>();
  /** When the judge began to look: what is there by then was there before. */
  beganAt: Instant | null = null;
  isLedgerSetBack = false;
  step = 0;

  constructor(facts: WorldFacts) {
    this.facts = facts;
    for (const policy of facts.policies) this.policies.set(policy.name, [policy]);
  }

  archive(id: string): KnownArchive {
    let archive = this.archives.get(id);
    if (archive === undefined) {
      archive = {
        id,
        document: null,
        highestEpoch: 0,
        claimedBy: null,
        everVerified: new Set(),
        deleted: new Map(),
        putBack: new Set(),
        removedByApplication: new Set(),
        touched: new Set(),
        outcomes: null,
        clearedAt: null,
      };
      this.archives.set(id, archive);
    }
    return archive;
  }

  attempt(id: string): KnownAttempt {
    let attempt = this.attempts.get(id);
    if (attempt === undefined) {
      attempt = { id, isAbandoned: false, key: 'none', rawKey: null, keyOwner: null };
      this.attempts.set(id, attempt);
    }
    return attempt;
  }

  record({ namespace, id, bytes }: SourceRecord): KnownRecord {
    const key = recordKey(namespace, id);
    let record = this.records.get(key);
    if (record === undefined) {
      const facts = readRecord(bytes);
      record = {
        key,
        namespace,
        id,
        bytes: null,
        facts,
        putBy: 'application',
        putAt: Number.NEGATIVE_INFINITY,
        exemptUntil: null,
        wasEverUnfit: facts.mayBeUnfit,
        treatedUnder: null,
        deletedBy: null,
      };
      this.records.set(key, record);
    }
    return record;
  }

  fileOf(vault: string, vaultArchiveId: string): KnownFile | undefined {
    return this.files.get(fileKey(vault, vaultArchiveId));
  }

  /** The file that the ledger calls the archive's. */
  storedFile(archive: KnownArchive): KnownFile | undefined {
    const stored = asFields(archive.document?.['stored']);
    const vault = asFields(archive.document?.['vault']);
    const [name, id] = [asText(vault['name']), asText(stored['vaultArchiveId'])];
    if (id === null) return undefined;
    const found = name === null ? undefined : this.fileOf(name, id);
    if (found !== undefined) return found;
    for (const file of this.files.values()) if (file.file.vaultArchiveId === id) return file;
    return undefined;
  }

  state(archive: KnownArchive): string | null {
    return asText(archive.document?.['state']);
  }

  /** All that the archive's policy may say: the pinned version where it is known, else every version there ever was. */
  policiesOf(archive: Pick<KnownArchive, 'document'> | null, namespace: string): readonly PolicyFacts[] {
    const version = asText(archive?.document?.['policyVersion']);
    const pinned = version === null ? undefined : this.policyVersions.get(version);
    if (pinned !== undefined) return pinned;
    return [...this.policies.values()].flat().filter((policy) => policy.namespace === namespace);
  }

  /** When it was decided what a disposal or an archive takes, by its document; null: no document says so. */
  decidedAt(document: RawDocument | null | undefined): Instant | null {
    return asInstant(document?.['asOf']) ?? asInstant(asFields(document?.['plan'])['asOf']);
  }

  /** The policy that was published last for a collection. */
  policyInForce(namespace: string): PolicyFacts | null {
    for (const versions of this.policies.values()) {
      const last = versions.at(-1);
      if (last?.namespace === namespace) return last;
    }
    return null;
  }

  auditOf(subject: string): readonly AuditFacts[] {
    return this.audit.get(subject) ?? [];
  }

  isDamaged(...ids: readonly (string | null | undefined)[]): boolean {
    return ids.some((id) => id != null && this.damagedIds.has(id));
  }
}

export function recordKey(namespace: string, id: string): string {
  return `${namespace}\0${id}`;
}

export function fileKey(vault: string, vaultArchiveId: string): string {
  return `${vault}\0${vaultArchiveId}`;
}
